/* Rates and lengths are log-uniform: a run with a crash every two seconds and one with a single
 * crash are equally likely. Every strike draws from the faults' own source of chance, so that a
 * change in the core moves the schedule of faults as little as can be, and a bug seen once is more
 * likely to be seen again after a change. */
#include "sim/faults.h"

#include "sim/client.h"
#include "sim/disk.h"
#include "sim/world.h"

#include <assert.h>

enum {
    ON_CHANCE = 500000, /* per million: half of the kinds are off */
    LOSS_MIN = 100,     /* per million */
    LOSS_MAX = 300000,
    DUPLICATE_MAX = 100000,
    CORRUPT_MAX = 100000,
    LATE_MAX = 100000,
    WONKY_LOSS = 500000, /* a rack gone wonky, as reports of large clusters tell it */
    DELAY_MAX = 100 * MILLISECOND,
    LATE_LONGEST = 3 * SECOND,
    SLOW_SYNC_MIN = 50 * MILLISECOND,
    SLOW_SYNC_MAX = 10 * SECOND,
    SLOWNESS_MAX = 10,
    OVERHEAT_SHARE = 850000,
    DISK_OPERATIONS_MAX = 50, /* the failing one is among the next so many */
    FIRST_JOB_AFTER = SECOND,
};

static const char *fault_text(enum fault fault)
{
    static const char *const texts[FAULT_COUNT] = {
#define FAULT(name, text, interval_min, interval_max, lasts_min, lasts_max) text,
#include "sim/faults.def"
#undef FAULT
    };
    return texts[fault];
}

/* ---- knobs ---- */

/* Between low and high, every power of two equally likely; no floating point. */
static uint64_t log_uniform(struct prng *prng, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;
    while (low > 0 && low << (doublings + 1) <= high) doublings++;
    uint64_t floor = low << prng_below(prng, doublings + 1);
    uint64_t value = floor + prng_below(prng, floor + 1);
    return value > high ? high : value;
}

static void draw_knob(struct faults *faults, enum fault fault)
{
    static const struct {
        uint32_t interval_min, interval_max, lasts_min, lasts_max;
    } ranges[FAULT_COUNT] = {
#define FAULT(name, text, interval_min, interval_max, lasts_min, lasts_max)                        \
    {interval_min, interval_max, lasts_min, lasts_max},
#include "sim/faults.def"
#undef FAULT
    };
    struct fault_knob *knob = &faults->knobs[fault];
    struct prng *prng = &faults->prng;
    knob->is_on = prng_chance(prng, ON_CHANCE);
    knob->interval = (duration)log_uniform(prng, (uint64_t)ranges[fault].interval_min * SECOND,
                                           (uint64_t)ranges[fault].interval_max * SECOND);
    knob->lasts = (duration)log_uniform(prng, (uint64_t)ranges[fault].lasts_min * MILLISECOND,
                                        (uint64_t)ranges[fault].lasts_max * MILLISECOND);
}

void faults_init(struct world *world, uint64_t seed)
{
    prng_init(&world->faults.prng, seed);
    for (int fault = 0; fault < FAULT_COUNT; fault++) draw_knob(&world->faults, (enum fault)fault);
}

static void set_rates(struct world *world)
{
    struct network *network = &world->network;
    struct faults *faults = &world->faults;
    struct prng *prng = &faults->prng;
    uint32_t loss = (uint32_t)log_uniform(prng, LOSS_MIN, LOSS_MAX);
    uint32_t duplicate = (uint32_t)log_uniform(prng, LOSS_MIN, DUPLICATE_MAX);
    uint32_t corrupt = (uint32_t)log_uniform(prng, LOSS_MIN, CORRUPT_MAX);
    uint32_t late = (uint32_t)log_uniform(prng, LOSS_MIN, LATE_MAX);
    duration delay = (duration)log_uniform(prng, MILLISECOND, DELAY_MAX);
    if (faults->knobs[FAULT_LOSS].is_on) network->loss = loss;
    if (faults->knobs[FAULT_DUPLICATE].is_on) network->duplicate = duplicate;
    if (faults->knobs[FAULT_CORRUPT].is_on) network->corrupt = corrupt;
    if (faults->knobs[FAULT_LATE].is_on) network->late = late;
    network->late_max = LATE_LONGEST;
    if (faults->knobs[FAULT_DELAY].is_on) network->delay = delay / 2;
    if (faults->knobs[FAULT_DELAY].is_on) network->jitter = delay;
    faults->delay_most = network->delay + network->jitter;
}

