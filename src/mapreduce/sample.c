/* Drawing samples (sample.h). */
#include "mapreduce/sample.h"

#include "mapreduce/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum error sample_init(struct sample *sample, struct scratch *scratch, const struct order *order,
                       uint32_t fields, size_t count_max)
{
    *sample = (struct sample){
        .scratch = scratch, .order = order, .fields = fields, .count_max = count_max, .stride = 1};
    sample->keys = memory_take(scratch->memory, count_max * sizeof *sample->keys);
    sample->sizes = memory_take(scratch->memory, count_max * sizeof *sample->sizes);
    if (sample->keys != NULL && sample->sizes != NULL) return ERROR_NONE;
    sample_deinit(sample);
    return ERROR_MEMORY;
}

void sample_deinit(struct sample *sample)
{
    struct memory *memory = sample->scratch->memory;
    memory_put(memory, sample->keys, sample->count_max * sizeof *sample->keys);
    memory_put(memory, sample->sizes, sample->count_max * sizeof *sample->sizes);
    sample->keys = NULL;
    sample->sizes = NULL;
}

/* ---- taking ---- */

/* Every second one goes. */
static void thin_out(struct sample *sample)
{
    size_t kept = 0;
    for (size_t i = 0; i < sample->count; i += 2, kept++) {
        if (kept == i) continue;
        memcpy(sample->keys[kept], sample->keys[i], sample->sizes[i]);
        sample->sizes[kept] = sample->sizes[i];
    }
    sample->count = kept;
    sample->stride *= 2;
}

/* The record in line: its key is kept, if it is its turn. */
static void end_line(struct sample *sample)
{
    bool is_chosen = sample->seen++ % sample->stride == 0;
    size_t size = sample->line_size;
    sample->line_size = 0;
    if (!is_chosen) return;
    if (sample->count == sample->count_max) {
        thin_out(sample);
        if ((sample->seen - 1) % sample->stride != 0) return;
    }
    assert(size < SAMPLE_KEY_MAX);
    sample->line[size] = '\n';
    struct slice line = slice_of(sample->line, size + 1);
    struct slice key = order_fields(sample->order, line, sample->fields);
    memcpy(sample->keys[sample->count], key.at, key.count);
    sample->sizes[sample->count++] = (uint16_t)key.count;
}

enum error sample_take(void *context, struct slice bytes)
{
    struct sample *sample = context;
    while (bytes.count > 0) {
        const uint8_t *newline = memchr(bytes.at, '\n', bytes.count);
        size_t count = newline == NULL ? bytes.count : (size_t)(newline - bytes.at);
        size_t room = SAMPLE_KEY_MAX - 1 - sample->line_size;
        size_t kept = count < room ? count : room;
        memcpy(sample->line + sample->line_size, bytes.at, kept);
        sample->line_size += kept;
        if (newline == NULL) return ERROR_NONE;
        end_line(sample);
        bytes = slice_of(newline + 1, bytes.count - count - 1);
    }
    return ERROR_NONE;
}

void sample_end(struct sample *sample)
{
    if (sample->line_size > 0) end_line(sample);
}

/* ---- giving ---- */

static enum error pour_one(const struct sample *sample, size_t i, struct outflow flow)
{
    uint8_t line[SAMPLE_KEY_MAX];
    size_t size = sample->sizes[i];
    memcpy(line, sample->keys[i], size);
    line[size] = '\n';
    return flow.take(flow.context, slice_of(line, size + 1));
}

enum error sample_pour(const struct sample *sample, struct outflow flow)
{
    enum error error = ERROR_NONE;
    for (size_t i = 0; i < sample->count && error == ERROR_NONE; i++)
        error = pour_one(sample, i, flow);
    return error;
}

static struct slice key_at(const struct sample *sample, size_t i)
{
    return slice_of(sample->keys[i], sample->sizes[i]);
}

