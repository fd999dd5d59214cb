/* Pages of a snapshot. The items are numbered: first the anchors of all feeds, then what is kept of
 * each, both in the order of the feeds. Two replicas with the same cut have the same items at the
 * same places, so a transfer that breaks off goes on with any of them. */
#include "store/snapshot.h"

#include <assert.h>

enum {
    PAGE_SIZE_MAX = 256 * 1024, /* and one item more: with it a page fits into a record */
    PAGE_ITEMS_MAX = 4096,
};

/* Feeds that are not cut are in it, too, with their first batch: an `ended` may lie there. */
static bool is_in(const struct log_feed *feed) { return feed->batches_count > 0; }

static bool is_full(const struct msg_log_snapshot *page, size_t size)
{
    return size >= PAGE_SIZE_MAX || page->anchors.count + page->entries.count == PAGE_ITEMS_MAX;
}

/* What an item takes beside its bytes. */
enum {
    ITEM_HEAD_SIZE = 80
};

static void fill_anchors(const struct feeds *feeds, uint64_t *skip, struct msg_log_snapshot *page,
                         struct msg_log_batch *anchors, size_t *size)
{
    for (size_t i = 0; i < feeds->count; i++) {
        const struct log_feed *feed = feeds->items[i];
        if (!is_in(feed)) continue;
        if (*skip > 0) {
            --*skip;
            continue;
        }
        if (is_full(page, *size)) {
            page->more = true;
            return;
        }
        anchors[page->anchors.count++] = feed->batches[0].message;
        *size += feed->batches[0].size + ITEM_HEAD_SIZE;
    }
}

static bool fill_kept(const struct log_feed *feed, uint64_t *skip, struct msg_log_snapshot *page,
                      struct msg_log_kept *entries, size_t *size, struct arena *arena)
{
    for (size_t k = 0; k < feed->kept_count; k++) {
        const struct kept *kept = feed->kept[k];
        if (*skip > 0) {
            --*skip;
            continue;
        }
        if (is_full(page, *size)) {
            page->more = true;
            return true;
        }
        struct slice value = kept_value(kept);
        struct wire_message message;
        if (wire_unpack(&value, &message, arena) != NULL) return false;
        entries[page->entries.count++] = *(const struct msg_log_kept *)message.fields;
        *size += kept->size + ITEM_HEAD_SIZE;
    }
    return true;
}

bool feeds_snapshot(const struct feeds *feeds, uint64_t first, struct msg_log_snapshot *page,
                    struct arena *arena)
{
    struct msg_log_batch *anchors = arena_take(arena, PAGE_ITEMS_MAX * sizeof *anchors);
    struct msg_log_kept *entries = arena_take(arena, PAGE_ITEMS_MAX * sizeof *entries);
    if (anchors == NULL || entries == NULL) return false;
    size_t size = 0;
    uint64_t skip = first;
    *page = (struct msg_log_snapshot){.number = feeds_cut_number(feeds), .first = first};
    fill_anchors(feeds, &skip, page, anchors, &size);
    for (size_t i = 0; i < feeds->count && !page->more; i++)
        if (is_in(feeds->items[i]) &&
            !fill_kept(feeds->items[i], &skip, page, entries, &size, arena))
            return false;
    page->anchors.at = anchors;
    page->entries.at = entries;
    return true;
}
