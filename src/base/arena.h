/* Scratch memory over a caller's buffer: take, take, then forget all at once. Never grows, so a
 * stranger's message can at most fill it (the decoder then refuses). */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *base;
    size_t size;
    size_t used;
};

/* Borrows base, which must be aligned to 16 and outlive the arena. */
static inline void arena_init(struct arena *arena, void *base, size_t size)
{
    *arena = (struct arena){.base = base, .size = size};
}

/* Bytes aligned to 16, valid until arena_reset; NULL when they do not fit. */
static inline void *arena_take(struct arena *arena, size_t size)
{
    size_t start = (arena->used + 15) & ~(size_t)15;
    if (start > arena->size || size > arena->size - start) return NULL;
    arena->used = start + size;
    return arena->base + start;
}

static inline void arena_reset(struct arena *arena) { arena->used = 0; }

#endif
