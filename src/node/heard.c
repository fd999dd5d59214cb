/* How far the others say they hold the log: each peer's last vector, kept for what follows from
 * all of them together. Lag (entries that a member lacks of ours) is for people. Stability
 * (design, section 7): an entry is stable once every node of the roster, dead ones included, has
 * said that it is on its disk; nothing waits for it but the word `final` and deletions that can't
 * be undone. Vectors come from peers that we are linked to; in a flock too large for everyone to
 * be linked, entries do not become stable, and nothing else changes. */
#include "node/state.h"

#include <string.h>

struct heard {
    struct id id;
    struct msg_feed_position *positions;
    size_t count;
    size_t capacity;
};

static struct msg_feed_position *find(const struct heard *heard, const struct id *id,
                                      const struct boot *boot)
{
    for (size_t i = 0; i < heard->count; i++)
        if (id_equal(&heard->positions[i].node, id) && boot_equal(&heard->positions[i].boot, boot))
            return &heard->positions[i];
    return NULL;
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

/* Without memory it is simply not remembered: the next vector says it again. */
void heard_vector(struct node *node, const struct id *peer, const struct msg_log_vector *vector)
{
    struct heard *heard = heard_get(node, peer);
    if (heard == NULL || (!vector->complete && vector->feeds.count == 0)) return;
    if (vector->complete) heard->count = 0;
    const struct msg_feed_position *positions = vector->feeds.at;
    for (uint32_t i = 0; i < vector->feeds.count; i++) {
        const struct msg_feed_position *said = &positions[i];
        struct msg_feed_position *known =
            vector->complete ? NULL : find(heard, &said->node, &said->boot);
        if (known != NULL) {
            *known = *said;
            continue;
        }
        struct msg_feed_position *grown = memory_grow(
            &node->memory, heard->positions, &heard->capacity, heard->count, sizeof *grown);
        if (grown == NULL) return;
        heard->positions = grown;
        heard->positions[heard->count++] = *said;
    }
}

uint64_t heard_lag(const struct node *node, const struct member *member)
{
    const struct id *id = &member->fact->id;
    if (id_equal(id, &node->id)) return 0;
    if (member->log_digest == 0 || member->log_digest == log_digest(node->log)) return 0;
    const struct heard *heard = map_get(&node->heard, id);
    uint64_t lag = 0;
    size_t cursor = 0;
    struct msg_feed_position ours;
    while (heard != NULL && log_feeds_next(node->log, &cursor, &ours)) {
        const struct msg_feed_position *theirs = find(heard, &ours.node, &ours.boot);
        uint64_t have = theirs == NULL ? 0 : theirs->have;
        if (ours.have > have) lag += ours.have - have;
    }
    return lag == 0 ? 1 : lag; /* the digests differ, and what differs has not been told */
}

uint64_t heard_stable(const struct node *node, const struct id *id, const struct boot *boot)
{
    uint64_t stable = log_durable(node->log, id, boot);
    size_t cursor = 0;
    for (struct roster_item *item; (item = map_next(&node->roster, &cursor)) != NULL;) {
        if (id_equal(&item->id, &node->id)) continue;
        const struct heard *heard = map_get(&node->heard, &item->id);
        const struct msg_feed_position *theirs = heard == NULL ? NULL : find(heard, id, boot);
        uint64_t durable = theirs == NULL ? 0 : theirs->durable;
        if (durable < stable) stable = durable;
    }
    return stable;
}

/* Who lives holds what it says itself: all other feeds. */
static bool has_all(const struct node *node, const struct heard *heard)
{
    size_t cursor = 0;
    struct msg_feed_position ours;
    while (log_feeds_next(node->log, &cursor, &ours)) {
        if (!id_equal(&ours.node, &node->id) && node_is_living(node, &ours.node)) continue;
        const struct msg_feed_position *theirs = find(heard, &ours.node, &ours.boot);
        if (theirs == NULL || theirs->durable < ours.have) return false;
    }
    return true;
}

bool heard_elsewhere(const struct node *node)
{
    size_t cursor = 0;
    for (const struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;)
        if (node_is_living(node, &heard->id) && has_all(node, heard)) return true;
    return false;
}

void heard_close(struct node *node)
{
    size_t cursor = 0;
    for (struct heard *heard; (heard = map_next(&node->heard, &cursor)) != NULL;) {
        memory_put(&node->memory, heard->positions, heard->capacity * sizeof *heard->positions);
        memory_put(&node->memory, heard, sizeof *heard);
    }
    map_deinit(&node->heard);
}

void heard_open(struct node *node)
{
    map_init(&node->heard, &node->memory, offsetof(struct heard, id), sizeof(struct id));
}
