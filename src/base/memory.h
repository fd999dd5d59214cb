/* The allocator a node lives in: a budget, and a countdown with which a test makes any allocation
 * fail. "Out of memory" is thereby an ordinary, reachable error. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct memory {
    size_t used;         /* bytes handed out */
    size_t budget;       /* used never exceeds it */
    uint64_t fail_after; /* tests: the n-th allocation from now fails, once; 0 = never */
};

static inline void memory_init(struct memory *memory, size_t budget)
{
    *memory = (struct memory){.budget = budget};
}

/* Resizes a piece from old_size to new_size bytes; new bytes are zero. piece may be NULL with
 * old_size 0. new_size 0 frees and returns NULL. Returns NULL, the piece untouched, when over
 * budget. */
void *memory_resize(struct memory *memory, void *piece, size_t old_size, size_t new_size);

static inline void *memory_take(struct memory *memory, size_t size)
{
    return memory_resize(memory, NULL, 0, size);
}

static inline void memory_put(struct memory *memory, void *piece, size_t size)
{
    if (piece != NULL) (void)!memory_resize(memory, piece, size, 0);
}

/* Room for one more item in a growing array: doubles *capacity (in items) when count reaches it.
 * Returns the array, moved perhaps; NULL, everything untouched, when out of memory. */
void *memory_grow(struct memory *memory, void *items, size_t *capacity, size_t count,
                  size_t item_size);
/* The other way, after many items went: of an array less than a quarter full half of the room is
 * given back, again and again. Returns the array; never fails. */
void *memory_shrink(struct memory *memory, void *items, size_t *capacity, size_t count,
                    size_t item_size);

#endif
