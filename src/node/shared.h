/* Inputs that all nodes share (shared.c). */
#ifndef NODE_SHARED_H
#define NODE_SHARED_H

#include "node/state.h"

/* True when the job is to end because nobody can read a file that all should share. */
bool shared_tick(struct node *node, struct work *work);
/* An attempt here could not: others go first, for a while. */
void shared_unreadable(struct node *node, const struct running *running);

#endif
