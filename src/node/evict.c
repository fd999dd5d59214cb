/* Who is dead for good: off the roster by the voice of most of it, or by hand.
 *
 *   dead for so long (a day, or as --evict-after says)
 *                             -> the first of the living in line asks the others: evict_ask
 *   dead to them, too         -> evict_agree
 *   more than half of the roster agree, the asker included -> an `evicted` entry
 *   mrctl forget              -> the same entry, without asking
 *
 * Voices are not written down: who has lost half of the roster from sight can never collect them,
 * and an old voice must not count when the node has been back since. The entry says what its author
 * held of the node's feeds; from then on nobody waits for the node (final.c).
 *
 * Who hears that it was evicted itself (the other side of a partition, a machine that was away for
 * long) authors nothing until it has everything that somebody of the roster had after that; then it
 * says so (`returned`) and is a newcomer. What it had written before, unseen, is taken by the
 * others whole, by repair: jobs that it had acknowledged are there. Only its word on how a job
 * ended weighs less than that of who stayed (tasks/ends.c). */
#include "node/state.h"

#include <string.h>

enum {
    EVICT_AFTER_S = 24 * 3600, /* longer than repairs over night and power cuts of a city take */
    LOOKS = 8,                 /* in that time, at least; and at most so often: */
    LOOK_LEAST = SECOND,
    LOOK_MOST_S = 60,
};

static duration evict_after(const struct node *node)
{
    return node->evict_after > 0 ? node->evict_after : (duration)EVICT_AFTER_S * SECOND;
}

static duration look_every(const struct node *node)
{
    duration every = evict_after(node) / LOOKS;
    if (every < LOOK_LEAST) return LOOK_LEAST;
    return every < (duration)LOOK_MOST_S * SECOND ? every : (duration)LOOK_MOST_S * SECOND;
}

/* Since when it is not among the living, as we know; INSTANT_NEVER: it is. The membership forgets
 * the dead after a day (gossip.h): then what we have noted counts. */
static instant gone_since(const struct node *node, const struct id *id)
{
    const struct member *member = members_find(&node->gossip.members, id);
    const struct roster_item *item = map_get(&node->roster, id);
    if (member == NULL) return item != NULL && item->gone != 0 ? item->gone : node->started;
    return member_is_living(member) ? INSTANT_NEVER : member->since;
}

void evict_changed(struct node *node, const struct member *member)
{
    struct roster_item *item = map_get(&node->roster, &member->fact->id);
    if (item != NULL) item->gone = member_is_living(member) ? 0 : member->since;
}

static bool is_long_gone(const struct node *node, const struct id *id, duration least)
{
    instant since = gone_since(node, id);
    return since != INSTANT_NEVER && node->now - since >= least;
}

/* ---- the entry ---- */

void evict_write(struct node *node, const struct id *id, enum cause cause)
{
    struct msg_feed_end *feeds = arena_take(&node->actions->arena, FLOCK_FEEDS_MAX * sizeof *feeds);
    struct msg_evicted evicted = {.node = *id, .cause = (uint8_t)cause};
    struct msg_feed_position held;
    size_t cursor = 0;
    uint32_t count = 0;
    if (feeds == NULL) return;
    while (log_feeds_next(node->log, &cursor, &held)) {
        if (!id_equal(&held.node, id)) continue;
        if (count == FLOCK_FEEDS_MAX) memmove(feeds, feeds + 1, --count * sizeof *feeds);
        feeds[count++] = (struct msg_feed_end){held.boot, held.have};
    }
    evicted.feeds = (struct list){feeds, count};
    (void)!node_append(node, &wire_evicted, &evicted, NULL);
    node_count(node, METRIC_evictions);
    char text[ID_SHORT_SIZE];
    trace_line(&node->trace, TRACE_WARN, "event=evicted id=%s cause=\"%s\"", id_short(id, text),
               cause_text(cause));
}

/* ---- voices ---- */

/* The one that should go by now, and whose turn to say so is ours; NULL. */
static const struct id *candidate(struct node *node)
{
    size_t cursor = 0;
    const struct id *found = NULL;
    for (const struct flock_node *at; (at = flock_next(&node->flock, &cursor)) != NULL;) {
        if (id_equal(&at->id, &node->id)) continue;
        if (!is_long_gone(node, &at->id, evict_after(node))) continue;
        instant since = gone_since(node, &at->id) + evict_after(node);
        if (!living_is_turn(node, &at->id, sizeof at->id, since)) continue;
        if (found == NULL || id_compare(&at->id, found) < 0) found = &at->id;
    }
    return found;
}

static void count_voice(struct node *node, const struct id *voter)
{
    struct roster_item *item = map_get(&node->roster, voter);
    if (item == NULL || item->agreed == node->evict_round || !flock_has(&node->flock, voter))
        return;
    item->agreed = node->evict_round;
    node->evict_voices++;
}

