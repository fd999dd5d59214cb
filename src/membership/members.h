/* The member table: everyone this node has heard of and not yet forgotten, itself included. One entry a node id. */
#ifndef MEMBERSHIP_MEMBERS_H
#define MEMBERSHIP_MEMBERS_H

#include "base/error.h"
#include "base/map.h"
#include "base/time.h"
#include "wire/kinds.h"
#include "wire/wire.h"

enum { MEMBER_NAME_SIZE = 65 };

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
    /* gossip's own */
    instant suspicion_deadline;
    uint32_t suspicion_confirmations;
    struct id suspicion_from[4];
    uint32_t rumor_sends;      /* times the newest claim was piggybacked */
    instant probe_now;         /* evidence asks for a probe out of turn; 0 = none */
};

struct members {
    struct memory *memory;
    struct map by_id;          /* struct member by id */
    struct member **order;     /* probe order: shuffled, newcomers at random places; self is not in it */
    size_t order_count;
    size_t order_capacity;
    struct member *self;
};

enum error members_init(struct members *members, struct memory *memory) MUST_USE;
void members_deinit(struct members *members);

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

#endif
