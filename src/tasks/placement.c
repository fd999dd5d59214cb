/* Rendezvous order. Equal scores (which chance will hardly bring) fall to the lesser id, so
 * that the order is total. */
#include "tasks/placement.h"

#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t score_of(const void *key, size_t key_size, const struct id *id)
{
    return hash_rendezvous(key, key_size, id->bytes, sizeof id->bytes);
}

static bool precedes(uint64_t score_a, const struct id *a, uint64_t score_b, const struct id *b)
{
    if (score_a != score_b) return score_a > score_b;
    return id_compare(a, b) < 0;
}

bool placement_precedes(const void *key, size_t key_size, const struct id *a, const struct id *b)
{
    return precedes(score_of(key, key_size, a), a, score_of(key, key_size, b), b);
}

static int compare(const void *left, const void *right)
{
    const struct schedule_node *a = left, *b = right;
    if (precedes(a->score, &a->id, b->score, &b->id)) return -1;
    return precedes(b->score, &b->id, a->score, &a->id);
}

void placement_order(const void *key, size_t key_size, struct schedule_node *nodes,
                     size_t nodes_count)
{
    for (size_t i = 0; i < nodes_count; i++) nodes[i].score = score_of(key, key_size, &nodes[i].id);
    if (nodes_count > 1) qsort(nodes, nodes_count, sizeof *nodes, compare);
}

size_t placement_rank(const void *key, size_t key_size, const struct schedule_node *nodes,
                      size_t nodes_count, const struct id *self)
{
    uint64_t own = score_of(key, key_size, self);
    size_t rank = 0;
    bool is_there = false;
    for (size_t i = 0; i < nodes_count; i++) {
        const struct id *id = &nodes[i].id;
        if (id_equal(id, self)) is_there = true;
        else if (precedes(score_of(key, key_size, id), id, own, self)) rank++;
    }
    return is_there ? rank : nodes_count;
}

size_t placement_rank_below(const void *key, size_t key_size, const struct schedule_node *nodes,
                            size_t nodes_count, const struct id *self, size_t rank_max)
{
    uint64_t own = score_of(key, key_size, self);
    size_t rank = 0;
    for (size_t i = 0; i < nodes_count && rank < rank_max; i++) {
        const struct id *id = &nodes[i].id;
        if (nodes[i].is_suspect || id_equal(id, self)) continue;
        if (precedes(score_of(key, key_size, id), id, own, self)) rank++;
    }
    return rank;
}

enum {
    FIRST_MAX = 16
}; /* as many copies as anything may have */

size_t placement_first(const void *key, size_t key_size, const struct schedule_node *nodes,
                       size_t nodes_count, bool (*may)(void *context, const struct id *id),
                       void *context, struct id *first, size_t max)
{
    uint64_t scores[FIRST_MAX];
    size_t count = 0;
    assert(max <= FIRST_MAX);
    for (size_t i = 0; i < nodes_count; i++) {
        const struct id *id = &nodes[i].id;
        uint64_t score = score_of(key, key_size, id);
        size_t at = count;
        while (at > 0 && precedes(score, id, scores[at - 1], &first[at - 1])) at--;
        if (at == max || !may(context, id)) continue;
        if (count < max) count++;
        memmove(&scores[at + 1], &scores[at], (count - 1 - at) * sizeof *scores);
        memmove(&first[at + 1], &first[at], (count - 1 - at) * sizeof *first);
        scores[at] = score;
        first[at] = *id;
    }
    return count;
}
