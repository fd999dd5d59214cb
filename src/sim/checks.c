/* The safety invariants. Two global tables are the witnesses: for every log digest ever seen the
 * state that belongs to it, and for every feed position the contents that belong to it. A node that
 * disagrees with what any node ever held there has broken S1, or S3 and S5, and the step that broke
 * it is the one just made. */
#include "sim/checks.h"

#include "gossip/gossip.h"
#include "sim/client.h"
#include "sim/grow.h"
#include "sim/world.h"
#include "store/flock.h"
#include "store/log.h"
#include "tasks/jobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHECK_EVERY = 500 * MILLISECOND,
    GONE_AFTER = 3 * SECOND + 100 * MILLISECOND, /* S6: and a grace for the step that asks */
    LEAVES_HEARD = 500 * MILLISECOND,            /* that somebody leaves, by who is linked to it */
    LIVE_AT_LEAST = 10 * SECOND,                 /* what was in flight at the heal shows by then */
    CONVERGE_WITHIN = 120 * SECOND,              /* L1 to L3 */
    TIDY_WITHIN = 240 * SECOND, /* of a history: a disk held full is asked again each minute */
};

struct state_item {
    uint64_t log;
    uint64_t state;
    uint32_t host;
    instant at;
};

struct chain_item {
    struct {
        struct id node;
        struct boot boot;
        uint64_t sequence;
    } key;
    struct digest digest;
    uint32_t host;
};

void checks_init(struct world *world, uint32_t jobs)
{
    struct checks *checks = &world->checks;
    map_init(&checks->states, &world->memory, offsetof(struct state_item, log), sizeof(uint64_t));
    map_init(&checks->chains, &world->memory, offsetof(struct chain_item, key),
             sizeof(((struct chain_item *)0)->key));
    checks->jobs_count = jobs;
    checks->hosts = calloc(world->plan.nodes, sizeof *checks->hosts);
    checks->finals = calloc(jobs + 1, sizeof *checks->finals);
    checks->ends = calloc(jobs + 1, sizeof *checks->ends);
    checks->jobs = calloc(jobs + 1, sizeof *checks->jobs);
    assert(checks->hosts != NULL && checks->finals != NULL && checks->ends != NULL &&
           checks->jobs != NULL);
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        checks->hosts[i].ends = calloc(jobs + 1, sizeof *checks->hosts[i].ends);
        checks->hosts[i].holds = calloc(jobs + 1, sizeof *checks->hosts[i].holds);
        assert(checks->hosts[i].ends != NULL && checks->hosts[i].holds != NULL);
    }
}

static void free_all(struct map *map)
{
    size_t cursor = 0;
    for (void *item; (item = map_next(map, &cursor)) != NULL;) free(item);
    map_deinit(map);
}

void checks_deinit(struct world *world)
{
    struct checks *checks = &world->checks;
    free_all(&checks->states);
    free_all(&checks->chains);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        free(checks->hosts[i].ends);
        free(checks->hosts[i].holds);
        free(checks->hosts[i].durable);
        free(checks->hosts[i].looked);
        free(checks->hosts[i].met);
    }
    free(checks->hosts);
    for (uint32_t i = 0; i < checks->jobs_count; i++) {
        free(checks->ends[i].at);
        free(checks->jobs[i].at);
    }
    free(checks->ends);
    free(checks->jobs);
    free(checks->conflicts);
    free(checks->finals);
    free(checks->identities);
}

void checks_identity(struct world *world, const struct id *id)
{
    struct checks *checks = &world->checks;
    checks->identities = sim_grow(checks->identities, checks->identities_count,
                                  &checks->identities_capacity, sizeof *checks->identities);
    checks->identities[checks->identities_count++] = *id;
}

/* ---- S1 ---- */

static void check_state(struct world *world, struct host *host, uint64_t log)
{
    struct map *states = &world->checks.states;
    uint64_t state = node_state_digest(host->node);
    struct state_item *item = map_get(states, &log);
    if (item != NULL) {
        if (item->state != state)
            world_violated(world, host->index, "S1",
                           "log %016llx has state %016llx here, %016llx at n%u at %lld us",
                           (unsigned long long)log, (unsigned long long)state,
                           (unsigned long long)item->state, item->host, (long long)item->at);
        return;
    }
    item = malloc(sizeof *item);
    assert(item != NULL);
    *item = (struct state_item){log, state, host->index, world->now};
    enum error error = map_add(states, item);
    assert(error == ERROR_NONE);
    (void)error;
}

