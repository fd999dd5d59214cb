/* Reading by pread into a window of its own: thousands of inputs cost bounded memory, and an input
 * that cannot be read is an error to tell, where a mapping would be a SIGBUS. */
#include "mapreduce/source.h"

#include "mapreduce/live.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LINE_USUAL = 4096
}; /* room for a line that a page's end cuts: longer ones grow */

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

/* The window takes so many bytes more: half as large again, but no larger than what is left needs.
 * One byte more than that, for a last line without a newline gets one. */
static enum error grow(struct source *source, size_t more)
{
    size_t used = source->end - source->start, larger = source->capacity + source->capacity / 2;
    uint64_t rest = is_run(source) ? source->part.size : source->left;
    if (larger > used + rest + 1) larger = used + (size_t)rest + 1;
    if (larger < used + more + 1) larger = used + more + 1;
    uint8_t *moved =
        memory_resize(source->scratch->memory, source->window, source->capacity, larger);
    if (moved == NULL) return ERROR_MEMORY;
    source->window = moved;
    source->capacity = larger;
    return ERROR_NONE;
}

/* Exactly so many of the part's next bytes. */
static enum error read_exactly(struct source *source, uint8_t *to, size_t count)
{
    while (count > 0) {
        ssize_t done = pread(source->fd, to, count, (off_t)source->part.offset);
        if (done < 0 && errno == EINTR) continue;
        if (done == 0) errno = ENODATA; /* shorter than the spec says */
        if (done <= 0) return note(source);
        to += done;
        count -= (size_t)done;
        source->part.offset += (uint64_t)done;
        source->part.size -= (uint64_t)done;
    }
    return ERROR_NONE;
}

static enum error note_rot(struct source *source)
{
    errno = EBADMSG;
    return note(source);
}

static struct seal_hasher *hasher_of(struct source *source)
{
    uintptr_t at = (uintptr_t)source->hasher, step = _Alignof(struct seal_hasher);
    return (struct seal_hasher *)(void *)(source->hasher + (step - at % step) % step);
}

/* All have been read: are they what the map printed? Each page's checksum was made by who stored
 * it; this digest came by way of the log. What was made of them is not committed before. */
static enum error check_records(struct source *source)
{
    struct digest digest;
    if (source->part.records == NULL) return ERROR_NONE;
    seal_hasher_final(hasher_of(source), &digest);
    return digest_equal(&digest, source->part.records) ? ERROR_NONE : note_rot(source);
}

static enum error fill_page(struct source *source)
{
    struct page_head head;
    if (source->part.size < PAGE_HEAD) return note_rot(source);
    enum error error = read_exactly(source, source->packed, PAGE_HEAD);
    if (error != ERROR_NONE) return error;
    bool is_sound = squeeze_read_head(source->packed, &head) && head.stored <= source->part.size &&
                    head.size <= source->left;
    if (!is_sound) return note_rot(source);
    error = read_exactly(source, source->packed + PAGE_HEAD, head.stored);
    if (error == ERROR_NONE && source->capacity - source->end < (size_t)head.size + 1)
        error = grow(source, head.size);
    if (error != ERROR_NONE) return error;
    if (!squeeze_unpack(&source->scratch->squeeze, &head, source->packed + PAGE_HEAD,
                        source->window + source->end))
        return note_rot(source);
    if (source->part.records != NULL)
        seal_hasher_update(hasher_of(source), slice_of(source->window + source->end, head.size));
    source->end += head.size;
    source->left -= head.size;
    struct live *live = source->scratch->watch->live;
    if (live != NULL) live->read_size += PAGE_HEAD + head.stored;
    bool is_last = source->part.size == 0;
    if (is_last != (source->left == 0)) return note_rot(source);
    return is_last ? check_records(source) : ERROR_NONE;
}

static enum error fill_plain(struct source *source)
{
    if (source->capacity - source->end < 2) {
        enum error error = grow(source, 1);
        if (error != ERROR_NONE) return error;
    }
    size_t room = source->capacity - source->end - 1;
    if (room > source->part.size) room = (size_t)source->part.size;
    enum error error = read_exactly(source, source->window + source->end, room);
    if (error == ERROR_NONE) source->end += room;
    return error;
}

/* Reads more behind what is in the window. */
static enum error fill(struct source *source)
{
    size_t count = source->end - source->start;
    memmove(source->window, source->window + source->start, count);
    source->start = 0;
    source->end = count;
    return is_run(source) ? fill_plain(source) : fill_page(source);
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
            if (!is_run(source) && source->left > 0) return note_rot(source);
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

size_t source_overhead(const struct part *part)
{
    return part->path.at == NULL ? 0 : PAGE_SIZE_MAX;
}

static uint64_t integer(const uint8_t *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* The segment's tail; what is left to be read is before it. */
static enum error read_tail(struct source *source)
{
    uint8_t tail[SEGMENT_TAIL];
    struct part part = source->part;
    if (part.size < SEGMENT_TAIL) return note_rot(source);
    source->part.offset += part.size - SEGMENT_TAIL;
    enum error error = read_exactly(source, tail, SEGMENT_TAIL);
    source->part = part;
    source->part.size -= SEGMENT_TAIL;
    source->part.line_max = integer(tail);
    source->left = integer(tail + 8);
    return error;
}

enum error source_measure(struct scratch *scratch, struct part *part)
{
    struct source source = {.scratch = scratch, .part = *part, .fd = -1};
    if (part->path.at == NULL || part->size == 0) return ERROR_NONE;
    enum error error = open_file(&source, -1);
    if (error == ERROR_NONE) error = read_tail(&source);
    if (source.fd >= 0) close(source.fd);
    part->line_max = source.part.line_max;
    return error;
}

enum error source_open(struct source *source, struct scratch *scratch, const struct order *order,
                       const struct part *part, int runs_fd, size_t window_size, uint8_t *packed)
{
    *source = (struct source){.scratch = scratch, .order = order, .part = *part, .fd = -1};
    source->packed = packed;
    if (part->size == 0) return ERROR_NONE;
    enum error error = open_file(source, runs_fd);
    if (error == ERROR_NONE && !is_run(source)) {
        if (part->records != NULL) seal_hasher_init(hasher_of(source));
        error = read_tail(source);
        window_size = PAGE_SIZE_MAX + LINE_USUAL;
    }
    if (error != ERROR_NONE) return error;
    uint64_t size = is_run(source) ? source->part.size : source->left;
    if (window_size > size + 2) window_size = (size_t)size + 2;
    source->window = memory_take(scratch->memory, window_size);
    if (source->window == NULL) return ERROR_MEMORY;
    source->capacity = window_size;
    return source_next(source);
}

void source_close(struct source *source)
{
    if (source->fd >= 0 && !is_run(source)) close(source->fd);
    memory_put(source->scratch->memory, source->window, source->capacity);
    source->window = NULL;
    source->fd = -1;
}
