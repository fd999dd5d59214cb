/* The end of a job (finish.c). */
#ifndef NODE_FINISH_H
#define NODE_FINISH_H

#include "node/state.h"

void finish_tick(struct node *node, struct work *work);
/* Are more than half of those that we know here? The smaller side of a partition must not end what
 * the other side can go on with. */
bool finish_is_majority(const struct node *node);

/* An attempt of this job is done here: if that was the last one, its end is ours to write. */
void finish_note(struct node *node, const struct job *job);

#endif
