/* The loop: take what happens next, move the clock there, hand it to its file. The run's digest is
 * a hash over the kind, time and place of everything that happened and over the final states: two
 * runs of a seed that differ anywhere differ in it. */
#include "sim/world.h"

#include "base/hash.h"
#include "sim/client.h"
#include "sim/disk.h"
#include "sim/history.h"
#include "sim/operator.h"
#include "store/flock.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SCRATCH_SIZE = 64 << 20,      /* a decoded record at its worst; untouched pages cost nothing */
    STEPS_MAX = 20 * 1000 * 1000, /* a run that takes more has run wild */
};

const char *canary_text(enum canary canary)
{
    static const char *const texts[CANARY_COUNT] = {
        "none",
#define CANARY(name, text, about) text,
#include "sim/canaries.def"
#undef CANARY
    };
    return texts[canary];
}

const char *canary_about(enum canary canary)
{
    static const char *const texts[CANARY_COUNT] = {
        "no planted bug",
#define CANARY(name, text, about) about,
#include "sim/canaries.def"
#undef CANARY
    };
    return texts[canary];
}

/* ---- beginning and end ---- */

static void *take(size_t size)
{
    void *memory = aligned_alloc(16, size);
    assert(memory != NULL);
    return memory;
}

static void init_memory(struct world *world)
{
    memory_init(&world->memory, SIZE_MAX);
    world->actions_memory = take(ACTIONS_ARENA_SIZE);
    world->items_memory = take(ACTIONS_MAX * sizeof(struct action));
    world->scratch_memory = take(SCRATCH_SIZE);
    actions_init(&world->actions, world->items_memory, ACTIONS_MAX, world->actions_memory,
                 ACTIONS_ARENA_SIZE);
    arena_init(&world->scratch, world->scratch_memory, SCRATCH_SIZE);
}

static void init_hosts(struct world *world)
{
    world->hosts_count = world->plan.nodes;
    world->hosts = calloc(world->hosts_count, sizeof *world->hosts);
    assert(world->hosts != NULL);
    for (uint32_t i = 0; i < world->hosts_count; i++) host_init(world, &world->hosts[i], i);
}

void world_init(struct world *world, const struct sim_options *options, struct sim_result *result)
{
    *world = (struct world){.options = *options, .result = result};
    *result = (struct sim_result){0};
    plan_make(&world->plan, options);
    const struct plan *plan = &world->plan;
    uint64_t seed = plan->seed;
    prng_init(&world->prng, hash64(&seed, sizeof seed, 1));
    prng_fill(&world->prng, world->key.bytes, sizeof world->key.bytes);
    world->profile = plan->profile == CHOICE_SECOND ? PROFILE_LAN : PROFILE_LOCAL;
    init_memory(world);
    verified_init(&world->verified, &crypto_sodium, &world->memory);
    world->crypto = plan->crypto == CHOICE_SECOND ? &world->verified.crypto : &crypto_plain;
    network_init(&world->network, plan->nodes, hash64(&seed, sizeof seed, 2));
    streams_init(&world->streams, &world->memory);
    blocks_init(&world->blocks, &world->memory);
    worker_init(world, hash64(&seed, sizeof seed, 3));
    checks_init(world, (uint32_t)plan->jobs_count);
    init_hosts(world);
    clients_init(world, hash64(&seed, sizeof seed, 4));
    if (options->is_history) history_init(world, hash64(&seed, sizeof seed, 5));
    faults_begin(world);
    queue_push(&world->queue, (struct happening){.at = SECOND, .kind = HAPPEN_CHECK});
}

void world_deinit(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) host_deinit(world, &world->hosts[i]);
    free(world->hosts);
    worker_deinit(world);
    clients_deinit(world);
    history_deinit(world);
    streams_deinit(&world->streams);
    blocks_deinit(&world->blocks);
    network_deinit(&world->network);
    checks_deinit(world);
    hostile_deinit(world);
    verified_deinit(&world->verified);
    queue_deinit(&world->queue);
    plan_deinit(&world->plan);
    free(world->actions_memory);
    free(world->items_memory);
    free(world->scratch_memory);
    assert(world->memory.used == 0);
}

/* ---- words ---- */

static void print_time(char text[32], instant now)
{
    snprintf(text, 32, "%lld.%06lld", (long long)(now / SECOND), (long long)(now % SECOND));
}

