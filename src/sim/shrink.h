/* Makes a failing run small, without a person: the same invariant, broken by as little as can be.
 * Delta debugging (Zeller and Hildebrandt 2002, ddmin) of the plan. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/child.h"
#include "sim/plan.h"

struct shrunk {
    char invariant[INVARIANT_SIZE];
    uint64_t runs; /* that it took */
    uint64_t strikes_before, jobs_before;
    uint32_t nodes_before;
    char violation[VIOLATION_SIZE]; /* of the smallest */
};

/* plan is complete, and violates something; it becomes smaller in place, and expects what it
 * violates. It stops after so many seconds of real time with the smallest found so far. False: it
 * violates nothing. */
bool shrink_plan(struct plan *plan, unsigned seconds, struct shrunk *shrunk);

#endif
