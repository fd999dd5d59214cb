/* The pump: one loop that writes stdin, reads stdout and stderr, and keeps the time.
 *
 *   RUNNING --told to stop--> STOPPING (TERM sent) --2 s--> KILLED
 *      |  +--too big, disk full, ...-----------------------^
 *      +--exit--> DRAINING --all pipes closed, or 200 ms--> the end
 *
 * The end is the same for all: every descendant is killed and reaped, then what is left in the
 * pipes is taken. So what the command itself printed before its exit is never lost, however slow
 * the outflow. */
#include "mapreduce/command.h"

#include "mapreduce/live.h"
#include "mapreduce/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    KILL_GRACE_MS = 2000, /* "gone at most 3 s later", with a second to spare */
    DRAIN_GRACE_MS = 200, /* a tail of a pipeline that outlives its shell is usually done by then */
    READS_MAX = 16,       /* of one pipe in a row, so that endless stderr starves nobody */
    MARKS_MAX = 8,        /* chunks: more than a pipe holds */
};

enum pump_state {
    PUMP_RUNNING,
    PUMP_STOPPING,
    PUMP_KILLED,
    PUMP_DRAINING,
};

struct pump {
    const struct command *command;
    struct inflow in;
    struct outflow out;
    struct process process;
    enum pump_state state;
    instant deadline;     /* of the state; INSTANT_NEVER = none */
    enum error error;     /* why it is being stopped */
    struct slice pending; /* from in, not yet written */
    uint64_t taken;       /* from in, so far */
    uint64_t written;     /* to its stdin */
    int unread;           /* another reading end of its stdin, once ours is closed; -1 = none */
    struct command_mark marks[MARKS_MAX]; /* of the chunks taken last, in a ring */
    size_t marks_count;
    uint64_t output_size;
    bool is_too_big;
    enum guard_excess excess;
    uint8_t *buffer; /* FLOW_SIZE */
};

/* ---- states ---- */

static void change_state(struct pump *pump, enum pump_state state)
{
    assert(state > pump->state);
    pump->state = state;
    pump->deadline = INSTANT_NEVER;
    if (state == PUMP_STOPPING) {
        process_signal(&pump->process, SIGTERM);
        process_signal(&pump->process, SIGCONT); /* a stopped one would not hear it */
        pump->deadline = watch_now() + (duration)KILL_GRACE_MS * MILLISECOND;
    }
    if (state == PUMP_KILLED) process_signal(&pump->process, SIGKILL);
    if (state == PUMP_DRAINING)
        pump->deadline = watch_now() + (duration)DRAIN_GRACE_MS * MILLISECOND;
}

/* What it has not read yet stays countable (find_place): that needs an end of the pipe. Ours would
 * keep it from ending. */
static void close_in(struct pump *pump)
{
    char path[64];
    if (pump->process.in < 0) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", pump->process.in);
    pump->unread = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    close(pump->process.in);
    pump->process.in = -1;
}

/* The attempt is lost: nothing more goes in, nothing that comes out counts. */
static void stop(struct pump *pump, enum error error, enum pump_state state)
{
    close_in(pump);
    if (pump->error == ERROR_NONE && pump->excess == GUARD_NONE) pump->error = error;
    if (pump->state == PUMP_RUNNING) change_state(pump, state);
}

/* ---- pipes ---- */

static bool is_wanted(const struct pump *pump)
{
    return pump->error == ERROR_NONE && !pump->is_too_big && pump->excess == GUARD_NONE;
}

static void take_out(struct pump *pump, struct slice bytes)
{
    if (!is_wanted(pump)) return;
    uint64_t max = pump->command->output_size_max;
    if (max > 0 && bytes.count > max - pump->output_size) {
        pump->is_too_big = true;
        stop(pump, ERROR_NONE, PUMP_KILLED);
        return;
    }
    pump->output_size += bytes.count;
    enum error error = pump->out.take(pump->out.context, bytes);
    if (error == ERROR_NONE) return;
    if (error == ERROR_FULL && guard_fills_disk(pump->command->guard)) {
        pump->excess = GUARD_DISK;
        error = ERROR_NONE;
    }
    bool is_told = error == ERROR_CLOSED || error == ERROR_TIMEOUT;
    stop(pump, error, is_told ? PUMP_STOPPING : PUMP_KILLED);
}

