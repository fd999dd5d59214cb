/* The names of jobs, for people: what the submitter called them. Several jobs may have one name.
 * Part of the fold in jobs.h. */
#ifndef TASKS_JOB_NAMES_H
#define TASKS_JOB_NAMES_H

#include "tasks/jobs.h"

void job_names_init(struct jobs *jobs);
void job_names_deinit(struct jobs *jobs);
/* Makes room for the names of so many jobs in all. ERROR_MEMORY. */
enum error job_names_reserve(struct jobs *jobs, size_t count) MUST_USE;
/* Names the job, for which there is room, by its spec, which is known and may have changed. */
void job_names_set(struct jobs *jobs, struct job *job);

#endif
