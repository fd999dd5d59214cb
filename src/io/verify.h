/* Is what the disk has of a block still what its digest says? Asked before a task reads it, before
 * it is given away, and by the scrub. */
#ifndef IO_VERIFY_H
#define IO_VERIFY_H

#include "base/id.h"
#include "io/blocks.h"
#include "io/chore.h"

struct loop;

/* One look at a block that is here, on a worker thread. Embed it; it lives until done. */
struct verify {
    struct chore chore;
    struct loop *loop;
    struct block *block; /* pinned meanwhile */
    bool is_forced;      /* read, even if it was read a moment ago */
    void *context;
    /* NONE: good. Else it is not, and the node has been told: it will drop it. */
    void (*done)(struct verify *verify, enum error error);
    /* Inside: */
    struct block_state state;
    char path[FILE_PATH_MAX];
    bool is_partitioned;
    struct digest digest;
    enum error error;
};

/* Sets verify up and starts; done follows, never from within. The block is pinned until then. */
void verify_start(struct loop *loop, struct verify *verify, struct block *block);

/* The same by hand, for who is on a worker thread with a path already: *state (a copy of the
 * block's) is what was known and becomes what is known now. */
enum error verify_file(const char *path, const struct digest *digest, bool is_partitioned,
                       bool is_forced, struct block_state *state) MUST_USE;
/* Is this still the file that was looked at then, as far as the kernel tells? */
bool verify_is_unchanged(const char *path, const struct block_state *state);
/* On the loop, afterwards: remembers it, tells the node when the bytes are bad. */
void verify_note(struct loop *loop, struct block *block, const struct block_state *state,
                 enum error error);

/* ACTION_BLOCK_CHECK: EVENT_BLOCK_CHECKED follows. */
void verify_block(struct loop *loop, const struct digest *digest);

/* Somebody could not read it. When it is here all the same, the node has it looked at: the others
 * must know if this copy does not count. */
void verify_doubt(struct loop *loop, const struct digest *digest);

#endif
