/* What can happen to a node: `now` and one input. A driver (io: the world, sim: the laboratory)
 * makes them. Everything is borrowed for the length of node_step. */
#ifndef NODE_EVENT_H
#define NODE_EVENT_H

#include "base/error.h"
#include "base/time.h"
#include "wire/channel.h"
#include "wire/wire.h"

enum event_kind {
    EVENT_TICK,          /* time went on; at node_deadline or later, or whenever the driver likes */
    EVENT_DATAGRAM,      /* sealed bytes, as they came */
    EVENT_REFUSED,       /* a datagram of ours met a closed port (ICMP) */
    EVENT_STREAM_OPENED, /* handshake done: to us (PEER or CLIENT; the driver serves BULK itself) or
                            by us */
    EVENT_STREAM_RECORD, /* one decrypted record: packed messages */
    EVENT_STREAM_CLOSED, /* gone, or never came to be; the last event of a stream */
    EVENT_PERSISTED,     /* every ACTION_PERSIST up to this token is on disk (fsync) */
    EVENT_STORAGE_FAILED, /* the disk is full (FULL) or read-only (DENIED): it is tried again, and
                             EVENT_PERSISTED follows some day; or anything else, which is the end of
                             this boot */
    EVENT_BLOCK_STORED, /* a block is here, verified; by fetch, write or a client's upload (token 0)
                         */
    EVENT_BLOCK_FAILED, /* a fetch, write or read did not come to be */
    EVENT_BLOCK_READ,   /* the bytes asked for */
    EVENT_BLOCK_CHECKED,  /* a block here was read through, by order or because somebody wanted it:
                             NONE, or CORRUPT and the like, when it is of no use any more */
    EVENT_BLOCK_UNWANTED, /* who uploaded it has given up what it was for */
    EVENT_TASK_STARTED,   /* inputs are there, its program runs */
    EVENT_TASK_FINISHED, /* it ended, its process group is gone; a done one's output is a block here
                            now, or comes with the event */
    EVENT_TAIL_READ,     /* what a running attempt has said; nothing: it does not run any more, or
                            has said nothing yet */
    EVENT_KEYS_WRITTEN,  /* the key file has what the last ACTION_KEYS_WRITE said; or not (error) */
    EVENT_KEYS_READ,     /* the key file was read again (SIGHUP) */
    EVENT_RESOLVED,      /* addresses of a host asked for; none = failed */
    EVENT_LEAVE,         /* SIGTERM: leave gracefully */
};

struct event {
    enum event_kind kind;
    instant now;
    bool has_more; /* another one follows at once: what is due, and the log's commit, wait for it */
    union {
        struct {
            struct address from;
            struct slice bytes;
        } datagram;
        struct {
            struct address address; /* where it was sent to */
            struct slice quoted;    /* as much of the datagram as came back */
        } refused;
        struct {
            uint64_t stream; /* ours: as in ACTION_STREAM_OPEN (even); theirs: the driver's (odd) */
            enum channel_purpose purpose;      /* CHANNEL_PEER or CHANNEL_CLIENT */
            const struct channel_party *party; /* proven; node id zero: a client */
        } stream_opened;
        struct {
            uint64_t stream;
            struct slice bytes;
        } stream_record;
        struct {
            uint64_t stream;
            enum error error;   /* NONE: a goodbye (orderly close) */
            const char *reason; /* static text */
        } stream_closed;
        struct {
            uint64_t token;
        } persisted;
        struct {
            enum error error;
        } storage_failed;
        struct {
            uint64_t token; /* 0: a client did */
            struct msg_block_ref block;
            uint8_t copies; /* as many as the client will want; 0: not known */
            bool is_known;  /* the client did not send it: it was here */
        } block_stored;
        struct {
            uint64_t token;
            struct digest digest; /* zeros: of bytes that had none yet */
            uint64_t size;        /* of these, as far as is known */
            enum error error;
        } block_failed;
        struct {
            uint64_t token;
            struct digest digest;
            struct slice bytes;
        } block_read;
        struct {
            struct digest digest;
            enum error error;
        } block_checked;
        struct {
            struct digest digest;
            bool is_used; /* no: an entry of the log, not ours, is to keep it from now on */
        } block_unwanted;
        struct {
            uint64_t token;
            uint64_t input_size; /* bytes, as they are read */
        } task_started;
        struct {
            uint64_t token;
            const struct msg_task_result *result;
            struct digest missing; /* OUTCOME_INPUT_MISSING: the block nobody gave */
            bool is_small;         /* the output is no block, but these bytes */
            struct slice bytes;
        } task_finished;
        struct {
            enum error error;
        } keys_written;
        struct {
            const struct crypto_key *keys;
            size_t count;
        } keys_read;
        struct {
            uint64_t stream, request; /* as asked */
            bool is_running;
            uint64_t behind; /* of the first of these bytes */
            uint64_t read_size;
            struct slice bytes;
        } tail_read;
        struct {
            uint64_t token;
            const struct address *addresses;
            size_t count;
        } resolved;
    };
};

#endif
