/* The log as a whole: what is appended here, what comes from peers, what comes back from the
 * disk. All three ways end in take_in, so an entry means the same whichever way it came.
 *
 * All or nothing: a batch is first read and unfolded entirely (into scratch), then kept (the
 * only allocations), and only then are its entries delivered. Nothing fails behind that point,
 * so the fold and the log cannot part.
 *
 * Scratch may be the memory from which the ports' owner builds its answers. It is given back
 * after a batch only when nobody else took from it meanwhile.
 *
 * Our own id is special: a batch of our own boot that we did not write, or
 * of a later boot, is signed by a second owner of our key: an old disk image, a copied
 * directory. It is refused and reported. A batch of a former boot of ours is taken like
 * anyone's: that is how a node gets back what it wrote and lost before the disk had it.
 */
#include "store/log.h"

#include "store/log_state.h"

#include <assert.h>

const char *const log_gap = "earlier batches are missing";
const char *const log_horizon = "time beyond the horizon";
const char *const log_memory = "out of memory";
const char *const log_fork = "contradicts the feed held";
const char *const log_quarantined = "feed is quarantined";
const char *const log_usurped = "written by another with our key";
const char *const log_no_room = "no room for the snapshot";

struct log *log_open(const struct log_config *config, struct memory *memory)
{
    assert(config->ports.entry != NULL && config->ports.persist != NULL);
    assert(config->ports.spread != NULL && config->ports.usurped != NULL);
    struct log *log = memory_take(memory, sizeof *log);
    if (log == NULL) return NULL;
    log->config = *config;
    log->memory = memory;
    feeds_init(&log->feeds, memory);
    return log;
}

void log_close(struct log *log)
{
    intake_reset(&log->intake, 0, log->memory);
    feeds_deinit(&log->feeds);
    memory_put(log->memory, log->open, log->open_capacity * sizeof *log->open);
    memory_put(log->memory, log->open_bytes, log->open_bytes_capacity);
    memory_put(log->memory, log, sizeof *log);
}

/* ---- a batch goes in ---- */

void log_deliver(struct log *log, const struct content *content)
{
    assert(!log->is_delivering);
    log->is_delivering = true;
    for (size_t i = 0; i < content->count; i++)
        log->config.ports.entry(log->config.ports.context, &content->stamped[i]);
    log->is_delivering = false;
}

const struct batch *log_keep(struct log *log, const struct content *content,
                             const struct msg_log_batch *message, uint64_t token)
{
    const struct log_feed *feed = feeds_add(&log->feeds, content, message, token);
    if (feed == NULL) return NULL;
    const struct batch *batch = &feed->batches[feed->batches_count - 1];
    lamport_see(&log->clock, feed->time);
    log->counters.entries += content->count;
    log->counters.batches++;
    log->counters.bytes += batch_stored_value(batch).count;
    return batch;
}

/* Delivers a batch just kept. Its bytes stay where they are, whatever the ports do. */
static void take_in(struct log *log, const struct content *content, const struct batch *batch,
                    const struct id *from)
{
    const struct log_ports *ports = &log->config.ports;
    struct storage_put put = {batch_stored_key(batch), batch_stored_value(batch)};
    struct msg_log_batch message = batch->message;
    uint64_t token = batch->token;
    log_deliver(log, content);
    ports->persist(ports->context, token, &put, 1);
    ports->spread(ports->context, &message, &content->body.node, from);
}

/* ---- own entries ---- */

static bool reserve_bytes(struct log *log, size_t more)
{
    size_t capacity = log->open_bytes_capacity == 0 ? 1024 : log->open_bytes_capacity;
    while (capacity - log->open_size < more) capacity *= 2;
    if (capacity == log->open_bytes_capacity) return true;
    void *moved = memory_resize(log->memory, log->open_bytes, log->open_bytes_capacity, capacity);
    if (moved == NULL) return false;
    log->open_bytes = moved;
    log->open_bytes_capacity = capacity;
    return true;
}

