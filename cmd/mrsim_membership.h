/* mrsim membership: a crowd of gossip cores, and what it shows. */
#ifndef MRSIM_MEMBERSHIP_H
#define MRSIM_MEMBERSHIP_H

#include "sim/crowd.h"

/* arguments[0] is "membership". Returns the exit status. */
int membership_main(int count, char **arguments);

/* What a run cost us. */
struct run_cost {
    double wall_seconds;
    double cpu_seconds;      /* of one core: ours and the kernel's for us */
    uint64_t core_bytes;     /* of the cores, as they count it themselves */
    uint64_t resident_bytes; /* of the process, at most */
};

/* mrsim_report.c: a finished run, for people and for programs. */
void report_table(const struct crowd *crowd, const struct run_cost *cost);
void report_json(const struct crowd *crowd, const struct run_cost *cost);
/* A row of --scale; NULL = the head of the table. */
void report_scale_row(const struct crowd *crowd, const struct run_cost *cost);
/* Loads, a row a node; knowledge is written as it spreads (census.c). */
void report_csv_loads(const struct crowd *crowd, FILE *csv);

#endif
