/* What people are told of tasks and jobs without asking (telling.c). */
#ifndef NODE_TELLING_H
#define NODE_TELLING_H

#include "node/state.h"

/* Why the task failed for good, into text; returns its length. */
size_t telling_failed(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                      char *text, size_t size);
/* What keeps a running job from going on, for now; of an ended one its error. Valid for the
 * step. */
struct slice telling_trouble(struct node *node, const struct job *job);
/* Why the job ends: nobody who lives has this block of its input, or of its files. Into text. */
void telling_lost(struct node *node, const struct job *job, const struct msg_block_ref *block,
                  char *text, size_t size);

#endif
