/* Entries that name tasks which no job entry has brought yet. Part of the fold in jobs.h. */
#ifndef TASKS_PENDING_H
#define TASKS_PENDING_H

#include "tasks/jobs.h"

struct pending {
    struct pending *next; /* of the same job */
    struct msg_stamp stamp;
    unsigned kind;
    void *fields; /* own copy, a piece of this size */
    size_t size;
};

/* Keeps a copy of the entry for its job; nothing when it is kept already. ERROR_MEMORY. */
enum error pending_keep(struct jobs *jobs, struct job *job, const struct stamped *entry) MUST_USE;
/* More tasks are there: folds what is kept, and forgets what is now folded whole. ERROR_MEMORY. */
enum error pending_replay(struct jobs *jobs, struct job *job) MUST_USE;
void pending_put_all(struct jobs *jobs, struct job *job);

#endif