enum error log_append(struct log *log, const struct wire_schema *schema, const void *message,
                      struct msg_stamp *stamp)
{
    struct writer writer = writer_of(NULL, 0);
    (void)wire_encode(schema, message, &writer);
    size_t size = writer.written;
    if (size > LOG_ENTRY_SIZE_MAX) return ERROR_INVALID;
    struct open_entry *open =
        memory_grow(log->memory, log->open, &log->open_capacity, log->open_count, sizeof *open);
    if (open == NULL) return ERROR_MEMORY;
    log->open = open;
    if (!reserve_bytes(log, size)) return ERROR_MEMORY;
    writer = writer_of(log->open_bytes + log->open_size, size);
    bool fits = wire_encode(schema, message, &writer);
    assert(fits && writer.left == 0);
    const struct log_config *config = &log->config;
    uint64_t have = log_have(log, &config->id, &config->boot);
    uint64_t time = lamport_tick(&log->clock);
    log->open_size += size;
    log->open[log->open_count++] = (struct open_entry){time, (uint8_t)wire_type(schema), size};
    *stamp = (struct msg_stamp){time, config->id, config->boot, have + log->open_count};
    return ERROR_NONE;
}

size_t log_open_count(const struct log *log) { return log->open_count; }

/* How many of the first `wanted` open entries go into one batch, and the bytes of their fields. */
static size_t batch_cut(const struct log *log, size_t wanted, size_t *size)
{
    /* Above what batch_body and entry put around the fields. */
    enum {
        HEAD_MAX = 160,
        ENTRY_HEAD_MAX = 16
    };
    size_t total = HEAD_MAX, count = 0;
    *size = 0;
    while (count < wanted && count < BATCH_ENTRIES_MAX) {
        size_t more = ENTRY_HEAD_MAX + log->open[count].size;
        if (more > LOG_BATCH_SIZE_MAX - total) break;
        total += more;
        *size += log->open[count++].size;
    }
    assert(count > 0);
    return count;
}

/* The first count open entries as one signed batch in the arena; false when it does not fit. */
static bool batch_make(const struct log *log, size_t count, struct msg_log_batch *message,
                       struct arena *arena)
{
    const struct log_config *config = &log->config;
    struct msg_entry *entries = arena_take(arena, count * sizeof *entries);
    if (entries == NULL) return false;
    const uint8_t *at = log->open_bytes;
    for (size_t i = 0; i < count; i++) {
        const struct open_entry *open = &log->open[i];
        entries[i] = (struct msg_entry){open->time, open->kind, slice_of(at, open->size)};
        at += open->size;
    }
    const struct log_feed *feed = feeds_find(&log->feeds, &config->id, &config->boot);
    struct msg_batch_body body = {
        .node = config->id,
        .boot = config->boot,
        .key = config->pair->public,
        .first = feed == NULL ? 1 : feed->have + 1,
        .entries = {entries, (uint32_t)count},
    };
    if (feed != NULL) body.previous = feed->previous;
    struct writer writer = writer_of(NULL, 0);
    (void)wire_encode(&wire_batch_body, &body, &writer);
    size_t size = writer.written;
    assert(size <= LOG_BATCH_SIZE_MAX);
    uint8_t *bytes = arena_take(arena, size);
    uint8_t *signature = arena_take(arena, CRYPTO_SIGNATURE_SIZE);
    if (bytes == NULL || signature == NULL) return false;
    writer = writer_of(bytes, size);
    (void)wire_encode(&wire_batch_body, &body, &writer);
    struct digest digest;
    config->crypto->digest(slice_of(bytes, size), &digest);
    batch_sign(config->crypto, config->pair, &digest, signature);
    message->body = slice_of(bytes, size);
    message->signature = slice_of(signature, CRYPTO_SIGNATURE_SIZE);
    return true;
}

static void open_drop(struct log *log, size_t count, size_t size)
{
    log->open_count -= count;
    log->open_size -= size;
    memmove(log->open, log->open + count, log->open_count * sizeof *log->open);
    memmove(log->open_bytes, log->open_bytes + size, log->open_size);
}

