/* The ring's new bytes, then the counts (live.h). A disk that is full keeps nobody from working. */
#include "mapreduce/live.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    LIVE_FIRST = 100 * MILLISECOND, /* most tasks are over by then */
    LIVE_EVERY = 200 * MILLISECOND, /* as fast as a reader's eye */
};

void live_init(struct live *live, int directory, const struct report *report, instant now)
{
    *live = (struct live){.directory = directory, .file = -1, .report = report};
    live->next = now + LIVE_FIRST;
}

void live_deinit(struct live *live)
{
    if (live->file >= 0) close(live->file);
    live->file = -1;
}

static bool is_behind(const struct live *live)
{
    return live->report->logged > live->logged || live->read_size > live->read_written;
}

static bool put(const struct live *live, const void *bytes, size_t size, uint64_t offset)
{
    return pwrite(live->file, bytes, size, (off_t)offset) == (ssize_t)size;
}

static bool write_news(struct live *live)
{
    uint64_t end = live->report->logged, at = live->logged;
    if (end - at > LIVE_RING_SIZE) at = end - LIVE_RING_SIZE;
    while (at < end) {
        size_t place = (size_t)(at % LIVE_RING_SIZE), size = LIVE_RING_SIZE - place;
        if (size > end - at) size = (size_t)(end - at);
        if (!put(live, live->report->ring + place, size, LIVE_HEAD_SIZE + place)) return false;
        at += size;
    }
    uint64_t head[2] = {end, live->read_size};
    _Static_assert(sizeof head == LIVE_HEAD_SIZE, "two counts");
    if (!put(live, head, sizeof head, 0)) return false;
    live->logged = end;
    live->read_written = live->read_size;
    return true;
}

void live_look(struct live *live, instant now)
{
    if (now < live->next || live->is_broken || !is_behind(live)) return;
    live->next = now + LIVE_EVERY;
    if (live->file < 0)
        live->file = openat(live->directory, "live", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    live->is_broken = live->file < 0 || !write_news(live);
}

instant live_due(const struct live *live)
{
    return live->is_broken || !is_behind(live) ? INSTANT_NEVER : live->next;
}
