/* What -i names: local files (directories opened up), files that all nodes share, standard input,
 * datasets. */
#ifndef CTL_INPUTS_H
#define CTL_INPUTS_H

#include "ctl/options.h"

enum input_kind {
    INPUT_FILE,
    INPUT_STDIN,
    INPUT_DATASET,
    INPUT_SHARED,    /* path: read by tasks where it lies; by us only to find where records end */
    INPUT_DIRECTORY, /* an empty one: it has no bytes, but `get` makes it again */
};

struct input {
    enum input_kind kind;
    char *name;         /* path (SHARED: absolute; DIRECTORY: a slash behind it) or dataset's name;
                           owned */
    uint64_t size;      /* of a regular file; else 0 */
    bool is_rereadable; /* a regular file: may be uploaded once more */
    bool is_guess;      /* a dataset because no file has this name */
};

struct inputs {
    struct input *items; /* in the order given; of a directory in byte order of paths */
    size_t count;
    size_t capacity;
    size_t directories_count;
    bool keeps_directories; /* empty ones are listed, too */
    size_t
        troubles_count; /* what was found in directories and can't be read: told, the first ones */
};

/* Looks at every word: "-", file:PATH, path:PATH, data:NAME, else a readable file or directory,
 * else a dataset. No words: standard input. EXIT_OK; EXIT_USAGE with a line for the first word that
 * is missing or unreadable, or one for each such thing in a directory. inputs_deinit is due either
 * way. */
int inputs_open(struct inputs *inputs, const struct words *words, bool has_stdin);
/* What PATH of `put` means: the same of this path alone, or of "-"; empty directories, too. */
int inputs_open_path(struct inputs *inputs, const char *path, bool has_stdin);
void inputs_deinit(struct inputs *inputs);

/* All bytes of files; 0 when some are not known (a pipe) or there are none. */
uint64_t inputs_size(const struct inputs *inputs);
/* The same of those alone that are to be sent. */
uint64_t inputs_upload_size(const struct inputs *inputs);
/* All can be read a second time. */
bool inputs_are_rereadable(const struct inputs *inputs);
/* The descriptor to read an input that is no dataset from, at its beginning; -1 with errno. Not
 * to be closed when STDIN. */
int inputs_descriptor(const struct input *input);

#endif
