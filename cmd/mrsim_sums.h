/* What many runs have in common, printed behind them: marks, the distribution of heal times,
 * speed. */
#ifndef CMD_MRSIM_SUMS_H
#define CMD_MRSIM_SUMS_H

#include "sim/sim.h"

struct sums {
    uint64_t marks[SIM_MARKS_MAX];
    uint32_t *heals; /* milliseconds; owned */
    size_t heals_count, heals_capacity;
    uint64_t heals_same, heals_broken;
    uint64_t worst_seed; /* of the slowest heal */
    uint32_t worst;
    uint64_t runs;
    double node_seconds; /* virtual, of all nodes */
    double begun;        /* real seconds */
};

void sums_init(struct sums *sums);
void sums_deinit(struct sums *sums);
/* times: how often this seed was run. */
void sums_add(struct sums *sums, uint64_t seed, const struct sim_result *result, unsigned times);

void sums_print_marks(const struct sums *sums);
void sums_print_heals(struct sums *sums);
/* Depends on the machine: the only line that does. */
void sums_print_speed(const struct sums *sums);

#endif
