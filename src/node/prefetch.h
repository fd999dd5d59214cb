/* Parts of maps go to their reduces ahead of time (prefetch.c). */
#ifndef NODE_PREFETCH_H
#define NODE_PREFETCH_H

#include "node/state.h"

/* Orders parts of maps that are done, for reduces that will probably run here. */
void prefetch_tick(struct node *node, struct work *work);
/* The job has ended, or the node closes. */
void prefetch_over(struct node *node, struct work *work);

#endif
