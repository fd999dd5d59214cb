/* Fixed stories: a flock, some jobs, and one thing that goes wrong at a known time. Each is a
 * function of the step; the rest (invariants, liveness) is as in a random run. */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "base/time.h"

#include <stdint.h>

struct world;

struct scenario {
    const char *name;
    const char *about;
    uint32_t nodes, jobs;                              /* unless the options say otherwise */
    instant heal;                                      /* when the liveness phase begins */
    void (*scene)(struct world *world, uint64_t step); /* step s happens at s + 1 seconds */
};

/* NULL when there is none of this name. */
const struct scenario *scenario_find(const char *name);
/* The i-th; NULL behind the last. */
const struct scenario *scenario_each(unsigned i);

void scenario_begin(struct world *world, const struct scenario *scenario);
/* HAPPEN_SCENE. */
void scenario_scene(struct world *world, uint64_t step);

#endif
