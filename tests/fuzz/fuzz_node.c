/* node_step under arbitrary events of key holders: streams of clients and peers that open, speak (arbitrary messages of every kind,
 * or plain junk) and close; blocks, tasks and disks that succeed and fail; time that goes on. Nothing may
 * break: no assertion, no leak, no access out of bounds. */
#include "tests/lib/lone_node.h"

#include "base/prng.h"
#include "wire/kinds.h"

enum { STEPS_MAX = 64, RECORD_MAX = 1 << 16 };

static struct id some_id(struct prng *prng)
{
    struct crypto_pair pair;
    plain_pair(1 + prng_below(prng, 3), &pair);
    return crypto_node_id(&crypto_plain, &pair.public);
}

/* Few ids and digests, so that messages meet. */
static void tame(const struct wire_schema *schema, void *fields, struct prng *prng)
{
    if (schema == &wire_ask_submit) {
        struct msg_ask_submit *ask = fields;
        memset(&ask->job, (int)prng_below(prng, 3), sizeof ask->job);
        ask->spec.maps = (uint32_t)prng_below(prng, 4);
        ask->spec.reduces = (uint32_t)prng_below(prng, 3);
        memset(&ask->spec.manifest.digest, (int)prng_below(prng, 3), sizeof(struct digest));
    }
    if (schema == &wire_block_ensure) {
        struct msg_block_ensure *ensure = fields;
        memset(&ensure->block.digest, (int)prng_below(prng, 3), sizeof(struct digest));
    }
    if (schema == &wire_exchange) {
        struct msg_exchange *exchange = fields;
        struct msg_member_claim *claims = exchange->members.at;
        for (uint32_t i = 0; i < exchange->members.count; i++) {
            claims[i].node = some_id(prng);
            claims[i].state = (uint8_t)prng_below(prng, 5);
        }
    }
}

static void speak(struct lone_node *lone, struct prng *prng, struct slice junk)
{
    static uint8_t record[RECORD_MAX];
    static _Alignas(16) uint8_t scratch[4 << 20];
    uint64_t stream = 1 + 2 * prng_below(prng, 4);
    struct writer writer = writer_of(record, sizeof record);
    for (uint64_t i = 0; i < 1 + prng_below(prng, 3); i++) {
        const struct wire_schema *schema = wire_schema((unsigned)prng_below(prng, 256));
        struct arena arena;
        arena_init(&arena, scratch, sizeof scratch);
        if (schema == NULL) continue;
        void *fields = arena_take(&arena, wire_struct_size(schema));
        if (!wire_arbitrary(schema, fields, prng, &arena)) continue;
        tame(schema, fields, prng);
        if (!wire_pack(schema, fields, &writer)) break;
    }
    struct slice bytes = prng_below(prng, 8) == 0 ? junk : slice_of(record, (size_t)(writer.at - record));
    lone_node_record(lone, stream, bytes);
}

static void happen(struct lone_node *lone, struct prng *prng, struct slice junk)
{
    struct event event = {0};
    struct msg_task_result result = {.outcome = (uint8_t)prng_below(prng, 12)};
    struct address address = address_ipv4(127, 0, 0, 1, 9000);
    uint64_t token = prng_below(prng, 20);
    switch (prng_below(prng, 12)) {
    case 0: event.kind = EVENT_TICK; break;
    case 1:
        event.kind = EVENT_DATAGRAM;
        event.datagram.from = address;
        event.datagram.bytes = junk;
        break;
    case 2:
        lone_node_stream(lone, 1 + 2 * prng_below(prng, 4),
                         prng_below(prng, 2) == 0 ? CHANNEL_CLIENT : CHANNEL_PEER, 1 + prng_below(prng, 4));
        return;
    case 3:
        event.kind = EVENT_STREAM_CLOSED;
        event.stream_closed.stream = 1 + prng_below(prng, 8);
        event.stream_closed.error = ERROR_CLOSED;
        event.stream_closed.reason = "test";
        break;
    case 4:
        event.kind = EVENT_PERSISTED;
        event.persisted.token = lone->persisted;
        break;
    case 5:
        event.kind = EVENT_BLOCK_STORED;
        event.block_stored.token = prng_below(prng, 2);
        memset(&event.block_stored.block.digest, (int)prng_below(prng, 3), sizeof(struct digest));
        break;
    case 6:
        event.kind = EVENT_BLOCK_FAILED;
        memset(&event.block_failed.digest, (int)prng_below(prng, 3), sizeof(struct digest));
        break;
    case 7:
        event.kind = EVENT_BLOCK_READ;
        memset(&event.block_read.digest, (int)prng_below(prng, 3), sizeof(struct digest));
        event.block_read.bytes = junk;
        break;
    case 8:
        event.kind = EVENT_TASK_FINISHED;
        event.task_finished.token = token;
        event.task_finished.result = &result;
        break;
    case 9:
        event.kind = EVENT_TASK_STARTED;
        event.task_started.token = token;
        break;
    default: speak(lone, prng, junk); return;
    }
    lone_node_step(lone, event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t seed = 0;
    if (size < sizeof seed) return 0;
    memcpy(&seed, data, sizeof seed);
    struct prng prng;
    struct lone_node lone;
    prng_init(&prng, seed);
    lone_node_open(&lone, 1);
    struct slice junk = slice_of(data + sizeof seed, size - sizeof seed);
    for (int i = 0; i < STEPS_MAX; i++) {
        lone.now += (instant)prng_below(&prng, 3 * SECOND);
        happen(&lone, &prng, junk);
    }
    lone_node_close(&lone);
    return 0;
}
