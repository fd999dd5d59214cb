/* The programs of the laboratory, computed for real: word count as a map, as a reduce, and as the
 * sequential reference that the outcome of a job must equal byte for byte (invariant M). Pure. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "base/prng.h"
#include "base/slice.h"
#include "wire/crypto.h"

#include <stdint.h>

/* What a spec's command names. */
enum model {
    MODEL_WORDCOUNT,
    MODEL_FLAKY,  /* "flaky:PERCENT": exits 1 so often */
    MODEL_FAIL,   /* always exits 1 */
    MODEL_SLOW,   /* word count, taking long */
    MODEL_POISON, /* kills the node that runs it, until the heal; only in scenario files */
    MODEL_COUNT
};

/* percent: of flaky. Anything unknown fails. */
enum model model_parse(struct slice command, uint32_t *percent);

/* Owned bytes (malloc) and the digest by which they are known. */
struct output {
    uint8_t *bytes;
    size_t size;
    struct digest digest;
    uint64_t records;
};

/* "word\t1" lines, in the partitioned format of mapreduce/task.h; partitions 0: lines as they come.
 */
void model_map(const struct crypto *crypto, struct slice input, uint32_t partitions,
               struct output *output);
/* Merges sorted segments into "count word" lines. */
void model_reduce(const struct crypto *crypto, const struct slice *segments, size_t count,
                  struct output *output);
/* A part of a partitioned block; an empty slice when there is none. */
struct slice model_segment(struct slice block, uint32_t part);

/* Lines of words, about so many bytes. Owned by the caller (malloc). */
uint8_t *model_text(struct prng *prng, size_t size_wanted, size_t *size);
/* What the reduce of this partition must print, counted from the inputs one after the other. */
void model_reference(const struct crypto *crypto, const struct slice *inputs, size_t count,
                     uint32_t part, uint32_t partitions, struct output *output);

#endif
