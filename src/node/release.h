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
/* A name or a job has let go of this dataset: pins of its blocks made before `seen` end. Later ones
 * are somebody else's. */
void release_unreferenced(struct node *node, const struct msg_block_ref *manifest, instant seen);
/* The same for a job's input, and for all outputs of its attempts. */
void release_job(struct node *node, const struct job *job, instant seen);

#endif
