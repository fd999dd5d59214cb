/* The index of a partitioned block (mapreduce/task.h): where its segments are and what their
 * digests must be.
 *
 *   "MRP1"  u32 partitions  { u64 size, digest } x partitions  | segment 0 | segment 1 | ...
 *   <------------------------ index ------------------------->                    little endian */
#ifndef IO_PARTITIONED_H
#define IO_PARTITIONED_H

#include "base/id.h"
#include "base/slice.h"

enum {
    PARTITIONED_HEAD = 8,           /* magic and count: enough to know the index's size */
    PARTITIONED_INDEX_MAX = 65536,  /* what msg_fetch_reply carries: some 1,600 partitions */
};

struct segment {
    uint64_t offset; /* in the whole block */
    uint64_t size;
    struct digest digest;
};

/* Size of the index whose first PARTITIONED_HEAD bytes these are; 0 when they are no such thing or
 * it is too long. */
size_t partitioned_index_size(const uint8_t head[PARTITIONED_HEAD]);
/* How many segments. index: whole and checked. */
uint32_t partitioned_count(struct slice index);
/* The n-th segment, n below partitioned_count (asserted). Walks from the front. */
struct segment partitioned_segment(struct slice index, uint32_t n);
/* NULL when index is a whole and sound index of a block of *size bytes (told through size), else
 * why not. */
const char *partitioned_check(struct slice index, uint64_t *size);

#endif