/* Uniform up to twice the mean: no logarithm, so no floating point whose last bit may differ. */
static void next_strike(struct world *world, enum fault fault)
{
    struct faults *faults = &world->faults;
    uint64_t mean = (uint64_t)faults->knobs[fault].interval;
    instant at = world->now + 1 + (instant)prng_below(&faults->prng, 2 * mean);
    if (at >= world->options.safety) return;
    queue_push(&world->queue,
               (struct happening){
                   .at = at, .kind = HAPPEN_FAULT, .host = UINT32_MAX, .number = (uint64_t)fault});
}

void faults_begin(struct world *world)
{
    struct faults *faults = &world->faults;
    set_rates(world);
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        if (!faults->knobs[fault].is_on) continue;
        world_say(world, UINT32_MAX, "fault %s is on", fault_text((enum fault)fault));
        if (faults->knobs[fault].interval > 0) next_strike(world, (enum fault)fault);
    }
    uint64_t span = (uint64_t)(world->options.safety - world->options.safety / 10);
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        instant at = FIRST_JOB_AFTER + (instant)prng_below(&faults->prng, span);
        client_begin(world, i, at, UINT32_MAX);
    }
    queue_push(
        &world->queue,
        (struct happening){.at = world->options.safety, .kind = HAPPEN_HEAL, .host = UINT32_MAX});
}

/* ---- strikes ---- */

static void later(struct world *world, enum happening_kind kind, uint32_t host, duration delay,
                  uint64_t number)
{
    queue_push(
        &world->queue,
        (struct happening){.at = world->now + delay, .kind = kind, .host = host, .number = number});
}

void faults_crash(struct world *world, uint32_t index, int crash_kind, duration back)
{
    struct host *host = &world->hosts[index];
    if (host->state == HOST_DOWN) return;
    bool is_forgetting =
        crash_kind == CRASH_DISK || (crash_kind == CRASH_IMAGE && host->image != NULL);
    if (is_forgetting) world->faults.disks_lost++;
    world->faults.crashes++;
    host_crash(world, host, (enum crash_kind)crash_kind);
    if (back != INSTANT_NEVER) later(world, HAPPEN_START, index, back, 0);
}

void faults_pause(struct world *world, uint32_t index, duration lasts)
{
    world->faults.pauses++;
    host_pause(world, &world->hosts[index]);
    later(world, HAPPEN_RESUME, index, lasts, 0);
}

static void strike_partition(struct world *world, enum fault fault, duration lasts)
{
    static const enum layout layouts[] = {LAYOUT_HALVES, LAYOUT_ONE,  LAYOUT_THIRD,
                                          LAYOUT_BRIDGE, LAYOUT_RING, LAYOUT_PAIRS};
    struct prng *prng = &world->faults.prng;
    enum layout layout = layouts[prng_below(prng, sizeof layouts / sizeof *layouts)];
    if (fault == FAULT_ONE_WAY)
        layout = prng_chance(prng, 500000) ? LAYOUT_ONE_WAY : LAYOUT_ONE_WAY_PAIRS;
    world_say(world, UINT32_MAX, "partition layout=%d", layout);
    world->faults.partitions++;
    network_partition(&world->network, layout, prng, world->now);
    for (duration at = SECOND; at < lasts; at += SECOND)
        later(world, HAPPEN_SWEEP, UINT32_MAX, at, 0);
    later(world, HAPPEN_FAULT_END, UINT32_MAX, lasts, (uint64_t)fault);
}

