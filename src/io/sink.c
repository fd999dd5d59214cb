/* A sink (sink.h): two buffers, one being filled by the loop while a worker hashes and writes the
 * other. So the memory of a transfer is bounded, and a slow disk slows its sender down instead of
 * the loop. Trouble is told as soon as the worker found it, without waiting for the rest of the
 * bytes. What is pulled out of a file needs no loop but to look, between two steps of the worker,
 * whether somebody still wants it. */
#include "io/sink.h"

#include "base/hash.h"
#include "io/blocks.h"
#include "io/loop.h"
#include "wire/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    /* Filled beyond this, no more is wanted: enough for a worker's round trip to be small beside
     * it, little enough for a thousand transfers. */
    SINK_WANTED = 256 << 10,
    /* What is at hand already must fit still: one record. Untouched pages cost nothing. */
    SINK_BUFFER_SIZE = SINK_WANTED + CHANNEL_RECORD_MAX,
    /* Blocks leave this much of a disk free: the log, scratch files and the lists by which we know
     * what may go need room when there is hardly any. */
    SINK_RESERVE_MAX = 256 << 20,
    SINK_RESERVE_SHARE = 20,    /* a twentieth, of small disks */
    SINK_PIECE = 64 << 10,      /* hashed, then written while they are in the processor's cache */
    SINK_LOOK_EVERY = 8 << 20,  /* bytes written between looks */
    SINK_FLUSH_EVERY = 4 << 20, /* bytes after which the disk begins to write: not all at the end */
    SINK_PULLED = 4 << 20,      /* bytes of a step: others wait for a worker, too */
};

enum sink_state {
    SINK_FILLS,
    SINK_PULLS,    /* they are in a file */
    SINK_FINISHES, /* no more bytes will come */
    SINK_ABORTS,   /* nobody listens any more */
};

struct sink {
    struct chore chore;
    struct loop *loop;
    const struct sink_user *user;
    void *context;
    enum sink_state state;
    bool is_busy;    /* a worker has written, hasher and the fields from file on */
    bool is_awaited; /* the owner waits for ready */
    bool is_last;    /* this turn of the worker closes the file */
    bool is_durable;
    bool uses_reserve;
    bool has_expected; /* an upload, and its XXH3 is known */
    uint64_t expected;
    size_t filling_count, writing_count;
    uint8_t *filling, *writing;
    uint64_t source_left; /* to be pulled, this turn's bytes included */

    int source;         /* what is pulled from; -1: none */
    uint64_t source_at; /* the offset of what is next */
    int file;           /* -1: not open */
    enum error error;
    struct seal_hasher hasher;
    struct hash_stream check;
    uint64_t piece_left;
    size_t piece; /* the current one; of an upload always 0 */
    uint64_t size;
    uint64_t flushed;  /* so much is on its way to the disk */
    uint64_t claimed;  /* of the loop's promised: bytes that are still to be written */
    uint64_t ahead;    /* promised when that was claimed */
    uint64_t rest;     /* claimed, before this turn of the worker */
    uint64_t looked;   /* size at which the disk's room is looked at again */
    uint64_t promised; /* to others, before this turn of the worker: no room for these bytes */
    struct digest digest;
    size_t pieces_count;
    struct sink_piece *pieces;
    char path[FILE_PATH_MAX];
};

/* ---- on a worker thread ---- */

static enum error open_file(struct sink *sink)
{
    if (sink->file >= 0) return ERROR_NONE;
    sink->file = open(sink->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, BLOCK_MODE_LOOSE);
    return sink->file >= 0 ? ERROR_NONE : file_error(errno);
}

/* Without the reserve. */
static uint64_t room_of(const struct statvfs *disk)
{
    uint64_t room = (uint64_t)disk->f_bavail * disk->f_frsize;
    uint64_t reserve = (uint64_t)disk->f_blocks * disk->f_frsize / SINK_RESERVE_SHARE;
    if (reserve > SINK_RESERVE_MAX) reserve = SINK_RESERVE_MAX;
    return room > reserve ? room - reserve : 0;
}

