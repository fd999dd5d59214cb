/* Inputs are checked before anything is sent: a missing file is found before the flock is asked to
 * work. What is a pipe (<(zcat x), a FIFO) must not be opened only to look at it, because its
 * writer would see it close. */
#include "ctl/inputs.h"

#include "ctl/exits.h"
#include "ctl/notice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 200, /* directories in directories: deeper is a mistake */
    TROUBLES_TOLD = 10,
};

/* A directory that is being read, and those above it. */
struct level {
    const struct level *above;
    dev_t device;
    ino_t inode;
    unsigned depth;
};

static struct input *add(struct inputs *inputs, enum input_kind kind, const char *name)
{
    if (inputs->count == inputs->capacity) {
        inputs->capacity = inputs->capacity == 0 ? 16 : 2 * inputs->capacity;
        inputs->items = realloc(inputs->items, inputs->capacity * sizeof *inputs->items);
        if (inputs->items == NULL) notice_no_memory();
    }
    struct input *input = &inputs->items[inputs->count++];
    *input = (struct input){.kind = kind, .name = strdup(name)};
    if (input->name == NULL) notice_no_memory();
    return input;
}

static int refuse(const char *path, int error)
{
    notice_line("%s: %s", path, strerror(error));
    return EXIT_USAGE;
}

/* In a directory all is looked at before anything is refused: who puts it in order does that once.
 */
__attribute__((format(printf, 3, 4))) static int note(struct inputs *inputs, const char *path,
                                                      const char *format, ...)
{
    char text[4096 + 256];
    va_list arguments;
    if (inputs->troubles_count++ >= TROUBLES_TOLD) return EXIT_OK;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    notice_line("%s: %s", path, text);
    return EXIT_OK;
}

/* What is in the way of reading this entry of a directory. */
static int note_unseen(struct inputs *inputs, const char *path, int error)
{
    char target[4096];
    ssize_t count = readlink(path, target, sizeof target);
    if (count < 0) return note(inputs, path, "%s", strerror(error));
    return note(inputs, path, "a link to %.*s: %s", (int)count, target, strerror(error));
}

static const char *kind_text(mode_t mode)
{
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    return S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "no file";
}

static int add_directory(struct inputs *inputs, enum input_kind kind, const char *path,
                         const struct stat *status, const struct level *above);

static void add_file(struct inputs *inputs, enum input_kind kind, const char *path,
                     const struct stat *status)
{
    struct input *input = add(inputs, kind, path);
    if (!S_ISREG(status->st_mode)) return;
    input->size = (uint64_t)status->st_size;
    input->is_rereadable = true;
}

static int add_entry(struct inputs *inputs, enum input_kind kind, const char *path,
                     const struct level *level)
{
    struct stat status;
    if (stat(path, &status) != 0) return note_unseen(inputs, path, errno);
    if (S_ISDIR(status.st_mode)) return add_directory(inputs, kind, path, &status, level);
    if (!S_ISREG(status.st_mode))
        return note(inputs, path, "%s, not a regular file", kind_text(status.st_mode));
    if (access(path, R_OK) != 0) return note(inputs, path, "%s", strerror(errno));
    add_file(inputs, kind, path, &status);
    return EXIT_OK;
}

static int add_path(struct inputs *inputs, enum input_kind kind, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) return refuse(path, errno);
    if (S_ISDIR(status.st_mode)) return add_directory(inputs, kind, path, &status, NULL);
    if (access(path, R_OK) != 0) return refuse(path, errno);
    if (kind == INPUT_SHARED && !S_ISREG(status.st_mode)) {
        notice_line("%s: not a regular file: nodes cannot share it", path);
        return EXIT_USAGE;
    }
    add_file(inputs, kind, path, &status);
    return EXIT_OK;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* With a slash behind it: so it is told from a file. */
static void add_empty(struct inputs *inputs, const char *path)
{
    char *name = NULL;
    if (asprintf(&name, "%s/", path) < 0) notice_no_memory();
    add(inputs, INPUT_DIRECTORY, name)->is_rereadable = true;
    inputs->directories_count++;
    free(name);
}

static bool is_within(const struct level *level, const struct stat *status)
{
    while (level != NULL && (level->device != status->st_dev || level->inode != status->st_ino))
        level = level->above;
    return level != NULL;
}

static int add_directory(struct inputs *inputs, enum input_kind kind, const char *path,
                         const struct stat *status, const struct level *above)
{
    struct dirent **entries = NULL;
    const struct level level = {.above = above,
                                .device = status->st_dev,
                                .inode = status->st_ino,
                                .depth = above == NULL ? 0 : above->depth + 1};
    if (is_within(above, status))
        return note(inputs, path, "a link to a directory that it is in itself");
    if (level.depth == DEPTH_MAX) return note(inputs, path, "%s", strerror(ENAMETOOLONG));
    int count = scandir(path, &entries, not_dots, by_bytes), code = EXIT_OK;
    if (count < 0) return note(inputs, path, "%s", strerror(errno));
    if (count == 0 && above != NULL && inputs->keeps_directories) add_empty(inputs, path);
    for (int i = 0; i < count; i++) {
        char *child = NULL;
        size_t length = strlen(path);
        const char *slash = length > 0 && path[length - 1] == '/' ? "" : "/";
        if (asprintf(&child, "%s%s%s", path, slash, entries[i]->d_name) < 0) notice_no_memory();
        if (code == EXIT_OK) code = add_entry(inputs, kind, child, &level);
        free(child);
        free(entries[i]);
    }
    free(entries);
    if (above != NULL || inputs->troubles_count == 0) return code;
    if (inputs->troubles_count > TROUBLES_TOLD)
        notice_line("and %zu more", inputs->troubles_count - TROUBLES_TOLD);
    notice_line(
        "%s: a directory is read with all that is in it and behind its links, or not at all: "
        "mend that or move it away, or name what is wanted",
        path);
    return EXIT_USAGE;
}