/* ---- S3, S5 ---- */

static void check_position(struct world *world, struct host *host,
                           const struct msg_feed_position *position, const struct digest *chain)
{
    struct chain_item wanted = {.key = {position->node, position->boot, position->have}};
    struct chain_item *item = map_get(&world->checks.chains, &wanted.key);
    if (item == NULL) {
        item = malloc(sizeof *item);
        assert(item != NULL);
        *item = wanted;
        item->digest = *chain;
        item->host = host->index;
        enum error error = map_add(&world->checks.chains, item);
        assert(error == ERROR_NONE);
        (void)error;
    } else if (!digest_equal(&item->digest, chain)) {
        char text[ID_SHORT_SIZE];
        world_violated(world, host->index, id_equal(&position->node, &host->id) ? "S5" : "S3",
                       "feed %s boot %llu position %llu has two contents (the other at n%u)",
                       id_short(&position->node, text), (unsigned long long)position->boot.counter,
                       (unsigned long long)position->have, item->host);
    }
}

/* Were this feed's (the n-th's) end and its content these when it was looked at last, and held
 * against the table? If not: now they are. */
static bool was_there(struct host_checks *checks, size_t n, const struct msg_feed_position *now,
                      const struct digest *chain)
{
    static const struct digest none;
    checks->looked = sim_grow(checks->looked, n, &checks->looked_capacity, sizeof *checks->looked);
    struct seen_feed *then = &checks->looked[n];
    if (chain == NULL) chain = &none;
    bool is_same = n < checks->looked_count && then->position.have == now->have &&
                   digest_equal(&then->chain, chain) &&
                   id_equal(&then->position.node, &now->node) &&
                   boot_equal(&then->position.boot, &now->boot);
    if (!is_same) *then = (struct seen_feed){*now, *chain};
    if (n >= checks->looked_count) checks->looked_count = n + 1;
    return is_same;
}

/* All feeds; the table of what everybody has is asked for those ends that are new here. */
static void check_feeds(struct world *world, struct host *host)
{
    struct host_checks *checks = &world->checks.hosts[host->index];
    size_t cursor = 0;
    struct msg_feed_position position;
    const struct digest *chain;
    while (log_chains_next(node_log(host->node), &cursor, &position, &chain)) {
        bool is_old = was_there(checks, cursor - 1, &position, chain);
        if (!is_old && chain != NULL) check_position(world, host, &position, chain);
        if (position.durable > position.have)
            world_violated(world, host->index, "S3", "more is durable than held");
    }
}

/* ---- S2, S6 ---- */

/* Who stayed outweighs who was evicted, whatever they say. */
static bool may_replace(const struct host *host, const struct seen_end *old, const struct job *job)
{
    const struct flock *flock = node_flock(host->node);
    bool was_late = flock_is_late(flock, &old->stamp), is_late = flock_is_late(flock, &job->ended);
    if (was_late != is_late) return was_late;
    if (job->outcome != old->outcome) return job->outcome < old->outcome;
    return stamp_compare(&job->ended, &old->stamp) <= 0;
}

static void remember_end(struct seen_ends *ends, const struct seen_end *end)
{
    for (size_t i = 0; i < ends->count; i++)
        if (stamp_equal(&ends->at[i].stamp, &end->stamp)) return;
    ends->at = sim_grow(ends->at, ends->count, &ends->capacity, sizeof *ends->at);
    ends->at[ends->count++] = *end;
}

bool checks_is_outweighed(const struct world *world, const struct host *host,
                          const struct sim_job *job, enum job_outcome told)
{
    const struct seen_ends *ends = &world->checks.ends[job->index];
    bool is_any = false;
    for (size_t i = 0; i < ends->count; i++) {
        if (ends->at[i].outcome != told) continue;
        if (!flock_is_late(node_flock(host->node), &ends->at[i].stamp)) return false;
        is_any = true;
    }
    return is_any;
}

