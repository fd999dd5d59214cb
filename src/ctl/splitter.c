/* Cutting a stream of lines into blocks without holding a block: a block grows to its target size
 * and then on to the next newline. So a line is never in two blocks, a line longer than the target
 * makes a longer block, and the cuts depend on the bytes and the target alone, never on how the
 * bytes arrived. Records of a fixed size end at multiples of it; a file that is one record ends
 * with itself. */
#include "ctl/splitter.h"

#include "ctl/quantity.h"

#include <assert.h>
#include <string.h>

enum {
    RECORD_SIZE_MAX = 1 << 30
}; /* a block of one record must be read in reasonable time */

void splitter_set_records(struct splitter *splitter, enum records records, uint64_t record_size)
{
    splitter->records = records;
    if (records != RECORDS_FIXED) return;
    uint64_t rest = splitter->target % record_size;
    if (rest > 0) splitter->target += record_size - rest;
}

bool splitter_parse_records(const char *text, enum records *records, uint64_t *record_size)
{
    *record_size = 1;
    *records = RECORDS_LINES;
    if (strcmp(text, "lines") == 0) return true;
    *records = RECORDS_FILE;
    if (strcmp(text, "file") == 0) return true;
    *records = RECORDS_FIXED;
    return strncmp(text, "fixed:", 6) == 0 && quantity_parse_size(text + 6, record_size) &&
           *record_size > 0 && *record_size <= RECORD_SIZE_MAX;
}

/* A whole file has no end but its own; records of one size end where their number is full. */
static size_t take_sized(struct splitter *splitter, struct slice bytes, bool *ends)
{
    uint64_t left = splitter->target - splitter->block_size;
    if (splitter->records == RECORDS_FILE || bytes.count < left) {
        splitter->block_size += bytes.count;
        return bytes.count;
    }
    splitter->block_size = 0;
    *ends = true;
    return (size_t)left;
}

size_t splitter_take(struct splitter *splitter, struct slice bytes, bool *ends)
{
    assert(bytes.count > 0);
    assert(splitter->target > 0);
    *ends = false;
    if (splitter->records != RECORDS_LINES) return take_sized(splitter, bytes, ends);
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
