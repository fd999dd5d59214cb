/* Repair between two views that differ although no news is under way: the small pull. */
#ifndef GOSSIP_EXCHANGE_H
#define GOSSIP_EXCHANGE_H

#include "gossip/gossip.h"

/* Makes gossip's calls (rpc.h) its own. */
void exchange_init(struct gossip *gossip);
/* The member has just said what its view is. When that is not ours, and stays so, it is asked. */
void exchange_compare(struct gossip *gossip, instant now, const struct member *member);

#endif
