/* The logical clock (Lamport 1978, "Time, Clocks, and the Ordering of Events", rules IR1 and
 * IR2): it never goes back, and what is said after something was seen has a later time than it.
 * It counts sayings, not seconds.
 *
 * The horizon: a time far ahead of ours is not believed, or one wrong (or wicked) entry would
 * push everyone's clock to the end of its 64 bits. It is set aside, not condemned: the clock may
 * come near it yet, and then it is taken. */
#ifndef STORE_LAMPORT_H
#define STORE_LAMPORT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* An entry more than this ahead of our clock is set aside. 2^32: more than a flock says in
 * years, and it takes 2^32 entries, each signed by somebody, to reach the end of the clock in
 * such steps. */
#define LOG_HORIZON (UINT64_C(1) << 32)

/* Later than any flock that is honest comes; and far enough from the end that whoever was made to
 * believe it still has time enough to speak. Where the horizon does not hold (a snapshot sets the
 * clock) this does. */
#define LOG_TIME_MAX (UINT64_C(1) << 62)

struct lamport {
    uint64_t time; /* the latest time given out or seen; 0 = none */
};

/* The time of what is said now: later than everything said or seen here. */
static inline uint64_t lamport_tick(struct lamport *clock)
{
    assert(clock->time < UINT64_MAX);
    return ++clock->time;
}

/* Something of this time was seen. */
static inline void lamport_see(struct lamport *clock, uint64_t time)
{
    if (time > clock->time) clock->time = time;
}

static inline bool lamport_is_beyond(const struct lamport *clock, uint64_t time)
{
    return time > clock->time && time - clock->time > LOG_HORIZON;
}

#endif