static void take_err(struct pump *pump, struct slice bytes)
{
    const struct outflow *err = &pump->command->err;
    if (err->take == NULL) {
        report_take(pump->command->report, bytes);
        return;
    }
    enum error error = is_wanted(pump) ? err->take(err->context, bytes) : ERROR_NONE;
    if (error != ERROR_NONE) stop(pump, error, PUMP_KILLED);
}

/* Of our end of a pipe: what was read or written is not what the command meant, so nothing of it
 * counts. */
static void fail_pipe(struct pump *pump, const char *verb, const char *name)
{
    (void)trouble_note(&pump->command->scratch->trouble, verb, name);
    stop(pump, ERROR_SYSTEM, PUMP_KILLED);
}

/* Reads what is there, up to so many times; at the end of the pipe *fd is closed and -1. */
static void read_pipe(struct pump *pump, int *fd, int reads,
                      void (*take)(struct pump *pump, struct slice bytes))
{
    for (; reads > 0 && *fd >= 0; reads--) {
        ssize_t done = read(*fd, pump->buffer, FLOW_SIZE);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EAGAIN) return;
        if (done < 0) fail_pipe(pump, "read", "what the command printed");
        if (done <= 0) {
            close(*fd);
            *fd = -1;
            return;
        }
        take(pump, slice_of(pump->buffer, (size_t)done));
        if (done < FLOW_SIZE) return; /* less than asked for: it is empty */
    }
}

/* A chunk is about to go in: where it begins, and with which key. */
static void mark(struct pump *pump)
{
    struct command_mark *mark = &pump->marks[pump->marks_count++ % MARKS_MAX];
    size_t count =
        pump->pending.count < sizeof mark->text ? pump->pending.count : sizeof mark->text;
    mark->offset = pump->taken;
    memcpy(mark->text, pump->pending.at, count);
    mark->size = (uint8_t)count;
    pump->taken += pump->pending.count;
}

/* Writes until the pipe is full. A reader who is gone wants no more: that is its business. */
static void write_in(struct pump *pump)
{
    while (pump->process.in >= 0) {
        if (pump->pending.count == 0) {
            enum error error = pump->in.next(pump->in.context, &pump->pending);
            if (error != ERROR_NONE) {
                stop(pump, error, PUMP_KILLED);
                return;
            }
            if (pump->pending.count == 0) close_in(pump);
            if (pump->pending.count == 0) return;
            mark(pump);
        }
        ssize_t done = write(pump->process.in, pump->pending.at, pump->pending.count);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EAGAIN) return;
        if (done < 0 && errno != EPIPE) fail_pipe(pump, "write", "what the command reads");
        if (done < 0) close_in(pump);
        if (done < 0) return;
        size_t count = (size_t)done;
        pump->written += count;
        pump->pending = slice_of(pump->pending.at + count, pump->pending.count - count);
        if (pump->pending.count > 0) return;
    }
}

/* ---- the loop ---- */

static void look_for_excess(struct pump *pump)
{
    if (pump->state != PUMP_RUNNING || pump->excess != GUARD_NONE) return;
    pump->excess = guard_look(pump->command->guard, watch_now());
    if (pump->excess != GUARD_NONE) stop(pump, ERROR_NONE, PUMP_KILLED);
}

/* Takes in signals, exits and times. */
static void look_around(struct pump *pump)
{
    look_for_excess(pump);
    struct watch *watch = pump->command->scratch->watch;
    enum error error = watch_check(watch);
    /* Only now: watch_check takes SIGCHLD, and an end that it has taken must not be missed by us.
     */
    process_reap(&pump->process);
    if (error != ERROR_NONE) stop(pump, error, watch->is_orphan ? PUMP_KILLED : PUMP_STOPPING);
    bool is_late = pump->deadline != INSTANT_NEVER && watch_now() >= pump->deadline;
    if (pump->state == PUMP_STOPPING && (is_late || watch->is_orphan))
        change_state(pump, PUMP_KILLED);
    if (pump->process.is_over && pump->state < PUMP_DRAINING) {
        close_in(pump);
        change_state(pump, PUMP_DRAINING);
    }
}

