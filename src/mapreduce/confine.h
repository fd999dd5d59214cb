/* What an attempt's commands may do on this machine: limits, a user, and a view of the files. One
 * table (confine.c) lists what is applied between fork and exec, in its order. */
#ifndef MAPREDUCE_CONFINE_H
#define MAPREDUCE_CONFINE_H

#include "base/error.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum confine_mode {
    CONFINE_AUTO,   /* all that this kernel has */
    CONFINE_STRICT, /* no Landlock, no attempt */
    CONFINE_OFF,    /* sessions, limits and no_new_privs alone: files are as the user sees them */
};

enum {
    CONFINE_PATHS_MAX = 64,
    CONFINE_LIMITS_MAX = 8,
};

struct confine_paths {
    const char *at[CONFINE_PATHS_MAX];
    unsigned count;
};

struct confine {
    /* What is wanted: of the command line; all borrowed. */
    enum confine_mode mode;
    uid_t user;                  /* 0: as we are. Its group has the same number */
    struct confine_paths hidden; /* neither read nor written, though they lie in what is readable */
    struct confine_paths readable; /* beside the system's */
    struct confine_paths writable; /* beside the attempt's own directory */

    /* What it came to: of confine_begin. */
    int ruleset; /* Landlock's; -1 = none */
    int spare;   /* of confine_prepare: one that lacks what is the attempt's own; -1 = none */
    instant spare_made;
    struct {
        int resource;
        struct rlimit limit;
    } limits[CONFINE_LIMITS_MAX];
    unsigned limits_count;
    const char *failed; /* of confine_enter, in the parent too (vfork): what went wrong */
};

/* What the job asks for. */
struct confine_ask {
    const char *directory; /* of the attempt's commands: theirs to write */
    const char *readable;  /* a file that they may read beside; NULL: none */
    uint64_t memory_size;  /* of each process; 0 = no limit */
    uint64_t timeout_ms;   /* 0 = none */
    uint64_t file_size_max;
};

/* Bytes below which a job's --mem limits no process: it then speaks of our buffers alone. */
#define CONFINE_MEMORY_MIN ((uint64_t)32 << 20)

void confine_init(struct confine *confine);
/* Makes the directory the user's, reckons the limits and asks the kernel for a ruleset. SYSTEM:
 * errno and *what say why. Once an attempt; ends with confine_end. */
enum error confine_begin(struct confine *confine, const struct confine_ask *ask, instant now,
                         const char **what) MUST_USE;
void confine_end(struct confine *confine);

/* While nothing is to be done: makes what all attempts have in common, for one that comes soon.
 * What it found on the disk may change; after some seconds it is made anew. */
void confine_prepare(struct confine *confine, instant now);

/* In the child, after (v)fork: applies all of the table; nothing here allocates or takes locks.
 * False: errno and failed say why, and the command must not run. */
bool confine_enter(struct confine *confine, const char *directory, pid_t parent);

#endif
