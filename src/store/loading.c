/* What the disk gives back at the start, in key order: "base" (of each cut feed, where), "batch",
 * "kept" (what counts of what was cut).
 *
 * Signatures are not verified: Ed25519 would make a start with a long log last minutes, every batch
 * was verified before it was stored, the storage checks each value's checksum, and the chain of
 * digests is checked here. */
#include "store/log_state.h"

/* Cut, and not yet deleted when the node stopped. */
static const char *const stale = "cut before";

static const char *load(struct log *log, struct slice key, const struct msg_log_batch *message,
                        struct content *content, struct arena *scratch)
{
    const char *reason = batch_read(content, message, log->config.crypto, scratch);
    if (reason != NULL) return reason;
    const struct msg_batch_body *body = &content->body;
    uint8_t expected[BATCH_KEY_SIZE];
    batch_key(&body->node, &body->boot, body->first, expected);
    if (!slice_equal(key, slice_of(expected, sizeof expected))) return "stored under another key";
    const struct log_feed *feed = feeds_find(&log->feeds, &body->node, &body->boot);
    switch (feed_place(feed, content)) {
    case PLACE_NEXT: break;
    case PLACE_HELD: return body->first <= feed->base ? stale : "stored twice";
    case PLACE_GAP: return log_gap;
    case PLACE_FORK: return log_fork;
    }
    reason = batch_unfold(content, scratch);
    if (reason != NULL) return reason;
    return log_keep(log, content, message, 0) == NULL ? log_memory : NULL;
}

static uint64_t get_word(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* Of a "base" key. */
static struct log_feed *feed_of_key(struct log *log, struct slice key)
{
    struct id node;
    struct boot boot = {0};
    memcpy(node.bytes, key.at + 4, sizeof node.bytes);
    for (size_t i = 20; i < 28; i++) boot.counter = boot.counter << 8 | key.at[i];
    for (size_t i = 28; i < 36; i++) boot.random = boot.random << 8 | key.at[i];
    return feeds_get(&log->feeds, &node, &boot);
}

/* "base...", before all else of its feed. */
static const char *load_base(struct log *log, struct slice key, struct slice value)
{
    if (key.count != BASE_KEY_SIZE || value.count != 8) return "a base of a wrong size";
    struct log_feed *feed = feed_of_key(log, key);
    uint64_t base = get_word(value.at);
    if (feed == NULL) return log_memory;
    if (feed->have > 0 || base == 0 || base == UINT64_MAX) return "a base twice, or of nothing";
    if (!feed_rebase(&log->feeds, feed, base)) return log_memory;
    feed->durable = base;
    return NULL;
}

/* "kept...", behind all batches. Those above the base are of a snapshot that never came to its
 * end (adopt.c). */
static const char *load_kept(struct log *log, struct slice key, struct slice value,
                             struct arena *scratch)
{
    struct wire_message message;
    uint8_t expected[KEPT_KEY_SIZE];
    const char *reason = wire_unpack(&value, &message, scratch);
    if (reason != NULL) return reason;
    if (message.type != MSG_log_kept || value.count > 0) return "not an entry kept";
    const struct msg_log_kept *kept = message.fields;
    const struct msg_stamp *stamp = &kept->stamp;
    batch_kept_key(&stamp->node, &stamp->boot, stamp->sequence, expected);
    if (!slice_equal(key, slice_of(expected, sizeof expected))) return "stored under another key";
    if (!batch_is_kind(kept->kind)) return "not a kind of entry";
    if (stamp->sequence == 0 || stamp->time == 0 || stamp->time > LOG_TIME_MAX)
        return "a place that no entry has";
    struct log_feed *feed = feeds_find(&log->feeds, &stamp->node, &stamp->boot);
    if (feed == NULL || stamp->sequence > feed->base) return NULL;
    const struct wire_schema *schema = wire_schema(kept->kind);
    struct stamped entry = {.stamp = *stamp, .kind = kept->kind};
    if (schema != NULL) {
        void *fields = arena_take(scratch, wire_struct_size(schema));
        if (fields == NULL) return log_memory;
        reason = wire_decode_all(schema, fields, kept->body, scratch);
        if (reason != NULL) return reason;
        entry.fields = fields;
    }
    if (feed_keep(&log->feeds, feed, kept) == NULL) return log_memory;
    feed->waits++; /* its next pruning tells */
    log->counters.kept++;
    lamport_see(&log->clock, stamp->time);
    log->config.ports.entry(log->config.ports.context, &entry);
    return NULL;
}

static bool has_prefix(struct slice key, const char *prefix)
{
    return key.count > 4 && memcmp(key.at, prefix, 4) == 0;
}

static const char *load_batch(struct log *log, struct slice key, struct slice value,
                              struct arena *scratch)
{
    size_t mark = scratch->used;
    struct wire_message message;
    struct content content;
    const char *reason = wire_unpack(&value, &message, scratch);
    if (reason == NULL && (message.type != MSG_log_batch || value.count > 0))
        reason = "not a batch";
    if (reason == NULL) reason = load(log, key, message.fields, &content, scratch);
    size_t filled = scratch->used;
    if (reason == stale) {
        struct log_feed *feed = feeds_find(&log->feeds, &content.body.node, &content.body.boot);
        scratch->used = mark;
        return feed_doom(&log->feeds, feed, content.body.first) ? NULL : log_memory;
    }
    if (reason == NULL) {
        const struct msg_batch_body *body = &content.body;
        log_deliver(log, &content);
        if (id_equal(&body->node, &log->config.id) &&
            boot_compare(&body->boot, &log->config.boot) >= 0)
            (void)log_found_usurper(log, &body->boot);
    }
    if (scratch->used == filled) scratch->used = mark;
    return reason;
}

const char *log_load(struct log *log, struct slice key, struct slice value, struct arena *scratch)
{
    size_t mark = scratch->used;
    const char *reason = has_prefix(key, "base")   ? load_base(log, key, value)
                         : has_prefix(key, "kept") ? load_kept(log, key, value, scratch)
                                                   : load_batch(log, key, value, scratch);
    if (has_prefix(key, "kept")) scratch->used = mark;
    return reason;
}
