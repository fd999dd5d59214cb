/* The liveness invariants: after the heal every job ends (L1), all replicas hold the same (L2),
 * members agree (L3), nothing runs on (L4). And what must hold at the end: one outcome everywhere
 * (S2), an acknowledged job is known (S4), a failure is the program's own (S9), work is bounded
 * (S10), the output can be had (M). */
#include "sim/checks.h"

#include "gossip/gossip.h"
#include "sim/client.h"
#include "sim/history.h"
#include "sim/world.h"
#include "store/log.h"
#include "store/flock.h"
#include "tasks/jobs.h"

#include <stdio.h>

enum {
    RANK_STEP = 25 * MILLISECOND, /* tasks/schedule.c: the next in order waits so long */
    MESH_MAX = 16,                /* node/links.c: with more, not everyone is linked to everyone */
    POISON_DEATHS = 3,            /* so many owners died of what is called poison */
};

/* ---- L ---- */

/* Somebody took it along: it is on that disk. Only those may who saw nobody there who stays, or
 * waited the 5 s that leaving may take and heard from none that all was on its disk: a machine that
 * is to go down must not hang on who cannot be reached, and the job is back with the disk. Whoever
 * was heard has it, so a leave that was not alone excuses nothing. */
static bool is_taken_along(const struct world *world, const struct sim_job *job)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        bool has_left_alone = host->is_gone && host->was_alone;
        if (has_left_alone && world->checks.hosts[i].holds[job->index]) return true;
    }
    return false;
}

static bool is_known_somewhere(const struct world *world, const struct sim_job *job)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->node != NULL && jobs_find(node_jobs(host->node), &job->id) != NULL) return true;
    }
    return false;
}

static const char *missing_jobs(struct world *world, char *text, size_t size)
{
    static const char *const states[] = {"away", "connecting", "submitting", "waiting", "reading"};
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        const struct sim_job *job = &world->jobs[i];
        if (job->state == CLIENT_OVER) continue;
        if (is_taken_along(world, job) && !is_known_somewhere(world, job)) continue;
        snprintf(text, size, "job %u (%s, %s) has not ended; its client is %s at n%u, acked=%d", i,
                 job->name, job->command, states[job->state], job->peer, job->is_acked);
        return "L1";
    }
    return NULL;
}

static const char *missing_logs(struct world *world, char *text, size_t size)
{
    const struct host *first = NULL;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->is_gone) continue;
        if (host->node == NULL) {
            snprintf(text, size, "n%u is down", i);
            return "L2";
        }
        if (first == NULL) first = host;
        if (node_log_digest(host->node) == node_log_digest(first->node)) continue;
        snprintf(text, size, "n%u and n%u hold different logs", first->index, i);
        return "L2";
    }
    return NULL;
}

static const struct host *host_of(const struct world *world, const struct id *id);

/* Those of the roster who will not come back: while there are any no result becomes final. */
static size_t gone_count(const struct world *world, const struct host *host)
{
    const struct flock *flock = node_flock(host->node);
    size_t cursor = 0, gone = 0;
    for (const struct flock_node *at; (at = flock_next(flock, &cursor)) != NULL;)
        gone += host_of(world, &at->id) == NULL;
    return gone;
}

/* All of the roster are here: then what has ended becomes final. Where not everyone is linked to
 * everyone vectors may not come, and nothing is promised (node/final.c): streams that blocks need
 * bring them mostly, but what is small needs none. */
static const char *missing_finals(struct world *world, char *text, size_t size)
{
    if (world->hosts_count > MESH_MAX) return NULL;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->node == NULL) continue;
        size_t gone = gone_count(world, host), all = flock_count(node_flock(host->node));
        if (gone > 0) {
            if (world->plan.evict == INSTANT_NEVER || 2 * gone >= all) continue;
            snprintf(text, size, "n%u has somebody on its roster who is gone", i);
            return "L3";
        }
        const struct job *job = node_jobs(host->node)->all;
        while (job != NULL && (job->outcome == JOB_RUNNING || job->is_final)) job = job->next;
        if (job == NULL) continue;
        char why[128];
        node_final_text(host->node, &job->id, why, sizeof why);
        snprintf(text, size, "n%u calls %s %s", i, job->name, why);
        return "L2";
    }
    return NULL;
}

