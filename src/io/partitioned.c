/* Reading the index of a partitioned block. It comes from disks and from other machines, so nothing
 * is believed before partitioned_check: sizes that overflow are refused there, once. */
#include "io/partitioned.h"

#include "mapreduce/task.h"
#include "wire/kinds.h"

#include <assert.h>

_Static_assert(PARTITIONED_HEAD +
                       JOB_REDUCES_MAX * (PARTITIONED_INDEX_ITEM + PARTITIONED_STORED_ITEM) <=
                   PARTITIONED_INDEX_MAX,
               "a map's output for as many reduces as a job may have");

static uint64_t little_endian(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

size_t partitioned_index_size(const uint8_t head[PARTITIONED_HEAD])
{
    uint64_t count = little_endian(head + 4, 4);
    if (memcmp(head, "MRP2", 4) != 0) return 0;
    uint64_t size = PARTITIONED_HEAD + count * (PARTITIONED_INDEX_ITEM + PARTITIONED_STORED_ITEM);
    return size <= PARTITIONED_INDEX_MAX ? (size_t)size : 0;
}

uint32_t partitioned_count(struct slice index)
{
    assert(index.count >= PARTITIONED_HEAD);
    return (uint32_t)little_endian(index.at + 4, 4);
}

struct slice partitioned_name(struct slice index)
{
    size_t size = PARTITIONED_HEAD + (size_t)partitioned_count(index) * PARTITIONED_INDEX_ITEM;
    assert(size <= index.count);
    return slice_of(index.at, size);
}

/* What the index says of how the n-th segment is stored. */
static const uint8_t *stored_item(struct slice index, uint32_t n)
{
    return index.at + partitioned_name(index).count + (size_t)n * PARTITIONED_STORED_ITEM;
}

struct segment partitioned_segment(struct slice index, uint32_t n)
{
    struct segment segment = {.offset = index.count};
    assert(n < partitioned_count(index));
    for (uint32_t i = 0; i < n; i++) segment.offset += little_endian(stored_item(index, i), 8);
    segment.size = little_endian(stored_item(index, n), 8);
    segment.check = little_endian(stored_item(index, n) + 8, 8);
    const uint8_t *named = index.at + PARTITIONED_HEAD + (size_t)n * PARTITIONED_INDEX_ITEM;
    memcpy(segment.records.bytes, named + 8, sizeof segment.records.bytes);
    return segment;
}

const char *partitioned_check(struct slice index, uint64_t *size)
{
    if (index.count < PARTITIONED_HEAD) return "index too short";
    if (partitioned_index_size(index.at) != index.count) return "not an index";
    *size = index.count;
    for (uint32_t i = 0; i < partitioned_count(index); i++) {
        uint64_t one = little_endian(stored_item(index, i), 8);
        if (one > INT64_MAX - *size) return "segment sizes overflow";
        *size += one;
    }
    return NULL;
}
