/* Who should have a block, and who says that it has (holders.c). */
#ifndef NODE_HOLDERS_H
#define NODE_HOLDERS_H

#include "node/state.h"

/* Those that should have it, in its order, as far as is known here; up to COPIES_MAX. */
size_t holders_wanted(struct node *node, const struct block *block, uint8_t replicas,
                      struct id wanted[COPIES_MAX]);
/* As many copies of a block of this size as can be had now of `replicas`: fewer live, or have room.
 * At least 1. */
size_t holders_possible(const struct node *node, uint8_t replicas, uint64_t size);
/* All that should have the block (block->replicas of them) are known to. */
bool holders_are_complete(struct node *node, struct block *block);
/* It has no room for so many bytes, as far as is known here. */
bool holders_is_full(const struct node *node, const struct id *id, uint64_t size);
/* Its disk refused a block of this size for want of room; 0: any. */
void holders_full(struct node *node, const struct id *id, uint64_t size);
/* So many bytes found room here. */
void holders_fit(struct node *node, uint64_t size);
/* Their names, "a, b"; returns how many. */
size_t holders_full_names(const struct node *node, char *text, size_t size);
/* Other nodes may live than before: what is in its place must be looked at again. */
void holders_changed(struct node *node);
void holders_tick(struct node *node);

#endif
