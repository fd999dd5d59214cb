/* One deadline a node, the earliest first. */
#ifndef SIM_TIMERS_H
#define SIM_TIMERS_H

#include "base/time.h"

#include <stdint.h>

struct timer {
    instant at;
    uint32_t owner;
};

struct timers {
    struct timer *heap;
    uint32_t *places; /* of each owner in the heap */
    uint32_t count;
};

/* One each for owners 0 to count - 1, at INSTANT_NEVER. */
void timers_init(struct timers *timers, uint32_t count);
void timers_deinit(struct timers *timers);

/* Moves the owner's deadline. */
void timers_set(struct timers *timers, uint32_t owner, instant at);
/* The earliest; of equal ones always the same. Never NULL while there are owners. */
const struct timer *timers_first(const struct timers *timers);

#endif
