/* The engine: encodes, decodes and copies any message by walking its table of fields (schema.h).
 *
 * The rule it guards: one value has one encoding. Equal entries then have equal digests and
 * signatures wherever they were encoded, and a decoder that accepts bytes has checked all there is
 * to check about their form. So everything that could be said in two ways is refused in all but
 * one: numbers in their shortest form, a flag 0 or 1, IPv4 in 4 bytes, no address in none (its port
 * is kept, and follows as for the others).
 *
 * A stranger's bytes: a length is believed only after it was compared with its cap and with the
 * bytes that are really there (as `n > left`, which cannot overflow); a list only takes memory for
 * items that the bytes left could hold; the arena bounds the rest. Recursion follows the schema,
 * never the input: its depth is that of messages.def. */
#include "wire/schema.h"

#include "base/endian.h"

#include <assert.h>

/* LEB128 of 64 bits: seven a byte. */
enum {
    NUMBER_SIZE_MAX = 10
};

/* ---- encode ---- */

/* Where the next count bytes go; NULL: nowhere. */
static inline uint8_t *next(struct writer *writer, size_t count)
{
    writer->written += count;
    if (count > writer->left) {
        writer->is_full = true;
        writer->left = 0; /* a later, shorter piece must not slip in */
        return NULL;
    }
    uint8_t *at = writer->at;
    if (count > 0) writer->at += count;
    writer->left -= count;
    return at;
}

static inline void put(struct writer *writer, const void *bytes, size_t count)
{
    uint8_t *at = next(writer, count);
    if (at != NULL && count > 0) memcpy(at, bytes, count);
}

