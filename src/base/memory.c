#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Pieces up to this size malloc has at hand, hot from who gave them back last; calloc of glibc
 * takes none of those. A larger one that is new comes as zeros from the system, and costs what is
 * touched of it. */
enum {
    SMALL_MAX = 1024
};

void *memory_resize(struct memory *memory, void *piece, size_t old_size, size_t new_size)
{
    assert(memory->used >= old_size);
    if (new_size == 0) {
        free(piece);
        memory->used -= old_size;
        return NULL;
    }
    if (new_size > old_size) {
        if (memory->fail_after > 0 && --memory->fail_after == 0) return NULL;
        if (new_size - old_size > memory->budget - memory->used) return NULL;
    }
    bool is_zero = piece == NULL && new_size > SMALL_MAX;
    uint8_t *moved = is_zero ? calloc(1, new_size) : realloc(piece, new_size);
    if (moved == NULL) return NULL;
    if (!is_zero && new_size > old_size) memset(moved + old_size, 0, new_size - old_size);
    memory->used = memory->used - old_size + new_size;
    return moved;
}

void *memory_grow(struct memory *memory, void *items, size_t *capacity, size_t count,
                  size_t item_size)
{
    assert(count <= *capacity);
    if (count < *capacity) return items;
    size_t larger = *capacity == 0 ? 8 : 2 * *capacity;
    void *moved = memory_resize(memory, items, *capacity * item_size, larger * item_size);
    if (moved != NULL) *capacity = larger;
    return moved;
}

void *memory_shrink(struct memory *memory, void *items, size_t *capacity, size_t count,
                    size_t item_size)
{
    size_t smaller = *capacity;
    assert(count <= *capacity);
    while (smaller > 8 && count < smaller / 4) smaller /= 2;
    if (smaller == *capacity) return items;
    void *moved = memory_resize(memory, items, *capacity * item_size, smaller * item_size);
    if (moved == NULL) return items;
    *capacity = smaller;
    return moved;
}
