/* The story of an attempt: read the spec, do the work, end what it started, write down
 * what became of it.
 *
 * Room for the result is set aside before the work starts: a full disk must not keep the daemon
 * from learning that the disk is full. If there is none even so, the log is left out. */
#include "mapreduce/task.h"

#include "mapreduce/attempt.h"
#include "mapreduce/process.h"
#include "mapreduce/shared.h"
#include "mapreduce/sweep.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MEMORY_SIZE = 64 * 1024 * 1024, /* of the buffers, when the spec does not say */
    SPEC_SIZE_MAX = 256 << 20,      /* a million inputs with paths of 256 bytes */
    SPEC_EXPANSION = 32, /* a decoded list's item (32 bytes) may be 1 byte when encoded */
    RESULT_ROOM = 4096,  /* a result without log and counters */
};

size_t attempt_memory_size(const struct attempt *attempt)
{
    uint64_t size = attempt->spec->memory_size;
    if (size == 0) return MEMORY_SIZE;
    return size < SIZE_MAX ? (size_t)size : SIZE_MAX;
}

/* ---- the spec ---- */

/* What one attempt is told, and the bytes that it borrows from. */
struct spec_bytes {
    uint8_t *bytes;
    size_t bytes_size;
    uint8_t *decoded;
    size_t decoded_size;
};

/* It can't even begin. */
static int complain(const struct task_order *order, const char *what)
{
    struct msg_task_result result = {.outcome = OUTCOME_NOT_STARTED, .text = slice_string(what)};
    if (order->tell != NULL) return order->tell(order->context, &result, false, slice_of(NULL, 0));
    fprintf(stderr, "mrtask: %s: %s\n", order->directory, what);
    return 1;
}

