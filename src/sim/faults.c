/* One strike after the other. What a strike draws comes from its own source of chance, so that
 * leaving one out of the plan changes no other, and a list that was cut down fails as the whole one
 * did. */
#include "sim/faults.h"

#include "sim/client.h"
#include "sim/disk.h"
#include "sim/operator.h"
#include "sim/world.h"

#include <assert.h>

enum {
    WONKY_LOSS = 500000, /* a rack gone wonky, as reports of large clusters tell it */
    LATE_LONGEST = 3 * SECOND,
    OVERHEAT_SHARE = 850000,
};

void faults_begin(struct world *world)
{
    const struct plan *plan = &world->plan;
    for (size_t i = 0; i < plan->strikes_count; i++)
        queue_push(&world->queue, (struct happening){.at = plan->strikes[i].at,
                                                     .kind = HAPPEN_FAULT,
                                                     .host = UINT32_MAX,
                                                     .number = i});
    queue_push(&world->queue,
               (struct happening){.at = plan->heal, .kind = HAPPEN_HEAL, .host = UINT32_MAX});
}

static void later(struct world *world, enum happening_kind kind, uint32_t host, duration delay,
                  uint64_t number)
{
    if (delay == INSTANT_NEVER) return;
    queue_push(
        &world->queue,
        (struct happening){.at = world->now + delay, .kind = kind, .host = host, .number = number});
}

/* ---- hosts ---- */

static void crash(struct world *world, struct host *host, enum crash_kind kind, duration back)
{
    if (host->state == HOST_DOWN) return;
    bool is_forgetting = kind == CRASH_DISK || (kind == CRASH_IMAGE && host->image != NULL);
    if (is_forgetting) world->faults.disks_lost++;
    world->faults.crashes++;
    host_crash(world, host, kind);
    later(world, HAPPEN_START, host->index, back, 0);
}

void faults_kill(struct world *world, struct host *host)
{
    crash(world, host, CRASH_KILL, INSTANT_NEVER);
}

static enum crash_kind power_cut(const struct strike *strike)
{
    static const enum crash_kind kinds[STORAGE_CUTS] = {CRASH_LOST, CRASH_TORN, CRASH_REORDERED};
    assert(strike->value < STORAGE_CUTS);
    return kinds[strike->value];
}

static void overheat(struct world *world, const struct strike *strike, struct prng *prng)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        bool is_hit = prng_chance(prng, OVERHEAT_SHARE);
        duration back = strike->lasts;
        if (back != INSTANT_NEVER) back += (duration)prng_below(prng, (uint64_t)back + 1);
        if (is_hit) crash(world, &world->hosts[i], power_cut(strike), back);
    }
}

/* The first strike takes the image, a later one brings it back. */
static void image(struct world *world, struct host *host, duration back)
{
    if (host->state == HOST_DOWN) return;
    if (host->image != NULL) crash(world, host, CRASH_IMAGE, back);
    else disk_take_image(host);
}

/* A majority stays, and the one that left is back when the strike ends. */
static void leave(struct world *world, struct host *host, uint64_t number, duration back)
{
    uint32_t staying = 0;
    for (uint32_t i = 0; i < world->hosts_count; i++)
        staying += !world->hosts[i].is_gone && !world->hosts[i].is_leaving;
    if (host->state != HOST_UP || host->is_leaving || 2 * (staying - 1) <= world->hosts_count)
        return;
    host->is_leaving = true;
    host->leaves_at = world->now;
    queue_push(&world->queue, (struct happening){.at = world->now + 1,
                                                 .kind = HAPPEN_LEAVE,
                                                 .host = host->index,
                                                 .life = host->life});
    later(world, HAPPEN_FAULT_END, host->index, back, number);
}

static void forget(struct world *world, const struct strike *strike, struct host *host)
{
    struct prng prng;
    prng_init(&prng, strike->chance);
    world->faults.forgotten += operator_forget(world, host, &prng);
}

