/* Bytes fetched for tasks, not made a block: a file that is deleted when the last one lets go. */
#ifndef IO_FETCHED_H
#define IO_FETCHED_H

#include "base/id.h"
#include "io/file.h"

struct loop;

struct fetched {
    struct loop *loop;
    unsigned holds;
    uint64_t size;
    struct digest records; /* of a part of a map's output: of what it holds; else zeros */
    char path[FILE_PATH_MAX];
};

/* For the file at path, held once. NULL without memory. */
struct fetched *fetched_new(struct loop *loop, const char path[FILE_PATH_MAX], uint64_t size);
void fetched_release(struct fetched *file);

/* Deletes a file, on a worker thread. */
void fetched_remove(struct loop *loop, const char path[FILE_PATH_MAX]);

#endif
