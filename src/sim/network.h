/* The network of the laboratory: datagrams that are late, lost, doubled, overtaken, damaged; links
 * that are cut in one direction or both. Streams (streams.h) ask it for delays and cuts. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "base/address.h"
#include "base/prng.h"
#include "base/slice.h"
#include "base/time.h"

#include <stdbool.h>

struct world;

enum layout {
    LAYOUT_HALVES,
    LAYOUT_ONE,     /* one alone */
    LAYOUT_THIRD,   /* a minority */
    LAYOUT_BRIDGE,  /* two halves that share one node */
    LAYOUT_RING,    /* each hears its neighbours only */
    LAYOUT_PAIRS,   /* random pairs (network maintenance) */
    LAYOUT_ONE_WAY, /* a group is heard, and hears nobody */
    LAYOUT_ONE_WAY_PAIRS,
    LAYOUT_ONE_WAY_RING, /* each hears the one before it only: nothing is transitive */
    LAYOUT_COUNT
};

/* Rates are per million. */
struct network {
    struct prng prng;
    duration delay;  /* one way, at least */
    duration jitter; /* and up to so much more: reorders */
    uint32_t loss;
    uint32_t duplicate;
    uint32_t corrupt;
    uint32_t late; /* so many datagrams come up to late_max later */
    duration late_max;
    instant *cut_since; /* [from * count + to]; INSTANT_NEVER = not cut */
    uint32_t *wonky;    /* per node: loss of what it sends and hears */
    uint32_t count;
    uint32_t cuts; /* directed links that are cut */
    uint64_t datagrams, lost;
};

void network_init(struct network *network, uint32_t count, uint64_t seed);
void network_deinit(struct network *network);

/* The address of node `index`; and back: count when it is nobody's. */
struct address network_address(uint32_t index);
uint32_t network_index(const struct network *network, const struct address *address);

/* A datagram leaves. Copies. */
void network_send(struct world *world, uint32_t from, const struct address *to, struct slice bytes);
/* One way of this link's delay, now. Draws. Clients (indices from count on) have links, too, never
 * cut. */
duration network_delay(struct network *network);
bool network_is_cut(const struct network *network, uint32_t from, uint32_t to);
/* True when either direction has been cut for at least so long. */
bool network_is_cut_since(const struct network *network, uint32_t a, uint32_t b, instant before);

void network_cut(struct network *network, uint32_t from, uint32_t to, instant now);
/* group: bit i = node i is in it; 0 = by chance. */
void network_partition(struct network *network, enum layout layout, uint64_t group,
                       struct prng *prng, instant now);
/* "halves", ...; the words of scenario files. */
const char *layout_text(enum layout layout);
/* Ordinary delays. */
void network_calm(struct network *network);
/* All links whole again; rates of faults zero, delays ordinary when is_calm. */
void network_heal(struct network *network, bool is_calm);

#endif
