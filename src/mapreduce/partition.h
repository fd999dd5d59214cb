/* Which reduce a record goes to: by hash of its first field (or fields), by the range of keys it is
 * in, or as a command of the user's said. Depends on the record, the job's options and, for ranges,
 * on the job's cuts alone: the same on every node. */
#ifndef MAPREDUCE_PARTITION_H
#define MAPREDUCE_PARTITION_H

#include "base/memory.h"
#include "mapreduce/order.h"
#include "mapreduce/trouble.h"

struct partition {
    uint8_t kind;       /* enum partition_kind */
    uint32_t count;     /* of partitions */
    uint32_t fields;    /* of a record that decide */
    uint32_t given;     /* COMMAND: where the next record goes */
    struct order order; /* of these fields */
    struct memory *memory;
    uint8_t *bytes; /* RANGE: the file of cuts, a line each, in order */
    size_t bytes_size;
    const uint8_t **cuts;
    uint64_t *prefixes;
    uint32_t cuts_count;
};

/* count > 0 partitions, by `fields` first fields in this order. Borrows memory. */
void partition_init(struct partition *partition, struct memory *memory, const struct order *order,
                    uint32_t count, uint32_t fields);
void partition_deinit(struct partition *partition);

/* From now on by range: reads the cuts from this file. ERROR_MEMORY; ERROR_NOT_FOUND when it cannot
 * be read (noted); ERROR_INVALID when it holds more cuts than make sense. */
enum error partition_read_ranges(struct partition *partition, int directory, const char *name,
                                 struct trouble *trouble) MUST_USE;

/* Where this record goes: below count. line ends in its newline. */
uint32_t partition_of(const struct partition *partition, struct slice line);

#endif
