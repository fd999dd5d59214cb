/* What running attempts say, asked of the nodes that run them: a connection to each, kept. */
#ifndef CTL_TAILS_H
#define CTL_TAILS_H

#include "ctl/session.h"

struct tails;

struct tails *tails_open(struct session *session);
/* NULL is fine. */
void tails_close(struct tails *tails);

/* What this attempt at this node has said behind so many bytes. NULL: the node can't be asked now,
 * or the attempt does not run there any more. Borrowed until the next call. */
const struct msg_say_tail *tails_ask(struct tails *tails, const struct id *node,
                                     const char *attempt, uint64_t behind);

#endif
