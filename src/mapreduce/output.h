/* DIR/output: plain bytes, or a partitioned block (task.h), and the digest that names it. */
#ifndef MAPREDUCE_OUTPUT_H
#define MAPREDUCE_OUTPUT_H

#include "base/id.h"
#include "mapreduce/scratch.h"

struct output {
    struct scratch_file file;
    struct seal_hasher hasher; /* of all, or of the segment being written */
    uint32_t partitions;       /* 0 = plain bytes */
    uint32_t segments;         /* ended so far */
    uint64_t segment_start;
    uint8_t *index;
    uint64_t newlines;
    bool is_in_line;           /* the last byte was no newline */
};

/* Borrows scratch, which it tells what goes wrong. partitions 0: bytes as they come. ERROR_MEMORY.
 * After an error too, output_deinit is due. */
enum error output_init(struct output *output, struct scratch *scratch,
                       uint32_t partitions) MUST_USE;
/* Closes and frees; the file stays. */
void output_deinit(struct output *output);

/* An outflow's take, context = the output. Errors: those of scratch_write. */
enum error output_take(void *output, struct slice bytes) MUST_USE;
/* What was taken since the last call is the next partition's segment. Errors: those of
 * scratch_write. */
enum error output_end_segment(struct output *output) MUST_USE;
/* All segments are there: completes the file. digest: its name. Errors: those of scratch_write. */
enum error output_end(struct output *output, struct digest *digest) MUST_USE;

/* Lines written, a last one without a newline included. */
uint64_t output_records(const struct output *output);

#endif
