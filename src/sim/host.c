/* Lives of a node. The boot counter is durable before the first packet leaves, as the contract
 * asks; its random bits are new each time, so that an old disk image may repeat the counter and
 * never a boot (docs/PROTOCOL.md).
 *
 * Restarting is where a core shows its faults: everything a node knows must come back from what it
 * wrote, in the state that a power cut at the worst moment left it. */
#include "sim/marks.h"
#include "sim/host.h"

#include "node/metrics.h"
#include "sim/blocks.h"
#include "sim/disk.h"
#include "sim/grow.h"
#include "sim/history.h"
#include "sim/perform.h"
#include "sim/world.h"
#include "store/log.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HELD_DATAGRAMS_MAX = 256,  /* a socket's receive buffer */
    TICKS_AT_ONCE_MAX = 10000, /* more without progress of time: the node spins */
    RESTART_DELAY = SECOND,    /* after a stop of its own, by the service manager */
    START_SPREAD = 500 * MILLISECOND,
    SLOTS_MAX = 4,
    JOINS_MAX = 8,
};

static void draw_pair(struct world *world, struct host *host)
{
    host->pair_number = prng_next(&world->prng);
    if (world->crypto == &crypto_plain) {
        plain_pair(host->pair_number, &host->pair);
    } else {
        uint8_t seed[32];
        struct prng prng;
        prng_init(&prng, host->pair_number);
        prng_fill(&prng, seed, sizeof seed);
        seal_pair_from_seed(seed, &host->pair);
    }
    host->id = crypto_node_id(world->crypto, &host->pair.public);
    checks_identity(world, &host->id);
}

void host_init(struct world *world, struct host *host, uint32_t index)
{
    *host = (struct host){
        .world = world,
        .index = index,
        .life = 1,
        .tick_at = INSTANT_NEVER,
    };
    snprintf(host->name, sizeof host->name, "n%u", index);
    host->address = network_address(index);
    host->slots = (uint16_t)(1 + prng_below(&world->prng, SLOTS_MAX));
    host->slowness = 1;
    host->fsync_delay = DISK_SYNC_DELAY;
    draw_pair(world, host);
    disk_open(host);
    blocks_host_init(world, host);
    instant at = (instant)prng_below(&world->prng, START_SPREAD);
    queue_push(&world->queue, (struct happening){.at = at, .kind = HAPPEN_START, .host = index});
}

static void drop_held(struct host *host)
{
    for (size_t i = 0; i < host->held_count; i++) free(host->held[i].bytes);
    host->held_count = host->held_datagrams = 0;
}

void host_deinit(struct world *world, struct host *host)
{
    if (host->node != NULL) marks_add(world->result->marks, host->node);
    if (host->node != NULL) node_close(host->node);
    drop_held(host);
    free(host->held);
    blocks_host_deinit(world, host);
    disk_close(host);
}

/* ---- what a step leads to ---- */

/* The next tick: pushed only when it is earlier than the one that is out. */
static void arrange_tick(struct world *world, struct host *host)
{
    instant deadline = node_deadline(host->node);
    if (deadline <= world->now) deadline = world->now + 1;
    if (deadline == INSTANT_NEVER || deadline >= host->tick_at) return;
    host->tick_at = deadline;
    queue_push(&world->queue,
               (struct happening){
                   .at = deadline, .kind = HAPPEN_TICK, .host = host->index, .life = host->life});
}

static void start_again(struct world *world, const struct host *host)
{
    instant at = world->now + RESTART_DELAY;
    queue_push(&world->queue,
               (struct happening){.at = at, .kind = HAPPEN_START, .host = host->index});
}

static void stopped(struct world *world, struct host *host, enum error error)
{
    host->was_alone = node_metric(host->node, METRIC_leaves_alone) > 0;
    host->has_kept = node_metric(host->node, METRIC_leaves_kept) > 0;
    host_crash(world, host, CRASH_KILL);
    host->is_gone = error == ERROR_NONE;
    if (error != ERROR_NONE) start_again(world, host);
    else history_left(world, host);
}

void host_starve(struct host *host, uint64_t nth)
{
    host->starves_at = nth;
    if (host->node != NULL) node_memory(host->node)->fail_after = nth;
}

