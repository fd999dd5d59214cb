/* How much of its input a job had where it ran (locality.c). */
#ifndef NODE_LOCALITY_H
#define NODE_LOCALITY_H

#include "node/state.h"

/* The map's block is somewhere else; what its attempt says of that. */
bool locality_is_remote(struct node *node, const struct job *job, uint32_t map);
struct msg_counter locality_remote(void);
/* The job's counters (counts.h: COUNTS_MAX of them at most) and how much of its input its maps had
 * on their own disks. Returns how many; borrowed until the fold changes. */
size_t locality_counters(struct node *node, const struct job *job, struct msg_counter *counters);

#endif
