/* Attempts: the join that makes the fold independent of order, and every count that follows
 * from it.
 *
 * An attempt's end is the greatest of what the entries say of it, by strength and then by the
 * least stamp:
 *
 *     RUNNING  <  DEAD  <  RELEASED  <  FAILED  <  DONE   (LOST: a DONE whose done a lost names)
 *
 * A maximum over a total order does not depend on the order of arrival, nor on duplicates; the
 * facts kept beside the state (status, output, last words, ...) are all those of the winning
 * entry. DEAD has no entry of its own: it follows from the marks of its owner. done over
 * failed: an attempt whose output is published is of use whatever else was said of it. Anything
 * over DEAD: a verdict on a node is a guess, what the node itself said of its attempt is not.
 *
 * Every change goes through leave .. enter: what the attempt contributes to counts and digest
 * is taken out, the attempt changes, and what it now contributes is put in. So no count can
 * drift, and none is ever recomputed. */
#include "tasks/attempt.h"

#include "base/hash.h"
#include "tasks/changed.h"
#include "tasks/copy.h"
#include "tasks/counts.h"
#include "tasks/logged.h"
#include "tasks/owners.h"

#include <assert.h>

static struct task *task_of(const struct attempt *attempt)
{
    return &attempt->job->tasks[attempt->kind][attempt->index];
}

/* ---- what an attempt contributes ---- */

static uint64_t digest_of(const struct attempt *attempt)
{
    uint64_t words[] = {
        attempt->kind,  attempt->index, stamp_hash(&attempt->claim), attempt->number,
        attempt->cause, attempt->state, attempt->end_cause,          stamp_hash(&attempt->end),
    };
    return hash64(words, sizeof words, 1);
}

static uint64_t digest_of_lost(enum task_kind kind, uint32_t index, const struct lost *lost)
{
    uint64_t words[] = {kind, index, stamp_hash(&lost->done), stamp_hash(&lost->stamp)};
    return hash64(words, sizeof words, 2);
}

/* Only tasks of the spec count: there may be more in memory (see job_adopt in jobs.c). */
static bool is_counted(const struct attempt *attempt)
{
    return attempt->index < job_tasks_count(attempt->job, attempt->kind);
}

/* Adds (by = 1) or takes out (by = UINT32_MAX, which is -1) what the attempt adds to its job's
 * counts. */
static void count(const struct attempt *attempt, uint32_t by)
{
    struct job *job = attempt->job;
    if (!is_counted(attempt)) return;
    if (attempt->state == ATTEMPT_RUNNING) job->running_count += by;
    if (attempt->state == ATTEMPT_FAILED) job->failed_count += by;
    if (attempt->number == 0) return;
    if (attempt->state == ATTEMPT_DEAD &&
        (attempt->cause == CAUSE_OWNER_DEAD || attempt->cause == CAUSE_OWNER_RESTARTED ||
         attempt->cause == CAUSE_OWNER_SILENT))
        job->doubted_count += by;
    job->claims_count += by;
    if (cause_is_copy(attempt->cause)) job->speculated_count += by;
    else if (attempt->cause != CAUSE_FIRST && attempt->cause != CAUSE_VERIFY)
        job->reexecuted_count += by;
}

static uint32_t step(bool is, bool was) { return (uint32_t)is - (uint32_t)was; }

/* Whether the task is done and whether it is free, after any of its attempts changed. */
static void settle(struct job *job, enum task_kind kind, uint32_t index)
{
    struct task *task = &job->tasks[kind][index];
    bool is_done = task_committed(task) != NULL;
    bool is_verified = is_done && task_dones(task) >= job_dones_wanted(job);
    bool is_differing = task_different(task) != NULL;
    if (index < job_tasks_count(job, kind)) {
        job->done_count[kind] += step(is_done, task->is_done);
        job->verified_count[kind] += step(is_verified, task->is_verified);
        job->differing_count += step(is_differing, task->is_differing);
    }
    task->is_done = is_done;
    task->is_verified = is_verified;
    task->is_differing = is_differing;
    bool is_owned = task_owner(task) != NULL;
    bool is_free = !is_verified && !is_owned;
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint64_t *word = &job->free[kind][index / 64];
    if (is_free && (*word & bit) == 0) task->frees++;
    *word = is_free ? *word | bit : *word & ~bit;
    word = &job->busy[kind][index / 64];
    *word = !is_done && is_owned ? *word | bit : *word & ~bit;
}

static void leave(struct attempt *attempt)
{
    count(attempt, UINT32_MAX);
    attempt->job->digest -= digest_of(attempt);
    if (attempt->state == ATTEMPT_FAILED && attempt->charged) task_of(attempt)->failures--;
}

static void owner_unlink(struct attempt *attempt)
{
    if (attempt->owner_link == NULL) return;
    *attempt->owner_link = attempt->owner_next;
    if (attempt->owner_next != NULL) attempt->owner_next->owner_link = attempt->owner_link;
    attempt->owner_next = NULL;
    attempt->owner_link = NULL;
}

