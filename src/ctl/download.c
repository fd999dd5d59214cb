/* Reading a dataset. What was written to stdout can't be taken back, so a block is verified
 * (BLAKE2b of its bytes is its name) before its first byte goes out: in memory when it is small,
 * else in an unlinked temporary file, or where a node of this machine has it. Holders are tried in
 * the order in which the peer lists them; when none gives the block, the list is asked for again
 * for a while, because after a death the flock makes new copies. */
#include "ctl/download.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/lending.h"
#include "ctl/listing.h"
#include "ctl/notice.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    POOL_MAX = 4, /* open streams to holders: blocks alternate between few */
    BAD_MAX = 16,
    BAD_PERIOD = 30 * SECOND, /* by then the flock has found out too, and lists it no more */
    FETCH_PATIENCE = 10 * SECOND,
    RETRY_LIMIT = 30 * SECOND, /* without any block coming */
    RETRY_PAUSE = SECOND / 2,
    COPY_SIZE = 256 * 1024,
    BORROW_ABOVE = 1 << 20, /* smaller ones come sooner than the peer has said where they are */
};

struct holder {
    struct address address;
    instant until;
};

struct download {
    struct session *session;
    int fd;
    int (*take)(void *context, struct slice bytes); /* instead of fd; NULL: to fd */
    void *context;
    bool has_written;
    uint64_t offset;     /* in the dataset, of the next block */
    bool is_closed;      /* the reader hung up, or has what he wanted: done, quietly */
    uint64_t lines_left; /* of head; 0: all */
    struct connection *pool[POOL_MAX];
    unsigned pool_next; /* the slot to reuse */
    uint8_t *memory;    /* for a block; larger ones are spooled */
    size_t memory_size;
    int spool; /* -1 until needed */
    struct lending lending;
    int borrowed; /* what is too large for memory is here, not in the spool; -1: it is not */
    struct holder bad[BAD_MAX]; /* a ring: holders that lately did not answer */
    unsigned bad_next;
    char why[CONNECTION_WHY_SIZE];
};

/* ---- writing out ---- */

/* Of these bytes, those that still belong to the lines wanted. */
static size_t cut_lines(struct download *download, const uint8_t *at, size_t count)
{
    for (size_t from = 0; from < count;) {
        const uint8_t *newline = memchr(at + from, '\n', count - from);
        if (newline == NULL) break;
        from = (size_t)(newline - at) + 1;
        if (--download->lines_left > 0) continue;
        download->is_closed = true;
        return from;
    }
    return count;
}

static int put_bytes(struct download *download, const uint8_t *at, size_t count)
{
    if (download->lines_left > 0) count = cut_lines(download, at, count);
    if (download->take != NULL) return download->take(download->context, slice_of(at, count));
    while (count > 0) {
        ssize_t put = write(download->fd, at, count);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EPIPE) {
            download->is_closed = true;
            return EXIT_OK;
        }
        if (put < 0) {
            notice_line("cannot write the output: %s", strerror(errno));
            return EXIT_JOB_FAILED;
        }
        download->has_written = true;
        at += put;
        count -= (size_t)put;
    }
    return EXIT_OK;
}

/* What is too large for memory. */
static int put_file(struct download *download, uint64_t size)
{
    int code = EXIT_OK, fd = download->borrowed >= 0 ? download->borrowed : download->spool;
    uint64_t at = 0;
    while (at < size && code == EXIT_OK && !download->is_closed) {
        /* No further than the block: behind it are bytes of a longer one before it. */
        size_t want = size - at < COPY_SIZE ? (size_t)(size - at) : COPY_SIZE;
        ssize_t got = pread(fd, download->memory, want, (off_t)at);
        if (got <= 0) {
            notice_line("cannot read the %s: %s",
                        download->borrowed >= 0 ? "block's file" : "temporary file",
                        got < 0 ? strerror(errno) : "it was cut off");
            return EXIT_JOB_FAILED;
        }
        code = put_bytes(download, download->memory, (size_t)got);
        at += (uint64_t)got;
    }
    return code;
}

/* ---- one block from one holder ---- */

