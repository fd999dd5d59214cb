/* A ring that is written while it is read: the counts are read before and after the bytes, and what
 * may have been overwritten in between is not given out. A file that is not there is an attempt
 * that has said nothing yet. */
#include "io/tail.h"

#include "io/chore.h"
#include "io/file.h"
#include "io/loop.h"
#include "mapreduce/live.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct tail {
    struct chore chore;
    struct loop *loop;
    uint64_t stream, request;
    bool is_running;
    uint64_t behind, read_size;
    char path[FILE_PATH_MAX];
    size_t count;
    uint8_t bytes[LIVE_RING_SIZE];
};

static void read_ring(struct tail *tail, int file)
{
    uint64_t head[2], after[2];
    if (file_read(file, (uint8_t *)head, sizeof head, 0) != ERROR_NONE) return;
    tail->read_size = head[1];
    uint64_t end = head[0], at = tail->behind;
    if (at > end) return;
    if (end - at > LIVE_RING_SIZE) at = end - LIVE_RING_SIZE;
    uint64_t first = at;
    while (at < end) {
        size_t place = (size_t)(at % LIVE_RING_SIZE), size = LIVE_RING_SIZE - place;
        if (size > end - at) size = (size_t)(end - at);
        uint8_t *to = tail->bytes + (at - first);
        if (file_read(file, to, size, LIVE_HEAD_SIZE + place) != ERROR_NONE) return;
        at += size;
    }
    if (file_read(file, (uint8_t *)after, sizeof after, 0) != ERROR_NONE) return;
    tail->behind = first;
    tail->count = (size_t)(end - first);
    /* The ring is written before its count: the next write may have been under way, too. */
    uint64_t safe = after[0] > LIVE_RING_SIZE / 2 ? after[0] - LIVE_RING_SIZE / 2 : 0;
    if (after[0] == end || first >= safe) return;
    size_t lost = safe - first < tail->count ? (size_t)(safe - first) : tail->count;
    memmove(tail->bytes, tail->bytes + lost, tail->count - lost);
    tail->behind += lost;
    tail->count -= lost;
}

static void run_read(struct chore *chore)
{
    struct tail *tail = (struct tail *)chore;
    if (!tail->is_running) return;
    int file = open(tail->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return;
    read_ring(tail, file);
    close(file);
}

static void done_read(struct chore *chore)
{
    struct tail *tail = (struct tail *)chore;
    struct event event = {.kind = EVENT_TAIL_READ};
    event.tail_read.stream = tail->stream;
    event.tail_read.request = tail->request;
    event.tail_read.is_running = tail->is_running;
    event.tail_read.behind = tail->behind;
    event.tail_read.read_size = tail->read_size;
    event.tail_read.bytes = slice_of(tail->bytes, tail->count);
    loop_feed(tail->loop, &event);
    free(tail);
}

size_t tail_last(const char *directory, uint8_t *bytes)
{
    struct tail *tail = calloc(1, sizeof *tail);
    size_t count = 0;
    if (tail == NULL) return 0;
    tail->is_running = file_path(tail->path, "%s/live", directory);
    run_read(&tail->chore);
    const uint8_t *from = tail->bytes;
    /* A ring that has gone round begins amid a line. */
    const uint8_t *newline = tail->behind > 0 ? memchr(from, '\n', tail->count) : NULL;
    if (newline != NULL) from = newline + 1;
    count = (size_t)(tail->bytes + tail->count - from);
    if (count > 0) memcpy(bytes, from, count);
    free(tail);
    return count;
}

void tail_read(struct loop *loop, const struct action *action, const char *directory)
{
    struct tail *tail = malloc(sizeof *tail);
    if (tail == NULL) return; /* who asked asks again */
    *tail = (struct tail){.loop = loop,
                          .stream = action->tail_read.stream,
                          .request = action->tail_read.request,
                          .behind = action->tail_read.behind};
    tail->is_running = directory != NULL && file_path(tail->path, "%s/live", directory);
    chore_start(&loop->uv, &tail->chore, run_read, done_read);
}
