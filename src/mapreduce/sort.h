/* Sorting records that lie in memory: an array of 16-byte entries, each with the prefix of its key
 * (order.h), is put in the order (partition, key, position); the records themselves stay where they
 * are. */
#ifndef MAPREDUCE_SORT_H
#define MAPREDUCE_SORT_H

#include "mapreduce/order.h"

#include <stddef.h>
#include <stdint.h>

struct sort_entry {
    uint64_t prefix; /* order_prefix of the record, at depth 0 */
    uint32_t offset; /* where the record starts */
    uint32_t partition;
};

/* Sorts count entries, which are in the order of their positions, with the help of as many spare
 * ones. base: what the offsets count from; every record ends in a newline. Prefixes are changed by
 * it. */
void sort_entries(const struct order *order, const uint8_t *base, struct sort_entry *entries,
                  struct sort_entry *spare, size_t count);

#endif