static void owner_link(struct attempt *attempt)
{
    if (attempt->owner_link != NULL) return;
    struct owner *owner = attempt->owner;
    attempt->owner_next = owner->attempts;
    attempt->owner_link = &owner->attempts;
    if (owner->attempts != NULL) owner->attempts->owner_link = &attempt->owner_next;
    owner->attempts = attempt;
}

static void enter(struct jobs *jobs, struct attempt *attempt)
{
    struct job *job = attempt->job;
    count(attempt, 1);
    job->digest += digest_of(attempt);
    if (attempt->state == ATTEMPT_FAILED && attempt->charged) task_of(attempt)->failures++;
    bool is_at_mercy = attempt->state == ATTEMPT_RUNNING || attempt->state == ATTEMPT_DEAD;
    if (is_at_mercy && job->outcome == JOB_RUNNING) owner_link(attempt);
    else owner_unlink(attempt);
    settle(job, attempt->kind, attempt->index);
    job_changed(jobs, job);
}

/* ---- the mover ---- */

/* The only place where state changes; between leave and enter. */
static void move(struct attempt *attempt, enum attempt_state to, enum cause cause)
{
    enum {
        DEAD = ATTEMPT_DEAD,
        RELEASED = ATTEMPT_RELEASED,
        FAILED = ATTEMPT_FAILED,
        DONE = ATTEMPT_DONE,
        LOST = ATTEMPT_LOST,
    };
    static const bool allowed[ATTEMPT_LOST + 1][ATTEMPT_LOST + 1] = {
        [ATTEMPT_RUNNING] = {[DEAD] = true, [RELEASED] = true, [FAILED] = true, [DONE] = true},
        [ATTEMPT_DEAD] = {[DEAD] = true, [RELEASED] = true, [FAILED] = true, [DONE] = true},
        [ATTEMPT_RELEASED] = {[RELEASED] = true, [FAILED] = true, [DONE] = true},
        [ATTEMPT_FAILED] = {[FAILED] = true, [DONE] = true},
        [ATTEMPT_DONE] = {[DONE] = true, [LOST] = true},
        [ATTEMPT_LOST] = {[LOST] = true, [DONE] = true}, /* by a lesser done of the same attempt */
    };
    assert(allowed[attempt->state][to]);
    attempt->state = to;
    attempt->end_cause = cause;
}

static unsigned strength(enum attempt_state state)
{
    switch (state) {
    case ATTEMPT_RUNNING: return 0;
    case ATTEMPT_DEAD: return 1;
    case ATTEMPT_RELEASED: return 2;
    case ATTEMPT_FAILED: return 3;
    case ATTEMPT_DONE:
    case ATTEMPT_LOST: return 4;
    }
    assert(false);
    return 0;
}

static bool outweighs(const struct ending *ending, const struct attempt *attempt)
{
    unsigned theirs = strength(ending->state), ours = strength(attempt->state);
    if (theirs != ours) return theirs > ours;
    return stamp_compare(&ending->stamp, &attempt->end) < 0;
}

/* ---- entries ---- */

/* The claim's attempt, made (RUNNING, number 0, contributing nothing yet) when it is not there. */
static enum error get(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                      const struct msg_stamp *claim, struct attempt **found)
{
    assert(index < job->tasks_size[kind]);
    struct attempt **at = &job->tasks[kind][index].attempts;
    while (*at != NULL && stamp_compare(&(*at)->claim, claim) < 0) at = &(*at)->next;
    *found = *at;
    if (*at != NULL && stamp_equal(&(*at)->claim, claim)) return ERROR_NONE;
    struct owner *owner;
    enum error error = owners_get(jobs, &claim->node, &claim->boot, &owner);
    if (error != ERROR_NONE) return error;
    struct attempt *attempt = memory_take(jobs->memory, sizeof *attempt);
    if (attempt == NULL) return ERROR_MEMORY;
    *attempt = (struct attempt){
        .next = *at,
        .job = job,
        .owner = owner,
        .kind = kind,
        .index = index,
        .claim = *claim,
        .state = ATTEMPT_RUNNING,
    };
    count(attempt, 1);
    job->digest += digest_of(attempt);
    *at = *found = attempt;
    return ERROR_NONE;
}

enum error attempt_claim(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                         const struct msg_stamp *claim, uint32_t number, enum cause cause)
{
    assert(number > 0);
    struct attempt *attempt;
    enum error error = get(jobs, job, kind, index, claim, &attempt);
    if (error != ERROR_NONE || attempt->number != 0) return error;
    struct task *task = task_of(attempt);
    if (number > task->highest) task->highest = number;
    leave(attempt);
    attempt->number = number;
    attempt->cause = cause;
    attempt->heard = jobs->now;
    enter(jobs, attempt);
    if (attempt->state == ATTEMPT_RUNNING) attempt_check_owner(jobs, attempt);
    if (job->outcome != JOB_RUNNING) attempt_job_ended(jobs, attempt);
    return ERROR_NONE;
}

