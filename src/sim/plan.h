/* The plan of a run: everything that somebody decides before it begins. How large the flock is,
 * which jobs come when, what goes wrong when. A run does what its plan says; the seed fills in what
 * the plan leaves open, and all the chance of the run itself (delays, which datagram is lost).
 *
 * So a random run and a scenario file are the same thing: a seed makes a list of faults, and a list
 * can be written down (scn.h), made shorter (shrink.h) and run again. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "sim/sim.h"

enum fault {
#define FAULT(name, text, whom, i_min, i_max, l_min, l_max, value, v_min, v_max) FAULT_##name,
#include "sim/faults.def"
#undef FAULT
    FAULT_COUNT
};

enum fault_whom {
    WHOM_HOST,
    WHOM_FLOCK,
};

/* A line of faults.def. */
struct fault_kind {
    const char *text;
    enum fault_whom whom;
    uint32_t interval_min, interval_max, lasts_min, lasts_max;
    const char *value;
    uint64_t value_min, value_max;
};

const struct fault_kind *fault_kind(enum fault fault);

/* One fault of a run. */
struct strike {
    instant at;
    enum fault fault;
    uint32_t host;  /* modulo the flock's size, so that it still hits when there are fewer */
    duration lasts; /* INSTANT_NEVER: until the heal */
    uint64_t value;
    uint64_t group;  /* of a partition: bit i = node i is in it; 0 = by chance */
    uint64_t chance; /* seed of what else it draws */
};

enum {
    PLAN_COMMAND_SIZE = 16,
    PLAN_NODES = 5, /* when nobody says */
};

#define NODE_ANY UINT32_MAX
#define COUNT_DRAWN UINT32_MAX

struct job_plan {
    instant at;
    uint32_t node;                   /* asked first; NODE_ANY: any */
    uint32_t draw;                   /* the number by which the seed makes it */
    uint32_t maps, reduces;          /* COUNT_DRAWN: the seed chooses */
    char command[PLAN_COMMAND_SIZE]; /* "": the seed chooses */
};

/* What a scenario file expects of its run. */
struct expectation {
    char violates[16]; /* the invariant; "": all hold */
    uint64_t done_min; /* jobs whose client was told done */
    uint64_t evictions_min, returns_min;
    uint64_t vain_max; /* as in sim_result */
};

enum choice {
    CHOICE_DRAWN, /* the seed chooses */
    CHOICE_FIRST, /* profile local, crypto plain */
    CHOICE_SECOND /* profile lan, crypto sodium */
};

struct plan {
    uint64_t seed;
    bool has_seed; /* the file names it */
    uint32_t nodes;
    duration heal;  /* when faults end; 0: the seed chooses */
    duration evict; /* who is dead so long is put off the roster; INSTANT_NEVER: nobody is; 0: the
                       seed chooses */
    enum choice profile, crypto;
    enum canary canary;
    bool has_jobs, has_strikes; /* false: the seed makes them */
    struct job_plan *jobs;      /* owned */
    size_t jobs_count, jobs_capacity;
    struct strike *strikes; /* owned; by time */
    size_t strikes_count, strikes_capacity;
    struct expectation expects;
};

/* Nothing is decided; all holds is expected. */
void plan_init(struct plan *plan);
void plan_deinit(struct plan *plan);
void plan_copy(struct plan *to, const struct plan *from);
void plan_add_job(struct plan *plan, const struct job_plan *job);
void plan_add_strike(struct plan *plan, const struct strike *strike);

/* The plan that this run follows, complete: options->plan or, when that is NULL, nothing but the
 * seed and the options; what is open is drawn from the seed. Every kind of fault and every knob has
 * a source of chance of its own: what is added changes nothing of the rest. */
void plan_make(struct plan *plan, const struct sim_options *options);

#endif
