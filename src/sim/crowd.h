/* A crowd: up to ten thousand gossip cores and nothing else, in one process and in virtual time.
 * It answers what a flock of five cannot: does detection stay quick, is the load of a node the same
 * in a flock of 16 and of 10,000, is anybody wrongly given up.
 *
 * The cores are the real ones, wire format included; only sealing is left out, and accounted for.
 * All nodes begin alive and known to all. One seed, one run: the same figures to the last digit. */
#ifndef SIM_CROWD_H
#define SIM_CROWD_H

#include "gossip/gossip.h"
#include "sim/census.h"
#include "sim/post.h"
#include "sim/timers.h"

enum {
    CROWD_NODES_MAX = 10000,
    CROWD_EVENTS_MAX = 1000, /* kills, pauses and joins, each */
    CROWD_EXTRAS = 16,       /* streams of a node that were opened because gossip needed them */
};

struct crowd_options {
    uint32_t nodes; /* at the start, 2 at least */
    uint64_t seed;
    uint32_t loss;      /* of datagrams, per million; streams are whole */
    uint32_t kills;     /* as by kill -9: streams end, the port refuses */
    uint32_t pauses;    /* as by SIGSTOP or a pulled plug: silence; a quarter of the time long */
    uint32_t joins;     /* newcomers, by one random member each */
    duration partition; /* halves apart for so long, 0 = not */
    duration time;      /* behind the warm-up */
    duration period;
};

enum crowd_state {
    CROWD_ABSENT, /* it will join */
    CROWD_RUNNING,
    CROWD_PAUSED,
    CROWD_KILLED,
};

struct crowd;

/* A stream that gossip asked for. */
struct crowd_extra {
    uint32_t peer;
    instant used; /* 0 = this place is free */
};

struct crowd_node {
    struct crowd *crowd;
    uint32_t number;
    enum crowd_state state;
    uint32_t waiting; /* letters in the sockets while it is paused */
    struct crowd_extra extras[CROWD_EXTRAS];
    instant paused_until;
    bool is_right;    /* its view of who lives is the truth */
    struct load load; /* since it was last set to zero */
    struct memory memory;
    struct prng prng;
    struct gossip gossip;
};

/* What is done to the crowd, and when. */
struct crowd_deed {
    instant at;
    enum crowd_deed_kind {
        DEED_MEASURE, /* the warm-up is over */
        DEED_EVENTS,  /* so is the calm */
        DEED_KILL,
        DEED_PAUSE,
        DEED_RESUME,
        DEED_JOIN,
        DEED_PART,
        DEED_HEAL,
    } kind;
    uint32_t node;
};

struct crowd {
    struct crowd_options options;
    instant now;
    struct crowd_node *nodes;
    uint32_t nodes_count; /* with those who will join */
    struct prng prng;
    struct memory memory; /* of the facts */
    struct facts facts;
    struct timers timers;
    struct post post;
    struct crowd_deed *deeds; /* by time */
    size_t deeds_count, deeds_next;
    bool is_parted;
    struct census census;
    uint64_t events;
    uint8_t *scratch;
    size_t scratch_size;
};

/* Everyone there, the deeds drawn. Copies options. Dies when the machine has no memory. */
void crowd_open(struct crowd *crowd, const struct crowd_options *options);
/* From the beginning to the end of its time. */
void crowd_run(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

/* Bytes that cores and facts hold. */
uint64_t crowd_memory_used(const struct crowd *crowd);
/* crowd_net.c: what the cores send with; the next letter's arrival; a killed one's streams. */
struct gossip_ports crowd_ports(struct crowd_node *node);
void crowd_deliver(struct crowd *crowd);
void crowd_end_streams(struct crowd *crowd, uint32_t number);
/* The node's core took a step: its timer and the census follow. */
void crowd_follow(struct crowd *crowd, struct crowd_node *node);

/* Whose id this is. */
uint32_t crowd_number(const struct id *id);
/* Two halves, by number: even and odd. */
static inline bool crowd_is_apart(const struct crowd *crowd, uint32_t a, uint32_t b)
{
    return crowd->is_parted && (a & 1) != (b & 1);
}

#endif
