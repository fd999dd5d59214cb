/* Somebody at a machine's keyboard: asks its node as mrctl would, over a stream of its own that is
 * there at once. Answers are not read. */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include "base/prng.h"
#include "sim/host.h"

/* `mrctl forget` of some member that is dead as this node sees it; false when there is none. */
bool operator_forget(struct world *world, struct host *host, struct prng *prng);

/* `mrctl join` of the first machine's address: those who forgot each other meet again only by
 * somebody's hand. */
void operator_join(struct world *world, struct host *host);

#endif
