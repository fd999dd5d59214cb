/* One of the sorted stretches that a merge reads: a window of a file, moved on line by line. A run
 * lies in the file of runs as it is; a segment in pages (squeeze.h), each checked before a byte of
 * it is used, and all of its records, at their end, against the digest that their map told. */
#ifndef MAPREDUCE_SOURCE_H
#define MAPREDUCE_SOURCE_H

#include "mapreduce/order.h"
#include "mapreduce/part.h"
#include "mapreduce/scratch.h"

struct source {
    struct scratch *scratch;
    const struct order *order;
    struct part part; /* offset and size: what is still to be read, without a segment's tail */
    int fd;
    uint8_t *packed; /* SOURCE_PACKED_SIZE bytes, borrowed: where a page is read to */
    uint8_t hasher[sizeof(struct seal_hasher) + _Alignof(struct seal_hasher)]; /* of part.records:
                        room for one, aligned (sources lie in memory that is aligned for less) */
    uint64_t left; /* of a segment: bytes of records in the pages to be read */
    uint8_t *window;
    size_t capacity; /* grows when a line does not fit */
    size_t start;    /* of what is not yet given, in the window */
    size_t end;
    struct slice line; /* the current one, with its newline; none (count 0) = all given */
    uint64_t prefix;   /* of its key */
};

enum {
    SOURCE_PACKED_SIZE = PAGE_HEAD + PAGE_SIZE_MAX
};

/* How much memory a source of this part takes beside its longest line. */
size_t source_overhead(const struct part *part);

/* Reads from a segment's tail how long its longest line is. ERROR_NOT_FOUND (noted). */
enum error source_measure(struct scratch *scratch, struct part *part) MUST_USE;

/* Opens the part (runs_fd: the file of runs, borrowed) and moves to its first line. Borrows
 * scratch, order, the part's path, and packed, which all sources may share. After an error too,
 * source_close is due. ERROR_NOT_FOUND when an input cannot be read, is too short or is not what
 * was written, ERROR_IO when a run cannot (noted), ERROR_MEMORY. */
enum error source_open(struct source *source, struct scratch *scratch, const struct order *order,
                       const struct part *part, int runs_fd, size_t window_size,
                       uint8_t *packed) MUST_USE;
void source_close(struct source *source);

/* Moves to the next line; the one before is no longer valid. Errors as source_open. */
enum error source_next(struct source *source) MUST_USE;

#endif
