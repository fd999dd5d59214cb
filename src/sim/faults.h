/* Carries out the strikes of the plan (plan.h): each a pure function of the strike and of the
 * world. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim/plan.h"
#include "sim/queue.h"

struct world;
struct host;

struct faults {
    uint64_t count; /* strikes so far; those that last the whole run apart */
    uint64_t crashes, partitions, pauses;
    uint64_t forgotten;  /* members, by an operator */
    duration delay_most; /* of a datagram on its way, in the safety phase */
    uint64_t disks_lost; /* disks that forgot something that was synced */
    uint64_t rotten;     /* copies whose bytes changed on the disk */
    uint64_t departures; /* of a history: nodes that were asked to leave */
};

/* Puts the plan's strikes and its heal into the queue. */
void faults_begin(struct world *world);
/* HAPPEN_FAULT, HAPPEN_FAULT_END. number: of the strike in the plan. */
void faults_strike(struct world *world, const struct happening *happening);
void faults_end(struct world *world, const struct happening *happening);
/* By a program that it ran: it stays down until the heal. */
void faults_kill(struct world *world, struct host *host);

#endif
