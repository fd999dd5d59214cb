/* Tags: what people call a node's properties (mrnode --tag rack=a1). They are shown, and mean
 * nothing to the flock.
 *
 *   --tag --> is it what our feeds say already? --no--> entry `tagged` --> every node's roster
 *
 * They travel in the log and not in gossip: they change when a node is started otherwise, which is
 * seldom, and a rumour about it is told a hundred times a year for each time that they do. Of an
 * author's `tagged` entries the last one by stamp counts, in whatever order they come (S1). */
#include "node/tags.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

enum {
    TAGS_PAGE = 64, /* nodes: with the longest tags that are 170 KB, below a record's bound */
};

static enum error hold(struct node *node, struct slice *held, struct slice bytes)
{
    uint8_t *copy = NULL;
    if (bytes.count > 0) {
        copy = memory_take(&node->memory, bytes.count);
        if (copy == NULL) return ERROR_MEMORY;
        memcpy(copy, bytes.at, bytes.count);
    }
    memory_put(&node->memory, (void *)(uintptr_t)held->at, held->count);
    *held = slice_of(copy, bytes.count);
    return ERROR_NONE;
}

void tags_drop(struct node *node, struct slice *held)
{
    enum error error = hold(node, held, slice_of(NULL, 0));
    assert(error == ERROR_NONE);
    (void)error;
}

/* No tags are no bytes. What does not fit into the message's bounds is the caller's mistake. */
static enum error hold_message(struct node *node, struct slice *held,
                               const struct msg_tagged *tagged)
{
    uint8_t bytes[TAGGED_SIZE_MAX];
    struct writer writer = writer_of(bytes, sizeof bytes);
    if (tagged->tags.count == 0) return hold(node, held, slice_of(NULL, 0));
    if (!wire_pack(&wire_tagged, tagged, &writer)) return ERROR_INVALID;
    return hold(node, held, slice_of(bytes, writer.written));
}

enum error tags_set(struct node *node, const struct msg_tag *tags, size_t count)
{
    struct msg_tagged tagged = {.tags = {(void *)(uintptr_t)tags, (uint32_t)count}};
    return hold_message(node, &node->tags, &tagged);
}

enum error tags_fold(struct node *node, struct roster_item *item, const struct stamped *entry)
{
    if (stamp_compare(&entry->stamp, &item->tagged) <= 0) return ERROR_NONE;
    enum error error = hold_message(node, &item->tags, entry->fields);
    if (error == ERROR_NONE) item->tagged = entry->stamp;
    return error;
}

/* Into the step's arena; false: no room. */
static bool unpack(struct node *node, struct slice bytes, struct list *tags)
{
    struct wire_message message;
    *tags = (struct list){.count = 0};
    if (bytes.count == 0) return true;
    if (wire_unpack(&bytes, &message, &node->actions->arena) != NULL) return false;
    *tags = ((const struct msg_tagged *)message.fields)->tags;
    return true;
}

void tags_tick(struct node *node)
{
    if (node->is_tags_said || !node->may_author) return;
    const struct roster_item *self = map_get(&node->roster, &node->id);
    if (self == NULL) return;
    node->is_tags_said = true;
    struct msg_tagged tagged;
    if (slice_equal(self->tags, node->tags) || !unpack(node, node->tags, &tagged.tags)) return;
    (void)!node_append(node, &wire_tagged, &tagged, NULL);
}

uint64_t tags_digest(const struct node *node)
{
    uint64_t sum = 0;
    size_t cursor = 0;
    for (const struct roster_item *item; (item = map_next(&node->roster, &cursor)) != NULL;)
        if (!stamp_is_none(&item->tagged))
            sum += hash64(item->tags.at, item->tags.count, stamp_hash(&item->tagged));
    return sum;
}

void tags_answer(struct node *node, uint64_t stream, const struct msg_ask_tags *ask)
{
    struct msg_tags_row *rows = arena_take(&node->actions->arena, TAGS_PAGE * sizeof *rows);
    if (rows == NULL) return;
    size_t cursor = 0;
    const struct roster_item *item = map_next(&node->roster, &cursor);
    do {
        uint32_t count = 0;
        for (; item != NULL && count < TAGS_PAGE; item = map_next(&node->roster, &cursor)) {
            if (item->tags.count == 0) continue;
            rows[count].node = item->id;
            if (!unpack(node, item->tags, &rows[count].tags)) return;
            count++;
        }
        struct msg_say_tags reply = {
            .request = ask->request, .more = item != NULL, .nodes = {rows, count}};
        links_send(node, stream, &wire_say_tags, &reply);
    } while (item != NULL);
}