enum error sample_pour_cuts(const struct sample *sample, uint32_t count, struct outflow flow)
{
    enum error error = ERROR_NONE;
    size_t last = SIZE_MAX;
    for (uint32_t i = 1; i < count && error == ERROR_NONE; i++) {
        size_t at = (size_t)((uint64_t)i * sample->count / count);
        if (at == 0 && sample->count < count) continue;
        if (last != SIZE_MAX && slice_equal(key_at(sample, at), key_at(sample, last))) continue;
        error = pour_one(sample, at, flow);
        last = at;
    }
    return error;
}

/* ---- choosing pieces of an input ---- */

/* The first line's start at or behind offset, below end; end when none is near: a line longer than
 * a piece is not sampled. */
static enum error find_line(int fd, uint64_t first, uint64_t offset, uint64_t end, uint64_t *found)
{
    uint8_t buffer[4096];
    *found = offset;
    if (offset == first) return ERROR_NONE;
    *found = end;
    uint64_t limit = end - offset < SAMPLE_PIECE_SIZE ? end : offset + SAMPLE_PIECE_SIZE;
    for (uint64_t at = offset - 1; at < limit;) {
        size_t wanted = limit - at < sizeof buffer ? (size_t)(limit - at) : sizeof buffer;
        ssize_t done = pread(fd, buffer, wanted, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return ERROR_NOT_FOUND;
        const uint8_t *newline = memchr(buffer, '\n', (size_t)done);
        if (newline != NULL) *found = at + (uint64_t)(newline - buffer) + 1;
        if (newline != NULL) return ERROR_NONE;
        at += (uint64_t)done;
    }
    return ERROR_NONE;
}

static enum error choose_in(int fd, const struct msg_task_input *whole,
                            struct msg_task_input items[SAMPLE_PIECES], size_t *count)
{
    uint64_t first = whole->offset, end = first + whole->size, past = first;
    enum error error = ERROR_NONE;
    for (unsigned i = 0; i < SAMPLE_PIECES && error == ERROR_NONE; i++) {
        uint64_t from, to, start = first + whole->size / SAMPLE_PIECES * i;
        if (start < past) start = past; /* the one before went so far */
        error = find_line(fd, first, start, end, &from);
        if (error != ERROR_NONE || from >= end) continue;
        uint64_t stop = end - from > SAMPLE_PIECE_SIZE ? from + SAMPLE_PIECE_SIZE : end;
        to = end;
        if (stop < end) error = find_line(fd, first, stop, end, &to);
        if (to - from > 2 * SAMPLE_PIECE_SIZE) continue; /* a very long line */
        items[*count] = *whole;
        items[*count].offset = from;
        items[(*count)++].size = to - from;
        past = to;
    }
    return error;
}

enum error sample_choose(struct scratch *scratch, const struct msg_task_input *whole,
                         struct msg_task_input items[SAMPLE_PIECES], size_t *count)
{
    char path[4097];
    *count = 0;
    if (whole->size <= (uint64_t)SAMPLE_PIECES * SAMPLE_PIECE_SIZE) {
        items[(*count)++] = *whole;
        return ERROR_NONE;
    }
    assert(whole->path.count < sizeof path);
    memcpy(path, whole->path.at, whole->path.count);
    path[whole->path.count] = '\0';
    int fd = input_descriptor(scratch, path);
    enum error error = fd < 0 ? ERROR_NOT_FOUND : choose_in(fd, whole, items, count);
    if (error != ERROR_NONE) (void)trouble_note(&scratch->trouble, "read", path);
    if (fd >= 0) close(fd);
    return error;
}

uint32_t sample_cuts_meant(struct slice command)
{
    struct slice head = slice_string("@cuts ");
    uint32_t count = 0;
    if (command.count <= head.count || memcmp(command.at, head.at, head.count) != 0) return 0;
    for (size_t i = head.count; i < command.count; i++) {
        if (command.at[i] < '0' || command.at[i] > '9' || count > UINT32_MAX / 100) return 0;
        count = count * 10 + (uint32_t)(command.at[i] - '0');
    }
    return count;
}
