/* Bytes from a stream into a file, hashed and checked on the way, on worker threads. What comes has
 * to be a known list of pieces, each with its size and digest (or XXH3); or anything at all (an
 * upload), whose digest is then told. */
#ifndef IO_SINK_H
#define IO_SINK_H

#include "base/error.h"
#include "base/id.h"
#include "base/slice.h"

#include <stdbool.h>

struct loop;
struct sink;

struct sink_piece {
    uint64_t size;
    struct digest digest;
    uint64_t check; /* XXH3, which counts instead of the digest when has_check */
    bool has_check;
};

/* What the owner hears; never from within a call of sink_*. */
struct sink_user {
    /* There is room again, after sink_write returned false; or all has been pulled, and is yet to
     * be made durable. */
    void (*ready)(void *context);
    /* The last call: the file is complete and closed (NONE), or deleted. CORRUPT: not the bytes
     * expected. The sink is gone when it returns. digest and size: of all bytes, of an upload only.
     */
    void (*ended)(void *context, enum error error, const struct digest *digest, uint64_t size);
};

/* A file at path (copied). pieces: copied; none: an upload. NULL when out of memory. */
struct sink *sink_open(struct loop *loop, const char *path, const struct sink_piece *pieces,
                       size_t pieces_count, const struct sink_user *user, void *context);
/* For small blocks that must come even when the disk is nearly full: see sink.c. */
void sink_use_reserve(struct sink *sink);
/* So many bytes will come, at once after sink_open: who has no room for all takes none. */
void sink_need(struct sink *sink, uint64_t size);
/* For the first `size` bytes room was found already (sink_room). Before sink_write. */
void sink_promise(struct sink *sink, uint64_t size);
/* Bytes that blocks may still take of the disk that this directory is on; UINT64_MAX when it can't
 * be told. Blocking. */
uint64_t sink_room(const char *directory);
/* Takes these bytes (copied). False: they are taken, but after the rest of this record no more
 * please before ready. */
bool sink_write(struct sink *sink, struct slice bytes);
/* Did sink_write say so last, or ready since? */
bool sink_has_room(const struct sink *sink);
/* Of an upload: the XXH3 of all its bytes; others end with CORRUPT. Before sink_finish. */
void sink_expect(struct sink *sink, uint64_t check);
/* No more bytes; ended follows. is_durable: fsynced, and made read-only to say so. */
void sink_finish(struct sink *sink, bool is_durable);
/* In place of sink_write and sink_finish: all bytes are these of a file, made durable; ended
 * follows (INVALID: they could not be read). size: above 0. Takes the descriptor; -1: can't be
 * read. */
void sink_pull(struct sink *sink, int file, uint64_t offset, uint64_t size);
/* The owner has lost interest: nothing follows, the file is deleted, the sink frees itself. */
void sink_abort(struct sink *sink);

#endif
