/* Which `ended` entry of a job counts. Timely over late (store/flock.h), then done over failed over
 * killed, then the least: a total order, so the winner does not depend on the order of arrival.
 * What lost is kept, too: an eviction that is heard of later can make the winner late. */
#include "tasks/ends.h"

#include "store/flock.h"
#include "tasks/copy.h"

#include <assert.h>

struct end {
    struct end *next;
    struct msg_stamp stamp;
    enum job_outcome outcome;
    enum cause cause;
    uint64_t wall_ms;
    struct msg_block_ref manifest;
    uint64_t size;
    struct slice text; /* owned */
};

static bool is_late(const struct jobs *jobs, const struct msg_stamp *stamp)
{
    return jobs->flock != NULL && flock_is_late(jobs->flock, stamp);
}

static bool outweighs(const struct jobs *jobs, const struct end *a, const struct end *b)
{
    bool is_a_late = is_late(jobs, &a->stamp), is_b_late = is_late(jobs, &b->stamp);
    if (is_a_late != is_b_late) return is_b_late;
    if (a->outcome != b->outcome) return a->outcome < b->outcome;
    return stamp_compare(&a->stamp, &b->stamp) < 0;
}

/* The one that counts, as the job has it. */
static struct end winner_of(const struct job *job)
{
    return (struct end){
        NULL,          job->ended,       job->outcome, job->ended_cause, job->ended_wall_ms,
        job->manifest, job->output_size, job->error};
}

static void count(struct job *job, const struct end *end)
{
    job->ended = end->stamp;
    job->outcome = end->outcome;
    job->ended_cause = end->cause;
    job->ended_wall_ms = end->wall_ms;
    job->manifest = end->manifest;
    job->output_size = end->size;
    job->error = end->text;
    job->is_final = false;
    job->late_since = 0;
}

static bool is_known(const struct job *job, const struct msg_stamp *stamp)
{
    if (job->outcome != JOB_RUNNING && stamp_equal(&job->ended, stamp)) return true;
    for (const struct end *end = job->other_ends; end != NULL; end = end->next)
        if (stamp_equal(&end->stamp, stamp)) return true;
    return false;
}

enum error ends_apply(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                      const struct msg_ended *ended, bool *is_first)
{
    struct end new = {.stamp = *stamp,
                      .outcome = (enum job_outcome)ended->outcome,
                      .cause = (enum cause)ended->cause,
                      .wall_ms = ended->wall_ms,
                      .manifest = ended->manifest,
                      .size = ended->size};
    *is_first = job->outcome == JOB_RUNNING;
    if (is_known(job, stamp)) return ERROR_NONE;
    struct end *other = *is_first ? NULL : memory_take(jobs->memory, sizeof *other);
    if (other == NULL && !*is_first) return ERROR_MEMORY;
    if (!copy_slice(jobs->memory, ended->text, &new.text)) {
        memory_put(jobs->memory, other, sizeof *other);
        return ERROR_MEMORY;
    }
    if (*is_first) {
        count(job, &new);
        return ERROR_NONE;
    }
    if (job->other_ends == NULL) {
        job->contested_next = jobs->contested;
        jobs->contested = job;
    }
    struct end winner = winner_of(job);
    bool is_better = outweighs(jobs, &new, &winner);
    *other = is_better ? winner : new;
    other->next = job->other_ends;
    job->other_ends = other;
    if (is_better) count(job, &new);
    return ERROR_NONE;
}

bool ends_reconsider(struct jobs *jobs, struct job *job)
{
    bool has_changed = false;
    for (struct end *end = job->other_ends; end != NULL; end = end->next) {
        struct end winner = winner_of(job), better = *end;
        if (!outweighs(jobs, end, &winner)) continue;
        winner.next = end->next;
        *end = winner;
        count(job, &better);
        has_changed = true;
    }
    return has_changed;
}

void ends_put_all(struct jobs *jobs, struct job *job)
{
    for (struct end *end = job->other_ends, *next; end != NULL; end = next) {
        next = end->next;
        copy_slice_put(jobs->memory, &end->text);
        memory_put(jobs->memory, end, sizeof *end);
    }
    job->other_ends = NULL;
    copy_slice_put(jobs->memory, &job->error);
}
