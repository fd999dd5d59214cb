/* A user's command between an inflow and an outflow, to its end and that of all it started. */
#ifndef MAPREDUCE_COMMAND_H
#define MAPREDUCE_COMMAND_H

#include "mapreduce/confine.h"
#include "mapreduce/flow.h"
#include "mapreduce/guard.h"
#include "mapreduce/report.h"
#include "mapreduce/scratch.h"

#include <stdbool.h>

/* What to run, and for whom. */
struct command {
    const char *text;         /* for /bin/sh -c */
    const char *directory;    /* its working directory */
    char *const *environment; /* "K=V", NULL at the end */
    uint64_t output_size_max; /* 0 = no limit */
    struct report *report;    /* gets its stderr */
    struct outflow err;       /* does instead, when it has a take */
    struct scratch *scratch;  /* its watch must be started */
    struct confine *confine;  /* begun */
    struct guard *guard;
};

/* A place in its input: so many bytes from the front on, and the first of those that follow. */
struct command_mark {
    uint64_t offset;
    uint8_t size;
    uint8_t text[64];
};

/* How it ended. */
struct command_end {
    bool is_too_big;          /* it printed more than output_size_max, and was killed for it */
    enum guard_excess excess; /* it took more than it may of this, and was killed for it */
    int status;               /* as waitpid has it; meant only when it was not killed by us */
    uint64_t read_size; /* bytes of its input that it has taken; it may not have looked at all */
    struct command_mark mark; /* the last one before that (or the first): near where it was */
};

/* Runs it. A command that stops reading is fed no more; one that closes stdout is waited for; when
 * it has exited, others that hold its stdout get DRAIN_GRACE_MS. On return it and all its
 * descendants are gone.
 *
 * ERROR_NONE: end says how it ended (how far it read, in any case). Else it was stopped:
 * ERROR_CLOSED and ERROR_TIMEOUT from the watch (by TERM, after KILL_GRACE_MS by KILL; KILL at once
 * when our parent is gone); any error of in or out (KILL); ERROR_SYSTEM when it could not be
 * started, ERROR_MEMORY. */
enum error command_run(const struct command *command, struct inflow in, struct outflow out,
                       struct command_end *end) MUST_USE;

#endif