/* One batch of at most `wanted` open entries; *count gets how many. */
static enum error commit_batch(struct log *log, size_t wanted, size_t *count, struct arena *scratch)
{
    static const struct id own = {{0}};
    struct msg_log_batch message;
    struct content content;
    size_t size, mark = scratch->used;
    *count = batch_cut(log, wanted, &size);
    if (!batch_make(log, *count, &message, scratch)) return ERROR_MEMORY;
    /* What we wrote reads well: only scratch can be too small here. */
    if (batch_read(&content, &message, log->config.crypto, scratch) != NULL) return ERROR_MEMORY;
    if (batch_unfold(&content, scratch) != NULL) return ERROR_MEMORY;
    const struct batch *batch = log_keep(log, &content, &message, log->token + 1);
    if (batch == NULL) return ERROR_MEMORY;
    log->token++;
    open_drop(log, *count, size);
    size_t filled = scratch->used;
    take_in(log, &content, batch, &own);
    if (scratch->used == filled) scratch->used = mark;
    return ERROR_NONE;
}

enum error log_commit(struct log *log, struct arena *scratch)
{
    assert(!log->is_delivering);
    size_t wanted = log->open_count;
    enum error error = ERROR_NONE;
    while (wanted > 0 && error == ERROR_NONE) {
        size_t count, mark = scratch->used;
        error = commit_batch(log, wanted, &count, scratch);
        wanted -= count;
        if (error != ERROR_NONE) scratch->used = mark; /* no port was called */
    }
    return error;
}

/* ---- from a peer ---- */

bool log_is_offence(const char *reason)
{
    return reason != log_gap && reason != log_horizon && reason != log_memory &&
           reason != log_fork && reason != log_quarantined && reason != log_usurped &&
           reason != log_no_room;
}

const char *log_found_fork(struct log *log, struct log_feed *feed)
{
    char node[ID_SHORT_SIZE];
    feed->is_quarantined = true;
    trace_line(&log->config.trace, TRACE_WARN, "fork node=%s boot=%llu have=%llu: feed is frozen",
               id_short(&feed->node, node), (unsigned long long)feed->boot.counter,
               (unsigned long long)feed->have);
    return log_fork;
}

const char *log_found_usurper(struct log *log, const struct boot *boot)
{
    const struct log_ports *ports = &log->config.ports;
    trace_line(&log->config.trace, TRACE_WARN, "usurped boot=%llu: somebody writes with our key",
               (unsigned long long)boot->counter);
    ports->usurped(ports->context, boot);
    return log_usurped;
}

/* What speaks against taking this batch, whose form is right and which is not held yet; NULL when
 * nothing does. */
static const char *judge(struct log *log, struct log_feed *feed, struct content *content,
                         const struct msg_log_batch *message, struct arena *scratch)
{
    const struct log_config *config = &log->config;
    const struct msg_batch_body *body = &content->body;
    enum place place = feed_place(feed, content);
    bool is_later_self =
        id_equal(&body->node, &config->id) && boot_compare(&body->boot, &config->boot) >= 0;
    if (feed != NULL && feed->is_quarantined) return log_quarantined;
    if (place == PLACE_GAP && !is_later_self) return log_gap;
    if (!batch_is_signed(config->crypto, content, message)) return "signature is wrong";
    if (is_later_self) return log_found_usurper(log, &body->boot);
    if (place == PLACE_FORK) return log_found_fork(log, feed);
    assert(place == PLACE_NEXT);
    if (feed != NULL && content->entries[0].time <= feed->time) return "times do not increase";
    uint64_t latest = content->entries[content->count - 1].time;
    if (lamport_is_beyond(&log->clock, latest)) return log_horizon;
    return batch_unfold(content, scratch);
}

void log_count_refusal(struct log *log, const char *reason, const struct id *from)
{
    char text[ID_SHORT_SIZE];
    if (reason == log_gap) log->counters.gaps++;
    else if (reason == log_horizon) log->counters.horizon++;
    else if (reason == log_fork) log->counters.forks++;
    else log->counters.refused++;
    trace_line(&log->config.trace, TRACE_DEBUG, "batch-refused from=%s reason=\"%s\"",
               id_short(from, text), reason);
}

