/* Probes: pings that wait for an answer, ours and those we make for others. */
#ifndef GOSSIP_PROBE_H
#define GOSSIP_PROBE_H

#include "gossip/gossip.h"

/* What a datagram says, with whom it came. member: the sender, NULL = not known to us. from: NULL =
 * it came over a stream. */
struct probe_mail {
    instant now;
    const struct id *sender;
    const struct address *from;
    struct member *member;
};

/* Pings the member, and accuses it unless an answer comes, by itself or through others. evidence:
 * what else speaks against it (the probe is then quick), CAUSE_NONE = nothing. At most one probe a
 * member. */
void probe_start(struct gossip *gossip, instant now, struct member *member, enum cause evidence);
/* A ping for whose answer nobody waits: it tells the member how it is held. */
void probe_ping(struct gossip *gossip, struct member *member);
/* The same over a stream, which takes its time, but is not lost. */
void probe_stream(struct gossip *gossip, const struct member *member, uint64_t sequence);
/* A datagram of ours met a closed port at this address. */
void probe_refused(struct gossip *gossip, instant now, const struct address *address);
/* The member proved that it lives: the probe of it is over. */
void probe_answered(struct gossip *gossip, struct member *member);
/* The member that the probe was for is no more: it started anew. */
void probe_void(struct gossip *gossip, const struct member *member);

void probe_on_ping(struct gossip *gossip, const struct probe_mail *mail,
                   const struct msg_ping *ping);
void probe_on_ack(struct gossip *gossip, const struct probe_mail *mail, const struct msg_ack *ack);
void probe_on_ack_same(struct gossip *gossip, const struct probe_mail *mail,
                       const struct msg_ack_same *ack);
void probe_on_refusal(struct gossip *gossip, const struct probe_mail *mail,
                      const struct msg_refusal *refusal);
void probe_on_request(struct gossip *gossip, const struct probe_mail *mail,
                      const struct msg_ping_request *request);
void probe_on_nack(struct gossip *gossip, const struct probe_mail *mail,
                   const struct msg_nack *nack);

void probe_tick(struct gossip *gossip, instant now);
instant probe_deadline(const struct gossip *gossip);
/* Forgets all probes that began then or before: nobody is accused. */
void probe_drop_before(struct gossip *gossip, instant before);
void probe_deinit(struct gossip *gossip);

#endif
