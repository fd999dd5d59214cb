/* Rumours: the newest claim about each member of whom there is news, told a bounded number of
 * times, and the datagrams that carry them. */
#ifndef GOSSIP_RUMORS_H
#define GOSSIP_RUMORS_H

#include "base/time.h"
#include "membership/members.h"

struct gossip;

enum {
    RUMOR_LAMBDA = 4, /* times log2(n) (SWIM, section 4.1); memberlist's RetransmitMult is 4 too */
    /* n is at least 2 to this power: who has just come knows few of a flock that may be large, and
     * a dozen more tellings cost a small one nothing. */
    RUMOR_SIZE_LOG2 = 5,
    RUMOR_SIZE_MIN = 1 << RUMOR_SIZE_LOG2,
    RUMOR_QUEUES = 64, /* more than the bound for MEMBERS_MAX, 56 */
    RUMOR_FANOUT = 3,  /* members told at once when there is news, as memberlist's GossipNodes */
    RUMOR_SPREADS = 5, /* times a period, as memberlist's 200 ms of 1 s */
    RUMOR_HASTE = 20,  /* times a period at most, for deaths: 50 ms of 1 s gather several */
};

struct rumor_queue {
    struct member *first, *last;
};

/* News by the number of times it was told. */
struct rumors {
    struct rumor_queue queues[RUMOR_QUEUES];
    size_t count;        /* in all queues */
    instant spread_next; /* the next round of datagrams that carry nothing but news */
};

/* The claim held of this member is news: it is told from now on, before all older news. */
void rumors_add(struct rumors *rumors, struct member *member);
/* No news any more. */
void rumors_drop(struct rumors *rumors, struct member *member);
/* How often a claim is told in a flock of so many known members, the gone included: not by those
 * who live just now, for half of them may only be cut off. */
uint32_t rumors_limit(size_t known_count);

/* How a datagram begins, and what must be in it. */
struct rumors_head {
    const struct wire_schema *schema; /* NULL: nothing but rumours */
    const void *message;
    const struct id *to; /* the receiver, NULL = not known; if not held alive, it is told so */
    bool is_introduced;  /* with our own claim */
    bool is_stream; /* over a stream to `to`, not in a datagram: it may take long, but arrives */
};

/* Sends head and as much news as fits, fewest told first, then newest. address: NULL when
 * is_stream. */
void rumors_send(struct gossip *gossip, const struct address *address,
                 const struct rumors_head *head);
/* The latest news cannot wait for the next round: somebody's work is to be taken over. */
void rumors_hasten(struct gossip *gossip, instant now);
/* News to a few members at random, when it is time for it. */
void rumors_tick(struct gossip *gossip, instant now);
/* News to this many members (at most 16: asserted) at random, now. */
void rumors_spread(struct gossip *gossip, instant now, size_t count);
/* When rumors_tick has something to do. */
instant rumors_deadline(const struct gossip *gossip);

#endif