static void remember_submission(struct submissions *submissions, const struct msg_stamp *stamp)
{
    for (size_t i = 0; i < submissions->count; i++)
        if (stamp_equal(&submissions->at[i], stamp)) return;
    submissions->at = sim_grow(submissions->at, submissions->count, &submissions->capacity,
                               sizeof *submissions->at);
    submissions->at[submissions->count++] = *stamp;
}

static void check_ends(struct world *world, struct host *host)
{
    const struct jobs *jobs = node_jobs(host->node);
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        struct seen_end *seen = &world->checks.hosts[host->index].ends[i];
        const struct job *job = jobs_find(jobs, &world->jobs[i].id);
        bool is_ended = job != NULL && job->outcome != JOB_RUNNING;
        if (job != NULL && job->is_known) remember_submission(&world->checks.jobs[i], &job->stamp);
        if (seen->outcome != JOB_RUNNING && (!is_ended || !may_replace(host, seen, job)))
            world_violated(world, host->index, "S2", "%s was %s and is %s now", world->jobs[i].name,
                           job_outcome_text(seen->outcome),
                           is_ended ? job_outcome_text(job->outcome) : "not ended");
        if (!is_ended) continue;
        bool is_new = seen->outcome == JOB_RUNNING;
        if (is_new || !stamp_equal(&seen->stamp, &job->ended))
            remember_end(&world->checks.ends[i], &(struct seen_end){job->outcome, job->ended});
        *seen = (struct seen_end){job->outcome, job->ended};
        if (!is_new) continue;
        queue_push(&world->queue, (struct happening){.at = world->now + GONE_AFTER,
                                                     .kind = HAPPEN_GONE,
                                                     .host = host->index,
                                                     .life = host->life,
                                                     .number = i});
    }
}

/* Two operators forgot each other's side of a partition, and one of them did not stand: what his
 * side had called final was the word of somebody who is late now, and the other side's is not. */
static bool is_of_mutual(const struct flock *flock, const struct conflict *conflict)
{
    if (flock_is_late(flock, &conflict->then.stamp) == flock_is_late(flock, &conflict->now.stamp))
        return false;
    for (size_t i = 0; i < flock->evictions_count; i++)
        if (flock->evictions[i].is_void) return true;
    return false;
}

/* Whom it had met when it was in step for the first time. Who has lost its disk is somebody else.
 */
static void note_met(struct world *world, const struct host *host)
{
    struct host_checks *checks = &world->checks.hosts[host->index];
    const struct flock *flock = node_flock(host->node);
    if (checks->met != NULL && !id_equal(&checks->met_as, &host->id)) {
        free(checks->met);
        checks->met = NULL;
    }
    if (checks->met != NULL || !flock_was_in_step(flock, &host->id)) return;
    checks->met = calloc(world->hosts_count, sizeof *checks->met);
    assert(checks->met != NULL);
    checks->met_as = host->id;
    for (uint32_t i = 0; i < world->hosts_count; i++)
        checks->met[i] = flock_has(flock, &world->hosts[i].id);
}

/* Two flocks that began apart, each without having met the other: of one is who first called an end
 * final, of the other who wrote the one that counts now. Nobody can wait for whom he has never
 * heard of. */
static bool is_of_strangers(const struct world *world, const struct conflict *conflict)
{
    uint32_t author = 0, first = conflict->then.host;
    while (author < world->hosts_count &&
           !id_equal(&world->hosts[author].id, &conflict->now.stamp.node))
        author++;
    if (author == world->hosts_count) return false;
    const struct host_checks *a = &world->checks.hosts[author], *b = &world->checks.hosts[first];
    return a->met != NULL && b->met != NULL && !a->met[first] && !b->met[author];
}

static void object(struct world *world, const struct conflict *conflict)
{
    const struct seen_final *then = &conflict->then;
    world_violated(world, conflict->host, "S2",
                   "%s was final (%s) at n%u at %lld us, and is %s%s (final at %lld us)",
                   world->jobs[conflict->job].name, job_outcome_text(then->outcome), then->host,
                   (long long)then->at, job_outcome_text(conflict->now.outcome),
                   stamp_equal(&then->stamp, &conflict->now.stamp) ? "" : " by another end",
                   (long long)conflict->at);
}

/* Somewhere in the flock; not everybody need know of it. */
static bool has_evictions(const struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct node *node = world->hosts[i].node;
        if (node != NULL && node_flock(node)->evictions_count > 0) return true;
    }
    return false;
}

