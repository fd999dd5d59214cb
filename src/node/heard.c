/* How far the others say they hold the log: each peer's last vector, kept for what follows from
 * all of them together. Lag (entries that a member lacks of ours) is for people.
 *
 * For stability (final.c) what a peer said counts whole or not at all: when it stated a vector, it
 * held all of that and had written all of that, so who holds as much knows everything that the peer
 * could have said against an entry in it. Hence of each peer
 *
 *   said        the last vector, with the news since: for lag, and for who leaves
 *   next        the last whole vector
 *   waiting     an earlier one, which we do not hold all of yet
 *   settled     the last one all of which is on our disk
 *
 * `waiting` is not replaced by `next` before it has settled: under load the last one is always
 * ahead of us. Vectors come from peers that we are linked to; in a flock too large for everyone to
 * be linked, entries do not become stable, and nothing else changes. */
#include "node/smalls.h"
#include "node/state.h"

#include <stdio.h>
#include <string.h>

enum {
    STRANGERS_WAIT = 2 * SECOND, /* a new boot waits so long for the first word of a peer */
    CATCH_UP_MAX = 10 * SECOND,  /* whoever had more is gone: what we hold must do */
    SAID_MAX = 65536,            /* feeds of one vector: news of more are nobody's honest ones */
};

/* A whole vector, in order of the feeds, as a peer said it. */
struct statement {
    struct msg_feed_position *at;
    size_t count;
    size_t capacity;
};

struct heard {
    struct id id;
    struct statement said, next, waiting, settled;
};

static int compare(const struct msg_feed_position *at, const struct id *id, const struct boot *boot)
{
    int order = id_compare(&at->node, id);
    return order != 0 ? order : boot_compare(&at->boot, boot);
}

/* Where this feed is in a statement, or belongs. Of those who ask in order, *cursor beginning as 0,
 * most need no search. */
static struct msg_feed_position *place(const struct statement *statement, size_t *cursor,
                                       const struct id *id, const struct boot *boot)
{
    size_t low = 0, high = statement->count;
    if (*cursor < high && compare(&statement->at[*cursor], id, boot) == 0) low = high = *cursor;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&statement->at[middle], id, boot) < 0) low = middle + 1;
        else high = middle;
    }
    *cursor = low + 1;
    return statement->at + low;
}

/* NULL: it says nothing of this feed. */
static struct msg_feed_position *find(const struct statement *statement, size_t *cursor,
                                      const struct id *id, const struct boot *boot)
{
    struct msg_feed_position *at = place(statement, cursor, id, boot);
    bool is_there = at < statement->at + statement->count && compare(at, id, boot) == 0;
    return is_there ? at : NULL;
}

static uint64_t durable_in(const struct statement *statement, size_t *cursor, const struct id *id,
                           const struct boot *boot)
{
    const struct msg_feed_position *at = find(statement, cursor, id, boot);
    return at == NULL ? 0 : at->durable;
}

static struct heard *heard_get(struct node *node, const struct id *id)
{
    struct heard *heard = map_get(&node->heard, id);
    if (heard != NULL) return heard;
    heard = memory_take(&node->memory, sizeof *heard);
    if (heard == NULL) return NULL;
    heard->id = *id;
    if (map_add(&node->heard, heard) == ERROR_NONE) return heard;
    memory_put(&node->memory, heard, sizeof *heard);
    return NULL;
}

static void state(struct node *node, struct statement *statement, const struct list *feeds)
{
    size_t size = sizeof *statement->at;
    if (feeds->count > statement->capacity) {
        size_t larger = 2 * statement->capacity; /* there will be more: each boot is a feed */
        if (larger < feeds->count) larger = feeds->count;
        void *moved =
            memory_resize(&node->memory, statement->at, statement->capacity * size, larger * size);
        if (moved == NULL) return;
        statement->at = moved;
        statement->capacity = larger;
    }
    statement->count = feeds->count;
    if (feeds->count > 0) memcpy(statement->at, feeds->at, feeds->count * size);
}

