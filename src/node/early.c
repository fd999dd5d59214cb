/* Early copies. Of a large upload the first blocks are here long before the last one, and before
 * the client says what they are for. It has told how many copies it will want, though; so those
 * that will hold a block are asked at once, and the copies are made while the rest comes:
 *
 *   client   store 1  store 2  store 3  ...        name
 *   here              copy 1   copy 2   copy 3     (all there: a round of questions)
 *
 * Nothing rests on them. Who is asked keeps the block for some seconds, as long as the question is
 * repeated; when the client gives up, or goes, it is not, and the copy goes by itself. For the name
 * or the job all are asked once more, now to keep and to look at what they have (keeper.c). */
#include "node/early.h"

enum {
    /* Sweeps come each 10 s at least: so it is less than 15 s, the pin of who was asked, from one
     * question to the next. */
    RENEW_AFTER = 4 * SECOND,
    STORES_WITHIN = 60 * SECOND, /* a client that still stores: else its copies are made again */
};

static void ask(struct node *node, struct block *block)
{
    if (!node_has_room(node)) return; /* the next sweep does */
    keeper_forget_copies(block);
    keeper_ask(node, block, block->early, true, NULL);
}

void early_begin(struct node *node, const struct digest *digest, uint8_t copies)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL || copies < 2) return;
    block->early = copies;
    node->early_last = node->now;
    ask(node, block);
}

/* While clients store here, and the upload's own pin lasts. Not the block's: two nodes to which the
 * same bytes were stored, and given up, would ask each other for ever. */
void early_renew(struct node *node, struct block *block)
{
    if (block->early == 0) return;
    bool is_young = node->now - block->uploaded < keeper_promise_length(node) &&
                    node->now - node->early_last < STORES_WITHIN;
    bool is_wanted = block->uploads > 0 && block->is_here && is_young;
    if (!is_wanted) block->early = 0;
    else if (node->now - block->asked >= RENEW_AFTER) ask(node, block);
}

void early_end(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL || block->early == 0) return;
    block->early = 0;
    keeper_forget_copies(block);
}
