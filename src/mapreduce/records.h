/* The record buffer: bytes come in, lines are cut, and all of it comes out sorted, partition by
 * partition, whatever its size. One piece of memory holds both the lines and what sorts them:
 *
 *   | line line open line ... ->    free (spare entries while sorting)    <- ... entry entry |
 *
 * When it is full at its limit, the lines are sorted and appended to the file of runs (a *spill*),
 * one stretch per partition; an unfinished line moves to the front. A line larger than the limit
 * makes the buffer grow for as long as that line is in it. Spills depend on the bytes and the limit
 * only, so the same input gives the same output. */
#ifndef MAPREDUCE_RECORDS_H
#define MAPREDUCE_RECORDS_H

#include "mapreduce/flow.h"
#include "mapreduce/order.h"
#include "mapreduce/part.h"
#include "mapreduce/partition.h"
#include "mapreduce/scratch.h"
#include "mapreduce/sort.h"

enum {
    RECORD_SIZE_MAX =
        1 << 30, /* is held whole to be sorted; as large as a block of one record may be */
    RECORD_SIZE_FREE = 16 << 20, /* so large it may be however small the memory for sorting is */
};

struct records {
    struct scratch *scratch;
    const struct order *order;
    const struct partition *partition; /* NULL: there is one alone */
    uint32_t partitions;
    size_t limit; /* size does not exceed it but for a single line */
    uint8_t *memory;
    size_t size;
    size_t used;           /* bytes of lines, the open one included */
    size_t open;           /* where the open line starts */
    size_t count;          /* entries, the last one lowest, until sorted */
    size_t line_max;       /* of the lines in memory */
    size_t record_max;     /* RECORD_SIZE_MAX, or less: records_bound, tests */
    uint64_t spilled_size; /* bytes and lines before those in memory */
    uint64_t spilled_count;
    bool is_too_large; /* the open line is, and nothing more is taken */
    bool is_sorted;
    struct sort_entry *sorted; /* count entries, when sorted */
    struct scratch_file runs;
    struct part *parts; /* partition p of run r: parts[r * partitions + p] */
    size_t parts_count;
    size_t parts_capacity;
};

/* Borrows scratch, order and partition (NULL: all records are of one). runs_name: the file of runs
 * in scratch (static). */
void records_init(struct records *records, struct scratch *scratch, const struct order *order,
                  const struct partition *partition, size_t limit, const char *runs_name);
/* Frees memory and removes the file of runs. */
void records_deinit(struct records *records);

/* An outflow's take, context = the records: bytes that hold lines, cut anywhere.
 * ERROR_INVALID: the open line is larger than a record may be (records_too_large says which). Else
 * ERROR_MEMORY and those of scratch_write. */
enum error records_take(void *records, struct slice bytes) MUST_USE;

/* Of a task that may use so much memory: a record is no larger than that. Before records_take. */
void records_bound(struct records *records, size_t memory_size);
/* After ERROR_INVALID: the number of that record, from 1 on, and where it begins in all the bytes
 * taken. */
void records_too_large(const struct records *records, uint64_t *number, uint64_t *offset);

/* No more bytes: ends an open line, and sorts (all that was not spilled stays in memory, unless
 * something was spilled before). Errors as records_take. */
enum error records_end(struct records *records) MUST_USE;

/* As records_end, and everything is in runs after it, for records_parts. */
enum error records_end_in_runs(struct records *records) MUST_USE;

/* Gives all lines of a partition, in order, to the flow, several at once. Only after records_end;
 * each partition once. Errors: ERROR_MEMORY, those of reading and writing runs and of the flow. */
enum error records_pour(struct records *records, uint32_t partition, struct outflow flow) MUST_USE;

/* The partition's stretches of all runs, in order, in memory that the caller frees with memory_put
 * (*count * sizeof *parts bytes; count may be 0). Only after records_end_in_runs. ERROR_MEMORY. */
enum error records_parts(const struct records *records, uint32_t partition, struct part **parts,
                         size_t *count) MUST_USE;

#endif
