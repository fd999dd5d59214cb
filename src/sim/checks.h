/* The invariants (docs/EXPERIMENTS.md): S after every step on the node that stepped, L
 * within a bound after the heal, M when a client has read a job's output. The checks look at nodes
 * from outside only. */
#ifndef SIM_CHECKS_H
#define SIM_CHECKS_H

#include "base/map.h"
#include "sim/host.h"
#include "wire/kinds.h"

struct world;
struct sim_job;

/* How a node's fold said that a job ended. */
struct seen_end {
    enum job_outcome outcome;
    struct msg_stamp stamp;
};

/* All ends that a node ever took for a job's. */
struct seen_ends {
    struct seen_end *at; /* owned */
    size_t count, capacity;
};

/* All entries that submit a job: of one that was asked of several nodes each wrote its own, and the
 * least is the job's. */
struct submissions {
    struct msg_stamp *at; /* owned */
    size_t count, capacity;
};

/* What the first node that called a job's result final said it was. */
struct seen_final {
    bool is_said;
    uint32_t host;
    instant at;
    enum job_outcome outcome;
    struct msg_stamp stamp;
    struct digest manifest;
};

/* Two results of a job that were both called final. */
struct conflict {
    uint32_t job, host;
    instant at;
    struct seen_final then;
    struct seen_end now;
};

/* What a host has of a feed; zeros: its end is cut. */
struct seen_feed {
    struct msg_feed_position position;
    struct digest chain;
};

struct host_checks {
    uint64_t log_digest;
    uint64_t revision;
    struct seen_feed *looked; /* what it had of each feed when that was looked at last */
    size_t looked_count, looked_capacity;
    uint64_t finals;                   /* of node_finals */
    struct seen_end *ends;             /* per job */
    struct msg_feed_position *durable; /* what it had on disk when it crashed */
    size_t durable_count, durable_capacity;
    bool *holds; /* per job: it was on its disk when it crashed */
    bool *met;   /* per host: on its roster when it was in step for the first time; NULL: it never
                    was */
    struct id met_as; /* who it was then */
};

struct checks {
    struct map states;     /* log digest -> state digest (S1) */
    struct map chains;     /* feed position -> digest of the contents (S3, S5) */
    struct id *identities; /* all that there are (S7) */
    size_t identities_count, identities_capacity;
    struct host_checks *hosts;
    struct seen_final *finals;  /* per job */
    struct seen_ends *ends;     /* per job */
    struct submissions *jobs;   /* per job */
    struct conflict *conflicts; /* while somebody is evicted: explained at the end, or not */
    size_t conflicts_count, conflicts_capacity;
    uint32_t jobs_count;
};

void checks_init(struct world *world, uint32_t jobs);
void checks_deinit(struct world *world);

/* A node identity that a host has. */
void checks_identity(struct world *world, const struct id *id);
/* A node has stepped. */
void checks_step(struct world *world, struct host *host);
/* It is about to crash; it has loaded what its disk held. */
void checks_crashing(struct world *world, struct host *host, enum crash_kind kind);
void checks_loaded(struct world *world, struct host *host);
/* All hold the same log: what was final twice, was that the doing of two operators? */
void checks_conflicts(struct world *world);
/* A client was told that the job ended so, and it ended worse at this node: was every such end that
 * anybody took for the job's the word of somebody evicted? */
bool checks_is_outweighed(const struct world *world, const struct host *host,
                          const struct sim_job *job, enum job_outcome told);
/* A client was told that so many disks hold its job: is it true? */
void checks_acknowledged(struct world *world, const struct sim_job *job);
/* Were so many disks that held it lost since, or taken along by who left, as had acknowledged it?
 * Who leaves hands over what it held, so that alone excuses nothing; and who was on its way already
 * may not have been counted. */
bool checks_may_be_lost(const struct world *world, const struct sim_job *job);
/* HAPPEN_GONE: nothing of the job runs here any more. */
void checks_gone(struct world *world, struct host *host, const struct happening *happening);
/* HAPPEN_CHECK: the global ones; in the liveness phase, whether all is at its end. */
void checks_regular(struct world *world);

/* The liveness invariants (converge.c): NULL when all holds, else which does not and why (text, of
 * size bytes). */
const char *converge_missing(struct world *world, char *text, size_t size);
/* All is at its end: what must hold then (converge.c). */
void converge_final(struct world *world);

#endif
