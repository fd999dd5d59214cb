/* Any bytes as batches into a log. The input is a list of [how][size: 2 bytes][bytes]:
 *
 *   how & 3   0  the bytes are a packed log_batch, as from a peer
 *             1  they are a batch_body: its author is made one of ours, and it is signed
 *             2  the same, and it is made to follow what the log holds of its feed
 *             3  the log appends and commits an entry of its own
 *   how >> 2  which author (0: the log's own key)
 *
 * The signature stands in nobody's way, then, and what lies behind it is reached. What must
 * hold: entries come once, in order and without a gap; a refusal changes nothing; the clock
 * stays within the horizon; and what was persisted loads to the same log. */
#include "store/batch.h"
#include "store/log.h"
#include "wire/plain.h"

#include <stdlib.h>

enum {
    SCRATCH_SIZE = 4 << 20,
    BUDGET = 64 << 20,
    AUTHORS = 3,
    FEEDS_MAX = 256,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

struct feed {
    struct id node;
    struct boot boot;
    uint64_t sequence;
};

struct bench {
    struct memory memory;
    struct arena scratch;
    struct crypto_pair pairs[AUTHORS];
    struct log *log;
    struct storage *disk;
    struct feed feeds[FEEDS_MAX]; /* as delivered */
    size_t feeds_count;
    uint64_t entries;
    uint64_t batches;
};

static struct feed *feed_of(struct bench *bench, const struct id *node, const struct boot *boot)
{
    for (size_t i = 0; i < bench->feeds_count; i++) {
        struct feed *feed = &bench->feeds[i];
        if (id_equal(&feed->node, node) && boot_equal(&feed->boot, boot)) return feed;
    }
    require(bench->feeds_count < FEEDS_MAX);
    struct feed *feed = &bench->feeds[bench->feeds_count++];
    *feed = (struct feed){.node = *node, .boot = *boot};
    return feed;
}

static void on_entry(void *context, const struct stamped *entry)
{
    struct bench *bench = context;
    struct feed *feed = feed_of(bench, &entry->stamp.node, &entry->stamp.boot);
    require(entry->stamp.sequence == ++feed->sequence);
    const struct wire_schema *schema = wire_schema(entry->kind);
    require((entry->fields != NULL) == (schema != NULL));
    char text[256];
    if (schema != NULL) wire_print(schema, entry->fields, text, sizeof text);
    bench->entries++;
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct bench *bench = context;
    require(token == ++bench->batches && count == 1);
    require(storage_write(bench->disk, puts, count) == ERROR_NONE);
}

static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    (void)context;
    (void)author;
    (void)from;
    require(batch->signature.count == CRYPTO_SIGNATURE_SIZE);
}

static void on_usurped(void *context, const struct boot *boot)
{
    (void)context;
    require(boot->counter >= 3);
}

static void open_log(struct bench *bench)
{
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &bench->pairs[0],
        .id = crypto_node_id(&crypto_plain, &bench->pairs[0].public),
        .boot = {3, 3},
        .ports = {bench, on_entry, on_persist, on_spread, on_usurped},
    };
    bench->feeds_count = 0;
    bench->entries = bench->batches = 0;
    bench->log = log_open(&config, &bench->memory);
    require(bench->log != NULL);
}

