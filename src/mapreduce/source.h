/* One of the sorted stretches that a merge reads: a window of a file, moved on line by line. */
#ifndef MAPREDUCE_SOURCE_H
#define MAPREDUCE_SOURCE_H

#include "mapreduce/order.h"
#include "mapreduce/part.h"
#include "mapreduce/scratch.h"

struct source {
    struct scratch *scratch;
    const struct order *order;
    struct part part;  /* offset and size: what is still to be read */
    int fd;
    uint8_t *window;
    size_t capacity;   /* grows when a line does not fit */
    size_t start;      /* of what is not yet given, in the window */
    size_t end;
    struct slice line; /* the current one, with its newline; none (count 0) = all given */
    uint64_t prefix;   /* of its key */
};

/* Opens the part (runs_fd: the file of runs, borrowed) and moves to its first line. Borrows
 * scratch, order and the part's path. After an error too, source_close is due. ERROR_NOT_FOUND when
 * an input cannot be read or is too short, ERROR_IO when a run cannot (noted), ERROR_MEMORY. */
enum error source_open(struct source *source, struct scratch *scratch, const struct order *order,
                       const struct part *part, int runs_fd, size_t window_size) MUST_USE;
void source_close(struct source *source);

/* Moves to the next line; the one before is no longer valid. Errors as source_open. */
enum error source_next(struct source *source) MUST_USE;

#endif
