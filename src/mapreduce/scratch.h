/* The attempt's directory, and what everything that works in it shares: memory, the watch, and the
 * note of what went wrong. Files in it are written front to back through a buffer. */
#ifndef MAPREDUCE_SCRATCH_H
#define MAPREDUCE_SCRATCH_H

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"
#include "mapreduce/flow.h"
#include "mapreduce/squeeze.h"
#include "mapreduce/trouble.h"
#include "mapreduce/watch.h"
#include "wire/seal.h"

struct scratch {
    struct memory *memory;
    struct watch *watch; /* asked on each write */
    struct trouble trouble;
    struct squeeze squeeze;
    int directory; /* descriptor */
    int shared; /* of the input that all nodes share (shared.h); -1 = inputs have paths of ours */
    struct slice carried; /* the bytes of the input whose path is empty */
};

/* Opens the directory. Borrows memory and watch. ERROR_IO with a note. */
enum error scratch_open(struct scratch *scratch, const char *path, struct memory *memory,
                        struct watch *watch) MUST_USE;
void scratch_close(struct scratch *scratch);

/* A file written front to back; what is flushed may be read (pread on fd) meanwhile. */
struct scratch_file {
    struct scratch *scratch;
    const char *name;           /* static */
    int fd;                     /* -1 until the first flush */
    uint64_t size;              /* bytes accepted so far */
    struct seal_hasher *hasher; /* sees every byte in order, when it is written; NULL = nobody */
    uint8_t *buffer;            /* FLOW_SIZE bytes, NULL before the first write */
    size_t buffered;
};

/* Names a file; nothing is created before the first flush. Borrows scratch and name. */
void scratch_file_init(struct scratch_file *file, struct scratch *scratch, const char *name);
/* Closes and frees; what is not flushed is lost; the file stays. */
void scratch_file_deinit(struct scratch_file *file);

/* ERROR_MEMORY, ERROR_FULL, ERROR_IO (noted), ERROR_CLOSED and ERROR_TIMEOUT from the watch. */
enum error scratch_write(struct scratch_file *file, struct slice bytes) MUST_USE;
/* As scratch_write; creates the file if it is not there yet. */
enum error scratch_flush(struct scratch_file *file) MUST_USE;
/* Writes over bytes flushed before (or in a hole), outside buffer, size and hasher. */
enum error scratch_write_at(struct scratch_file *file, struct slice bytes,
                            uint64_t offset) MUST_USE;

#endif
