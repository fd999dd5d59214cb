/* Where blocks end: at a line's end, near a target size. Pure: bytes in, cuts out. */
#ifndef CTL_SPLITTER_H
#define CTL_SPLITTER_H

#include "base/slice.h"

enum {
    SPLIT_MIN = 1 << 20,  /* below it a task's start costs more than its work */
    SPLIT_MAX = 32 << 20, /* above it too much is done again after a death */
};

struct splitter {
    uint64_t target;     /* bytes, at least 1 */
    uint64_t block_size; /* of the open block so far */
};

static inline void splitter_init(struct splitter *splitter, uint64_t target)
{
    *splitter = (struct splitter){.target = target};
}

/* How many of these bytes (at least 1 of them: asserted) belong to the open block. *ends: the block
 * is complete with them: it has at least target bytes and ends with a newline, at the first place
 * where both hold. */
size_t splitter_take(struct splitter *splitter, struct slice bytes, bool *ends);

/* A block size that gives every slot about three blocks, within SPLIT_MIN and SPLIT_MAX; SPLIT_MAX
 * when total is 0 (not known). Three: stragglers cost a third of a share, and overhead stays
 * small. */
uint64_t splitter_target(uint64_t total, uint64_t slots);

#endif
