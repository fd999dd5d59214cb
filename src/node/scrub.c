/* The scrub: a slow walk over all blocks that are here, each read through and compared with its
 * digest, because a disk may lie years after it took the bytes. The same check is made when a peer
 * wants to rely on our copy (surplus.c), and the driver makes it before a block is read by a task
 * or given away. What is rotten is dropped at once, whoever found it, and fetched again from a
 * replica; the others hear that ours does not count meanwhile.
 *
 * A walk takes `scrub_every`, evenly, or as long as SCRUB_RATE makes it: nobody's work should
 * notice. What moves within the table during a walk may be left out and is met by the next one. */
#include "node/scrub.h"

#include "node/surplus.h"

#include <string.h>

enum {
    SCRUB_RATE =
        8 << 20, /* bytes a second: a tenth of a slow disk; a terabyte in a day and a half */
    /* As short as a walk should be: unread sectors are found within a day, and a machine with some
     * blocks only is hardly woken by it. */
    SCRUB_HOURS = 24,
};

static bool is_waited_for(const struct node *node)
{
    static const struct digest none;
    return !digest_equal(&node->scrub_digest, &none);
}

static duration pause_after(const struct node *node, uint64_t size)
{
    duration every =
        node->scrub_every > 0 ? node->scrub_every : (duration)SCRUB_HOURS * 3600 * SECOND;
    duration even = every / (duration)(node->blocks.count + 1);
    duration slow = (duration)(size / SCRUB_RATE) * SECOND +
                    (duration)(size % SCRUB_RATE) * SECOND / SCRUB_RATE;
    return even > slow ? even : slow;
}

void scrub_start(struct node *node) { node->scrub_next = node->now + pause_after(node, 0); }

void scrub_check(struct node *node, struct block *block)
{
    if (block->is_checking || !block->is_here) return;
    block->is_checking = true;
    actions_push(node->actions, ACTION_BLOCK_CHECK)->block_check.block =
        (struct msg_block_ref){block->digest, block->size};
}

static struct block *next_block(struct node *node)
{
    struct block *block;
    for (int turn = 0; turn < 2; turn++, node->scrub_cursor = 0)
        while ((block = map_next(&node->blocks, &node->scrub_cursor)) != NULL)
            if (block->is_here && !block->is_checking) return block;
    return NULL;
}

void scrub_tick(struct node *node)
{
    if (node->now < node->scrub_next || !node_has_room(node)) return;
    struct block *block = next_block(node);
    node->scrub_pause = pause_after(node, block == NULL ? 0 : block->size);
    node->scrub_next = block == NULL ? node->now + node->scrub_pause : INSTANT_NEVER;
    if (block == NULL) return;
    node->scrub_digest = block->digest;
    scrub_check(node, block);
}

static void rotten(struct node *node, struct block *block, enum error error)
{
    char text[DIGEST_TEXT_SIZE];
    node_count(node, METRIC_blocks_rotten);
    trace_line(&node->trace, TRACE_WARN, "event=rot block=%.12s size=%llu error=\"%s\" copies=%zu",
               digest_text(&block->digest, text), (unsigned long long)block->size,
               error_text(error), block->copies_count);
    block->is_missed = block->is_marked;
    keeper_drop(node, block);
    work_lost_block(node);
    if (block->is_missed || block->waiters_count > 0) keeper_fetch(node, block);
    node->sweep_wanted = true;
}

/* A check that could not be made says nothing about the bytes. */
static bool is_verdict(enum error error)
{
    return error == ERROR_CORRUPT || error == ERROR_IO || error == ERROR_NOT_FOUND;
}

void scrub_checked(struct node *node, const struct digest *digest, enum error error)
{
    static const struct digest none;
    struct block *block = keeper_find(node, digest);
    if (is_waited_for(node) && digest_equal(digest, &node->scrub_digest)) {
        node->scrub_digest = none;
        node->scrub_next = node->now + node->scrub_pause;
    }
    bool is_good = block != NULL && block->is_here && error == ERROR_NONE;
    if (block != NULL && block->is_checking) {
        block->is_checking = false;
        node_count(node, METRIC_blocks_checked);
    }
    if (block != NULL && block->is_here && is_verdict(error)) rotten(node, block, error);
    if (is_good) keeper_looked(node, digest);
    surplus_checked(node, digest, is_good);
}