static const struct lost *lost_find(const struct task *task, const struct msg_stamp *done)
{
    const struct lost *lost = task->lost;
    while (lost != NULL && !stamp_equal(&lost->done, done)) lost = lost->next;
    return lost;
}

enum error attempt_end(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                       const struct msg_stamp *claim, const struct ending *ending)
{
    struct attempt *attempt;
    enum error error = get(jobs, job, kind, index, claim, &attempt);
    if (error != ERROR_NONE || !outweighs(ending, attempt)) return error;
    struct slice log;
    if (!copy_slice(jobs->memory, ending->log, &log)) return ERROR_MEMORY;
    copy_slice_put(jobs->memory, &attempt->log);
    leave(attempt);
    move(attempt, ending->state, ending->cause);
    attempt->end = ending->stamp;
    attempt->charged = ending->charged;
    attempt->status = ending->status;
    attempt->output = ending->output;
    attempt->records = ending->records;
    attempt->elapsed_ms = ending->elapsed_ms;
    attempt->log = log;
    if (ending->state == ATTEMPT_DONE) {
        attempt->done = ending->stamp;
        const struct lost *lost = lost_find(task_of(attempt), &attempt->done);
        if (lost != NULL) move(attempt, ATTEMPT_LOST, lost->cause);
    }
    enter(jobs, attempt);
    return ERROR_NONE;
}

enum error attempt_lost(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                        const struct lost *lost)
{
    struct task *task = &job->tasks[kind][index];
    struct lost *mark = (struct lost *)(uintptr_t)lost_find(task, &lost->done);
    if (mark != NULL && stamp_compare(&mark->stamp, &lost->stamp) <= 0) return ERROR_NONE;
    if (mark == NULL) {
        mark = memory_take(jobs->memory, sizeof *mark);
        if (mark == NULL) return ERROR_MEMORY;
        mark->next = task->lost;
        task->lost = mark;
    } else {
        job->digest -= digest_of_lost(kind, index, mark);
    }
    mark->done = lost->done;
    mark->stamp = lost->stamp;
    mark->cause = lost->cause;
    job->digest += digest_of_lost(kind, index, mark);
    job_changed(jobs, job);
    for (struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (stamp_is_none(&attempt->done) || !stamp_equal(&attempt->done, &lost->done)) continue;
        leave(attempt);
        move(attempt, ATTEMPT_LOST, mark->cause);
        enter(jobs, attempt);
    }
    return ERROR_NONE;
}

void attempt_check_owner(struct jobs *jobs, struct attempt *attempt)
{
    assert(attempt->state == ATTEMPT_RUNNING || attempt->state == ATTEMPT_DEAD);
    enum cause cause = owners_freed(attempt->owner, attempt->claim.sequence);
    if (cause == CAUSE_NONE || cause == attempt->end_cause) return;
    if (attempt->owner->died == 0 && cause != CAUSE_OWNER_LEFT) attempt->owner->died = jobs->now;
    leave(attempt);
    move(attempt, ATTEMPT_DEAD, cause);
    enter(jobs, attempt);
}

void attempt_job_ended(struct jobs *jobs, struct attempt *attempt)
{
    assert(attempt->job->outcome != JOB_RUNNING);
    leave(attempt);
    if (attempt->state == ATTEMPT_RUNNING) move(attempt, ATTEMPT_RELEASED, CAUSE_JOB_ENDED);
    enter(jobs, attempt);
}

/* ---- all of a job's or a task's ---- */

static void recount_tasks(struct job *job, enum task_kind kind)
{
    for (uint32_t i = 0; i < job->tasks_size[kind]; i++) {
        struct task *task = &job->tasks[kind][i];
        task->is_done = task->is_verified = task->is_differing = false;
        if (task->attempts != NULL) settle(job, kind, i);
        for (const struct attempt *at = task->attempts; at != NULL; at = at->next) count(at, 1);
    }
}

void attempt_recount(struct job *job)
{
    job->done_count[TASK_MAP] = job->done_count[TASK_REDUCE] = 0;
    job->verified_count[TASK_MAP] = job->verified_count[TASK_REDUCE] = job->differing_count = 0;
    job->running_count = job->failed_count = job->doubted_count = 0;
    job->claims_count = job->speculated_count = job->reexecuted_count = 0;
    recount_tasks(job, TASK_MAP);
    recount_tasks(job, TASK_REDUCE);
}

void attempt_put_all(struct memory *memory, struct task *task)
{
    for (struct attempt *attempt = task->attempts, *next; attempt != NULL; attempt = next) {
        next = attempt->next;
        owner_unlink(attempt);
        copy_slice_put(memory, &attempt->log);
        memory_put(memory, attempt, sizeof *attempt);
    }
    for (struct lost *lost = task->lost, *next; lost != NULL; lost = next) {
        next = lost->next;
        memory_put(memory, lost, sizeof *lost);
    }
    counts_put_all(memory, task);
    logged_put_all(memory, task);
    task->attempts = NULL;
    task->lost = NULL;
}
