/* Jobs as the log tells them: a fold over the entries job, claim, done, failed, released, lost,
 * counted, logged, tallied, dead, opened, left and ended that does not depend on the order of
 * arrival (docs/PROTOCOL.md). It never reads membership, time or configuration. An entry whose
 * referent is missing is kept until it comes.
 *
 * Per task there is a set of attempts; an attempt is a claim entry's stamp. Derived from the
 * set, never stored as truth:
 *
 *   freed      by failed, released, a dead of (node, boot) that reaches its sequence, a
 *              later boot's opened, or left
 *   owner      of the live attempts (not freed, not done) with the highest number, the least in
 *              total order
 *   committed  the least done, in total order, that no lost names
 *
 * `ended` entries join as timely over late (ends.c), then done over failed over killed, then the
 * least; once any is folded, the
 * job's other entries no longer count: what still ran is RELEASED with JOB_ENDED, and only the
 * winning ended entry is in the digest (normal form). The tasks stay in
 * memory, for status and explain.
 *
 *   jobs     this file: which jobs there are, and how each ended
 *   claims   entries about tasks, applied to ranges of tasks
 *   attempt  what became of one claim of one task: the join, and every count that follows from it
 *   owners   which claims the roster's entries (opened, dead, left) free
 *   pending  entries that wait for a job entry
 *   counts   what programs counted
 *   logged   where longer logs are
 *   ends     which of several `ended` counts
 *   task     questions about one task */
#ifndef TASKS_JOBS_H
#define TASKS_JOBS_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/kinds.h"
#include "wire/stamp.h"

struct count;
struct logged;
struct end;
struct flock;
struct owner;
struct pending;

enum {
    /* Of each kind: an index then needs 20 bits, and a job's tasks 32 MiB. A job entry that
     * asks for more is ignored. */
    TASKS_MAX = 1000000,
};

/* terms.speculate: no second copies at all. */
#define SPECULATE_OFF UINT32_MAX

struct attempt {
    struct attempt *next; /* of the same task, in total order of claims */
    struct job *job;
    struct owner *owner;         /* (claim.node, claim.boot) */
    struct attempt *owner_next;  /* RUNNING and DEAD ones of running jobs of that owner */
    struct attempt **owner_link; /* what points to this one there; NULL = not among them */
    enum task_kind kind;
    uint32_t index;
    struct msg_stamp claim;
    uint32_t number;          /* 0: the claim entry itself has not come yet */
    enum cause cause;         /* why it was claimed */
    enum attempt_state state; /* joined: the strongest of what entries say */
    enum cause end_cause;     /* why it ended */
    struct msg_stamp end;     /* the entry that ended it; sequence 0 = none: DEAD */
    bool charged;             /* FAILED and counts towards --retries */
    uint32_t status;
    struct msg_stamp done; /* its done entry; sequence 0 = none */
    struct msg_block_ref output;
    uint64_t records;
    uint64_t elapsed_ms;
    struct slice log; /* owned copy of the last words; may be empty */
    int64_t heard;    /* jobs.now when its claim was folded: its user's, no state */
};

/* A done that nobody holds any more: kept, because the done may come later. */
struct lost {
    struct lost *next;
    struct msg_stamp done;
    struct msg_stamp stamp; /* the least lost entry that says so */
    enum cause cause;
};

struct task {
    struct attempt *attempts;
    struct lost *lost;
    struct count *counts;  /* what its attempts counted (counts.h) */
    struct logged *logged; /* where their longer logs are (logged.h) */
    uint32_t failures;     /* charged ones */
    uint32_t highest;      /* highest attempt number seen */
    uint32_t frees;        /* times it became free here: depends on the order of arrival */
    bool is_done;          /* it has a committed done */
    bool is_verified;      /* as many of its attempts are done as the terms ask for */
    bool is_differing;     /* two of its attempts had different outputs */
};

