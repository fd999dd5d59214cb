/* Forking a daemon, starting a program and linking it takes longer than a brief command does. So an
 * mrtask is started once, and does one attempt after the other:
 *
 *             take                    told to stop
 *   WAITING -------> TAKEN ----------------------------> ENDING --process and socket gone--> freed
 *      ^    <-------   |                                   ^
 *      |       put     +--- it ends, or talks nonsense ----+
 *      +--- idle for a minute (one stays), or it has served its time: its socket is closed --^
 *
 * What waits is a process like any other of ours: it ends with us (its socket closes, PDEATHSIG),
 * and when one dies, whoever has it learns so, and nobody else does. Answers are read to the last
 * before an end is told: a result that was written counts, whatever happened next.
 *
 * No helper is ever shared by two attempts at once, and one that was told to stop gets no other. */
#include "io/helper.h"

#include "io/confinement.h"
#include "io/loop.h"
#include "mapreduce/serving.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 256 << 10, /* more than SERVING_FRAME_MAX; of it, touched pages count */
    ARENA_SIZE = 64 << 10,   /* one decoded message: its bytes are borrowed */
    IDLE_MS = 60000,         /* between two jobs of somebody who thinks */
    KEPT = 1,                /* waits for as long as we live: for the job that comes alone */
    SERVED_MAX = 500,        /* attempts; what mrtask might have forgotten goes with it */
    PATIENCE_MS = 5000,      /* after TERM: mrtask grants its command 2 s of them */
};

enum helper_state {
    HELPER_WAITING,
    HELPER_TAKEN,
    HELPER_ENDING,
};

struct helper {
    struct helpers *helpers;
    struct helper *next;
    enum helper_state state;
    struct helper_user *user; /* NULL: nobody has it */
    unsigned served;
    bool is_stopped; /* it gets no other attempt */
    bool is_spawned; /* else there is no process, and never was */
    bool has_exited;
    bool is_silent; /* the socket is at its end */
    int64_t status;
    int signal;
    unsigned handles_count;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer; /* WAITING: idle; ENDING: patience */
    size_t size;
    uint8_t *bytes; /* BUFFER_SIZE: answers that have come */
};

struct helpers {
    struct loop *loop;
    struct helper *first; /* those that have waited least come first */
    bool is_over;         /* the loop stops */
    char mrtask[FILE_PATH_MAX];
    char path[FILE_PATH_MAX]; /* "PATH=..." */
    char why[64];
    _Alignas(16) uint8_t arena[ARENA_SIZE];
};

/* A message on its way. */
struct sending {
    uv_write_t request;
    uint8_t bytes[];
};

/* ---- the end ---- */

static void helper_unlink(struct helper *helper)
{
    struct helper **link = &helper->helpers->first;
    while (*link != helper) link = &(*link)->next;
    *link = helper->next;
}

static void on_closed(uv_handle_t *handle)
{
    struct helper *helper = handle->data;
    if (--helper->handles_count > 0) return;
    helper_unlink(helper);
    free(helper->bytes);
    free(helper);
}

static void close_handles(struct helper *helper)
{
    struct helper_user *user = helper->user;
    helper->state = HELPER_ENDING;
    helper->user = NULL;
    helper->handles_count = 3;
    uv_close((uv_handle_t *)&helper->process, on_closed);
    uv_close((uv_handle_t *)&helper->pipe, on_closed);
    uv_close((uv_handle_t *)&helper->timer, on_closed);
    if (user != NULL) user->ended(user, helper->status, helper->signal);
}

/* Its process is gone, and what it wrote has been read. */
static void end_if_gone(struct helper *helper)
{
    if (helper->has_exited && helper->is_silent && helper->handles_count == 0)
        close_handles(helper);
}

static void kill_now(struct helper *helper)
{
    helper->is_stopped = true;
    if (!helper->has_exited) (void)uv_process_kill(&helper->process, SIGKILL);
}

/* One that is gone has nothing more to say, whoever holds its end of the socket. */
static void on_impatient(uv_timer_t *timer)
{
    struct helper *helper = timer->data;
    kill_now(helper);
    helper->is_silent = helper->is_silent || helper->has_exited;
    end_if_gone(helper);
}

static void on_exited(uv_process_t *process, int64_t status, int number)
{
    struct helper *helper = process->data;
    if (helper->user == NULL && !helper->is_stopped)
        trace_line(&helper->helpers->loop->trace, TRACE_WARN,
                   "event=helper_ended pid=%d status=%lld signal=%d", process->pid,
                   (long long)status, number);
    helper->has_exited = helper->is_stopped = true;
    helper->status = status;
    helper->signal = number;
    (void)uv_timer_start(&helper->timer, on_impatient, PATIENCE_MS, 0);
    end_if_gone(helper);
}