/* A file that has no name any more; -1 with errno. */
static int spool_open(void)
{
    char path[4096];
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || *directory == '\0') directory = "/tmp";
    snprintf(path, sizeof path, "%s/mrctl.XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

/* Where a block's bytes wait for their verdict. False: the spool can't take them (said). */
static bool keep(struct download *download, const struct msg_block_ref *block, uint64_t at,
                 struct slice bytes)
{
    if (block->size <= download->memory_size) {
        memcpy(download->memory + at, bytes.at, bytes.count);
        return true;
    }
    if (download->spool < 0) download->spool = spool_open();
    bool is_open = download->spool >= 0;
    ssize_t put = is_open ? pwrite(download->spool, bytes.at, bytes.count, (off_t)at) : -1;
    if (put == (ssize_t)bytes.count) return true;
    notice_line("cannot write a temporary file: %s", strerror(put < 0 ? errno : ENOSPC));
    return false;
}

enum fetched {
    FETCHED_OK,
    FETCHED_NOT,     /* the holder does not have it, or it is damaged: the stream is still good */
    FETCHED_BROKEN,  /* the stream is of no use any more */
    FETCHED_NO_ROOM, /* here */
};

/* What the reply is worth; unless FETCHED_OK, why says what is wrong. */
static enum fetched check_reply(struct download *download, const struct wire_message *message,
                                uint64_t size)
{
    const struct msg_fetch_reply *reply = message->fields;
    const char *why = "";
    enum fetched fetched = FETCHED_OK;
    if (message->type != MSG_fetch_reply) {
        why = "it answered something else";
        fetched = FETCHED_BROKEN;
    } else if (reply->status != 0) {
        why = "it does not have the block";
        fetched = FETCHED_NOT;
    } else if (reply->size != size) {
        why = "its copy has another size";
        fetched = FETCHED_BROKEN; /* its bytes are on their way */
    }
    snprintf(download->why, sizeof download->why, "%s", why);
    return fetched;
}

static enum fetched fetch_chunks(struct download *download, struct connection *connection,
                                 const struct msg_block_ref *block)
{
    struct wire_message message;
    struct seal_hasher hasher;
    struct digest digest;
    uint64_t at = 0;
    seal_hasher_init(&hasher);
    while (at < block->size) {
        if (connection_receive(connection, FETCH_PATIENCE, &message) != ARRIVAL_OK)
            return FETCHED_BROKEN;
        const struct msg_chunk *chunk = message.fields;
        if (message.type != MSG_chunk || chunk->bytes.count > block->size - at)
            return FETCHED_BROKEN;
        if (!keep(download, block, at, chunk->bytes)) return FETCHED_NO_ROOM;
        seal_hasher_update(&hasher, chunk->bytes);
        at += chunk->bytes.count;
    }
    seal_hasher_final(&hasher, &digest);
    if (digest_equal(&digest, &block->digest)) return FETCHED_OK;
    snprintf(download->why, sizeof download->why, "its copy is damaged");
    return FETCHED_NOT;
}

static enum fetched fetch(struct download *download, struct connection *connection,
                          const struct msg_block_ref *block)
{
    struct msg_fetch ask = {.digest = block->digest, .part = PART_WHOLE, .offset = 0};
    struct wire_message message;
    snprintf(download->why, sizeof download->why, "the connection broke");
    if (connection_send(connection, &wire_fetch, &ask) != ARRIVAL_OK) return FETCHED_BROKEN;
    if (connection_receive(connection, FETCH_PATIENCE, &message) != ARRIVAL_OK)
        return FETCHED_BROKEN;
    enum fetched fetched = check_reply(download, &message, block->size);
    if (fetched != FETCHED_OK) return fetched;
    fetched = fetch_chunks(download, connection, block);
    if (fetched == FETCHED_BROKEN)
        snprintf(download->why, sizeof download->why, "the connection broke in the middle");
    return fetched;
}

/* The pool's slot for this address; NULL in it: to be opened. */
static struct connection **slot_of(struct download *download, const char *address)
{
    for (unsigned i = 0; i < POOL_MAX; i++)
        if (download->pool[i] != NULL &&
            strcmp(connection_address(download->pool[i]), address) == 0)
            return &download->pool[i];
    struct connection **slot = &download->pool[download->pool_next++ % POOL_MAX];
    connection_close(*slot);
    *slot = NULL;
    return slot;
}

static enum fetched fetch_from(struct download *download, const char *address,
                               const struct msg_block_ref *block)
{
    struct connection **slot = slot_of(download, address);
    /* A stream of the pool may have been closed as idle: a second try with a fresh one. */
    for (bool is_fresh = *slot == NULL;; is_fresh = true) {
        if (*slot == NULL && connection_open(session_connections(download->session), address,
                                             CHANNEL_BULK, slot, download->why) != ARRIVAL_OK)
            return FETCHED_BROKEN;
        enum fetched fetched = fetch(download, *slot, block);
        if (fetched != FETCHED_BROKEN) return fetched;
        connection_close(*slot);
        *slot = NULL;
        if (is_fresh) return fetched;
    }
}

/* ---- one block, where it lies ---- */

static void give_back(struct download *download)
{
    if (download->borrowed >= 0) close(download->borrowed);
    download->borrowed = -1;
}

/* Into memory, if it has room for all of it; else the file is only looked at. */
static bool is_right(struct download *download, int fd, const struct msg_block_ref *block)
{
    struct stat status;
    struct seal_hasher hasher;
    struct digest digest;
    uint64_t at = 0;
    bool fits = block->size <= download->memory_size;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    seal_hasher_init(&hasher);
    while (at < block->size) {
        uint64_t left = block->size - at;
        uint8_t *to = download->memory + (fits ? at : 0);
        ssize_t got = pread(fd, to, left < COPY_SIZE ? (size_t)left : COPY_SIZE, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        seal_hasher_update(&hasher, slice_of(to, (size_t)got));
        at += (uint64_t)got;
    }
    seal_hasher_final(&hasher, &digest);
    return digest_equal(&digest, &block->digest);
}

/* FETCHED_BROKEN: its file is there, and damaged. */
static enum fetched borrow(struct download *download, const struct msg_block_ref *block)
{
    give_back(download);
    bool is_asked = download->lending.peer[0] != '\0';
    if (block->size < BORROW_ABOVE && !is_asked) return FETCHED_NOT;
    int fd = lending_borrow(&download->lending, download->session, &block->digest);
    if (fd < 0) return FETCHED_NOT;
    download->borrowed = fd;
    bool is_here = is_right(download, fd, block);
    if (!is_here || block->size <= download->memory_size) give_back(download);
    return is_here ? FETCHED_OK : FETCHED_BROKEN;
}

/* ---- one block from anyone ---- */

static bool is_bad(const struct download *download, const struct address *address)
{
    for (unsigned i = 0; i < BAD_MAX; i++) {
        const struct holder *holder = &download->bad[i];
        if (holder->until > clock_now() && address_equal(&holder->address, address)) return true;
    }
    return false;
}

static void mark_bad(struct download *download, const struct address *address)
{
    struct holder *holder = &download->bad[download->bad_next++ % BAD_MAX];
    *holder = (struct holder){.address = *address, .until = clock_now() + BAD_PERIOD};
}

/* Holders that are bad (or that are not), in order. A dead machine thereby costs one time-out, not
 * one a block. */
static enum fetched fetch_listed(struct download *download, const struct msg_dataset_block *item,
                                 bool wants_bad)
{
    const struct msg_block_holder *holders = item->holders.at;
    char text[ADDRESS_TEXT_SIZE];
    for (uint32_t i = 0; i < item->holders.count; i++) {
        const struct address *address = &holders[i].address;
        if (address_is_none(address) || is_bad(download, address) != wants_bad) continue;
        enum fetched fetched =
            fetch_from(download, address_text(address, text), &item->block.block);
        if (fetched == FETCHED_OK || fetched == FETCHED_NO_ROOM) return fetched;
        if (fetched == FETCHED_BROKEN && !wants_bad) mark_bad(download, address);
        if (session_options(download->session)->is_verbose)
            notice_line("block from %s: %s", text, download->why);
    }
    return FETCHED_NOT;
}

/* The block into memory or the spool. The session's peer comes behind the good holders: it
 * may hold a copy that it does not list. */
static enum fetched fetch_any(struct download *download, const struct msg_dataset_block *item)
{
    char why[CONNECTION_WHY_SIZE];
    enum fetched fetched = borrow(download, &item->block.block);
    if (fetched == FETCHED_OK) return fetched;
    /* Who is asked for what is damaged finds that out, and sees to it. */
    if (fetched == FETCHED_BROKEN)
        fetched = fetch_from(download, session_peer(download->session), &item->block.block);
    if (fetched == FETCHED_OK || fetched == FETCHED_NO_ROOM) return fetched;
    snprintf(download->why, sizeof download->why, "nobody holds it");
    fetched = fetch_listed(download, item, false);
    if (fetched == FETCHED_OK || fetched == FETCHED_NO_ROOM) return fetched;
    snprintf(why, sizeof why, "%s", download->why);
    fetched = fetch_from(download, session_peer(download->session), &item->block.block);
    if (fetched == FETCHED_OK || fetched == FETCHED_NO_ROOM) return fetched;
    fetched = fetch_listed(download, item, true);
    if (fetched != FETCHED_OK) snprintf(download->why, sizeof download->why, "%s", why);
    return fetched;
}

/* Fetches and writes blocks of a page, *next being the first's index; stops at the first that can't
 * be had. */
static int put_page(struct download *download, const struct msg_say_dataset *page, uint32_t *next,
                    struct msg_block_ref *missing)
{
    const struct msg_dataset_block *items = page->blocks.at;
    int code = EXIT_OK;
    for (uint32_t i = 0; i < page->blocks.count && code == EXIT_OK && !download->is_closed; i++) {
        const struct msg_block_ref *block = &items[i].block.block;
        enum fetched fetched = block->size == 0 ? FETCHED_OK : fetch_any(download, &items[i]);
        *missing = *block;
        if (fetched == FETCHED_NO_ROOM) return EXIT_JOB_FAILED;
        if (fetched != FETCHED_OK) return EXIT_NO_PEER;
        code = block->size <= download->memory_size
                   ? put_bytes(download, download->memory, (size_t)block->size)
                   : put_file(download, block->size);
        ++*next;
        *missing = (struct msg_block_ref){.size = 0};
        download->offset += block->size;
    }
    return code;
}

static int give_up(const struct download *download, const char *name, uint32_t index,
                   const struct msg_block_ref *missing)
{
    char text[DIGEST_TEXT_SIZE];
    digest_text(&missing->digest, text);
    notice_line(
        "%s: its bytes %llu to %llu (block %u, %.16s) cannot be had: %s; a member that is dead "
        "may have them: see: mrctl members",
        name, (unsigned long long)download->offset,
        (unsigned long long)(download->offset + missing->size), index, text, download->why);
    return download->has_written ? EXIT_PARTIAL : EXIT_NO_PEER;
}

static int put_all(struct download *download, struct listing *listing)
{
    const char *name = listing->name;
    uint32_t next = 0, count = 1;
    struct msg_block_ref missing = {0};
    instant limit = clock_now() + RETRY_LIMIT;
    while (next < count && !download->is_closed) {
        const struct msg_say_dataset *page;
        int code = listing_page(listing, next, &page);
        if (code == EXIT_TIMED_OUT && missing.size > 0)
            (void)give_up(download, name, next, &missing);
        if (code == EXIT_TIMED_OUT || code == EXIT_INTERRUPTED) return code;
        if (code != EXIT_OK) return download->has_written ? EXIT_PARTIAL : code;
        uint32_t before = next;
        count = page->blocks_count;
        code = put_page(download, page, &next, &missing);
        if (next > before) limit = clock_now() + RETRY_LIMIT;
        if (code == EXIT_OK && (next > before || next >= count)) continue;
        if (code != EXIT_OK && code != EXIT_NO_PEER) return code;
        instant now = clock_now();
        if (now >= session_connections(download->session)->deadline) {
            notice_line("timed out (--timeout)");
            (void)give_up(download, name, next, &missing);
            return EXIT_TIMED_OUT;
        }
        if (now >= limit) return give_up(download, name, next, &missing);
        code = listing_check(listing);
        if (code != EXIT_OK) return download->has_written ? EXIT_PARTIAL : code;
        clock_sleep(RETRY_PAUSE);
    }
    return EXIT_OK;
}

int download_parts(struct session *session, const struct list *parts, int fd)
{
    struct download download = {.session = session, .fd = fd, .spool = -1, .borrowed = -1};
    const struct msg_small_block *blocks = parts->at;
    int code = EXIT_OK;
    for (uint32_t i = 0; i < parts->count && code == EXIT_OK && !download.is_closed; i++)
        code = put_bytes(&download, blocks[i].bytes.at, blocks[i].bytes.count);
    return code;
}

int download_dataset(struct session *session, const char *name, int fd)
{
    return download_lines(session, name, fd, 0);
}

static void make_room(struct download *download, size_t size)
{
    if (size <= download->memory_size) return;
    free(download->memory);
    download->memory = malloc(size);
    if (download->memory == NULL) notice_no_memory();
    download->memory_size = size;
}

struct download *download_open(struct session *session)
{
    struct download *download = calloc(1, sizeof *download);
    if (download == NULL) notice_no_memory();
    *download = (struct download){.session = session, .fd = -1, .spool = -1, .borrowed = -1};
    make_room(download, DOWNLOAD_BLOCK_MAX);
    return download;
}

void download_close(struct download *download)
{
    if (download == NULL) return;
    for (unsigned i = 0; i < POOL_MAX; i++) connection_close(download->pool[i]);
    if (download->spool >= 0) close(download->spool);
    give_back(download);
    lending_deinit(&download->lending);
    free(download->memory);
    free(download);
}

bool download_block(struct download *download, const struct msg_dataset_block *item,
                    struct slice *bytes)
{
    const struct msg_block_ref *block = &item->block.block;
    if (block->size > LIST_SIZE_MAX) return false;
    make_room(download, (size_t)block->size);
    if (fetch_any(download, item) != FETCHED_OK) return false;
    *bytes = slice_of(download->memory, (size_t)block->size);
    return true;
}

int download_lines(struct session *session, const char *name, int fd, uint64_t lines)
{
    struct download *download = download_open(session);
    download->fd = fd;
    download->lines_left = lines;
    struct listing listing;
    listing_init(&listing, session, name);
    int code = put_all(download, &listing);
    download_close(download);
    return code;
}

int download_to(struct session *session, const char *name, const struct digest *list, void *context,
                int (*take)(void *context, struct slice bytes))
{
    struct download *download = download_open(session);
    struct listing listing;
    download->take = take;
    download->context = context;
    listing_init_exact(&listing, session, name, list);
    int code = put_all(download, &listing);
    download_close(download);
    return code;
}
