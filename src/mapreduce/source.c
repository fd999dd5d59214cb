/* Reading by pread into a window of its own: thousands of inputs cost bounded memory, and an input
 * that cannot be read is an error to tell, where a mapping would be a SIGBUS. */
#include "mapreduce/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static bool is_run(const struct source *source) { return source->part.path.at == NULL; }

static enum error note(struct source *source)
{
    char path[4097];
    struct slice name = source->part.path;
    snprintf(path, sizeof path, "%.*s", (int)name.count, (const char *)name.at);
    enum error error =
        trouble_note(&source->scratch->trouble, "read", is_run(source) ? "runs" : path);
    return is_run(source) ? error : ERROR_NOT_FOUND;
}

static enum error open_file(struct source *source, int runs_fd)
{
    source->fd = runs_fd;
    if (is_run(source)) return ERROR_NONE;
    char path[4097];
    struct slice name = source->part.path;
    assert(name.count < sizeof path);
    memcpy(path, name.at, name.count);
    path[name.count] = '\0';
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0) return note(source);
    (void)posix_fadvise(source->fd, (off_t)source->part.offset, (off_t)source->part.size,
                        POSIX_FADV_SEQUENTIAL);
    return ERROR_NONE;
}

/* The window is full of one unfinished line: twice as large, or as large as the rest needs. One
 * byte more than the rest, for a last line without a newline gets one. */
static enum error grow(struct source *source)
{
    size_t larger = 2 * source->capacity;
    size_t rest = source->end - source->start + (size_t)source->part.size + 1;
    if (larger > rest && rest > source->capacity) larger = rest;
    uint8_t *moved =
        memory_resize(source->scratch->memory, source->window, source->capacity, larger);
    if (moved == NULL) return ERROR_MEMORY;
    source->window = moved;
    source->capacity = larger;
    return ERROR_NONE;
}

/* Reads more behind what is in the window. */
static enum error fill(struct source *source)
{
    size_t count = source->end - source->start;
    memmove(source->window, source->window + source->start, count);
    source->start = 0;
    source->end = count;
    if (source->capacity - count < 2) {
        enum error error = grow(source);
        if (error != ERROR_NONE) return error;
    }
    size_t room = source->capacity - count - 1;
    if (room > source->part.size) room = (size_t)source->part.size;
    ssize_t done;
    do done = pread(source->fd, source->window + count, room, (off_t)source->part.offset);
    while (done < 0 && errno == EINTR);
    if (done == 0) errno = ENODATA; /* shorter than the spec says */
    if (done <= 0) return note(source);
    source->end += (size_t)done;
    source->part.offset += (uint64_t)done;
    source->part.size -= (uint64_t)done;
    return ERROR_NONE;
}

/* Nothing more to read: what is left is the last line, perhaps without its newline. */
static void give_rest(struct source *source)
{
    size_t count = source->end - source->start;
    if (count > 0) {
        assert(source->end < source->capacity);
        source->window[source->end++] = '\n';
        count++;
    }
    source->line = slice_of(source->window + source->start, count);
    source->start = source->end;
}

enum error source_next(struct source *source)
{
    size_t searched = 0;
    for (;;) {
        const uint8_t *at = source->window + source->start;
        size_t count = source->end - source->start;
        const uint8_t *newline =
            count == searched ? NULL : memchr(at + searched, '\n', count - searched);
        if (newline != NULL) {
            source->line = slice_of(at, (size_t)(newline - at) + 1);
            source->start += source->line.count;
            break;
        }
        if (source->part.size == 0) {
            give_rest(source);
            break;
        }
        searched = count;
        enum error error = fill(source);
        if (error != ERROR_NONE) return error;
    }
    if (source->line.count > 0) source->prefix = order_prefix(source->order, source->line.at, 0);
    return ERROR_NONE;
}

enum error source_open(struct source *source, struct scratch *scratch, const struct order *order,
                       const struct part *part, int runs_fd, size_t window_size)
{
    *source = (struct source){.scratch = scratch, .order = order, .part = *part, .fd = -1};
    if (part->size == 0) return ERROR_NONE;
    if (window_size > part->size + 2) window_size = (size_t)part->size + 2;
    source->window = memory_take(scratch->memory, window_size);
    if (source->window == NULL) return ERROR_MEMORY;
    source->capacity = window_size;
    enum error error = open_file(source, runs_fd);
    return error == ERROR_NONE ? source_next(source) : error;
}

void source_close(struct source *source)
{
    if (source->fd >= 0 && !is_run(source)) close(source->fd);
    memory_put(source->scratch->memory, source->window, source->capacity);
    source->window = NULL;
    source->fd = -1;
}