/* The feed's new position, at its place in what was said. */
static void tell(struct node *node, struct statement *said, size_t *cursor,
                 const struct msg_feed_position *news)
{
    struct msg_feed_position *known = find(said, cursor, &news->node, &news->boot);
    if (known != NULL) {
        *known = *news;
        return;
    }
    if (said->count == SAID_MAX) return;
    struct msg_feed_position *grown =
        memory_grow(&node->memory, said->at, &said->capacity, said->count, sizeof *grown);
    if (grown == NULL) return;
    said->at = grown;
    struct msg_feed_position *at = place(said, cursor, &news->node, &news->boot);
    memmove(at + 1, at, (size_t)(said->at + said->count++ - at) * sizeof *at);
    *at = *news;
}

/* Without memory it is simply not remembered: the next vector says it again. */
void heard_vector(struct node *node, const struct id *peer, const struct msg_log_vector *vector)
{
    struct heard *heard = heard_get(node, peer);
    if (heard == NULL || (!vector->complete && vector->feeds.count == 0)) return;
    if (vector->complete) {
        state(node, &heard->said, &vector->feeds);
        state(node, heard->waiting.count == 0 ? &heard->waiting : &heard->next, &vector->feeds);
        node->is_final_stale = true;
        node->heard_revision++;
        return;
    }
    const struct msg_feed_position *news = vector->feeds.at;
    size_t cursor = 0;
    for (uint32_t i = 0; i < vector->feeds.count; i++) tell(node, &heard->said, &cursor, &news[i]);
}

uint64_t heard_lag(const struct node *node, const struct member *member)
{
    const struct id *id = &member->fact->id;
    if (id_equal(id, &node->id)) return 0;
    if (member->log_digest == 0 || member->log_digest == log_digest(node->log)) return 0;
    const struct heard *heard = map_get(&node->heard, id);
    uint64_t lag = 0;
    size_t cursor = 0, place = 0;
    struct msg_feed_position ours;
    while (heard != NULL && log_feeds_next(node->log, &cursor, &ours)) {
        const struct msg_feed_position *theirs = find(&heard->said, &place, &ours.node, &ours.boot);
        uint64_t have = theirs == NULL ? 0 : theirs->have;
        if (ours.have > have) lag += ours.have - have;
    }
    return lag == 0 ? 1 : lag; /* the digests differ, and what differs has not been told */
}

/* Lives, and has not said that it leaves: of two who leave at once neither hands over to the other.
 * Whoever we counted on had our `left` on its disk then, so it does not count on us from there on.
 */
static bool stays(const struct node *node, const struct id *id)
{
    return living_has(node, id) && living_stays(node, id);
}

size_t heard_disks(const struct node *node, const struct msg_stamp *entry)
{
    size_t cursor = 0;
    size_t count = log_durable(node->log, &entry->node, &entry->boot) >= entry->sequence;
    for (const struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;) {
        size_t place = 0;
        bool has = durable_in(&heard->said, &place, &entry->node, &entry->boot) >= entry->sequence;
        count += has && stays(node, &heard->id);
    }
    return count;
}

static bool is_on_disk(const struct node *node, const struct id *id, const struct msg_stamp *entry)
{
    if (id_equal(id, &node->id))
        return log_durable(node->log, &entry->node, &entry->boot) >= entry->sequence;
    const struct heard *heard = map_get(&node->heard, id);
    size_t place = 0;
    return heard != NULL &&
           durable_in(&heard->said, &place, &entry->node, &entry->boot) >= entry->sequence;
}

void heard_lacking(const struct node *node, const struct msg_stamp *entry, char *text, size_t size)
{
    size_t cursor = 0, used = 0;
    text[0] = '\0';
    for (const struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;) {
        if (!stays(node, &m->fact->id) || is_on_disk(node, &m->fact->id, entry)) continue;
        if (used + strlen(m->fact->name) + 3 > size) return;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", m->fact->name);
    }
}

/* ---- stability ---- */

