/* Where blocks end: at a record's end, near a target size. Pure: bytes in, cuts out. */
#ifndef CTL_SPLITTER_H
#define CTL_SPLITTER_H

#include "base/slice.h"

#include <stdbool.h>

enum {
    SPLIT_MIN = 1 << 20,  /* below it a task's start costs more than its work */
    SPLIT_MAX = 32 << 20, /* above it too much is done again after a death */
};

/* What must not be cut: a line with its newline, so many bytes, or a whole file. */
enum records {
    RECORDS_LINES,
    RECORDS_FIXED,
    RECORDS_FILE,
};

struct splitter {
    enum records records;
    uint64_t target;     /* bytes, at least 1; of RECORDS_FIXED a multiple of the record's size */
    uint64_t block_size; /* of the open block so far */
};

static inline void splitter_init(struct splitter *splitter, uint64_t target)
{
    *splitter = (struct splitter){.target = target};
}

/* Records of this size (at least 1; not used for others than RECORDS_FIXED). */
void splitter_set_records(struct splitter *splitter, enum records records, uint64_t record_size);

/* "lines", "fixed:N" (N as 100 or 4K) or "file"; false when text is none of them. */
bool splitter_parse_records(const char *text, enum records *records, uint64_t *record_size);

/* How many of these bytes (at least 1 of them: asserted) belong to the open block. *ends: the block
 * is complete with them: it has at least target bytes and ends with a newline, at the first place
 * where both hold. */
size_t splitter_take(struct splitter *splitter, struct slice bytes, bool *ends);

/* A block size that gives every slot about three blocks, within SPLIT_MIN and SPLIT_MAX; SPLIT_MAX
 * when total is 0 (not known). Three: stragglers cost a third of a share, and overhead stays
 * small. */
uint64_t splitter_target(uint64_t total, uint64_t slots);

#endif
