/* The cuts of splitter.c, found by seeking (ranges.h). */
#include "ctl/ranges.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOOK_SIZE = 64 * 1024
}; /* most lines end within it */

/* Just behind the first newline at or behind `at`; size when there is none. */
static int64_t find_end(int fd, uint64_t at, uint64_t size)
{
    uint8_t buffer[LOOK_SIZE];
    while (at < size) {
        size_t wanted = size - at < sizeof buffer ? (size_t)(size - at) : sizeof buffer;
        ssize_t got = pread(fd, buffer, wanted, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = ENODATA; /* shorter than it was */
        if (got <= 0) return -1;
        const uint8_t *newline = memchr(buffer, '\n', (size_t)got);
        if (newline != NULL) return (int64_t)(at + (uint64_t)(newline - buffer) + 1);
        at += (uint64_t)got;
    }
    return (int64_t)size;
}

int64_t ranges_next(int fd, const struct splitter *splitter, uint64_t offset, uint64_t size)
{
    uint64_t rest = size - offset;
    if (splitter->records == RECORDS_FILE || rest <= splitter->target) return (int64_t)rest;
    if (splitter->records == RECORDS_FIXED) return (int64_t)splitter->target;
    int64_t end = find_end(fd, offset + splitter->target - 1, size);
    return end < 0 ? -1 : end - (int64_t)offset;
}

bool ranges_look(int fd, struct msg_shared_file *file)
{
    struct stat status;
    if (fstat(fd, &status) != 0) return false;
    file->size = (uint64_t)status.st_size;
    file->modified_ns =
        (uint64_t)status.st_mtim.tv_sec * 1000000000 + (uint64_t)status.st_mtim.tv_nsec;
    return true;
}
