/* All entries behind a vector, in total order: a merge of the feeds through a binary heap, as in
 * vector.c, but entry by entry. Within a feed times only grow, so the head of each feed is its
 * least: first what is kept of its cut prefix, then its batches. Each feed's current batch is
 * decoded into the arena, its entries one by one. */
#include "store/feed.h"
#include "store/log.h"

#include <assert.h>

struct walker {
    const struct log_feed *feed;
    size_t kept;             /* its index in what the feed keeps; kept_count: in the batches */
    struct msg_log_kept one; /* that one */
    size_t batch;            /* its index in the feed */
    struct msg_batch_body body;
    uint32_t at; /* in the body */
};

static bool is_kept(const struct walker *walker) { return walker->kept < walker->feed->kept_count; }

static const struct msg_entry *entry_of(const struct walker *walker)
{
    return (const struct msg_entry *)walker->body.entries.at + walker->at;
}

static struct msg_stamp stamp_of(const struct walker *walker)
{
    const struct msg_batch_body *body = &walker->body;
    if (is_kept(walker)) return walker->one.stamp;
    return (struct msg_stamp){entry_of(walker)->time, body->node, body->boot,
                              body->first + walker->at};
}

static bool is_before(const struct walker *a, const struct walker *b)
{
    struct msg_stamp a_stamp = stamp_of(a), b_stamp = stamp_of(b);
    return stamp_compare(&a_stamp, &b_stamp) < 0;
}

static void sift_down(struct walker *heap, size_t count, size_t at)
{
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_before(&heap[child + 1], &heap[child])) child++;
        if (!is_before(&heap[child], &heap[at])) return;
        struct walker moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* The walker's current batch, or what it keeps; false when the arena is full. */
static bool decode(struct walker *walker, struct arena *arena)
{
    walker->at = 0;
    if (is_kept(walker)) {
        struct slice value = kept_value(walker->feed->kept[walker->kept]);
        struct wire_message message;
        if (wire_unpack(&value, &message, arena) != NULL) return false;
        walker->one = *(const struct msg_log_kept *)message.fields;
        return true;
    }
    const struct batch *batch = &walker->feed->batches[walker->batch];
    return wire_decode_all(&wire_batch_body, &walker->body, batch->message.body, arena) == NULL;
}

static uint64_t position_in(const struct msg_log_vector *vector, const struct log_feed *feed)
{
    const struct msg_feed_position *position = vector->feeds.at;
    for (uint32_t i = 0; i < vector->feeds.count; i++, position++)
        if (id_equal(&position->node, &feed->node) && boot_equal(&position->boot, &feed->boot))
            return position->have;
    return 0;
}

/* The first entry kept behind this sequence. */
static size_t kept_behind(const struct log_feed *feed, uint64_t sequence)
{
    size_t low = 0, high = feed->kept_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (feed->kept[middle]->sequence <= sequence) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* A walker at the first entry behind the vector; 1, 0 when there is none, -1 without memory. */
static int begin(struct walker *walker, const struct log_feed *feed, uint64_t have,
                 struct arena *arena)
{
    if (have >= feed->have) return 0;
    *walker = (struct walker){.feed = feed, .kept = kept_behind(feed, have)};
    if (!is_kept(walker) && feed->batches_count == 0) return 0;
    if (have < feed->base) return decode(walker, arena) ? 1 : -1;
    const struct batch *batch = feed_batch(feed, have + 1);
    walker->batch = (size_t)(batch - feed->batches);
    if (!decode(walker, arena)) return -1;
    walker->at = (uint32_t)(have + 1 - batch->first);
    return 1;
}

/* To the next entry of the feed: as begin. */
static int advance(struct walker *walker, struct arena *arena)
{
    if (is_kept(walker)) {
        walker->kept++;
        if (!is_kept(walker) && walker->feed->batches_count == 0) return 0;
        return decode(walker, arena) ? 1 : -1;
    }
    if (++walker->at < walker->body.entries.count) return 1;
    if (++walker->batch == walker->feed->batches_count) return 0;
    return decode(walker, arena) ? 1 : -1;
}

/* One entry with its fields; NULL fields when its kind is not known here. */
static bool read_entry(const struct walker *walker, struct stamped *entry, struct arena *arena)
{
    const struct msg_entry *in_batch = is_kept(walker) ? NULL : entry_of(walker);
    uint8_t kind = in_batch == NULL ? walker->one.kind : in_batch->kind;
    struct slice bytes = in_batch == NULL ? walker->one.body : in_batch->body;
    const struct wire_schema *schema = wire_schema(kind);
    *entry = (struct stamped){.stamp = stamp_of(walker), .kind = kind};
    if (schema == NULL) return true;
    void *fields = arena_take(arena, wire_struct_size(schema));
    if (fields == NULL || wire_decode_all(schema, fields, bytes, arena) != NULL) return false;
    entry->fields = fields;
    return true;
}

bool feeds_walk(const struct feeds *feeds, const struct msg_log_vector *vector, struct arena *arena,
                bool (*visit)(void *context, const struct stamped *entry), void *context)
{
    size_t count = 0;
    struct walker *heap = arena_take(arena, feeds->count * sizeof *heap);
    if (heap == NULL) return false;
    for (size_t i = 0; i < feeds->count; i++) {
        uint64_t have = position_in(vector, feeds->items[i]);
        int found = begin(&heap[count], feeds->items[i], have, arena);
        if (found < 0) return false;
        count += (size_t)found;
    }
    for (size_t i = count / 2; i-- > 0;) sift_down(heap, count, i);
    while (count > 0) {
        struct stamped entry;
        if (!read_entry(&heap[0], &entry, arena) || !visit(context, &entry)) return false;
        int found = advance(&heap[0], arena);
        if (found < 0) return false;
        if (found == 0) heap[0] = heap[--count];
        sift_down(heap, count, 0);
    }
    return true;
}