static inline void put_long_number(struct writer *writer, uint64_t value)
{
    size_t count = 1;
    for (uint64_t rest = value >> 7; rest > 0; rest >>= 7) count++;
    uint8_t *at = next(writer, count);
    if (at == NULL) return;
    for (; value > 0x7f; value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at = (uint8_t)value;
}

static inline void put_number(struct writer *writer, uint64_t value)
{
    if (value > 0x7f) put_long_number(writer, value);
    else put(writer, &(uint8_t){(uint8_t)value}, 1); /* most are */
}

static inline void put_word(struct writer *writer, uint64_t value)
{
    uint8_t *at = next(writer, 8);
    if (at != NULL) little_put64(at, value);
}

static inline void put_address(struct writer *writer, const struct address *address)
{
    uint8_t size = sizeof address->ip;
    if (address_is_ipv4(address)) size = 4;
    else if (address_is_none(address)) size = 0;
    uint8_t port[2] = {(uint8_t)(address->port >> 8), (uint8_t)address->port};
    put(writer, &size, 1);
    put(writer, address->ip + sizeof address->ip - size, size);
    put(writer, port, sizeof port);
}

static inline void put_bytes(struct writer *writer, const struct slice *bytes, uint32_t max)
{
    assert(bytes->count <= max);
    put_number(writer, bytes->count);
    put(writer, bytes->at, bytes->count);
}

static void put_items(struct writer *writer, const struct wire_schema *schema, const uint8_t *item,
                      uint32_t count);

static void put_list(struct writer *writer, const struct list *list, const struct wire_field *field)
{
    assert(list->count <= field->max);
    put_number(writer, list->count);
    put_items(writer, field->record, list->at, list->count);
}

static inline void put_field(struct writer *writer, const struct wire_field *field, const void *at)
{
    const struct boot *boot = at;
    switch (field->kind) {
    case WIRE_flag:
    case WIRE_u8: put(writer, &(uint8_t){(uint8_t)schema_load(field->kind, at)}, 1); break;
    case WIRE_u16:
    case WIRE_u32: put_number(writer, schema_load(field->kind, at)); break;
    case WIRE_u64: put_number(writer, schema_load(WIRE_u64, at)); break;
    case WIRE_word: put_word(writer, schema_load(WIRE_word, at)); break;
    case WIRE_id: put(writer, at, sizeof(struct id)); break;
    case WIRE_digest: put(writer, at, sizeof(struct digest)); break;
    case WIRE_address: put_address(writer, at); break;
    case WIRE_boot:
        put_number(writer, boot->counter);
        put_word(writer, boot->random);
        break;
    case WIRE_bytes: put_bytes(writer, at, field->max); break;
    case WIRE_item:
    case WIRE_list: break;
    }
}

/* What holds others. By value: the writer of the loop below, whose address nobody gets, stays in
 * registers. */
static struct writer put_nested(struct writer writer, const struct wire_field *field,
                                const void *at)
{
    if (field->kind == WIRE_item) put_items(&writer, field->record, at, 1);
    else put_list(&writer, at, field);
    return writer;
}

/* So many structs of this schema, one behind the other. */
static void put_items(struct writer *writer, const struct wire_schema *schema, const uint8_t *item,
                      uint32_t count)
{
    if (count == 0) return;
    struct writer own = *writer;
    const struct wire_field *fields = schema->fields(), *end = fields + schema->fields_count;
    for (; count > 0; count--, item += schema->struct_size)
        for (const struct wire_field *field = fields; field < end; field++) {
            const uint8_t *at = item + field->offset;
            if (field->kind >= WIRE_item) own = put_nested(own, field, at);
            else put_field(&own, field, at);
        }
    *writer = own;
}

bool wire_encode(const struct wire_schema *schema, const void *message, struct writer *writer)
{
    put_items(writer, schema, message, 1);
    return !writer->is_full;
}

bool wire_pack(const struct wire_schema *schema, const void *message, struct writer *writer)
{
    assert(schema->type != MSG_NONE);
    put_number(writer, schema->type);
    return wire_encode(schema, message, writer);
}

size_t wire_packed_size(const struct wire_schema *schema, const void *message)
{
    struct writer writer = writer_of(NULL, 0);
    (void)wire_pack(schema, message, &writer);
    return writer.written;
}

struct slice wire_pack_arena(const struct wire_schema *schema, const void *message,
                             struct arena *arena)
{
    size_t used = arena->used;
    uint8_t *bytes = arena_take(arena, 0);
    if (bytes == NULL) return slice_of(NULL, 0);
    struct writer writer = writer_of(bytes, arena->size - arena->used); /* all that is left */
    bool fits = wire_pack(schema, message, &writer);
    arena->used = fits ? arena->used + writer.written : used;
    return fits ? slice_of(bytes, writer.written) : slice_of(NULL, 0);
}

/* ---- decode ---- */

static const char *const cut_short = "cut short";

/* The next count bytes, or NULL when there are not so many. Never NULL for count 0. */
static inline const uint8_t *take(struct slice *input, size_t count)
{
    static const uint8_t nothing[1];
    if (count > input->count) return NULL;
    if (count == 0) return nothing;
    const uint8_t *bytes = input->at;
    input->at += count;
    input->count -= count;
    return bytes;
}

static inline const char *take_long_number(struct slice *input, uint64_t *value)
{
    uint64_t number = 0;
    for (size_t i = 0; i < NUMBER_SIZE_MAX; i++) {
        if (i == input->count) return cut_short;
        uint8_t byte = input->at[i];
        if (i == NUMBER_SIZE_MAX - 1 && byte > 1) break; /* more than 64 bits, or yet another */
        number |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) != 0) continue;
        if (byte == 0 && i > 0) return "number not in its shortest form";
        *value = number;
        *input = slice_of(input->at + i + 1, input->count - i - 1);
        return NULL;
    }
    return "number too large";
}

static inline const char *take_number(struct slice *input, uint64_t *value)
{
    if (input->count == 0 || input->at[0] > 0x7f) return take_long_number(input, value);
    *value = input->at[0]; /* most are */
    *input = slice_of(input->at + 1, input->count - 1);
    return NULL;
}

