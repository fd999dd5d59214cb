/* When a block that nothing references any more may go (freed.c). */
#ifndef NODE_FREED_H
#define NODE_FREED_H

#include "node/state.h"

/* Nothing that is known here references the block, as of this sweep. True: nor will anything that
 * is not known here. */
bool freed_may_go(struct node *node, struct block *block);
/* It is referenced, or gone. */
void freed_forget(struct block *block);
/* Looks how far the others are. */
void freed_tick(struct node *node);
instant freed_deadline(const struct node *node);
void freed_close(struct node *node);

#endif
