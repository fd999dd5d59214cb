/* Any bytes as packed messages: refused, or canonical. What is accepted must encode to the very
 * bytes it came from, copy to an equal value and print within its room; the arena is exactly as
 * large as a node's, so that a list out of bounds is seen by the sanitizer. */
#include "wire/wire.h"

#include <stdlib.h>

enum {
    ARENA_SIZE = 1 << 18,
    TEXT_SIZE = 2000,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

static void check(const struct wire_message *message, struct slice taken, struct arena *arena)
{
    static char text[TEXT_SIZE];
    require(wire_packed_size(message->schema, message->fields) == taken.count);
    struct slice again = wire_pack_arena(message->schema, message->fields, arena);
    if (again.at == NULL) return; /* the arena is full of the message itself */
    require(slice_equal(taken, again));
    wire_print(message->schema, message->fields, text, sizeof text);
    require(strlen(text) < sizeof text);
    void *copy = arena_take(arena, wire_struct_size(message->schema));
    if (copy == NULL || !wire_copy(message->schema, copy, message->fields, arena)) return;
    struct slice copied = wire_pack_arena(message->schema, copy, arena);
    require(copied.at == NULL || slice_equal(taken, copied));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static _Alignas(16) uint8_t memory[ARENA_SIZE];
    struct arena arena;
    struct slice input = slice_of(bytes, count);
    arena_init(&arena, memory, sizeof memory);
    while (input.count > 0) {
        struct wire_message message;
        const uint8_t *start = input.at;
        uint64_t type = 0, number;
        bool is_begun = wire_peek(input, &type, &number);
        if (wire_unpack(&input, &message, &arena) != NULL) break;
        require(input.at > start && (!is_begun || type == message.type));
        check(&message, slice_of(start, (size_t)(input.at - start)), &arena);
        arena_reset(&arena);
    }
    return 0;
}