/* How far the countdown is, before the node goes: the next one goes on with it. */
static void look_at_countdown(struct world *world, struct host *host)
{
    if (host->starves_at == 0) return;
    host->starves_at = host->node == NULL ? 0 : node_memory(host->node)->fail_after;
    world->result->starved += host->starves_at == 0;
}

static void perform(struct world *world, struct host *host)
{
    enum error error = ERROR_NONE;
    bool is_stopped = perform_actions(world, host, &error);
    look_at_countdown(world, host);
    /* Without memory its state may lack an entry that its log has: so it stops. */
    if (error != ERROR_MEMORY) checks_step(world, host);
    heals_look(world);
    if (is_stopped) stopped(world, host, error);
    else arrange_tick(world, host);
}

/* ---- start ---- */

static void trace_sink(void *context, enum trace_level level, const char *text)
{
    struct host *host = context;
    static const char letters[] = "DIWE";
    world_say(host->world, host->index, "%c %s", letters[level], text);
}

/* Everyone is told of the first few: enough to find the flock through one that is up. Not where
 * many leave. */
static size_t join_addresses(const struct world *world, const struct host *host,
                             struct address join[JOINS_MAX])
{
    size_t count = 0, most = 3;
    if (world->options.is_history && !world->options.nobody_leaves) most = JOINS_MAX;
    for (uint32_t i = 0; i < world->hosts_count && count < most; i++)
        if (i != host->index) join[count++] = world->hosts[i].address;
    return count;
}

static struct node *open_node(struct world *world, struct host *host)
{
    struct address join[JOINS_MAX];
    struct node_config config = {
        .crypto = world->crypto,
        .pair = &host->pair,
        .keys = &world->key,
        .keys_count = 1,
        .boot = host->boot,
        .address = host->address,
        .name = host->name,
        .slots = host->slots,
        .profile = world->profile,
        .evict_after = world->plan.evict == INSTANT_NEVER ? 0 : world->plan.evict,
        .join = join,
        .join_count = join_addresses(world, host, join),
        .seed = prng_next(&world->prng),
        .wall_ms = UINT64_C(1700000000000) + (uint64_t)world->now / 1000,
        .allocation_fails = host->starves_at,
    };
    /* Half of the seeds compact as fast as they can; the draws of the others stay what they were.
     */
    if (world->options.seed % 2 == 0) {
        config.compact_every = 300 * MILLISECOND;
        config.details_kept = 1;
    }
    if (world->options.is_history) {
        config.pin_length = 20 * SECOND; /* what a client has given up is gone before the end */
        config.scrub_every = 15 * SECOND;
    }
    if (world->options.is_verbose)
        config.trace = (struct trace){trace_sink, host, world->options.trace_level};
    return node_open(&config, world->now);
}

struct loading {
    struct world *world;
    struct host *host;
};

static enum error load_pair(void *context, struct slice key, struct slice value)
{
    const struct loading *loading = context;
    struct world *world = loading->world;
    arena_reset(&world->scratch);
    const char *damage = node_load(loading->host->node, key, value, &world->scratch);
    if (damage == log_memory) return ERROR_MEMORY;
    if (damage != NULL)
        world_violated(world, loading->host->index, "S4", "the disk reads back damaged: %s",
                       damage);
    return ERROR_NONE;
}

static void new_boot(struct world *world, struct host *host)
{
    if (world->plan.canary == CANARY_REUSE_SEQUENCE && host->boot.counter > 0) return;
    host->boot.counter++;
    host->boot.random = prng_next(&world->prng);
}

/* A node with all that its disk holds. MEMORY: it, or what there is of it, is to be closed. */
static enum error load_node(struct world *world, struct host *host)
{
    host->node = open_node(world, host);
    assert(host->node != NULL || host->starves_at > 0);
    if (host->node == NULL) return ERROR_MEMORY;
    struct loading loading = {world, host};
    enum error error = storage_each(host->storage, (struct slice){0}, load_pair, &loading);
    return error == ERROR_NONE ? blocks_host_load(host) : error;
}