static void swap(struct statement *a, struct statement *b)
{
    struct statement moved = *a;
    *a = *b;
    *b = moved;
}

/* What waits was said by a former boot, and a later one has spoken since. If an old image of its
 * disk came back in between, some of what the former had is nowhere any more. */
static bool is_outdated(const struct node *node, const struct heard *heard)
{
    struct boot newest;
    size_t waiting = 0, next = 0;
    return heard->waiting.count > 0 && log_newest_boot(node->log, &heard->id, &newest) &&
           durable_in(&heard->waiting, &waiting, &heard->id, &newest) == 0 &&
           durable_in(&heard->next, &next, &heard->id, &newest) > 0;
}

void heard_settle(struct node *node)
{
    size_t cursor = 0;
    for (struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;) {
        while (heard->waiting.count > 0) {
            bool is_held = log_has_durable(node->log, heard->waiting.at, heard->waiting.count);
            if (!is_held && !is_outdated(node, heard)) break;
            if (is_held) swap(&heard->settled, &heard->waiting);
            heard->waiting.count = 0;
            swap(&heard->waiting, &heard->next);
        }
    }
}

/* ---- catching up ----
 *
 * What ends a job, and who owns a task, may be among what is still missing: so a boot that has
 * heard of more than it holds writes nothing of its own before it has that. A node of old may give
 * up waiting: what it said that it has, it has. A newcomer may not, however long it is cut off and
 * however often it starts again: half of a log would be all it knows. It learns the log from who
 * is in step himself (where nobody is, at the start of a flock, from anybody), and its first word
 * after that, in its feed for ever, is an empty `returned`.
 *
 * Who left is as a newcomer when it is back, since nobody has waited for it: what it writes is late
 * and nothing is final to it until it has caught up and said `returned`. Only it may give up
 * waiting: it knows a log, and works alone, should the others be off. */

static bool knows_others(const struct node *node)
{
    size_t cursor = 0;
    struct msg_feed_position held;
    while (log_feeds_next(node->log, &cursor, &held))
        if (!id_equal(&held.node, &node->id)) return true;
    return false;
}

/* It never was in step. */
static bool is_newcomer(const struct node *node)
{
    return node->is_out_of_step && !flock_was_in_step(&node->flock, &node->id);
}

/* Whoever holds what this one said that it holds, is in step. Where nobody is we wait a while for
 * somebody who is: others who are not come first sometimes. */
static bool is_measure(const struct node *node, const struct id *peer)
{
    if (flock_is_evicted(&node->flock, peer)) return false;
    if (flock_is_in_step(&node->flock, peer)) return true;
    return node->now - node->started >= STRANGERS_WAIT && !flock_is_in_step(&node->flock, NULL);
}

void heard_caught_up(struct node *node)
{
    if (!node->may_author) node->is_work_wanted = true;
    node->may_author = true;
    evict_caught_up(node);
    node->is_out_of_step = false;
}

void heard_begin(struct node *node, bool has_seeds)
{
    node->is_out_of_step = !flock_is_in_step(&node->flock, &node->id);
    node->may_author = !has_seeds;
    node->author_deadline = node->now + STRANGERS_WAIT;
    if (node->may_author && node->is_out_of_step && !knows_others(node)) heard_caught_up(node);
}

/* Do we hold all that somebody said? *has_heard: anybody said anything. */
static bool is_in_step(struct node *node, bool *has_heard)
{
    size_t cursor = 0;
    heard_settle(node);
    for (const struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;) {
        *has_heard = *has_heard || heard->settled.count + heard->waiting.count > 0;
        if (heard->settled.count > 0 && is_measure(node, &heard->id)) return true;
    }
    return false;
}

