/* Marks for rare branches: what a run reached, as the nodes' own counters tell it (metrics.def, the
 * log's and gossip's). A branch that no seed ever reaches is not tested by them: `mrsim --marks`
 * says which those are. (FoundationDB calls them code probes.) */
#ifndef SIM_MARKS_H
#define SIM_MARKS_H

#include "node/node.h"
#include "sim/sim.h"

const char *marks_name(size_t number); /* NULL: there are no more */
/* Adds what this node has counted since its start. */
void marks_add(uint64_t marks[SIM_MARKS_MAX], const struct node *node);

#endif
