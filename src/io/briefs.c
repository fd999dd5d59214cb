/* A built-in over a few bytes takes microseconds; a directory, a process and files for its spec and
 * its result take milliseconds. So one mrtask serves all of them (mapreduce/serving.h): specs go
 * over a socket, results come back in the same order, many at a time.
 *
 *   NONE --first brief task--> UP --idle for some seconds, or it dies--> CLOSING --> NONE
 *
 * No code of a user's ever runs in it: what a task of that kind could spoil is our own doing. What
 * it owes when it dies was not started, and is claimed again; for a while tasks then run as others
 * do. */
#include "io/briefs.h"

#include "io/loop.h"
#include "mapreduce/serving.h"
#include "wire/kinds.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

enum {
    BUFFER_SIZE = 256 << 10,
    IDLE_MS = 5000,       /* between two jobs of a script, not over night */
    REST = 10 * SECOND,   /* after it has died of itself */
    ARENA_SIZE = 8 << 10, /* one decoded result: its bytes are borrowed */
    INPUT_MAX = 16384,    /* as task_brief */
};

enum briefs_state {
    BRIEFS_NONE,
    BRIEFS_UP,
    BRIEFS_CLOSING,
};

struct briefs {
    struct loop *loop;
    const char *mrtask;
    char *path;
    enum briefs_state state;
    unsigned handles_count;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t idle;
    bool is_spawned;
    bool is_over; /* the loop stops */
    instant rests_until;
    uint64_t *tokens; /* a queue: what it owes, in order */
    size_t tokens_capacity, tokens_first, tokens_count;
    size_t size;
    uint8_t *bytes; /* BUFFER_SIZE: of results that have come */
    _Alignas(16) uint8_t arena[ARENA_SIZE];
};

/* A frame on its way. */
struct sending {
    uv_write_t request;
    uint8_t bytes[];
};

/* ---- the queue ---- */

static bool queue_reserve(struct briefs *briefs)
{
    if (briefs->tokens_first + briefs->tokens_count < briefs->tokens_capacity) return true;
    if (briefs->tokens_first > 0) {
        memmove(briefs->tokens, briefs->tokens + briefs->tokens_first,
                briefs->tokens_count * sizeof *briefs->tokens);
        briefs->tokens_first = 0;
        if (briefs->tokens_count < briefs->tokens_capacity) return true;
    }
    size_t capacity = briefs->tokens_capacity == 0 ? 64 : 2 * briefs->tokens_capacity;
    uint64_t *tokens = realloc(briefs->tokens, capacity * sizeof *tokens);
    if (tokens == NULL) return false;
    briefs->tokens = tokens;
    briefs->tokens_capacity = capacity;
    return true;
}

static uint64_t queue_take(struct briefs *briefs)
{
    briefs->tokens_count--;
    return briefs->tokens[briefs->tokens_first++];
}

/* ---- the end ---- */

