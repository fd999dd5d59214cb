/* Of brief tasks it reads as many as there are, and answers all of them with one write: a daemon
 * that hands over many at once gets many results at once.
 *
 * An attempt leaves nothing in here for the next one: its processes are gone before its result is
 * told, its memory is given back, its descriptors are closed. User code never runs in this process,
 * so what is left is what we forgot, and the daemon takes a fresh mrtask after some hundred.
 * SIGTERM is about the attempt at hand; should it come late, it ends a process that only waits. */
#include "mapreduce/serving.h"

#include "mapreduce/builtin.h"
#include "mapreduce/confine.h"
#include "mapreduce/task.h"
#include "mapreduce/watch.h"
#include "wire/kinds.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 256 << 10, /* more than SERVING_FRAME_MAX */
    OUTPUT_MAX = 16384,      /* as task_brief_result and task_ended */
    BRIEF_MAX = 24 << 10,    /* a task_brief_result, and its size before it */
    ARENA_SIZE = 64 << 10,
    KEPT_MAX = 3 << 20,   /* of the allocator, for the next attempt: a brief one's buffers */
    MAPPED_MIN = 1 << 20, /* larger ones come from the system, and go back at once */
    LULL_MS = 1000,       /* nothing came for so long: what was kept goes back, too */
};

struct serving {
    struct confine *confine;
    bool is_over;   /* told to end */
    bool has_slack; /* an attempt was done since the allocator gave back what it keeps */
    uint8_t input[BUFFER_SIZE], output[BUFFER_SIZE];
    size_t input_size, output_size;
    _Alignas(16) uint8_t arena[ARENA_SIZE];
};

/* One task's bytes, in and out. */
struct brief {
    struct slice rest;
    uint8_t bytes[OUTPUT_MAX];
    size_t size;
};

static enum error next(void *context, struct slice *bytes)
{
    struct brief *brief = context;
    *bytes = brief->rest;
    brief->rest.count = 0;
    return ERROR_NONE;
}

static enum error take(void *context, struct slice bytes)
{
    struct brief *brief = context;
    if (bytes.count > OUTPUT_MAX - brief->size) return ERROR_FULL;
    if (bytes.count > 0) memcpy(brief->bytes + brief->size, bytes.at, bytes.count);
    brief->size += bytes.count;
    return ERROR_NONE;
}

static uint64_t count_lines(struct slice bytes)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bytes.count; i++) count += bytes.at[i] == '\n';
    return count;
}

static void put(struct serving *serving, const struct wire_schema *schema, const void *result)
{
    uint8_t *at = serving->output + serving->output_size;
    struct writer writer = writer_of(at + 4, BUFFER_SIZE - serving->output_size - 4);
    bool fits = wire_pack(schema, result, &writer);
    assert(fits); /* room was made before */
    (void)fits;
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(writer.written >> (8 * i));
    serving->output_size += 4 + writer.written;
}

/* ---- brief tasks ---- */

static void serve_brief(struct serving *serving, const struct msg_task_brief *ask)
{
    struct memory memory;
    struct watch watch = {.signals = -1, .deadline = INSTANT_NEVER};
    struct scratch scratch = {.memory = &memory, .watch = &watch, .directory = -1};
    struct brief brief = {.rest = ask->input};
    struct msg_task_brief_result result = {.token = ask->token, .outcome = OUTCOME_DONE};
    char why[BUILTIN_WHY_SIZE] = "";
    memory_init(&memory, SIZE_MAX);
    enum error error = builtin_run(ask->command, true, &scratch, (struct inflow){next, &brief},
                                   (struct outflow){take, &brief}, why);
    if (error == ERROR_INVALID) {
        result.outcome = OUTCOME_EXITED;
        result.status = 1;
    } else if (error != ERROR_NONE) {
        result.outcome = error == ERROR_MEMORY ? OUTCOME_NO_MEMORY : OUTCOME_NOT_STARTED;
        snprintf(why, sizeof why, "%s", error_text(error));
    }
    if (error == ERROR_NONE) {
        result.output = slice_of(brief.bytes, brief.size);
        result.records = count_lines(result.output);
        crypto_sodium.digest(result.output, &result.digest);
    } else {
        result.text = slice_string(why);
    }
    put(serving, &wire_task_brief_result, &result);
}

static bool write_all(struct serving *serving)
{
    for (size_t at = 0; at < serving->output_size;) {
        ssize_t count = write(STDIN_FILENO, serving->output + at, serving->output_size - at);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        at += (size_t)count;
    }
    serving->output_size = 0;
    return true;
}

