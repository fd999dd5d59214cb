/* How a job ended, when several say so: a join of `ended` entries. Part of the fold in jobs.h. */
#ifndef TASKS_ENDS_H
#define TASKS_ENDS_H

#include "tasks/jobs.h"

/* Folds one; *is_first: the job ran until now. ERROR_MEMORY. */
enum error ends_apply(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                      const struct msg_ended *ended, bool *is_first) MUST_USE;
/* What is late has changed: looks anew which one counts. True when it is another one. */
bool ends_reconsider(struct jobs *jobs, struct job *job);
void ends_put_all(struct jobs *jobs, struct job *job);

#endif