static inline const char *take_integer(struct slice *input, enum wire_kind kind, void *at)
{
    uint64_t value;
    if (kind == WIRE_flag || kind == WIRE_u8) {
        const uint8_t *byte = take(input, 1);
        if (byte == NULL) return cut_short;
        return schema_store(kind, at, *byte) ? NULL : "flag neither 0 nor 1";
    }
    const char *reason = take_number(input, &value);
    if (reason != NULL) return reason;
    return schema_store(kind, at, value) ? NULL : "number too large";
}

static inline const char *take_word(struct slice *input, uint64_t *value)
{
    const uint8_t *bytes = take(input, 8);
    if (bytes == NULL) return cut_short;
    *value = little_get64(bytes);
    return NULL;
}

static inline const char *take_raw(struct slice *input, void *at, size_t count)
{
    const uint8_t *bytes = take(input, count);
    if (bytes == NULL) return cut_short;
    memcpy(at, bytes, count);
    return NULL;
}

static inline const char *take_boot(struct slice *input, struct boot *boot)
{
    const char *reason = take_number(input, &boot->counter);
    return reason != NULL ? reason : take_word(input, &boot->random);
}

static inline const char *take_address(struct slice *input, struct address *address)
{
    const uint8_t *size = take(input, 1);
    if (size == NULL) return cut_short;
    if (*size != 0 && *size != 4 && *size != 16) return "address of an unknown size";
    const uint8_t *ip = take(input, *size);
    const uint8_t *port = take(input, 2);
    if (ip == NULL || port == NULL) return cut_short;
    *address = (struct address){.port = 0};
    if (*size == 4) *address = address_ipv4(ip[0], ip[1], ip[2], ip[3], 0);
    address->port = (uint16_t)(port[0] << 8 | port[1]);
    if (*size != 16) return NULL;
    memcpy(address->ip, ip, sizeof address->ip);
    if (address_is_ipv4(address)) return "IPv4 address in 16 bytes";
    return address_is_none(address) ? "no address in 16 bytes" : NULL;
}

static inline const char *take_bytes(struct slice *input, struct slice *bytes, uint32_t max)
{
    uint64_t count;
    const char *reason = take_number(input, &count);
    if (reason != NULL) return reason;
    if (count > max) return "byte string longer than its cap";
    bytes->at = take(input, (size_t)count);
    if (bytes->at == NULL) return cut_short;
    bytes->count = (size_t)count;
    return NULL;
}

static const char *take_items(struct slice *input, const struct wire_schema *schema, uint8_t *item,
                              uint64_t count, struct arena *arena);

static const char *take_list(struct slice *input, const struct wire_field *field, struct list *list,
                             struct arena *arena)
{
    const struct wire_schema *record = field->record;
    uint64_t count;
    const char *reason = take_number(input, &count);
    if (reason != NULL) return reason;
    if (count > field->max) return "list longer than its cap";
    if (count > input->count / record->minimal_size) return "list longer than the bytes left";
    *list = (struct list){.at = NULL, .count = (uint32_t)count};
    if (count == 0) return NULL;
    size_t size = (size_t)count * record->struct_size;
    uint8_t *item = arena_take(arena, size);
    if (item == NULL) return "larger than the memory for it";
    list->at = memset(item, 0, size);
    return take_items(input, record, item, count, arena);
}

static inline const char *take_field(struct slice *input, const struct wire_field *field, void *at)
{
    switch (field->kind) {
    case WIRE_flag:
    case WIRE_u8:
    case WIRE_u16:
    case WIRE_u32: return take_integer(input, field->kind, at);
    case WIRE_u64: return take_number(input, at);
    case WIRE_word: return take_word(input, at);
    case WIRE_id: return take_raw(input, at, sizeof(struct id));
    case WIRE_digest: return take_raw(input, at, sizeof(struct digest));
    case WIRE_address: return take_address(input, at);
    case WIRE_boot: return take_boot(input, at);
    case WIRE_bytes: return take_bytes(input, at, field->max);
    case WIRE_item:
    case WIRE_list: break;
    }
    return "field of an unknown kind";
}

/* What holds others. */
static const char *take_nested(struct slice *input, const struct wire_field *field, void *at,
                               struct arena *arena)
{
    return field->kind == WIRE_item ? take_items(input, field->record, at, 1, arena)
                                    : take_list(input, field, at, arena);
}

