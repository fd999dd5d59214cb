/* Version vectors (Parker et al. 1983, "Detection of Mutual Inconsistency"): since of each feed
 * a prefix is held, one number a feed says all, and the difference of two vectors is what to
 * send.
 *
 * What a peer lacks is sent in order of Lamport time over all feeds: a merge of the feeds
 * through a binary heap. Lamport order is causal order, so a claim comes behind its job; and a
 * newcomer's clock climbs with what it gets, so a flock whose clock has passed the horizon can
 * still take it in. The reply's bound makes a round of repair short; the peer asks again. */
#include "store/feed.h"

#include <assert.h>

bool feeds_vector(struct feeds *feeds, bool changed_only, struct msg_log_vector *vector,
                  struct arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < feeds->count; i++)
        count += !changed_only || feeds->items[i]->durable != feeds->items[i]->told;
    *vector = (struct msg_log_vector){.complete = !changed_only};
    struct msg_feed_position *positions = arena_take(arena, count * sizeof *positions);
    if (positions == NULL || count > UINT32_MAX) return false;
    for (size_t i = 0; i < feeds->count; i++) {
        struct log_feed *feed = feeds->items[i];
        if (changed_only && feed->durable == feed->told) continue;
        if (changed_only) feed->told = feed->durable;
        positions[vector->feeds.count++] = feed_position(feed);
    }
    assert(vector->feeds.count == count);
    vector->feeds.at = positions;
    return true;
}

bool feeds_is_behind(const struct feeds *feeds, const struct msg_log_vector *vector)
{
    const struct msg_feed_position *position = vector->feeds.at;
    size_t cursor = 0;
    for (uint32_t i = 0; i < vector->feeds.count; i++, position++) {
        const struct log_feed *feed = feeds_seek(feeds, &cursor, &position->node, &position->boot);
        if (feed == NULL && position->have > 0) return true;
        if (feed != NULL && !feed->is_quarantined && position->have > feed->have) return true;
    }
    return false;
}

bool feeds_is_same(const struct feeds *feeds, const struct msg_log_vector *vector)
{
    const struct msg_feed_position *said = vector->feeds.at;
    if (!vector->complete || vector->feeds.count != feeds->count) return false;
    for (size_t i = 0; i < feeds->count; i++) {
        const struct log_feed *feed = feeds->items[i];
        if (said[i].have != feed->have || !boot_equal(&said[i].boot, &feed->boot)) return false;
        if (!id_equal(&said[i].node, &feed->node)) return false;
    }
    return true;
}

bool feeds_has_durable(const struct feeds *feeds, const struct msg_feed_position *positions,
                       size_t count)
{
    size_t cursor = 0;
    for (const struct msg_feed_position *said = positions; said < positions + count; said++) {
        const struct log_feed *feed = feeds_seek(feeds, &cursor, &said->node, &said->boot);
        if ((feed == NULL ? 0 : feed->durable) < said->have) return false;
    }
    return true;
}

/* ---- a heap of feeds, the one with the oldest batch to give on top ---- */

static bool is_older(const struct log_feed *a, const struct log_feed *b)
{
    uint64_t a_time = a->batches[a->reply].time, b_time = b->batches[b->reply].time;
    if (a_time != b_time) return a_time < b_time;
    int order = id_compare(&a->node, &b->node);
    return order != 0 ? order < 0 : boot_compare(&a->boot, &b->boot) < 0;
}

static void sift_down(struct log_feed **heap, size_t count, size_t at)
{
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_older(heap[child + 1], heap[child])) child++;
        if (!is_older(heap[child], heap[at])) return;
        struct log_feed *moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* The index of the first batch behind this sequence. A peer behind the cut gets none: its next one
 * is gone, and it needs the snapshot. */
static size_t batch_behind(const struct log_feed *feed, uint64_t sequence)
{
    if (sequence < feed->base) return feed->batches_count;
    if (sequence >= feed->have) return feed->batches_count;
    return (size_t)(feed_batch(feed, sequence + 1) - feed->batches);
}

/* Sets each feed's `reply` to what the vector lacks of it; the heap of those that lack
 * something. */
static size_t collect(const struct feeds *feeds, const struct msg_log_vector *vector)
{
    for (size_t i = 0; i < feeds->count; i++) {
        struct log_feed *feed = feeds->items[i];
        feed->reply = vector->complete && feed->base == 0 ? 0 : feed->batches_count;
    }
    const struct msg_feed_position *position = vector->feeds.at;
    size_t cursor = 0;
    for (uint32_t i = 0; i < vector->feeds.count; i++, position++) {
        struct log_feed *feed = feeds_seek(feeds, &cursor, &position->node, &position->boot);
        if (feed != NULL) feed->reply = batch_behind(feed, position->have);
    }
    size_t count = 0;
    for (size_t i = 0; i < feeds->count; i++) {
        struct log_feed *feed = feeds->items[i];
        if (feed->reply < feed->batches_count) feeds->heap[count++] = feed;
    }
    for (size_t i = count / 2; i-- > 0;) sift_down(feeds->heap, count, i);
    return count;
}

bool feeds_missing(const struct feeds *feeds, const struct msg_log_vector *vector, size_t size_max,
                   void (*give)(void *context, const struct msg_log_batch *batch), void *context)
{
    struct log_feed **heap = feeds->heap;
    size_t count = collect(feeds, vector);
    size_t size = 0;
    while (count > 0) {
        struct log_feed *feed = heap[0];
        const struct batch *batch = &feed->batches[feed->reply];
        size_t more = batch_stored_value(batch).count;
        if (size > 0 && more > size_max - size) return false;
        size = more < size_max - size ? size + more : size_max;
        give(context, &batch->message);
        if (++feed->reply == feed->batches_count) heap[0] = heap[--count];
        sift_down(heap, count, 0);
    }
    return true;
}
