/* A stable radix sort over cached prefixes. Each pass deals entries out by 11 bits, from the least
 * significant digit on (LSD), so equal keys keep their positions without ever comparing them, and
 * the many equal words of a text cost nothing extra. First all entries by partition, then each
 * partition by prefix; a digit that all entries share is skipped. Keys that go on behind an equal
 * prefix are dealt with as a group: the prefix of their next 7 bytes, and again (the caching radix
 * sort of Kärkkäinen and Rantala, SPIRE 2008); small groups, deep ones, numbers by merge sort. */
#include "mapreduce/sort.h"

#include <assert.h>
#include <string.h>

enum {
    DIGIT_BITS = 11, /* 2048 counters of 4 bytes: 6 tables fit the second-level cache */
    DIGITS = 1 << DIGIT_BITS,
    PREFIX_PASSES = 6, /* 6 * 11 >= 64 */
    RADIX_MIN = 512,   /* below, clearing and summing the counters costs more than comparing */
    INSERTION_MAX = 12,
    DEPTH_MAX = 64 * ORDER_STEP, /* bounds the recursion; longer common beginnings are compared */
};

struct sort {
    const struct order *order;
    const uint8_t *base;
};

/* ---- comparing: merge sort ---- */

static int compare(const struct sort *sort, const struct sort_entry *a, const struct sort_entry *b,
                   size_t depth)
{
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    if (order_is_exact(sort->order, a->prefix)) return 0;
    return order_compare(sort->order, sort->base + a->offset, sort->base + b->offset, depth);
}

static void insertion_sort(const struct sort *sort, struct sort_entry *entries, size_t count,
                           size_t depth)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_entry moving = entries[i];
        size_t at = i;
        for (; at > 0 && compare(sort, &moving, &entries[at - 1], depth) < 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = moving;
    }
}

static void merge_sort(const struct sort *sort, struct sort_entry *entries,
                       struct sort_entry *spare, size_t count, size_t depth)
{
    if (count <= INSERTION_MAX) {
        insertion_sort(sort, entries, count, depth);
        return;
    }
    size_t half = count / 2;
    merge_sort(sort, entries, spare, half, depth);
    merge_sort(sort, entries + half, spare + half, count - half, depth);
    if (compare(sort, &entries[half - 1], &entries[half], depth) <= 0) return;
    memcpy(spare, entries, half * sizeof *spare);
    size_t left = 0, right = half, to = 0;
    while (left < half && right < count) {
        bool is_right = compare(sort, &entries[right], &spare[left], depth) < 0;
        entries[to++] = is_right ? entries[right++] : spare[left++];
    }
    memcpy(entries + to, spare + left, (half - left) * sizeof *spare);
}

/* ---- dealing out: radix passes ---- */

static size_t digit_of(uint64_t value, unsigned pass)
{
    return value >> pass * DIGIT_BITS & (DIGITS - 1);
}

/* Turns counts into first places. False when one digit has them all: nothing to do. */
static bool sum_counts(uint32_t counts[DIGITS], size_t count)
{
    uint32_t place = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        uint32_t here = counts[i];
        if (here == count) return false;
        counts[i] = place;
        place += here;
    }
    return true;
}

static void radix_by_partition(struct sort_entry *entries, struct sort_entry *spare, size_t count)
{
    for (unsigned pass = 0; pass < 3; pass++) {
        uint32_t counts[DIGITS] = {0};
        for (size_t i = 0; i < count; i++) counts[digit_of(entries[i].partition, pass)]++;
        if (!sum_counts(counts, count)) continue;
        for (size_t i = 0; i < count; i++)
            spare[counts[digit_of(entries[i].partition, pass)]++] = entries[i];
        memcpy(entries, spare, count * sizeof *entries);
    }
}

static void radix_by_prefix(struct sort_entry *entries, struct sort_entry *spare, size_t count)
{
    uint32_t counts[PREFIX_PASSES][DIGITS] = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t prefix = entries[i].prefix;
        for (unsigned pass = 0; pass < PREFIX_PASSES; pass++)
            counts[pass][digit_of(prefix, pass)]++;
    }
    struct sort_entry *from = entries, *to = spare;
    for (unsigned pass = 0; pass < PREFIX_PASSES; pass++) {
        if (!sum_counts(counts[pass], count)) continue;
        for (size_t i = 0; i < count; i++)
            to[counts[pass][digit_of(from[i].prefix, pass)]++] = from[i];
        struct sort_entry *other = from;
        from = to;
        to = other;
    }
    if (from != entries) memcpy(entries, from, count * sizeof *entries);
}

static void sort_range(const struct sort *sort, struct sort_entry *entries,
                       struct sort_entry *spare, size_t count, size_t depth);

/* Entries of one prefix whose keys go on behind it. */
static void sort_group(const struct sort *sort, struct sort_entry *entries,
                       struct sort_entry *spare, size_t count, size_t depth)
{
    if (count < 2) return;
    bool has_prefixes = sort->order->kind == SORT_KEY && sort->order->more_count == 0;
    if (count < RADIX_MIN || depth >= DEPTH_MAX || !has_prefixes) {
        merge_sort(sort, entries, spare, count, depth);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *line = sort->base + entries[i].offset;
        entries[i].prefix = order_prefix(sort->order, line, depth + ORDER_STEP);
    }
    sort_range(sort, entries, spare, count, depth + ORDER_STEP);
}

/* Entries of one partition, whose keys agree in their first depth bytes. */
static void sort_range(const struct sort *sort, struct sort_entry *entries,
                       struct sort_entry *spare, size_t count, size_t depth)
{
    if (count < RADIX_MIN) {
        merge_sort(sort, entries, spare, count, depth);
        return;
    }
    radix_by_prefix(entries, spare, count);
    for (size_t first = 0, end; first < count; first = end) {
        uint64_t prefix = entries[first].prefix;
        for (end = first + 1; end < count && entries[end].prefix == prefix;) end++;
        if (!order_is_exact(sort->order, prefix))
            sort_group(sort, entries + first, spare + first, end - first, depth);
    }
}

void sort_entries(const struct order *order, const uint8_t *base, struct sort_entry *entries,
                  struct sort_entry *spare, size_t count)
{
    assert(count <= UINT32_MAX);
    struct sort sort = {.order = order, .base = base};
    radix_by_partition(entries, spare, count);
    for (size_t first = 0, end; first < count; first = end) {
        uint32_t partition = entries[first].partition;
        for (end = first + 1; end < count && entries[end].partition == partition;) end++;
        sort_range(&sort, entries + first, spare + first, end - first, 0);
    }
}