void world_violated(struct world *world, uint32_t host, const char *invariant, const char *format,
                    ...)
{
    if (world->is_violated) return;
    world->is_violated = true;
    char at[32], text[VIOLATION_SIZE / 2], name[HOST_NAME_SIZE] = "-";
    print_time(at, world->now);
    if (host < world->hosts_count) snprintf(name, sizeof name, "n%u", host);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(world->result->violation, VIOLATION_SIZE, "violated %s at t=%s node=%s: %s", invariant,
             at, name, text);
}

void world_say(struct world *world, uint32_t host, const char *format, ...)
{
    if (!world->options.is_verbose) return;
    char at[32], text[VIOLATION_SIZE], name[HOST_NAME_SIZE] = "*";
    print_time(at, world->now);
    if (host < world->hosts_count) snprintf(name, sizeof name, "n%u", host);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%s %s %s\n", at, name, text);
}

/* ---- what happens ---- */

void world_heal(struct world *world)
{
    world->phase = PHASE_LIVENESS;
    world->healed = world->now;
    world_say(world, UINT32_MAX, "heal");
    bool was_cut = world->network.cuts > 0;
    network_heal(&world->network, true);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *host = &world->hosts[i];
        host_resume(world, host);
        host->fsync_delay = DISK_SYNC_DELAY;
        host->is_full = false;
        host->full_at = 0;
        host_starve(host, 0);
        host->slowness = 1;
        disk_fail(host, 0, ERROR_IO); /* none fails any more */
        if (host->state == HOST_DOWN) host_start(world, host);
        if (world->faults.forgotten > 0) operator_join(world, host);
    }
    if (was_cut) heals_begin(world);
    if (world->plan.canary != CANARY_STAY_CUT) return;
    for (uint32_t i = 1; i < world->hosts_count; i++) {
        network_cut(&world->network, 0, i, world->now);
        network_cut(&world->network, i, 0, world->now);
    }
}

static void deliver_datagram(struct world *world, struct host *host,
                             const struct happening *happening)
{
    struct event event = {.kind = EVENT_DATAGRAM};
    size_t head = sizeof event.datagram.from;
    memcpy(&event.datagram.from, happening->bytes, head);
    event.datagram.bytes = slice_of((uint8_t *)happening->bytes + head, happening->size - head);
    host_step(world, host, &event);
}

static void deliver_simple(struct world *world, struct host *host,
                           const struct happening *happening)
{
    struct event event = {.kind = EVENT_LEAVE};
    if (happening->kind == HAPPEN_RESOLVED) {
        event.kind = EVENT_RESOLVED;
        event.resolved.token = happening->number;
    } else if (happening->kind == HAPPEN_STORAGE_FAILED) {
        event.kind = EVENT_STORAGE_FAILED;
        event.storage_failed.error = (enum error)happening->number;
    }
    host_step(world, host, &event);
}

static void happen_to_host(struct world *world, struct host *host,
                           const struct happening *happening)
{
    switch (happening->kind) {
    case HAPPEN_TICK: host_tick(world, host); return;
    case HAPPEN_DATAGRAM: deliver_datagram(world, host, happening); return;
    case HAPPEN_SYNCED: disk_synced(world, host, happening->number); return;
    case HAPPEN_BLOCK:
    case HAPPEN_FETCH: blocks_happen(world, host, happening); return;
    case HAPPEN_INPUTS:
    case HAPPEN_FINISH:
    case HAPPEN_TAIL: worker_happen(world, host, happening); return;
    case HAPPEN_RESOLVED:
    case HAPPEN_STORAGE_FAILED:
    case HAPPEN_LEAVE: deliver_simple(world, host, happening); return;
    case HAPPEN_START: host_start(world, host); return;
    case HAPPEN_RESUME: host_resume(world, host); return;
    case HAPPEN_GONE: checks_gone(world, host, happening); return;
    default: assert(!"a happening of a host");
    }
}

