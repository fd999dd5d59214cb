/* Entries about tasks, taken apart into attempts of single tasks.
 *
 * A job of N tasks is one entry and a claim covers ranges, so here is where ranges end. What a
 * stranger with the cluster key can write must fold alike everywhere and must not cost without
 * bound: kinds above 1 and indices from TASKS_MAX on name nothing; the ranges of one entry
 * reach RANGES_TASKS_MAX tasks together, overlaps counted, and the rest of them names nothing;
 * attempt numbers are clamped so that 1 + the highest is a number. All these depend on the
 * entry alone.
 *
 * What depends on the job is which of the named tasks it has: none before its job entry is
 * here. Those it lacks are skipped, and whoever calls keeps the entry for later
 * (claims_exceed); applying an entry twice is harmless. */
#include "tasks/claims.h"

#include "tasks/attempt.h"
#include "tasks/counts.h"
#include "tasks/logged.h"

#include <assert.h>

enum {
    RANGES_TASKS_MAX = 2 * TASKS_MAX, /* a claim of every map and every reduce of the largest job */
};

/* What is left for "1 + the highest" in 32 bits. */
#define NUMBER_MAX (UINT32_MAX - 1)

/* Tasks first to end - 1; none when first >= end. */
struct span {
    enum task_kind kind;
    uint32_t first;
    uint32_t end;
};

/* What a range names; *left: how many tasks the entry may still name. */
static struct span span_of(const struct msg_task_range *range, uint32_t *left)
{
    struct span span = {.kind = TASK_MAP};
    uint32_t count = range->count < *left ? range->count : *left;
    *left -= count;
    if (range->kind > TASK_REDUCE || range->first >= TASKS_MAX) return span;
    span.kind = (enum task_kind)range->kind;
    span.first = range->first;
    span.end = count < TASKS_MAX - range->first ? range->first + count : TASKS_MAX;
    return span;
}

static struct span span_of_task(uint8_t kind, uint32_t task)
{
    uint32_t left = 1;
    return span_of(&(struct msg_task_range){.kind = kind, .first = task, .count = 1}, &left);
}

/* The part that the job has. */
static struct span clip(const struct job *job, struct span span)
{
    if (span.end > job->tasks_size[span.kind]) span.end = job->tasks_size[span.kind];
    return span;
}

static bool exceeds(const struct job *job, struct span span)
{
    return span.first < span.end && span.end > job->tasks_size[span.kind];
}

static bool ranges_exceed(const struct job *job, const struct list *ranges)
{
    const struct msg_task_range *range = ranges->at;
    uint32_t left = RANGES_TASKS_MAX;
    for (uint32_t i = 0; i < ranges->count; i++)
        if (exceeds(job, span_of(&range[i], &left))) return true;
    return false;
}

bool claims_exceed(const struct job *job, const struct stamped *entry)
{
    const struct msg_claim *claim = entry->fields;
    const struct msg_done *done = entry->fields;
    const struct msg_failed *failed = entry->fields;
    const struct msg_released *released = entry->fields;
    const struct msg_lost *lost = entry->fields;
    const struct msg_counted *counted = entry->fields;
    const struct msg_logged *logged = entry->fields;
    switch (entry->kind) {
    case MSG_claim: return ranges_exceed(job, &claim->ranges);
    case MSG_done: return exceeds(job, span_of_task(done->kind, done->task));
    case MSG_failed: return exceeds(job, span_of_task(failed->kind, failed->task));
    case MSG_released: return ranges_exceed(job, &released->ranges);
    case MSG_lost: return exceeds(job, span_of_task(lost->kind, lost->task));
    case MSG_counted: return exceeds(job, span_of_task(counted->kind, counted->task));
    case MSG_logged: return exceeds(job, span_of_task(logged->kind, logged->task));
    }
    assert(false);
    return false;
}

const struct id *claims_job(const struct stamped *entry)
{
    switch (entry->kind) {
    case MSG_claim: return &((const struct msg_claim *)entry->fields)->job;
    case MSG_done: return &((const struct msg_done *)entry->fields)->job;
    case MSG_failed: return &((const struct msg_failed *)entry->fields)->job;
    case MSG_released: return &((const struct msg_released *)entry->fields)->job;
    case MSG_lost: return &((const struct msg_lost *)entry->fields)->job;
    case MSG_counted: return &((const struct msg_counted *)entry->fields)->job;
    case MSG_logged: return &((const struct msg_logged *)entry->fields)->job;
    }
    return NULL;
}

