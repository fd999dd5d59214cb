/* What members say of themselves: one record for all who hold the same of somebody. A simulator of
 * ten thousand nodes keeps each fact once and not ten thousand times; a node by itself has a store
 * of its own, in which each fact has one holder. */
#ifndef MEMBERSHIP_FACTS_H
#define MEMBERSHIP_FACTS_H

#include "base/error.h"
#include "base/map.h"
#include "wire/wire.h"

enum {
    MEMBER_NAME_SIZE = 65,
};

/* A member at one boot. Never changes while it is held. */
struct fact {
    struct id id;
    struct boot boot;
    struct address address;
    uint16_t slots;
    uint8_t name_size;
    char name[MEMBER_NAME_SIZE]; /* visible ASCII */
    uint64_t view_part;          /* its part of a view's digest while it lives */
    /* facts.c's own */
    uint32_t holders;
    struct fact *next; /* another of the same id */
};

struct facts {
    struct memory *memory;
    struct map by_id; /* the first of each id */
};

/* Empty. Borrows memory. */
void facts_init(struct facts *facts, struct memory *memory);
/* Nobody may hold any fact (asserted). */
void facts_deinit(struct facts *facts);

/* What the claim says of its member, held once more; its name is cleaned, and must be shorter than
 * MEMBER_NAME_SIZE (asserted). Give it back with facts_put. NULL when out of memory. */
const struct fact *facts_take(struct facts *facts, const struct msg_member_claim *claim);
/* The same fact, held once more. */
const struct fact *facts_share(const struct fact *fact);
/* Held once less; forgotten when nobody holds it. */
void facts_put(struct facts *facts, const struct fact *fact);

/* The claim says of address, slots and name what the fact does. */
bool fact_has_details(const struct fact *fact, const struct msg_member_claim *claim);

#endif