static void strike_host(struct world *world, const struct strike *strike, struct host *host,
                        uint64_t number)
{
    uint32_t index = host->index;
    duration lasts = strike->lasts;
    switch (strike->fault) {
    case FAULT_KILL: crash(world, host, CRASH_KILL, lasts); return;
    case FAULT_POWER: crash(world, host, power_cut(strike), lasts); return;
    case FAULT_DISK_LOST: crash(world, host, CRASH_DISK, lasts); return;
    case FAULT_OLD_IMAGE: image(world, host, lasts); return;
    case FAULT_LEAVE: leave(world, host, number, lasts); return;
    case FAULT_HOSTILE: hostile_strike(world, host); return;
    case FAULT_NO_MEMORY: host_starve(host, strike->value); return;
    case FAULT_FORGET: forget(world, strike, host); return;
    case FAULT_DISK_ERROR: disk_fail(host, strike->value, ERROR_IO); return;
    case FAULT_PAUSE:
        world->faults.pauses++;
        host_pause(world, host);
        later(world, HAPPEN_RESUME, index, lasts, 0);
        return;
    case FAULT_WONKY: world->network.wonky[index] = WONKY_LOSS; break;
    case FAULT_SLOW_DISK: host->fsync_delay = (duration)strike->value; break;
    case FAULT_DISK_FULL: host->full_at = strike->value; break;
    case FAULT_STRAGGLER: host->slowness = (uint32_t)strike->value; break;
    default: assert(!"a fault of one host");
    }
    later(world, HAPPEN_FAULT_END, index, lasts, number);
}

/* ---- the flock ---- */

static void partition(struct world *world, const struct strike *strike, struct prng *prng)
{
    world->faults.partitions++;
    heals_cut(world);
    network_partition(&world->network, (enum layout)strike->value, strike->group, prng, world->now);
    duration lasts = strike->lasts;
    if (lasts == INSTANT_NEVER) lasts = world->plan.heal - world->now;
    for (duration at = SECOND; at < lasts; at += SECOND)
        later(world, HAPPEN_SWEEP, UINT32_MAX, at, 0);
}

static void set_delay(struct world *world, duration most)
{
    struct network *network = &world->network;
    network->delay = most / 2;
    network->jitter = most;
    if (most / 2 + most > world->faults.delay_most) world->faults.delay_most = most / 2 + most;
}

static void strike_flock(struct world *world, const struct strike *strike, uint64_t number)
{
    struct network *network = &world->network;
    struct prng prng;
    prng_init(&prng, strike->chance);
    switch (strike->fault) {
    case FAULT_LOSS: network->loss = (uint32_t)strike->value; break;
    case FAULT_DUPLICATE: network->duplicate = (uint32_t)strike->value; break;
    case FAULT_CORRUPT: network->corrupt = (uint32_t)strike->value; break;
    case FAULT_DELAY: set_delay(world, (duration)strike->value); break;
    case FAULT_LATE:
        network->late = (uint32_t)strike->value;
        network->late_max = LATE_LONGEST;
        break;
    case FAULT_PARTITION:
    case FAULT_ONE_WAY: partition(world, strike, &prng); break;
    case FAULT_OVERHEAT: overheat(world, strike, &prng); return;
    case FAULT_STREAM_CUT: (void)streams_cut_one(world, &prng); return;
    default: assert(!"a fault of the flock");
    }
    later(world, HAPPEN_FAULT_END, UINT32_MAX, strike->lasts, number);
}

void faults_strike(struct world *world, const struct happening *happening)
{
    if (world->phase != PHASE_SAFETY) return;
    const struct strike *strike = &world->plan.strikes[happening->number];
    const struct fault_kind *kind = fault_kind(strike->fault);
    uint32_t host = strike->host % world->hosts_count;
    if (kind->interval_min > 0) world->faults.count++;
    world_say(world, kind->whom == WHOM_HOST ? host : UINT32_MAX, "fault %s %s%s%llu", kind->text,
              kind->value, kind->value[0] == '\0' ? "" : "=", (unsigned long long)strike->value);
    if (kind->whom == WHOM_HOST) strike_host(world, strike, &world->hosts[host], happening->number);
    else strike_flock(world, strike, happening->number);
}

void faults_end(struct world *world, const struct happening *happening)
{
    if (world->phase != PHASE_SAFETY) return;
    struct network *network = &world->network;
    struct host *host =
        happening->host < world->hosts_count ? &world->hosts[happening->host] : NULL;
    switch (world->plan.strikes[happening->number].fault) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        network_heal(network, false);
        heals_begin(world);
        return;
    case FAULT_LOSS: network->loss = 0; return;
    case FAULT_DUPLICATE: network->duplicate = 0; return;
    case FAULT_CORRUPT: network->corrupt = 0; return;
    case FAULT_LATE: network->late = 0; return;
    case FAULT_DELAY: network_calm(network); return;
    case FAULT_WONKY: network->wonky[host->index] = 0; return;
    case FAULT_SLOW_DISK: host->fsync_delay = DISK_SYNC_DELAY; return;
    case FAULT_DISK_FULL:
        host->is_full = false;
        host->full_at = 0;
        return;
    case FAULT_STRAGGLER: host->slowness = 1; return;
    case FAULT_LEAVE: host_return(world, host); return;
    default: assert(!"a fault that ends");
    }
}
