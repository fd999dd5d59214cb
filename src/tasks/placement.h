/* Who is preferred for a key: rendezvous hashing (Thaler and Ravishankar 1998, "Using
 * name-based mappings to increase hit rates"). Every node computes the same order without
 * asking, and a node that goes takes only its own keys' first places with it. */
#ifndef TASKS_PLACEMENT_H
#define TASKS_PLACEMENT_H

#include "base/id.h"
#include "base/time.h"

#include <stddef.h>

/* Who could run or hold something. */
struct schedule_node {
    struct id id;
    bool is_suspect;      /* or degraded: not reckoned with */
    instant silent_since; /* since when it is suspected dead; 0 = it is not */
    uint64_t score;       /* scratch of placement_order */
};

/* The nodes in rendezvous order for a key, best first, in place. Suspects too. */
void placement_order(const void *key, size_t key_size, struct schedule_node *nodes,
                     size_t nodes_count);
/* self's place in that order: 0 = first; nodes_count when it is not among them. */
size_t placement_rank(const void *key, size_t key_size, const struct schedule_node *nodes,
                      size_t nodes_count, const struct id *self);
/* self's place among those who are no suspects, whether or not it is there or is one itself;
 * rank_max when it is that or more: it is cheap where few places count. */
size_t placement_rank_below(const void *key, size_t key_size, const struct schedule_node *nodes,
                            size_t nodes_count, const struct id *self, size_t rank_max);
/* The first `max` of the nodes that may (context, id), in that order, into first; returns how many.
 */
size_t placement_first(const void *key, size_t key_size, const struct schedule_node *nodes,
                       size_t nodes_count, bool (*may)(void *context, const struct id *id),
                       void *context, struct id *first, size_t max);

/* Does a stand before b in the order for this key? */
bool placement_precedes(const void *key, size_t key_size, const struct id *a, const struct id *b);

#endif
