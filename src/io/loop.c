/* The loop (loop.h): event in, node_step, actions out. node_step is never entered twice: what
 * happens while actions are carried out (a socket that can't be had, a peer too slow) waits in a
 * queue until they all are. One timer stands for all of the node's: node_deadline.
 *
 * The buffers of a step are reserved address space, of which only touched pages are memory; after a
 * large step they are given back, so an idle node stays small. */
#include "io/loop.h"

#include "io/blockfetch.h"
#include "io/blockmemory.h"
#include "io/blocks.h"
#include "io/fetch.h"
#include "io/keyfile.h"
#include "io/lending.h"
#include "io/peers.h"
#include "io/persist.h"
#include "io/prefetch.h"
#include "io/resolve.h"
#include "io/stream.h"
#include "io/tail.h"
#include "io/udp.h"
#include "io/verify.h"
#include "io/workers.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    LOOP_MEMORY_BUDGET = 512 << 20, /* channels that hold whole records, and tables */
    LOOP_KEPT_SIZE = 1 << 20,       /* of a step's buffer: pages kept for the next step */
    LOOP_TICK_MIN_MS = 1,           /* a deadline that has passed must not spin the loop */
};

static const int caught[LOOP_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

instant loop_now(void) { return (instant)(uv_hrtime() / 1000); }

/* ---- actions ---- */

static void carry_out_stream(struct loop *loop, const struct action *action)
{
    if (action->kind == ACTION_STREAM_OPEN)
        peers_connect(loop->peers, action->stream_open.stream, &action->stream_open.to);
    else if (action->kind == ACTION_STREAM_SEND)
        peers_send(loop->peers, action->stream_send.stream, action->stream_send.bytes);
    else peers_end(loop->peers, action->stream_close.stream);
}

static void remember_stop(struct loop *loop, const struct action *action)
{
    const char *text =
        action->stop.text != NULL ? action->stop.text : error_text(action->stop.error);
    loop->stop_boot = action->stop.boot;
    loop_stop(loop, action->stop.error, text);
}

static void carry_out(struct loop *loop, const struct action *action)
{
    switch (action->kind) {
    case ACTION_SEND: udp_send(loop->udp, &action->send.to, action->send.bytes); return;
    case ACTION_STREAM_OPEN:
    case ACTION_STREAM_SEND:
    case ACTION_STREAM_CLOSE: carry_out_stream(loop, action); return;
    case ACTION_PERSIST:
        persist_write(loop->persist, action->persist.token, action->persist.puts,
                      action->persist.puts_count);
        return;
    case ACTION_BLOCK_WRITE:
        blockmemory_write(loop, action->block_write.token, action->block_write.bytes,
                          action->block_write.is_patient);
        return;
    case ACTION_BLOCK_READ:
        blockmemory_read(loop, action->block_read.token, &action->block_read.block);
        return;
    case ACTION_BLOCK_FETCH: blockfetch_start(loop, action); return;
    case ACTION_BLOCK_DROP: blocks_drop(loop->blocks, &action->block_drop.digest); return;
    case ACTION_BLOCK_CHECK: verify_block(loop, &action->block_check.block.digest); return;
    case ACTION_TASK_RUN: workers_run(loop->workers, action); return;
    case ACTION_TASK_KILL: workers_kill(loop->workers, action->task_kill.token); return;
    case ACTION_KEYS_WRITE: keyfile_write(loop->keyfile, action); return;
    case ACTION_TAIL_READ:
        tail_read(loop, action, workers_directory(loop->workers, action->tail_read.token));
        return;
    case ACTION_PREFETCH: prefetch_start(loop->prefetches, action); return;
    case ACTION_PREFETCH_END: prefetch_end(loop->prefetches, &action->prefetch_end.job); return;
    case ACTION_RESOLVE:
        resolver_ask(loop->resolver, action->resolve.token, action->resolve.host);
        return;
    case ACTION_STOP: remember_stop(loop, action); return;
    }
    assert(!"an action of no kind");
}

/* In order; after a STOP nothing else matters. */
static void carry_out_all(struct loop *loop)
{
    struct actions *actions = &loop->actions;
    if (loop->streams != NULL) streams_cork(loop->streams);
    for (size_t i = 0; i < actions->count && loop->state != LOOP_STOPPED; i++)
        carry_out(loop, &actions->items[i]);
    if (loop->persist != NULL && loop->holds == 0) persist_begin(loop->persist);
    if (loop->streams != NULL) streams_uncork(loop->streams);
}

/* Pages beyond the first MiB go back to the kernel. */
static void give_back(void *base, size_t used, size_t size)
{
    if (used <= LOOP_KEPT_SIZE) return;
    (void)madvise((uint8_t *)base + LOOP_KEPT_SIZE, size - LOOP_KEPT_SIZE, MADV_DONTNEED);
}

static void trim(struct loop *loop)
{
    struct actions *actions = &loop->actions;
    size_t used = actions->count * sizeof *actions->items;
    give_back(actions->arena.base, actions->arena.used, actions->arena.size);
    give_back(actions->items, used, ACTIONS_MAX * sizeof *actions->items);
}

/* ---- events ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct event event = {.kind = EVENT_TICK};
    loop_feed(timer->data, &event);
}

static void set_timer(struct loop *loop)
{
    instant deadline = node_deadline(loop->node), now = loop_now();
    if (deadline == INSTANT_NEVER) {
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t ms = deadline <= now ? 0 : (uint64_t)(deadline - now + MILLISECOND - 1) / MILLISECOND;
    uv_update_time(&loop->uv);
    (void)uv_timer_start(&loop->timer, on_deadline, ms < LOOP_TICK_MIN_MS ? LOOP_TICK_MIN_MS : ms,
                         0);
}

static void step(struct loop *loop, struct event *event)
{
    assert(loop->state == LOOP_WAITING);
    loop->state = LOOP_STEPPING;
    event->now = loop_now();
    node_step(loop->node, event, &loop->actions);
    carry_out_all(loop);
    trim(loop);
    if (loop->state == LOOP_STEPPING) loop->state = LOOP_WAITING;
}

/* True when the event borrows nothing but static text, so it may wait. */
static bool can_wait(const struct event *event)
{
    switch (event->kind) {
    case EVENT_STREAM_CLOSED:
    case EVENT_STORAGE_FAILED:
    case EVENT_KEYS_WRITTEN:
    case EVENT_BLOCK_STORED:
    case EVENT_BLOCK_CHECKED:
    case EVENT_BLOCK_UNWANTED:
    case EVENT_TASK_STARTED:
    case EVENT_BLOCK_FAILED: return true;
    case EVENT_TASK_FINISHED:
        return event->task_finished.result->log.count == 0; /* static: workers_run */
    case EVENT_RESOLVED: return event->resolved.count == 0;
    case EVENT_TICK:
    case EVENT_DATAGRAM:
    case EVENT_REFUSED:
    case EVENT_STREAM_OPENED:
    case EVENT_STREAM_RECORD:
    case EVENT_PERSISTED:
    case EVENT_BLOCK_READ:
    case EVENT_TAIL_READ:
    case EVENT_KEYS_READ:
    case EVENT_LEAVE: return false;
    }
    return false;
}

static void enqueue(struct loop *loop, const struct event *event)
{
    assert(can_wait(event));
    struct event *queue = memory_grow(&loop->memory, loop->queue, &loop->queue_capacity,
                                      loop->queue_count, sizeof *queue);
    if (queue == NULL) {
        loop_stop(loop, ERROR_MEMORY, "no memory for another event");
        return;
    }
    loop->queue = queue;
    loop->queue[loop->queue_count++] = *event;
}

void loop_feed(struct loop *loop, struct event *event)
{
    if (loop->state == LOOP_STEPPING) enqueue(loop, event);
    if (loop->state != LOOP_WAITING) return;
    step(loop, event);
    for (size_t i = 0; i < loop->queue_count && loop->state == LOOP_WAITING; i++) {
        struct event next = loop->queue[i]; /* the queue may move while it is told */
        step(loop, &next);
    }
    loop->queue_count = 0;
    if (loop->state == LOOP_WAITING) set_timer(loop);
}

void loop_hold(struct loop *loop) { loop->holds++; }

void loop_release(struct loop *loop)
{
    assert(loop->holds > 0);
    if (--loop->holds == 0 && loop->persist != NULL) persist_begin(loop->persist);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    struct event event = {.kind = EVENT_LEAVE};
    if (number == SIGHUP) keyfile_read(loop->keyfile);
    else if (loop->leaves++ == 0) loop_feed(loop, &event);
    else loop_stop(loop, ERROR_NONE, "left at once");
}

/* ---- lifecycle ---- */

static void *reserve(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void release(struct loop *loop)
{
    if (loop->actions.items != NULL)
        munmap(loop->actions.items, ACTIONS_MAX * sizeof(struct action));
    if (loop->actions.arena.base != NULL) munmap(loop->actions.arena.base, ACTIONS_ARENA_SIZE);
}

enum error loop_open(struct loop *loop, const struct trace *trace)
{
    *loop = (struct loop){.state = LOOP_LOADING, .trace = *trace};
    memory_init(&loop->memory, LOOP_MEMORY_BUDGET);
    void *items = reserve(ACTIONS_MAX * sizeof(struct action));
    void *arena = reserve(ACTIONS_ARENA_SIZE);
    actions_init(&loop->actions, items, ACTIONS_MAX, arena, ACTIONS_ARENA_SIZE);
    enum error error = items == NULL || arena == NULL ? ERROR_MEMORY : ERROR_NONE;
    if (error == ERROR_NONE && uv_loop_init(&loop->uv) != 0) error = ERROR_SYSTEM;
    if (error != ERROR_NONE) {
        release(loop);
        return error;
    }
    if (uv_timer_init(&loop->uv, &loop->timer) != 0) abort(); /* it only fills in a struct */
    loop->timer.data = loop;
    return ERROR_NONE;
}

enum error loop_start(struct loop *loop, struct node *node)
{
    assert(loop->state == LOOP_LOADING);
    loop->node = node;
    for (size_t i = 0; i < LOOP_SIGNALS; i++) {
        if (uv_signal_init(&loop->uv, &loop->signals[i]) != 0) return ERROR_SYSTEM;
        loop->signals[i].data = loop;
        if (uv_signal_start(&loop->signals[i], on_signal, caught[i]) != 0) return ERROR_SYSTEM;
    }
    loop->state = LOOP_STEPPING;
    node_start(node, loop_now(), &loop->actions);
    carry_out_all(loop);
    if (loop->state != LOOP_STEPPING) return ERROR_NONE;
    loop->state = LOOP_WAITING;
    struct event event = {.kind = EVENT_TICK}; /* what queued meanwhile, and the timer */
    loop_feed(loop, &event);
    return ERROR_NONE;
}

void loop_run(struct loop *loop)
{
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) continue;
}

/* Each part is told once; what it has under way ends by itself, and then so does uv_run. */
static void close_parts(struct loop *loop)
{
    if (loop->workers != NULL) workers_close(loop->workers);
    if (loop->prefetches != NULL) prefetches_close(loop->prefetches);
    if (loop->fetches != NULL) fetches_close(loop->fetches);
    if (loop->streams != NULL) streams_close(loop->streams);
    if (loop->udp != NULL) udp_close(loop->udp);
    if (loop->resolver != NULL) resolver_close(loop->resolver);
    if (loop->persist != NULL) persist_close(loop->persist);
    if (loop->lending != NULL) lending_close(loop->lending);
}

void loop_stop(struct loop *loop, enum error error, const char *text)
{
    if (loop->state == LOOP_STOPPED) return;
    loop->state = LOOP_STOPPED;
    loop->stop_error = error;
    snprintf(loop->stop_text, sizeof loop->stop_text, "%s", text);
    close_parts(loop);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    for (size_t i = 0; i < LOOP_SIGNALS; i++)
        if (loop->signals[i].data != NULL) uv_close((uv_handle_t *)&loop->signals[i], NULL);
}

void loop_close(struct loop *loop)
{
    loop_stop(loop, ERROR_NONE, "");
    loop_run(loop);
    workers_free(loop->workers);
    prefetches_free(loop->prefetches);
    fetches_free(loop->fetches);
    peers_free(loop->peers);
    streams_free(loop->streams);
    udp_free(loop->udp);
    resolver_free(loop->resolver);
    persist_free(loop->persist);
    blocks_free(loop->blocks);
    lending_free(loop->lending);
    memory_put(&loop->memory, loop->queue, loop->queue_capacity * sizeof *loop->queue);
    assert(loop->memory.used == 0);
    release(loop);
    int status = uv_loop_close(&loop->uv);
    assert(status == 0); /* every handle was closed */
    (void)status;
}
