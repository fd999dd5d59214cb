/* The uploads of one stream on their way to being blocks: several at once, because fsync takes as
 * long as the bytes took to come; told of in order. Their bytes come as chunks, or out of a file
 * that was lent (lending.h), or are here: a copy that another node asked for, whose client comes to
 * this one now. */
#ifndef IO_DEPOSITS_H
#define IO_DEPOSITS_H

#include "base/error.h"
#include "wire/wire.h"

#include <stdbool.h>

struct loop;
struct deposit;

struct deposits_user {
    /* There is room for more chunks again, after deposits_write returned false. */
    void (*ready)(void *context);
    /* The one whose chunks come has failed: the rest of them is for nobody. over says so, too. */
    void (*failed)(void *context);
    /* The first of all is over: a block that is durable and known to the node, or why not. The
     * owner may leave. */
    void (*over)(void *context, enum error error, const struct msg_block_ref *block);
    /* After all calls of over that were due. The last use of deposits that were left. */
    void (*settled)(void *context);
};

/* All fields but count are inside. */
struct deposits {
    struct loop *loop;
    const struct deposits_user *user;
    void *context;
    struct deposit *first;
    size_t count;        /* not told of yet */
    size_t pulled_count; /* being read from a file */
    bool is_telling;
    int lent; /* the file they are read from; -1: none */
    struct id token;
};

void deposits_init(struct deposits *deposits, struct loop *loop, const struct deposits_user *user,
                   void *context);
/* Nobody waits for them any more. Those whose bytes have all come become blocks all the same, and
 * the node is told that nobody wants them. No call follows, but for settled when this was called by
 * over (then it says false). */
bool deposits_leave(struct deposits *deposits);

/* A new one, whose chunks follow. promised: bytes for which room was found. copies: that will be
 * wanted of it; 0: not known. MEMORY. */
enum error deposits_begin(struct deposits *deposits, uint64_t promised, uint8_t copies) MUST_USE;
/* Its next bytes (copied). False: no more before ready. */
bool deposits_write(struct deposits *deposits, struct slice bytes);
/* No more bytes. check: their XXH3; NULL: not known. */
void deposits_end(struct deposits *deposits, const uint64_t *check);
/* One out of a lent file. over says INVALID when there is none under this token, or it has not
 * these bytes. size: above 0. MEMORY. */
enum error deposits_pull(struct deposits *deposits, const struct msg_store_lent *lent,
                         uint64_t promised, uint8_t copies) MUST_USE;
/* One whose bytes are here already, if they are: they are looked at. over says NOT_FOUND when there
 * is no such block, or it is not good. MEMORY. */
enum error deposits_know(struct deposits *deposits, const struct msg_block_ref *block,
                         uint8_t copies) MUST_USE;

/* The node is told that a block was stored in vain; is_used: that another node's entry names it. */
void deposits_unwanted(struct loop *loop, const struct digest *digest, bool is_used);

#endif