static const struct host *host_of(const struct world *world, const struct id *id)
{
    for (uint32_t i = 0; i < world->hosts_count; i++)
        if (id_equal(&world->hosts[i].id, id) && !world->hosts[i].is_gone) return &world->hosts[i];
    return NULL;
}

static const char *missing_members_of(struct world *world, const struct host *host, char *text,
                                      size_t size)
{
    const struct members *members = &node_gossip(host->node)->members;
    char name[ID_SHORT_SIZE];
    size_t cursor = 0, living = 0, expected = 0;
    for (struct member *member; (member = members_next(members, &cursor)) != NULL;) {
        const struct host *other = host_of(world, &member->fact->id);
        if (other == NULL && !member_is_living(member)) continue;
        bool is_right = other != NULL && member->state == MEMBER_ALIVE &&
                        boot_equal(&member->fact->boot, &other->boot);
        living++;
        if (is_right) continue;
        snprintf(text, size, "n%u holds %s (%s) %s", host->index, id_short(&member->fact->id, name),
                 member->fact->name, member_state_text(member->state));
        return "L3";
    }
    for (uint32_t i = 0; i < world->hosts_count; i++) expected += !world->hosts[i].is_gone;
    snprintf(text, size, "n%u knows %zu of %zu members", host->index, living, expected);
    return living == expected ? NULL : "L3";
}

static const char *missing_silence(struct world *world, char *text, size_t size)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->node == NULL) continue;
        size_t running = worker_count(world, i, NULL);
        if (running == 0 && node_running_count(host->node) == 0) continue;
        snprintf(text, size, "n%u still runs %zu programs (it thinks %zu)", i, running,
                 node_running_count(host->node));
        return "L4";
    }
    return NULL;
}

const char *converge_missing(struct world *world, char *text, size_t size)
{
    const char *missing = missing_jobs(world, text, size);
    if (missing == NULL) missing = missing_logs(world, text, size);
    if (missing == NULL) missing = missing_finals(world, text, size);
    for (uint32_t i = 0; i < world->hosts_count && missing == NULL; i++)
        if (world->hosts[i].node != NULL)
            missing = missing_members_of(world, &world->hosts[i], text, size);
    if (missing == NULL) missing = missing_silence(world, text, size);
    if (missing == NULL) missing = history_missing(world, text, size);
    return missing;
}

/* ---- S2, S4 at the end ---- */

/* Of an ended job the end stands for its tasks, of which a replica may know some or none. */
static bool is_same_commit(const struct job *a, const struct job *b)
{
    if (a->outcome != JOB_RUNNING && b->outcome != JOB_RUNNING)
        return stamp_equal(&a->ended, &b->ended) &&
               digest_equal(&a->manifest.digest, &b->manifest.digest);
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = kind == TASK_MAP ? a->spec.maps : a->spec.reduces;
        for (uint32_t i = 0; i < count && a->tasks[kind] != NULL && b->tasks[kind] != NULL; i++) {
            const struct attempt *one = task_committed(&a->tasks[kind][i]);
            const struct attempt *other = task_committed(&b->tasks[kind][i]);
            if ((one == NULL) != (other == NULL)) return false;
            if (one != NULL && !stamp_equal(&one->done, &other->done)) return false;
        }
    }
    return true;
}

static void final_job(struct world *world, const struct sim_job *job, const struct host *host)
{
    const struct job *here = jobs_find(node_jobs(host->node), &job->id);
    const struct host *first = host_of(world, &world->hosts[0].id);
    bool is_known = here != NULL && here->is_known;
    if (!is_known && is_taken_along(world, job)) return;
    if (!is_known && checks_may_be_lost(world, job)) return;
    if (!is_known) {
        world_violated(world, host->index, "S4", "%s was acknowledged by %u and is lost", job->name,
                       job->acks);
        return;
    }
    if (here->outcome > job->told && !checks_is_outweighed(world, host, job, job->told))
        world_violated(world, host->index, "S2", "a client was told %s of %s, which is %s here",
                       job_outcome_text(job->told), job->name, job_outcome_text(here->outcome));
    if (first == NULL || first->node == NULL) return;
    const struct job *there = jobs_find(node_jobs(first->node), &job->id);
    if (there == NULL || there->outcome != here->outcome || !is_same_commit(here, there))
        world_violated(world, host->index, "S2", "n%u has other commits of %s", first->index,
                       job->name);
}

