/* The blocks on this disk: files named by digest, and a table of them.
 *
 *   DIR/blocks/3f/3f7a...     a plain block
 *   DIR/blocks/3f/3f7a....p   a partitioned one
 *   DIR/tmp/N                 being written, or fetched for a task
 *
 * A file that its owner may not write (mode 0400) has been fsynced; one that he may (0600) has not.
 */
#ifndef IO_BLOCKS_H
#define IO_BLOCKS_H

#include "base/error.h"
#include "base/id.h"
#include "base/time.h"
#include "io/chore.h"
#include "io/file.h"

#include <stdbool.h>

struct loop;
struct blocks;

enum {
    BLOCK_MODE_DURABLE = 0400,
    BLOCK_MODE_LOOSE = 0600,
};

/* What was known of a block's file when its bytes were last found good (verify.c). */
struct block_state {
    uint64_t inode, size;
    int64_t modified, changed; /* ns, wall clock: only compared for equality */
    instant verified;          /* 0: never */
};

/* Of an open file, as verified now. */
void block_state_of(struct block_state *state, int file, instant now);

/* A block that is here. Written only by blocks.c, state by verify.c too. Valid while pinned, else
 * until the loop turns. */
struct block {
    struct digest digest;
    uint64_t size;
    bool is_partitioned;
    bool is_durable;
    bool is_dropped; /* to be deleted once nobody reads it */
    uint32_t pins;
    struct block_state state;
};

/* A file to become a block. Lives until done is called; embed it. */
struct block_place {
    struct chore chore;
    struct blocks *blocks;
    struct block_place *next;
    /* The caller's: */
    char from[FILE_PATH_MAX]; /* moved away from here; deleted when that fails */
    struct digest digest;
    uint64_t size;
    bool is_partitioned;
    bool is_durable; /* the file is fsynced and 0400 already, and the directory is to be synced */
    void *context;
    void (*done)(struct block_place *place, enum error error);
    /* Inside: */
    enum block_place_kind {
        PLACE_MOVE,
        PLACE_DELETE
    } kind;
    struct block_state state;
    enum error error;
};

/* Makes the directories, deletes tmp and scratch of former boots, lists the blocks. directory is
 * borrowed for life. Any error of the disk. */
enum error blocks_open(struct loop *loop, const char *directory, struct blocks **blocks) MUST_USE;
/* After the loop ran out of handles. NULL is fine. */
void blocks_free(struct blocks *blocks);

/* Walks all blocks: start with *cursor = 0, NULL at the end. */
const struct block *blocks_next(const struct blocks *blocks, size_t *cursor);
/* The block, or NULL when it is not here. */
struct block *blocks_find(const struct blocks *blocks, const struct digest *digest);
/* While pinned its file stays and block is valid. */
void blocks_pin(struct block *block);
void blocks_unpin(struct blocks *blocks, struct block *block);
/* ACTION_BLOCK_DROP: deletes it, once nobody reads it. */
void blocks_drop(struct blocks *blocks, const struct digest *digest);

/* Where the block's file is; returns path. */
char *blocks_path(const struct blocks *blocks, const struct block *block, char path[FILE_PATH_MAX]);
/* A name in DIR/tmp that nobody else has; returns path. */
char *blocks_temporary(struct blocks *blocks, char path[FILE_PATH_MAX]);
const char *blocks_directory(const struct blocks *blocks);

/* Makes a block of a file, on a worker thread; done follows, never from within. */
void blocks_place(struct blocks *blocks, struct block_place *place);

/* EVENT_BLOCK_FAILED. token: as the action had it; 0: nobody had asked. */
void blocks_feed_failed(struct loop *loop, uint64_t token, const struct digest *digest,
                        enum error error);
/* The same: so many bytes, which have no digest yet, found no room. */
void blocks_feed_full(struct loop *loop, uint64_t size);

#endif