void heard_catch_up(struct node *node, const struct id *peer, const struct msg_log_vector *vector)
{
    bool has_heard = false, is_up = false;
    if (node->may_author && !node->is_return_wanted && !node->is_out_of_step) return;
    if (vector != NULL && vector->complete) {
        bool is_behind = log_is_behind(node->log, vector), counts = is_measure(node, peer);
        is_up = !is_behind && counts;
        if (is_newcomer(node)) {
            if (is_behind) node->may_author = false; /* a flock of one, as it had thought */
            node->author_deadline = node->now + STRANGERS_WAIT;
        } else if (counts) {
            node->author_deadline = node->now + CATCH_UP_MAX;
        } else { /* however much comes from who is no measure, it ends */
            node->author_deadline =
                instant_max(node->author_deadline, node->started + (duration)CATCH_UP_MAX);
        }
    }
    if (is_up || is_in_step(node, &has_heard)) heard_caught_up(node);
}

void heard_tick(struct node *node)
{
    bool has_heard = false;
    if (node->may_author || node->now < node->author_deadline) return;
    if (is_in_step(node, &has_heard)) {
        heard_caught_up(node);
    } else if (is_newcomer(node) && (has_heard || knows_others(node))) {
        node->author_deadline = node->now + STRANGERS_WAIT;
    } else {
        node->may_author = node->is_work_wanted = true;
    }
}

bool heard_has_all(const struct node *node, const struct id *peer,
                   const struct msg_feed_position *positions, size_t count)
{
    const struct heard *heard = map_get(&node->heard, peer);
    struct boot newest;
    size_t cursor = 0;
    if (heard == NULL) return false;
    for (const struct msg_feed_position *at = positions; at < positions + count; at++)
        if (durable_in(&heard->settled, &cursor, &at->node, &at->boot) < at->have) return false;
    return log_newest_boot(node->log, peer, &newest) &&
           durable_in(&heard->settled, &cursor, peer, &newest) > 0;
}

bool heard_has(const struct node *node, const struct id *peer, const struct msg_stamp *entry)
{
    struct msg_feed_position up_to = {entry->node, entry->boot, entry->sequence, 0};
    return heard_has_all(node, peer, &up_to, 1);
}

/* Who stays holds what it says itself: all other feeds. */
static bool has_ours(const struct node *node, const struct heard *heard)
{
    size_t cursor = 0, place = 0;
    struct msg_feed_position ours;
    while (log_feeds_next(node->log, &cursor, &ours)) {
        if (!id_equal(&ours.node, &node->id) && stays(node, &ours.node)) continue;
        uint64_t durable = durable_in(&heard->said, &place, &ours.node, &ours.boot);
        if (durable < ours.have) return false;
    }
    return true;
}

bool heard_has_ours(const struct node *node, const struct id *peer)
{
    const struct heard *heard = map_get(&node->heard, peer);
    return heard != NULL && stays(node, peer) && has_ours(node, heard);
}

bool heard_elsewhere(const struct node *node)
{
    size_t cursor = 0;
    for (const struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;)
        if (stays(node, &heard->id) && has_ours(node, heard)) return true;
    return false;
}

bool heard_is_last(const struct node *node)
{
    size_t cursor = 0;
    for (const struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;)
        if (!id_equal(&m->fact->id, &node->id) && stays(node, &m->fact->id)) return false;
    return true;
}

void heard_forget(struct node *node)
{
    size_t cursor = 0;
    for (struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;)
        heard->next.count = heard->waiting.count = heard->settled.count = 0;
    node->author_deadline = node->now + CATCH_UP_MAX;
}

static void statement_put(struct node *node, struct statement *statement)
{
    memory_put(&node->memory, statement->at, statement->capacity * sizeof *statement->at);
}

void heard_close(struct node *node)
{
    size_t cursor = 0;
    for (struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;) {
        statement_put(node, &heard->said);
        statement_put(node, &heard->next);
        statement_put(node, &heard->waiting);
        statement_put(node, &heard->settled);
        memory_put(&node->memory, heard, sizeof *heard);
    }
    map_deinit(&node->heard);
}

void heard_open(struct node *node)
{
    map_init(&node->heard, &node->memory, offsetof(struct heard, id), sizeof(struct id));
}
