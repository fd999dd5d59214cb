/* How long it takes after a partition until all have the same state again: from the moment at
 * which the last link is whole to the first step after which every node that is up holds the same
 * entries and folds them to the same state. Measured, not judged: L2 is. */
#ifndef SIM_HEALS_H
#define SIM_HEALS_H

#include "base/time.h"

#include <stdbool.h>

struct world;

struct heals {
    bool is_measuring;
    instant since;
};

/* Links are cut: a measurement that was going on is of no use. */
void heals_cut(struct world *world);
/* All links are whole. */
void heals_begin(struct world *world);
/* A node has stepped. */
void heals_look(struct world *world);

#endif
