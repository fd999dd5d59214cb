/* What the job's options say of the way between map and reduce: order, partitions. They come with
 * the spec: the simple cases as numbers, the others as variables of the environment, where the
 * job's programs see them, too:
 *
 *   MR_SORT              --sort, when spec.sort is SORT_FIELDS (wire/sorting.h)
 *   MR_PARTITION_FIELDS  --partition-fields, when it is not 1
 *   MR_PARTITIONER       --partition CMD
 */
#ifndef MAPREDUCE_SHUFFLE_H
#define MAPREDUCE_SHUFFLE_H

#include "mapreduce/order.h"
#include "wire/wire.h"

struct shuffle {
    struct order order;
    uint32_t fields;          /* that decide on the partition */
    struct slice partitioner; /* borrowed from the spec; empty: none */
};

/* NULL, or what is wrong with the spec (static). */
const char *shuffle_read(const struct msg_task_spec *spec, struct shuffle *shuffle);

#endif
