/* Lists of the simulator: they grow by doubling, and a test machine without memory is the end. */
#ifndef SIM_GROW_H
#define SIM_GROW_H

#include <assert.h>
#include <stdlib.h>

/* Room for one item more of this size behind `count` of them. Returns the items, moved perhaps. */
static inline void *sim_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return items;
    *capacity = *capacity == 0 ? 16 : 2 * *capacity;
    items = realloc(items, *capacity * size);
    assert(items != NULL);
    return items;
}

#endif
