/* Carries out what a node wants done, in order. */
#ifndef SIM_PERFORM_H
#define SIM_PERFORM_H

#include "sim/host.h"

/* True when the node stopped; *error says why (NONE: it has left). Only schedules: no node steps in
 * here. */
bool perform_actions(struct world *world, struct host *host, enum error *error);

#endif