/* Nobody has it, and it is not needed: it ends when it sees that its socket is closed. */
static void dismiss(struct helper *helper)
{
    helper->state = HELPER_ENDING;
    helper->is_stopped = true;
    (void)uv_process_kill(&helper->process, SIGTERM);
    (void)uv_timer_start(&helper->timer, on_impatient, PATIENCE_MS, 0);
}

static size_t waiting_count(const struct helpers *helpers)
{
    size_t count = 0;
    for (const struct helper *at = helpers->first; at != NULL; at = at->next)
        count += at->state == HELPER_WAITING;
    return count;
}

static void on_idle(uv_timer_t *timer)
{
    struct helper *helper = timer->data;
    if (waiting_count(helper->helpers) > KEPT) dismiss(helper);
}

/* ---- answers ---- */

static size_t frame_size(const uint8_t *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

static bool has_frame(const struct helper *helper, size_t at)
{
    return helper->size - at >= 4 && helper->size - at - 4 >= frame_size(helper->bytes + at);
}

static bool tell(struct helper *helper, struct slice bytes, bool has_more)
{
    struct arena arena;
    struct wire_message message;
    arena_init(&arena, helper->helpers->arena, ARENA_SIZE);
    if (wire_unpack(&bytes, &message, &arena) != NULL || bytes.count > 0) return false;
    return helper->user != NULL && helper->user->told(helper->user, &message, has_more);
}

static void take_answers(struct helper *helper)
{
    size_t at = 0;
    bool is_good = true;
    while (is_good && has_frame(helper, at)) {
        size_t size = frame_size(helper->bytes + at);
        struct slice bytes = slice_of(helper->bytes + at + 4, size);
        at += 4 + size;
        is_good = tell(helper, bytes, has_frame(helper, at));
    }
    memmove(helper->bytes, helper->bytes + at, helper->size - at);
    helper->size -= at;
    if (!is_good || helper->size == BUFFER_SIZE) {
        kill_now(helper);
        helper->size = 0;
    }
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    struct helper *helper = handle->data;
    (void)wanted;
    *buffer =
        uv_buf_init((char *)helper->bytes + helper->size, (unsigned)(BUFFER_SIZE - helper->size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct helper *helper = stream->data;
    (void)buffer;
    if (count >= 0) {
        helper->size += (size_t)count;
        take_answers(helper);
        return;
    }
    (void)uv_read_stop(stream);
    helper->is_silent = true;
    kill_now(helper); /* should it live, without ears */
    end_if_gone(helper);
}

/* ---- the beginning ---- */

static int spawn(struct helper *helper)
{
    struct helpers *helpers = helper->helpers;
    struct confinement_call call;
    confinement_arguments(helpers->loop->confinement, helpers->mrtask, &call);
    char *environment[] = {helpers->path, NULL};
    bool has_stderr = fcntl(STDERR_FILENO, F_GETFD) >= 0; /* where its assertions are to be read */
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&helper->pipe},
        {.flags = UV_IGNORE},
        {.flags = has_stderr ? UV_INHERIT_FD : UV_IGNORE, .data.fd = STDERR_FILENO}};
    uv_process_options_t options = {.exit_cb = on_exited,
                                    .file = helpers->mrtask,
                                    .args = call.arguments,
                                    .env = environment,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = streams};
    return uv_spawn(&helpers->loop->uv, &helper->process, &options);
}

static struct helper *start(struct helpers *helpers, const char **why)
{
    struct helper *helper = calloc(1, sizeof *helper);
    uint8_t *bytes = malloc(BUFFER_SIZE);
    uv_loop_t *uv = &helpers->loop->uv;
    *why = "no memory for another mrtask";
    if (helper == NULL || bytes == NULL) {
        free(helper);
        free(bytes);
        return NULL;
    }
    helper->helpers = helpers;
    helper->bytes = bytes;
    helper->next = helpers->first;
    helpers->first = helper;
    if (uv_pipe_init(uv, &helper->pipe, 0) != 0 || uv_timer_init(uv, &helper->timer) != 0) abort();
    helper->process.data = helper->pipe.data = helper->timer.data = helper;
    int status = spawn(helper);
    helper->is_spawned = status == 0;
    if (status == 0) status = uv_read_start((uv_stream_t *)&helper->pipe, on_room, on_read);
    if (status == 0) return helper;
    snprintf(helpers->why, sizeof helpers->why, "mrtask can't be started: %s", uv_strerror(status));
    *why = helpers->why;
    if (helper->is_spawned) {
        helper->state = HELPER_ENDING;
        helper->is_silent = true;
        kill_now(helper);
    } else {
        close_handles(helper); /* a handle is made even so */
    }
    return NULL;
}

/* ---- taking, sending, putting back ---- */

struct helper *helpers_take(struct helpers *helpers, struct helper_user *user, const char **why)
{
    struct helper *helper = helpers->first;
    *why = "this node stops";
    if (helpers->is_over) return NULL;
    while (helper != NULL && (helper->state != HELPER_WAITING || helper->is_stopped))
        helper = helper->next;
    if (helper == NULL) helper = start(helpers, why);
    if (helper == NULL) return NULL;
    (void)uv_timer_stop(&helper->timer);
    helper->state = HELPER_TAKEN;
    helper->user = user;
    return helper;
}

static void on_sent(uv_write_t *request, int status)
{
    (void)status; /* its end tells */
    free(request->data);
}

bool helper_send(struct helper *helper, const struct wire_schema *schema, const void *fields)
{
    assert(helper->state == HELPER_TAKEN);
    size_t size = wire_packed_size(schema, fields);
    struct sending *sending = malloc(sizeof *sending + 4 + size);
    if (sending == NULL) return false;
    struct writer writer = writer_of(sending->bytes + 4, size);
    bool fits = wire_pack(schema, fields, &writer) && size <= SERVING_FRAME_MAX;
    assert(fits);
    (void)fits;
    for (unsigned i = 0; i < 4; i++) sending->bytes[i] = (uint8_t)(size >> (8 * i));
    uv_buf_t buffer = uv_buf_init((char *)sending->bytes, (unsigned)(4 + size));
    sending->request.data = sending;
    if (uv_write(&sending->request, (uv_stream_t *)&helper->pipe, &buffer, 1, on_sent) == 0)
        return true;
    free(sending);
    kill_now(helper);
    return false;
}

void helper_put(struct helper *helper, bool is_sound)
{
    struct helpers *helpers = helper->helpers;
    assert(helper->state == HELPER_TAKEN);
    helper->user = NULL;
    helper->served++;
    helper->state = HELPER_WAITING;
    if (helper->is_stopped) {
        helper->state = HELPER_ENDING; /* its patience goes on */
        return;
    }
    if (!is_sound || helper->served >= SERVED_MAX || helpers->is_over) {
        dismiss(helper);
        return;
    }
    helper_unlink(helper);
    helper->next = helpers->first;
    helpers->first = helper;
    (void)uv_timer_start(&helper->timer, on_idle, IDLE_MS, 0);
}

void helper_stop(struct helper *helper)
{
    if (helper->is_stopped) return;
    helper->is_stopped = true;
    (void)uv_process_kill(&helper->process, SIGTERM);
    (void)uv_timer_start(&helper->timer, on_impatient, PATIENCE_MS, 0);
}

pid_t helper_process(const struct helper *helper) { return helper->process.pid; }

size_t helpers_processes(const struct helpers *helpers, pid_t *pids, size_t max)
{
    size_t count = 0;
    for (const struct helper *at = helpers->first; at != NULL && count < max; at = at->next)
        if (at->is_spawned && !at->has_exited) pids[count++] = at->process.pid;
    return count;
}

/* ---- life ---- */

/* mrtask is where mrnode is; else it is looked for on the PATH. */
static void find_mrtask(struct helpers *helpers)
{
    char own[FILE_PATH_MAX];
    const char *path = getenv("PATH");
    ssize_t count = readlink("/proc/self/exe", own, sizeof own - 1);
    own[count > 0 ? count : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash != NULL) *slash = '\0';
    if (!file_path(helpers->mrtask, "%s/mrtask", own) || access(helpers->mrtask, X_OK) != 0)
        memcpy(helpers->mrtask, "mrtask", sizeof "mrtask");
    if (path == NULL || !file_path(helpers->path, "PATH=%s", path))
        memcpy(helpers->path, "PATH=/usr/local/bin:/usr/bin:/bin",
               sizeof "PATH=/usr/local/bin:/usr/bin:/bin");
}

enum error helpers_open(struct loop *loop, struct helpers **out)
{
    struct helpers *helpers = calloc(1, sizeof *helpers);
    if (helpers == NULL) return ERROR_MEMORY;
    helpers->loop = loop;
    find_mrtask(helpers);
    *out = helpers;
    return ERROR_NONE;
}

void helpers_close(struct helpers *helpers)
{
    helpers->is_over = true;
    for (struct helper *at = helpers->first; at != NULL; at = at->next)
        if (at->is_spawned) kill_now(at);
}

void helpers_free(struct helpers *helpers)
{
    if (helpers == NULL) return;
    assert(helpers->first == NULL);
    free(helpers);
}
