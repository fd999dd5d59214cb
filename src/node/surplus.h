/* When a copy too many goes (surplus.c). */
#ifndef NODE_SURPLUS_H
#define NODE_SURPLUS_H

#include "node/state.h"

/* A block in its place: should ours go? */
void surplus_consider(struct node *node, struct block *block);
void surplus_asked(struct node *node, struct link *link, const struct msg_block_confirm *confirm);
void surplus_confirmed(struct node *node, struct link *link,
                       const struct msg_block_confirmed *confirmed);
void surplus_checked(struct node *node, const struct digest *digest, bool is_good);

#endif