void host_start(struct world *world, struct host *host)
{
    if (host->state != HOST_DOWN || host->is_gone || world->is_violated) return;
    host->life++;
    host->is_leaving = false;
    host->state = HOST_UP;
    new_boot(world, host);
    world_say(world, host->index, "start boot=%llu", (unsigned long long)host->boot.counter);
    host->tick_at = INSTANT_NEVER;
    enum error error = load_node(world, host);
    if (error == ERROR_MEMORY) {
        look_at_countdown(world, host);
        node_close(host->node);
        host->node = NULL;
        host->state = HOST_DOWN;
        start_again(world, host);
        return;
    }
    if (error != ERROR_NONE)
        world_violated(world, host->index, "S4", "the disk can't be read: %s", error_text(error));
    checks_loaded(world, host);
    node_start(host->node, world->now, &world->actions);
    perform(world, host);
}

/* ---- stop ---- */

void host_crash(struct world *world, struct host *host, enum crash_kind kind)
{
    if (host->state == HOST_DOWN) return;
    static const char *const texts[] = {
        "kill",      "power cut, lost", "power cut, torn", "power cut, reordered",
        "lost disk", "old image"};
    world_say(world, host->index, "crash %s", texts[kind]);
    checks_crashing(world, host, kind);
    marks_add(world->result->marks, host->node);
    node_close(host->node);
    host->node = NULL;
    host->state = HOST_DOWN;
    host->was_down = true;
    host->life++;
    host->tick_at = INSTANT_NEVER;
    drop_held(host);
    worker_crash(world, host);
    streams_crash(world, host->index, kind != CRASH_KILL);
    disk_crash(world, host, kind);
    blocks_crash(world, host, kind);
    if (kind == CRASH_DISK) {
        host->boot = (struct boot){0};
        draw_pair(world, host);
    }
}

void host_return(struct world *world, struct host *host)
{
    if (host->state != HOST_DOWN) return; /* it leaves still, and does not come back then */
    host->is_gone = false;
    host_start(world, host);
}

void host_pause(struct world *world, struct host *host)
{
    if (host->state != HOST_UP) return;
    world_say(world, host->index, "pause");
    host->state = HOST_PAUSED;
}

void host_resume(struct world *world, struct host *host)
{
    if (host->state != HOST_PAUSED) return;
    world_say(world, host->index, "resume held=%zu", host->held_count);
    host->state = HOST_UP;
    host->paused_last = world->now;
    for (size_t i = 0; i < host->held_count; i++) {
        host->held[i].at = world->now;
        queue_push(&world->queue, host->held[i]);
    }
    host->held_count = host->held_datagrams = 0;
}

bool host_holds(struct host *host, struct happening *happening)
{
    if (happening->kind >= HAPPEN_START) return false;
    bool is_stale = happening->life != LIFE_ANY && happening->life != host->life;
    bool is_full = happening->kind == HAPPEN_DATAGRAM && host->held_datagrams >= HELD_DATAGRAMS_MAX;
    if (host->state == HOST_DOWN || is_stale || (host->state == HOST_PAUSED && is_full)) {
        free(happening->bytes);
        return true;
    }
    if (host->state == HOST_UP) return false;
    host->held = sim_grow(host->held, host->held_count, &host->held_capacity, sizeof *host->held);
    if (happening->kind == HAPPEN_DATAGRAM) host->held_datagrams++;
    host->held[host->held_count++] = *happening;
    return true;
}

/* ---- step ---- */

void host_step(struct world *world, struct host *host, struct event *event)
{
    assert(host->state == HOST_UP);
    event->now = world->now;
    world->steps++;
    node_step(host->node, event, &world->actions);
    perform(world, host);
}

void host_tick(struct world *world, struct host *host)
{
    if (world->now < host->tick_at) return; /* stale: an earlier one has been handled */
    host->ticks_at_once =
        world->now - host->ticked_last < MILLISECOND ? host->ticks_at_once + 1 : 0;
    host->ticked_last = world->now;
    if (host->ticks_at_once > TICKS_AT_ONCE_MAX)
        world_violated(world, host->index, "S8", "the node's deadline does not move on: it spins");
    host->tick_at = INSTANT_NEVER;
    struct event event = {.kind = EVENT_TICK};
    host_step(world, host, &event);
}
