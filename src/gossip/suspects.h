/* Members under accusation: from the first doubt to the verdict or the refutation. */
#ifndef GOSSIP_SUSPECTS_H
#define GOSSIP_SUSPECTS_H

#include "gossip/gossip.h"

/* A member's state, boot or refutations changed: begins, restarts or ends its suspicion. For the
 * listener of the member table alone. */
void suspects_follow(struct gossip *gossip, instant now, struct member *member, unsigned before);

/* We saw a probe of this living member fail: we accuse it, or testify against it when it is accused
 * already. */
void suspects_accuse(struct gossip *gossip, instant now, struct member *member, enum cause cause);
/* This node, and not only its rumour, says that the suspect fails its probes. */
void suspects_testify(struct gossip *gossip, struct member *member, const struct id *witness);
/* It is dead, and this is why. */
void suspects_condemn(struct gossip *gossip, instant now, struct member *member, enum cause cause);
/* What stands for the period in a suspicion's timeout. */
duration suspects_patience(const struct gossip *gossip);
/* The verdict on a suspect falls within this time: evidence speaks against it, too. */
void suspects_hasten(struct gossip *gossip, struct member *member, instant deadline);

/* Verdicts whose time has come, and probes asked for out of turn. */
void suspects_tick(struct gossip *gossip, instant now);
/* Once a period: those we accuse are told so again, lest it was lost. */
void suspects_remind(struct gossip *gossip);
/* We slept for this long: all suspicions that began before get as much longer. */
void suspects_delay(struct gossip *gossip, instant before, duration slept);

#endif
