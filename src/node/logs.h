/* What attempts say on stderr, kept and followed (logs.c). */
#ifndef NODE_LOGS_H
#define NODE_LOGS_H

#include "node/state.h"

/* The attempt has ended: what its entry can't hold of its log becomes a block. Before that
 * entry. */
void logs_keep(struct node *node, const struct running *running,
               const struct msg_task_result *result);
/* Each log of the job that is a block. */
void logs_visit(struct node *node, const struct job *job,
                void (*visit)(struct node *node, const struct msg_block_ref *log));
void logs_answer(struct node *node, uint64_t stream, const struct msg_ask_logs *ask);
void logs_ask_tail(struct node *node, uint64_t stream, const struct msg_ask_tail *ask);
void logs_tail(struct node *node, const struct event *event);

/* When attempts were claimed, as this node heard of it. */
void times_answer(struct node *node, uint64_t stream, const struct msg_ask_times *ask);

#endif
