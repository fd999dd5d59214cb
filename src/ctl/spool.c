/* What a pipe gave can't be had from it again, and the node that it went to may die before it is on
 * a disk, or before anybody else has it. So the last of it is kept in a file without a name (in
 * TMPDIR, else /tmp): a ring, because what is old is safe by then.
 *
 *   file   ... 7 8 | 1 2 3 4 5 6 ...        to = 8, from = to - SPOOL_SIZE
 *
 * Where no file can be had, or its disk is full, nothing is kept, and a pipe is read but once. */
#include "ctl/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    /* An upload has five blocks on their way and one that is being read; they have 32 MiB each
     * unless --split says otherwise. The rest is for copies that are being made. */
    SPOOL_SIZE = 256 << 20,
};

void spool_open(struct spool *spool)
{
    const char *directory = getenv("TMPDIR");
    *spool = (struct spool){.file = -1};
    if (directory == NULL || *directory == '\0') directory = "/tmp";
    spool->file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

void spool_close(struct spool *spool)
{
    if (spool->file >= 0) close(spool->file);
    *spool = (struct spool){.file = -1};
}

static void give_up(struct spool *spool)
{
    if (spool->file >= 0) close(spool->file);
    spool->file = -1;
    spool->from = spool->to;
}

/* Up to the ring's end. */
static size_t piece(uint64_t at, size_t count)
{
    uint64_t left = SPOOL_SIZE - at % SPOOL_SIZE;
    return count < left ? count : (size_t)left;
}

void spool_add(struct spool *spool, struct slice bytes)
{
    while (bytes.count > 0) {
        size_t count = piece(spool->to, bytes.count);
        ssize_t done = (ssize_t)count; /* without a file they are only counted */
        if (spool->file >= 0)
            done = pwrite(spool->file, bytes.at, count, (off_t)(spool->to % SPOOL_SIZE));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            give_up(spool);
            continue;
        }
        spool->to += (uint64_t)done;
        bytes = slice_of(bytes.at + done, bytes.count - (size_t)done);
    }
    if (spool->file < 0) spool->from = spool->to;
    if (spool->to - spool->from > SPOOL_SIZE) spool->from = spool->to - SPOOL_SIZE;
}

bool spool_has(const struct spool *spool, uint64_t at)
{
    return at >= spool->from && at <= spool->to;
}

size_t spool_read(const struct spool *spool, uint64_t at, uint8_t *bytes, size_t size)
{
    ssize_t got;
    if (!spool_has(spool, at) || at == spool->to) return 0;
    size_t count = size < spool->to - at ? size : (size_t)(spool->to - at);
    count = piece(at, count);
    do got = pread(spool->file, bytes, count, (off_t)(at % SPOOL_SIZE));
    while (got < 0 && errno == EINTR);
    return got < 0 ? 0 : (size_t)got;
}
