/* Merging sorted parts into one sorted stream: by key, then by the number of the part, then by
 * position, so equal keys come in the order of their inputs whatever the
 * timing. */
#ifndef MAPREDUCE_MERGE_H
#define MAPREDUCE_MERGE_H

#include "mapreduce/source.h"

enum {
    MERGE_FAN_IN_MAX = 256,      /* parts, hence files, open at once: usually 1024 may be */
    MERGE_WINDOW_MIN = 8 * 1024, /* two pages: less makes system calls count */
    MERGE_WINDOW_MAX = 256 * 1024,
};

struct merge {
    struct scratch *scratch;
    const struct order *order;
    struct source *sources;
    size_t count;
    uint16_t tree[MERGE_FAN_IN_MAX]; /* losers; tree[0] the winner */
    bool is_started;
    uint8_t *packed;   /* SOURCE_PACKED_SIZE: of all sources */
    uint8_t *gathered; /* lines on their way out */
    size_t capacity;   /* of gathered: FLOW_SIZE, or all there is when that is less */
};

/* Opens the parts. With more of them than may be open at once, or lines so long that one of each
 * does not fit memory_size, neighbours are first merged into stretches appended to runs (created if
 * need be). parts are changed by it, and no longer needed after it. Borrows order, runs and the
 * parts' paths. After an error too, merge_close is due. Errors: those of source_open and
 * scratch_write. */
enum error merge_open(struct merge *merge, const struct order *order, struct part *parts,
                      size_t count, struct scratch_file *runs, size_t memory_size) MUST_USE;
void merge_close(struct merge *merge);

/* The next lines, many at once, valid until the next call; none (count 0) = the end. An inflow's
 * next, context = the merge. Errors as source_next. */
enum error merge_next(void *merge, struct slice *lines) MUST_USE;

#endif
