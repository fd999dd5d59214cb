/* Attempts that run on hosts: inputs are fetched, the model program takes its virtual time, its
 * output is computed for real. Programs live on while their daemon is paused, and die with it
 * (PDEATHSIG). */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "base/map.h"
#include "sim/host.h"

struct sim_job;

enum run_state {
    RUN_FETCHING,
    RUN_RUNNING,
    RUN_KILLED, /* told to end */
};

struct run_input {
    struct msg_block_ref block;
    uint32_t part;
    bool is_small; /* its bytes came with the action */
    size_t holders_count;
    struct msg_block_holder *holders; /* owned */
};

/* One ACTION_TASK_RUN. */
struct run {
    uint64_t number; /* of the world */
    uint32_t host;
    uint64_t token; /* the node's */
    enum run_state state;
    uint32_t rounds; /* of looking for inputs */
    instant since;
    instant started, ends; /* once it runs */
    uint64_t input_size;   /* bytes; likewise */
    uint32_t kind;         /* enum task_kind */
    uint32_t partitions;
    struct slice command; /* owned */
    bool is_durable;
    uint64_t small_max; /* of an output that goes with the event */
    bool is_copy;       /* claimed as a second copy of an attempt that runs */
    uint32_t task;
    uint32_t attempt;
    struct sim_job *job; /* NULL: its label names no job we know */
    struct run_input *inputs;
    size_t inputs_count;
    struct run *next, *previous; /* in worker.all, newest first */
};

struct worker {
    struct prng prng;
    struct map by_number;
    struct run *all;
    uint64_t number_last;
    uint64_t executions; /* programs that ran */
};

void worker_init(struct world *world, uint64_t seed);
void worker_deinit(struct world *world);

void worker_run(struct world *world, struct host *host, const struct action *action);
void worker_kill(struct world *world, struct host *host, uint64_t token);
/* ACTION_TAIL_READ: how much of its input it has read by now, as if evenly. */
void worker_tail(struct world *world, struct host *host, const struct action *action);
/* The host's daemon died, its programs with it. */
void worker_crash(struct world *world, struct host *host);
/* HAPPEN_INPUTS, HAPPEN_FINISH, HAPPEN_TAIL. */
void worker_happen(struct world *world, struct host *host, const struct happening *happening);
/* Programs of this job on this host; job NULL: of any. */
size_t worker_count(const struct world *world, uint32_t host, const struct sim_job *job);

#endif
