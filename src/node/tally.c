/* The tally of copies elsewhere: a member that confirmed one is believed until it says that it is
 * gone, and that word may be lost: its stream broke, or too many counted on it. Believed for ever,
 * such a copy would be missed only when it is the last. So each member that we count on is asked
 * in turn which of those blocks it still has, in pages, a walk over all in half of the time for
 * which a copy is promised. What it does not name it has not got: the keeper asks for it anew.
 *
 *   of each peer in `copies`, by its id   --holdings_query-->   it
 *   those not among the answer's   <--holdings--   ->  keeper_lost_copy
 *
 * One question is open at a time; one without an answer is asked again by the next walk. */
#include "node/tally.h"

#include "node/ids.h"

#include <string.h>

enum {
    TURN = 1 * SECOND, /* a page each: a burst of some KB that nobody notices */
};

static duration walk_length(const struct node *node) { return keeper_promise_length(node) / 2; }

void tally_start(struct node *node) { node->tally.next = node->now + walk_length(node); }

/* The peer with the least id above the last one's that anything counts on. */
static bool next_peer(struct node *node, struct id *peer)
{
    bool is_found = false;
    size_t cursor = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;)
        for (size_t i = 0; i < block->copies_count; i++) {
            const struct id *id = &block->copies[i];
            if (id_compare(id, &node->tally.peer) <= 0) continue;
            if (is_found && id_compare(id, peer) >= 0) continue;
            *peer = *id;
            is_found = true;
        }
    return is_found;
}

/* A page of what we count on this peer for, from the cursor on, which is 0 after the last. */
static struct list gather(struct node *node)
{
    struct tally *tally = &node->tally;
    struct msg_block_ref *page = arena_take(&node->actions->arena, TALLY_PAGE * sizeof *page);
    struct block *block = NULL;
    tally->asked_count = 0;
    while (page != NULL && tally->asked_count < TALLY_PAGE &&
           (block = map_next(&node->blocks, &tally->cursor)) != NULL) {
        if (!ids_have(block->copies, block->copies_count, &tally->peer)) continue;
        page[tally->asked_count] = (struct msg_block_ref){block->digest, block->size};
        tally->asked[tally->asked_count++] = block->digest;
    }
    if (block == NULL) tally->cursor = 0;
    return (struct list){page, (uint32_t)tally->asked_count};
}

void tally_tick(struct node *node)
{
    struct tally *tally = &node->tally;
    if (node->now < tally->next || !node_has_room(node)) return;
    if (tally->cursor == 0 && !next_peer(node, &tally->peer)) {
        memset(&tally->peer, 0, sizeof tally->peer);
        tally->token = 0;
        tally->next = node->now + walk_length(node);
        return;
    }
    tally->next = node->now + TURN;
    struct list page = gather(node);
    struct link *link = page.count == 0 ? NULL : links_need(node, &tally->peer);
    if (link == NULL) return;
    tally->token = node->token_next++;
    struct msg_holdings_query query = {.token = tally->token, .blocks = page};
    (void)links_send(node, link->stream, &wire_holdings_query, &query);
}

static bool is_named(const struct msg_holdings *holdings, const struct digest *digest)
{
    const struct msg_block_ref *blocks = holdings->blocks.at;
    for (uint32_t i = 0; i < holdings->blocks.count; i++)
        if (digest_equal(&blocks[i].digest, digest)) return true;
    return false;
}

bool tally_answer(struct node *node, const struct link *link, const struct msg_holdings *holdings)
{
    struct tally *tally = &node->tally;
    if (tally->token == 0 || holdings->token != tally->token) return false;
    if (!id_equal(&link->peer, &tally->peer)) return false;
    tally->token = 0;
    for (size_t i = 0; i < tally->asked_count; i++) {
        struct block *block = keeper_find(node, &tally->asked[i]);
        if (block == NULL || is_named(holdings, &tally->asked[i])) continue;
        if (!ids_have(block->copies, block->copies_count, &link->peer)) continue;
        node_count(node, METRIC_copies_gone);
        keeper_lost_copy(node, block, &link->peer);
    }
    return true;
}
