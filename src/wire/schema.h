/* How a message is laid out: the descriptor tables made of messages.def (schema.c), read by the
 * engine (wire.c), the printer (print.c) and the generator (arbitrary.c). Private to these four. A
 * schema is data, so that a new message costs a few lines in messages.def and no code, and is
 * tested by the loops that test all the others. */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H

#include "wire/wire.h"

#include <assert.h>

/* The kinds of messages.def, and the three shapes that hold others. */
enum wire_kind {
    WIRE_flag,
    WIRE_u8,
    WIRE_u16,
    WIRE_u32,
    WIRE_u64,
    WIRE_word,
    WIRE_id,
    WIRE_digest,
    WIRE_address,
    WIRE_boot,
    WIRE_bytes,
    WIRE_item,
    WIRE_list,
};

struct wire_field {
    const char *name;
    enum wire_kind kind;
    uint32_t offset;                  /* in the struct */
    uint32_t max;                     /* bytes: bytes; list: items */
    const struct wire_schema *record; /* item, list; records stand above their users: no cycle */
};

struct wire_schema {
    const char *name;
    unsigned type; /* 0: a record */
    size_t struct_size;
    size_t minimal_size; /* bytes of the shortest encoding, at least 1 */
    size_t fields_count;
    const struct wire_field *(*fields)(void); /* fields_count of them, static */
};

/* The integer of kind flag, u8, u16, u32, u64 or word at `at`. */
static inline uint64_t schema_load(enum wire_kind kind, const void *at)
{
    assert(kind <= WIRE_word);
    if (kind == WIRE_flag) return *(const bool *)at;
    if (kind == WIRE_u8) return *(const uint8_t *)at;
    if (kind == WIRE_u16) return *(const uint16_t *)at;
    if (kind == WIRE_u32) return *(const uint32_t *)at;
    return *(const uint64_t *)at;
}

/* Stores it; false, and nothing stored, when the kind cannot hold it. */
static inline bool schema_store(enum wire_kind kind, void *at, uint64_t value)
{
    static const uint64_t largest[] = {
        [WIRE_flag] = 1,         [WIRE_u8] = UINT8_MAX,   [WIRE_u16] = UINT16_MAX,
        [WIRE_u32] = UINT32_MAX, [WIRE_u64] = UINT64_MAX, [WIRE_word] = UINT64_MAX,
    };
    assert(kind <= WIRE_word);
    if (value > largest[kind]) return false;
    if (kind == WIRE_flag) *(bool *)at = value == 1;
    else if (kind == WIRE_u8) *(uint8_t *)at = (uint8_t)value;
    else if (kind == WIRE_u16) *(uint16_t *)at = (uint16_t)value;
    else if (kind == WIRE_u32) *(uint32_t *)at = (uint32_t)value;
    else *(uint64_t *)at = value;
    return true;
}

#endif
