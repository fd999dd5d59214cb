/* Time as the core sees it: microseconds on a monotonic clock that the driver owns. The core never
 * reads a clock; `now` comes with every event. Wall-clock time is only ever shown to people. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

typedef int64_t instant;  /* microseconds since the driver's own zero */
typedef int64_t duration; /* microseconds */

enum {
    MILLISECOND = 1000,
    SECOND = 1000 * 1000,
};

/* Later than anything: "no deadline". */
#define INSTANT_NEVER INT64_MAX

static inline instant instant_min(instant a, instant b) { return a < b ? a : b; }
static inline instant instant_max(instant a, instant b) { return a > b ? a : b; }

#endif