/* Of mutual evictions neither side need know yet that the other's is there, and which stands. */
static void judge_later(struct world *world, const struct conflict *conflict)
{
    struct checks *checks = &world->checks;
    for (size_t i = 0; i < checks->conflicts_count; i++)
        if (checks->conflicts[i].job == conflict->job &&
            stamp_equal(&checks->conflicts[i].now.stamp, &conflict->now.stamp))
            return;
    checks->conflicts = sim_grow(checks->conflicts, checks->conflicts_count,
                                 &checks->conflicts_capacity, sizeof *checks->conflicts);
    checks->conflicts[checks->conflicts_count++] = *conflict;
}

void checks_conflicts(struct world *world)
{
    const struct checks *checks = &world->checks;
    uint32_t i = 0;
    while (i < world->hosts_count && world->hosts[i].node == NULL) i++;
    if (i == world->hosts_count) return;
    for (size_t c = 0; c < checks->conflicts_count; c++)
        if (!is_of_mutual(node_flock(world->hosts[i].node), &checks->conflicts[c]))
            object(world, &checks->conflicts[c]);
}

/* What is final: one result, everywhere and for ever. */
static void check_finals(struct world *world, struct host *host)
{
    const struct jobs *jobs = node_jobs(host->node);
    bool is_hasty = world->plan.canary == CANARY_HASTY_FINAL;
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        struct seen_final *seen = &world->checks.finals[i];
        const struct job *job = jobs_find(jobs, &world->jobs[i].id);
        if (job == NULL || job->outcome == JOB_RUNNING) continue;
        bool is_final = is_hasty || node_is_final(host->node, &job->id);
        if (!is_final) continue;
        if (!seen->is_said) {
            *seen = (struct seen_final){true,         host->index, world->now,
                                        job->outcome, job->ended,  job->manifest.digest};
            continue;
        }
        if (stamp_equal(&seen->stamp, &job->ended) && seen->outcome == job->outcome &&
            digest_equal(&seen->manifest, &job->manifest.digest))
            continue;
        struct conflict conflict = {i, host->index, world->now, *seen, {job->outcome, job->ended}};
        if (is_of_strangers(world, &conflict)) continue;
        if (has_evictions(world)) judge_later(world, &conflict);
        else object(world, &conflict);
    }
}

void checks_gone(struct world *world, struct host *host, const struct happening *happening)
{
    if (happening->life != host->life) return;
    bool was_paused = host->state == HOST_PAUSED || host->paused_last > world->now - GONE_AFTER;
    struct happening again = *happening;
    again.at = world->now + GONE_AFTER;
    const struct sim_job *job = &world->jobs[happening->number];
    if (was_paused) queue_push(&world->queue, again);
    else if (worker_count(world, host->index, job) > 0)
        world_violated(world, host->index, "S6", "programs of %s still run 3 s after its end",
                       job->name);
}

/* ---- one step ---- */

void checks_step(struct world *world, struct host *host)
{
    struct host_checks *checks = &world->checks.hosts[host->index];
    uint64_t log = node_log_digest(host->node);
    if (log != checks->log_digest) {
        checks->log_digest = log;
        check_state(world, host, log);
        check_feeds(world, host);
        note_met(world, host);
    }
    uint64_t revision = node_jobs(host->node)->revision;
    uint64_t finals = node_finals(host->node);
    bool has_news = revision != checks->revision, has_finals = finals != checks->finals;
    checks->revision = revision;
    checks->finals = finals;
    if (has_news) check_ends(world, host);
    if (has_news || has_finals) check_finals(world, host);
    if (node_running_count(host->node) > host->slots)
        world_violated(world, host->index, "S8", "%zu programs in %u slots",
                       node_running_count(host->node), host->slots);
}

/* ---- crash and return: what was told durable must come back (S4) ---- */

/* Is an entry that submits the job on this host's disk, as far as its node was told? */
static bool is_on_disk(const struct world *world, const struct host *host,
                       const struct sim_job *job)
{
    const struct submissions *submissions = &world->checks.jobs[job->index];
    for (size_t i = 0; i < submissions->count; i++) {
        const struct msg_stamp *stamp = &submissions->at[i];
        if (log_durable(node_log(host->node), &stamp->node, &stamp->boot) >= stamp->sequence)
            return true;
    }
    return false;
}