/* ---- attempts ---- */

/* The attempt whose result is told. */
struct assigned {
    struct serving *serving;
    uint64_t token;
};

static int tell(void *context, const struct msg_task_result *result, bool is_small,
                struct slice output)
{
    const struct assigned *assigned = context;
    struct msg_task_ended ended = {.token = assigned->token,
                                   .result = *result,
                                   .is_small = is_small,
                                   .output = is_small ? output : slice_of(NULL, 0)};
    put(assigned->serving, &wire_task_ended, &ended);
    return write_all(assigned->serving) ? 0 : 1;
}

static bool text_of(struct slice bytes, char text[4097])
{
    if (bytes.count == 0 || bytes.count > 4096 || memchr(bytes.at, '\0', bytes.count) != NULL)
        return false;
    memcpy(text, bytes.at, bytes.count);
    text[bytes.count] = '\0';
    return true;
}

static void trim(struct serving *serving)
{
    (void)malloc_trim(0);
    serving->has_slack = false;
}

/* Pages that are given back are made anew, and zeroed, for the attempt that comes next: while it
 * may come at once, they stay. */
static void await_message(struct serving *serving)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (serving->has_slack && poll(&input, 1, LULL_MS) == 0) trim(serving);
}

/* What the attempt blocked and took is as it was: a SIGTERM that came too late for it ends us. Its
 * result has been told: for what is done here nobody waits. */
static void wait_again(struct serving *serving)
{
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    serving->has_slack = true;
    if (mallinfo2().arena > KEPT_MAX) trim(serving);
    confine_prepare(serving->confine, watch_now());
}

static bool serve_attempt(struct serving *serving, const struct msg_task_assign *ask)
{
    char directory[4097], commands[4097];
    struct assigned assigned = {serving, ask->token};
    struct task_order order = {.directory = directory,
                               .commands = commands,
                               .confine = serving->confine,
                               .spec = ask->spec,
                               .carried = ask->carried,
                               .small_max = ask->small_max,
                               .tell = tell,
                               .context = &assigned};
    if (!text_of(ask->directory, directory) || !text_of(ask->commands, commands)) return false;
    if (ask->small_max > OUTPUT_MAX || !write_all(serving)) return false;
    serving->confine->user = ask->user;
    bool is_good = task_run(&order, &serving->is_over) == 0;
    if (!serving->is_over) wait_again(serving);
    return is_good;
}

/* ---- all of them ---- */

/* False: what came is none of ours, or nobody hears the answer. */
static bool serve_one(struct serving *serving, struct slice bytes)
{
    struct arena arena;
    struct wire_message message;
    arena_init(&arena, serving->arena, ARENA_SIZE);
    if (wire_unpack(&bytes, &message, &arena) != NULL || bytes.count > 0) return false;
    if (message.type == MSG_task_assign) return serve_attempt(serving, message.fields);
    if (message.type != MSG_task_brief) return false;
    if (BUFFER_SIZE - serving->output_size < BRIEF_MAX && !write_all(serving)) return false;
    serve_brief(serving, message.fields);
    return true;
}

/* All whole messages in the buffer. */
static bool serve_all(struct serving *serving)
{
    size_t at = 0;
    while (serving->input_size - at >= 4 && !serving->is_over) {
        const uint8_t *head = serving->input + at;
        size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
        if (head[3] != 0 || size > SERVING_FRAME_MAX) return false;
        if (serving->input_size - at - 4 < size) break;
        if (!serve_one(serving, slice_of(head + 4, size))) return false;
        at += 4 + size;
    }
    memmove(serving->input, serving->input + at, serving->input_size - at);
    serving->input_size -= at;
    return write_all(serving);
}

int serving_run(struct confine *confine)
{
    /* With the daemon the other end of the socket closes: that ends us, too. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_MIN);
    struct serving *serving = malloc(sizeof *serving);
    if (serving == NULL) return 1;
    serving->confine = confine;
    serving->is_over = serving->has_slack = false;
    serving->input_size = serving->output_size = 0;
    int code = 0;
    while (!serving->is_over) {
        await_message(serving);
        ssize_t count = read(STDIN_FILENO, serving->input + serving->input_size,
                             BUFFER_SIZE - serving->input_size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        serving->input_size += (size_t)count;
        if (!serve_all(serving)) {
            code = 1;
            break;
        }
    }
    free(serving);
    return code;
}
