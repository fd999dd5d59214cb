/* The roster as a join: of each node the newest boot that opened, and that it left and that it was
 * in step, each time; and two sets: of evictions, and of what says that they are known. All only
 * grow, so the order of arrival leaves no trace; what follows from the sets (which evictions stand,
 * who is off) is computed anew when one of them grows, which is seldom.
 *
 * `left` is the last entry of its boot's feed, and a feed is held as a prefix: who knows of it has
 * everything that the node wrote in it. So nobody needs to wait for a node that left. */
#include "store/flock.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

void flock_init(struct flock *flock, struct memory *memory)
{
    *flock = (struct flock){.memory = memory};
    map_init(&flock->nodes, memory, offsetof(struct flock_node, id), sizeof(struct id));
}

static void words_put(struct flock *flock, struct flock_words *words)
{
    memory_put(flock->memory, words->at, words->capacity * sizeof *words->at);
}

void flock_deinit(struct flock *flock)
{
    size_t cursor = 0;
    for (struct flock_node *node; (node = map_next(&flock->nodes, &cursor)) != NULL;) {
        words_put(flock, &node->lefts);
        words_put(flock, &node->steps);
        memory_put(flock->memory, node, sizeof *node);
    }
    map_deinit(&flock->nodes);
    for (size_t i = 0; i < flock->evictions_count; i++) {
        struct flock_eviction *eviction = &flock->evictions[i];
        memory_put(flock->memory, eviction->feeds, eviction->feeds_count * sizeof *eviction->feeds);
    }
    memory_put(flock->memory, flock->evictions,
               flock->evictions_capacity * sizeof *flock->evictions);
    memory_put(flock->memory, flock->returns, flock->returns_capacity * sizeof *flock->returns);
}

static enum error node_get(struct flock *flock, const struct id *id, struct flock_node **node)
{
    *node = map_get(&flock->nodes, id);
    if (*node != NULL) return ERROR_NONE;
    *node = memory_take(flock->memory, sizeof **node);
    if (*node == NULL) return ERROR_MEMORY;
    (*node)->id = *id;
    enum error error = map_add(&flock->nodes, *node);
    if (error != ERROR_NONE) memory_put(flock->memory, *node, sizeof **node);
    return error;
}

/* ---- what a node said of itself ---- */

/* Of two entries of one author: does a come before b in what he wrote? */
static bool is_before(const struct msg_stamp *a, const struct msg_stamp *b)
{
    int order = boot_compare(&a->boot, &b->boot);
    return order != 0 ? order < 0 : a->sequence < b->sequence;
}

/* How many of the words were said by then; one that is the entry itself counts. */
static size_t words_by(const struct flock_words *words, const struct msg_stamp *entry)
{
    size_t count = words->count;
    while (count > 0 && is_before(entry, &words->at[count - 1])) count--;
    return count;
}

static enum error words_add(struct flock *flock, struct flock_words *words,
                            const struct msg_stamp *word)
{
    size_t at = words_by(words, word);
    if (at > 0 && !is_before(&words->at[at - 1], word)) return ERROR_NONE;
    struct msg_stamp *grown =
        memory_grow(flock->memory, words->at, &words->capacity, words->count, sizeof *grown);
    if (grown == NULL) return ERROR_MEMORY;
    words->at = grown;
    memmove(grown + at + 1, grown + at, (words->count - at) * sizeof *grown);
    grown[at] = *word;
    words->count++;
    flock->lateness_revision++;
    return ERROR_NONE;
}

/* Of the first so many words: came the last `returned` after the last `left`? */
static bool is_in_step(const struct flock_node *node, size_t lefts, size_t steps)
{
    return steps > 0 &&
           (lefts == 0 || is_before(&node->lefts.at[lefts - 1], &node->steps.at[steps - 1]));
}

static bool is_in_step_now(const struct flock_node *node)
{
    return is_in_step(node, node->lefts.count, node->steps.count);
}

static bool was_in_step_at(const struct flock_node *node, const struct msg_stamp *entry)
{
    return is_in_step(node, words_by(&node->lefts, entry), words_by(&node->steps, entry));
}

/* ---- evictions ---- */

/* A full list has no room for the oldest boots: they were held whole. */
static bool is_behind(const struct flock_eviction *eviction, const struct msg_stamp *stamp)
{
    uint32_t i = 0;
    while (i < eviction->feeds_count && boot_compare(&eviction->feeds[i].boot, &stamp->boot) < 0)
        i++;
    if (i < eviction->feeds_count && boot_equal(&eviction->feeds[i].boot, &stamp->boot))
        return stamp->sequence > eviction->feeds[i].have;
    return i > 0 || eviction->feeds_count < FLOCK_FEEDS_MAX;
}

