/* What this node saw become of members: see sightings.c. */
#ifndef NODE_SIGHTINGS_H
#define NODE_SIGHTINGS_H

#include "base/id.h"
#include "base/time.h"
#include "wire/wire.h"

struct member;
struct node;

enum {
    SIGHTINGS_MAX = 128, /* as say_sightings */
};

struct sighting {
    struct id node;
    instant at;
    uint64_t time; /* of the log's clock then */
    unsigned state, before;
    unsigned cause;
};

/* The last ones: number n at n % SIGHTINGS_MAX. */
struct sightings {
    struct sighting items[SIGHTINGS_MAX];
    uint64_t count; /* ever */
};

/* before: its state until now; 0: it is new. */
void sightings_note(struct node *node, const struct member *member, unsigned before);
void sightings_answer(struct node *node, uint64_t stream, const struct msg_ask_sightings *ask);

#endif
