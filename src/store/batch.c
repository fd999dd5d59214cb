/* Reading comes in three steps of rising cost, so that what is refused is refused cheaply: the
 * form (batch_read), the signature (batch_is_signed; a digest was taken already), the entries'
 * fields (batch_unfold). A kind of entry that this version does not know is no fault: it is kept
 * and passed on as bytes. */
#include "store/batch.h"

#include "base/endian.h"

#include <assert.h>

enum {
    KIND_FIRST = 96,
    KIND_LAST = 127
}; /* of log entries, in messages.def */

static const char signed_words[] = "murmuration batch";

enum {
    SIGNED_SIZE = sizeof signed_words - 1 + sizeof(struct digest)
};

static const char *const no_room = "larger than the memory for it";

static uint8_t *put_big_endian(uint8_t *at, uint64_t value)
{
    big_put64(at, value);
    return at + 8;
}

void batch_key(const struct id *node, const struct boot *boot, uint64_t sequence,
               uint8_t key[BATCH_KEY_SIZE])
{
    memcpy(key, "batch", BATCH_PREFIX_SIZE);
    uint8_t *at = key + BATCH_PREFIX_SIZE;
    memcpy(at, node->bytes, sizeof node->bytes);
    at = put_big_endian(at + sizeof node->bytes, boot->counter);
    at = put_big_endian(at, boot->random);
    at = put_big_endian(at, sequence);
    assert(at == key + BATCH_KEY_SIZE);
}

void batch_base_key(const struct id *node, const struct boot *boot, uint8_t key[BASE_KEY_SIZE])
{
    memcpy(key, "base", 4);
    memcpy(key + 4, node->bytes, sizeof node->bytes);
    (void)put_big_endian(put_big_endian(key + 20, boot->counter), boot->random);
}

void batch_kept_key(const struct id *node, const struct boot *boot, uint64_t sequence,
                    uint8_t key[KEPT_KEY_SIZE])
{
    batch_base_key(node, boot, key);
    memcpy(key, "kept", 4);
    (void)put_big_endian(key + BASE_KEY_SIZE, sequence);
}

bool batch_is_kind(uint8_t kind) { return kind >= KIND_FIRST && kind <= KIND_LAST; }

/* Sequences and times: dense and increasing are what the numbers of a batch can be. */
static const char *check_order(const struct content *content)
{
    const struct msg_batch_body *body = &content->body;
    if (content->count == 0) return "batch without entries";
    if (body->first == 0) return "sequence 0";
    if (content->count - 1 > UINT64_MAX - body->first) return "sequence too large";
    if ((body->first == 1) != digest_is_zero(&body->previous)) return "chain begins elsewhere";
    uint64_t time = 0;
    for (size_t i = 0; i < content->count; i++) {
        const struct msg_entry *entry = &content->entries[i];
        if (entry->time <= time) return "times do not increase";
        if (entry->kind < KIND_FIRST || entry->kind > KIND_LAST) return "not a kind of entry";
        time = entry->time;
    }
    return NULL;
}

const char *batch_read(struct content *content, const struct msg_log_batch *message,
                       const struct crypto *crypto, struct arena *arena)
{
    *content = (struct content){.count = 0};
    if (message->body.count > BATCH_BODY_SIZE_MAX) return "batch too large";
    if (message->signature.count != CRYPTO_SIGNATURE_SIZE) return "signature of a wrong size";
    struct msg_batch_body *body = &content->body;
    const char *reason = wire_decode_all(&wire_batch_body, body, message->body, arena);
    if (reason != NULL) return reason;
    content->entries = body->entries.at;
    content->count = body->entries.count;
    reason = check_order(content);
    if (reason != NULL) return reason;
    struct id author = crypto_node_id(crypto, &body->key);
    if (!id_equal(&author, &body->node)) return "author and key differ";
    crypto->digest(message->body, &content->digest);
    return NULL;
}

const char *batch_unfold(struct content *content, struct arena *arena)
{
    const struct msg_batch_body *body = &content->body;
    content->stamped = arena_take(arena, content->count * sizeof *content->stamped);
    if (content->stamped == NULL) return no_room;
    for (size_t i = 0; i < content->count; i++) {
        const struct msg_entry *entry = &content->entries[i];
        struct msg_stamp stamp = {entry->time, body->node, body->boot, body->first + i};
        content->stamped[i] = (struct stamped){.stamp = stamp, .kind = entry->kind};
        const struct wire_schema *schema = wire_schema(entry->kind);
        if (schema == NULL) continue;
        void *fields = arena_take(arena, wire_struct_size(schema));
        if (fields == NULL) return no_room;
        const char *reason = wire_decode_all(schema, fields, entry->body, arena);
        if (reason != NULL) return reason;
        content->stamped[i].fields = fields;
    }
    return NULL;
}

static struct slice to_sign(const struct digest *digest, uint8_t bytes[SIGNED_SIZE])
{
    memcpy(bytes, signed_words, sizeof signed_words - 1);
    memcpy(bytes + sizeof signed_words - 1, digest->bytes, sizeof digest->bytes);
    return slice_of(bytes, SIGNED_SIZE);
}

void batch_sign(const struct crypto *crypto, const struct crypto_pair *pair,
                const struct digest *digest, uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    uint8_t bytes[SIGNED_SIZE];
    crypto->sign(pair, to_sign(digest, bytes), signature);
}

bool batch_is_signed(const struct crypto *crypto, const struct content *content,
                     const struct msg_log_batch *message)
{
    uint8_t bytes[SIGNED_SIZE];
    assert(message->signature.count == CRYPTO_SIGNATURE_SIZE);
    struct slice signed_part = to_sign(&content->digest, bytes);
    return crypto->verify(crypto, &content->body.key, signed_part, message->signature.at);
}

enum error batch_keep(struct batch *batch, const struct content *content,
                      const struct msg_log_batch *message, struct memory *memory)
{
    const struct msg_batch_body *body = &content->body;
    size_t packed = wire_packed_size(&wire_log_batch, message);
    *batch = (struct batch){
        .first = body->first,
        .last = body->first + content->count - 1,
        .time = content->entries[0].time,
        .digest = content->digest,
        .size = BATCH_KEY_SIZE + packed,
    };
    batch->bytes = memory_take(memory, batch->size);
    if (batch->bytes == NULL) return ERROR_MEMORY;
    batch_key(&body->node, &body->boot, body->first, batch->bytes);
    struct writer writer = writer_of(batch->bytes + BATCH_KEY_SIZE, packed);
    bool fits = wire_pack(&wire_log_batch, message, &writer);
    assert(fits && writer.left == 0);
    /* The packed form ends in: body, the length of the signature in one byte, the signature. */
    const uint8_t *end = batch->bytes + batch->size;
    const uint8_t *signature = end - CRYPTO_SIGNATURE_SIZE;
    batch->message.signature = slice_of(signature, CRYPTO_SIGNATURE_SIZE);
    batch->message.body = slice_of(signature - 1 - message->body.count, message->body.count);
    assert(slice_equal(batch->message.body, message->body));
    return ERROR_NONE;
}

void batch_drop(struct batch *batch, struct memory *memory)
{
    memory_put(memory, batch->bytes, batch->size);
    *batch = (struct batch){.first = 0};
}
