/* Runs in a process beside ours: an assertion that fails in the core, or a run that never ends, is
 * a violation with a seed like any other, and several run at once. A process makes some runs one
 * after the other: a new one for each would spend a tenth of the time on fresh pages. What fails in
 * a process that has run before is run again in a new one, so that what is said of a seed is what
 * the seed does by itself. */
#ifndef SIM_CHILD_H
#define SIM_CHILD_H

#include "sim/sim.h"

#include <sys/types.h>

struct child_order {
    struct sim_options options;
    bool is_twice;
};

/* All zeros before the first start. */
struct child {
    pid_t pid; /* 0: no process */
    int socket;
    unsigned runs; /* that it has begun */
    bool is_busy;  /* between start and end */
    struct child_order order;
};

enum {
    INVARIANT_SIZE = 16
};

/* Starts a run. is_twice: the seed runs a second time, and its digests must agree. options->plan
 * must stay as it is until child_stop. False: no process to be had. */
bool child_start(struct child *child, const struct sim_options *options, bool is_twice);
/* Waits for the run's end. result is always filled: a process that died has violated "assertion".
 */
void child_end(struct child *child, struct sim_result *result);
/* Ends the process, if there is one, between two runs. */
void child_stop(struct child *child);

/* What a run violated: "S5", "assertion", "determinism"; "" when all held. */
void child_invariant(const struct sim_result *result, char name[INVARIANT_SIZE]);

#endif
