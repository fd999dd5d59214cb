/* An attempt's directory (rundir.h):
 *
 *   DIR/scratch/N/spec     what mrtask is to do
 *                 work/    the command's working directory, with the job's files; where their user
 *                          cannot reach it, it is /var/tmp/mr-ID/N instead (confinement.c)
 *                 output   becomes a block
 *
 * A spec of the usual size is no file, but sent, and so is an input that came by the log; what
 * became of the attempt is always told. Other inputs stay where they are: blocks are read in place,
 * parts of partitioned ones by offset and size. Names of files come from a job's submitter, so they
 * are checked: one plain name each, nothing that leaves work/. */
#include "io/rundir.h"

#include "io/partitioned.h"
#include "io/tail.h"
#include "io/verify.h"
#include "mapreduce/live.h"
#include "mapreduce/sweep.h"
#include "wire/seal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SPEC_SENT_MAX = 65536, /* as task_assign */
    CARRIED_MAX = 16384,   /* as task_assign */
};

static void fail(struct rundir *rundir, enum task_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first failure is the one that is told. */
static void fail(struct rundir *rundir, enum task_outcome outcome, const char *format, ...)
{
    va_list arguments;
    if (rundir->outcome != 0) return;
    rundir->outcome = outcome;
    va_start(arguments, format);
    vsnprintf(rundir->text, sizeof rundir->text, format, arguments);
    va_end(arguments);
}

static void fail_disk(struct rundir *rundir, const char *what, enum error error)
{
    fail(rundir, OUTCOME_DISK, "%s: %s", what, error_text(error));
}

/* ---- before ---- */

static enum error read_index(int file, uint8_t *index, size_t *size)
{
    enum error error = file_read(file, index, PARTITIONED_HEAD, 0);
    if (error != ERROR_NONE) return error;
    *size = partitioned_index_size(index);
    if (*size == 0) return ERROR_CORRUPT;
    return file_read(file, index, *size, 0);
}

/* Where the wanted part of a partitioned block is. */
static enum error find_part(const struct rundir_input *input, struct segment *segment)
{
    size_t size = 0;
    uint64_t whole = 0;
    uint8_t *index = malloc(PARTITIONED_INDEX_MAX);
    if (index == NULL) return ERROR_MEMORY;
    int file = open(input->path, O_RDONLY | O_CLOEXEC);
    enum error error = file < 0 ? file_error(errno) : read_index(file, index, &size);
    if (file >= 0) close(file);
    struct slice view = slice_of(index, size);
    if (error == ERROR_NONE && (partitioned_check(view, &whole) != NULL || whole != input->size))
        error = ERROR_CORRUPT;
    if (error == ERROR_NONE && input->part >= partitioned_count(view)) error = ERROR_INVALID;
    if (error == ERROR_NONE) *segment = partitioned_segment(view, input->part);
    free(index);
    return error;
}

static void fill_input(struct rundir *rundir, const struct rundir_input *from,
                       struct msg_task_input *to, struct msg_task_part *part)
{
    struct segment segment = {.offset = 0, .size = from->size, .records = from->records};
    enum error error = ERROR_NONE;
    if (from->path == NULL) { /* carried */
        *to = (struct msg_task_input){.size = from->size};
        return;
    }
    if (from->part != PART_WHOLE) error = find_part(from, &segment);
    else if (access(from->path, R_OK) != 0) error = file_error(errno);
    if (error != ERROR_NONE) {
        char name[DIGEST_TEXT_SIZE];
        rundir->missing = from->digest;
        fail(rundir, OUTCOME_INPUT_MISSING, "block %.12s on this disk: %s",
             digest_text(&from->digest, name), error_text(error));
        return;
    }
    *to = (struct msg_task_input){slice_string(from->path), segment.offset, segment.size};
    part->records = segment.records;
}

static void fill_inputs(struct rundir *rundir)
{
    if (rundir->shared.path.count > 0) { /* mrtask looks at it: as the tasks' user */
        rundir->spec.inputs = (struct list){&rundir->shared, 1};
        return;
    }
    size_t size = rundir->inputs_count * sizeof(struct msg_task_input);
    struct msg_task_input *inputs = arena_take(rundir->arena, size);
    struct msg_task_part *parts =
        arena_take(rundir->arena, rundir->inputs_count * sizeof(struct msg_task_part));
    if (inputs == NULL || parts == NULL) {
        fail(rundir, OUTCOME_NOT_STARTED, "too many inputs: %zu", rundir->inputs_count);
        return;
    }
    for (size_t i = 0; i < rundir->inputs_count && rundir->outcome == 0; i++)
        fill_input(rundir, &rundir->inputs[i], &inputs[i], &parts[i]);
    rundir->spec.inputs = (struct list){inputs, (uint32_t)rundir->inputs_count};
    rundir->parts = (struct list){parts, (uint32_t)rundir->inputs_count};
}

static bool is_plain_name(struct slice name)
{
    if (name.count == 0 || name.count > 255 || name.at[0] == '.')
        return false; /* nor "." and ".." */
    return memchr(name.at, '/', name.count) == NULL && memchr(name.at, '\0', name.count) == NULL;
}

static void put_file(struct rundir *rundir, const struct rundir_file *file)
{
    char path[FILE_PATH_MAX];
    struct slice name = file->file->name;
    if (!is_plain_name(name) ||
        !file_path(path, "%s/%.*s", rundir->commands, (int)name.count, (const char *)name.at)) {
        fail(rundir, OUTCOME_NOT_STARTED, "a job file's name is not a plain file name");
        return;
    }
    enum error error = file_copy(file->place.path, path, file->file->is_executable ? 0755 : 0644);
    if (error == ERROR_NONE && rundir->user != 0 && chown(path, rundir->user, rundir->user) != 0)
        error = file_error(errno);
    if (error != ERROR_NONE) fail_disk(rundir, "a job file", error);
}

/* The spec, and behind it what must be true of its inputs. */
static bool pack_spec(const struct rundir *rundir, struct writer *writer)
{
    struct msg_task_shared shared = {rundir->shared_file};
    struct msg_task_parts parts = {rundir->parts};
    bool is_shared = rundir->shared.path.count > 0, is_reduce = rundir->spec.kind == TASK_REDUCE;
    return wire_pack(&wire_task_spec, &rundir->spec, writer) &&
           (!is_shared || wire_pack(&wire_task_shared, &shared, writer)) &&
           (!is_reduce || wire_pack(&wire_task_parts, &parts, writer));
}

/* A new file, not fsynced: it goes with the attempt. */
static enum error write_file(const char *path, struct slice bytes)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return file_error(errno);
    enum error error = file_write(file, bytes);
    if (close(file) != 0 && error == ERROR_NONE) error = file_error(errno);
    return error;
}

