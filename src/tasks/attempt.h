/* What became of one claim of one task: the only code that changes a struct attempt. Part of
 * the fold in jobs.h. */
#ifndef TASKS_ATTEMPT_H
#define TASKS_ATTEMPT_H

#include "tasks/jobs.h"

/* What an entry says of an attempt's end: state is DONE, FAILED or RELEASED. */
struct ending {
    enum attempt_state state;
    struct msg_stamp stamp; /* of the entry */
    enum cause cause;
    bool charged;
    uint32_t status;
    struct msg_block_ref output;
    uint64_t records;
    uint64_t elapsed_ms;
    struct slice log; /* copied */
};

/* The claim's entry is here: makes its attempt of the task, or completes the placeholder. The
 * task is one of job->tasks (as for the others below). ERROR_MEMORY. */
enum error attempt_claim(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                         const struct msg_stamp *claim, uint32_t number, enum cause cause) MUST_USE;
/* Joins an ending; makes a placeholder when the claim has not come. ERROR_MEMORY. */
enum error attempt_end(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                       const struct msg_stamp *claim, const struct ending *ending) MUST_USE;
/* The output of this done is gone, according to the lost entry `stamp`. ERROR_MEMORY. */
enum error attempt_lost(struct jobs *jobs, struct job *job, enum task_kind kind, uint32_t index,
                        const struct lost *lost) MUST_USE;
/* DEAD when the marks of its owner free it; for RUNNING and DEAD ones. */
void attempt_check_owner(struct jobs *jobs, struct attempt *attempt);
/* Its job has ended: RUNNING becomes RELEASED, and its owner's fate no longer matters. */
void attempt_job_ended(struct jobs *jobs, struct attempt *attempt);

/* Counts the job's tasks and attempts anew, after spec.maps or spec.reduces changed. */
void attempt_recount(struct job *job);
/* Frees the attempts and losts of a task. */
void attempt_put_all(struct memory *memory, struct task *task);

#endif
