/* Counters of what strangers did, by reason, and one line about it now and then. */
#ifndef IO_REFUSALS_H
#define IO_REFUSALS_H

#include "base/address.h"
#include "base/time.h"
#include "base/trace.h"

#include <stddef.h>

enum {
    REFUSAL_REASONS_MAX = 48
}; /* reasons are static texts of ours; more than there are */

struct refusal {
    const char *reason; /* static text */
    uint64_t count;     /* since the start */
    uint64_t unsaid;    /* since the last line about it */
    instant said;       /* when that was; 0 = never */
};

struct refusals {
    struct refusal rows[REFUSAL_REASONS_MAX];
    size_t count;
};

/* Counts one refusal, and says so at most once in 10 s per reason: a warning when the reason is one
 * that an operator can mend (another key, another version), else a debug line. */
void refusals_note(struct refusals *refusals, const struct trace *trace, instant now,
                   const char *reason, const struct address *from);

#endif
