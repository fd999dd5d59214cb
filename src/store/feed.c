/* The rule guarded here is S3: of each feed a prefix is held, and of each sequence one content,
 * for ever. So a feed only ever grows at its end, by a batch whose `previous` is the digest of
 * what stands there; whatever is signed by the author and contradicts what is held proves that
 * the author forked. Which of the two histories came first differs from node to node and cannot
 * be mended by us: the feed is frozen, and people are told. */
#include "store/feed.h"

#include "base/hash.h"

#include <assert.h>

static int compare(const struct log_feed *feed, const struct id *node, const struct boot *boot)
{
    int order = id_compare(&feed->node, node);
    return order != 0 ? order : boot_compare(&feed->boot, boot);
}

static bool is_feed(const struct log_feed *feed, const struct id *node, const struct boot *boot)
{
    return boot->random == feed->boot.random && boot->counter == feed->boot.counter &&
           id_equal(&feed->node, node);
}

/* The first feed that is not before (node, boot). */
static size_t lower_bound(const struct feeds *feeds, const struct id *node, const struct boot *boot)
{
    size_t low = 0, high = feeds->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(feeds->items[middle], node, boot) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* A feed's part of the digest: how far it is held, and the chain there. */
static uint64_t digest_of(const struct log_feed *feed)
{
    uint8_t key[BATCH_KEY_SIZE];
    batch_key(&feed->node, &feed->boot, feed->have, key);
    uint64_t chain = hash64(feed->previous.bytes, sizeof feed->previous.bytes, 0);
    return hash64(key, sizeof key, chain);
}

void feeds_init(struct feeds *feeds, struct memory *memory)
{
    *feeds = (struct feeds){.memory = memory};
}

static void feed_free(struct log_feed *feed, struct memory *memory)
{
    for (size_t i = 0; i < feed->kept_count; i++) kept_put(feed->kept[i], memory);
    memory_put(memory, feed->kept, feed->kept_capacity * sizeof(struct kept *));
    memory_put(memory, feed->doomed, feed->doomed_capacity * sizeof *feed->doomed);
    for (size_t i = 0; i < feed->batches_count; i++) batch_drop(&feed->batches[i], memory);
    memory_put(memory, feed->batches, feed->batches_capacity * sizeof *feed->batches);
    memory_put(memory, feed, sizeof *feed);
}

void feeds_deinit(struct feeds *feeds)
{
    struct memory *memory = feeds->memory;
    for (size_t i = 0; i < feeds->count; i++) feed_free(feeds->items[i], memory);
    memory_put(memory, feeds->items, feeds->capacity * sizeof *feeds->items);
    memory_put(memory, feeds->heap, feeds->heap_capacity * sizeof *feeds->heap);
    feeds_init(feeds, memory);
}

struct log_feed *feeds_find(const struct feeds *feeds, const struct id *node,
                            const struct boot *boot)
{
    size_t cursor = feeds->count;
    return feeds_seek(feeds, &cursor, node, boot);
}

struct log_feed *feeds_seek(const struct feeds *feeds, size_t *cursor, const struct id *node,
                            const struct boot *boot)
{
    size_t at = *cursor;
    if (at >= feeds->count || !is_feed(feeds->items[at], node, boot)) {
        at = lower_bound(feeds, node, boot);
        if (at == feeds->count || !is_feed(feeds->items[at], node, boot)) return NULL;
    }
    *cursor = at + 1;
    return feeds->items[at];
}

const struct log_feed *feeds_newest(const struct feeds *feeds, const struct id *node)
{
    const struct boot last = {UINT64_MAX, UINT64_MAX};
    size_t behind = lower_bound(feeds, node, &last);
    if (behind < feeds->count && id_equal(&feeds->items[behind]->node, node))
        return feeds->items[behind];
    if (behind == 0 || !id_equal(&feeds->items[behind - 1]->node, node)) return NULL;
    return feeds->items[behind - 1];
}

const struct batch *feed_batch(const struct log_feed *feed, uint64_t sequence)
{
    if (sequence <= feed->base || sequence > feed->have) return NULL;
    size_t low = 0, high = feed->batches_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (feed->batches[middle].last < sequence) low = middle + 1;
        else high = middle;
    }
    assert(low < feed->batches_count && feed->batches[low].first <= sequence);
    return &feed->batches[low];
}

enum place feed_place(const struct log_feed *feed, const struct content *content)
{
    uint64_t first = content->body.first;
    if (feed == NULL) return first == 1 ? PLACE_NEXT : PLACE_GAP;
    if (first - 1 > feed->have) return PLACE_GAP;
    if (first <= feed->base) return PLACE_HELD;
    /* Of the disk, in key order: the base comes before the batch that it stands under. */
    if (feed->batches_count == 0 && first - 1 == feed->base) return PLACE_NEXT;
    if (first - 1 == feed->have)
        return digest_equal(&content->body.previous, &feed->previous) ? PLACE_NEXT : PLACE_FORK;
    const struct batch *held = feed_batch(feed, first);
    return digest_equal(&held->digest, &content->digest) ? PLACE_HELD : PLACE_FORK;
}