struct job {
    struct id id;
    struct job *next;         /* in order of arrival */
    bool is_known;            /* its job entry has come */
    struct msg_stamp stamp;   /* of its job entry: the least when submitted at several nodes */
    struct msg_job_spec spec; /* owned copy */
    struct msg_job_terms terms;
    void *spec_memory;
    size_t spec_memory_size;
    char name[65];
    struct task *tasks[2];      /* by enum task_kind; at least spec.maps, spec.reduces of them */
    uint64_t *free[2];          /* a bit per task: owned by no living attempt, and not done or
                                   not verified */
    uint64_t *busy[2];          /* a bit per task: not done, and owned by one */
    uint32_t tasks_size[2];     /* tasks in memory: those of the largest job entry of this id */
    uint64_t digest;            /* sum over attempts, losts, counts, logs and what is pending */
    uint64_t logged_size;       /* bytes of logs that are blocks (logged.h) */
    uint32_t done_count[2];     /* tasks with a committed done */
    uint32_t verified_count[2]; /* tasks that are verified, too */
    uint32_t differing_count;   /* tasks two of whose attempts had different outputs */
    uint32_t running_count;     /* attempts in state RUNNING */
    uint32_t doubted_count;     /* attempts that died as those before had, or seemed to */
    uint32_t claims_count;      /* attempts ever, for status */
    uint32_t failed_count;      /* attempts in state FAILED, charged or not */
    uint32_t speculated_count;  /* attempts that are second copies (cause_is_copy) */
    uint32_t reexecuted_count;  /* attempts with a cause other than FIRST that are none */
    enum job_outcome outcome;   /* JOB_RUNNING until an ended entry is folded */
    struct msg_stamp ended;     /* the winning one */
    enum cause ended_cause;
    uint64_t ended_wall_ms;        /* only ever shown */
    struct msg_block_ref manifest; /* of the output */
    uint64_t output_size;
    struct slice error;         /* owned copy of the ended text */
    struct end *other_ends;     /* `ended` entries that do not count (ends.h) */
    struct job *contested_next; /* of jobs->contested */
    struct msg_tallied *tally;  /* its counters; owned; NULL = not summed up yet */
    size_t tally_size;
    struct msg_stamp tally_stamp;
    uint64_t revision;       /* grows whenever anything of the job changes */
    bool is_final;           /* its user's: its end is stable (node/final.c) */
    bool is_unfinal;         /* its user's: it waits to become so */
    int64_t late_since;      /* its user's: since when all have its end, a late one; 0 = not */
    bool is_trimmed;         /* ended, and its tasks are forgotten: they no longer count */
    int64_t retired;         /* its user's: when it was seen to have ended; 0 = not yet */
    struct pending *pending; /* entries that name tasks which no job entry has brought yet */
    struct job *namesake;    /* the next of the same name (job_names.h) */
    struct job *stale_next;  /* of jobs->stale */
    bool is_stale;           /* it has changed since digest_counted was */
    uint64_t digest_counted; /* what it is in jobs->digest */
};

struct jobs {
    struct memory *memory;
    struct map by_id;
    struct job *all; /* oldest first */
    struct job **all_end;
    struct map owners;         /* struct owner_node by id: newest opened boot, dead marks */
    struct map pending;        /* struct pending by stamp: those of all jobs */
    struct map by_name;        /* the last known one of each name; others behind it */
    uint64_t revision;         /* grows with every change of any job */
    uint64_t digest;           /* sum over jobs, as they were when it was last asked for */
    struct job *stale;         /* those that have changed since */
    struct job *contested;     /* those with several `ended` entries: few */
    const struct flock *flock; /* its user's: who is evicted (borrowed); NULL = nobody */
    int64_t now;               /* its user's clock: attempts are stamped, nothing reads it */
};

void jobs_init(struct jobs *jobs, struct memory *memory);
void jobs_deinit(struct jobs *jobs);

/* Folds one entry; kinds that are not of tasks are ignored. ERROR_MEMORY (then the fold is
 * void). */
