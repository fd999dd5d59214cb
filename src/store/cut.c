/* Which prefixes of the feeds go, and what of them is kept (design, section 7: an ended job is its
 * summary).
 *
 *   feed    [ 1 ... base ][ anchor ][ batch ][ batch ]
 *             kept          signed, and proves how far the author came
 *
 * An entry of a job that has ended counts no more and is dropped; any other is kept by itself, for
 * ever or until its job ends. A cut must be closed: where entries are dropped, the `ended` that
 * makes them void must itself be among what is kept or in an anchor. Then a replica that takes over
 * kept and anchors (snapshot.c) has the state that everyone has who holds the same prefixes whole,
 * at once and not only later (S1). So an entry whose `ended` is not covered yet is kept, too, and
 * dropped by a later pass. Two closed cuts joined feed by feed are closed: replicas may cut when
 * and where they like.
 *
 * A feed is cut when at least half of what is looked at of it would be dropped: then the work is
 * paid for, and what only waits keeps the signatures of its batches. A pass looks at so many
 * entries and no more, beginning where the last one ended: it is one step of the node. What was
 * not worth a cut is not looked at again before another job has ended or more is there. */
#include "base/hash.h"
#include "store/feed.h"

#include <assert.h>

/* Old enough: held since the last pass, on our disk, and never the last batch, whose signature
 * proves how far the author came. */
static size_t limit_of(const struct log_feed *feed)
{
    size_t count = 0;
    if (feed->is_quarantined) return 0;
    while (count + 1 < feed->durable_count && feed->batches[count].last <= feed->marked) count++;
    return count;
}

/* Is this entry void, its `ended` lying before or in an anchor, as this pass leaves it? */
static bool is_covered(const struct feeds *feeds, const struct msg_stamp *stamp)
{
    const struct log_feed *feed = feeds_find(feeds, &stamp->node, &stamp->boot);
    if (feed == NULL) return false;
    return feed->batches_count > 0 && stamp->sequence <= feed->batches[feed->cut].last;
}

struct tally {
    uint64_t dropped, total;
};

/* Adds what is in one batch. */
static bool tally(const struct batch *batch, const struct log_judge *judge, struct tally *sum,
                  struct arena *scratch)
{
    struct msg_batch_body body;
    struct msg_stamp needs;
    size_t mark = scratch->used;
    bool fits = wire_decode_all(&wire_batch_body, &body, batch->message.body, scratch) == NULL;
    const struct msg_entry *entries = body.entries.at;
    for (uint32_t i = 0; fits && i < body.entries.count; i++)
        sum->dropped += judge->judge(judge->context, &entries[i], &needs) == LOG_DROPPED;
    if (fits) sum->total += body.entries.count;
    scratch->used = mark;
    return fits;
}

/* Sets the feed's `cut`; how many entries were looked at, `most` or a batch more at most. */
static uint64_t choose(struct log_feed *feed, const struct log_judge *judge, uint64_t most,
                       struct arena *scratch)
{
    struct tally sum = {0, 0};
    size_t limit = limit_of(feed), count = 0;
    uint64_t last = limit > 0 ? feed->batches[limit - 1].last : 0;
    bool is_known = judge->revision > 0 && feed->spared.revision == judge->revision &&
                    feed->spared.base == feed->base && feed->spared.last == last;
    feed->cut = 0;
    if (limit == 0 || is_known) return 0;
    while (count < limit && sum.total < most && tally(&feed->batches[count], judge, &sum, scratch))
        count++;
    feed->cut = sum.dropped > 0 && 2 * sum.dropped >= sum.total ? count : 0;
    if (feed->cut == 0 && count == limit) {
        feed->spared.revision = judge->revision;
        feed->spared.base = feed->base;
        feed->spared.last = last;
    }
    return sum.total;
}

size_t feeds_choose(struct feeds *feeds, const struct log_judge *judge, struct log_pass *pass,
                    struct arena *scratch)
{
    size_t total = 0, first = feeds->turn;
    pass->looked_at = 0;
    for (size_t n = 0; n < feeds->count; n++) {
        size_t at = (first + n) % feeds->count;
        struct log_feed *feed = feeds->items[at];
        uint64_t left = pass->entries_max - pass->looked_at;
        feed->cut = 0;
        if (pass->looked_at < pass->entries_max) {
            pass->looked_at += choose(feed, judge, left, scratch);
            if (pass->looked_at > pass->entries_max) pass->looked_at = pass->entries_max;
            feeds->turn = at + 1;
            total += feed->cut;
        }
        if (pass->is_new) feed->marked = feed->have;
    }
    return total;
}

