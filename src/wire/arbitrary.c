/* Arbitrary messages, for property tests and the first corpus of the fuzzers (QuickCheck: Claessen
 * and Hughes 2000). Small values mostly, because most mistakes show on few items; the edges (zero,
 * the largest of a kind, a full byte string, a long list) now and then, because the others show
 * there. What is taken shrinks with what the arena has left, so that any schema fits into any
 * arena; an arena of a few megabytes is worth its name. */
#include "wire/schema.h"

enum {
    SMALL_BYTES = 64, /* a name */
    SMALL_ITEMS = 8,
    LARGE_ONE_IN = 32,    /* a message of 20 fields is small as often as not */
    ROOM_PER_ITEM = 4096, /* of the arena: the largest small record takes half of it */
    ROOM_PER_LARGE = 8,   /* a large piece takes at most this part of the arena */
};

struct source {
    struct prng *prng;
    struct arena *arena;
    bool is_small; /* inside a long list: no large piece any more */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t room(const struct source *source)
{
    return source->arena->size - source->arena->used;
}

static bool is_large(struct source *source)
{
    return !source->is_small && prng_below(source->prng, LARGE_ONE_IN) == 0;
}

/* A number of 0 to 64 bits; small, huge and the edges of each width are all likely. */
static uint64_t arbitrary_number(struct prng *prng)
{
    uint64_t value = prng_next(prng);
    unsigned bits = (unsigned)prng_below(prng, 65);
    return bits == 0 ? 0 : value >> (64 - bits);
}

static void arbitrary_integer(struct source *source, enum wire_kind kind, void *at)
{
    uint64_t value = arbitrary_number(source->prng);
    if (prng_below(source->prng, 16) == 0) value = UINT64_MAX;
    while (!schema_store(kind, at, value)) value >>= 1;
}

static void arbitrary_address(struct prng *prng, struct address *address)
{
    uint64_t choice = prng_below(prng, 4);
    uint8_t ip[16];
    prng_fill(prng, ip, sizeof ip);
    *address = (struct address){.port = 0};
    if (choice >= 2) *address = address_ipv4(ip[0], ip[1], ip[2], ip[3], 0);
    if (choice == 1) memcpy(address->ip, ip, sizeof ip);
    address->port = (uint16_t)prng_next(prng);
}

static bool arbitrary_bytes(struct source *source, struct slice *bytes, uint32_t max)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-_./ 0123456789";
    size_t most = is_large(source) ? room(source) / ROOM_PER_LARGE
                                   : least(SMALL_BYTES, room(source) / SMALL_BYTES);
    size_t count = (size_t)prng_below(source->prng, least(most, max) + 1);
    *bytes = slice_of(NULL, 0);
    if (count == 0) return true;
    uint8_t *own = arena_take(source->arena, count);
    if (own == NULL) return true; /* of a tiny arena, what aligns a piece is more than is left */
    prng_fill(source->prng, own, count);
    if (prng_below(source->prng, 2) == 0)
        for (size_t i = 0; i < count; i++) own[i] = (uint8_t)letters[own[i] % (sizeof letters - 1)];
    *bytes = slice_of(own, count);
    return true;
}

static bool arbitrary_fields(struct source *source, const struct wire_schema *schema,
                             void *message);

static bool arbitrary_list(struct source *source, struct list *list, const struct wire_field *field)
{
    bool large = is_large(source);
    size_t most = room(source) / ROOM_PER_ITEM;
    if (!large) most = least(most, SMALL_ITEMS);
    *list = (struct list){.at = NULL};
    list->count = (uint32_t)prng_below(source->prng, least(most, field->max) + 1);
    if (list->count == 0) return true;
    size_t size = list->count * field->record->struct_size;
    uint8_t *item = list->at = arena_take(source->arena, size);
    if (item == NULL) return false;
    memset(item, 0, size);
    struct source inner = *source;
    inner.is_small = source->is_small || large;
    for (uint32_t i = 0; i < list->count; i++, item += field->record->struct_size)
        if (!arbitrary_fields(&inner, field->record, item)) return false;
    return true;
}

static bool arbitrary_field(struct source *source, const struct wire_field *field, void *at)
{
    struct boot *boot = at;
    switch (field->kind) {
    case WIRE_flag:
    case WIRE_u8:
    case WIRE_u16:
    case WIRE_u32:
    case WIRE_u64:
    case WIRE_word: arbitrary_integer(source, field->kind, at); break;
    case WIRE_id: prng_fill(source->prng, at, sizeof(struct id)); break;
    case WIRE_digest: prng_fill(source->prng, at, sizeof(struct digest)); break;
    case WIRE_address: arbitrary_address(source->prng, at); break;
    case WIRE_boot:
        boot->counter = arbitrary_number(source->prng);
        boot->random = prng_next(source->prng);
        break;
    case WIRE_bytes: return arbitrary_bytes(source, at, field->max);
    case WIRE_item: return arbitrary_fields(source, field->record, at);
    case WIRE_list: return arbitrary_list(source, at, field);
    }
    return true;
}

static bool arbitrary_fields(struct source *source, const struct wire_schema *schema, void *message)
{
    const struct wire_field *fields = schema->fields();
    for (size_t i = 0; i < schema->fields_count; i++)
        if (!arbitrary_field(source, &fields[i], (uint8_t *)message + fields[i].offset))
            return false;
    return true;
}

bool wire_arbitrary(const struct wire_schema *schema, void *message, struct prng *prng,
                    struct arena *arena)
{
    memset(message, 0, schema->struct_size);
    struct source source = {.prng = prng, .arena = arena, .is_small = false};
    return arbitrary_fields(&source, schema, message);
}
