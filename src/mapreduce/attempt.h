/* What the parts of an attempt share: what it is to do, where it does it, and how it ended. */
#ifndef MAPREDUCE_ATTEMPT_H
#define MAPREDUCE_ATTEMPT_H

#include "mapreduce/confine.h"
#include "mapreduce/guard.h"
#include "mapreduce/live.h"
#include "mapreduce/output.h"
#include "mapreduce/place.h"
#include "mapreduce/report.h"
#include "mapreduce/scratch.h"
#include "mapreduce/shuffle.h"
#include "wire/wire.h"

enum {
    ATTEMPT_SMALL_MAX = 16384
}; /* as task_ended */

/* How it ended, when it was the user's command that ended it. */
struct verdict {
    uint8_t outcome; /* enum task_outcome */
    uint32_t status; /* exit status, or 128 + signal */
    char text[512];
};

struct attempt {
    struct memory memory;
    struct watch watch;
    struct scratch scratch;
    struct report report;
    struct live live;
    struct output output;
    struct place place;
    bool has_begun;                       /* what it lacks from now on, the task lacks */
    struct verdict verdict;               /* means something when ERROR_INVALID is returned */
    const struct msg_task_spec *spec;     /* borrowed */
    struct shuffle shuffle;               /* what the spec says of it */
    const struct msg_task_part *parts;    /* of each input of a reduce; NULL: nothing is known */
    const struct msg_shared_file *shared; /* what its input must still be; NULL: it is ours alone */
    char shared_path[4097];               /* where that really is */
    struct confine *confine;              /* borrowed; begun while commands may run */
    struct guard guard;
    char top[4100];       /* DIR, absolute */
    char directory[4200]; /* of the command: DIR/work or another, absolute */
    char **environment;   /* "K=V", NULL at the end */
    uint64_t input_size;  /* bytes read */
    size_t small_max;     /* an output of at most so many bytes becomes no file, but small */
    bool is_small;
    size_t small_size;
    uint8_t small[ATTEMPT_SMALL_MAX];
};

/* Runs a map (a reduce): input to output, completely. ERROR_INVALID: the command failed, see
 * verdict. Else ERROR_MEMORY; ERROR_NOT_FOUND an input; ERROR_IO, ERROR_FULL scratch; ERROR_SYSTEM
 * no process; ERROR_CLOSED told to stop; ERROR_TIMEOUT. */
enum error mapper_run(struct attempt *attempt) MUST_USE;
enum error reducer_run(struct attempt *attempt) MUST_USE;

/* What stands between an inflow and an outflow: a command or a built-in. role: "combiner" is put
 * before the verdict's text; NULL = nothing is. Errors as mapper_run. */
enum error filter_run(struct attempt *attempt, struct slice command, bool is_map, const char *role,
                      struct inflow in, struct outflow out) MUST_USE;

/* The memory that buffers of an attempt may take (spec.memory_size or the usual). */
size_t attempt_memory_size(const struct attempt *attempt);

#endif