/* Keeps what counts of one batch that is about to go. */
static bool keep_batch(struct feeds *feeds, struct log_feed *feed, const struct batch *batch,
                       const struct log_judge *judge, struct arena *scratch)
{
    struct msg_batch_body body;
    size_t mark = scratch->used;
    if (wire_decode_all(&wire_batch_body, &body, batch->message.body, scratch) != NULL)
        return false;
    const struct msg_entry *entries = body.entries.at;
    bool fits = true;
    for (uint32_t i = 0; fits && i < body.entries.count; i++) {
        struct msg_stamp needs;
        enum log_fate fate = judge->judge(judge->context, &entries[i], &needs);
        if (fate == LOG_DROPPED && is_covered(feeds, &needs)) continue;
        struct msg_stamp stamp = {entries[i].time, feed->node, feed->boot, batch->first + i};
        struct msg_log_kept kept = {stamp, entries[i].kind, entries[i].body};
        fits = feed_keep(feeds, feed, &kept) != NULL;
        feed->waits += fate != LOG_KEPT;
    }
    scratch->used = mark;
    return fits;
}

bool feed_keep_cut(struct feeds *feeds, struct log_feed *feed, const struct log_judge *judge,
                   struct arena *scratch)
{
    size_t before = feed->kept_count;
    bool fits = true;
    for (size_t b = 0; fits && b < feed->cut; b++)
        fits = keep_batch(feeds, feed, &feed->batches[b], judge, scratch);
    if (!fits) feed_unkeep(feeds, feed, before);
    return fits;
}

/* Is this kept entry void by now? *waits: it may become so. */
static bool is_void(const struct feeds *feeds, const struct kept *kept,
                    const struct log_judge *judge, bool *waits, struct arena *scratch)
{
    struct slice value = kept_value(kept);
    struct wire_message message;
    struct msg_stamp needs;
    size_t mark = scratch->used;
    bool is = false;
    if (wire_unpack(&value, &message, scratch) == NULL) {
        const struct msg_log_kept *fields = message.fields;
        struct msg_entry entry = {fields->stamp.time, fields->kind, fields->body};
        enum log_fate fate = judge->judge(judge->context, &entry, &needs);
        is = fate == LOG_DROPPED && is_covered(feeds, &needs);
        *waits = fate != LOG_KEPT;
    }
    scratch->used = mark;
    return is;
}

size_t feed_prune(struct feeds *feeds, struct log_feed *feed, const struct log_judge *judge,
                  size_t max, void (*gone)(void *context, const struct kept *kept), void *context,
                  struct arena *scratch)
{
    size_t count = 0, left = 0, waits_count = 0;
    if (feed->waits == 0) return 0;
    for (size_t k = 0; k < feed->kept_count; k++) {
        struct kept *kept = feed->kept[k];
        bool waits = false;
        if (count < max && is_void(feeds, kept, judge, &waits, scratch)) {
            gone(context, kept);
            kept_put(kept, feeds->memory);
            count++;
            continue;
        }
        waits_count += waits || count == max;
        feed->kept[left++] = kept;
    }
    feed->kept_count = left;
    feed->kept =
        memory_shrink(feeds->memory, feed->kept, &feed->kept_capacity, left, sizeof *feed->kept);
    feed->waits = waits_count;
    return count;
}

uint64_t feeds_cut_number(const struct feeds *feeds)
{
    uint64_t number = 0;
    for (size_t i = 0; i < feeds->count; i++) {
        uint8_t key[BATCH_KEY_SIZE];
        const struct log_feed *feed = feeds->items[i];
        batch_key(&feed->node, &feed->boot, feed->base, key);
        number = hash64(key, sizeof key, number);
        for (size_t k = 0; k < feed->kept_count; k++)
            number = number * UINT64_C(0x9e3779b97f4a7c15) + feed->kept[k]->sequence;
    }
    return number;
}
