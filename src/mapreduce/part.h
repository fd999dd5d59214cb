/* A sorted stretch of records in a file: a segment of a partitioned block, or of a run. */
#ifndef MAPREDUCE_PART_H
#define MAPREDUCE_PART_H

#include "base/id.h"
#include "base/slice.h"

#include <stdint.h>

struct part {
    struct slice path; /* borrowed; empty (at NULL) = it is in the file of runs */
    uint64_t offset;
    uint64_t size;
    uint64_t line_max; /* the longest record, as far as known: a merge holds one of each part in
                          memory */
    const struct digest *records; /* what its records must be, all of them; NULL: not known */
};

#endif