static void happen(struct world *world, const struct happening *happening)
{
    switch (happening->kind) {
    case HAPPEN_STREAM_ACCEPT:
    case HAPPEN_STREAM_OPENED:
    case HAPPEN_STREAM_HEAD:
    case HAPPEN_STREAM_CLOSED: streams_happen(world, happening); return;
    case HAPPEN_SWEEP: streams_sweep(world); return;
    case HAPPEN_CLIENT: client_turn(world, (uint32_t)happening->number, happening->side); return;
    case HAPPEN_HISTORY: history_turn(world, happening->number, happening->side); return;
    case HAPPEN_FAULT: faults_strike(world, happening); return;
    case HAPPEN_FAULT_END: faults_end(world, happening); return;
    case HAPPEN_HEAL: world_heal(world); return;
    case HAPPEN_CHECK: checks_regular(world); return;
    default: happen_to_host(world, &world->hosts[happening->host], happening);
    }
}

static void digest_happening(struct world *world, const struct happening *happening)
{
    uint64_t words[4] = {(uint64_t)happening->at, happening->kind, happening->host,
                         happening->number};
    world->digest = hash64(words, sizeof words, world->digest);
    duration every = world->options.digest_every;
    while (every > 0 && world->now >= world->digest_next) {
        printf("t=%llds digest=%016llx\n", (long long)(world->digest_next / SECOND),
               (unsigned long long)world->digest);
        world->digest_next += every;
    }
}

/* The planted bug that only a second run of the seed can find. */
static void disturb(struct world *world)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    if (time.tv_nsec % 64 == 0) (void)prng_next(&world->network.prng);
}

/* Programs of a job that were not in vain: one a task that ran, or as many as its outputs are
 * compared of; one each own failure; and those started as second copies, which were meant. */
static uint64_t needed(const struct sim_job *job)
{
    uint64_t count = 0, all = 0;
    uint32_t wanted = job->verify > 1 ? job->verify : 1;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < (kind == TASK_MAP ? job->maps : job->reduces); i++) {
            uint32_t runs = job->runs[kind][i], exits = job->exits[kind][i];
            count += runs > exits + wanted ? exits + wanted : runs;
            all += runs;
        }
    return count + job->copies < all ? count + job->copies : all;
}

static void finish(struct world *world)
{
    struct sim_result *result = world->result;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].node == NULL) continue;
        const struct flock *flock = node_flock(world->hosts[i].node);
        if (flock->evictions_count > result->evictions)
            result->evictions = (uint32_t)flock->evictions_count;
        if (flock->returns_count > result->returns)
            result->returns = (uint32_t)flock->returns_count;
        uint64_t state = node_state_digest(world->hosts[i].node);
        if (result->state == 0) result->log = node_log_digest(world->hosts[i].node);
        if (result->state == 0) result->state = state;
        world->digest = hash64(&state, sizeof state, world->digest);
    }
    result->is_ok = !world->is_violated;
    result->digest = world->digest;
    result->steps = world->steps;
    result->end = world->now;
    result->nodes = world->hosts_count;
    result->jobs = world->jobs_count;
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        result->jobs_done += world->jobs[i].told == JOB_DONE;
        result->jobs_failed += world->jobs[i].told == JOB_FAILED;
        result->jobs_killed += world->jobs[i].told == JOB_KILLED;
    }
    result->faults = world->faults.count;
    result->rotten = world->faults.rotten;
    result->departures = world->faults.departures;
    result->disks_lost = world->faults.disks_lost;
    result->datagrams = world->network.datagrams;
    result->datagrams_lost = world->network.lost;
    result->executions = result->vain = world->worker.executions;
    for (uint32_t i = 0; i < world->jobs_count; i++) result->vain -= needed(&world->jobs[i]);
}

void world_run(struct world *world)
{
    struct happening happening;
    while (!world->is_violated && !world->is_over && queue_pop(&world->queue, &happening)) {
        assert(happening.at >= world->now);
        world->now = happening.at;
        bool is_of_host = happening.host < world->hosts_count;
        if (is_of_host && host_holds(&world->hosts[happening.host], &happening)) continue;
        digest_happening(world, &happening);
        if (world->plan.canary == CANARY_RANDOM_CLOCK) disturb(world);
        happen(world, &happening);
        free(happening.bytes);
        if (world->steps > STEPS_MAX)
            world_violated(world, UINT32_MAX, "S8", "more than %d steps", STEPS_MAX);
    }
    finish(world);
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
    struct world *world = calloc(1, sizeof *world);
    assert(world != NULL);
    world_init(world, options, result);
    world_run(world);
    world_deinit(world);
    free(world);
}
