/* Surplus copies: after a death the next in order takes a copy, and when the dead one comes back
 * there is one too many. It goes by a rule that is safe whatever the holder believes of who lives:
 *
 *   not among the R that should have it  --block_confirm-->  those R look at their bytes
 *   all R say good (and keep theirs for an hour)  ->  dropped
 *
 * All of them precede us in the block's order; so of two holders that both find themselves surplus
 * neither counts on the other. A refusal, silence, or a change of who lives begins anew. An earlier
 * look does not do, however late: our copy may be the last good one since. */
#include "node/surplus.h"

#include "node/holders.h"
#include "node/ids.h"
#include "node/scrub.h"

#include <string.h>

enum {
    CALM = 5 * SECOND,      /* who lives has not changed for so long: a restart takes less */
    PATIENCE = 60 * SECOND, /* for all confirmations: 16 blocks of a slow disk */
};

static struct sparing *find(struct node *node, const struct digest *digest)
{
    for (size_t i = 0; i < node->sparings_count; i++)
        if (digest_equal(&node->sparings[i].digest, digest)) return &node->sparings[i];
    return NULL;
}

static void forget(struct node *node, struct sparing *sparing)
{
    *sparing = node->sparings[--node->sparings_count];
}

static void forget_old(struct node *node)
{
    for (size_t i = node->sparings_count; i-- > 0;)
        if (node->now - node->sparings[i].since > PATIENCE) forget(node, &node->sparings[i]);
}

static struct sparing *begin(struct node *node, const struct block *block)
{
    if (node->sparings_count == SPARINGS_MAX) return NULL;
    struct sparing *sparing = &node->sparings[node->sparings_count++];
    *sparing = (struct sparing){.digest = block->digest, .since = node->now};
    return sparing;
}

static bool may_spare(const struct node *node, const struct block *block)
{
    return !node_is_leaving(node) && block->is_here && block->is_marked && block->is_surplus &&
           !block->is_list && block->placed == node->placing && block->pinned_until <= node->now &&
           block->promised_until <= node->now && node->now - node->living_changed >= CALM;
}

void surplus_consider(struct node *node, struct block *block)
{
    if (!may_spare(node, block)) return;
    forget_old(node);
    if (find(node, &block->digest) != NULL) return;
    struct sparing *sparing = begin(node, block);
    if (sparing == NULL) return; /* the next sweep goes on */
    struct id wanted[COPIES_MAX];
    size_t count = holders_wanted(node, block, block->replicas, wanted);
    struct msg_block_confirm confirm = {block->digest};
    for (size_t i = 0; i < count; i++) {
        struct link *link = links_need(node, &wanted[i]);
        bool is_sent =
            link != NULL && links_send(node, link->stream, &wire_block_confirm, &confirm);
        if (is_sent) continue;
        forget(node, sparing); /* once the stream is there */
        return;
    }
}

void surplus_confirmed(struct node *node, struct link *link,
                       const struct msg_block_confirmed *confirmed)
{
    struct sparing *sparing = find(node, &confirmed->digest);
    struct block *block = keeper_find(node, &confirmed->digest);
    if (block != NULL) block->is_vouched = confirmed->is_good;
    if (block != NULL && !confirmed->is_good) keeper_lost_copy(node, block, &link->peer);
    if (sparing == NULL) return;
    if (block == NULL || !confirmed->is_good || !may_spare(node, block)) {
        forget(node, sparing);
        return;
    }
    ids_add(sparing->confirmed, &sparing->confirmed_count, COPIES_MAX, &link->peer);
    struct id wanted[COPIES_MAX];
    size_t count = holders_wanted(node, block, block->replicas, wanted);
    for (size_t i = 0; i < count; i++)
        if (!ids_have(sparing->confirmed, sparing->confirmed_count, &wanted[i])) return;
    forget(node, sparing);
    node_count(node, METRIC_blocks_spared);
    node_count(node, METRIC_blocks_dropped);
    keeper_drop(node, block);
    node->sweep_wanted = true; /* room for the next */
}

/* ---- the other side ---- */

static void answer(struct node *node, const struct id *peer, const struct digest *digest,
                   bool is_good)
{
    struct link *link = links_need(node, peer);
    struct msg_block_confirmed confirmed = {*digest, is_good};
    if (link != NULL) links_send(node, link->stream, &wire_block_confirmed, &confirmed);
}

void surplus_asked(struct node *node, struct link *link, const struct msg_block_confirm *confirm)
{
    struct block *block = keeper_find(node, &confirm->digest);
    if (block == NULL || !block->is_here || node_is_leaving(node)) {
        answer(node, &link->peer, &confirm->digest, false);
        return;
    }
    keeper_promise(node, block);
    if (node->confirms_count == CONFIRMS_MAX || !node_has_room(node)) return; /* asked again */
    node->confirms[node->confirms_count++] = (struct confirm){block->digest, link->peer};
    scrub_check(node, block);
}

void surplus_checked(struct node *node, const struct digest *digest, bool is_good)
{
    for (size_t i = node->confirms_count; i-- > 0;) {
        if (!digest_equal(&node->confirms[i].digest, digest)) continue;
        answer(node, &node->confirms[i].peer, digest, is_good);
        node->confirms[i] = node->confirms[--node->confirms_count];
    }
}
