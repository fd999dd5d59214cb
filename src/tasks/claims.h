/* The entries about tasks: claim, done, failed, released, lost. Part of the fold in jobs.h. */
#ifndef TASKS_CLAIMS_H
#define TASKS_CLAIMS_H

#include "tasks/jobs.h"

/* The job of a claim, done, failed, released or lost; NULL for entries of another kind. Borrows
 * from the entry. */
const struct id *claims_job(const struct stamped *entry);

/* Folds the entry into those of the tasks it names that the job has in memory. Idempotent.
 * ERROR_MEMORY. */
enum error claims_apply(struct jobs *jobs, struct job *job, const struct stamped *entry) MUST_USE;

/* Does it name tasks that the job does not have in memory, but could, if another job entry came? */
bool claims_exceed(const struct job *job, const struct stamped *entry);

#endif