static uint32_t number_of(const struct msg_claim *claim)
{
    if (claim->number == 0) return 1; /* 0 means "not claimed yet" in struct attempt */
    return claim->number < NUMBER_MAX ? claim->number : NUMBER_MAX;
}

static enum error apply_claim(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                              const struct msg_claim *claim)
{
    const struct msg_task_range *range = claim->ranges.at;
    uint32_t left = RANGES_TASKS_MAX;
    for (uint32_t i = 0; i < claim->ranges.count; i++) {
        struct span span = clip(job, span_of(&range[i], &left));
        for (uint32_t index = span.first; index < span.end; index++) {
            enum error error = attempt_claim(jobs, job, span.kind, index, stamp, number_of(claim),
                                             (enum cause)claim->cause);
            if (error != ERROR_NONE) return error;
        }
    }
    return ERROR_NONE;
}

static enum error apply_released(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                                 const struct msg_released *released)
{
    const struct msg_task_range *range = released->ranges.at;
    uint32_t left = RANGES_TASKS_MAX;
    struct ending ending = {
        .state = ATTEMPT_RELEASED,
        .stamp = *stamp,
        .cause = (enum cause)released->cause,
    };
    for (uint32_t i = 0; i < released->ranges.count; i++) {
        struct span span = clip(job, span_of(&range[i], &left));
        for (uint32_t index = span.first; index < span.end; index++) {
            enum error error = attempt_end(jobs, job, span.kind, index, &released->claim, &ending);
            if (error != ERROR_NONE) return error;
        }
    }
    return ERROR_NONE;
}

static enum error apply_done(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                             const struct msg_done *done)
{
    struct span span = clip(job, span_of_task(done->kind, done->task));
    struct ending ending = {
        .state = ATTEMPT_DONE,
        .stamp = *stamp,
        .cause = (enum cause)done->cause,
        .output = done->output,
        .records = done->records,
        .elapsed_ms = done->elapsed_ms,
        .log = done->log,
    };
    if (span.first >= span.end) return ERROR_NONE;
    return attempt_end(jobs, job, span.kind, span.first, &done->claim, &ending);
}

static enum error apply_failed(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                               const struct msg_failed *failed)
{
    struct span span = clip(job, span_of_task(failed->kind, failed->task));
    struct ending ending = {
        .state = ATTEMPT_FAILED,
        .stamp = *stamp,
        .cause = (enum cause)failed->cause,
        .charged = failed->charged,
        .status = failed->status,
        .elapsed_ms = failed->elapsed_ms,
        .log = failed->log,
    };
    if (span.first >= span.end) return ERROR_NONE;
    return attempt_end(jobs, job, span.kind, span.first, &failed->claim, &ending);
}

static enum error apply_lost(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                             const struct msg_lost *entry)
{
    struct span span = clip(job, span_of_task(entry->kind, entry->task));
    struct lost lost = {.done = entry->done, .stamp = *stamp, .cause = (enum cause)entry->cause};
    if (span.first >= span.end) return ERROR_NONE;
    return attempt_lost(jobs, job, span.kind, span.first, &lost);
}

static enum error apply_counted(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                                const struct msg_counted *counted)
{
    struct span span = clip(job, span_of_task(counted->kind, counted->task));
    if (span.first >= span.end) return ERROR_NONE;
    return counts_apply(jobs, job, &job->tasks[span.kind][span.first], stamp, counted);
}

static enum error apply_logged(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                               const struct msg_logged *logged)
{
    struct span span = clip(job, span_of_task(logged->kind, logged->task));
    if (span.first >= span.end) return ERROR_NONE;
    return logged_apply(jobs, job, &job->tasks[span.kind][span.first], stamp, logged);
}

enum error claims_apply(struct jobs *jobs, struct job *job, const struct stamped *entry)
{
    switch (entry->kind) {
    case MSG_claim: return apply_claim(jobs, job, &entry->stamp, entry->fields);
    case MSG_done: return apply_done(jobs, job, &entry->stamp, entry->fields);
    case MSG_failed: return apply_failed(jobs, job, &entry->stamp, entry->fields);
    case MSG_released: return apply_released(jobs, job, &entry->stamp, entry->fields);
    case MSG_lost: return apply_lost(jobs, job, &entry->stamp, entry->fields);
    case MSG_counted: return apply_counted(jobs, job, &entry->stamp, entry->fields);
    case MSG_logged: return apply_logged(jobs, job, &entry->stamp, entry->fields);
    }
    assert(false);
    return ERROR_NONE;
}
