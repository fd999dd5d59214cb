/* What others have, asked after (tally.c). */
#ifndef NODE_TALLY_H
#define NODE_TALLY_H

#include "node/state.h"

void tally_start(struct node *node);
void tally_tick(struct node *node);
/* False: it answers no question of the tally's. */
bool tally_answer(struct node *node, const struct link *link, const struct msg_holdings *holdings);

#endif
