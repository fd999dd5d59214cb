/* Who lives, as the parts that place work and blocks want it: alive and suspect members, self
 * included, sorted by id, so that every node that knows the same members computes the same orders.
 *
 * Whose turn it is to write an entry that any node may write follows from rendezvous order, too:
 * the first may at once, each next one TURN later (design, section 7). */
#include "node/holders.h"
#include "node/state.h"

#include <string.h>

enum {
    TURN = SECOND, /* the next writer in line waits so long */
};

static int compare_nodes(const struct schedule_node *a, const struct schedule_node *b)
{
    return id_compare(&a->id, &b->id);
}

/* Insertion sort: nearly sorted from one rebuild to the next, and a flock is small. */
static void sort_nodes(struct schedule_node *nodes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct schedule_node moved = nodes[i];
        size_t at = i;
        for (; at > 0 && compare_nodes(&moved, &nodes[at - 1]) < 0; at--) nodes[at] = nodes[at - 1];
        nodes[at] = moved;
    }
}

static void rebuild_living(struct node *node)
{
    node->living_count = 0;
    size_t cursor = 0;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;) {
        if (!member_is_living(m) || node->living_count == LIVING_MAX) continue;
        struct schedule_node *grown = memory_grow(
            &node->memory, node->living, &node->living_capacity, node->living_count, sizeof *grown);
        if (grown == NULL) {
            node_fail(node, ERROR_MEMORY, "living");
            return;
        }
        node->living = grown;
        bool is_silent = m->state == MEMBER_SUSPECT;
        node->living[node->living_count++] = (struct schedule_node){
            .id = m->fact->id,
            .is_suspect = is_silent || m->fact->slots == 0 || !living_stays(node, &m->fact->id) ||
                          standing_is_degraded(node, &m->fact->id),
            .silent_since = is_silent ? (m->since > 0 ? m->since : 1) : 0,
        };
    }
    sort_nodes(node->living, node->living_count);
    node->is_living_stale = false;
}

const struct schedule_node *living_nodes(struct node *node, size_t *count)
{
    if (node->is_living_stale) rebuild_living(node);
    *count = node->living_count;
    return node->living;
}

bool living_has(const struct node *node, const struct id *id)
{
    const struct member *member = members_find(&node->gossip.members, id);
    return member != NULL && member_is_living(member);
}

bool living_stays(const struct node *node, const struct id *id)
{
    if (id_equal(id, &node->id)) return !node_is_leaving(node);
    return !flock_has_left(&node->flock, id);
}

size_t living_staying(const struct node *node)
{
    size_t living = members_living_count(&node->gossip.members);
    return living > node->leaving_count ? living - node->leaving_count : 0;
}

void living_recount(struct node *node)
{
    size_t cursor = 0;
    node->leaving_count = 0;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;)
        node->leaving_count += member_is_living(m) && !living_stays(node, &m->fact->id);
    node->is_living_stale = node->is_work_wanted = true;
    holders_changed(node);
}

size_t living_windows(const struct node *node)
{
    size_t living = members_living_count(&node->gossip.members);
    return living <= HOLDERS_MAX ? 1 : (living + HOLDERS_MAX - 1) / HOLDERS_MAX;
}

const struct msg_block_holder *living_holders(struct node *node, const struct digest *digest,
                                              const struct id *first, size_t window, size_t *count)
{
    *count = 0;
    size_t living_count;
    const struct schedule_node *living = living_nodes(node, &living_count);
    struct arena *arena = &node->actions->arena;
    struct schedule_node *order = arena_take(arena, living_count * sizeof *order);
    struct msg_block_holder *holders = arena_take(arena, HOLDERS_MAX * sizeof *holders);
    if (order == NULL || holders == NULL) return NULL;
    memcpy(order, living, living_count * sizeof *order);
    placement_order(digest, sizeof *digest, order, living_count);
    if (first != NULL && living_has(node, first) && !id_equal(first, &node->id)) {
        const struct member *member = members_find(&node->gossip.members, first);
        holders[(*count)++] = (struct msg_block_holder){member->fact->id, member->fact->address};
    }
    size_t windows = living_windows(node);
    for (size_t i = window % windows * HOLDERS_MAX; i < living_count && *count < HOLDERS_MAX; i++) {
        if (id_equal(&order[i].id, &node->id)) continue;
        if (first != NULL && id_equal(&order[i].id, first)) continue;
        const struct member *member = members_find(&node->gossip.members, &order[i].id);
        holders[(*count)++] = (struct msg_block_holder){member->fact->id, member->fact->address};
    }
    return holders;
}

bool living_is_turn(struct node *node, const void *key, size_t key_size, instant since)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    size_t rank = placement_rank(key, key_size, living, count, &node->id);
    return node->now - since >= (duration)rank * TURN;
}