/* Bytes that came with the action become a file, for mrtask reads files. */
static void write_input(struct rundir *rundir, struct rundir_input *input, size_t number)
{
    char path[FILE_PATH_MAX];
    if (!input->is_small || rundir->outcome != 0) return;
    char *kept = arena_take(rundir->arena, FILE_PATH_MAX);
    bool fits = kept != NULL && file_path(path, "%s/small.%zu", rundir->directory, number);
    enum error error = fits ? write_file(path, input->bytes) : ERROR_MEMORY;
    if (error != ERROR_NONE) fail_disk(rundir, "an input", error);
    else input->path = memcpy(kept, path, FILE_PATH_MAX);
}

/* The only input of a map goes along with the spec, unless it is looked at here and there. */
static bool is_carried(const struct rundir *rundir)
{
    return rundir->inputs_count == 1 && rundir->inputs[0].is_small &&
           rundir->inputs[0].size <= CARRIED_MAX && rundir->spec.kind == TASK_MAP &&
           rundir->spec.partition != PARTITION_SAMPLE;
}

static void write_inputs(struct rundir *rundir)
{
    if (is_carried(rundir)) {
        rundir->carried = rundir->inputs[0].bytes;
        rundir->inputs[0].is_small = false;
    }
    for (size_t i = 0; i < rundir->inputs_count; i++) write_input(rundir, &rundir->inputs[i], i);
    for (size_t i = 0; i < rundir->files_count; i++)
        write_input(rundir, &rundir->files[i].place, rundir->inputs_count + i);
}

