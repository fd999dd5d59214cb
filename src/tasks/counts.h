/* Counters that programs report (reporter:counter: on stderr). An attempt's are in a `counted`
 * entry, which its node writes just before its `done`; a job's are the sums over the committed
 * attempts of its tasks, whatever else ran. Who ends the job writes them in a `tallied` entry,
 * since an ended job's tasks are forgotten. Part of the fold in jobs.h. */
#ifndef TASKS_COUNTS_H
#define TASKS_COUNTS_H

#include "tasks/jobs.h"

enum {
    COUNTS_MAX = 128
}; /* of one attempt, and of a job: as the entries hold */

/* One attempt's, of one task. */
struct count {
    struct count *next;
    struct msg_stamp stamp;      /* of the entry */
    struct msg_counted *counted; /* owned copy */
    size_t size;                 /* of it, for memory_put */
};

/* Folds a counted entry into its task. Of several for one claim the least counts. ERROR_MEMORY. */
enum error counts_apply(struct jobs *jobs, struct job *job, struct task *task,
                        const struct msg_stamp *stamp, const struct msg_counted *counted) MUST_USE;
/* Folds the job's sums. Of several the least counts. ERROR_MEMORY. */
enum error counts_tally(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                        const struct msg_tallied *tallied) MUST_USE;
void counts_put_all(struct memory *memory, struct task *task);

/* The job's counters, in the order of their names, into sums (COUNTS_MAX); borrowed from the fold
 * until it changes. Returns how many; names beyond the room are left out. */
size_t counts_sum(const struct job *job, struct msg_counter sums[COUNTS_MAX]);

#endif
