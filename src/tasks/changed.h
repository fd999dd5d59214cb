/* Every change of a job's state is told here, once it is complete: caches of users compare the
 * revisions, and jobs_digest counts anew only what has changed since it was last asked. */
#ifndef TASKS_CHANGED_H
#define TASKS_CHANGED_H

#include "tasks/jobs.h"

static inline void job_changed(struct jobs *jobs, struct job *job)
{
    job->revision++;
    jobs->revision++;
    if (job->is_stale) return;
    job->is_stale = true;
    job->stale_next = jobs->stale;
    jobs->stale = job;
}

#endif
