/* Files, as blocking calls with our own errors: for worker threads and for the time before the loop
 * runs. Descriptors are close-on-exec throughout: a task's program inherits none. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/error.h"
#include "base/slice.h"

#include <stddef.h>
#include <sys/types.h>

enum {
    FILE_PATH_MAX = 4096
}; /* Linux's PATH_MAX; longer ones are refused at start */

/* What errno (positive) means to us: FULL, NOT_FOUND, DENIED, MEMORY, EXISTS, else IO. */
enum error file_error(int number);

/* Composes a path; false when it does not fit. */
bool file_path(char path[FILE_PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3))) MUST_USE;

/* Makes one directory; one that is there already is fine. */
enum error file_make_directory(const char *path, mode_t mode) MUST_USE;
/* Makes it and what is missing above it. */
enum error file_make_directories(const char *path, mode_t mode) MUST_USE;

/* All bytes, or why not. */
enum error file_write(int file, struct slice bytes) MUST_USE;
/* Exactly size bytes at offset; CORRUPT when the file ends before. */
enum error file_read(int file, void *bytes, size_t size, uint64_t offset) MUST_USE;
/* A new file with these bytes, fsynced; replaces an old one. */
enum error file_put(const char *path, struct slice bytes, mode_t mode) MUST_USE;
/* At most size bytes of a file; *count tells how many there were. FULL when it has more. */
enum error file_get(const char *path, void *bytes, size_t size, size_t *count) MUST_USE;
/* Copies a file; the copy has this mode. */
enum error file_copy(const char *from, const char *to, mode_t mode) MUST_USE;

/* fsync of a file or directory by its path: after a rename, of the directory. */
enum error file_sync(const char *path) MUST_USE;

/* Deletes a directory and all in it, as far as that goes; symbolic links are not followed. Not
 * there is fine. */
void file_remove_tree(const char *path);

#endif
