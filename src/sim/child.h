/* A run in a process of its own: an assertion that fails in the core, or a run that never ends, is
 * a violation with a seed like any other, and several run at once. */
#ifndef SIM_CHILD_H
#define SIM_CHILD_H

#include "sim/sim.h"

#include <sys/types.h>

struct child {
    pid_t pid; /* 0: none */
    int pipe;
    uint64_t seed;
};

enum {
    INVARIANT_SIZE = 16
};

/* is_twice: the seed runs a second time, and its digests must agree. False: no process to be had.
 */
bool child_start(struct child *child, const struct sim_options *options, bool is_twice);
/* Waits for it. result is always filled: a process that died has violated "assertion". */
void child_end(struct child *child, struct sim_result *result);

/* What a run violated: "S5", "assertion", "determinism"; "" when all held. */
void child_invariant(const struct sim_result *result, char name[INVARIANT_SIZE]);

#endif
