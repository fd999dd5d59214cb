/* Bytes on their way: the two ends of anything that turns bytes into bytes. A command, a built-in,
 * a merge and the record buffer all speak this, so an attempt is plumbing:
 * inflow -> filter -> outflow. */
#ifndef MAPREDUCE_FLOW_H
#define MAPREDUCE_FLOW_H

#include "base/error.h"
#include "base/slice.h"

/* Where bytes come from. next: the next bytes, borrowed until the next call; none (count 0) = the
 * end. Errors: of whatever stands behind it (ERROR_NOT_FOUND an input, ERROR_MEMORY, ...). */
struct inflow {
    enum error (*next)(void *context, struct slice *bytes);
    void *context;
};

/* Where bytes go. take: borrows the bytes for the call. */
struct outflow {
    enum error (*take)(void *context, struct slice bytes);
    void *context;
};

/* Bytes moved at once: large enough that system calls do not count, small enough for a second-level
 * cache. */
enum {
    FLOW_SIZE = 256 * 1024
};

#endif
