/* The member table: everyone this node has heard of and not yet forgotten, itself included. One
 * entry a node id. */
#ifndef MEMBERSHIP_MEMBERS_H
#define MEMBERSHIP_MEMBERS_H

#include "base/error.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/time.h"
#include "base/trace.h"
#include "membership/facts.h"
#include "wire/kinds.h"
#include "wire/wire.h"

enum {
    MEMBERS_MAX = 16384,              /* what one exchange can say (messages.def) */
    MEMBER_REFUTATIONS_MAX = 1 << 30, /* one a second for 34 years; more is junk */
};

struct suspicion;

/* One member as one node holds it. Small, for a simulator holds 10^8 of them: what is the same for
 * all is in the fact, what only a suspect needs is in its suspicion. */
struct member {
    const struct fact *fact; /* who it is, at which boot and address; the key of by_id, so first */
    struct suspicion *suspicion; /* there exactly while state is SUSPECT, else NULL */
    instant since;               /* when state last changed, here */
    instant heard;               /* last authenticated datagram or stream record of it */
    uint64_t log_digest;         /* what it last said its log is; 0 = nothing yet */
    uint64_t view_digest; /* what it last said its view is (struct members); 0 = nothing yet */
    struct member *rumor_next, *rumor_previous; /* gossip's own, as the next two of rumor_ */
    uint32_t refutations;                       /* (boot, refutations) is SWIM's incarnation */
    uint32_t rtt;        /* smoothed round trip in microseconds; 0 = not measured */
    uint32_t gone_place; /* in members.gone, while it is dead or left */
    uint8_t state;       /* enum member_state, moved by members_apply alone */
    uint8_t cause;       /* enum cause: why it is held so */
    uint8_t rumor_sends; /* times the newest claim was piggybacked */
    bool is_rumor;       /* it still is */
};

/* What members_apply changed of a member. */
struct member_change {
    unsigned before; /* its state until now; 0 = it is new */
    bool is_boot_new;
    bool is_address_new;
    bool is_details_only; /* the claim is not new, address, slots or name are */
};

/* Told of every claim that won, after the fact. */
struct members_listener {
    void *context;
    void (*changed)(void *context, instant now, struct member *member,
                    const struct member_change *change);
};

struct members {
    struct memory *memory;
    struct facts *facts; /* where facts are kept: own_facts, or shared with other nodes */
    struct facts own_facts;
    struct map by_id;      /* struct member by its fact's id */
    struct member **order; /* probe order: shuffled, newcomers anywhere; self is not in it */
    size_t order_count;
    size_t order_capacity;
    struct member **gone; /* the dead and the left, in no order */
    size_t gone_count;
    size_t gone_capacity;
    struct member_chunk *chunks; /* members live in chunks; freed ones wait in a list */
    struct member *free;
    struct member *self;
    size_t state_counts[MEMBER_LEFT + 1]; /* by state, self included */
    uint64_t view_digest; /* who lives, at which boot: equal sets have equal digests */
    uint64_t dropped;     /* newcomers for whom there was no room or memory */
    struct members_listener listener;
    struct trace trace;
};

/* Empty. Borrows memory, and facts: a store shared with other nodes of this process; NULL = a store
 * of its own. */
void members_init(struct members *members, struct memory *memory, struct facts *facts);
void members_deinit(struct members *members);
/* Copies both. Until then nobody is told. */
void members_listen(struct members *members, const struct members_listener *listener,
                    const struct trace *trace);

/* NULL when it is not known. Valid until it is reaped. */
struct member *members_find(const struct members *members, const struct id *id);
/* Walks all, self included, in table order; NULL at the end. */
struct member *members_next(const struct members *members, size_t *cursor);
/* Held alive or suspect, self included. */
size_t members_living_count(const struct members *members);
static inline bool member_is_living(const struct member *member)
{
    return member->state == MEMBER_ALIVE || member->state == MEMBER_SUSPECT;
}

/* NULL, or why no member can be what this claim says (a stranger with the key). */
const char *members_check(const struct msg_member_claim *claim);

enum members_verdict {
    MEMBERS_OLDER,   /* something newer is held: nothing changed */
    MEMBERS_EQUAL,   /* as held already */
    MEMBERS_WON,     /* it is held now */
    MEMBERS_DROPPED, /* about somebody unknown, and no room: counted */
};

/* Joins a checked claim (members_check, asserted) into the table: the winner by precedence.h is
 * held. The very first claim makes self. is_own: the member itself says so; at equal precedence its
 * address, slots and name are taken. prng places newcomers. */
enum members_verdict members_apply(struct members *members, instant now,
                                   const struct msg_member_claim *claim, bool is_own,
                                   struct prng *prng);

/* A flock that has long converged, at once: everyone of these facts but self is held alive since
 * now, and to hold the same, at random places, and nobody is told. None but self may be held yet
 * (asserted), and the facts must be of the shared store. ERROR_MEMORY: some may be held then. For
 * laboratories. */
enum error members_seed(struct members *members, instant now, const struct fact *const *facts,
                        size_t count, struct prng *prng) MUST_USE;

/* What is held of the member, as a claim. Its name borrows from the member's fact: valid until a
 * claim about it wins. */
struct msg_member_claim member_claim(const struct member *member);

/* A new shuffle of the probe order (Fisher and Yates). */
void members_shuffle(struct members *members, struct prng *prng);

/* Up to count living others, neither self nor except (may be NULL), at random and without repeats,
 * into picked. Only those held ALIVE when is_trusted. Returns how many. */
size_t members_pick(const struct members *members, struct prng *prng, const struct id *except,
                    bool is_trusted, struct member **picked, size_t count);

/* A dead one at random, NULL when there is none; those that left are not dead. */
struct member *members_pick_dead(const struct members *members, struct prng *prng);

/* Forgets a member (not self: asserted), and frees it. */
void members_remove(struct members *members, struct member *member);

#endif
