/* node_step under arbitrary events of key holders. The input is a list of events, three bytes each:
 * what happens, and two of how; junk, where there is any, is what follows. So an input that is
 * changed in one place is changed in one event, and what was reached before is kept.
 *
 *   streams of clients and peers that open, speak and close, in messages of every kind or junk
 *   datagrams: as they are, or sealed as a peer seals them, so that gossip is reached
 *   batches of peers, signed and chained, of entries about few jobs, claims and tasks
 *   blocks, tasks and disks that answer what the node has asked for, well or badly, or did not ask
 *   time that goes on, memory that fails once, an order to leave
 *
 * Nothing may break: no assertion, no leak, no access out of bounds; and it must not spin. */
#include "tests/lib/lone_node.h"

#include "base/prng.h"
#include "store/batch.h"
#include "wire/frame.h"
#include "wire/kinds.h"

enum {
    STEPS_MAX = 160,
    RECORD_MAX = 1 << 16,
    PEERS = 3,
    ASKED_MAX = 16,
    TICKS_MAX = 100000,
};

/* What the node has asked of its driver, and was not told yet. */
struct asked {
    enum action_kind kind;
    uint64_t token;
    struct msg_block_ref block;
};

struct peer {
    struct crypto_pair pair;
    struct id id;
    struct digest previous; /* of its feed, as it was said last */
    uint64_t sequence, counter;
};

struct bench {
    struct lone_node lone;
    struct peer peers[PEERS];
    struct asked asked[ASKED_MAX];
    size_t asked_count;
    struct slice rest; /* of the input */
};

static uint8_t record[RECORD_MAX];
static _Alignas(16) uint8_t scratch[4 << 20];

static const unsigned kinds[] = {MSG_opened, MSG_joined,  MSG_left,   MSG_job,
                                 MSG_claim,  MSG_done,    MSG_failed, MSG_lost,
                                 MSG_dead,   MSG_ended,   MSG_named,  MSG_released,
                                 MSG_claim,  MSG_counted, MSG_done,   MSG_tagged};

/* ---- few things to speak of ---- */

static struct digest few_digest(uint64_t n)
{
    struct digest digest;
    memset(&digest, (int)(n % 3), sizeof digest);
    return digest;
}

static struct id few_job(uint64_t n)
{
    struct id id;
    memset(&id, (int)(n % 3), sizeof id);
    return id;
}

static struct msg_stamp few_stamp(const struct bench *bench, uint64_t n)
{
    const struct peer *peer = &bench->peers[n % PEERS];
    uint64_t sequence = 1 + (peer->sequence == 0 ? 0 : n / 4 % peer->sequence);
    return (struct msg_stamp){
        .time = sequence, .node = peer->id, .boot = {1, 1 + n % PEERS}, .sequence = sequence};
}

/* Entries about few jobs. All of them that name a job begin with it. */
static void tame_entry(const struct bench *bench, unsigned kind, void *fields, uint8_t how)
{
    if (kind == MSG_job) {
        struct msg_job *job = fields;
        job->job = few_job(how);
        job->spec.maps = 1 + how / 4 % 4;
        job->spec.reduces = how / 16 % 3;
        job->spec.manifest.digest = few_digest(how);
    } else if (kind == MSG_claim) {
        struct msg_claim *claim = fields;
        struct msg_task_range *range = (void *)(uintptr_t)claim->ranges.at;
        claim->job = few_job(how);
        for (uint32_t i = 0; i < claim->ranges.count; i++)
            range[i] = (struct msg_task_range){how / 4 % 2, i % 4, 1};
    } else if (kind == MSG_done) {
        struct msg_done *done = fields;
        done->job = few_job(how);
        done->claim = few_stamp(bench, how / 4);
        done->task = how / 32 % 4;
        done->output.digest = few_digest(how);
    } else if (kind == MSG_failed) {
        struct msg_failed *failed = fields;
        failed->job = few_job(how);
        failed->claim = few_stamp(bench, how / 4);
        failed->task = how / 32 % 4;
    } else if (kind == MSG_dead) {
        struct msg_dead *dead = fields;
        dead->node = bench->peers[how % PEERS].id;
        dead->boot = (struct boot){1, 1 + how % PEERS};
    } else if (kind == MSG_ended) {
        struct msg_ended *ended = fields;
        ended->job = few_job(how);
        ended->manifest.digest = few_digest(how);
    } else if (kind == MSG_named) {
        struct msg_named *named = fields;
        named->manifest.digest = few_digest(how);
    }
}

