/* The values of which messages are made, beside integers: each has a kind of its own in the wire
 * engine. */
#ifndef WIRE_TYPES_H
#define WIRE_TYPES_H

#include "base/address.h"
#include "base/id.h"
#include "base/slice.h"

#include <stdint.h>

/* One life of a node: a counter made durable before its first packet leaves, and random bits,
 * because an old disk image may repeat the counter, never the bits. */
struct boot {
    uint64_t counter;
    uint64_t random;
};

static inline int boot_compare(const struct boot *a, const struct boot *b)
{
    if (a->counter != b->counter) return a->counter < b->counter ? -1 : 1;
    if (a->random != b->random) return a->random < b->random ? -1 : 1;
    return 0;
}

static inline bool boot_equal(const struct boot *a, const struct boot *b)
{
    return boot_compare(a, b) == 0;
}

/* A list of records as decoded: borrowed from the decoder's arena. */
struct list {
    void *at;
    uint32_t count;
};

#endif
