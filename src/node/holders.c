/* Who should hold a block: the first R of the living in rendezvous order, leaving out those whose
 * disk was full a moment ago, unless they have it. Every node computes the same list from who
 * lives, so nobody needs to be asked; what is full spreads by refusals alone, and where two nodes
 * differ about it there is a copy more for a while.
 *
 * `placing` counts how often the answer may have changed for any block: what was found in its place
 * at this count needs no second look. */
#include "node/holders.h"

#include "node/ids.h"

#include <string.h>

enum {
    FULL_FOR = 20 * SECOND, /* then it is asked again: somebody may have made room */
};

struct asking {
    const struct node *node;
    const struct block *block;
};

static bool has_copy(const struct node *node, const struct block *block, const struct id *id)
{
    if (id_equal(id, &node->id)) return block->is_here;
    return ids_have(block->copies, block->copies_count, id);
}

bool holders_is_full(const struct node *node, const struct id *id)
{
    for (size_t i = 0; i < node->fulls_count; i++)
        if (id_equal(&node->fulls[i].id, id)) return node->fulls[i].until > node->now;
    return false;
}

static bool may_hold(void *context, const struct id *id)
{
    const struct asking *asking = context;
    return asking->node->fulls_count == 0 || has_copy(asking->node, asking->block, id) ||
           !holders_is_full(asking->node, id);
}

size_t holders_wanted(struct node *node, const struct block *block, uint8_t replicas,
                      struct id wanted[COPIES_MAX])
{
    size_t living_count;
    const struct schedule_node *living = living_nodes(node, &living_count);
    struct asking asking = {node, block};
    return placement_first(&block->digest, sizeof block->digest, living, living_count, may_hold,
                           &asking, wanted, replicas < COPIES_MAX ? replicas : COPIES_MAX);
}

size_t holders_possible(const struct node *node, uint8_t replicas)
{
    size_t living = members_living_count(&node->gossip.members), full = 0;
    for (size_t i = 0; i < node->fulls_count; i++)
        full += node->fulls[i].until > node->now && living_has(node, &node->fulls[i].id);
    size_t possible = living > full ? living - full : 1;
    size_t most = replicas < COPIES_MAX ? replicas : COPIES_MAX;
    return possible < most ? possible : most;
}

/* Confirmations of others than those who should have it are forgotten: they may drop theirs, and
 * should it be their turn again they are asked again. */
static void forget_others(struct block *block, const struct id *wanted, size_t count)
{
    for (size_t i = block->copies_count; i-- > 0;)
        if (!ids_have(wanted, count, &block->copies[i]))
            ids_remove(block->copies, &block->copies_count, &block->copies[i]);
}

bool holders_are_complete(struct node *node, struct block *block)
{
    if (block->placed == node->placing && block->placed_replicas == block->replicas) return true;
    struct id wanted[COPIES_MAX];
    size_t count = holders_wanted(node, block, block->replicas, wanted);
    for (size_t i = 0; i < count; i++)
        if (!has_copy(node, block, &wanted[i])) return false;
    forget_others(block, wanted, count);
    block->is_surplus = !ids_have(wanted, count, &node->id);
    block->placed = node->placing;
    block->placed_replicas = block->replicas;
    return true;
}

void holders_changed(struct node *node)
{
    if (++node->placing == 0) node->placing = 1;
    node->sweep_wanted = true;
}

void holders_full(struct node *node, const struct id *id)
{
    instant until = node->now + FULL_FOR;
    size_t at = 0;
    while (at < node->fulls_count && !id_equal(&node->fulls[at].id, id)) at++;
    bool is_news = at == node->fulls_count || node->fulls[at].until <= node->now;
    if (at == FULLS_MAX) return; /* so many: it does not matter whom we ask in vain */
    if (at == node->fulls_count) node->fulls_count++;
    node->fulls[at] = (struct full){*id, until};
    if (!is_news) return;
    char text[ID_SHORT_SIZE];
    const struct member *member = members_find(&node->gossip.members, id);
    trace_line(&node->trace, TRACE_WARN, "event=disk-full node=%s name=%s", id_short(id, text),
               member == NULL ? "?" : member->fact->name);
    holders_changed(node);
}

void holders_tick(struct node *node)
{
    for (size_t i = node->fulls_count; i-- > 0;) {
        if (node->fulls[i].until > node->now) continue;
        node->fulls[i] = node->fulls[--node->fulls_count];
        holders_changed(node);
    }
}

size_t holders_full_names(const struct node *node, char *text, size_t size)
{
    size_t used = 0, count = 0;
    text[0] = '\0';
    for (size_t i = 0; i < node->fulls_count; i++) {
        const struct member *member = members_find(&node->gossip.members, &node->fulls[i].id);
        if (member == NULL || node->fulls[i].until <= node->now) continue;
        size_t length = strlen(member->fact->name);
        if (used + length + 3 > size) break;
        if (count++ > 0) {
            memcpy(text + used, ", ", 2);
            used += 2;
        }
        memcpy(text + used, member->fact->name, length + 1);
        used += length;
    }
    return count;
}