static bool begins(const char *word, const char *prefix)
{
    return strncmp(word, prefix, strlen(prefix)) == 0;
}

/* Written as a path, so not meant as a dataset. */
static bool is_path(const char *word)
{
    return begins(word, "/") || begins(word, "./") || begins(word, "../") || begins(word, "~");
}

static int add_stdin(struct inputs *inputs)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) != 0) return refuse("standard input", errno);
    struct input *input = add(inputs, INPUT_STDIN, "-");
    off_t at = S_ISREG(status.st_mode) ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
    /* Only from its beginning: a second reading begins there. */
    if (at != 0) return EXIT_OK;
    input->size = (uint64_t)status.st_size;
    input->is_rereadable = true;
    return EXIT_OK;
}

/* The nodes know nothing of our working directory, and links are left to them to follow. */
static int add_shared(struct inputs *inputs, const char *path)
{
    enum {
        PATH_SIZE_MAX = 4096 /* as the name of a file in a manifest */
    };
    struct stat status;
    char *here = *path == '/' ? NULL : getcwd(NULL, 0), *whole = NULL;
    if (*path != '/' && here == NULL) return refuse(path, errno);
    if (asprintf(&whole, "%s%s%s", here == NULL ? "" : here, here == NULL ? "" : "/", path) < 0)
        notice_no_memory();
    free(here);
    int code = strlen(whole) >= PATH_SIZE_MAX ? refuse(path, ENAMETOOLONG) : EXIT_OK;
    if (code == EXIT_OK && (stat(whole, &status) != 0 || access(whole, R_OK) != 0)) {
        notice_line("path:%s: %s; mrctl looks for the ends of records in it, so it must be shared "
                    "with this machine, too (or use -i file:PATH where it is)",
                    whole, strerror(errno));
        code = EXIT_USAGE;
    }
    if (code == EXIT_OK) code = add_path(inputs, INPUT_SHARED, whole);
    free(whole);
    return code;
}

static int add_word(struct inputs *inputs, const char *word, bool has_stdin)
{
    struct stat status;
    if (strcmp(word, "-") == 0 && !has_stdin) {
        notice_line("standard input is wanted as input, but --no-input was given");
        return EXIT_USAGE;
    }
    if (strcmp(word, "-") == 0) return add_stdin(inputs);
    if (begins(word, "path:")) return add_shared(inputs, word + 5);
    if (begins(word, "file:")) return add_path(inputs, INPUT_FILE, word + 5);
    bool is_named = begins(word, "data:");
    if (!is_named && (is_path(word) || stat(word, &status) == 0))
        return add_path(inputs, INPUT_FILE, word);
    struct input *input = add(inputs, INPUT_DATASET, is_named ? word + 5 : word);
    input->is_guess = !is_named;
    return EXIT_OK;
}

int inputs_open(struct inputs *inputs, const struct words *words, bool has_stdin)
{
    *inputs = (struct inputs){0};
    if (words->count == 0 && isatty(STDIN_FILENO) && has_stdin)
        notice_line("reading standard input (end it with ^D; -i names files)");
    int code = words->count == 0 ? add_word(inputs, "-", has_stdin) : EXIT_OK;
    for (size_t i = 0; i < words->count && code == EXIT_OK; i++)
        code = add_word(inputs, words->items[i], has_stdin);
    if (code != EXIT_OK || inputs->count > 0) return code;
    const char *word = words->items[0]; /* of directories alone is there nothing in the end */
    bool is_prefixed = begins(word, "file:") || begins(word, "path:");
    notice_line("%s: a directory without any file: nothing to read", word + (is_prefixed ? 5 : 0));
    return EXIT_USAGE;
}

int inputs_open_path(struct inputs *inputs, const char *path, bool has_stdin)
{
    *inputs = (struct inputs){.keeps_directories = true};
    if (strcmp(path, "-") == 0) return add_word(inputs, path, has_stdin);
    int code = add_path(inputs, INPUT_FILE, path);
    if (code != EXIT_OK || inputs->count > 0) return code;
    notice_line("%s: an empty directory: nothing to put", path);
    return EXIT_USAGE;
}

void inputs_deinit(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) free(inputs->items[i].name);
    free(inputs->items);
    *inputs = (struct inputs){0};
}

static uint64_t sum(const struct inputs *inputs, enum input_kind without)
{
    uint64_t total = 0;
    for (size_t i = 0; i < inputs->count; i++) {
        enum input_kind kind = inputs->items[i].kind;
        if (kind == INPUT_DATASET || kind == without) continue;
        if (!inputs->items[i].is_rereadable) return 0;
        total += inputs->items[i].size;
    }
    return total;
}

uint64_t inputs_size(const struct inputs *inputs) { return sum(inputs, INPUT_DATASET); }

uint64_t inputs_upload_size(const struct inputs *inputs) { return sum(inputs, INPUT_SHARED); }

bool inputs_are_rereadable(const struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        if (inputs->items[i].kind != INPUT_DATASET && !inputs->items[i].is_rereadable) return false;
    return true;
}

int inputs_descriptor(const struct input *input)
{
    if (input->kind != INPUT_STDIN) {
        /* A FIFO is open at once, and whoever reads waits for its writer, but not for ever. */
        int fd = open(input->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0) (void)fcntl(fd, F_SETFL, 0);
        return fd;
    }
    if (input->is_rereadable && lseek(STDIN_FILENO, 0, SEEK_SET) != 0) return -1;
    return STDIN_FILENO;
}