static bool makes_late(const struct flock_eviction *eviction, const struct msg_stamp *stamp)
{
    return !eviction->is_void && id_equal(&eviction->node, &stamp->node) &&
           is_behind(eviction, stamp) &&
           (!eviction->has_returned || is_before(stamp, &eviction->returned));
}

static bool is_late_by(const struct flock *flock, size_t count, const struct msg_stamp *stamp)
{
    for (size_t i = 0; i < count; i++)
        if (makes_late(&flock->evictions[i], stamp)) return true;
    return false;
}

static void find_return(const struct flock *flock, struct flock_eviction *eviction)
{
    eviction->has_returned = false;
    for (size_t i = 0; i < flock->returns_count; i++) {
        const struct flock_return *said = &flock->returns[i];
        if (!stamp_equal(&said->eviction, &eviction->stamp)) continue;
        if (!id_equal(&said->entry.node, &eviction->node)) continue;
        if (eviction->has_returned && !is_before(&said->entry, &eviction->returned)) continue;
        eviction->has_returned = true;
        eviction->returned = said->entry;
    }
}

/* What follows from the two sets. */
static void conclude(struct flock *flock)
{
    size_t cursor = 0;
    flock->lateness_revision++;
    for (struct flock_node *node; (node = map_next(&flock->nodes, &cursor)) != NULL;)
        node->is_evicted = false;
    for (size_t i = 0; i < flock->evictions_count; i++) {
        struct flock_eviction *eviction = &flock->evictions[i];
        find_return(flock, eviction);
        eviction->is_void = is_late_by(flock, i, &eviction->stamp);
        struct flock_node *node = map_get(&flock->nodes, &eviction->node);
        if (node != NULL && !eviction->is_void && !eviction->has_returned) node->is_evicted = true;
    }
}

static enum error apply_evicted(struct flock *flock, const struct msg_stamp *stamp,
                                const struct msg_evicted *evicted)
{
    struct flock_node *node;
    size_t at = flock->evictions_count, size = evicted->feeds.count * sizeof(struct msg_feed_end);
    while (at > 0 && stamp_compare(stamp, &flock->evictions[at - 1].stamp) < 0) at--;
    if (at > 0 && stamp_equal(stamp, &flock->evictions[at - 1].stamp)) return ERROR_NONE;
    enum error error = node_get(flock, &evicted->node, &node);
    if (error != ERROR_NONE) return error;
    struct flock_eviction *grown =
        memory_grow(flock->memory, flock->evictions, &flock->evictions_capacity,
                    flock->evictions_count, sizeof *grown);
    if (grown == NULL) return ERROR_MEMORY;
    flock->evictions = grown;
    void *feeds = size > 0 ? memory_take(flock->memory, size) : NULL;
    if (size > 0 && feeds == NULL) return ERROR_MEMORY;
    if (size > 0) memcpy(feeds, evicted->feeds.at, size);
    memmove(grown + at + 1, grown + at, (flock->evictions_count - at) * sizeof *grown);
    flock->evictions_count++;
    grown[at] = (struct flock_eviction){.stamp = *stamp,
                                        .node = evicted->node,
                                        .cause = evicted->cause,
                                        .feeds = feeds,
                                        .feeds_count = evicted->feeds.count};
    conclude(flock);
    return ERROR_NONE;
}

static enum error apply_returned(struct flock *flock, const struct msg_stamp *stamp,
                                 const struct msg_returned *returned)
{
    const struct msg_stamp *evictions = returned->evictions.at;
    struct flock_node *node;
    enum error error = node_get(flock, &stamp->node, &node);
    if (error == ERROR_NONE) error = words_add(flock, &node->steps, stamp);
    if (error != ERROR_NONE || returned->evictions.count == 0) return error;
    for (uint32_t i = 0; i < returned->evictions.count; i++) {
        struct flock_return *grown =
            memory_grow(flock->memory, flock->returns, &flock->returns_capacity,
                        flock->returns_count, sizeof *grown);
        if (grown == NULL) return ERROR_MEMORY;
        flock->returns = grown;
        grown[flock->returns_count++] = (struct flock_return){evictions[i], *stamp};
    }
    conclude(flock);
    return ERROR_NONE;
}

/* ---- entries ---- */