static void write_spec(struct rundir *rundir)
{
    enum {
        SHARED_SIZE = 64 /* above that of a packed task_shared */
    };
    char path[FILE_PATH_MAX];
    struct msg_task_parts parts = {rundir->parts};
    size_t size = wire_packed_size(&wire_task_spec, &rundir->spec) + SHARED_SIZE +
                  wire_packed_size(&wire_task_parts, &parts);
    bool is_sent = size <= SPEC_SENT_MAX;
    uint8_t *packed = is_sent ? arena_take(rundir->arena, size) : malloc(size);
    struct writer writer = writer_of(packed, size);
    bool fits = packed != NULL && pack_spec(rundir, &writer) &&
                file_path(path, "%s/spec", rundir->directory);
    struct slice bytes = slice_of(packed, writer.written);
    enum error error = fits ? ERROR_NONE : ERROR_MEMORY;
    if (fits && is_sent) rundir->packed = bytes;
    if (fits && !is_sent) error = write_file(path, bytes);
    if (!is_sent) free(packed);
    if (error != ERROR_NONE) fail_disk(rundir, "writing the task's spec", error);
}

/* Where directories of commands are made outside of the data directory, others may write: what
 * stands there must be ours, and closed to their writing. */
static enum error make_above(const char *commands)
{
    char path[FILE_PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%s", commands);
    *strrchr(path, '/') = '\0';
    enum error error = file_make_directory(path, 0711);
    if (error != ERROR_NONE) return error;
    if (lstat(path, &status) != 0) return file_error(errno);
    bool is_ours = S_ISDIR(status.st_mode) && status.st_uid == geteuid();
    if (!is_ours || (status.st_mode & 022) != 0) return ERROR_EXISTS;
    return chmod(path, 0711) == 0 ? ERROR_NONE : file_error(errno);
}

/* The last attempt that ends takes away what the directory is in: perhaps just now. */
static enum error make_commands(const struct rundir *rundir)
{
    enum {
        TRIES_MAX = 8
    };
    size_t size = strlen(rundir->directory);
    bool is_inside = strncmp(rundir->commands, rundir->directory, size) == 0;
    if (is_inside) return file_make_directory(rundir->commands, 0700);
    enum error error = ERROR_NOT_FOUND;
    for (int i = 0; i < TRIES_MAX && error == ERROR_NOT_FOUND; i++) {
        error = make_above(rundir->commands);
        if (error == ERROR_NONE) sweep_tree(rundir->commands); /* of a former boot */
        if (error == ERROR_NONE) error = file_make_directory(rundir->commands, 0700);
    }
    return error;
}

bool rundir_is_light(const struct rundir *rundir)
{
    size_t size = strlen(rundir->directory);
    return is_carried(rundir) && rundir->files_count == 0 && rundir->shared.path.count == 0 &&
           strncmp(rundir->commands, rundir->directory, size) == 0 &&
           wire_packed_size(&wire_task_spec, &rundir->spec) < SPEC_SENT_MAX / 2;
}

/* The rest of it, when the directories are there. */
static void fill(struct rundir *rundir)
{
    write_inputs(rundir);
    if (rundir->outcome == 0) fill_inputs(rundir);
    for (size_t i = 0; i < rundir->files_count && rundir->outcome == 0; i++)
        put_file(rundir, &rundir->files[i]);
    if (rundir->outcome == 0) write_spec(rundir);
}

void rundir_pack(struct rundir *rundir)
{
    assert(rundir_is_light(rundir));
    fill(rundir);
}

void rundir_prepare(struct rundir *rundir)
{
    /* Passed by the commands' user on the way to its own, where that lies inside. */
    enum error error = file_make_directory(rundir->directory, 0700);
    if (error == ERROR_NONE && rundir->user != 0 && chmod(rundir->directory, 0711) != 0)
        error = file_error(errno);
    if (error == ERROR_NONE) error = make_commands(rundir);
    if (error != ERROR_NONE) fail_disk(rundir, "scratch", error);
    fill(rundir);
}

/* ---- after ---- */

bool rundir_has_blocks(const struct rundir *rundir)
{
    size_t i = 0;
    while (i < rundir->inputs_count && rundir->inputs[i].looked.verified == 0) i++;
    return i < rundir->inputs_count;
}

/* What it made of bytes that changed meanwhile is worth nothing, and no fault of its own. */
static void compare_inputs(struct rundir *rundir)
{
    for (size_t i = 0; i < rundir->inputs_count && rundir->outcome == 0; i++) {
        const struct rundir_input *input = &rundir->inputs[i];
        char name[DIGEST_TEXT_SIZE];
        if (input->looked.verified == 0) continue;
        if (verify_is_unchanged(input->path, &input->looked)) continue;
        rundir->missing = input->digest;
        fail(rundir, OUTCOME_INPUT_MISSING, "block %.12s changed on this disk while it was read",
             digest_text(&input->digest, name));
    }
}

/* The output is what the result says, and fsynced when it has to be. */
static void collect_output(struct rundir *rundir)
{
    struct stat status;
    bool fits = file_path(rundir->output, "%s/output", rundir->directory);
    int file = fits ? open(rundir->output, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != rundir->result.output.size) {
        fail(rundir, OUTCOME_NOT_STARTED, "mrtask's output is not what its result says");
    } else if (fchmod(file, rundir->is_durable ? BLOCK_MODE_DURABLE : BLOCK_MODE_LOOSE) != 0 ||
               (rundir->is_durable && fsync(file) != 0)) {
        fail_disk(rundir, "the output", file_error(errno));
    }
    if (file >= 0) close(file);
}

void rundir_collect(struct rundir *rundir)
{
    if (rundir->result.outcome == OUTCOME_DONE && !rundir->is_small) collect_output(rundir);
    compare_inputs(rundir);
}

/* By a signal: so ends what needs more memory than there is, and what trips over its own bytes. It
 * had begun, so it is the task's, as a command's end by signal is. An mrtask that ends by itself
 * never does so because of a task: it is one that does not work. */
void rundir_lose(struct rundir *rundir, int64_t status, int signal)
{
    rundir_kill_strays(rundir->directory);
    rundir_kill_strays(rundir->commands);
    uint8_t *bytes = arena_take(rundir->arena, LIVE_RING_SIZE);
    if (bytes != NULL) rundir->log = slice_of(bytes, tail_last(rundir->directory, bytes));
    if (signal == 0) {
        fail(rundir, OUTCOME_NOT_STARTED, "mrtask ended with %" PRId64, status);
        return;
    }
    const char *name = sigabbrev_np(signal);
    rundir->status = 128 + (uint32_t)signal;
    fail(rundir, OUTCOME_SIGNALED,
         "killed by signal %d (%s%s): not its command, but mrtask, which "
         "feeds that, sorts and merges",
         signal, name == NULL ? "" : "SIG", name == NULL ? "unnamed" : name);
}

void rundir_remove(const struct rundir *rundir)
{
    char path[FILE_PATH_MAX];
    sweep_tree(rundir->commands);
    file_remove_tree(rundir->directory);
    snprintf(path, sizeof path, "%s", rundir->commands);
    *strrchr(path, '/') = '\0';
    if (strncmp(rundir->commands, rundir->directory, strlen(rundir->directory)) != 0)
        (void)rmdir(path);
}

/* ---- strays ---- */

/* Reads a small file of /proc; NUL-terminated, "" when it can't. */
static size_t read_proc(const char *pid, const char *name, char *text, size_t size)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = file < 0 ? -1 : read(file, text, size - 1);
    if (file >= 0) close(file);
    text[count > 0 ? count : 0] = '\0';
    return count > 0 ? (size_t)count : 0;
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static bool works_in(const char *pid, const char *directory)
{
    char path[320], text[FILE_PATH_MAX];
    snprintf(path, sizeof path, "/proc/%s/cwd", pid);
    ssize_t count = readlink(path, text, sizeof text - 1);
    text[count > 0 ? count : 0] = '\0';
    if (is_below(text, directory)) return true;
    char environment[8192];
    size_t filled = read_proc(pid, "environ", environment, sizeof environment);
    for (size_t at = 0; at < filled; at += strlen(environment + at) + 1) {
        const char *one = environment + at;
        if (strncmp(one, "TMPDIR=", 7) == 0 && is_below(one + 7, directory)) return true;
    }
    return false;
}

static bool is_zombie(const char *pid)
{
    char text[512];
    (void)read_proc(pid, "stat", text, sizeof text);
    const char *end = strrchr(text, ')');
    return end != NULL && (end[2] == 'Z' || end[2] == 'X');
}

/* Kills them; how many there were. */
static unsigned kill_round(const char *directory)
{
    unsigned count = 0;
    DIR *list = opendir("/proc");
    if (list == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || pid == getpid() || !works_in(entry->d_name, directory)) continue;
        if (is_zombie(entry->d_name)) continue;
        (void)kill((pid_t)pid, SIGKILL);
        count++;
    }
    closedir(list);
    return count;
}

void rundir_kill_strays(const char *directory)
{
    enum {
        ROUNDS_MAX = 50
    }; /* of 20 ms */
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    assert(directory[0] == '/');
    for (int i = 0; i < ROUNDS_MAX && kill_round(directory) > 0; i++) nanosleep(&pause, NULL);
}
