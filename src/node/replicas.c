/* The log between nodes: new batches are pushed at once over the streams; what a push missed is
 * repaired by version vector.
 *
 *   commit here           --push-->  every linked peer
 *   new from elsewhere    --push-->  the neighbours on the ring (above 16 members)
 *   digests of pings differ --ask->  "this I hold"  -->  the batches that it lacks, and what the
 *                                    other holds
 *
 * Pushes may be lost (a stream ended, a peer was slow): repair needs no memory of what was sent,
 * only the two vectors. */
#include "node/state.h"

#include <string.h>

enum {
    SPREAD_EVERY =
        500 *
        MILLISECOND, /* a difference in digests is looked at so often: a push has arrived by then */
    ASK_EVERY = 100 * MILLISECOND, /* at most, a link: a gap in a burst of batches is one gap */
    FORWARD_ABOVE = 16, /* living members; below, everyone is linked to the author (links.c) */
};

static void send_batch(struct node *node, struct link *link, const struct msg_log_batch *batch)
{
    if (links_send(node, link->stream, &wire_log_batch, batch))
        node_count(node, METRIC_batches_sent);
}

void replicas_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                     const struct id *from)
{
    struct node *node = context;
    struct id near[LINKS_NEAR_MAX];
    size_t near_count = 0;
    if (node->actions == NULL) return;
    bool is_own = id_is_zero(from);
    if (!is_own) near_count = links_near(node, near);
    if (!is_own && members_living_count(&node->gossip.members) <= FORWARD_ABOVE) return;
    /* One copy in the step's arena serves all links. */
    struct slice packed = wire_pack_arena(&wire_log_batch, batch, &node->actions->arena);
    if (packed.at == NULL) return;
    for (struct link *link = node->links; link != NULL; link = link->next) {
        if (link->state != LINK_OPEN || link->purpose != CHANNEL_PEER) continue;
        if (id_equal(&link->peer, author) || (!is_own && id_equal(&link->peer, from))) continue;
        if (!is_own && !links_is_near(near, near_count, &link->peer)) continue;
        struct action *action = actions_push(node->actions, ACTION_STREAM_SEND);
        action->stream_send.stream = link->stream;
        action->stream_send.bytes = packed;
        node_count(node, METRIC_batches_sent);
    }
}

void replicas_ask(struct node *node, struct link *link, bool wants_reply)
{
    struct msg_log_vector vector = {0};
    if (!log_vector_fill(node->log, false, &vector, &node->actions->arena)) return;
    vector.complete = true;
    vector.wants_reply = wants_reply;
    link->asked = node->now;
    if (links_send(node, link->stream, &wire_log_vector, &vector))
        node_count(node, METRIC_vectors_sent);
}

void replicas_hello(struct node *node, struct link *link) { replicas_ask(node, link, true); }

struct giving {
    struct node *node;
    struct link *link;
};

static void give(void *context, const struct msg_log_batch *batch)
{
    struct giving *giving = context;
    send_batch(giving->node, giving->link, batch);
}

void replicas_vector(struct node *node, struct link *link, const struct msg_log_vector *vector)
{
    pending_vector(node, &link->peer, vector);
    heard_vector(node, &link->peer, vector);
    heard_catch_up(node, &link->peer, vector);
    if (node->smalls_size > 0 && node->works != NULL) node->is_work_wanted = true;
    if (!vector->complete) {
        if (vector->wants_reply) replicas_ask(node, link, false);
        return;
    }
    bool is_same = log_is_same(node->log, vector); /* as most are */
    bool is_cut_off = !is_same && compaction_offer(node, link, vector);
    struct giving giving = {node, link};
    bool is_all = is_same || log_missing(node->log, vector, give, &giving);
    /* Our own vector tells them the next page, and brings what we lack. */
    bool is_behind = !is_same && log_is_behind(node->log, vector);
    /* It holds now what we hold, whatever its last ping said, and that may be long ago. */
    struct member *member = members_find(&node->gossip.members, &link->peer);
    if (is_all && !is_behind && !is_cut_off && member != NULL)
        member->log_digest = log_digest(node->log);
    /* Whoever gives asks for the next page (!is_all). Who is behind asks, too, but not again at
     * once: what it lacks may be cut, and comes by a snapshot. */
    bool may_ask = is_behind && node->now - link->asked >= ASK_EVERY;
    if (vector->wants_reply || !is_all || may_ask)
        replicas_ask(node, link, !is_all || (may_ask && !vector->wants_reply));
}

void replicas_batch(struct node *node, struct link *link, const struct msg_log_batch *batch)
{
    const char *reason = log_receive(node->log, batch, &link->peer, &node->actions->arena);
    if (reason == NULL) return;
    if (reason == log_gap) {
        if (node->now - link->asked >= ASK_EVERY) replicas_ask(node, link, true);
        return;
    }
    if (log_is_offence(reason)) node_count(node, METRIC_records_refused);
    trace_line(&node->trace, TRACE_DEBUG, "event=batch-refused reason=\"%s\"", reason);
}

/* What became durable may be what an author waits for: small news to all links, jobs being rare. */
void replicas_persisted(struct node *node, uint64_t token)
{
    log_persisted(node->log, token);
    node->heard_revision++;
    heard_catch_up(node, NULL, NULL);
    struct msg_log_vector news = {0};
    if (!log_vector_fill(node->log, true, &news, &node->actions->arena) || news.feeds.count == 0)
        return;
    pending_vector(node, &node->id, &news);
    if (node->smalls_size > 0) node->is_work_wanted = true; /* two disks may have them now */
    if (node->ack_token == 0) return;
    /* An earlier write's end is not yet the one that is waited for. */
    if (token >= node->ack_token) node->ack_token = 0;
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER)
            links_send(node, link->stream, &wire_log_vector, &news);
}

void replicas_tick(struct node *node)
{
    if (node->now < node->spread_next) return;
    node->spread_next = node->now + SPREAD_EVERY;
    uint64_t own = log_digest(node->log);
    struct link *chosen = NULL;
    uint64_t seen = 0;
    for (struct link *link = node->links; link != NULL; link = link->next) {
        if (link->state != LINK_OPEN || link->purpose != CHANNEL_PEER) continue;
        const struct member *member = members_find(&node->gossip.members, &link->peer);
        if (member == NULL || member->log_digest == 0 || member->log_digest == own) continue;
        if (node->now - link->asked < SPREAD_EVERY) continue;
        if (prng_below(&node->prng, ++seen) == 0) chosen = link;
    }
    if (chosen != NULL) replicas_ask(node, chosen, true);
}