/* An eviction may have come before the first word of the node that it evicts: then its place here
 * is there already. */
static enum error apply_member(struct flock *flock, const struct stamped *entry)
{
    const struct msg_stamp *stamp = &entry->stamp;
    const struct msg_joined *joined = entry->fields;
    struct flock_node *node;
    enum error error =
        node_get(flock, entry->kind == MSG_joined ? &joined->node : &stamp->node, &node);
    if (error != ERROR_NONE) return error;
    if (entry->kind == MSG_opened && boot_compare(&stamp->boot, &node->opened) > 0)
        node->opened = stamp->boot;
    return entry->kind == MSG_left ? words_add(flock, &node->lefts, stamp) : ERROR_NONE;
}

enum error flock_apply(struct flock *flock, const struct stamped *entry)
{
    if (entry->fields == NULL) return ERROR_NONE;
    switch (entry->kind) {
    case MSG_joined:
    case MSG_opened:
    case MSG_left: return apply_member(flock, entry);
    case MSG_evicted: return apply_evicted(flock, &entry->stamp, entry->fields);
    case MSG_returned: return apply_returned(flock, &entry->stamp, entry->fields);
    }
    return ERROR_NONE;
}

/* ---- questions ---- */

static bool has_left(const struct flock_node *node)
{
    const struct flock_words *lefts = &node->lefts;
    return lefts->count > 0 && boot_compare(&node->opened, &lefts->at[lefts->count - 1].boot) <= 0;
}

static bool is_on(const struct flock_node *node) { return !node->is_evicted && !has_left(node); }

bool flock_has(const struct flock *flock, const struct id *id)
{
    const struct flock_node *node = map_get(&flock->nodes, id);
    return node != NULL && is_on(node);
}

const struct flock_node *flock_next(const struct flock *flock, size_t *cursor)
{
    const struct flock_node *node;
    while ((node = map_next(&flock->nodes, cursor)) != NULL && !is_on(node)) continue;
    return node;
}

size_t flock_count(const struct flock *flock)
{
    size_t cursor = 0, count = 0;
    while (flock_next(flock, &cursor) != NULL) count++;
    return count;
}

bool flock_is_in_step(const struct flock *flock, const struct id *id)
{
    size_t cursor = 0;
    const struct flock_node *node = id == NULL ? NULL : map_get(&flock->nodes, id);
    if (id != NULL) return node != NULL && is_in_step_now(node);
    while ((node = flock_next(flock, &cursor)) != NULL && !is_in_step_now(node)) continue;
    return node != NULL;
}

bool flock_was_in_step(const struct flock *flock, const struct id *id)
{
    const struct flock_node *node = map_get(&flock->nodes, id);
    return node != NULL && node->steps.count > 0;
}

bool flock_is_evicted(const struct flock *flock, const struct id *id)
{
    const struct flock_node *node = map_get(&flock->nodes, id);
    return node != NULL && node->is_evicted;
}

bool flock_has_left(const struct flock *flock, const struct id *id)
{
    const struct flock_node *node = map_get(&flock->nodes, id);
    return node != NULL && has_left(node);
}

bool flock_is_late(const struct flock *flock, const struct msg_stamp *stamp)
{
    const struct flock_node *node = map_get(&flock->nodes, &stamp->node);
    if (node == NULL || !was_in_step_at(node, stamp)) return true;
    return is_late_by(flock, flock->evictions_count, stamp);
}

uint64_t flock_digest(const struct flock *flock)
{
    uint64_t digest = 0;
    size_t cursor = 0;
    for (const struct flock_node *node; (node = map_next(&flock->nodes, &cursor)) != NULL;) {
        uint64_t opened[] = {node->opened.counter, node->opened.random};
        digest += hash64(opened, sizeof opened, hash64(&node->id, sizeof node->id, 7));
        for (size_t i = 0; i < node->lefts.count; i++) digest += stamp_hash(&node->lefts.at[i]);
        for (size_t i = 0; i < node->steps.count; i++) digest += stamp_hash(&node->steps.at[i]);
    }
    for (size_t i = 0; i < flock->evictions_count; i++) {
        const struct flock_eviction *eviction = &flock->evictions[i];
        uint64_t seed = hash64(&eviction->node, sizeof eviction->node, eviction->is_void);
        digest += hash64(&(uint64_t){stamp_hash(&eviction->stamp)}, sizeof(uint64_t), seed);
        if (eviction->has_returned) digest += stamp_hash(&eviction->returned);
    }
    return digest;
}
