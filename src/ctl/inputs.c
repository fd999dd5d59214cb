/* Inputs are checked before anything is sent: a missing file is found before the flock is asked to
 * work. What is a pipe (<(zcat x), a FIFO) must not be opened only to look at it, because its
 * writer would see it close. */
#include "ctl/inputs.h"

#include "ctl/exits.h"
#include "ctl/notice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 32
}; /* directories in directories: deeper is a loop of mounts or a mistake */

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

static int add_directory(struct inputs *inputs, enum input_kind kind, const char *path,
                         unsigned depth);

static int add_path(struct inputs *inputs, enum input_kind kind, const char *path, unsigned depth)
{
    struct stat status;
    if (stat(path, &status) != 0) return refuse(path, errno);
    if (S_ISDIR(status.st_mode)) return add_directory(inputs, kind, path, depth);
    if (access(path, R_OK) != 0) return refuse(path, errno);
    if (kind == INPUT_SHARED && !S_ISREG(status.st_mode)) {
        notice_line("%s: not a regular file: nodes cannot share it", path);
        return EXIT_USAGE;
    }
    if (depth > 0 && !S_ISREG(status.st_mode)) {
        notice_line("%s: not a regular file; of a directory only files are read: move it away, or "
                    "name what is wanted",
                    path);
        return EXIT_USAGE;
    }
    struct input *input = add(inputs, kind, path);
    if (!S_ISREG(status.st_mode)) return EXIT_OK;
    input->size = (uint64_t)status.st_size;
    input->is_rereadable = true;
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

static int add_directory(struct inputs *inputs, enum input_kind kind, const char *path,
                         unsigned depth)
{
    struct dirent **entries = NULL;
    if (depth == DEPTH_MAX) return refuse(path, ELOOP);
    int count = scandir(path, &entries, not_dots, by_bytes), code = EXIT_OK;
    if (count < 0) return refuse(path, errno);
    for (int i = 0; i < count; i++) {
        char *child = NULL;
        size_t length = strlen(path);
        const char *slash = length > 0 && path[length - 1] == '/' ? "" : "/";
        if (asprintf(&child, "%s%s%s", path, slash, entries[i]->d_name) < 0) notice_no_memory();
        if (code == EXIT_OK) code = add_path(inputs, kind, child, depth + 1);
        free(child);
        free(entries[i]);
    }
    free(entries);
    return code;
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
    if (code == EXIT_OK) code = add_path(inputs, INPUT_SHARED, whole, 0);
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
    if (begins(word, "file:")) return add_path(inputs, INPUT_FILE, word + 5, 0);
    bool is_named = begins(word, "data:");
    if (!is_named && (is_path(word) || stat(word, &status) == 0))
        return add_path(inputs, INPUT_FILE, word, 0);
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