const char *log_receive(struct log *log, const struct msg_log_batch *batch, const struct id *from,
                        struct arena *scratch)
{
    assert(!log->is_delivering);
    size_t mark = scratch->used;
    struct content content;
    const struct batch *kept = NULL;
    bool is_duplicate = false;
    const char *reason = batch_read(&content, batch, log->config.crypto, scratch);
    if (reason == NULL) {
        struct log_feed *feed = feeds_find(&log->feeds, &content.body.node, &content.body.boot);
        is_duplicate = feed_place(feed, &content) == PLACE_HELD;
        if (!is_duplicate) reason = judge(log, feed, &content, batch, scratch);
    }
    if (reason == NULL && !is_duplicate) {
        kept = log_keep(log, &content, batch, log->token + 1);
        if (kept == NULL) reason = log_memory;
    }
    size_t filled = scratch->used;
    if (kept != NULL) {
        log->token++;
        take_in(log, &content, kept, from);
    }
    if (is_duplicate) log->counters.duplicates++;
    if (reason != NULL) log_count_refusal(log, reason, from);
    if (scratch->used == filled) scratch->used = mark;
    return reason;
}

/* ---- to look in ---- */

void log_persisted(struct log *log, uint64_t token) { feeds_persisted(&log->feeds, token); }

bool log_vector_fill(struct log *log, bool changed_only, struct msg_log_vector *vector,
                     struct arena *arena)
{
    return feeds_vector(&log->feeds, changed_only, vector, arena);
}

bool log_missing(const struct log *log, const struct msg_log_vector *vector,
                 void (*give)(void *context, const struct msg_log_batch *batch), void *context)
{
    return feeds_missing(&log->feeds, vector, LOG_REPLY_SIZE_MAX, give, context);
}

bool log_walk(const struct log *log, const struct msg_log_vector *vector, struct arena *arena,
              bool (*visit)(void *context, const struct stamped *entry), void *context)
{
    return feeds_walk(&log->feeds, vector, arena, visit, context);
}

bool log_is_behind(const struct log *log, const struct msg_log_vector *vector)
{
    return feeds_is_behind(&log->feeds, vector);
}

bool log_is_same(const struct log *log, const struct msg_log_vector *vector)
{
    return feeds_is_same(&log->feeds, vector);
}

uint64_t log_have(const struct log *log, const struct id *node, const struct boot *boot)
{
    const struct log_feed *feed = feeds_find(&log->feeds, node, boot);
    return feed == NULL ? 0 : feed->have;
}

uint64_t log_durable(const struct log *log, const struct id *node, const struct boot *boot)
{
    const struct log_feed *feed = feeds_find(&log->feeds, node, boot);
    return feed == NULL ? 0 : feed->durable;
}

bool log_has_durable(const struct log *log, const struct msg_feed_position *positions, size_t count)
{
    return feeds_has_durable(&log->feeds, positions, count);
}

bool log_newest_boot(const struct log *log, const struct id *node, struct boot *boot)
{
    const struct log_feed *feed = feeds_newest(&log->feeds, node);
    if (feed != NULL) *boot = feed->boot;
    return feed != NULL;
}

uint64_t log_clock(const struct log *log) { return log->clock.time; }

uint64_t log_digest(const struct log *log)
{
    return log->feeds.digest == 0 ? 1 : log->feeds.digest;
}

const struct log_counters *log_counters(const struct log *log) { return &log->counters; }

bool log_chain(const struct log *log, const struct id *node, const struct boot *boot,
               uint64_t sequence, struct digest *digest)
{
    const struct log_feed *feed = feeds_find(&log->feeds, node, boot);
    const struct batch *batch = feed == NULL ? NULL : feed_batch(feed, sequence);
    if (batch != NULL) *digest = batch->digest;
    return batch != NULL;
}

bool log_feeds_next(const struct log *log, size_t *cursor, struct msg_feed_position *position)
{
    if (*cursor >= log->feeds.count) return false;
    *position = feed_position(log->feeds.items[(*cursor)++]);
    return true;
}

bool log_chains_next(const struct log *log, size_t *cursor, struct msg_feed_position *position,
                     const struct digest **chain)
{
    if (!log_feeds_next(log, cursor, position)) return false;
    const struct log_feed *feed = log->feeds.items[*cursor - 1];
    size_t count = feed->batches_count;
    *chain = count == 0 ? NULL : &feed->batches[count - 1].digest;
    return true;
}