static void tame(const struct bench *bench, const struct wire_schema *schema, void *fields,
                 uint8_t how)
{
    if (schema == &wire_ask_submit) {
        struct msg_ask_submit *ask = fields;
        ask->job = few_job(how);
        ask->spec.maps = how / 4 % 4;
        ask->spec.reduces = how / 16 % 3;
        ask->spec.manifest.digest = few_digest(how);
    } else if (schema == &wire_block_ensure) {
        ((struct msg_block_ensure *)fields)->block.digest = few_digest(how);
    } else if (schema == &wire_exchange) {
        struct msg_exchange *exchange = fields;
        struct msg_member_claim *claims = (void *)(uintptr_t)exchange->members.at;
        for (uint32_t i = 0; i < exchange->members.count; i++) {
            claims[i].node = bench->peers[(how + i) % PEERS].id;
            claims[i].state %= 5;
        }
    } else if (schema == &wire_log_vector) {
        struct msg_log_vector *vector = fields;
        struct msg_feed_position *positions = (void *)(uintptr_t)vector->feeds.at;
        for (uint32_t i = 0; i < vector->feeds.count; i++) {
            positions[i].node = bench->peers[(how + i) % PEERS].id;
            positions[i].boot = (struct boot){1, 1 + (how + i) % PEERS};
            positions[i].have %= 16;
        }
    }
}

/* ---- what happens ---- */

static void look(struct bench *bench)
{
    const struct actions *actions = &bench->lone.actions;
    for (size_t i = 0; i < actions->count; i++) {
        const struct action *action = &actions->items[i];
        struct asked asked = {.kind = action->kind};
        switch (action->kind) {
        case ACTION_BLOCK_WRITE: asked.token = action->block_write.token; break;
        case ACTION_BLOCK_READ:
            asked.token = action->block_read.token;
            asked.block = action->block_read.block;
            break;
        case ACTION_BLOCK_FETCH:
            asked.token = action->block_fetch.token;
            asked.block = action->block_fetch.block;
            break;
        case ACTION_BLOCK_CHECK: asked.block = action->block_check.block; break;
        case ACTION_TASK_RUN: asked.token = action->task_run.token; break;
        default: continue;
        }
        if (bench->asked_count < ASKED_MAX) bench->asked[bench->asked_count++] = asked;
    }
}

static void step(struct bench *bench, const struct event *event)
{
    lone_node_step(&bench->lone, *event);
    look(bench);
}

/* One of the things that the node waits for comes, well or badly. */
static void answer(struct bench *bench, uint8_t which, uint8_t how, struct slice junk)
{
    struct event event = {0};
    struct msg_task_result result = {.outcome = (uint8_t)(how / 2 % 12), .output.size = 1};
    if (bench->asked_count == 0) return;
    size_t at = which % bench->asked_count;
    struct asked asked = bench->asked[at];
    bool is_start = asked.kind == ACTION_TASK_RUN && how % 2 == 0;
    if (!is_start) bench->asked[at] = bench->asked[--bench->asked_count];
    switch (asked.kind) {
    case ACTION_TASK_RUN:
        event.kind = is_start ? EVENT_TASK_STARTED : EVENT_TASK_FINISHED;
        event.task_finished.token = asked.token;
        if (!is_start) event.task_finished.result = &result;
        result.output.digest = few_digest(how / 32);
        break;
    case ACTION_BLOCK_READ:
        event.kind = EVENT_BLOCK_READ;
        event.block_read.token = asked.token;
        event.block_read.digest = asked.block.digest;
        event.block_read.bytes = junk;
        break;
    case ACTION_BLOCK_CHECK:
        event.kind = EVENT_BLOCK_CHECKED;
        event.block_checked.digest = asked.block.digest;
        event.block_checked.error = how % 2 == 0 ? ERROR_NONE : ERROR_CORRUPT;
        break;
    default:
        event.kind = how % 4 != 0 ? EVENT_BLOCK_STORED : EVENT_BLOCK_FAILED;
        if (event.kind == EVENT_BLOCK_STORED) {
            event.block_stored.token = asked.token;
            event.block_stored.block = asked.block;
        } else {
            event.block_failed.token = asked.token;
            event.block_failed.digest = asked.block.digest;
            event.block_failed.error = ERROR_IO;
        }
    }
    step(bench, &event);
}

