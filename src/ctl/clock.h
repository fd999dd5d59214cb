/* The monotonic clock, in the microseconds of base/time.h. */
#ifndef CTL_CLOCK_H
#define CTL_CLOCK_H

#include "base/time.h"

#include <time.h>

static inline instant clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (instant)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

/* Milliseconds on the wall, for people. */
static inline uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void clock_sleep(duration pause)
{
    struct timespec left = {pause / SECOND, pause % SECOND * 1000};
    nanosleep(&left, NULL);
}

#endif
