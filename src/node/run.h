/* The action that starts an attempt (run.c). */
#ifndef NODE_RUN_H
#define NODE_RUN_H

#include "node/state.h"

/* Are this job's tasks built-ins whose output is no larger than their input? */
bool run_is_brief(const struct job *job);
/* Pushes it. False when the step has no room. */
bool run_attempt(struct node *node, const struct work *work, const struct running *running,
                 enum cause cause, uint32_t number);

#endif