/* What it did not ask for, or not now. */
static void surprise(struct bench *bench, uint8_t which, uint8_t how, struct slice junk)
{
    struct event event = {0};
    struct msg_task_result result = {.outcome = (uint8_t)(how % 12)};
    switch (which % 8) {
    case 0:
        event.kind = EVENT_BLOCK_STORED;
        event.block_stored.block = (struct msg_block_ref){few_digest(how), how / 4};
        break;
    case 1:
        event.kind = EVENT_BLOCK_FAILED;
        event.block_failed.digest = few_digest(how);
        break;
    case 2:
        event.kind = EVENT_BLOCK_READ;
        event.block_read.digest = few_digest(how);
        event.block_read.bytes = junk;
        break;
    case 3:
        event.kind = EVENT_TASK_FINISHED;
        event.task_finished.token = how;
        event.task_finished.result = &result;
        break;
    case 4:
        event.kind = EVENT_STORAGE_FAILED;
        event.storage_failed.error = how % 2 == 0 ? ERROR_FULL : ERROR_DENIED;
        break;
    case 5:
        event.kind = EVENT_BLOCK_UNWANTED;
        event.block_unwanted.digest = few_digest(how);
        break;
    case 6:
        event.kind = EVENT_REFUSED;
        event.refused.address = address_ipv4(127, 0, 0, 1, (uint16_t)(8000 + how % PEERS));
        event.refused.quoted = junk;
        break;
    case 7: event.kind = how == 255 ? EVENT_LEAVE : EVENT_TICK; break;
    }
    step(bench, &event);
}

/* A record of up to three messages, or of junk. */
static void speak(struct bench *bench, uint8_t which, uint8_t how, struct slice junk)
{
    uint64_t stream = 1 + 2 * (which % 4);
    struct writer writer = writer_of(record, sizeof record);
    struct prng prng;
    prng_init(&prng, (uint64_t)how << 8 | which);
    for (unsigned i = 0; i < 1u + which / 4 % 3; i++) {
        const struct wire_schema *schema = wire_schema((unsigned)(uint8_t)(how + 37 * i));
        struct arena arena;
        arena_init(&arena, scratch, sizeof scratch);
        if (schema == NULL) continue;
        void *fields = arena_take(&arena, wire_struct_size(schema));
        if (!wire_arbitrary(schema, fields, &prng, &arena)) continue;
        tame(bench, schema, fields, junk.count > 0 ? junk.at[0] : how);
        if (!wire_pack(schema, fields, &writer)) break;
    }
    bool is_junk = which >= 240;
    lone_node_record(&bench->lone, stream,
                     is_junk ? junk : slice_of(record, (size_t)(writer.at - record)));
    look(bench);
}

/* A datagram as a peer seals it. */
static void tell(struct bench *bench, uint8_t which, uint8_t how, struct slice junk)
{
    struct peer *peer = &bench->peers[which % PEERS];
    struct frame_key key;
    struct crypto_key subkey;
    struct frame_header header = {.sender = peer->id, .boot = {1, 1 + which % PEERS}};
    uint8_t payload[FRAME_PAYLOAD_MAX], sealed[FRAME_SIZE_MAX];
    struct writer writer = writer_of(payload, sizeof payload);
    struct arena arena;
    struct prng prng;
    prng_init(&prng, how);
    const struct wire_schema *schema = wire_schema((unsigned)(how % 64));
    arena_init(&arena, scratch, sizeof scratch);
    void *fields = schema == NULL ? NULL : arena_take(&arena, wire_struct_size(schema));
    bool is_said = fields != NULL && which < 200 && wire_arbitrary(schema, fields, &prng, &arena) &&
                   wire_pack(schema, fields, &writer);
    struct slice said = slice_of(payload, (size_t)(writer.at - payload));
    if (!is_said) said = junk.count < FRAME_PAYLOAD_MAX ? junk : slice_of(junk.at, 64);
    frame_key_init(&key, &crypto_plain, &bench->lone.key);
    frame_subkey(&crypto_plain, &key, &header.sender, &header.boot, &subkey);
    header.key_id = key.key_id;
    header.counter = ++peer->counter;
    size_t size = frame_seal(&crypto_plain, &subkey, &header, said, sealed);
    struct event event = {.kind = EVENT_DATAGRAM};
    event.datagram.from = address_ipv4(127, 0, 0, 1, (uint16_t)(8000 + 1 + which % PEERS));
    event.datagram.bytes = which >= 240 ? junk : slice_of(sealed, size);
    step(bench, &event);
}

