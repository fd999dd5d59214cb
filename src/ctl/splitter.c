/* Cutting a stream of lines into blocks without holding a block: a block grows to its target size
 * and then on to the next newline. So a line is never in two blocks, a line longer than the target
 * makes a longer block, and the cuts depend on the bytes and the target alone, never on how the
 * bytes arrived. */
#include "ctl/splitter.h"

#include <assert.h>

size_t splitter_take(struct splitter *splitter, struct slice bytes, bool *ends)
{
    assert(bytes.count > 0);
    assert(splitter->target > 0);
    *ends = false;
    /* A newline counts from the byte on that makes the block full. */
    uint64_t missing = 0;
    if (splitter->block_size + 1 < splitter->target)
        missing = splitter->target - 1 - splitter->block_size;
    const uint8_t *newline = NULL;
    if (missing < bytes.count)
        newline = memchr(bytes.at + missing, '\n', bytes.count - (size_t)missing);
    if (newline == NULL) {
        splitter->block_size += bytes.count;
        return bytes.count;
    }
    splitter->block_size = 0;
    *ends = true;
    return (size_t)(newline - bytes.at) + 1;
}

uint64_t splitter_target(uint64_t total, uint64_t slots)
{
    if (total == 0) return SPLIT_MAX;
    uint64_t target = total / (3 * (slots == 0 ? 1 : slots));
    return target < SPLIT_MIN ? SPLIT_MIN : target > SPLIT_MAX ? SPLIT_MAX : target;
}
