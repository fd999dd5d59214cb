/* The laboratory: one process runs a whole flock in virtual time, from one seed. The nodes are the
 * real core (src/node); clock, network, disks, programs and clients are made up here, and misbehave
 * as the seed says. Nothing depends on anything but seed and options, so a run that broke an
 * invariant breaks it again whenever it is asked to (FoundationDB 2014, TigerBeetle's VOPR). */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/time.h"
#include "base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bug planted in the driver, to prove that the invariants bite. */
enum canary {
    CANARY_NONE,
#define CANARY(name, text, about) CANARY_##name,
#include "sim/canaries.def"
#undef CANARY
    CANARY_COUNT
};

const char *canary_text(enum canary canary);
const char *canary_about(enum canary canary);

struct plan; /* plan.h */

struct sim_options {
    uint64_t seed;
    uint32_t nodes;               /* 1 to NODES_MAX; 0: as planned */
    uint32_t nodes_most;          /* above nodes: so many at most, the seed chooses */
    uint64_t only;                /* bit i: fault i is on, all others are off; 0: as planned */
    uint32_t jobs;                /* 0: as planned, else the seed chooses */
    duration safety;              /* how long faults go on; 0: the seed chooses, 60 to 120 s */
    duration digest_every;        /* print a state digest so often; 0 = never */
    bool is_verbose;              /* trace lines on stdout */
    enum trace_level trace_level; /* of the nodes, when verbose */
    bool is_history;              /* of datasets, without jobs (history.h) */
    bool nobody_leaves;           /* in it */
    enum canary canary;
    const struct plan *plan; /* of a scenario file; NULL: the seed makes all of it */
};

enum {
    NODES_MAX = 4096,
    JOBS_MAX = 256,
    VIOLATION_SIZE = 1024,
    SIM_MARKS_MAX = 96,
    SIM_HEALS_MAX = 64,
};

struct sim_result {
    bool is_ok;
    char violation[VIOLATION_SIZE]; /* "violated S3 at t=... node=...: text" */
    uint64_t digest;                /* of all that happened: kinds, times, nodes, final states */
    uint64_t steps;                 /* of node_step */
    instant end;                    /* virtual */
    uint32_t nodes;
    uint32_t jobs, jobs_done, jobs_failed, jobs_killed;
    uint32_t evictions, returns; /* entries, as the replica knows them that knows most */
    uint64_t faults; /* injected: crashes, partitions, pauses, ... (not each lost datagram) */
    uint64_t datagrams, datagrams_lost;
    uint64_t rotten, disks_lost, puts, removals, departures; /* of a history */
    uint64_t starved;                                        /* allocations that failed */
    uint64_t disk_errors, disks_full;
    uint64_t executions;           /* programs started */
    uint32_t heals[SIM_HEALS_MAX]; /* milliseconds until all were equal again: heals.h */
    uint64_t state, log;           /* digests of the first node that is up at the end */
    uint32_t hostile_witnesses;    /* whom a hostile author lied to, and who counted all of it */
    uint32_t heals_count, heals_same, heals_broken;
    uint64_t marks[SIM_MARKS_MAX]; /* by marks_name: marks.h */
    uint64_t vain;                 /* of them, those that nothing asked for: world.c */
};

/* Runs one seed to its end. result->is_ok says whether all invariants held. */
void sim_run(const struct sim_options *options, struct sim_result *result);

#endif
