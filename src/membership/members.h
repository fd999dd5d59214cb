/* The member table: everyone this node has heard of and not yet forgotten, itself included. One
 * entry a node id. */
#ifndef MEMBERSHIP_MEMBERS_H
#define MEMBERSHIP_MEMBERS_H

#include "base/error.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/time.h"
#include "base/trace.h"
#include "wire/kinds.h"
#include "wire/wire.h"

enum {
    MEMBER_NAME_SIZE = 65,
    MEMBERS_MAX = 16384, /* what one exchange can say (messages.def) */
    MEMBER_REFUTATIONS_MAX = 1 << 30, /* one a second for 34 years; more is junk */
};

struct member {
    struct id id;
    struct boot boot;
    uint32_t refutations;      /* (boot, refutations) is SWIM's incarnation */
    enum member_state state;   /* moved by members_apply alone */
    enum cause cause;          /* why it is held so */
    struct address address;
    uint16_t slots;
    char name[MEMBER_NAME_SIZE];
    instant since;             /* when state last changed, here */
    instant heard;             /* last authenticated datagram or stream record of it */
    duration rtt;              /* smoothed round trip; 0 = not measured */
    uint64_t log_digest;       /* what it last said its log is; 0 = nothing yet */
    uint64_t view_digest;      /* what it last said its view is (struct members); 0 = nothing yet */
    /* gossip's own */
    instant suspicion_since;
    instant suspicion_deadline;
    uint32_t suspicion_confirmations;
    uint32_t suspicion_witnesses;
    struct id suspicion_from[4]; /* who testified: suspicion.h */
    struct member *suspect_next, *suspect_previous;
    uint32_t rumor_sends;      /* times the newest claim was piggybacked */
    bool is_rumor;             /* it still is */
    struct member *rumor_next, *rumor_previous;
    instant probe_now;         /* evidence asks for a probe out of turn; 0 = none */
};

/* What members_apply changed of a member. */
struct member_change {
    unsigned before;           /* its state until now; 0 = it is new */
    bool is_boot_new;
    bool is_address_new;
    bool is_details_only;      /* the claim is not new, address, slots or name are */
};

/* Told of every claim that won, after the fact. */
struct members_listener {
    void *context;
    void (*changed)(void *context, instant now, struct member *member,
                    const struct member_change *change);
};

struct members {
    struct memory *memory;
    struct map by_id;          /* struct member by id */
    struct member **order;     /* probe order: shuffled, newcomers anywhere; self is not in it */
    size_t order_count;
    size_t order_capacity;
    struct member *self;
    size_t state_counts[MEMBER_LEFT + 1]; /* by state, self included */
    uint64_t view_digest;      /* who lives, at which boot: equal sets have equal digests */
    uint64_t dropped;          /* newcomers for whom there was no room or memory */
    struct members_listener listener;
    struct trace trace;
};

/* Empty. Borrows memory. */
enum error members_init(struct members *members, struct memory *memory) MUST_USE;
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

/* What is held of the member, as a claim. Its name borrows from the member. */
struct msg_member_claim member_claim(const struct member *member);

/* A new shuffle of the probe order (Fisher and Yates). */
void members_shuffle(struct members *members, struct prng *prng);

/* Up to count living others, neither self nor except (may be NULL), at random and without repeats,
 * into picked. Only those held ALIVE when is_trusted. Returns how many. */
size_t members_pick(const struct members *members, struct prng *prng, const struct id *except,
                    bool is_trusted, struct member **picked, size_t count);

/* Forgets a member (not self: asserted), and frees it. */
void members_remove(struct members *members, struct member *member);

#endif
