/* Blocks are looked at, all of them in turn (scrub.c). */
#ifndef NODE_SCRUB_H
#define NODE_SCRUB_H

#include "node/state.h"

void scrub_start(struct node *node);
void scrub_tick(struct node *node);
/* Orders a look at its bytes, unless one is under way. */
void scrub_check(struct node *node, struct block *block);
void scrub_checked(struct node *node, const struct digest *digest, enum error error);

#endif
