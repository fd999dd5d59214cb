/* The world of one run: the virtual clock, what will happen, everything that exists. Each part is
 * written by its own file. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim/blocks.h"
#include "sim/checks.h"
#include "sim/faults.h"
#include "sim/heals.h"
#include "sim/hostile.h"
#include "sim/network.h"
#include "sim/queue.h"
#include "sim/sim.h"
#include "sim/streams.h"
#include "sim/verified.h"
#include "sim/worker.h"

struct sim_job;
struct history;

enum phase {
    PHASE_SAFETY,   /* faults go on */
    PHASE_LIVENESS, /* all is healed: now everything must come to its end */
};

struct world {
    struct sim_options options;
    struct plan plan; /* complete */
    struct sim_result *result;
    instant now;
    struct queue queue;
    struct memory memory; /* of the laboratory's own tables: no limit */
    struct prng prng;     /* hosts, disks, boots */
    const struct crypto *crypto;
    struct verified verified;
    struct crypto_key key;
    enum node_profile profile;
    struct actions actions; /* shared: one node steps at a time */
    struct arena scratch;
    void *actions_memory, *items_memory, *scratch_memory;
    struct host *hosts;
    uint32_t hosts_count;
    struct network network;
    struct streams streams;
    struct blocks blocks;
    struct worker worker;
    struct sim_job *jobs;
    uint32_t jobs_count;
    struct prng clients_prng;
    struct history *history; /* NULL: an ordinary run */
    struct faults faults;
    struct checks checks;
    struct heals heals;
    struct hostile hostile;
    enum phase phase;
    instant healed; /* when liveness began */
    bool is_violated;
    bool is_over; /* everything came to its end */
    uint64_t steps;
    uint64_t digest;
    instant digest_next;
};

void world_init(struct world *world, const struct sim_options *options, struct sim_result *result);
void world_deinit(struct world *world);
/* Lets things happen until all has come to its end or something is violated. */
void world_run(struct world *world);

/* All links whole, everyone up, programs at their ordinary speed: the liveness phase. */
void world_heal(struct world *world);

/* An invariant does not hold: keeps the first one. host UINT32_MAX: of no single node. */
void world_violated(struct world *world, uint32_t host, const char *invariant, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
/* A trace line with the virtual time, when verbose. host UINT32_MAX: of the laboratory. */
void world_say(struct world *world, uint32_t host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
