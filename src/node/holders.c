/* Who should hold a block: the first R of the living in rendezvous order, leaving out those who
 * have said that they leave, and those whose disk had no room for as much a moment ago, unless they
 * have it. Every node computes the same list from who lives, so nobody needs to be asked; what is
 * full spreads by refusals alone, and where two nodes differ about it there is a copy more for a
 * while.
 *
 * Full is a disk for a size: where a large block did not fit smaller ones may. It is tried again
 * with that much after some seconds, or as soon as that much has found room; a larger one that
 * fails meanwhile is no news, and does not keep smaller ones out for longer.
 *
 * `placing` counts how often the answer may have changed for any block: what was found in its place
 * at this count needs no second look. */
#include "node/holders.h"

#include "node/ids.h"

#include <string.h>

enum {
    /* Then it is asked again: somebody may have made room. A refusal costs but a message and a look
     * at the disk (io/sink.c), no bytes. */
    FULL_FOR = 5 * SECOND,
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

static bool lacks_room(const struct node *node, const struct full *full, uint64_t size)
{
    return full->until > node->now && size >= full->size;
}

bool holders_is_full(const struct node *node, const struct id *id, uint64_t size)
{
    for (size_t i = 0; i < node->fulls_count; i++)
        if (id_equal(&node->fulls[i].id, id)) return lacks_room(node, &node->fulls[i], size);
    return false;
}

static bool may_hold(void *context, const struct id *id)
{
    const struct asking *asking = context;
    if (asking->node->leaving_count > 0 && !living_stays(asking->node, id)) return false;
    return asking->node->fulls_count == 0 || has_copy(asking->node, asking->block, id) ||
           !holders_is_full(asking->node, id, asking->block->size);
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

size_t holders_possible(const struct node *node, uint8_t replicas, uint64_t size)
{
    size_t staying = living_staying(node), full = 0;
    for (size_t i = 0; i < node->fulls_count; i++)
        full += lacks_room(node, &node->fulls[i], size) && living_has(node, &node->fulls[i].id) &&
                living_stays(node, &node->fulls[i].id);
    size_t possible = staying > full ? staying - full : 1;
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

void holders_full(struct node *node, const struct id *id, uint64_t size)
{
    instant until = node->now + FULL_FOR;
    size_t at = 0;
    while (at < node->fulls_count && !id_equal(&node->fulls[at].id, id)) at++;
    bool is_known = at < node->fulls_count && node->fulls[at].until > node->now;
    if (is_known && size > node->fulls[at].size) return;
    bool is_news = !is_known || size < node->fulls[at].size;
    if (at == FULLS_MAX) return; /* so many: it does not matter whom we ask in vain */
    if (at == node->fulls_count) node->fulls_count++;
    node->fulls[at] = (struct full){*id, size, until};
    if (!is_news) return;
    char text[ID_SHORT_SIZE];
    const struct member *member = members_find(&node->gossip.members, id);
    trace_line(&node->trace, TRACE_WARN, "event=disk-full node=%s name=%s size=%llu",
               id_short(id, text), member == NULL ? "?" : member->fact->name,
               (unsigned long long)size);
    holders_changed(node);
}

static void forget(struct node *node, size_t at)
{
    node->fulls[at] = node->fulls[--node->fulls_count];
    holders_changed(node);
}

void holders_fit(struct node *node, uint64_t size)
{
    for (size_t i = node->fulls_count; i-- > 0;)
        if (id_equal(&node->fulls[i].id, &node->id) && size >= node->fulls[i].size) forget(node, i);
}

void holders_tick(struct node *node)
{
    for (size_t i = node->fulls_count; i-- > 0;)
        if (node->fulls[i].until <= node->now) forget(node, i);
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
