/* Deep copies of decoded messages.
 *
 * wire_copy fills an arena of fixed size, and how much a message needs follows only from a walk
 * over it. So the first guess is the encoded size with room for what decoding adds (an encoded
 * record is seldom less than a third of its struct, and each piece starts at a multiple of 16),
 * and a guess that was too small is doubled. Messages are bounded by their schema, hence so is
 * the loop; out of memory ends it sooner. */
#include "tasks/copy.h"

void *copy_take(struct memory *memory, const struct wire_schema *schema, const void *message,
                size_t *size)
{
    size_t struct_size = wire_struct_size(schema);
    struct writer counter = writer_of(NULL, 0);
    (void)wire_encode(schema, message, &counter);
    size_t guess = struct_size + 3 * counter.written + 256;
    for (;; guess *= 2) {
        void *piece = memory_take(memory, guess);
        if (piece == NULL) return NULL;
        struct arena arena;
        arena_init(&arena, piece, guess);
        void *copy = arena_take(&arena, struct_size);
        if (copy == piece && wire_copy(schema, copy, message, &arena)) {
            *size = guess;
            return piece;
        }
        memory_put(memory, piece, guess);
    }
}

bool copy_slice(struct memory *memory, struct slice bytes, struct slice *copy)
{
    *copy = slice_of(NULL, 0);
    if (bytes.count == 0) return true;
    void *piece = memory_take(memory, bytes.count);
    if (piece == NULL) return false;
    *copy = slice_of(memcpy(piece, bytes.at, bytes.count), bytes.count);
    return true;
}

void copy_slice_put(struct memory *memory, struct slice *copy)
{
    memory_put(memory, (void *)(uintptr_t)copy->at, copy->count);
    *copy = slice_of(NULL, 0);
}
