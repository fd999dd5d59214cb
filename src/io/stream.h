/* TCP streams with a sealed channel on each: one object from connect or accept to the last close
 * callback. Whoever uses a stream (the core's peers, the bulk client, the bulk server) gives it a
 * table of callbacks.
 *
 *   CONNECTING -> SHAKING -> OPEN -> ENDING -> CLOSED     (from each to CLOSED at once on trouble)
 *
 * A goodbye is an empty record, then the end of the stream: a stream that ends without it was not
 * closed by anyone on purpose, since the kernel of a killed process says "end of stream" as well.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/error.h"
#include "base/time.h"
#include "wire/channel.h"

#include <uv.h>

struct loop;
struct outgoing;
struct stream;
struct streams;

/* What a user hears of its stream. None is called from within stream_connect, stream_end or
 * stream_drop; closed may be called from within stream_send. */
struct stream_user {
    void (*opened)(struct stream *stream);
    /* One record; borrowed until it returns. */
    void (*record)(struct stream *stream, struct slice bytes);
    /* Unsent bytes fell to STREAM_DRAINED or below. May be NULL. */
    void (*drained)(struct stream *stream);
    /* The last call. NONE: the peer said goodbye. reason: static text. The stream is gone when it
     * returns. */
    void (*closed)(struct stream *stream, enum error error, const char *reason);
};

enum stream_state {
    STREAM_CONNECTING,
    STREAM_SHAKING,
    STREAM_OPEN,
    STREAM_ENDING, /* goodbye said, the rest is being sent; nobody uses it any more */
    STREAM_CLOSED, /* waits for libuv to let go */
};

enum stream_flow {
    STREAM_FLOWS,
    STREAM_PAUSED, /* the user wants no records now, so none are read */
};

enum {
    STREAM_UNSENT_MAX =
        32 << 20, /* a peer this far behind has to come back: the largest step's output fits */
    STREAM_DRAINED =
        512 << 10, /* go on sending bulk: about what a fast link takes in a few milliseconds */
};

struct stream {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    struct streams *streams;
    struct stream *older, *newer;
    enum stream_state state;
    enum stream_flow flow;
    struct channel *channel;
    enum channel_purpose purpose;
    const struct stream_user *user; /* NULL: nobody listens */
    void *context;                  /* the user's */
    struct address address;         /* of the other side's socket */
    size_t unsent_size;
    struct outgoing *corked; /* records of this step, to be sent as one */
    struct stream *next_corked;
    bool is_corked;   /* in the list of streams that may have such */
    instant deadline; /* closed with TIMEOUT then; INSTANT_NEVER */
    bool is_inbound;
    bool is_delivering; /* a record is with the user now */
    bool has_goodbye;   /* the peer said it */
};

/* Between the two, records are gathered, and go out together, a write for each stream: what is said
 * in one step reaches a peer in one piece, and takes one of its commits. */
void streams_cork(struct streams *streams);
void streams_uncork(struct streams *streams);
/* So many of the keys that identity borrows hold from now on: for handshakes that begin. */
void streams_set_keys(struct streams *streams, size_t count);
/* All streams of a node. Copies identity (it borrows what that borrows). Takes the listening
 * descriptor, which it closes in streams_close. SYSTEM, MEMORY. */
enum error streams_open(struct loop *loop, const struct channel_config *identity, int listener,
                        struct streams **streams) MUST_USE;
/* Who serves inbound streams of this purpose; context is each new stream's first. Before
 * streams_listen. */
void streams_serve(struct streams *streams, enum channel_purpose purpose,
                   const struct stream_user *user, void *context);
/* Begins to accept. SYSTEM. */
enum error streams_listen(struct streams *streams) MUST_USE;
/* Stops listening and ends every stream, with a goodbye where one is open; their users' closed is
 * called. What isn't gone after a second is cut. Memory is freed by streams_free once the loop has
 * run out. */
void streams_close(struct streams *streams);
/* After the loop ran out of handles. NULL is fine. */
void streams_free(struct streams *streams);

/* Connects and shakes hands: opened or closed follows. NULL when not even a socket was to be had.
 */
struct stream *stream_connect(struct streams *streams, const struct address *to,
                              enum channel_purpose purpose, const struct stream_user *user,
                              void *context);
/* Sends one record (at most CHANNEL_RECORD_MAX, asserted). Copies it. Ignored unless OPEN. Past
 * STREAM_UNSENT_MAX the stream is closed. */
void stream_send(struct stream *stream, struct slice record);
/* Orderly: what was sent, goodbye, end. The user hears nothing more and must forget it. */
void stream_end(struct stream *stream);
/* At once. The user hears nothing more and must forget it. */
void stream_drop(struct stream *stream);
/* At once; the user's closed is called with this. */
void stream_fail(struct stream *stream, enum error error, const char *reason);

/* No more records until stream_resume; what the kernel has, stays there. */
void stream_pause(struct stream *stream);
/* Records again: those at hand before it returns, unless called from within a record callback. */
void stream_resume(struct stream *stream);
/* When to give up on it; INSTANT_NEVER: never. */
void stream_set_deadline(struct stream *stream, instant deadline);

#endif
