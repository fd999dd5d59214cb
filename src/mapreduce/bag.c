/* Running the lines of a bag, one after the other (bag.h). */
#include "mapreduce/bag.h"

#include "mapreduce/command.h"
#include "wire/kinds.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

enum {
    LINE_MAX_SIZE = 65536 + 21, /* a command as line_begun holds it, its number, a TAB */
    BYTES_MAX = 65536,          /* as line_bytes */
    FRAME_ROOM = 256,           /* a frame without its bytes */
    TRIES_MAX = 255,            /* as --retries */
};

struct bag {
    struct attempt *attempt;
    struct outflow out;
    uint32_t tries_max;
    struct slice host;
    uint8_t *line; /* LINE_MAX_SIZE + 1: the line at hand, NUL-terminated */
    size_t line_size;
    uint8_t *frame; /* BYTES_MAX + FRAME_ROOM */
};

bool bag_is_meant(struct slice command)
{
    struct slice each = slice_string("@each");
    if (command.count < each.count || memcmp(command.at, each.at, each.count) != 0) return false;
    return command.count == each.count || command.at[each.count] == ' ';
}

static uint32_t tries_of(struct slice command)
{
    uint32_t tries = 0;
    for (size_t i = slice_string("@each ").count; i < command.count; i++) {
        if (command.at[i] < '0' || command.at[i] > '9' || tries > TRIES_MAX) break;
        tries = 10 * tries + (uint32_t)(command.at[i] - '0');
    }
    return tries == 0 ? 1 : tries > TRIES_MAX ? TRIES_MAX : tries;
}

/* ---- frames ---- */

static enum error put(struct bag *bag, const struct wire_schema *schema, const void *message)
{
    struct writer writer = writer_of(bag->frame, BYTES_MAX + FRAME_ROOM);
    bool fits = wire_pack(schema, message, &writer);
    assert(fits);
    return bag->out.take(bag->out.context, slice_of(bag->frame, writer.written));
}

static enum error put_bytes(struct bag *bag, uint8_t descriptor, struct slice bytes)
{
    enum error error = ERROR_NONE;
    while (bytes.count > 0 && error == ERROR_NONE) {
        size_t count = bytes.count < BYTES_MAX ? bytes.count : BYTES_MAX;
        struct msg_line_bytes frame = {descriptor, slice_of(bytes.at, count)};
        error = put(bag, &wire_line_bytes, &frame);
        bytes = slice_of(bytes.at + count, bytes.count - count);
    }
    return error;
}

static enum error take_out(void *context, struct slice bytes)
{
    return put_bytes(context, 1, bytes);
}

/* Kept with the line's result, and the attempt's log as well: mrctl logs, also while it runs. */
static enum error take_err(void *context, struct slice bytes)
{
    struct bag *bag = context;
    report_take(&bag->attempt->report, bytes);
    return put_bytes(bag, 2, bytes);
}

static enum error no_input(void *context, struct slice *bytes)
{
    (void)context;
    *bytes = (struct slice){0};
    return ERROR_NONE;
}

/* ---- a line ---- */

static bool is_good(const struct bag *bag, int status)
{
    struct slice exits = bag->attempt->spec->ok_exits;
    if (!WIFEXITED(status)) return false;
    int code = WEXITSTATUS(status);
    return code == 0 || (exits.count > 0 && memchr(exits.at, code, exits.count) != NULL);
}

/* "@true WORDS" and "@echo WORDS" need no process: a task then costs what claiming it, telling of
 * it and keeping its result cost. */
static bool is_own(const char *text, const char *name)
{
    size_t size = strlen(name);
    return strncmp(text, name, size) == 0 && (text[size] == '\0' || text[size] == ' ');
}

static enum error run_own(struct bag *bag, const char *text, struct msg_line_ended *end)
{
    static const char echo[] = "@echo";
    end->tries++;
    if (!is_own(text, echo)) return ERROR_NONE;
    const char *words = text + sizeof echo - 1;
    enum error error = put_bytes(bag, 1, slice_string(*words == '\0' ? words : words + 1));
    return error == ERROR_NONE ? put_bytes(bag, 1, slice_string("\n")) : error;
}