static enum error look_for_room(struct sink *sink)
{
    struct statvfs disk;
    if (sink->uses_reserve || sink->size < sink->looked) return ERROR_NONE;
    sink->looked = sink->size + SINK_LOOK_EVERY;
    if (fstatvfs(sink->file, &disk) != 0) return ERROR_NONE; /* writing will tell */
    uint64_t room = room_of(&disk);
    return room > sink->promised && room - sink->promised > sink->rest ? ERROR_NONE : ERROR_FULL;
}

uint64_t sink_room(const char *directory)
{
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 ? room_of(&disk) : UINT64_MAX;
}

static bool is_piece_right(struct sink *sink)
{
    const struct sink_piece *piece = &sink->pieces[sink->piece];
    if (piece->has_check) {
        bool is_right = hash_stream_final(&sink->check) == piece->check;
        hash_stream_init(&sink->check);
        return is_right;
    }
    struct digest digest;
    seal_hasher_final(&sink->hasher, &digest);
    seal_hasher_init(&sink->hasher);
    return digest_equal(&digest, &piece->digest);
}

/* Closes pieces that are complete; empty ones are complete at once. */
static enum error check_pieces(struct sink *sink)
{
    while (sink->piece < sink->pieces_count && sink->piece_left == 0) {
        if (!is_piece_right(sink)) return ERROR_CORRUPT;
        if (++sink->piece < sink->pieces_count) sink->piece_left = sink->pieces[sink->piece].size;
    }
    return ERROR_NONE;
}

static enum error hash(struct sink *sink, struct slice bytes)
{
    if (sink->pieces_count == 0) {
        seal_hasher_update(&sink->hasher, bytes);
        hash_stream_update(&sink->check, bytes.at, bytes.count);
        return ERROR_NONE;
    }
    enum error error = check_pieces(sink);
    while (error == ERROR_NONE && bytes.count > 0) {
        if (sink->piece == sink->pieces_count) return ERROR_CORRUPT; /* more than was announced */
        size_t count = bytes.count < sink->piece_left ? bytes.count : (size_t)sink->piece_left;
        if (sink->pieces[sink->piece].has_check) hash_stream_update(&sink->check, bytes.at, count);
        else seal_hasher_update(&sink->hasher, slice_of(bytes.at, count));
        sink->piece_left -= count;
        bytes.at += count;
        bytes.count -= count;
        error = check_pieces(sink);
    }
    return error;
}

static enum error finish_file(struct sink *sink)
{
    enum error error = check_pieces(sink);
    if (error == ERROR_NONE && sink->piece < sink->pieces_count) error = ERROR_CORRUPT;
    if (sink->has_expected && hash_stream_final(&sink->check) != sink->expected)
        error = ERROR_CORRUPT;
    if (error == ERROR_NONE && sink->pieces_count == 0)
        seal_hasher_final(&sink->hasher, &sink->digest);
    if (error == ERROR_NONE && sink->is_durable &&
        (fchmod(sink->file, BLOCK_MODE_DURABLE) != 0 || fsync(sink->file) != 0))
        error = file_error(errno);
    int file = sink->file;
    sink->file = -1;
    if (close(file) != 0 && error == ERROR_NONE) error = file_error(errno);
    return error;
}

/* The disk works while the rest comes, so that the fsync at the end finds little left to do. */
static void flush_some(struct sink *sink)
{
    uint64_t fresh = sink->size - sink->flushed;
    if (sink->error != ERROR_NONE || sink->file < 0 || fresh < SINK_FLUSH_EVERY) return;
    (void)sync_file_range(sink->file, (off_t)sink->flushed, (off_t)fresh, SYNC_FILE_RANGE_WRITE);
    sink->flushed = sink->size;
}

static void discard_file(struct sink *sink)
{
    if (sink->file >= 0) close(sink->file);
    sink->file = -1;
    (void)unlink(sink->path);
}

static void run_write(struct chore *chore)
{
    struct sink *sink = (struct sink *)chore;
    struct slice bytes = slice_of(sink->writing, sink->writing_count);
    if (sink->error == ERROR_NONE) sink->error = open_file(sink);
    if (sink->error == ERROR_NONE) sink->error = look_for_room(sink);
    while (sink->error == ERROR_NONE && bytes.count > 0) {
        size_t count = bytes.count < SINK_PIECE ? bytes.count : SINK_PIECE;
        struct slice piece = slice_of(bytes.at, count);
        bytes = slice_of(bytes.at + count, bytes.count - count);
        sink->error = hash(sink, piece);
        if (sink->error == ERROR_NONE) sink->error = file_write(sink->file, piece);
    }
    if (sink->error == ERROR_NONE && sink->is_last) sink->error = finish_file(sink);
    sink->size += sink->writing_count;
    flush_some(sink);
    if (sink->error != ERROR_NONE) discard_file(sink);
}

