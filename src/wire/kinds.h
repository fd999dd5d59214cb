/* The enumerations that appear in messages as numbers. Append only: the numbers are on disks. */
#ifndef WIRE_KINDS_H
#define WIRE_KINDS_H

#include <stdbool.h>
#include <stdint.h>

enum cause {
#define CAUSE(name, text) CAUSE_##name,
#include "wire/causes.def"
#undef CAUSE
    CAUSE_COUNT
};

/* Is an attempt claimed for this cause a second copy of one that runs? */
bool cause_is_copy(unsigned cause);
/* Static text; a number from a newer version reads "unknown cause". */
const char *cause_text(unsigned cause);

enum member_state {
    MEMBER_ALIVE = 1,
    MEMBER_SUSPECT = 2,
    MEMBER_DEAD = 3,
    MEMBER_LEFT = 4,
};

/* Shown by mrctl of a member that lives and flaps (node/standing.c); no claim has it. */
#define MEMBER_DEGRADED 5

/* "alive", "suspect", ... */
const char *member_state_text(unsigned state);

enum task_kind {
    TASK_MAP = 0,
    TASK_REDUCE = 1,
};

#define LENDING_SOCKET "lend" /* in a node's directory: io/lending.h */
/* The code of say_error when the peer does not know such a request: it is of an earlier version. */
#define UNKNOWN_CODE 8
#define NAMED_TEXT "named" /* say_ok to ask_name; else there is something to be said of it */

/* What mrtask says of an attempt. */
enum task_outcome {
    OUTCOME_DONE = 1,
    OUTCOME_EXITED = 2, /* exit status not among the good ones */
    OUTCOME_SIGNALED = 3,
    OUTCOME_TIMED_OUT = 4,
    OUTCOME_OUTPUT_TOO_BIG = 5,
    OUTCOME_AGAIN = 6,         /* exit 75: not counted */
    OUTCOME_NOT_STARTED = 7,   /* ours or the machine's fault: not counted */
    OUTCOME_DISK = 8,          /* scratch full or failing: not counted */
    OUTCOME_INPUT_MISSING = 9, /* the driver could not bring the input: not counted */
    OUTCOME_KILLED = 10,       /* the core asked for it */
    OUTCOME_UNREADABLE = 11,   /* its shared input (path:) can't be read here: not counted */
    OUTCOME_NO_MEMORY = 12,    /* mrtask had begun, and got no more memory */
};

enum job_outcome {
    JOB_RUNNING = 0,
    JOB_DONE = 1, /* several ended entries join as the least of these numbers */
    JOB_FAILED = 2,
    JOB_KILLED = 3,
};

/* "running", "done", "failed", "killed" */
const char *job_outcome_text(unsigned outcome);

enum attempt_state {
    ATTEMPT_RUNNING = 1,
    ATTEMPT_DONE = 2,
    ATTEMPT_FAILED = 3,
    ATTEMPT_RELEASED = 4,
    ATTEMPT_DEAD = 5, /* its owner died or started anew */
    ATTEMPT_LOST = 6, /* it was done, and its output is gone */
};

const char *attempt_state_text(unsigned state);

/* --sort */
enum sort_kind {
    SORT_KEY = 0, /* bytes, as LC_ALL=C sort */
    SORT_NUMERIC = 1,
    SORT_NONE = 2,
    SORT_FIELDS = 3, /* anything more: as the variable MR_SORT says (sorting.h) */
};

/* What confines tasks on a node: bits of its counter "confinement" (mrctl doctor). */
enum confinement_part {
    CONFINEMENT_FILES = 1,        /* Landlock: what they may open */
    CONFINEMENT_SIGNALS = 2,      /* and no signal reaches what is outside */
    CONFINEMENT_USER = 4,         /* each attempt has a user of its own */
    CONFINEMENT_UNPRIVILEGED = 8, /* none runs as root */
};

/* --partition */
enum partition_kind {
    PARTITION_HASH = 0,    /* of the first field, or of the first MR_PARTITION_FIELDS */
    PARTITION_RANGE = 1,   /* by the cuts in the job's file RANGES_FILE */
    PARTITION_COMMAND = 2, /* as the command in MR_PARTITIONER says */
    PARTITION_SAMPLE = 3,  /* a map looks at parts of its input and gives a sample of the keys */
};

/* The job file that holds the cuts between ranges of keys. */
#define RANGES_FILE "mr-ranges"

/* Reduces of one job: the index of a map's output must fit a fetch_reply (io/partitioned.h). */
enum {
    JOB_REDUCES_MAX = 1024
};

/* Maps of a job, and of one with reduces: each of these is told of every map's output, where it is
 * and what, some 600 bytes at the node that runs it (io/workers.c). */
enum {
    JOB_MAPS_MAX = 1000000,
    JOB_MAPS_SHUFFLED_MAX = 100000
};

/* A list of blocks or of files (MSG_manifest, ...) as it is stored: a million blocks of 60 bytes.
 * Nobody reads a longer one. */
enum {
    LIST_SIZE_MAX = 64 << 20
};

/* msg_fetch: all of a block, not a part of a partitioned one. */
#define PART_WHOLE UINT32_MAX

enum {
    EXIT_AGAIN = 75, /* EX_TEMPFAIL (sysexits.h): run me again, do not count it */
};

#endif
