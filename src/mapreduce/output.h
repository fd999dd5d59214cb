/* DIR/output: plain bytes, or a partitioned block (task.h), and the digest that names it. */
#ifndef MAPREDUCE_OUTPUT_H
#define MAPREDUCE_OUTPUT_H

#include "base/hash.h"
#include "base/id.h"
#include "mapreduce/scratch.h"

#include <stdbool.h>

struct output {
    struct scratch_file file;
    struct seal_hasher hasher; /* of all, or of the records of the segment being written */
    struct hash_stream check;  /* of the segment's stored bytes */
    uint32_t partitions;       /* 0 = plain bytes */
    uint32_t segments;         /* ended so far */
    uint64_t segment_start;
    uint64_t segment_size; /* bytes of records in it */
    uint64_t line_size;    /* of the record being written */
    uint64_t line_max;     /* of the segment's records */
    uint8_t *index;
    uint8_t *page; /* records not yet stored, and room for the page they become */
    size_t page_size;
    uint64_t newlines;
    bool is_in_line; /* the last byte was no newline */
};

/* Borrows scratch, which it tells what goes wrong. partitions 0: bytes as they come. ERROR_MEMORY.
 * After an error too, output_deinit is due. */
enum error output_init(struct output *output, struct scratch *scratch,
                       uint32_t partitions) MUST_USE;
/* Closes and frees; the file stays. */
void output_deinit(struct output *output);

/* An outflow's take, context = the output. Errors: ERROR_MEMORY, those of scratch_write. */
enum error output_take(void *output, struct slice bytes) MUST_USE;
/* What was taken since the last call is the next partition's segment. Errors as
 * output_take. */
enum error output_end_segment(struct output *output) MUST_USE;
/* All segments are there: completes the file. digest: its name. Errors: those of scratch_write. */
enum error output_end(struct output *output, struct digest *digest) MUST_USE;
/* Instead of output_end: an output of at most max bytes that never became a file, into bytes; its
 * size is file.size. False: it has to be a file. */
bool output_end_small(struct output *output, size_t max, uint8_t *bytes, struct digest *digest);

/* Lines taken, a last one without a newline included. */
uint64_t output_records(const struct output *output);

#endif
