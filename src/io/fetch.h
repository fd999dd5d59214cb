/* Bringing blocks, and parts of partitioned ones, from other nodes: the client of BULK streams. */
#ifndef IO_FETCH_H
#define IO_FETCH_H

#include "io/file.h"
#include "wire/wire.h"

struct loop;
struct fetch;
struct fetched;
struct fetches;

/* Somebody's wish for bytes. Embed it; it lives until done was called or fetch_cancel returned. */
struct fetch_want {
    struct fetch *fetch; /* NULL: nothing is under way */
    struct fetch_want *next;
    bool makes_block; /* keep it as a durable block; else just get the bytes */
    bool is_list;     /* a manifest: it goes first, and may use the disk's reserve */
    /* Never from within fetch_start. NONE: with makes_block, or when another wanted that, the block
     * is here; else it is in file, which is then held and must be given back by fetched_release.
     * Else: nobody gave it (NOT_FOUND), or our disk is in trouble (FULL, IO, ...). */
    void (*done)(struct fetch_want *want, enum error error, struct fetched *file);
};

enum error fetches_open(struct loop *loop, struct fetches **fetches) MUST_USE;
/* Gives up all fetches; wants must have been cancelled, or are forgotten. */
void fetches_close(struct fetches *fetches);
/* After the loop ran out of handles. NULL is fine. */
void fetches_free(struct fetches *fetches);

/* Begins, or joins a fetch of the same bytes. Copies the holders; they are tried in this order,
 * twice, those of the first want before those that others add. makes_block only with part
 * PART_WHOLE (asserted). MEMORY: nothing begins. */
enum error fetch_start(struct fetches *fetches, struct fetch_want *want,
                       const struct msg_block_ref *block, uint32_t part,
                       const struct msg_block_holder *holders, size_t holders_count) MUST_USE;
/* done is not called any more. */
void fetch_cancel(struct fetch_want *want);

#endif
