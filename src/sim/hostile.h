/* A hostile author: a key holder whose driver lies. Over its streams it sends every peer batches
 * that no honest node makes: two histories of a feed, a chain that does not fit, a broken
 * signature, a gap, a time far ahead, another's feed, more than a batch may be. Each node must
 * refuse and count each of them (S7), and the flock's state be what it was. */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include <stdint.h>

struct world;
struct host;
struct hostile_witness;

struct hostile {
    struct hostile_witness *witnesses; /* owned; NULL: none has struck */
    uint32_t host;
};

/* It forks its feeds of former boots; without two of those, nothing happens. */
void hostile_strike(struct world *world, struct host *host);
/* At the end: has everyone who was there counted all of it? */
void hostile_final(struct world *world);
void hostile_deinit(struct world *world);

#endif
