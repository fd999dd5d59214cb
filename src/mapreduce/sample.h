/* A sample of keys, and the cuts between ranges made from one: how output sorted over several
 * partitions comes about (as O'Malley's TeraByte Sort, 2008, and Spark's range partitioner do it: a
 * small job first).
 *
 *   map of the sampling job:     pieces of its input -> mapper -> sample -> sorted as ever
 *   reduce of it, "@cuts N":     merge -> sample -> up to N - 1 cuts, a line each
 *
 * Which records are taken follows from the bytes alone: every stride-th one, the stride doubled
 * (and every second one forgotten) whenever there are too many. So the cuts, and with them the
 * bytes of each partition, are the same whoever drew the sample. */
#ifndef MAPREDUCE_SAMPLE_H
#define MAPREDUCE_SAMPLE_H

#include "mapreduce/flow.h"
#include "mapreduce/order.h"
#include "mapreduce/scratch.h"
#include "wire/wire.h"

struct sample {
    struct scratch *scratch;
    const struct order *order;
    uint32_t fields; /* of a record that are kept */
    size_t count_max;
    uint64_t stride;
    uint64_t seen;         /* records */
    uint8_t (*keys)[1024]; /* SAMPLE_KEY_MAX: longer keys are cut off, which still sorts */
    uint16_t *sizes;
    size_t count;
    uint8_t line[1024]; /* the front of a record that is not whole yet */
    size_t line_size;
};

enum {
    SAMPLE_KEY_MAX = 1024,
    SAMPLE_KEYS_OF_MAP = 1000,   /* 1 MB at most, of each map */
    SAMPLE_KEYS_OF_CUTS = 32768, /* 32 MB at most; for 1,000 partitions still 32 of each */
    SAMPLE_PIECES = 8,           /* of a map's input */
    SAMPLE_PIECE_SIZE = 128 << 10,
};

/* Borrows scratch and order. ERROR_MEMORY: nothing is taken. */
enum error sample_init(struct sample *sample, struct scratch *scratch, const struct order *order,
                       uint32_t fields, size_t count_max) MUST_USE;
void sample_deinit(struct sample *sample);

/* An outflow's take, context = the sample: bytes that hold records, cut anywhere. */
enum error sample_take(void *sample, struct slice bytes) MUST_USE;
/* No more bytes: a last record may have no newline. */
void sample_end(struct sample *sample);
/* Gives the keys, a line each. Errors: of the flow. */
enum error sample_pour(const struct sample *sample, struct outflow flow) MUST_USE;
/* Gives at most count - 1 of them, evenly spaced, none equal to the one before. They must be in
 * order. Errors: of the flow. */
enum error sample_pour_cuts(const struct sample *sample, uint32_t count,
                            struct outflow flow) MUST_USE;

/* The input of a sampling map: up to SAMPLE_PIECES pieces of one part of a file, each from a line's
 * start to a line's end. items: room for them. Returns how many. ERROR_NOT_FOUND: the file cannot
 * be read (noted). */
enum error sample_choose(struct scratch *scratch, const struct msg_task_input *whole,
                         struct msg_task_input items[SAMPLE_PIECES], size_t *count) MUST_USE;

/* Is it "@cuts N"? The N; 0 = it is not. */
uint32_t sample_cuts_meant(struct slice command);

#endif