/* So many structs of this schema, one behind the other. */
static const char *take_items(struct slice *input, const struct wire_schema *schema, uint8_t *item,
                              uint64_t count, struct arena *arena)
{
    struct slice own = *input; /* nobody gets its address: it stays in registers */
    const struct wire_field *fields = schema->fields(), *end = fields + schema->fields_count;
    for (; count > 0; count--, item += schema->struct_size)
        for (const struct wire_field *field = fields; field < end; field++) {
            const char *reason;
            if (field->kind >= WIRE_item) {
                struct slice rest = own;
                reason = take_nested(&rest, field, item + field->offset, arena);
                own = rest;
            } else {
                reason = take_field(&own, field, item + field->offset);
            }
            if (reason != NULL) return reason;
        }
    *input = own;
    return NULL;
}

const char *wire_decode(const struct wire_schema *schema, void *message, struct slice *input,
                        struct arena *arena)
{
    memset(message, 0, schema->struct_size);
    return take_items(input, schema, message, 1, arena);
}

const char *wire_decode_all(const struct wire_schema *schema, void *message, struct slice input,
                            struct arena *arena)
{
    const char *reason = wire_decode(schema, message, &input, arena);
    if (reason != NULL) return reason;
    return input.count > 0 ? "bytes behind the message" : NULL;
}

const char *wire_unpack(struct slice *input, struct wire_message *message, struct arena *arena)
{
    uint64_t type;
    const char *reason = take_number(input, &type);
    if (reason != NULL) return reason;
    const struct wire_schema *schema = type > UINT16_MAX ? NULL : wire_schema((unsigned)type);
    if (schema == NULL) return "unknown message type";
    void *fields = arena_take(arena, schema->struct_size);
    if (fields == NULL) return "larger than the memory for it";
    *message = (struct wire_message){.schema = schema, .type = schema->type, .fields = fields};
    return wire_decode(schema, fields, input, arena);
}

bool wire_peek(struct slice packed, uint64_t *type, uint64_t *number)
{
    return take_number(&packed, type) == NULL && take_number(&packed, number) == NULL;
}

/* ---- copy ---- */

static bool copy_inner(const struct wire_schema *schema, void *message, struct arena *arena);

static bool copy_bytes(struct slice *bytes, struct arena *arena)
{
    if (bytes->count == 0) {
        *bytes = slice_of(NULL, 0);
        return true;
    }
    void *own = arena_take(arena, bytes->count);
    if (own == NULL) return false;
    bytes->at = memcpy(own, bytes->at, bytes->count);
    return true;
}

static bool copy_list(struct list *list, const struct wire_schema *record, struct arena *arena)
{
    if (list->count == 0) {
        list->at = NULL;
        return true;
    }
    uint8_t *item = arena_take(arena, list->count * record->struct_size);
    if (item == NULL) return false;
    list->at = memcpy(item, list->at, list->count * record->struct_size);
    for (uint32_t i = 0; i < list->count; i++, item += record->struct_size)
        if (!copy_inner(record, item, arena)) return false;
    return true;
}

/* Gives message, a byte-wise copy, its own slices and lists. */
static bool copy_inner(const struct wire_schema *schema, void *message, struct arena *arena)
{
    const struct wire_field *fields = schema->fields();
    bool fits = true;
    for (size_t i = 0; i < schema->fields_count && fits; i++) {
        void *at = (uint8_t *)message + fields[i].offset;
        if (fields[i].kind == WIRE_bytes) fits = copy_bytes(at, arena);
        else if (fields[i].kind == WIRE_item) fits = copy_inner(fields[i].record, at, arena);
        else if (fields[i].kind == WIRE_list) fits = copy_list(at, fields[i].record, arena);
    }
    return fits;
}

bool wire_copy(const struct wire_schema *schema, void *copy, const void *message,
               struct arena *arena)
{
    memmove(copy, message, schema->struct_size);
    return copy_inner(schema, copy, arena);
}
