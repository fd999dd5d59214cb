/* What people call nodes' properties (tags.c). */
#ifndef NODE_TAGS_H
#define NODE_TAGS_H

#include "node/state.h"

enum {
    TAGGED_SIZE_MAX = 4096, /* 16 tags of 32 and 128 bytes, and room */
};
/* Our own, sorted by key; copied. ERROR_MEMORY; ERROR_INVALID: too many or too long. */
enum error tags_set(struct node *node, const struct msg_tag *tags, size_t count) MUST_USE;
/* A `tagged` entry of this node. ERROR_MEMORY. */
enum error tags_fold(struct node *node, struct roster_item *item,
                     const struct stamped *entry) MUST_USE;
void tags_drop(struct node *node, struct slice *held);
/* Once we may author: says what our tags are, unless our feeds say so already. */
void tags_tick(struct node *node);
uint64_t tags_digest(const struct node *node);
void tags_answer(struct node *node, uint64_t stream, const struct msg_ask_tags *ask);

#endif
