/* What goes wrong, and when: drawn from the seed before anything else happens (swarm testing, Groce
 * et al. 2012: half of the kinds are off in each run, the others strike at wildly different rates,
 * so that runs differ from each other). */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "base/prng.h"
#include "sim/queue.h"

struct world;

enum fault {
#define FAULT(name, text, interval_min, interval_max, lasts_min, lasts_max) FAULT_##name,
#include "sim/faults.def"
#undef FAULT
    FAULT_COUNT
};

struct fault_knob {
    bool is_on;
    duration interval; /* mean, between two strikes */
    duration lasts;    /* at most */
};

struct faults {
    struct prng prng;
    struct fault_knob knobs[FAULT_COUNT];
    uint64_t count; /* strikes so far */
    uint64_t crashes, partitions, pauses;
    duration delay_most; /* of a datagram on its way, in the safety phase */
    uint64_t disks_lost; /* disks that forgot something that was synced */
};

/* Draws the knobs. */
void faults_init(struct world *world, uint64_t seed);
/* The random run: strikes until the safety phase ends, and the jobs in between. */
void faults_begin(struct world *world);
/* HAPPEN_FAULT, HAPPEN_FAULT_END. */
void faults_strike(struct world *world, const struct happening *happening);
void faults_end(struct world *world, const struct happening *happening);
void faults_heal(struct world *world);

/* The single strikes, for scenarios, too. back: the host returns after so long; INSTANT_NEVER: when
 * healed. */
void faults_crash(struct world *world, uint32_t host, int crash_kind, duration back);
void faults_pause(struct world *world, uint32_t host, duration lasts);

#endif
