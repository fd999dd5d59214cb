/* What others say: of members, and of ourselves. */
#ifndef GOSSIP_CLAIMS_H
#define GOSSIP_CLAIMS_H

#include "gossip/gossip.h"

/* Who says it, and how. */
struct claims_source {
    const struct id *sender;    /* NULL: an exchange */
    const struct address *from; /* NULL: no datagram */
    bool is_stream;             /* it came over a stream from the sender */
    bool is_testimony;          /* the sender saw it itself (rumors.c) */
};

/* Holds a claim if it wins. About ourselves: refutes it. NULL, or why it is junk. */
const char *claims_take(struct gossip *gossip, instant now, const struct msg_member_claim *claim,
                        const struct claims_source *source);

/* A datagram of a known member at a newer boot: it started anew, at this address. */
void claims_restarted(struct gossip *gossip, instant now, const struct member *member,
                      const struct boot *boot, const struct address *address);

/* Our own claim changes: state, and the boot and refutations that it outranks the former by. False:
 * there is no memory for that, and it is as it was. */
bool claims_own(struct gossip *gossip, instant now, const struct msg_member_claim *claim);

/* One more datagram out of turn in this period? Two that accuse each other and will not be
 * answered, by a fault or on purpose, must not talk at the speed of the network. Counts it. */
bool claims_may_reply(struct gossip *gossip);

/* Makes the member table tell us of its changes. */
void claims_listen(struct gossip *gossip);

/* Somebody else speaks with our id at this boot: true when it is none of our former lives. */
bool claims_is_usurper(const struct gossip *gossip, const struct boot *boot);

#endif
