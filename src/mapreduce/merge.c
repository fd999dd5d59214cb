/* A tree of losers (Knuth, TAOCP 3, 5.4.1): each inner node remembers who lost there, so a new line
 * is compared once per level on its way up. Mostly, two prefixes are compared (order.h). */
#include "mapreduce/merge.h"

#include <assert.h>

/* ---- the tree ---- */

/* Does the current line of a come out before that of b? */
static bool is_before(const struct merge *merge, size_t a, size_t b)
{
    const struct source *left = &merge->sources[a], *right = &merge->sources[b];
    if (left->line.count == 0 || right->line.count == 0) return left->line.count > 0;
    if (left->prefix != right->prefix) return left->prefix < right->prefix;
    if (!order_is_exact(merge->order, left->prefix)) {
        int order = order_compare(merge->order, left->line.at, right->line.at, 0);
        if (order != 0) return order < 0;
    }
    return a < b;
}

/* Plays source's matches from its leaf up. */
static void replay(struct merge *merge, size_t source)
{
    size_t winner = source;
    for (size_t node = (source + merge->count) / 2; node > 0; node /= 2) {
        size_t rival = merge->tree[node];
        if (!is_before(merge, rival, winner)) continue;
        merge->tree[node] = (uint16_t)winner;
        winner = rival;
    }
    merge->tree[0] = (uint16_t)winner;
}

/* The winner below node: leaves are nodes count to 2 * count - 1. As deep as the tree: 8 levels. */
static size_t build(struct merge *merge, size_t node)
{
    if (node >= merge->count) return node - merge->count;
    size_t left = build(merge, 2 * node);
    size_t right = build(merge, 2 * node + 1);
    bool is_left = is_before(merge, left, right);
    merge->tree[node] = (uint16_t)(is_left ? right : left);
    return is_left ? left : right;
}

/* ---- one merge ---- */

static enum error open_sources(struct merge *merge, const struct part *parts, size_t count,
                               const struct scratch_file *runs, size_t memory_size)
{
    assert(count <= MERGE_FAN_IN_MAX && merge->sources == NULL);
    if (count == 0) return ERROR_NONE;
    struct memory *memory = merge->scratch->memory;
    merge->sources = memory_take(memory, count * sizeof *merge->sources);
    if (merge->sources == NULL) return ERROR_MEMORY;
    size_t window_size = memory_size / count;
    if (window_size < MERGE_WINDOW_MIN) window_size = MERGE_WINDOW_MIN;
    if (window_size > MERGE_WINDOW_MAX) window_size = MERGE_WINDOW_MAX;
    merge->count = count;
    for (size_t i = 0; i < count; i++) {
        merge->sources[i].scratch = merge->scratch; /* all of them can be closed from here on */
        merge->sources[i].fd = -1;
    }
    enum error error = ERROR_NONE;
    for (size_t i = 0; i < count && error == ERROR_NONE; i++)
        error = source_open(&merge->sources[i], merge->scratch, merge->order, &parts[i], runs->fd,
                            window_size, merge->packed);
    if (error == ERROR_NONE) merge->tree[0] = (uint16_t)(count == 1 ? 0 : build(merge, 1));
    return error;
}

static void close_sources(struct merge *merge)
{
    for (size_t i = 0; i < merge->count; i++) source_close(&merge->sources[i]);
    memory_put(merge->scratch->memory, merge->sources, merge->count * sizeof *merge->sources);
    merge->sources = NULL;
    merge->count = 0;
    merge->is_started = false;
}

/* Past the line given last. */
static enum error advance(struct merge *merge)
{
    size_t winner = merge->tree[0];
    enum error error = source_next(&merge->sources[winner]);
    if (error == ERROR_NONE) replay(merge, winner);
    return error;
}

enum error merge_next(void *context, struct slice *lines)
{
    struct merge *merge = context;
    size_t used = 0;
    *lines = (struct slice){0};
    while (merge->count > 0) {
        if (merge->is_started) {
            enum error error = advance(merge);
            if (error != ERROR_NONE) return error;
        }
        merge->is_started = false;
        struct slice line = merge->sources[merge->tree[0]].line;
        if (line.count == 0) break;
        if (line.count > merge->capacity - used) {
            if (used > 0) break; /* it is still the current one at the next call */
            merge->is_started = true;
            *lines = line;
            return ERROR_NONE;
        }
        memcpy(merge->gathered + used, line.at, line.count);
        used += line.count;
        merge->is_started = true;
    }
    *lines = slice_of(merge->gathered, used);
    return ERROR_NONE;
}

/* ---- several passes ---- */

/* How many parts from the front on may be merged at once: at least 2, or nothing gets done. */
static size_t group_size(const struct part *parts, size_t count, size_t memory_size)
{
    uint64_t held = 0;
    size_t group = 0;
    for (; group < count && group < MERGE_FAN_IN_MAX; group++) {
        held += parts[group].line_max + source_overhead(&parts[group]);
        if (held > memory_size && group >= 2) break;
    }
    return group;
}

/* Merges the parts into a new one at the end of runs. */
static enum error merge_group(struct merge *merge, const struct part *parts, size_t count,
                              struct scratch_file *runs, size_t memory_size, struct part *merged)
{
    *merged = (struct part){.offset = runs->size};
    enum error error = open_sources(merge, parts, count, runs, memory_size);
    while (error == ERROR_NONE) {
        struct slice lines;
        error = merge_next(merge, &lines);
        if (error != ERROR_NONE || lines.count == 0) break;
        error = scratch_write(runs, lines);
    }
    close_sources(merge);
    if (error == ERROR_NONE) error = scratch_flush(runs);
    merged->size = runs->size - merged->offset;
    for (size_t i = 0; i < count; i++)
        if (parts[i].line_max > merged->line_max) merged->line_max = parts[i].line_max;
    return error;
}

enum error merge_open(struct merge *merge, const struct order *order, struct part *parts,
                      size_t count, struct scratch_file *runs, size_t memory_size)
{
    *merge = (struct merge){.scratch = runs->scratch, .order = order};
    uint64_t size = 1;
    for (size_t i = 0; i < count && size < FLOW_SIZE; i++)
        size += parts[i].path.at == NULL || parts[i].size == 0 ? parts[i].size : FLOW_SIZE;
    size_t capacity = size < FLOW_SIZE ? (size_t)size : FLOW_SIZE;
    merge->gathered = memory_take(merge->scratch->memory, capacity);
    if (merge->gathered == NULL) return ERROR_MEMORY;
    merge->capacity = capacity;
    merge->packed = memory_take(merge->scratch->memory, SOURCE_PACKED_SIZE);
    if (merge->packed == NULL || !squeeze_can_unpack(&merge->scratch->squeeze)) return ERROR_MEMORY;
    while (group_size(parts, count, memory_size) < count) {
        size_t kept = 0;
        for (size_t first = 0, group; first < count; first += group) {
            group = group_size(parts + first, count - first, memory_size);
            struct part merged = parts[first];
            enum error error = ERROR_NONE;
            if (group > 1)
                error = merge_group(merge, parts + first, group, runs, memory_size, &merged);
            if (error != ERROR_NONE) return error;
            parts[kept++] = merged;
        }
        count = kept;
    }
    return open_sources(merge, parts, count, runs, memory_size);
}

void merge_close(struct merge *merge)
{
    close_sources(merge);
    memory_put(merge->scratch->memory, merge->gathered, merge->capacity);
    memory_put(merge->scratch->memory, merge->packed, SOURCE_PACKED_SIZE);
    merge->gathered = merge->packed = NULL;
}
