/* The forged batches are made as an author makes them, each wrong in one thing only, so that what
 * refuses it is the check that is meant. */
#include "sim/hostile.h"

#include "sim/forge.h"
#include "sim/world.h"
#include "store/log.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    OVERSIZED = 300 * 1024, /* more than the schema's cap for a batch */
    FAR_AHEAD_BITS = 40,
    FORKS = 2,   /* the second history, and the chain that does not fit */
    REFUSED = 3, /* the signature, and two ways to write another's feed */
};

/* The nodes' counters by their place in metrics.def. */
enum {
#define METRIC(name) METRIC_##name,
#include "node/metrics.def"
#undef METRIC
};

/* What a node had counted before. */
struct hostile_witness {
    uint32_t life; /* of its host; 0: it was not there, or lacked what was forged upon */
    struct log_counters counters;
    uint64_t records_refused;
};

/* To everyone it has a stream to. */
static void send_all(struct world *world, const struct host *host, struct slice record)
{
    for (struct stream *stream = world->streams.all, *next; stream != NULL; stream = next) {
        next = stream->next;
        if (stream->state != STREAM_OPEN || stream->purpose != CHANNEL_PEER) continue;
        for (int side = 0; side < 2; side++) {
            const struct stream_end *end = &stream->ends[side];
            if (end->key.party == host->index && end->key.id != 0 && end->is_attached)
                streams_send(world, host->index, end->key.id, record);
        }
    }
}

static void say(struct world *world, const struct host *host, struct forgery *forgery)
{
    uint8_t bytes[FORGERY_SIZE_MAX];
    send_all(world, host, forge_pack(world->crypto, forgery, bytes));
}

static void say_oversized(struct world *world, const struct host *host)
{
    static uint8_t record[OVERSIZED + 8] = {MSG_log_batch};
    size_t at = 1;
    for (uint32_t left = OVERSIZED; left > 0; left >>= 7)
        record[at++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    send_all(world, host, slice_of(record, at + OVERSIZED));
}

/* Feeds of its former boots; how many, two at most. */
static size_t closed_feeds(const struct host *host, struct msg_feed_position feeds[2])
{
    size_t cursor = 0, count = 0;
    struct msg_feed_position position;
    while (count < 2 && log_feeds_next(node_log(host->node), &cursor, &position))
        if (id_equal(&position.node, &host->id) && !boot_equal(&position.boot, &host->boot))
            feeds[count++] = position;
    return count;
}

/* Only who holds these feeds can tell that they are contradicted; and who holds more of them than
 * the author, back from an old image, may have cut what is contradicted. */
static bool holds(const struct host *host, const struct id *author,
                  const struct msg_feed_position feeds[2])
{
    const struct log *log = node_log(host->node);
    return log_have(log, author, &feeds[0].boot) == feeds[0].have &&
           log_have(log, author, &feeds[1].boot) == feeds[1].have;
}

static void remember(struct world *world, const struct host *host,
                     const struct msg_feed_position feeds[2])
{
    world->hostile.host = host->index;
    world->hostile.witnesses = calloc(world->hosts_count, sizeof *world->hostile.witnesses);
    assert(world->hostile.witnesses != NULL);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *other = &world->hosts[i];
        if (other->node == NULL || other == host || !holds(other, &host->id, feeds)) continue;
        world->hostile.witnesses[i] =
            (struct hostile_witness){other->life, *log_counters(node_log(other->node)),
                                     node_metric(other->node, METRIC_records_refused)};
    }
}

/* Nobody of the flock; but it has the cluster's key. */
static struct crypto_pair stranger_of(const struct world *world)
{
    static const uint8_t seed[32] = {'h', 'o', 's', 't', 'i', 'l', 'e'};
    struct crypto_pair pair;
    if (world->crypto == &crypto_plain) plain_pair(UINT64_MAX, &pair);
    else seal_pair_from_seed(seed, &pair);
    return pair;
}

void hostile_strike(struct world *world, struct host *host)
{
    struct msg_feed_position feeds[2];
    if (host->state != HOST_UP || world->hostile.witnesses != NULL) return;
    if (closed_feeds(host, feeds) < 2) return;
    remember(world, host, feeds);
    struct crypto_pair stranger = stranger_of(world);
    const struct boot boot = {1, 1};
    const struct host *victim = &world->hosts[(host->index + 1) % world->hosts_count];

    struct forgery history = forge(world->crypto, &host->pair, &feeds[0].boot);
    history.body.first = feeds[0].have; /* the last one: never cut */
    history.body.previous.bytes[0] = feeds[0].have > 1;
    history.entry.time = UINT64_C(1000000);
    say(world, host, &history);
    struct forgery chain = forge(world->crypto, &host->pair, &feeds[1].boot);
    chain.body.first = feeds[1].have + 1;
    chain.body.previous.bytes[0] = 1;
    chain.entry.time = UINT64_C(1000000);
    say(world, host, &chain);
    struct forgery signature = forge(world->crypto, &stranger, &boot);
    signature.is_damaged = true;
    say(world, host, &signature);
    struct forgery gap = forge(world->crypto, &stranger, &boot);
    gap.body.first = 5;
    gap.body.previous.bytes[0] = 1;
    say(world, host, &gap);
    struct forgery far = forge(world->crypto, &stranger, &boot);
    far.entry.time = UINT64_C(1) << FAR_AHEAD_BITS;
    say(world, host, &far);
    const struct boot later = {victim->boot.counter + 1000, 1}; /* that nobody holds anything of */
    struct forgery name = forge(world->crypto, &stranger, &later);
    name.body.node = victim->id; /* its name, a key of our own */
    say(world, host, &name);
    name.body.key = victim->pair.public; /* its key, too, and our signature */
    say(world, host, &name);
    say_oversized(world, host);
}

void hostile_final(struct world *world)
{
    for (uint32_t i = 0; world->hostile.witnesses != NULL && i < world->hosts_count; i++) {
        const struct hostile_witness *before = &world->hostile.witnesses[i];
        const struct host *host = &world->hosts[i];
        if (before->life == 0 || before->life != host->life || host->node == NULL) continue;
        const struct log_counters *now = log_counters(node_log(host->node));
        uint64_t forks = now->forks - before->counters.forks;
        uint64_t refused = now->refused - before->counters.refused;
        uint64_t gaps = now->gaps - before->counters.gaps;
        uint64_t horizon = now->horizon - before->counters.horizon;
        uint64_t records =
            node_metric(host->node, METRIC_records_refused) - before->records_refused;
        if (records < REFUSED + 1) continue; /* the last one sent has not come: its stream broke */
        world->result->hostile_witnesses++;
        if (forks < FORKS || refused < REFUSED || gaps == 0 || horizon == 0)
            world_violated(world, i, "S7",
                           "of forged batches it counted %llu forks, %llu refused, %llu gaps, "
                           "%llu beyond the horizon, %llu records refused",
                           (unsigned long long)forks, (unsigned long long)refused,
                           (unsigned long long)gaps, (unsigned long long)horizon,
                           (unsigned long long)records);
    }
}

void hostile_deinit(struct world *world) { free(world->hostile.witnesses); }
