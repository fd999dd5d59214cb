/* The index of a partitioned block (mapreduce/task.h): where its segments are and what their bytes
 * must be.
 *
 *   "MRP2"  u32 partitions  { u64 size, digest } x n  { u64 stored, u64 XXH3 } x n  | segment 0 |
 * ...
 *   <-------------------- its name -----------------> little endian
 *   <---------------------------------- index ----------------------------------> */
#ifndef IO_PARTITIONED_H
#define IO_PARTITIONED_H

#include "base/id.h"
#include "base/slice.h"

enum {
    PARTITIONED_HEAD = 8, /* magic and count: enough to know the index's size */
    PARTITIONED_INDEX_MAX =
        65536, /* what msg_fetch_reply carries: JOB_REDUCES_MAX partitions fit */
};

struct segment {
    uint64_t offset;       /* in the whole block */
    uint64_t size;         /* of its stored bytes */
    uint64_t check;        /* their XXH3 */
    struct digest records; /* of the records that they hold */
};

/* Size of the index whose first PARTITIONED_HEAD bytes these are; 0 when they are no such thing or
 * it is too long. */
size_t partitioned_index_size(const uint8_t head[PARTITIONED_HEAD]);
/* The part of an index whose digest names the block. index: whole and checked. */
struct slice partitioned_name(struct slice index);
/* How many segments. index: whole and checked. */
uint32_t partitioned_count(struct slice index);
/* The n-th segment, n below partitioned_count (asserted). Walks from the front. */
struct segment partitioned_segment(struct slice index, uint32_t n);
/* NULL when index is a whole and sound index of a block of *size bytes (told through size; of this
 * build's kind), else why not. */
const char *partitioned_check(struct slice index, uint64_t *size);

#endif
