/* Files of an attempt. Every write in the program goes through write_all, which knows that a write
 * may be short or interrupted, and notes what the disk said. */
#include "mapreduce/scratch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum error scratch_open(struct scratch *scratch, const char *path, struct memory *memory,
                        struct watch *watch)
{
    *scratch = (struct scratch){.memory = memory, .watch = watch, .shared = -1};
    scratch->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scratch->directory < 0) return trouble_note(&scratch->trouble, "open", path);
    return ERROR_NONE;
}

void scratch_close(struct scratch *scratch)
{
    if (scratch->directory >= 0) close(scratch->directory);
    if (scratch->shared >= 0) close(scratch->shared);
    scratch->directory = scratch->shared = -1;
    squeeze_deinit(&scratch->squeeze);
}

void scratch_file_init(struct scratch_file *file, struct scratch *scratch, const char *name)
{
    assert(strchr(name, '/') == NULL);
    *file = (struct scratch_file){.scratch = scratch, .name = name, .fd = -1};
}

void scratch_file_deinit(struct scratch_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
    memory_put(file->scratch->memory, file->buffer, FLOW_SIZE);
    file->buffer = NULL;
    file->buffered = 0;
}

static enum error create(struct scratch_file *file)
{
    if (file->fd >= 0) return ERROR_NONE;
    int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
    file->fd = openat(file->scratch->directory, file->name, flags, 0600);
    if (file->fd < 0) return trouble_note(&file->scratch->trouble, "create", file->name);
    return ERROR_NONE;
}

static enum error write_all(struct scratch_file *file, struct slice bytes, uint64_t offset)
{
    while (bytes.count > 0) {
        ssize_t done = pwrite(file->fd, bytes.at, bytes.count, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return trouble_note(&file->scratch->trouble, "write", file->name);
        bytes = slice_of(bytes.at + done, bytes.count - (size_t)done);
        offset += (uint64_t)done;
    }
    return ERROR_NONE;
}

/* Bytes that come behind everything flushed so far; offset is where. */
static enum error put(struct scratch_file *file, struct slice bytes, uint64_t offset)
{
    enum error error = create(file);
    if (error == ERROR_NONE) error = watch_check(file->scratch->watch);
    if (error != ERROR_NONE) return error;
    if (file->hasher != NULL) seal_hasher_update(file->hasher, bytes);
    return write_all(file, bytes, offset);
}

enum error scratch_flush(struct scratch_file *file)
{
    size_t count = file->buffered;
    file->buffered = 0;
    return put(file, slice_of(file->buffer, count), file->size - count);
}

enum error scratch_write(struct scratch_file *file, struct slice bytes)
{
    if (file->buffer == NULL) {
        file->buffer = memory_take(file->scratch->memory, FLOW_SIZE);
        if (file->buffer == NULL) return ERROR_MEMORY;
    }
    if (bytes.count > FLOW_SIZE - file->buffered) {
        enum error error = scratch_flush(file);
        if (error != ERROR_NONE) return error;
    }
    uint64_t offset = file->size;
    file->size += bytes.count;
    if (bytes.count >= FLOW_SIZE) return put(file, bytes, offset);
    if (bytes.count > 0) memcpy(file->buffer + file->buffered, bytes.at, bytes.count);
    file->buffered += bytes.count;
    return ERROR_NONE;
}

enum error scratch_write_at(struct scratch_file *file, struct slice bytes, uint64_t offset)
{
    enum error error = create(file);
    if (error != ERROR_NONE) return error;
    return write_all(file, bytes, offset);
}
