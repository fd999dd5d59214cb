/* Which running attempts deserve a second copy on this node, and when.
 *
 *   its node is suspected dead     at once, whatever else waits
 *   far behind its siblings        once no task of the job is free: it has run half as long again
 * as the typical one of its kind took, and half of them are done
 *
 * One copy an attempt, ever (task_has_copy); never a third one of a task. What the fold does not
 * know is when: attempts carry the time at which their claim was heard here. Pure.
 * (Backup tasks: Dean and Ghemawat 2004, section 3.6; the threshold of 1.5 is Spark's.) */
#ifndef TASKS_STRAGGLER_H
#define TASKS_STRAGGLER_H

#include "tasks/schedule.h"

enum straggler_reason {
    STRAGGLER_SILENT, /* of suspects alone */
    STRAGGLER_SLOW,
};

/* Up to picks_max tasks of the job that self should claim as second copies now, for this reason;
 * the rest as schedule_pick. nodes: the living, self included. */
size_t straggler_pick(const struct job *job, struct schedule_job *state,
                      enum straggler_reason reason, const struct id *self,
                      const struct schedule_node *nodes, size_t nodes_count, instant now,
                      struct schedule_pick *picks, size_t picks_max, instant *wake);

/* What a done task of this kind typically took: the median of a sample; 0: too few are done to
 * tell. */
duration straggler_typical(const struct job *job, enum task_kind kind);

#endif
