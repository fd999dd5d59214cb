/* A partitioner of the user's: a command that reads records and prints for each, on a line of its
 * own, the number of the reduce it goes to. */
#ifndef MAPREDUCE_ASSIGN_H
#define MAPREDUCE_ASSIGN_H

#include "mapreduce/attempt.h"
#include "mapreduce/partition.h"

/* Runs the partitioner over the records in spool (complete, flushed) and gives each to out, with
 * partition->given set before. ERROR_INVALID (judged): it failed, or printed something else than a
 * number below partition->count for each record. Else the errors of filter_run. */
enum error assign_run(struct attempt *attempt, struct slice command, struct scratch_file *spool,
                      struct partition *partition, struct outflow out) MUST_USE;

#endif
