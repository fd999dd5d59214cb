/* SWIM (Das, Gupta, Motivala 2002) with Lifeguard's refinements (Dadgar, Phillips, Currey 2017):
 * who is there, learnt by probing one member a period and by rumours on the back of the probes.
 * Pure: time and chance come in, messages go out through the ports. */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include "base/error.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/time.h"
#include "base/trace.h"
#include "gossip/rpc.h"
#include "gossip/rumors.h"
#include "membership/members.h"

/* What gossip needs of the node around it. The core's own; called only inside gossip_* functions,
 * and must not call gossip_* functions itself. */
struct gossip_ports {
    void *context;
    /* One datagram with this payload (packed messages, at most FRAME_PAYLOAD_MAX) to this address.
     * Borrows. */
    void (*send)(void *context, const struct address *to, struct slice payload);
    /* One record with this payload over a stream to this member. When there is none, one is asked
     * for and the payload is lost: that the stream comes to be is an answer as well (gossip_alive).
     * Borrows. NULL: there are no streams. */
    void (*stream)(void *context, const struct id *to, struct slice payload);
    /* A member (never ourselves) is new, or its state, boot or address changed. before: its state
     * until now, 0 = it is new. */
    void (*changed)(void *context, const struct member *member, unsigned before);
    /* Somebody else uses our id (at another boot than ours, not lower), or what is said of our own
     * boot can only be answered by a new one (that it left, refuted without end: then boot is our
     * own). Answer: a boot above both, by gossip_reboot or a new start. */
    void (*usurped)(void *context, const struct boot *boot);
};

struct gossip_config {
    struct id id;
    struct boot boot;
    struct address address;
    const char *name; /* not empty; cut at 64 bytes */
    uint16_t slots;
    duration period; /* a probe each */
    struct gossip_ports ports;
    struct trace trace;
    struct facts *facts; /* shared with other nodes of this process (borrowed); NULL = no */
};

/* Counters: each only grows. */
struct gossip_counters {
    uint64_t probes, probes_failed, probes_indirect, suspicions, refutations, deaths, rumors_sent;
    uint64_t probes_dropped; /* no memory for them, or too many at once */
    uint64_t claims_refused; /* junk of somebody with the key */
    uint64_t oversleeps;     /* ticks that came more than a period late */
    uint64_t deaths_refuted; /* times we were held dead, and are not */
    uint64_t pulls;          /* views that differed, and were asked for */
    uint64_t refusals;       /* ports that refused a ping of ours */
};

enum {
    GOSSIP_HEALTH_MAX = 8,              /* Lifeguard's S: at worst nine times as slow and patient */
    GOSSIP_REPLIES_MAX = 64,            /* a period: several witnesses of several accusations */
    GOSSIP_REMEMBERED_S = 24 * 60 * 60, /* a dead member is remembered for so long, */
    GOSSIP_TOLD_S = 60 * 60,            /* and told in exchanges for so long: else two that forget
                                           it at different times would remind each other for ever */
};

struct gossip {
    struct gossip_config config;
    struct members members;
    struct prng *prng; /* the node's */
    struct memory *memory;
    struct gossip_counters counters;
    uint64_t log_digest; /* ours, told in pings and acks; the node sets it */
    instant period_deadline;
    uint32_t health; /* Lifeguard's local health multiplier, 0 = healthy, at most 8 */
    uint32_t loss;   /* of our own questions and answers on the way, in thousandths */
    bool is_leaving;
    struct probe *probes; /* direct probes in flight and those we make for others */
    size_t probes_count, probes_capacity;
    size_t order_next; /* where the round robin stands */
    uint64_t sequence; /* of the last ping sent */
    /* the rest is gossip's own */
    struct rumors rumors;
    struct rpc rpc; /* small pulls: exchange.c */
    bool is_pulling;
    instant pull_next;
    instant differs_since; /* nobody heard from since then had our view; INSTANT_NEVER = one had */
    struct member *suspects; /* a list through their suspicions */
    instant suspects_next;   /* nothing is due among them before */
    instant heal_next;       /* a dead one is pinged in the first period from here on, */
    instant heal_soon;       /* and at this time, for one came back; INSTANT_NEVER = none did */
    instant reap_next;
    uint32_t death_next;      /* we were held dead with fewer refutations, and know it */
    instant datagram_heard;   /* from anybody */
    uint32_t stream_answers;  /* members that answered by stream alone, since then */
    bool is_blocked_told;     /* people know that datagrams do not come through */
    instant goodbye_deadline; /* leaving: all is said then; INSTANT_NEVER behind it */
    instant now;              /* of the latest call */
    uint32_t replies_count;   /* datagrams out of turn in this period */
};

/* Begins with itself alone, alive. Copies config (its name is in members.self), borrows prng and
 * memory. */
enum error gossip_init(struct gossip *gossip, const struct gossip_config *config, struct prng *prng,
                       struct memory *memory, instant now) MUST_USE;
void gossip_deinit(struct gossip *gossip);
/* Just initialised: these members, too, have long been known (members_seed), and we to them. */
enum error gossip_seed(struct gossip *gossip, instant now, const struct fact *const *facts,
                       size_t count) MUST_USE;

/* Does what is due at now: the period's probe, indirect probes, suspicions that ran out, reaping.
 * Cheap when nothing is. */
void gossip_tick(struct gossip *gossip, instant now);
instant gossip_deadline(const struct gossip *gossip);

/* An authenticated payload from this sender: a datagram's, or when from is NULL a stream record's.
 * NULL, or why the rest of it was refused. */
const char *gossip_receive(struct gossip *gossip, instant now, const struct id *sender,
                           const struct boot *boot, const struct address *from,
                           struct slice payload, struct arena *scratch);

/* A stream to a member has just come to be: it lives now, at this boot. When it is held suspect or
 * dead at that boot, it is told so at once, and refutes. */
void gossip_alive(struct gossip *gossip, instant now, const struct id *id, const struct boot *boot);
/* A datagram of ours to this address, of the last seconds, met a closed port (ICMP). */
void gossip_refused(struct gossip *gossip, instant now, const struct address *address);
/* Something speaks against a member (its stream ended, its port refused): probe it now. */
void gossip_evidence(struct gossip *gossip, instant now, const struct id *id, enum cause cause);

/* Full state, for joining and repair over a stream. The list is in the arena, its names borrow from
 * the members (valid until the next gossip_* call). False when it does not fit. Sets members
 * alone. */
bool gossip_exchange_fill(const struct gossip *gossip, struct msg_exchange *exchange,
                          struct arena *arena);
void gossip_exchange_take(struct gossip *gossip, instant now, const struct msg_exchange *exchange);

/* Our own claim about ourselves, as of now. Its name borrows from gossip. */
struct msg_member_claim gossip_self_claim(const struct gossip *gossip);

/* A dead member never comes back (an operator says so): all hold it left. Asserts that it is not
 * held living. */
void gossip_forget(struct gossip *gossip, instant now, const struct id *id);

/* From now on we are at this boot (not lower than the former: asserted): all are told. */
void gossip_reboot(struct gossip *gossip, instant now, const struct boot *boot);

/* So many tasks at once from now on; 0: it takes none. All are told. */
void gossip_slots(struct gossip *gossip, instant now, uint16_t slots);

/* Says goodbye: rumours and a few direct datagrams that we left. No probes any more; what is left
 * to say is said until period_deadline. Without memory nothing is said, and is_leaving stays false:
 * to be tried again. */
void gossip_leave(struct gossip *gossip, instant now);

#endif
