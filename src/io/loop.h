/* The driver of one node in the world: libuv's loop, the node, and the parts that carry out its
 * actions. It has no opinions: an event in, actions out, each handed to the part that does it. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/memory.h"
#include "io/refusals.h"
#include "node/node.h"

#include <uv.h>

struct udp;
struct streams;
struct peers;
struct persist;
struct blocks;
struct blockmemory;
struct fetches;
struct workers;
struct resolver;
struct confinement;
struct keyfile;
struct lending;

enum loop_state {
    LOOP_LOADING,  /* no node yet, or not started */
    LOOP_WAITING,  /* the node waits for something to happen */
    LOOP_STEPPING, /* its actions are being carried out: new events queue */
    LOOP_STOPPED,  /* events are dropped, all is being closed */
};

enum {
    LOOP_SIGNALS = 3
};

struct loop {
    uv_loop_t uv;
    uv_timer_t timer;                  /* node_deadline */
    uv_signal_t signals[LOOP_SIGNALS]; /* TERM, INT, HUP */
    enum loop_state state;
    struct trace trace;
    struct memory memory; /* of channels and tables */
    struct id self;
    struct node *node;
    struct actions actions;
    struct event *queue; /* that came while stepping */
    size_t queue_capacity, queue_count;
    unsigned holds;  /* loop_hold without its loop_release */
    unsigned leaves; /* SIGTERMs so far */
    struct refusals refusals;
    enum error stop_error; /* of ACTION_STOP */
    char stop_text[512];
    uint64_t stop_boot; /* EXISTS: the boot to start anew above */

    /* The parts; set by who opens them (daemon.c), closed by loop_stop where not NULL. */
    struct udp *udp;
    struct streams *streams;
    struct peers *peers;
    struct persist *persist;
    struct blocks *blocks;
    struct fetches *fetches;
    struct prefetches *prefetches;
    struct lending *lending; /* NULL: nothing can be lent */
    uint64_t promised;       /* bytes of uploads that were told of room (serve.c), and of fetches */
    uint64_t unwritten;      /* bytes in sinks, which the disk does not know of yet */
    struct blockmemory *patient_first, *patient_last; /* writes that may wait (blockmemory.c) */
    unsigned patients_count;                          /* of them begun, and not at their end */
    uint64_t prefetch_size_max; /* bytes of map outputs kept for reduces to come */
    struct workers *workers;
    struct resolver *resolver;
    struct confinement *confinement; /* of tasks; borrowed */
    struct keyfile *keyfile;         /* borrowed */
};

/* Prepares the loop, its action buffers and its memory; no parts, no node. MEMORY, SYSTEM: nothing
 * is open then. */
enum error loop_open(struct loop *loop, const struct trace *trace) MUST_USE;
/* After loop_run, or without it: closes what is open, waits for it, frees all but the parts'
 * memory. */
void loop_close(struct loop *loop);

/* Gives the node (borrowed) its start, catches signals, and returns; loop_run does the rest.
 * SYSTEM. */
enum error loop_start(struct loop *loop, struct node *node) MUST_USE;
/* Runs until all is closed after a stop. */
void loop_run(struct loop *loop);
/* Ends this boot: drops further events, closes every part. */
void loop_stop(struct loop *loop, enum error error, const char *text);

/* Now, on the monotonic clock. */
instant loop_now(void);
/* Tells the node; sets event->now. Before the start and after the stop it does nothing. While
 * actions are being carried out the event is queued, and must borrow nothing but static text then
 * (asserted by kind). */
void loop_feed(struct loop *loop, struct event *event);
/* Between the two, more events follow at once: what their steps write to the log's disk goes there
 * together. They nest. */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

#endif
