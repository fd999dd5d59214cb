/* Attempts' logs that are too long for their done or failed entry: a `logged` entry says which
 * block has more of it. Part of the fold in jobs.h; the blocks are kept as long as the job's tasks
 * are remembered. */
#ifndef TASKS_LOGGED_H
#define TASKS_LOGGED_H

#include "tasks/jobs.h"

/* One attempt's, of one task. */
struct logged {
    struct logged *next;
    struct msg_stamp stamp; /* of the entry */
    struct msg_stamp claim;
    struct msg_block_ref log;
};

/* Folds a logged entry into its task. Of several for one claim the least counts. ERROR_MEMORY. */
enum error logged_apply(struct jobs *jobs, struct job *job, struct task *task,
                        const struct msg_stamp *stamp, const struct msg_logged *entry) MUST_USE;
void logged_put_all(struct memory *memory, struct task *task);

/* This attempt's; NULL: its entry has all there is. Borrowed from the fold until it changes. */
const struct msg_block_ref *logged_of(const struct task *task, const struct msg_stamp *claim);

/* May the job put another log of this size aside? What failed may take twice what is done may, so
 * that a million talkative tasks leave room for the words of the one that matters. As seen by this
 * replica: nodes that write at the same moment may go beyond by what they write then. */
bool logged_has_room(const struct job *job, uint64_t size, bool has_failed);

#endif