/* One try. ERROR_NONE: end is filled in. */
static enum error try_once(struct bag *bag, const char *text, struct msg_line_ended *end,
                           bool *is_done)
{
    struct attempt *attempt = bag->attempt;
    struct command run = {
        .text = text,
        .directory = attempt->directory,
        .environment = attempt->environment,
        .output_size_max = attempt->spec->output_size_max,
        .report = &attempt->report,
        .err = {take_err, bag},
        .scratch = &attempt->scratch,
        .confine = attempt->confine,
        .guard = &attempt->guard,
    };
    struct command_end ended = {0};
    instant began = watch_now();
    watch_limit_from(&attempt->watch, began, attempt->spec->timeout_ms);
    enum error error =
        command_run(&run, (struct inflow){no_input, NULL}, (struct outflow){take_out, bag}, &ended);
    watch_limit(&attempt->watch, 0); /* what follows is ours */
    end->elapsed_us += (uint64_t)(watch_now() - began);
    end->tries++;
    bool is_late = error == ERROR_TIMEOUT;
    if (error != ERROR_NONE && !is_late) return error;
    bool is_stopped = is_late || ended.is_too_big || ended.excess != GUARD_NONE;
    int status = is_stopped ? SIGKILL : ended.status;
    end->status = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
    end->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
    *is_done = is_good(bag, status);
    const char *why = is_late                        ? "stopped by --task-timeout"
                      : ended.excess == GUARD_MEMORY ? "killed: it used more memory than it may"
                      : ended.excess == GUARD_DISK   ? "killed: it was filling the disk"
                                                     : NULL;
    char line[128];
    if (why == NULL) return ERROR_NONE;
    snprintf(line, sizeof line, "mrtask: %s\n", why);
    return put_bytes(bag, 2, slice_string(line));
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum error run_line(struct bag *bag)
{
    char *text = (char *)bag->line;
    text[bag->line_size] = '\0';
    struct msg_line_begun begun = {.started_ms = wall_ms(), .host = bag->host};
    while (*text >= '0' && *text <= '9')
        begun.sequence = 10 * begun.sequence + (uint64_t)(*text++ - '0');
    if (*text == '\t') text++;
    begun.command = slice_string(text);
    struct msg_line_ended end = {.sequence = begun.sequence};
    enum error error = put(bag, &wire_line_begun, &begun);
    for (bool is_done = false; error == ERROR_NONE && !is_done && end.tries < bag->tries_max;) {
        struct msg_line_again again = {begun.sequence};
        if (end.tries > 0) error = put(bag, &wire_line_again, &again);
        if (is_own(text, "@true") || is_own(text, "@echo")) {
            is_done = true;
            error = run_own(bag, text, &end);
        } else if (error == ERROR_NONE) error = try_once(bag, text, &end, &is_done);
    }
    bag->line_size = 0;
    return error == ERROR_NONE ? put(bag, &wire_line_ended, &end) : error;
}

static enum error take_bytes(struct bag *bag, struct slice bytes)
{
    while (bytes.count > 0) {
        const uint8_t *newline = memchr(bytes.at, '\n', bytes.count);
        size_t count = newline == NULL ? bytes.count : (size_t)(newline - bytes.at);
        size_t room = LINE_MAX_SIZE - bag->line_size; /* mrctl sends no longer ones */
        size_t kept = count < room ? count : room;
        memcpy(bag->line + bag->line_size, bytes.at, kept);
        bag->line_size += kept;
        if (newline == NULL) return ERROR_NONE;
        enum error error = bag->line_size > 0 ? run_line(bag) : ERROR_NONE;
        if (error != ERROR_NONE) return error;
        bytes = slice_of(newline + 1, bytes.count - count - 1);
    }
    return ERROR_NONE;
}

static struct slice host_of(const struct attempt *attempt)
{
    static const char name[] = "MR_NODE_NAME=";
    for (char **at = attempt->environment; *at != NULL; at++)
        if (strncmp(*at, name, sizeof name - 1) == 0) {
            struct slice host = slice_string(*at + sizeof name - 1);
            return host.count <= 64 ? host : slice_of(host.at, 64);
        }
    return slice_string("");
}

enum error bag_run(struct attempt *attempt, struct slice command, struct inflow in,
                   struct outflow out)
{
    struct memory *memory = &attempt->memory;
    struct bag bag = {.attempt = attempt, .out = out, .host = host_of(attempt)};
    bag.tries_max = tries_of(command);
    watch_limit(&attempt->watch, 0); /* each line has its own */
    bag.line = memory_take(memory, LINE_MAX_SIZE + 1);
    bag.frame = memory_take(memory, BYTES_MAX + FRAME_ROOM);
    enum error error = bag.line == NULL || bag.frame == NULL ? ERROR_MEMORY : ERROR_NONE;
    while (error == ERROR_NONE) {
        struct slice bytes;
        error = watch_check(&attempt->watch);
        if (error == ERROR_NONE) error = in.next(in.context, &bytes);
        if (error != ERROR_NONE || bytes.count == 0) break;
        error = take_bytes(&bag, bytes);
    }
    if (error == ERROR_NONE && bag.line_size > 0) error = run_line(&bag);
    memory_put(memory, bag.line, LINE_MAX_SIZE + 1);
    memory_put(memory, bag.frame, BYTES_MAX + FRAME_ROOM);
    return error;
}
