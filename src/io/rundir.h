/* The directory of one attempt, and what mrtask finds and leaves there (mapreduce/task.h).
 * Blocking; for worker threads. */
#ifndef IO_RUNDIR_H
#define IO_RUNDIR_H

#include "base/arena.h"
#include "io/blocks.h"
#include "io/file.h"
#include "wire/kinds.h"
#include "wire/wire.h"

enum {
    RUNDIR_TEXT_SIZE = 512
}; /* a failure, told to people */

/* One input, where it is on this disk: a block, a part of one, or bytes fetched for this attempt.
 */
struct rundir_input {
    struct digest digest;
    struct block_state looked; /* a block's file, when its bytes were found right; zeros: none */
    const char *path;
    uint64_t size;         /* of the file */
    uint32_t part;         /* of a partitioned block at path; PART_WHOLE: all of the file */
    struct digest records; /* of a file that is such a part: of what it holds; zeros: it is none */
    bool is_small;         /* no file yet, but these bytes */
    struct slice bytes;
};

struct rundir_file {
    const struct msg_job_file *file;
    struct rundir_input place;
};

/* Everything is borrowed but what is marked as an answer. */
struct rundir {
    const char *directory;
    const char *commands;      /* the commands' own: in it, or elsewhere */
    uid_t user;                /* whose that is; 0 = ours */
    struct arena *arena;       /* for the spec's inputs and the result */
    struct msg_task_spec spec; /* inputs are filled in by rundir_prepare */
    struct rundir_input *inputs;
    size_t inputs_count;
    struct msg_task_input shared; /* the one input, where it is of a file that all nodes share */
    struct msg_shared_file shared_file;
    struct list parts; /* filled in as the inputs: msg_task_part of each */
    struct rundir_file *files;
    size_t files_count;
    bool is_durable;

    /* Answers. */
    struct slice packed;  /* of rundir_prepare: the spec; none: it is a file */
    struct slice carried; /* the input that is no file */
    enum task_outcome
        outcome; /* 0: all is well, else why not, with text and, for INPUT_MISSING, missing */
    struct digest missing;
    char text[RUNDIR_TEXT_SIZE];
    uint32_t status;               /* of rundir_lose: as task_result has it */
    struct slice log;              /* and what the attempt had said last; borrows from arena */
    struct msg_task_result result; /* as mrtask told it, outcome 0; borrows from arena */
    char output[FILE_PATH_MAX];    /* of a result that says DONE: a file of the size it says */
    bool is_small;                 /* it is these bytes instead */
    struct slice small;
};

/* Nothing of it needs to be on a disk but its directories. */
bool rundir_is_light(const struct rundir *rundir);
/* Instead of rundir_prepare, of one that is light and whose directories are there: never blocks. */
void rundir_pack(struct rundir *rundir);
/* Makes the directory, the commands' with the job's files in it, and the spec. */
void rundir_prepare(struct rundir *rundir);
/* After a result: looks at the output, unless it is small, and whether the inputs are still what
 * they were. */
void rundir_collect(struct rundir *rundir);
/* Has it inputs of which the latter is to be asked? */
bool rundir_has_blocks(const struct rundir *rundir);
/* Without a result: kills what may be left of the attempt, and says how mrtask ended. */
void rundir_lose(struct rundir *rundir, int64_t status, int signal);
/* SIGKILL to every process that works in this directory or was given it as TMPDIR; waits until they
 * are gone, at most a second. */
void rundir_kill_strays(const char *directory);
/* Deletes it, and the commands' directory, and what that is in when nothing else is. */
void rundir_remove(const struct rundir *rundir);

#endif