static void strike_overheat(struct world *world, duration lasts)
{
    struct prng *prng = &world->faults.prng;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        bool is_hit = prng_chance(prng, OVERHEAT_SHARE);
        duration back = lasts + (duration)prng_below(prng, (uint64_t)lasts + 1);
        if (is_hit) faults_crash(world, i, CRASH_UNSYNCED, back);
    }
}

/* The first strike takes the image, a later one brings it back. */
static void strike_image(struct world *world, struct host *host, duration lasts)
{
    if (host->state == HOST_DOWN) return;
    if (host->image != NULL) faults_crash(world, host->index, CRASH_IMAGE, lasts);
    else disk_take_image(host);
}

static void strike_host(struct world *world, enum fault fault, struct host *host, duration lasts)
{
    struct prng *prng = &world->faults.prng;
    uint32_t index = host->index;
    switch (fault) {
    case FAULT_WONKY: world->network.wonky[index] = WONKY_LOSS; break;
    case FAULT_KILL: faults_crash(world, index, CRASH_KILL, lasts); return;
    case FAULT_POWER: faults_crash(world, index, CRASH_UNSYNCED, lasts); return;
    case FAULT_DISK_LOST: faults_crash(world, index, CRASH_DISK, lasts); return;
    case FAULT_OLD_IMAGE: strike_image(world, host, lasts); return;
    case FAULT_PAUSE: faults_pause(world, index, lasts); return;
    case FAULT_SLOW_DISK:
        host->fsync_delay = (duration)log_uniform(prng, SLOW_SYNC_MIN, SLOW_SYNC_MAX);
        break;
    case FAULT_DISK_ERROR:
        disk_fail(host, 1 + prng_below(prng, DISK_OPERATIONS_MAX), ERROR_IO);
        return;
    case FAULT_STRAGGLER: host->slowness = 2 + (uint32_t)prng_below(prng, SLOWNESS_MAX); break;
    default: assert(!"a fault of one host");
    }
    later(world, HAPPEN_FAULT_END, index, lasts, (uint64_t)fault);
}

void faults_strike(struct world *world, const struct happening *happening)
{
    if (world->phase != PHASE_SAFETY) return;
    struct faults *faults = &world->faults;
    enum fault fault = (enum fault)happening->number;
    uint32_t host = (uint32_t)prng_below(&faults->prng, world->hosts_count);
    duration lasts =
        1 + (duration)prng_below(&faults->prng, (uint64_t)faults->knobs[fault].lasts + 1);
    faults->count++;
    world_say(world, host, "fault %s for=%lldms", fault_text(fault), (long long)lasts / 1000);
    if (fault == FAULT_PARTITION || fault == FAULT_ONE_WAY) strike_partition(world, fault, lasts);
    else if (fault == FAULT_OVERHEAT) strike_overheat(world, lasts);
    else if (fault == FAULT_STREAM_CUT) (void)streams_cut_one(world, &faults->prng);
    else strike_host(world, fault, &world->hosts[host], lasts);
    next_strike(world, fault);
}

void faults_end(struct world *world, const struct happening *happening)
{
    if (world->phase != PHASE_SAFETY) return;
    switch ((enum fault)happening->number) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY: network_heal(&world->network, false); return;
    case FAULT_WONKY: world->network.wonky[happening->host] = 0; return;
    case FAULT_SLOW_DISK: world->hosts[happening->host].fsync_delay = DISK_SYNC_DELAY; return;
    case FAULT_STRAGGLER: world->hosts[happening->host].slowness = 1; return;
    default: assert(!"a fault that ends");
    }
}

void faults_heal(struct world *world)
{
    for (int fault = 0; fault < FAULT_COUNT; fault++) world->faults.knobs[fault].is_on = false;
}
