/* What a node counts, by name: METRIC_x for each METRIC(x) of metrics.def. */
#ifndef NODE_METRICS_H
#define NODE_METRICS_H

enum metric {
#define METRIC(name) METRIC_##name,
#include "node/metrics.def"
#undef METRIC
    METRIC_COUNT
};

#endif
