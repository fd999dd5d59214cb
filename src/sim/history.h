/* Random histories of datasets (mrsim --histories): clients put, replace and remove datasets, or go
 * away in the middle, while nodes die, lose disks and return, and blocks rot. At most R-1 of these
 * misfortunes at a time, R being the copies asked for: then no byte may be lost, and in the end
 * nothing may be left over. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "base/id.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;
struct host;
struct plan;
struct prng;

/* What a history decides of its plan: no jobs, no strikes but its own, its own length. */
void history_plan(struct plan *plan, struct prng *prng);

void history_init(struct world *world, uint64_t seed);
void history_deinit(struct world *world);

/* HAPPEN_HISTORY: the next misfortune (number 0), a client's turn (number 1 + client; side: its
 * epoch), or the next departure. */
void history_turn(struct world *world, uint64_t number, uint32_t epoch);
/* The events of a client's stream. */
void history_opened(struct world *world, uint32_t client, uint64_t stream);
void history_record(struct world *world, uint32_t client, uint64_t stream, struct slice bytes);
void history_closed(struct world *world, uint32_t client, uint64_t stream);

/* A host has left in order, and is down: it comes back. */
void history_left(struct world *world, struct host *host);
/* A host has just dropped a block, or died: is every byte that was promised still somewhere? */
void history_check(struct world *world, uint32_t host);
/* As converge_missing: B1 a client has not come to its end, B2 copies are missing, B3 something is
 * left over. */
const char *history_missing(struct world *world, char *text, size_t size);

#endif