/* Room for one feed more in items and heap; false when out of memory. */
static bool reserve(struct feeds *feeds)
{
    struct memory *memory = feeds->memory;
    size_t size = sizeof(struct log_feed *), count = feeds->count;
    void *items = memory_grow(memory, feeds->items, &feeds->capacity, count, size);
    if (items == NULL) return false;
    feeds->items = items;
    void *heap = memory_grow(memory, feeds->heap, &feeds->heap_capacity, count, size);
    if (heap == NULL) return false;
    feeds->heap = heap;
    return true;
}

static void insert(struct feeds *feeds, struct log_feed *feed)
{
    size_t at = lower_bound(feeds, &feed->node, &feed->boot);
    struct log_feed **place = feeds->items + at;
    memmove(place + 1, place, (feeds->count - at) * sizeof *place);
    *place = feed;
    feeds->count++;
}

struct log_feed *feeds_get(struct feeds *feeds, const struct id *node, const struct boot *boot)
{
    struct log_feed *feed = feeds_find(feeds, node, boot);
    if (feed != NULL) return feed;
    if (!reserve(feeds)) return NULL;
    feed = memory_take(feeds->memory, sizeof *feed);
    if (feed == NULL) return NULL;
    feed->node = *node;
    feed->boot = *boot;
    insert(feeds, feed);
    return feed;
}

static void remove_feed(struct feeds *feeds, struct log_feed *feed)
{
    struct log_feed **place = feeds->items + lower_bound(feeds, &feed->node, &feed->boot);
    assert(*place == feed);
    feeds->count--;
    memmove(place, place + 1, (size_t)(feeds->items + feeds->count - place) * sizeof *place);
    feed_free(feed, feeds->memory);
}

/* The feed of this batch, a new one when there is none; with room for one batch more. */
static struct log_feed *prepare(struct feeds *feeds, const struct msg_batch_body *body)
{
    bool is_new = feeds_find(feeds, &body->node, &body->boot) == NULL;
    struct log_feed *feed = feeds_get(feeds, &body->node, &body->boot);
    if (feed == NULL) return NULL;
    struct batch *batches = memory_grow(feeds->memory, feed->batches, &feed->batches_capacity,
                                        feed->batches_count, sizeof *batches);
    if (batches != NULL) feed->batches = batches;
    else if (is_new) remove_feed(feeds, feed);
    return batches == NULL ? NULL : feed;
}

static void wait_for_disk(struct feeds *feeds, struct log_feed *feed)
{
    if (feed->is_waiting) return;
    feed->is_waiting = true;
    feed->waiting = feeds->waiting;
    feeds->waiting = feed;
}

struct log_feed *feeds_add(struct feeds *feeds, const struct content *content,
                           const struct msg_log_batch *message, uint64_t token)
{
    struct batch batch;
    if (batch_keep(&batch, content, message, feeds->memory) != ERROR_NONE) return NULL;
    batch.token = token;
    struct log_feed *feed = prepare(feeds, &content->body);
    if (feed == NULL) {
        batch_drop(&batch, feeds->memory);
        return NULL;
    }
    assert(batch.first == feed->have + 1);
    assert(feed->batches_count == 0 || digest_equal(&feed->previous, &content->body.previous));
    if (feed->have > 0) feeds->digest -= digest_of(feed);
    feed->batches[feed->batches_count++] = batch;
    feed->have = batch.last;
    feed->time = content->entries[content->count - 1].time;
    feed->previous = batch.digest;
    feeds->digest += digest_of(feed);
    if (token != 0) {
        wait_for_disk(feeds, feed);
    } else {
        assert(!feed->is_waiting);
        feed->durable_count = feed->batches_count;
        feed->durable = feed->have;
    }
    return feed;
}

/* ---- what is cut ---- */

bool feed_doom_reserve(struct feeds *feeds, struct log_feed *feed, size_t count)
{
    size_t capacity = feed->doomed_capacity == 0 ? 8 : feed->doomed_capacity;
    while (capacity - feed->doomed_count < count) capacity *= 2;
    if (capacity == feed->doomed_capacity) return true;
    uint64_t *moved =
        memory_resize(feeds->memory, feed->doomed, feed->doomed_capacity * sizeof *moved,
                      capacity * sizeof *moved);
    if (moved == NULL) return false;
    feed->doomed = moved;
    feed->doomed_capacity = capacity;
    return true;
}

bool feed_doom(struct feeds *feeds, struct log_feed *feed, uint64_t first)
{
    if (!feed_doom_reserve(feeds, feed, 1)) return false;
    feed->doomed[feed->doomed_count++] = first;
    return true;
}