/* NULL, or why not. */
static const char *read_bytes(struct attempt *attempt, struct spec_bytes *book)
{
    int fd = openat(attempt->scratch.directory, "spec", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return strerror(errno);
    struct stat stat;
    const char *why = fstat(fd, &stat) != 0 ? strerror(errno) : NULL;
    if (why == NULL && stat.st_size > SPEC_SIZE_MAX) why = "it is too large";
    if (why == NULL) {
        book->bytes_size = (size_t)stat.st_size + 1;
        book->bytes = memory_take(&attempt->memory, book->bytes_size);
        if (book->bytes == NULL) why = "out of memory";
        else if (read(fd, book->bytes, (size_t)stat.st_size) != stat.st_size)
            why = "it cannot be read";
    }
    close(fd);
    return why;
}

/* What may stand behind the spec: what is known of its inputs. */
static const char *read_more(struct attempt *attempt, struct slice *input, struct arena *arena)
{
    struct wire_message message;
    if (input->count == 0) return NULL;
    const char *why = wire_unpack(input, &message, arena);
    if (why != NULL) return why;
    if (input->count > 0) return "more follows it";
    if (message.type == MSG_task_parts && attempt->spec->kind == TASK_REDUCE) {
        const struct list *parts = &((const struct msg_task_parts *)message.fields)->parts;
        attempt->parts = parts->at;
        return parts->count == attempt->spec->inputs.count ? NULL : "of each input one is a part";
    }
    if (message.type != MSG_task_shared) return "something else follows it";
    if (attempt->spec->inputs.count != 1) return "of a shared file there is one range";
    attempt->shared = &((const struct msg_task_shared *)message.fields)->file;
    return NULL;
}

static const char *read_spec(struct attempt *attempt, struct slice input, struct spec_bytes *book)
{
    const char *why = input.count == 0 ? read_bytes(attempt, book) : NULL;
    if (why != NULL) return why;
    if (input.count == 0) input = slice_of(book->bytes, book->bytes_size - 1);
    book->decoded_size = SPEC_EXPANSION * input.count + 65536;
    book->decoded = memory_take(&attempt->memory, book->decoded_size);
    if (book->decoded == NULL) return "out of memory";
    struct arena arena;
    arena_init(&arena, book->decoded, book->decoded_size);
    struct wire_message message;
    why = wire_unpack(&input, &message, &arena);
    if (why != NULL) return why;
    if (message.type != MSG_task_spec) return "it is not a task's spec";
    attempt->spec = message.fields;
    why = read_more(attempt, &input, &arena);
    if (why != NULL) return why;
    if (attempt->spec->kind > TASK_REDUCE) return "it is of an unknown kind";
    return shuffle_read(attempt->spec, &attempt->shuffle);
}

/* ---- the command's world ---- */

static bool has_variable(const struct msg_text *given, uint32_t count, const char *text)
{
    size_t name_size = strcspn(text, "=") + 1;
    for (uint32_t i = 0; i < count; i++)
        if (given[i].text.count >= name_size && memcmp(given[i].text.at, text, name_size) == 0)
            return true;
    return false;
}

/* The spec's variables, and the usual ones where it has none of that name. */
static enum error make_environment(struct attempt *attempt)
{
    char tmpdir[sizeof attempt->directory + 8], home[sizeof attempt->directory + 8];
    snprintf(tmpdir, sizeof tmpdir, "TMPDIR=%s", attempt->directory);
    snprintf(home, sizeof home, "HOME=%s", attempt->directory);
    const char *usual[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", tmpdir, home};
    enum {
        USUAL_COUNT = sizeof usual / sizeof *usual
    };
    const struct msg_text *given = attempt->spec->environment.at;
    uint32_t count = attempt->spec->environment.count;
    attempt->environment = calloc(count + USUAL_COUNT + 1, sizeof *attempt->environment);
    if (attempt->environment == NULL) return ERROR_MEMORY;
    char **next = attempt->environment;
    for (uint32_t i = 0; i < count; i++) {
        *next = strndup((const char *)given[i].text.at, given[i].text.count);
        if (*next++ == NULL) return ERROR_MEMORY;
    }
    for (size_t i = 0; i < USUAL_COUNT; i++) {
        if (has_variable(given, count, usual[i])) continue;
        *next = strdup(usual[i]);
        if (*next++ == NULL) return ERROR_MEMORY;
    }
    return ERROR_NONE;
}

/* The attempt's directory and its commands', absolute. */
static enum error find_directories(struct attempt *attempt, const char *directory, const char *work)
{
    char *absolute = realpath(directory, NULL);
    if (absolute == NULL) return trouble_note(&attempt->scratch.trouble, "find", directory);
    int size = snprintf(attempt->top, sizeof attempt->top, "%s", absolute);
    free(absolute);
    assert(size > 0 && (size_t)size < sizeof attempt->top);
    if (work != NULL) {
        absolute = realpath(work, NULL);
        if (absolute == NULL) return trouble_note(&attempt->scratch.trouble, "find", work);
        snprintf(attempt->directory, sizeof attempt->directory, "%s", absolute);
        free(absolute);
        return ERROR_NONE;
    }
    snprintf(attempt->directory, sizeof attempt->directory, "%s/work", attempt->top);
    if (mkdirat(attempt->scratch.directory, "work", 0700) != 0 && errno != EEXIST)
        return trouble_note(&attempt->scratch.trouble, "create", "work");
    return ERROR_NONE;
}

static enum error take_room(struct attempt *attempt)
{
    int fd = openat(attempt->scratch.directory, "result.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return trouble_note(&attempt->scratch.trouble, "create", "result");
    bool has_room = posix_fallocate(fd, 0, RESULT_ROOM) != ENOSPC;
    close(fd);
    errno = ENOSPC;
    return has_room ? ERROR_NONE : trouble_note(&attempt->scratch.trouble, "write", "result");
}

/* Walls around the commands. */
static enum error confine_commands(struct attempt *attempt)
{
    const struct msg_task_spec *spec = attempt->spec;
    const struct confine_ask ask = {
        .directory = attempt->directory,
        .readable = attempt->shared != NULL ? attempt->shared_path : NULL,
        .memory_size = spec->memory_size,
        .timeout_ms = spec->timeout_ms,
        .file_size_max = guard_room(attempt->directory),
    };
    uint64_t memory_max = spec->memory_size >= CONFINE_MEMORY_MIN ? spec->memory_size : 0;
    guard_init(&attempt->guard, memory_max, attempt->directory, attempt->top, watch_now());
    const char *what;
    if (confine_begin(attempt->confine, &ask, watch_now(), &what) == ERROR_NONE) return ERROR_NONE;
    return trouble_note(&attempt->scratch.trouble, "apply", what);
}

static enum error make_world(struct attempt *attempt, const struct task_order *order)
{
    enum error error = find_directories(attempt, order->directory, order->commands);
    if (error == ERROR_NONE && order->tell == NULL) error = take_room(attempt);
    if (error == ERROR_NONE) error = make_environment(attempt);
    if (error == ERROR_NONE && attempt->shared != NULL) error = shared_open(attempt);
    return error == ERROR_NONE ? confine_commands(attempt) : error;
}

static void forget_world(struct attempt *attempt)
{
    confine_end(attempt->confine);
    for (char **next = attempt->environment; next != NULL && *next != NULL; next++) free(*next);
    free(attempt->environment);
}

/* ---- the result ---- */

static const struct {
    uint8_t outcome;
    const char *text; /* when no trouble was noted */
} endings[] = {
    [ERROR_NONE] = {OUTCOME_DONE, ""},
    [ERROR_MEMORY] = {OUTCOME_NOT_STARTED, "out of memory"}, /* NO_MEMORY, once it has begun */
    [ERROR_IO] = {OUTCOME_DISK, "the disk returned an error"},
    [ERROR_FULL] = {OUTCOME_DISK, "no space left"},
    [ERROR_NOT_FOUND] = {OUTCOME_INPUT_MISSING, "an input is missing"},
    [ERROR_SYSTEM] = {OUTCOME_NOT_STARTED, "a system call failed"},
    [ERROR_CLOSED] = {OUTCOME_KILLED, "killed on request"},
    [ERROR_TIMEOUT] = {OUTCOME_TIMED_OUT, "timed out"},
};

/* Which input is the one that could not be read, counted from 1; 0 = none of them. */
static uint32_t missing_input(const struct attempt *attempt)
{
    struct slice name = slice_string(attempt->scratch.trouble.name);
    const struct msg_task_input *inputs = attempt->spec->inputs.at;
    for (uint32_t i = 0; i < attempt->spec->inputs.count; i++)
        if (slice_equal(inputs[i].path, name)) return i + 1;
    return 0;
}

/* The one line for people, and the numbers. text: 1024 bytes, borrowed by the result. */
static void conclude(const struct attempt *attempt, enum error error,
                     struct msg_task_result *result, char text[1024])
{
    text[0] = '\0';
    if (error == ERROR_INVALID) {
        result->outcome = attempt->verdict.outcome;
        result->status = attempt->verdict.status;
        snprintf(text, 1024, "%s", attempt->verdict.text);
    } else {
        assert((size_t)error < sizeof endings / sizeof *endings && endings[error].outcome != 0);
        result->outcome = endings[error].outcome;
        if (error == ERROR_MEMORY && attempt->has_begun) result->outcome = OUTCOME_NO_MEMORY;
        if (error == ERROR_NOT_FOUND) result->status = missing_input(attempt);
        if (error == ERROR_NOT_FOUND && shared_is_unreadable(attempt))
            result->outcome = OUTCOME_UNREADABLE;
        if (error == ERROR_TIMEOUT)
            snprintf(text, 1024, "timed out after %g s", (double)attempt->spec->timeout_ms / 1000);
        else if (error != ERROR_NONE && error != ERROR_CLOSED)
            trouble_text(&attempt->scratch.trouble, text, 1024);
        if (text[0] == '\0') snprintf(text, 1024, "%s", endings[error].text);
    }
    bool is_cut_short = result->outcome != OUTCOME_DONE && result->outcome != OUTCOME_KILLED &&
                        result->outcome != OUTCOME_INPUT_MISSING;
    if (is_cut_short) place_text(attempt, text, 1024);
    result->text = slice_string(text);
    if (result->outcome == OUTCOME_DONE) result->text = report_status(&attempt->report);
    result->input_size = attempt->input_size;
    result->elapsed_ms = (uint64_t)(watch_now() - attempt->watch.started) / MILLISECOND;
}

/* Into result.new, then by rename into its place. NULL, or why not. */
static const char *put_result(struct attempt *attempt, const struct msg_task_result *result)
{
    size_t size = wire_packed_size(&wire_task_result, result);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) return "out of memory";
    struct writer writer = writer_of(bytes, size);
    bool is_packed = wire_pack(&wire_task_result, result, &writer);
    assert(is_packed && writer.written == size);
    int directory = attempt->scratch.directory;
    int fd = openat(directory, "result.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const char *why = NULL;
    errno = ENOSPC; /* what a short write means */
    if (fd < 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size || ftruncate(fd, (off_t)size) != 0)
        why = strerror(errno);
    if (fd >= 0) close(fd);
    if (why == NULL && renameat(directory, "result.new", directory, "result") != 0)
        why = strerror(errno);
    free(bytes);
    return why;
}

static int tell_result(struct attempt *attempt, const struct task_order *order,
                       struct msg_task_result *result)
{
    static const struct slice nothing = {0};
    uint8_t log[REPORT_LOG_MAX];
    struct msg_counter counters[REPORT_COUNTERS_MAX];
    result->log = report_log(&attempt->report, log);
    result->counters = report_counters(&attempt->report, counters);
    if (order->tell != NULL)
        return order->tell(order->context, result, attempt->is_small,
                           slice_of(attempt->small, attempt->small_size));
    const char *why = put_result(attempt, result);
    if (why != NULL) {
        result->log = nothing;
        result->counters.count = 0;
        why = put_result(attempt, result);
    }
    return why == NULL ? 0 : complain(order, why);
}

/* ---- the story ---- */

static enum error too_big(struct attempt *attempt)
{
    struct verdict *verdict = &attempt->verdict;
    *verdict = (struct verdict){.outcome = OUTCOME_OUTPUT_TOO_BIG};
    snprintf(verdict->text, sizeof verdict->text, "its output fills the disk (%.0f MiB)",
             (double)attempt->guard.found / (1 << 20));
    return ERROR_INVALID;
}

static enum error end_output(struct attempt *attempt, struct msg_task_result *result)
{
    struct output *output = &attempt->output;
    attempt->is_small =
        attempt->small_max > 0 &&
        output_end_small(output, attempt->small_max, attempt->small, &result->output.digest);
    if (attempt->is_small) attempt->small_size = (size_t)output->file.size;
    return attempt->is_small ? ERROR_NONE : output_end(output, &result->output.digest);
}

static enum error work(struct attempt *attempt, const struct task_order *order,
                       struct msg_task_result *result)
{
    const struct msg_task_spec *spec = attempt->spec;
    watch_limit(&attempt->watch, spec->timeout_ms);
    enum error error = make_world(attempt, order);
    if (error == ERROR_NONE) error = watch_check(&attempt->watch);
    if (error != ERROR_NONE) return error;
    uint32_t partitions = spec->kind == TASK_MAP ? spec->partitions : 0;
    attempt->has_begun = true;
    error = output_init(&attempt->output, &attempt->scratch, partitions);
    if (error == ERROR_NONE)
        error = spec->kind == TASK_MAP ? mapper_run(attempt) : reducer_run(attempt);
    /* Its command's failure counts for nothing when it read two files in one. */
    if (attempt->shared != NULL && (error == ERROR_NONE || error == ERROR_INVALID) &&
        shared_check(attempt) != ERROR_NONE)
        error = ERROR_NOT_FOUND;
    if (error == ERROR_NONE) error = end_output(attempt, result);
    /* What it was itself that filled it will fill it again: that is not the node's fault. */
    if (error == ERROR_FULL && guard_fills_disk(&attempt->guard)) error = too_big(attempt);
    if (error == ERROR_NONE) {
        result->output.size = attempt->output.file.size;
        result->records = output_records(&attempt->output);
    } else {
        (void)unlinkat(attempt->scratch.directory, attempt->output.file.name, 0);
    }
    output_deinit(&attempt->output);
    return error;
}

/* With the daemon nobody is left who would clean up: not where it looks at its next start. */
static void leave_nothing(const struct attempt *attempt)
{
    char above[sizeof attempt->directory];
    sweep_tree(attempt->directory);
    snprintf(above, sizeof above, "%s", attempt->directory);
    char *slash = strrchr(above, '/');
    if (slash == NULL || slash == above) return;
    *slash = '\0';
    (void)rmdir(above); /* its other attempts are there: it stays */
}

static int run_in(struct attempt *attempt, const struct task_order *order)
{
    struct spec_bytes book = {0};
    const char *why = read_spec(attempt, order->spec, &book);
    int code;
    if (why != NULL) {
        char text[256];
        snprintf(text, sizeof text, "its spec: %s", why);
        code = complain(order, text);
    } else {
        struct msg_task_result result = {0};
        char text[1024];
        live_init(&attempt->live, attempt->scratch.directory, &attempt->report, watch_now());
        attempt->watch.live = &attempt->live;
        enum error error = work(attempt, order, &result);
        attempt->watch.live = NULL;
        live_deinit(&attempt->live);
        process_end_all(NULL);
        conclude(attempt, error, &result, text);
        code = tell_result(attempt, order, &result);
    }
    if (attempt->watch.is_orphan && order->commands != NULL) leave_nothing(attempt);
    forget_world(attempt);
    memory_put(&attempt->memory, book.bytes, book.bytes_size);
    memory_put(&attempt->memory, book.decoded, book.decoded_size);
    return code;
}

int task_run(const struct task_order *order, bool *was_told)
{
    assert(order->small_max <= ATTEMPT_SMALL_MAX);
    struct attempt *attempt = aligned_alloc(_Alignof(struct attempt), sizeof *attempt);
    if (attempt == NULL) return complain(order, "out of memory");
    memset(attempt, 0, sizeof *attempt);
    attempt->confine = order->confine;
    attempt->small_max = order->small_max;
    memory_init(&attempt->memory, SIZE_MAX);
    report_init(&attempt->report);
    int code = 1;
    if (watch_start(&attempt->watch) != ERROR_NONE) code = complain(order, strerror(errno));
    else if (scratch_open(&attempt->scratch, order->directory, &attempt->memory, &attempt->watch) !=
             ERROR_NONE)
        code = complain(order, strerror(errno));
    else {
        attempt->scratch.carried = order->carried;
        code = run_in(attempt, order);
    }
    scratch_close(&attempt->scratch);
    assert(attempt->memory.used == 0); /* whoever serves many keeps nothing of one */
    *was_told = attempt->watch.is_told || attempt->watch.is_orphan;
    watch_stop(&attempt->watch);
    free(attempt);
    return code;
}