/* A piece of the source, which the buffer has room for. Trouble with it is none of our disk's. */
static enum error pull_piece(struct sink *sink, size_t count)
{
    struct slice piece = slice_of(sink->writing, count);
    if (file_read(sink->source, sink->writing, count, sink->source_at) != ERROR_NONE)
        return ERROR_INVALID;
    sink->source_at += count;
    sink->size += count;
    enum error error = hash(sink, piece);
    return error == ERROR_NONE ? file_write(sink->file, piece) : error;
}

static void run_pull(struct chore *chore)
{
    struct sink *sink = (struct sink *)chore;
    size_t left = sink->writing_count;
    (void)posix_fadvise(sink->source, (off_t)sink->source_at, (off_t)left, POSIX_FADV_WILLNEED);
    sink->error = open_file(sink);
    if (sink->error == ERROR_NONE) sink->error = look_for_room(sink);
    while (sink->error == ERROR_NONE && left > 0) {
        size_t count = left < SINK_PIECE ? left : SINK_PIECE;
        sink->error = pull_piece(sink, count);
        left -= count;
    }
    if (sink->error == ERROR_NONE && sink->is_last) sink->error = finish_file(sink);
    flush_some(sink);
    if (sink->error != ERROR_NONE) discard_file(sink);
}

static void run_abort(struct chore *chore) { discard_file((struct sink *)chore); }

/* ---- on the loop ---- */

static void use_claim(struct sink *sink, uint64_t count)
{
    if (count > sink->claimed) count = sink->claimed;
    sink->claimed -= count;
    sink->loop->promised -= count;
}

/* So many bytes are others': all that is promised, or what was when this one made its claim. */
static uint64_t others(const struct sink *sink)
{
    uint64_t promised = sink->loop->promised - sink->claimed;
    return sink->claimed > 0 && sink->ahead < promised ? sink->ahead : promised;
}

static void sink_free(struct sink *sink)
{
    use_claim(sink, sink->claimed);
    sink->loop->unwritten -= sink->filling_count + sink->source_left;
    if (sink->source >= 0) close(sink->source);
    free(sink->filling);
    free(sink->writing);
    free(sink->pieces);
    free(sink);
}

static void done_abort(struct chore *chore) { sink_free((struct sink *)chore); }

static void start_abort(struct sink *sink)
{
    chore_start(&sink->loop->uv, &sink->chore, run_abort, done_abort);
}

static void done_write(struct chore *chore);

static void start_write(struct sink *sink)
{
    uint8_t *swapped = sink->filling;
    assert(!sink->is_busy);
    sink->filling = sink->writing;
    sink->writing = swapped;
    sink->writing_count = sink->filling_count;
    sink->filling_count = 0;
    sink->promised = others(sink);
    sink->rest = sink->claimed;
    sink->is_last = sink->state == SINK_FINISHES;
    sink->is_busy = true;
    chore_start(&sink->loop->uv, &sink->chore, run_write, done_write);
}

static void end(struct sink *sink)
{
    const struct sink_user *user = sink->user;
    user->ended(sink->context, sink->error, &sink->digest, sink->size);
    sink_free(sink);
}

static void done_write(struct chore *chore)
{
    struct sink *sink = (struct sink *)chore;
    bool is_awaited = sink->is_awaited;
    sink->loop->unwritten -= sink->writing_count;
    use_claim(sink, sink->writing_count);
    sink->is_busy = false;
    sink->is_awaited = false;
    if (sink->state == SINK_ABORTS) start_abort(sink);
    else if (sink->error != ERROR_NONE || sink->is_last) end(sink);
    else {
        if (sink->filling_count > 0 || sink->state == SINK_FINISHES) start_write(sink);
        if (is_awaited) sink->user->ready(sink->context);
    }
}

static void done_pull(struct chore *chore);