/* More than half of all that are on it, the dead included. */
static void decide(struct node *node)
{
    if (2 * node->evict_voices <= flock_count(&node->flock)) return;
    const struct id id = node->evict_candidate;
    node->evict_candidate = (struct id){{0}};
    evict_write(node, &id, CAUSE_LONG_DEAD);
}

static void ask_all(struct node *node)
{
    size_t count;
    struct msg_evict_ask ask = {.node = node->evict_candidate};
    const struct schedule_node *living = living_nodes(node, &count);
    for (size_t i = 0; i < count && node_has_room(node); i++) {
        if (id_equal(&living[i].id, &node->id)) continue;
        struct link *link = links_need(node, &living[i].id); /* or it is asked the next time */
        if (link != NULL) links_send(node, link->stream, &wire_evict_ask, &ask);
    }
}

static void look(struct node *node)
{
    node->evict_next = node->now + look_every(node);
    const struct id *id = candidate(node);
    if (id == NULL) {
        node->evict_candidate = (struct id){{0}};
        return;
    }
    if (!id_equal(id, &node->evict_candidate)) {
        node->evict_candidate = *id;
        node->evict_round++;
        node->evict_voices = 0;
        count_voice(node, &node->id);
    }
    ask_all(node);
    decide(node);
}

void evict_message(struct node *node, struct link *link, const struct wire_message *message)
{
    if (message->type == MSG_evict_ask) {
        const struct msg_evict_ask *ask = message->fields;
        struct msg_evict_agree agree = {.node = ask->node};
        /* Each has seen it go a little earlier or later. */
        duration least = evict_after(node) - evict_after(node) / LOOKS;
        if (flock_has(&node->flock, &node->id) && is_long_gone(node, &ask->node, least))
            links_send(node, link->stream, &wire_evict_agree, &agree);
        return;
    }
    const struct msg_evict_agree *agree = message->fields;
    if (id_is_zero(&agree->node) || !id_equal(&agree->node, &node->evict_candidate)) return;
    if (!is_long_gone(node, &agree->node, evict_after(node)) || !node->may_author) return;
    count_voice(node, &link->peer);
    decide(node);
}

/* ---- it is us ---- */

/* Evictions of ours that stand and that we have not answered. */
static uint32_t unanswered(const struct node *node, struct msg_stamp stamps[FLOCK_RETURNS_MAX])
{
    const struct flock *flock = &node->flock;
    uint32_t count = 0;
    for (size_t i = 0; i < flock->evictions_count && count < FLOCK_RETURNS_MAX; i++) {
        const struct flock_eviction *eviction = &flock->evictions[i];
        if (eviction->is_void || eviction->has_returned) continue;
        if (id_equal(&eviction->node, &node->id)) stamps[count++] = eviction->stamp;
    }
    return count;
}

void evict_caught_up(struct node *node)
{
    struct msg_stamp stamps[FLOCK_RETURNS_MAX];
    if (!node->is_return_wanted && !node->is_out_of_step) return;
    node->is_return_wanted = false;
    uint32_t count = unanswered(node, stamps);
    if (count == 0 && !node->is_out_of_step) return;
    struct msg_returned returned = {.evictions = {stamps, count}};
    (void)!node_append(node, &wire_returned, &returned, NULL);
    if (count == 0) return;
    node_count(node, METRIC_returns);
    trace_line(&node->trace, TRACE_WARN,
               "event=returned text=\"the flock had given us up: we are a newcomer\"");
}

/* That we had left we may hear from others: an old image of the disk does not know it. */
static bool has_fallen_out(const struct node *node)
{
    return !node->is_out_of_step && !node_is_leaving(node) &&
           !flock_is_in_step(&node->flock, &node->id);
}

static void see_own(struct node *node)
{
    struct msg_stamp stamps[FLOCK_RETURNS_MAX];
    node->evict_seen = node->flock.lateness_revision;
    final_reconsider(node);
    bool is_out = has_fallen_out(node);
    node->is_out_of_step = node->is_out_of_step || is_out;
    /* Whose flock was forgotten, or has left, is a flock of its own. */
    bool is_alone = node->is_out_of_step && flock_count(&node->flock) <= 1;
    if (is_alone) heard_caught_up(node);
    if (is_alone) is_out = false;
    if (unanswered(node, stamps) == 0 && !is_out) {
        node->is_return_wanted = false;
        return;
    }
    if (node->is_return_wanted && !is_out) return;
    node->is_return_wanted = true;
    node->may_author = false;
    heard_forget(node); /* what was said before does not count: who said it may not have known */
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER)
            replicas_ask(node, link, true);
}

void evict_tick(struct node *node)
{
    bool is_folded = log_open_count(node->log) == 0; /* our own word as well */
    if (node->evict_seen != node->flock.lateness_revision && is_folded) see_own(node);
    if (node->now < node->evict_next) return;
    if (node->may_author && !node_is_leaving(node)) look(node);
    else node->evict_next = node->now + look_every(node);
}
