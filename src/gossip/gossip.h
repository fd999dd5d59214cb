/* SWIM (Das, Gupta, Motivala 2002) with Lifeguard's refinements (Dadgar, Phillips, Currey 2017): who is there, learnt by
 * probing one member a period and by rumours on the back of the probes. Pure: time and chance come in, messages go
 * out through the ports. */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include "base/error.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/time.h"
#include "base/trace.h"
#include "membership/members.h"

/* What gossip needs of the node around it. The core's own; called only inside gossip_* functions. */
struct gossip_ports {
    void *context;
    /* One datagram with this payload (packed messages, at most FRAME_PAYLOAD_MAX) to this address. Borrows. */
    void (*send)(void *context, const struct address *to, struct slice payload);
    /* A member is new, or its state, boot or address changed. before: its state until now, 0 = it is new. */
    void (*changed)(void *context, const struct member *member, unsigned before);
    /* Somebody else uses our id (at another boot than ours, not lower). */
    void (*usurped)(void *context, const struct boot *boot);
};

struct gossip_config {
    struct id id;
    struct boot boot;
    struct address address;
    const char *name;
    uint16_t slots;
    duration period;           /* a probe each */
    struct gossip_ports ports;
    struct trace trace;
};

/* Counters: each only grows. */
struct gossip_counters {
    uint64_t probes, probes_failed, probes_indirect, suspicions, refutations, deaths, rumors_sent;
};

struct gossip {
    struct gossip_config config;
    struct members members;
    struct prng *prng;         /* the node's */
    struct memory *memory;
    struct gossip_counters counters;
    uint64_t log_digest;       /* ours, told in pings and acks; the node sets it */
    instant period_deadline;
    uint32_t health;           /* Lifeguard's local health multiplier, 0 = healthy, at most 8 */
    bool is_leaving;
    struct probe *probes;      /* direct probes in flight and those we make for others */
    size_t probes_count, probes_capacity;
    size_t order_next;         /* where the round robin stands */
    uint64_t sequence;         /* of the last ping sent */
};

/* Begins with itself alone, alive. Copies config, borrows prng and memory. */
enum error gossip_init(struct gossip *gossip, const struct gossip_config *config, struct prng *prng,
                       struct memory *memory, instant now) MUST_USE;
void gossip_deinit(struct gossip *gossip);

/* Does what is due at now: the period's probe, indirect probes, suspicions that ran out, reaping. */
void gossip_tick(struct gossip *gossip, instant now);
instant gossip_deadline(const struct gossip *gossip);

/* An authenticated datagram's payload from this sender. NULL, or why the rest of it was refused. */
const char *gossip_receive(struct gossip *gossip, instant now, const struct id *sender, const struct boot *boot,
                           const struct address *from, struct slice payload, struct arena *scratch);

/* A member was heard on an authenticated stream: it lives now at this boot (and is learnt when new). */
void gossip_heard(struct gossip *gossip, instant now, const struct msg_member_claim *claim);
/* Something speaks against a member (its stream ended, its port refused): probe it now. */
void gossip_evidence(struct gossip *gossip, instant now, const struct id *id, enum cause cause);

/* Full state, for joining and repair over a stream. The list is in the arena. False when it does not fit. */
bool gossip_exchange_fill(const struct gossip *gossip, struct msg_exchange *exchange, struct arena *arena);
void gossip_exchange_take(struct gossip *gossip, instant now, const struct msg_exchange *exchange);

/* Our own claim about ourselves, as of now. */
struct msg_member_claim gossip_self_claim(const struct gossip *gossip);

/* Says goodbye: rumours and a few direct datagrams that we left. */
void gossip_leave(struct gossip *gossip, instant now);

#endif