static bool is_at_end(const struct pump *pump)
{
    if (pump->state != PUMP_DRAINING) return false;
    bool is_closed = pump->process.out < 0 && pump->process.err < 0;
    return is_closed || !is_wanted(pump) || watch_now() >= pump->deadline;
}

/* Milliseconds until the next deadline, rounded up; -1 = none. */
static int patience(const struct pump *pump)
{
    instant next = pump->deadline;
    if (pump->state == PUMP_RUNNING)
        next = instant_min(pump->command->scratch->watch->deadline, pump->command->guard->next);
    const struct live *live = pump->command->scratch->watch->live;
    if (live != NULL) next = instant_min(next, live_due(live));
    if (next == INSTANT_NEVER) return -1;
    duration left = next - watch_now();
    if (left <= 0) return 0;
    return left > (duration)60 * SECOND ? 60 * 1000 : (int)((left + MILLISECOND - 1) / MILLISECOND);
}

static void wait_and_move(struct pump *pump)
{
    struct pollfd polls[4] = {
        {.fd = pump->process.in, .events = POLLOUT}, /* a negative fd is ignored */
        {.fd = pump->process.out, .events = POLLIN},
        {.fd = pump->process.err, .events = POLLIN},
        {.fd = pump->command->scratch->watch->signals, .events = POLLIN},
    };
    if (poll(polls, 4, patience(pump)) <= 0) return;
    if (polls[2].revents != 0) read_pipe(pump, &pump->process.err, READS_MAX, take_err);
    if (polls[1].revents != 0) read_pipe(pump, &pump->process.out, READS_MAX, take_out);
    if (polls[0].revents != 0) write_in(pump);
}

/* All writers are gone, so the pipes end; a descriptor smuggled elsewhere ends them by EAGAIN. */
static void take_rest(struct pump *pump)
{
    enum {
        ALL = 1 << 20
    };
    read_pipe(pump, &pump->process.err, ALL, take_err);
    read_pipe(pump, &pump->process.out, ALL, take_out);
    report_end(pump->command->report);
}

/* How far it has read; what lies in the pipe it has not. */
static void find_place(const struct pump *pump, struct command_end *end)
{
    int unread = 0, fd = pump->process.in >= 0 ? pump->process.in : pump->unread;
    if (fd >= 0 && ioctl(fd, FIONREAD, &unread) != 0) unread = 0;
    end->read_size = pump->written - (uint64_t)unread;
    size_t first = pump->marks_count > MARKS_MAX ? pump->marks_count - MARKS_MAX : 0;
    for (size_t i = first; i < pump->marks_count; i++) {
        const struct command_mark *mark = &pump->marks[i % MARKS_MAX];
        if (i == first || mark->offset < end->read_size) end->mark = *mark;
    }
}

enum error command_run(const struct command *command, struct inflow in, struct outflow out,
                       struct command_end *end)
{
    struct pump pump = {
        .command = command, .in = in, .out = out, .deadline = INSTANT_NEVER, .unread = -1};
    *end = (struct command_end){.is_too_big = false};
    pump.buffer = memory_take(command->scratch->memory, FLOW_SIZE);
    if (pump.buffer == NULL) return ERROR_MEMORY;
    pump.error = process_start(&pump.process, command->text, command->directory,
                               command->environment, command->confine);
    if (pump.error == ERROR_SYSTEM) {
        const char *failed = command->confine->failed;
        const char *what = failed != NULL ? failed : "the command";
        (void)trouble_note(&command->scratch->trouble, failed != NULL ? "apply" : "start", what);
    }
    if (pump.error == ERROR_NONE) {
        for (look_around(&pump); !is_at_end(&pump); look_around(&pump)) wait_and_move(&pump);
        process_end_all(&pump.process);
        take_rest(&pump);
        *end = (struct command_end){
            .is_too_big = pump.is_too_big, .excess = pump.excess, .status = pump.process.status};
        find_place(&pump, end);
    }
    if (pump.unread >= 0) close(pump.unread);
    process_close(&pump.process);
    memory_put(command->scratch->memory, pump.buffer, FLOW_SIZE);
    return pump.error;
}
