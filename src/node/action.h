/* What a node wants done: an ordered list, valid until the next step. Drivers carry them out in
 * order. */
#ifndef NODE_ACTION_H
#define NODE_ACTION_H

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"
#include "store/storage.h"
#include "wire/wire.h"

enum action_kind {
    ACTION_SEND,        /* a sealed datagram */
    ACTION_STREAM_OPEN, /* connect, shake hands (purpose PEER); EVENT_STREAM_OPENED or _CLOSED
                           follows */
    ACTION_STREAM_SEND, /* one record. A driver closes a stream whose unsent bytes pass its limit */
    ACTION_STREAM_CLOSE, /* orderly, after what was sent; EVENT_STREAM_CLOSED does not follow */
    ACTION_PERSIST,      /* write; then EVENT_PERSISTED with this token or a later one */
    ACTION_BLOCK_WRITE,  /* store these bytes as a block (fsync); EVENT_BLOCK_STORED or _FAILED */
    ACTION_BLOCK_READ,   /* read a small block into memory; EVENT_BLOCK_READ or _FAILED */
    ACTION_BLOCK_FETCH,  /* get a block from one of the holders, verify, store (fsync); _STORED or
                            _FAILED */
    ACTION_BLOCK_DROP,   /* delete it; no event */
    ACTION_BLOCK_CHECK,  /* read it and compare with its digest; EVENT_BLOCK_CHECKED */
    ACTION_TASK_RUN,     /* fetch what is missing, run; _TASK_STARTED, then _TASK_FINISHED */
    ACTION_TASK_KILL,    /* TERM, 2 s, KILL; _TASK_FINISHED follows once the group is gone */
    ACTION_TAIL_READ,    /* what a running attempt has said so far; EVENT_TAIL_READ */
    ACTION_PREFETCH,     /* get a part of a map's output for a reduce to come, if it is no trouble;
                            no event */
    ACTION_PREFETCH_END, /* nobody will want those of this job any more */
    ACTION_KEYS_WRITE,   /* these are the cluster's keys now, the first seals: for streams at once,
                            and to the key file; EVENT_KEYS_WRITTEN */
    ACTION_RESOLVE,      /* look a host name up; EVENT_RESOLVED */
    ACTION_STOP,         /* this boot is over; error NONE: it has left, exit 0 */
};

/* One input of a task to run: a block, or one part of a partitioned one, and who may have it. */
struct action_input {
    struct msg_block_ref block;
    uint32_t part; /* PART_WHOLE or the partition */
    const struct msg_block_holder *holders;
    size_t holders_count;
    bool is_small; /* these bytes are it, and nobody needs to be asked */
    struct slice bytes;
};

struct action {
    enum action_kind kind;
    union {
        struct {
            struct address to;
            struct slice bytes;
        } send;
        struct {
            uint64_t stream;
            struct address to;
        } stream_open;
        struct {
            uint64_t stream;
            struct slice bytes;
        } stream_send;
        struct {
            uint64_t stream;
        } stream_close;
        struct {
            uint64_t token; /* increasing */
            const struct storage_put *puts;
            size_t puts_count;
        } persist;
        struct {
            uint64_t token;
            struct slice bytes;
            bool is_patient; /* the log carries it, and nobody waits: others go first */
        } block_write;
        struct {
            uint64_t token;
            struct msg_block_ref block;
        } block_read;
        struct {
            uint64_t token;
            struct msg_block_ref block;
            const struct msg_block_holder *holders; /* in the order to try */
            size_t holders_count;
            bool is_list; /* a manifest: it may use the room that others leave (to know what to
                             drop takes all of them) */
        } block_fetch;
        struct {
            struct digest digest;
        } block_drop;
        struct {
            struct msg_block_ref block;
        } block_check;
        struct {
            uint64_t token;
            const char *label; /* "wc-3f7a/m12.1": for logs and the scratch directory */
            struct msg_task_spec
                spec; /* spec.inputs empty: the driver fills in the paths of inputs */
            const struct action_input *inputs;
            size_t inputs_count;
            struct msg_task_input shared; /* the input, when it is none of those: bytes of a file
                                             that all nodes share, at this path; path empty: no */
            struct msg_shared_file shared_file;      /* what must still be true of it */
            const struct msg_job_file *files;        /* to be put into the working directory */
            const struct action_input *files_inputs; /* where each of them may be had */
            size_t files_count;
            bool is_brief;   /* a built-in over few bytes, which are here: no process of its own */
            bool is_durable; /* fsync the output: the final one of a job */
            uint64_t small_max; /* an output of at most so many bytes comes with the event, and is
                                   no block; 0: always a block */
        } task_run;
        struct {
            uint64_t token;
        } task_kill;
        struct {
            const struct crypto_key *keys;
            size_t count;
        } keys_write;
        struct {
            uint64_t token;           /* of task_run */
            uint64_t stream, request; /* who asked: they come back */
            uint64_t behind;
        } tail_read;
        struct {
            struct id job;
            struct action_input input;
        } prefetch;
        struct {
            struct id job;
        } prefetch_end;
        struct {
            uint64_t token;
            const char *host; /* HOST or HOST:PORT */
        } resolve;
        struct {
            enum error error;
            const char *text; /* composed for people */
            uint64_t boot;    /* EXISTS: somebody uses our id at this boot; start anew above it */
        } stop;
    };
};

struct actions {
    struct action *items;
    size_t count;
    size_t capacity;
    struct arena arena; /* what the items borrow from; also the step's scratch */
};

enum {
    ACTIONS_MAX = 16384,           /* a step's answers: far above what one input can cause */
    ACTIONS_ARENA_SIZE = 32 << 20, /* a page of bulk log and the largest decoded message; untouched
                                      pages cost nothing */
};

/* The driver's, one for all its nodes. Borrows both. */
void actions_init(struct actions *actions, struct action *items, size_t capacity, void *arena,
                  size_t arena_size);

/* Room for one more action of this kind, zeroed; asserts that there is. For the core. */
struct action *actions_push(struct actions *actions, enum action_kind kind);

#endif