/* ---- S9, S10 ---- */

static uint32_t most_exits(const struct sim_job *job)
{
    uint32_t most = 0;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < (kind == TASK_MAP ? job->maps : job->reduces); i++)
            if (job->exits[kind][i] > most) most = job->exits[kind][i];
    return most;
}

/* A failure must be the program's own, a poison that killed its owners, or an input that lost disks
 * took along. */
static void final_blame(struct world *world, const struct sim_job *job, const struct job *here)
{
    const struct faults *faults = &world->faults;
    if (here->outcome == JOB_KILLED && !job->wants_kill)
        world_violated(world, UINT32_MAX, "S9", "%s was killed by nobody", job->name);
    if (here->outcome != JOB_FAILED) return;
    bool is_own = most_exits(job) >= job->retries;
    bool is_poison = here->ended_cause != CAUSE_INPUT_LOST &&
                     here->ended_cause != CAUSE_TASK_FAILED && faults->crashes >= POISON_DEATHS;
    bool is_lost = here->ended_cause == CAUSE_INPUT_LOST && faults->disks_lost > 0;
    if (!is_own && !is_poison && !is_lost)
        world_violated(world, UINT32_MAX, "S9",
                       "%s failed (%s: %.*s), its programs exited %u times", job->name,
                       cause_text(here->ended_cause), (int)here->error.count,
                       (const char *)here->error.at, most_exits(job));
}

static void final_work(struct world *world, const struct sim_job *job)
{
    const struct faults *faults = &world->faults;
    uint64_t runs = 0, exits = 0, tasks = job->maps + job->reduces;
    if (job->verify > 1) tasks *= job->verify;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < (kind == TASK_MAP ? job->maps : job->reduces); i++) {
            runs += job->runs[kind][i];
            exits += job->exits[kind][i];
        }
    /* Loose. Every fault may cost each of its tasks once. Each attempt may have a rival; where
     * a claim takes longer to be heard of than the schedule waits, as many as there are nodes. */
    uint64_t rivals = faults->delay_most > RANK_STEP ? world->hosts_count : 2;
    uint64_t strikes = faults->count + faults->crashes + faults->pauses + faults->partitions;
    /* One second copy an attempt, at most. */
    uint64_t attempts = rivals * (tasks + exits) + strikes * tasks;
    if (job->copies > attempts || runs > attempts + rivals * job->copies)
        world_violated(world, UINT32_MAX, "S10",
                       "%s ran %llu programs for %llu tasks, %llu as second copies", job->name,
                       (unsigned long long)runs, (unsigned long long)tasks,
                       (unsigned long long)job->copies);
}

/* ---- M ---- */

/* Who left has it, and said so: it had seen nobody who could take a copy, or nobody took one. */
static bool is_kept(const struct world *world, const struct digest *digest)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->is_gone && host->has_kept && blocks_has(host, digest)) return true;
    }
    return false;
}

static void final_output(struct world *world, const struct sim_job *job)
{
    for (uint32_t part = 0; part < job->expected_count; part++) {
        bool is_held = false;
        for (uint32_t i = 0; i < world->hosts_count && !is_held; i++)
            is_held = world->hosts[i].node != NULL &&
                      (blocks_has(&world->hosts[i], &job->expected[part]) ||
                       node_carries(world->hosts[i].node, &job->expected[part]));
        if (!is_held && world->faults.disks_lost == 0 && !is_kept(world, &job->expected[part]))
            world_violated(world, UINT32_MAX, "M", "nobody holds part %u of %s", part, job->output);
    }
}

void converge_final(struct world *world)
{
    checks_conflicts(world);
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        const struct sim_job *job = &world->jobs[i];
        const struct job *here = NULL;
        for (uint32_t h = 0; h < world->hosts_count; h++) {
            const struct host *host = &world->hosts[h];
            if (host->node == NULL) continue;
            final_job(world, job, host);
            here = jobs_find(node_jobs(host->node), &job->id);
        }
        if (here == NULL || world->is_violated) continue;
        final_blame(world, job, here);
        final_work(world, job);
        if (job->told == JOB_DONE) final_output(world, job);
    }
}
