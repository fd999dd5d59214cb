/* See marks.h. Numbers: the metrics, then the counters of log and gossip. */
#include "sim/marks.h"

#include "gossip/gossip.h"
#include "store/log.h"

#include <assert.h>

static const char *const names[] = {
#define METRIC(name) #name,
#include "node/metrics.def"
#undef METRIC
    "log_duplicates", "log_gaps", "log_beyond_horizon", "log_forks",       "log_refused",
    "log_cut",        "log_kept", "probes_failed",      "probes_indirect", "suspicions",
    "refutations",    "deaths",   "deaths_refuted",     "probes_dropped",  "claims_refused",
    "oversleeps",     "pulls",    "refusals",
};

enum {
    NAMES_COUNT = sizeof names / sizeof *names,
    MORE_COUNT = 18,
    METRICS_COUNT = NAMES_COUNT - MORE_COUNT,
};

const char *marks_name(size_t number) { return number < NAMES_COUNT ? names[number] : NULL; }

void marks_add(uint64_t marks[SIM_MARKS_MAX], const struct node *node)
{
    const struct log_counters *log = log_counters(node_log(node));
    const struct gossip_counters *gossip = &node_gossip(node)->counters;
    const uint64_t more[MORE_COUNT] = {
        log->duplicates,
        log->gaps,
        log->horizon,
        log->forks,
        log->refused,
        log->cut,
        log->kept,
        gossip->probes_failed,
        gossip->probes_indirect,
        gossip->suspicions,
        gossip->refutations,
        gossip->deaths,
        gossip->deaths_refuted,
        gossip->probes_dropped,
        gossip->claims_refused,
        gossip->oversleeps,
        gossip->pulls,
        gossip->refusals,
    };
    assert((int)NAMES_COUNT <= (int)SIM_MARKS_MAX);
    for (size_t i = 0; i < METRICS_COUNT; i++) marks[i] += node_metric(node, i);
    for (size_t i = 0; i < MORE_COUNT; i++) marks[METRICS_COUNT + i] += more[i];
}