void checks_acknowledged(struct world *world, const struct sim_job *job)
{
    unsigned disks = 0;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        disks += host->node != NULL ? is_on_disk(world, host, job)
                                    : world->checks.hosts[i].holds[job->index];
    }
    uint64_t lost = world->faults.disks_lost;
    if (job->acks == 0 || disks + lost < job->acks)
        world_violated(world, job->peer, "S4", "%s was acknowledged by %u, and is on %u disks",
                       job->name, job->acks, disks);
}

bool checks_may_be_lost(const struct world *world, const struct sim_job *job)
{
    uint64_t lost = world->faults.disks_lost - job->disks_lost_at_ack;
    if (lost == 0 && job->acks > 0) return false;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        bool had_stayed = host->leaves_at > job->acked_at - LEAVES_HEARD;
        lost += host->is_gone && had_stayed && world->checks.hosts[i].holds[job->index];
    }
    return lost >= job->acks;
}

void checks_crashing(struct world *world, struct host *host, enum crash_kind kind)
{
    struct host_checks *checks = &world->checks.hosts[host->index];
    checks->log_digest = checks->revision = checks->finals = 0;
    memset(checks->ends, 0, world->jobs_count * sizeof *checks->ends);
    checks->durable_count = checks->looked_count = 0;
    bool is_kept = kind != CRASH_DISK && !(kind == CRASH_IMAGE && host->image != NULL);
    for (uint32_t i = 0; i < world->jobs_count; i++)
        checks->holds[i] = is_kept && is_on_disk(world, host, &world->jobs[i]);
    if (!is_kept) return;
    size_t cursor = 0;
    struct msg_feed_position position;
    while (log_feeds_next(node_log(host->node), &cursor, &position)) {
        checks->durable = sim_grow(checks->durable, checks->durable_count,
                                   &checks->durable_capacity, sizeof *checks->durable);
        checks->durable[checks->durable_count++] = position;
    }
}

void checks_loaded(struct world *world, struct host *host)
{
    struct host_checks *checks = &world->checks.hosts[host->index];
    for (size_t i = 0; i < checks->durable_count; i++) {
        const struct msg_feed_position *position = &checks->durable[i];
        uint64_t have = log_have(node_log(host->node), &position->node, &position->boot);
        char text[ID_SHORT_SIZE];
        if (have < position->durable)
            world_violated(world, host->index, "S4",
                           "feed %s boot %llu was durable up to %llu, %llu came back",
                           id_short(&position->node, text),
                           (unsigned long long)position->boot.counter,
                           (unsigned long long)position->durable, (unsigned long long)have);
    }
}

/* ---- regularly ---- */

static void check_members(struct world *world, const struct host *host)
{
    const struct members *members = &node_gossip(host->node)->members;
    size_t cursor = 0;
    for (struct member *member; (member = members_next(members, &cursor)) != NULL;) {
        bool is_real = false;
        for (size_t i = 0; i < world->checks.identities_count && !is_real; i++)
            is_real = id_equal(&world->checks.identities[i], &member->fact->id);
        char text[ID_SHORT_SIZE];
        if (!is_real)
            world_violated(world, host->index, "S7", "member %s is nobody",
                           id_short(&member->fact->id, text));
    }
}

void checks_regular(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].node == NULL) continue;
        check_members(world, &world->hosts[i]);
        check_feeds(world, &world->hosts[i]);
    }
    queue_push(&world->queue, (struct happening){.at = world->now + CHECK_EVERY,
                                                 .kind = HAPPEN_CHECK,
                                                 .host = UINT32_MAX});
    if (world->phase != PHASE_LIVENESS || world->now - world->healed < LIVE_AT_LEAST) return;
    char text[VIOLATION_SIZE / 2];
    const char *invariant = converge_missing(world, text, sizeof text);
    if (invariant == NULL) {
        converge_final(world);
        hostile_final(world);
        world->is_over = true;
    } else if (world->now - world->healed >
               (world->history == NULL ? CONVERGE_WITHIN : TIDY_WITHIN)) {
        world_violated(world, UINT32_MAX, invariant, "%s", text);
    }
}