static void tell_lost(struct briefs *briefs)
{
    static const struct msg_task_result lost = {
        .outcome = OUTCOME_NOT_STARTED,
        .text = {(const uint8_t *)"the mrtask for brief tasks has died", 35},
    };
    while (briefs->tokens_count > 0 && !briefs->is_over) {
        struct event event = {.kind = EVENT_TASK_FINISHED};
        event.task_finished.token = queue_take(briefs);
        event.task_finished.result = &lost;
        loop_feed(briefs->loop, &event);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct briefs *briefs = handle->data;
    if (--briefs->handles_count > 0) return;
    briefs->state = BRIEFS_NONE;
    briefs->is_spawned = false;
    tell_lost(briefs);
}

static void begin_close(struct briefs *briefs)
{
    if (briefs->state != BRIEFS_UP) return;
    briefs->state = BRIEFS_CLOSING;
    briefs->handles_count = 2;
    uv_close((uv_handle_t *)&briefs->pipe, on_closed);
    uv_close((uv_handle_t *)&briefs->idle, on_closed);
    if (!briefs->is_spawned) return;
    briefs->handles_count = 3;
    /* It has its end of the socket closed, and ends; on_ended closes the handle. */
    if (briefs->is_over) (void)uv_process_kill(&briefs->process, SIGKILL);
}

static void on_ended(uv_process_t *process, int64_t status, int number)
{
    struct briefs *briefs = process->data;
    if (briefs->state == BRIEFS_UP && !briefs->is_over) {
        trace_line(&briefs->loop->trace, TRACE_WARN,
                   "event=briefs_ended status=%lld signal=%d owed=%zu", (long long)status, number,
                   briefs->tokens_count);
        briefs->rests_until = loop_now() + REST;
    }
    begin_close(briefs);
    uv_close((uv_handle_t *)process, on_closed);
}

/* What it says makes no sense, or it reads no more. */
static void give_up(struct briefs *briefs)
{
    if (briefs->state == BRIEFS_UP) (void)uv_process_kill(&briefs->process, SIGKILL);
}

static void on_idle(uv_timer_t *timer)
{
    struct briefs *briefs = timer->data;
    if (briefs->tokens_count == 0) begin_close(briefs);
}

/* ---- results ---- */

static size_t frame_size(const uint8_t *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

static bool has_frame(const struct briefs *briefs, size_t at)
{
    return briefs->size - at >= 4 && briefs->size - at - 4 >= frame_size(briefs->bytes + at);
}

/* False: it is no result of what is owed next. */
static bool tell_result(struct briefs *briefs, struct slice bytes, bool has_more)
{
    struct arena arena;
    struct wire_message message;
    arena_init(&arena, briefs->arena, ARENA_SIZE);
    if (wire_unpack(&bytes, &message, &arena) != NULL || bytes.count > 0) return false;
    if (message.type != MSG_task_brief_result || briefs->tokens_count == 0) return false;
    const struct msg_task_brief_result *said = message.fields;
    if (said->token != briefs->tokens[briefs->tokens_first]) return false;
    struct msg_task_result result = {.outcome = said->outcome,
                                     .status = said->status,
                                     .output = {said->digest, said->output.count},
                                     .records = said->records,
                                     .text = said->text};
    struct event event = {.kind = EVENT_TASK_FINISHED, .has_more = has_more};
    event.task_finished.token = queue_take(briefs);
    event.task_finished.result = &result;
    event.task_finished.is_small = said->outcome == OUTCOME_DONE;
    event.task_finished.bytes = said->output;
    loop_feed(briefs->loop, &event);
    return true;
}

static void take_results(struct briefs *briefs)
{
    size_t at = 0;
    bool is_good = true;
    while (is_good && briefs->state == BRIEFS_UP && has_frame(briefs, at)) {
        size_t size = frame_size(briefs->bytes + at);
        struct slice bytes = slice_of(briefs->bytes + at + 4, size);
        at += 4 + size;
        is_good = tell_result(briefs, bytes, has_frame(briefs, at));
    }
    memmove(briefs->bytes, briefs->bytes + at, briefs->size - at);
    briefs->size -= at;
    if (!is_good || briefs->size == BUFFER_SIZE) give_up(briefs);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    struct briefs *briefs = handle->data;
    (void)wanted;
    *buffer =
        uv_buf_init((char *)briefs->bytes + briefs->size, (unsigned)(BUFFER_SIZE - briefs->size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct briefs *briefs = stream->data;
    (void)buffer;
    if (count < 0) {
        give_up(briefs); /* on_ended does the rest */
        return;
    }
    briefs->size += (size_t)count;
    take_results(briefs);
    if (briefs->state == BRIEFS_UP) (void)uv_timer_start(&briefs->idle, on_idle, IDLE_MS, 0);
}

/* ---- tasks ---- */

static bool start(struct briefs *briefs)
{
    uv_loop_t *uv = &briefs->loop->uv;
    char *arguments[] = {(char *)(uintptr_t)briefs->mrtask, (char *)(uintptr_t) "--serve", NULL};
    char *environment[] = {briefs->path, NULL};
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&briefs->pipe},
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_ended,
                                    .file = briefs->mrtask,
                                    .args = arguments,
                                    .env = environment,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = streams};
    if (uv_pipe_init(uv, &briefs->pipe, 0) != 0 || uv_timer_init(uv, &briefs->idle) != 0) abort();
    briefs->process = (uv_process_t){.data = briefs};
    briefs->pipe.data = briefs->idle.data = briefs;
    briefs->size = 0;
    briefs->state = BRIEFS_UP;
    briefs->is_spawned = uv_spawn(uv, &briefs->process, &options) == 0;
    if (briefs->is_spawned && uv_read_start((uv_stream_t *)&briefs->pipe, on_room, on_read) == 0)
        return true;
    briefs->rests_until = loop_now() + REST;
    if (briefs->is_spawned) {
        give_up(briefs);
        return false;
    }
    begin_close(briefs);
    briefs->handles_count++; /* a handle is made even so */
    uv_close((uv_handle_t *)&briefs->process, on_closed);
    return false;
}

static void on_sent(uv_write_t *request, int status)
{
    (void)status; /* its end tells */
    free(request->data);
}

static bool send_brief(struct briefs *briefs, const struct action *action)
{
    const struct msg_task_brief ask = {.token = action->task_run.token,
                                       .command = action->task_run.spec.command,
                                       .input = action->task_run.inputs[0].bytes};
    size_t size = wire_packed_size(&wire_task_brief, &ask);
    struct sending *sending = malloc(sizeof *sending + 4 + size);
    if (sending == NULL) return false;
    struct writer writer = writer_of(sending->bytes + 4, size);
    bool fits = wire_pack(&wire_task_brief, &ask, &writer);
    assert(fits);
    (void)fits;
    for (unsigned i = 0; i < 4; i++) sending->bytes[i] = (uint8_t)(size >> (8 * i));
    uv_buf_t buffer = uv_buf_init((char *)sending->bytes, (unsigned)(4 + size));
    sending->request.data = sending;
    if (uv_write(&sending->request, (uv_stream_t *)&briefs->pipe, &buffer, 1, on_sent) == 0)
        return true;
    free(sending);
    return false;
}

bool briefs_run(struct briefs *briefs, const struct action *action)
{
    bool is_down = briefs->state == BRIEFS_CLOSING || briefs->is_over;
    if (!action->task_run.is_brief || is_down || loop_now() < briefs->rests_until) return false;
    if (action->task_run.inputs[0].bytes.count > INPUT_MAX || !queue_reserve(briefs)) return false;
    if (briefs->state == BRIEFS_NONE && !start(briefs)) return false;
    if (!send_brief(briefs, action)) return false;
    briefs->tokens[briefs->tokens_first + briefs->tokens_count++] = action->task_run.token;
    return true;
}

pid_t briefs_process(const struct briefs *briefs)
{
    return briefs->is_spawned ? briefs->process.pid : 0;
}

/* ---- life ---- */

enum error briefs_open(struct loop *loop, const char *mrtask, char *path, struct briefs **out)
{
    struct briefs *briefs = calloc(1, sizeof *briefs);
    uint8_t *bytes = malloc(BUFFER_SIZE);
    if (briefs == NULL || bytes == NULL) {
        free(briefs);
        free(bytes);
        return ERROR_MEMORY;
    }
    briefs->loop = loop;
    briefs->mrtask = mrtask;
    briefs->path = path;
    briefs->bytes = bytes;
    *out = briefs;
    return ERROR_NONE;
}

void briefs_close(struct briefs *briefs)
{
    briefs->is_over = true;
    begin_close(briefs);
}

void briefs_free(struct briefs *briefs)
{
    if (briefs == NULL) return;
    assert(briefs->state == BRIEFS_NONE);
    free(briefs->tokens);
    free(briefs->bytes);
    free(briefs);
}
