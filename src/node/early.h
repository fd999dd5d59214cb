/* Copies of what a client stores, made while it stores the rest (early.c). */
#ifndef NODE_EARLY_H
#define NODE_EARLY_H

#include "node/state.h"

/* A client has stored the block here, and wants so many copies of it; 0 or 1: this one does. */
void early_begin(struct node *node, const struct digest *digest, uint8_t copies);
/* At each sweep: those who have a copy keep it a while longer. */
void early_renew(struct node *node, struct block *block);
/* The client has come to say what it is for. From now on those who have it are to keep it: they are
 * asked again, and only what they say now counts. */
void early_end(struct node *node, const struct digest *digest);

#endif
