/* One file open at a time, so a map over thousands of small parts needs one descriptor. */
#include "mapreduce/input.h"

#include "mapreduce/live.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void input_init(struct input *input, struct scratch *scratch, const struct msg_task_input *items,
                size_t count)
{
    *input = (struct input){.scratch = scratch, .items = items, .count = count, .fd = -1};
}

static void close_item(struct input *input)
{
    if (input->fd >= 0) close(input->fd);
    input->fd = -1;
}

void input_deinit(struct input *input)
{
    close_item(input);
    memory_put(input->scratch->memory, input->buffer, FLOW_SIZE);
    input->buffer = NULL;
}

static void path_of(const struct msg_task_input *item, char path[4097])
{
    assert(item->path.count <= 4096);
    if (item->path.count > 0) memcpy(path, item->path.at, item->path.count);
    path[item->path.count] = '\0';
}

static enum error note(struct input *input, const struct msg_task_input *item)
{
    char path[4097];
    path_of(item, path);
    (void)trouble_note(&input->scratch->trouble, "read", path);
    return ERROR_NOT_FOUND;
}

bool input_is_carried(const struct scratch *scratch, const struct msg_task_input *item)
{
    return item->path.count == 0 && scratch->shared < 0;
}

int input_descriptor(const struct scratch *scratch, const char *path)
{
    if (scratch->shared >= 0) return fcntl(scratch->shared, F_DUPFD_CLOEXEC, 3);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static enum error open_item(struct input *input)
{
    const struct msg_task_input *item = &input->items[input->next];
    char path[4097];
    path_of(item, path);
    input->is_carried = input_is_carried(input->scratch, item);
    if (input->is_carried) {
        assert(item->size == input->scratch->carried.count);
        input->left = item->size;
        input->next++;
        return ERROR_NONE;
    }
    input->fd = input_descriptor(input->scratch, path);
    if (input->fd < 0) return note(input, item);
    (void)posix_fadvise(input->fd, (off_t)item->offset, (off_t)item->size, POSIX_FADV_SEQUENTIAL);
    input->offset = item->offset;
    input->left = item->size;
    input->next++;
    return ERROR_NONE;
}

static void count_read(struct input *input, uint64_t size)
{
    input->left -= size;
    input->size += size;
    input->given = size;
}

enum error input_next(void *context, struct slice *bytes)
{
    struct input *input = context;
    struct live *live = input->scratch->watch->live;
    if (live != NULL) live->read_size += input->given;
    input->given = 0;
    *bytes = (struct slice){0};
    while (input->left == 0) {
        close_item(input);
        if (input->next == input->count) return ERROR_NONE;
        enum error error = open_item(input);
        if (error != ERROR_NONE) return error;
    }
    if (input->is_carried) {
        *bytes = input->scratch->carried;
        count_read(input, bytes->count);
        return ERROR_NONE;
    }
    if (input->buffer == NULL) input->buffer = memory_take(input->scratch->memory, FLOW_SIZE);
    if (input->buffer == NULL) return ERROR_MEMORY;
    size_t wanted = input->left < FLOW_SIZE ? (size_t)input->left : FLOW_SIZE;
    ssize_t done;
    do done = pread(input->fd, input->buffer, wanted, (off_t)input->offset);
    while (done < 0 && errno == EINTR);
    if (done == 0) errno = ENODATA; /* shorter than the spec says */
    if (done <= 0) return note(input, &input->items[input->next - 1]);
    input->offset += (uint64_t)done;
    count_read(input, (uint64_t)done);
    *bytes = slice_of(input->buffer, (size_t)done);
    return ERROR_NONE;
}
