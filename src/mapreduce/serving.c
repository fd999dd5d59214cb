/* Reads as much as there is, answers all of it with one write: a daemon that hands over many tasks
 * at once gets many results at once. */
#include "mapreduce/serving.h"

#include "mapreduce/builtin.h"
#include "mapreduce/watch.h"
#include "wire/kinds.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 256 << 10,
    OUTPUT_MAX = 16384, /* as task_brief_result */
    ARENA_SIZE = 64 << 10,
};

struct serving {
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

static void put(struct serving *serving, const struct msg_task_brief_result *result)
{
    uint8_t *at = serving->output + serving->output_size;
    struct writer writer = writer_of(at + 4, BUFFER_SIZE - serving->output_size - 4);
    bool fits = wire_pack(&wire_task_brief_result, result, &writer);
    assert(fits); /* room was made before */
    (void)fits;
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(writer.written >> (8 * i));
    serving->output_size += 4 + writer.written;
}

static void serve(struct serving *serving, const struct msg_task_brief *ask)
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
        result.outcome = OUTCOME_NOT_STARTED;
        snprintf(why, sizeof why, "%s", error_text(error));
    }
    if (error == ERROR_NONE) {
        result.output = slice_of(brief.bytes, brief.size);
        result.records = count_lines(result.output);
        crypto_sodium.digest(result.output, &result.digest);
    } else {
        result.text = slice_string(why);
    }
    put(serving, &result);
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

/* All whole messages in the buffer. False: what came is none of ours. */
static bool serve_all(struct serving *serving)
{
    size_t at = 0;
    while (serving->input_size - at >= 4) {
        const uint8_t *head = serving->input + at;
        size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
        struct arena arena;
        struct wire_message message;
        if (head[3] != 0 || size > SERVING_FRAME_MAX) return false;
        if (serving->input_size - at - 4 < size) break;
        struct slice bytes = slice_of(head + 4, size);
        arena_init(&arena, serving->arena, ARENA_SIZE);
        if (wire_unpack(&bytes, &message, &arena) != NULL || bytes.count > 0) return false;
        if (message.type != MSG_task_brief) return false;
        if (BUFFER_SIZE - serving->output_size < SERVING_FRAME_MAX && !write_all(serving))
            return false;
        serve(serving, message.fields);
        at += 4 + size;
    }
    memmove(serving->input, serving->input + at, serving->input_size - at);
    serving->input_size -= at;
    return write_all(serving);
}

int serving_run(void)
{
    /* With the daemon the other end of the socket closes: that ends us, too. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct serving *serving = malloc(sizeof *serving);
    if (serving == NULL) return 1;
    serving->input_size = serving->output_size = 0;
    int code = 0;
    for (;;) {
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
