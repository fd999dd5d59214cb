/* How a message is laid out: the descriptor tables made of messages.def (schema.c), read by the
 * engine (wire.c), the printer (print.c) and the generator (arbitrary.c). Private to these four. A
 * schema is data, so that a new message costs a few lines in messages.def and no code, and is
 * tested by the loops that test all the others. */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H

#include "wire/wire.h"

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
    unsigned type;       /* 0: a record */
    size_t struct_size;
    size_t minimal_size; /* bytes of the shortest encoding, at least 1 */
    size_t fields_count;
    const struct wire_field *(*fields)(void); /* fields_count of them, static */
};

/* The integer of kind flag, u8, u16, u32, u64 or word at `at`. */
uint64_t schema_load(enum wire_kind kind, const void *at);
/* Stores it; false, and nothing stored, when the kind cannot hold it. */
bool schema_store(enum wire_kind kind, void *at, uint64_t value);

#endif
