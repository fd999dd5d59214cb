/* The job before the job: for output sorted over several partitions (--partition range), a small
 * job draws a sample of the keys and makes the cuts between the ranges; the job proper gets them as
 * one of its files. */
#ifndef CTL_SAMPLING_H
#define CTL_SAMPLING_H

#include "ctl/job_spec.h"
#include "ctl/session.h"

/* Must the job's input be sampled first? */
bool sampling_is_needed(const struct job_draft *draft);
/* Runs it over the draft's inputs, which are at the session's peer, and puts the cuts among the
 * draft's files; nothing to do when the draft needs none, or has them. Its inputs are kept under a
 * name of their own until sampling_end. EXIT_OK; else said. */
int sampling_run(struct job_draft *draft, struct session *session, const struct dataset *dataset);
/* The job proper is submitted (or is not to be): what was named meanwhile goes. */
void sampling_end(struct job_draft *draft, struct session *session);

#endif