static bool doom(struct feeds *feeds, struct log_feed *feed, size_t count)
{
    if (!feed_doom_reserve(feeds, feed, count)) return false;
    for (size_t i = 0; i < count; i++) feed->doomed[feed->doomed_count++] = feed->batches[i].first;
    return true;
}

bool feed_drop(struct feeds *feeds, struct log_feed *feed, size_t count)
{
    assert(count <= feed->durable_count); /* what is on its way to the disk is not called back */
    if (count == 0) return true;
    if (!doom(feeds, feed, count)) return false;
    feed->base = feed->batches[count - 1].last;
    for (size_t i = 0; i < count; i++) batch_drop(&feed->batches[i], feeds->memory);
    feed->batches_count -= count;
    feed->durable_count -= count;
    memmove(feed->batches, feed->batches + count, feed->batches_count * sizeof *feed->batches);
    feed->batches = memory_shrink(feeds->memory, feed->batches, &feed->batches_capacity,
                                  feed->batches_count, sizeof *feed->batches);
    return true;
}

bool feed_rebase(struct feeds *feeds, struct log_feed *feed, uint64_t base)
{
    assert(base >= feed->have);
    if (!doom(feeds, feed, feed->batches_count)) return false;
    for (size_t i = 0; i < feed->batches_count; i++) batch_drop(&feed->batches[i], feeds->memory);
    if (feed->have > 0) feeds->digest -= digest_of(feed);
    feed->batches_count = feed->durable_count = 0;
    feed->base = feed->have = base;
    feed->previous = (struct digest){{0}};
    feeds->digest += digest_of(feed);
    return true;
}

struct kept *kept_make(const struct msg_log_kept *entry, struct memory *memory)
{
    size_t packed = wire_packed_size(&wire_log_kept, entry), size = KEPT_KEY_SIZE + packed;
    struct kept *kept = memory_take(memory, sizeof *kept + size);
    if (kept == NULL) return NULL;
    kept->sequence = entry->stamp.sequence;
    kept->size = size;
    batch_kept_key(&entry->stamp.node, &entry->stamp.boot, kept->sequence, kept->bytes);
    struct writer writer = writer_of(kept->bytes + KEPT_KEY_SIZE, packed);
    bool fits = wire_pack(&wire_log_kept, entry, &writer);
    assert(fits && writer.left == 0);
    return kept;
}

void kept_put(struct kept *kept, struct memory *memory)
{
    memory_put(memory, kept, sizeof *kept + kept->size);
}

static void keep(struct log_feed *feed, struct kept *kept)
{
    assert(feed->kept_count < feed->kept_capacity);
    assert(feed->kept_count == 0 || feed->kept[feed->kept_count - 1]->sequence < kept->sequence);
    feed->kept[feed->kept_count++] = kept;
}

const struct kept *feed_keep(struct feeds *feeds, struct log_feed *feed,
                             const struct msg_log_kept *entry)
{
    struct kept **grown = memory_grow(feeds->memory, feed->kept, &feed->kept_capacity,
                                      feed->kept_count, sizeof *grown);
    if (grown == NULL) return NULL;
    feed->kept = grown;
    struct kept *kept = kept_make(entry, feeds->memory);
    if (kept != NULL) keep(feed, kept);
    return kept;
}

bool feed_keep_all(struct feeds *feeds, struct log_feed *feed, struct kept *const *kept,
                   size_t count)
{
    if (count == 0) return true;
    size_t capacity = feed->kept_count + count;
    if (capacity > feed->kept_capacity) {
        struct kept **moved =
            memory_resize(feeds->memory, feed->kept, feed->kept_capacity * sizeof(struct kept *),
                          capacity * sizeof(struct kept *));
        if (moved == NULL) return false;
        feed->kept = moved;
        feed->kept_capacity = capacity;
    }
    for (size_t i = 0; i < count; i++) keep(feed, kept[i]);
    return true;
}

void feed_unkeep(struct feeds *feeds, struct log_feed *feed, size_t count)
{
    while (feed->kept_count > count) kept_put(feed->kept[--feed->kept_count], feeds->memory);
}

/* Moves `durable`; true when batches are still under way. */
static bool feed_persisted(struct log_feed *feed, uint64_t token)
{
    while (feed->durable_count < feed->batches_count &&
           feed->batches[feed->durable_count].token <= token)
        feed->durable = feed->batches[feed->durable_count++].last;
    return feed->durable_count < feed->batches_count;
}

void feeds_persisted(struct feeds *feeds, uint64_t token)
{
    struct log_feed **link = &feeds->waiting;
    while (*link != NULL) {
        struct log_feed *feed = *link;
        if (feed_persisted(feed, token)) {
            link = &feed->waiting;
            continue;
        }
        *link = feed->waiting;
        feed->waiting = NULL;
        feed->is_waiting = false;
    }
}
