/* The total order of log entries: (time, node, boot, sequence), compared field by field (Lamport
 * 1978, ties broken by the author). Every node computes it alike. */
#ifndef WIRE_STAMP_H
#define WIRE_STAMP_H

#include "wire/wire.h"

int stamp_compare(const struct msg_stamp *a, const struct msg_stamp *b);

static inline bool stamp_equal(const struct msg_stamp *a, const struct msg_stamp *b)
{
    return stamp_compare(a, b) == 0;
}

/* All zeros: before every entry. */
static inline bool stamp_is_none(const struct msg_stamp *stamp) { return stamp->sequence == 0; }

/* An order-independent piece of a state digest. */
uint64_t stamp_hash(const struct msg_stamp *stamp);

/* An entry as the folds see it. fields and what they borrow are valid during the call only. */
struct stamped {
    struct msg_stamp stamp;
    unsigned kind;      /* message type 96 to 127 */
    const void *fields; /* struct msg_NAME of that kind; NULL when this version does not know it */
};

#endif
