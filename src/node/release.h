/* Giving up copies that were asked for (release.c). */
#ifndef NODE_RELEASE_H
#define NODE_RELEASE_H

#include "node/manifests.h"
#include "node/state.h"

/* What would have referenced this list of blocks will not come: tells all that live. Without memory
 * or room for all of it, the rest waits for the end of its pins. */
void release_dataset(struct node *node, const struct msg_block_ref *list);
/* Somebody says so. */
void release_take(struct node *node, const struct msg_block_release *release);

#endif