static void start_pull(struct sink *sink)
{
    sink->writing_count = sink->source_left < SINK_PULLED ? (size_t)sink->source_left : SINK_PULLED;
    sink->promised = sink->loop->promised;
    sink->is_last = sink->source_left == 0; /* a step of its own: it waits, most of its time */
    sink->is_busy = true;
    chore_start(&sink->loop->uv, &sink->chore, run_pull, done_pull);
}

static void done_pull(struct chore *chore)
{
    struct sink *sink = (struct sink *)chore;
    sink->source_left -= sink->writing_count;
    sink->loop->unwritten -= sink->writing_count;
    sink->is_busy = false;
    if (sink->state == SINK_ABORTS) start_abort(sink);
    else if (sink->error != ERROR_NONE || sink->is_last) end(sink);
    else {
        start_pull(sink);
        if (sink->is_last) sink->user->ready(sink->context);
    }
}

void sink_pull(struct sink *sink, int file, uint64_t offset, uint64_t size)
{
    assert(sink->state == SINK_FILLS && !sink->is_busy && sink->filling_count == 0);
    sink->state = SINK_PULLS;
    sink->is_durable = true;
    sink->source = file;
    sink->source_at = offset;
    sink->source_left = size;
    sink->loop->unwritten += size;
    start_pull(sink);
}

bool sink_write(struct sink *sink, struct slice bytes)
{
    assert(sink->state == SINK_FILLS);
    assert(bytes.count <= SINK_BUFFER_SIZE - sink->filling_count);
    if (bytes.count > 0) memcpy(sink->filling + sink->filling_count, bytes.at, bytes.count);
    sink->filling_count += bytes.count;
    sink->loop->unwritten += bytes.count;
    if (!sink->is_busy && sink->filling_count > 0) start_write(sink);
    sink->is_awaited = sink->filling_count > SINK_WANTED;
    return !sink->is_awaited;
}

bool sink_has_room(const struct sink *sink) { return !sink->is_awaited; }

void sink_use_reserve(struct sink *sink) { sink->uses_reserve = true; }

/* Those that come later leave room for it: of several that would not fit together the first does.
 */
void sink_need(struct sink *sink, uint64_t size)
{
    if (sink->uses_reserve) return;
    sink->ahead = sink->loop->promised;
    sink->claimed = size;
    sink->loop->promised += size;
}

void sink_promise(struct sink *sink, uint64_t size) { sink->looked = size; }

void sink_expect(struct sink *sink, uint64_t check)
{
    assert(sink->state == SINK_FILLS && sink->pieces_count == 0);
    sink->has_expected = true;
    sink->expected = check;
}

void sink_finish(struct sink *sink, bool is_durable)
{
    assert(sink->state == SINK_FILLS);
    sink->state = SINK_FINISHES;
    sink->is_durable = is_durable;
    sink->is_awaited = false;
    if (!sink->is_busy) start_write(sink);
}

void sink_abort(struct sink *sink)
{
    assert(sink->state != SINK_ABORTS);
    sink->state = SINK_ABORTS;
    if (!sink->is_busy) start_abort(sink);
}

struct sink *sink_open(struct loop *loop, const char *path, const struct sink_piece *pieces,
                       size_t pieces_count, const struct sink_user *user, void *context)
{
    struct sink *sink = aligned_alloc(_Alignof(struct sink), sizeof *sink);
    if (sink == NULL) return NULL;
    memset(sink, 0, sizeof *sink);
    sink->loop = loop;
    sink->user = user;
    sink->context = context;
    sink->source = sink->file = -1;
    sink->pieces_count = pieces_count;
    sink->filling = malloc(SINK_BUFFER_SIZE);
    sink->writing = malloc(SINK_BUFFER_SIZE);
    sink->pieces = malloc((pieces_count + 1) * sizeof *pieces);
    bool fits = file_path(sink->path, "%s", path);
    if (!fits || sink->filling == NULL || sink->writing == NULL || sink->pieces == NULL) {
        sink_free(sink);
        return NULL;
    }
    if (pieces_count > 0) memcpy(sink->pieces, pieces, pieces_count * sizeof *pieces);
    if (pieces_count > 0) sink->piece_left = pieces[0].size;
    seal_hasher_init(&sink->hasher);
    hash_stream_init(&sink->check);
    return sink;
}