/* A batch of one or two entries, the next of its author's feed (or not quite). */
static void author(struct bench *bench, uint8_t which, uint8_t how)
{
    static uint8_t body_bytes[RECORD_MAX], entry_bytes[2][RECORD_MAX / 4];
    struct peer *peer = &bench->peers[which % PEERS];
    struct msg_entry entries[2];
    uint32_t count = 1 + which / 4 % 2;
    for (uint32_t i = 0; i < count; i++) {
        const struct wire_schema *schema = wire_schema(kinds[(which / 8 + i * 5) % 16]);
        struct writer writer = writer_of(entry_bytes[i], sizeof entry_bytes[i]);
        struct arena arena;
        struct prng prng;
        arena_init(&arena, scratch, sizeof scratch);
        prng_init(&prng, (uint64_t)which << 8 | how);
        void *fields = arena_take(&arena, wire_struct_size(schema));
        if (!wire_arbitrary(schema, fields, &prng, &arena)) return;
        tame_entry(bench, wire_type(schema), fields, how);
        if (!wire_encode(schema, fields, &writer)) return;
        entries[i] = (struct msg_entry){peer->sequence + 1 + i, (uint8_t)wire_type(schema),
                                        slice_of(entry_bytes[i], writer.written)};
    }
    struct msg_batch_body body = {.node = peer->id,
                                  .boot = {1, 1 + which % PEERS},
                                  .key = peer->pair.public,
                                  .first = peer->sequence + 1,
                                  .previous = peer->previous,
                                  .entries = {entries, count}};
    struct writer writer = writer_of(body_bytes, sizeof body_bytes);
    if (!wire_encode(&wire_batch_body, &body, &writer)) return;
    uint8_t signature[CRYPTO_SIGNATURE_SIZE];
    struct msg_log_batch batch = {.body = slice_of(body_bytes, writer.written)};
    struct digest digest;
    crypto_plain.digest(batch.body, &digest);
    batch_sign(&crypto_plain, &peer->pair, &digest, signature);
    batch.signature = slice_of(signature, sizeof signature);
    writer = writer_of(record, sizeof record);
    if (!wire_pack(&wire_log_batch, &batch, &writer)) return;
    if (how != 255) { /* else it forks with what comes next */
        peer->sequence += count;
        peer->previous = digest;
    }
    lone_node_record(&bench->lone, 1 + 2 * (uint64_t)(which % PEERS),
                     slice_of(record, writer.written));
    look(bench);
}

/* Ticks until the node has no more to do at once. */
static void pass(struct bench *bench, duration time)
{
    bench->lone.now += time;
    struct event event = {.kind = EVENT_TICK};
    for (unsigned ticks = 0; node_deadline(bench->lone.node) <= bench->lone.now; ticks++) {
        if (ticks > TICKS_MAX) abort();
        step(bench, &event);
        bench->lone.now++;
    }
}

static void happen(struct bench *bench, const uint8_t event_bytes[3])
{
    uint8_t which = event_bytes[1], how = event_bytes[2];
    struct slice junk = bench->rest;
    struct event event = {0};
    switch (event_bytes[0] % 12) {
    case 0: pass(bench, (duration)(how + 1) * (10 << which % 12)); return;
    case 1:
        lone_node_stream(&bench->lone, 1 + 2 * (which % PEERS), CHANNEL_PEER, 1 + which % PEERS);
        look(bench);
        return;
    case 2:
        lone_node_stream(&bench->lone, 7, CHANNEL_CLIENT, 4);
        look(bench);
        return;
    case 3:
        event.kind = EVENT_STREAM_CLOSED;
        event.stream_closed.stream = 1 + which % 8;
        event.stream_closed.error = how % 2 == 0 ? ERROR_CLOSED : ERROR_NONE;
        event.stream_closed.reason = "test";
        step(bench, &event);
        return;
    case 4:
        event.kind = EVENT_PERSISTED;
        event.persisted.token = bench->lone.persisted;
        step(bench, &event);
        return;
    case 5:
    case 6: answer(bench, which, how, junk); return;
    case 7: surprise(bench, which, how, junk); return;
    case 8: tell(bench, which, how, junk); return;
    case 9: author(bench, which, how); return;
    case 10:
        if (which == 255) node_memory(bench->lone.node)->fail_after = 1 + how;
        else speak(bench, which, how, junk);
        return;
    case 11: speak(bench, (uint8_t)(which | 3), (uint8_t)(128 + how % 128), junk); return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    static struct action items[ACTIONS_MAX];
    static _Alignas(16) uint8_t arena[ACTIONS_ARENA_SIZE];
    bench = (struct bench){.rest = slice_of(data, size)};
    for (uint64_t i = 0; i < PEERS; i++) {
        plain_pair(1 + i, &bench.peers[i].pair);
        bench.peers[i].id = crypto_node_id(&crypto_plain, &bench.peers[i].pair.public);
    }
    lone_node_open_in(&bench.lone, 99, &(struct node_config){.profile = PROFILE_LAN}, items, arena);
    for (int i = 0; i < STEPS_MAX && bench.rest.count >= 3; i++) {
        const uint8_t *event = bench.rest.at;
        bench.rest = slice_of(event + 3, bench.rest.count - 3);
        happen(&bench, event);
        bench.lone.now += MILLISECOND;
    }
    pass(&bench, 10 * SECOND);
    lone_node_close(&bench.lone);
    return 0;
}
