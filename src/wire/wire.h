/* The wire: structs made of messages.def, and one engine over their descriptor tables that encodes,
 * decodes, prints and generates any of them. The encoding is canonical: one value has one encoding,
 * and what decodes encodes to the same bytes.
 *
 *   flag u8        one byte (flag: 0 or 1)
 *   u16 u32 u64    LEB128, shortest form
 *   word           8 bytes, little endian
 *   id digest      16, 32 bytes
 *   address        1 byte 4, 16 or 0 (none), that many bytes, port in 2 bytes (big endian);
 *                  IPv4 only as 4; none only as 0, and its port follows all the same
 *   boot           counter as u64, random as word
 *   BYTES          length as u32, then the bytes
 *   ITEM           the record
 *   LIST           count as u32, then the records
 *
 * A message on its own (packed) is its type as u16, then its fields. */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/arena.h"
#include "base/prng.h"
#include "wire/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef bool wire_flag;
typedef uint8_t wire_u8;
typedef uint16_t wire_u16;
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef uint64_t wire_word;
typedef struct id wire_id;
typedef struct digest wire_digest;
typedef struct address wire_address;
typedef struct boot wire_boot;

/* struct msg_NAME for every record and message. */
#define RECORD(name) struct msg_##name {
#define MESSAGE(name, type) struct msg_##name {
#define FIELD(kind, name) wire_##kind name;
#define BYTES(name, max) struct slice name;
#define ITEM(record, name) struct msg_##record name;
#define LIST(record, name, max) struct list name;
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "wire/messages.def"
#include "wire/undef.h"

/* MSG_NAME for every message; 0 is no message. */
enum message_type {
    MSG_NONE = 0,
#define RECORD(name)
#define MESSAGE(name, type) MSG_##name = type,
#define FIELD(kind, name)
#define BYTES(name, max)
#define ITEM(record, name)
#define LIST(record, name, max)
#define END(name)
#include "wire/messages.def"
#include "wire/undef.h"
};

struct wire_schema; /* how a record or message is laid out; static, for ever */

/* wire_NAME: the schema of each record and message. */
#define RECORD(name) extern const struct wire_schema wire_##name;
#define MESSAGE(name, type) RECORD(name)
#define FIELD(kind, name)
#define BYTES(name, max)
#define ITEM(record, name)
#define LIST(record, name, max)
#define END(name)
#include "wire/messages.def"
#include "wire/undef.h"

/* The message of this type; NULL when there is none. */
const struct wire_schema *wire_schema(unsigned type);
const char *wire_name(const struct wire_schema *schema);
/* 0 for a record. */
unsigned wire_type(const struct wire_schema *schema);
/* sizeof the struct. */
size_t wire_struct_size(const struct wire_schema *schema);
/* The i-th schema of messages.def, records included; NULL behind the last: for tests that mean
 * "all". */
const struct wire_schema *wire_each(size_t i);

/* Where encoded bytes go. Past the end nothing is written, and `written` still counts what was
 * wanted. */
struct writer {
    uint8_t *at;
    size_t left;
    size_t written;
    bool is_full;
};

static inline struct writer writer_of(void *at, size_t size)
{
    return (struct writer){.at = at, .left = size};
}

/* Encodes the fields of message (a struct of that schema, its lengths within their caps: asserted).
 * False when the writer is full. */
bool wire_encode(const struct wire_schema *schema, const void *message, struct writer *writer);
/* The type, then the fields: a message on its own. */
bool wire_pack(const struct wire_schema *schema, const void *message, struct writer *writer);
/* Bytes that wire_pack will write. */
size_t wire_packed_size(const struct wire_schema *schema, const void *message);
/* Packs into memory from the arena. An empty slice (at NULL) when it does not fit. */
struct slice wire_pack_arena(const struct wire_schema *schema, const void *message,
                             struct arena *arena);

/* Decodes the fields from the front of *input and moves it behind them. Slices in message borrow
 * from the input's bytes, lists from the arena. Returns NULL, or the reason for the refusal
 * (static); message and *input are then undefined. */
const char *wire_decode(const struct wire_schema *schema, void *message, struct slice *input,
                        struct arena *arena);
/* Decodes the fields and requires that nothing follows. */
const char *wire_decode_all(const struct wire_schema *schema, void *message, struct slice input,
                            struct arena *arena);

/* A message on its own: its schema, and the struct in the arena. */
struct wire_message {
    const struct wire_schema *schema;
    unsigned type;
    const void *fields; /* struct msg_NAME of that type */
};

/* Takes one packed message from the front of *input. Reason or NULL, as wire_decode. */
const char *wire_unpack(struct slice *input, struct wire_message *message, struct arena *arena);

/* How a packed message begins, whether or not its type is known here: with the type and, all that
 * mrctl and its peer say, with a number. False when even that can't be read. */
bool wire_peek(struct slice packed, uint64_t *type, uint64_t *number);

/* The message for people: name{field=value ...}; cut when it does not fit; always NUL-terminated
 * (size > 0). */
void wire_print(const struct wire_schema *schema, const void *message, char *text, size_t size);

/* A value with every length and integer within its cap, for property tests; small ones more often
 * than large. False when the arena is too small. */
bool wire_arbitrary(const struct wire_schema *schema, void *message, struct prng *prng,
                    struct arena *arena);

/* Deep-copies message, its slices and lists into the arena: so a decoded value outlives the bytes
 * and the arena it was decoded from. False when it does not fit. */
bool wire_copy(const struct wire_schema *schema, void *copy, const void *message,
               struct arena *arena);

#endif