/* The body under one of our authors, signed; false when the bytes are no body at all. */
static bool make_batch(struct bench *bench, unsigned how, struct slice bytes,
                       struct msg_log_batch *batch)
{
    static uint8_t signature[CRYPTO_SIGNATURE_SIZE];
    struct msg_batch_body body;
    const struct crypto_pair *pair = &bench->pairs[(how >> 2) % AUTHORS];
    if (wire_decode_all(&wire_batch_body, &body, bytes, &bench->scratch) != NULL) return false;
    body.node = crypto_node_id(&crypto_plain, &pair->public);
    body.key = pair->public;
    body.boot.counter %= 8;
    body.boot.random %= 8;
    if ((how & 3) == 2) {
        uint64_t have = log_have(bench->log, &body.node, &body.boot);
        body.first = have + 1;
        body.previous = (struct digest){{0}};
        bool is_held = log_chain(bench->log, &body.node, &body.boot, have, &body.previous);
        require(is_held == (have > 0));
    }
    uint8_t *encoded = arena_take(&bench->scratch, BATCH_BODY_SIZE_MAX);
    require(encoded != NULL);
    struct writer writer = writer_of(encoded, BATCH_BODY_SIZE_MAX);
    if (!wire_encode(&wire_batch_body, &body, &writer)) return false;
    struct digest digest;
    batch->body = slice_of(encoded, writer.written);
    crypto_plain.digest(batch->body, &digest);
    batch_sign(&crypto_plain, pair, &digest, signature);
    batch->signature = slice_of(signature, sizeof signature);
    return true;
}

static void receive(struct bench *bench, const struct msg_log_batch *batch)
{
    static const struct id from = {{1}};
    uint64_t digest = log_digest(bench->log), clock = log_clock(bench->log);
    uint64_t entries = bench->entries;
    size_t used = bench->memory.used, mark = bench->scratch.used;
    const char *reason = log_receive(bench->log, batch, &from, &bench->scratch);
    require(bench->scratch.used == mark);
    require(log_clock(bench->log) >= clock && log_clock(bench->log) - clock <= LOG_HORIZON);
    if (reason == NULL && bench->entries > entries) {
        require(log_digest(bench->log) != digest);
        return;
    }
    require(log_digest(bench->log) == digest && log_clock(bench->log) == clock);
    require(bench->entries == entries && bench->memory.used == used);
}

static void append(struct bench *bench)
{
    struct msg_left left = {.cause = 1};
    struct msg_stamp stamp;
    require(log_append(bench->log, &wire_left, &left, &stamp) == ERROR_NONE);
    require(log_commit(bench->log, &bench->scratch) == ERROR_NONE);
}

static void step(struct bench *bench, unsigned how, struct slice bytes)
{
    struct wire_message message;
    struct msg_log_batch batch;
    arena_reset(&bench->scratch);
    if ((how & 3) == 3) {
        append(bench);
    } else if ((how & 3) == 0) {
        if (wire_unpack(&bytes, &message, &bench->scratch) != NULL) return;
        if (message.type == MSG_log_batch) receive(bench, message.fields);
    } else if (make_batch(bench, how, bytes, &batch)) {
        receive(bench, &batch);
    }
}

static enum error load_pair(void *context, struct slice key, struct slice value)
{
    struct bench *bench = context;
    require(log_load(bench->log, key, value, &bench->scratch) == NULL);
    return ERROR_NONE;
}

static void reload(struct bench *bench)
{
    uint64_t digest = log_digest(bench->log), entries = bench->entries;
    log_close(bench->log);
    require(bench->memory.used == 0);
    arena_reset(&bench->scratch);
    open_log(bench);
    require(storage_each(bench->disk, slice_string("batch"), load_pair, bench) == ERROR_NONE);
    require(log_digest(bench->log) == digest && bench->entries == entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static uint8_t scratch[SCRATCH_SIZE] __attribute__((aligned(16)));
    static struct bench bench;
    bench = (struct bench){.log = NULL};
    memory_init(&bench.memory, BUDGET);
    arena_init(&bench.scratch, scratch, sizeof scratch);
    for (uint64_t i = 0; i < AUTHORS; i++) plain_pair(i, &bench.pairs[i]);
    require(storage_memory_open(&bench.disk) == ERROR_NONE);
    open_log(&bench);
    while (count >= 3) {
        size_t size = (size_t)(bytes[1] << 8 | bytes[2]);
        if (size > count - 3) size = count - 3;
        step(&bench, bytes[0], slice_of(bytes + 3, size));
        bytes += 3 + size;
        count -= 3 + size;
    }
    reload(&bench);
    log_close(bench.log);
    storage_close(bench.disk);
    return 0;
}
