/* A block goes when nothing references it. What is not known here might, though: somebody may have
 * named it, or made it a job's input, who had not heard yet that its name is gone. So the block
 * stays until whatever was known here when it became free is known to all of the roster (stable;
 * design, section 7): whoever writes a reference after that knows that the block may go, and has it
 * copied first; who wrote one before has told us by then, for its vector is ours, too.
 *
 * That is a grace period, as in read-copy-update (McKenney and Slingwine 1998): not every block has
 * one of its own. When a block becomes free, the next *frontier* is what counts: how far we hold
 * each feed, noted once the one before has been reached.
 *
 *   free            free                    frontier 7 is stable: the first two go
 *   v               v                       v
 *   ----- frontier 7 taken ------ free -----|--- frontier 8 taken ------ stable: the third goes
 *
 * Nothing may stay for ever because one node is away. After WAIT_MAX it goes anyhow: a reference is
 * accepted only where enough of the living have the block (pending.c), so one from behind a cut
 * has its copies there, with holders who have not heard that anything is free. And whose disk is
 * full does not wait: somebody freed that room in order to use it. */
#include "node/freed.h"

#include "node/holders.h"

#include <string.h>

enum {
    WAIT_MAX = 60 * SECOND, /* above a heal's first exchange, and people wait for room */
    ASK_EVERY = SECOND,     /* of each peer that has not said how far it is */
    ASK_LAST = 15 * SECOND,
};

static bool is_waiting(const struct freed *freed) { return freed->wanted > freed->reached; }

static bool take_frontier(struct node *node)
{
    struct freed *freed = &node->freed;
    size_t cursor = 0;
    struct msg_feed_position feed;
    freed->count = 0;
    while (log_feeds_next(node->log, &cursor, &feed)) {
        struct msg_feed_position *grown = memory_grow(
            &node->memory, freed->frontier, &freed->capacity, freed->count, sizeof *grown);
        if (grown == NULL) return false; /* at the next look */
        freed->frontier = grown;
        freed->frontier[freed->count++] = feed;
    }
    freed->taken = freed->reached + 1;
    freed->seen = 0;
    freed->patience = ASK_EVERY;
    freed->ask = node->now;
    return true;
}

static bool has_said(const struct node *node, const struct id *peer)
{
    return heard_has_all(node, peer, node->freed.frontier, node->freed.count);
}

static bool is_reached(struct node *node)
{
    size_t cursor = 0;
    if (!log_has_durable(node->log, node->freed.frontier, node->freed.count)) return false;
    for (const struct flock_node *at; (at = flock_next(&node->flock, &cursor)) != NULL;)
        if (!id_equal(&at->id, &node->id) && !has_said(node, &at->id)) return false;
    return true;
}

/* Those who are here and have not said it. */
static void ask(struct node *node)
{
    struct freed *freed = &node->freed;
    if (node->now < freed->ask) return;
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER &&
            !has_said(node, &link->peer))
            replicas_ask(node, link, true);
    freed->patience = 2 * freed->patience < ASK_LAST ? 2 * freed->patience : ASK_LAST;
    freed->ask = node->now + freed->patience;
}

void freed_tick(struct node *node)
{
    struct freed *freed = &node->freed;
    if (!is_waiting(freed) || node->now < freed->look) return;
    freed->look = node->now + ASK_EVERY / 4;
    if (freed->taken == freed->reached && !take_frontier(node)) return;
    uint64_t news = 1 + node->heard_revision + node->flock.lateness_revision;
    bool has_news = freed->seen != news; /* else what was not reached then is not now */
    freed->seen = news;
    if (has_news) heard_settle(node);
    if (has_news && is_reached(node)) {
        freed->reached = freed->taken;
        node->sweep_wanted = true;
        return;
    }
    ask(node);
}

instant freed_deadline(const struct node *node)
{
    return is_waiting(&node->freed) ? node->freed.look : INSTANT_NEVER;
}

bool freed_may_go(struct node *node, struct block *block)
{
    struct freed *freed = &node->freed;
    if (block->frontier == 0) {
        block->frontier = freed->taken + 1; /* the next one that is taken */
        block->freed = node->now;
        if (block->frontier > freed->wanted) freed->wanted = block->frontier;
    }
    return block->frontier <= freed->reached || node->now - block->freed >= WAIT_MAX ||
           holders_is_full(node, &node->id, UINT64_MAX);
}

void freed_forget(struct block *block) { block->frontier = 0; }

void freed_close(struct node *node)
{
    memory_put(&node->memory, node->freed.frontier,
               node->freed.capacity * sizeof *node->freed.frontier);
}
