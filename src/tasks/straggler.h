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

/* Who judges, and by what. */
struct straggler_judge {
    const struct id *self;
    const struct schedule_node *nodes; /* the living, self included */
    size_t nodes_count;
    instant now;
    /* A slow attempt is due its copy: until when does it get none all the same? now or earlier: it
     * gets one. NULL: nobody objects. */
    instant (*objects)(void *context, const struct job *job, enum task_kind kind, uint32_t index,
                       const struct attempt *attempt);
    void *context;
};

/* Up to picks_max tasks of the job that the judge should claim as second copies now, for this
 * reason; the rest as schedule_pick. */
size_t straggler_pick(const struct job *job, struct schedule_job *state,
                      enum straggler_reason reason, const struct straggler_judge *judge,
                      struct schedule_pick *picks, size_t picks_max, instant *wake);

/* How long an attempt will still run that has run for so long and read so much of its input, if it
 * goes on as it did; 0: not known (nothing is read yet, or all is).
 * (Zaharia et al. 2008, "Improving MapReduce performance in heterogeneous environments", LATE.) */
duration straggler_left(duration elapsed, uint64_t read_size, uint64_t input_size);

/* What a done task of this kind typically took: the median of a sample; 0: too few are done to
 * tell. */
duration straggler_typical(const struct job *job, enum task_kind kind);

#endif