enum error jobs_apply(struct jobs *jobs, const struct stamped *entry) MUST_USE;

/* What is late has changed in jobs->flock: which `ended` counts may be another one. */
void jobs_reconsider(struct jobs *jobs);

/* Forgets the tasks of a job that has ended; its counts stay as they are. Entries about them are
 * ignored from now on: they count for nothing in normal form. */
void jobs_trim(struct jobs *jobs, struct job *job);

/* The id of the job that a job entry, of whichever kind, submits; NULL: it is none, or of a newer
 * version. Borrowed from the entry. */
const struct id *jobs_submitted(const struct stamped *entry);
/* The spec that such an entry carries. */
const struct msg_job_spec *jobs_submitted_spec(const struct stamped *entry);

/* Is a task of this kind free to be claimed? */
bool job_has_free(const struct job *job, enum task_kind kind);
/* Must the outputs of a task's attempts be equal? Those of bags tell times, and never are. */
bool job_is_comparable(const struct job *job);
/* How many attempts of a task must be done: 1, or what --verify said. */
uint32_t job_dones_wanted(const struct job *job);

/* NULL: no entry has named it. It may be there and not be known (is_known) when its job entry
 * has not come. */
struct job *jobs_find(const struct jobs *jobs, const struct id *id);
/* The known job whose name is text, or of which text is a prefix no other shares. NULL:
 * *matches says how many there are. A whole name is found at once, whatever the number of jobs. */
struct job *jobs_find_name(const struct jobs *jobs, struct slice text, size_t *matches);

/* spec.maps or spec.reduces; 0 while the job is not known. */
uint32_t job_tasks_count(const struct job *job, enum task_kind kind);

/* The living attempt that owns the task; NULL when it is free. */
const struct attempt *task_owner(const struct task *task);
/* The attempt whose done is committed; NULL when there is none. */
const struct attempt *task_committed(const struct task *task);
/* How many of its attempts are done, and their outputs held. */
uint32_t task_dones(const struct task *task);
/* Of the attempts that were ever done, one whose output differs from the committed one's; NULL. */
const struct attempt *task_different(const struct task *task);
/* This claim's attempt; NULL. */
const struct attempt *task_attempt(const struct task *task, const struct msg_stamp *claim);
/* The latest attempt (highest number, then greatest claim) that did not just yield to a rival;
 * NULL. */
const struct attempt *task_latest(const struct task *task);
/* Why the next attempt of a task would be made: of the latest attempt that did not just yield
 * to a rival (FIRST when there is none, STRAGGLER when it runs, VERIFY when it is done). */
enum cause task_next_cause(const struct task *task);
/* Of the attempts that run, the only one; NULL when there is none or there are several. */
const struct attempt *task_single(const struct task *task);
/* Has a second copy of this attempt been claimed that ran, or could? Nothing is judged twice. */
bool task_has_copy(const struct task *task, const struct attempt *of);
/* True when an attempt would still run but an earlier rival of the same number is alive: it
 * should stop. */
bool task_is_rival_lost(const struct task *task, const struct msg_stamp *claim);

/* Highest sequence of a claim by (node, boot) of which a task is neither freed nor ended, in a
 * running job; 0 when there is none: does a `dead` still have work to do, and what must it say? */
uint64_t jobs_owned_by(const struct jobs *jobs, const struct id *node, const struct boot *boot);

/* Order-independent digest of the whole state in normal form. */
uint64_t jobs_digest(struct jobs *jobs);

/* Parses "JOB/m12", "JOB/r0", "JOB/m12.1" behind the job's name; attempt 0 = all. False when it
 * is none. */
bool task_parse(struct slice text, struct slice *job, enum task_kind *kind, uint32_t *index,
                uint32_t *attempt);
/* "wc-3f7a/m12.1" (attempt 0: without) into text (96 bytes); returns text. */
char *task_name(const struct job *job, enum task_kind kind, uint32_t index, uint32_t attempt,
                char *text);

#endif
