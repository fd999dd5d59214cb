/* Blocks on their way to one peer, over one bulk stream: begun, filled, ended, confirmed. Or, while
 * they are few and small, kept to go with the request that they are for. */
#ifndef CTL_UPLOAD_H
#define CTL_UPLOAD_H

#include "base/hash.h"
#include "ctl/session.h"
#include "wire/seal.h"

/* The peer is gone: go on with another one, which may have some of what it had (resume.c). Apart
 * from every exit code. */
#define UPLOAD_GONE (-1)
/* It has no room (why says so): another one may. Nothing that was sent is lost. */
#define UPLOAD_FULL (-2)
/* A block that was on its way found no room, although there was some before, and can't be had again
 * by itself: all is sent again, elsewhere. */
#define UPLOAD_LOST (-3)

enum {
    UPLOAD_LEGS_MAX = 16
};

/* Blocks from the first-th on went to this peer. */
struct upload_leg {
    char address[CONNECTION_ADDRESS_SIZE];
    size_t first;
};

struct upload {
    struct connection *connection; /* NULL while they are kept */
    const struct session *session;
    uint8_t copies; /* of each block, that will be wanted */
    bool is_kept;
    uint8_t *kept; /* the bytes of all of them, the open one's last */
    size_t kept_size;
    struct seal_hasher hasher; /* of the open block, unless it is sent */
    struct hash_stream check;  /* of the open block, when it is */
    uint64_t checked;          /* of the block that was ended last */
    uint64_t block_size;       /* of the open block */
    bool is_open;
    bool may_lose; /* of what is ended from now on each block can be had again: that one was lost is
                      no error, but counted, and its digest stays zero */
    bool is_full;  /* one was, for want of room, and room has not been asked for since */
    bool is_unread; /* the peer could not read what it was lent */
    size_t lost_count;
    bool is_given_up; /* why has been told: what goes wrong from now on is nobody's concern */
    bool is_dry;      /* nothing is sent: only what the blocks would be is found out */
    struct msg_block_ref *blocks; /* sent, in order; digests of those that are confirmed */
    size_t count;
    size_t capacity;
    size_t confirmed; /* of them, by the peer */
    uint64_t size;    /* all bytes sent */
    struct upload_leg legs[UPLOAD_LEGS_MAX];
    size_t legs_count;
    size_t asks;                   /* not answered yet */
    struct msg_store_room room;    /* the last answer */
    uint64_t granted;              /* bytes that find room without another question */
    char why[CONNECTION_WHY_SIZE]; /* of UPLOAD_GONE, FULL and LOST */
};

/* Opens a bulk stream to the peer that the session talks to. copies: of each block, that will be
 * wanted. EXIT_OK, UPLOAD_GONE, EXIT_TIMED_OUT. upload_stop is due either way. */
int upload_start(struct upload *upload, const struct session *session, uint8_t copies);
/* Sends nothing from now on. */
void upload_start_dry(struct upload *upload);
void upload_stop(struct upload *upload);
/* Opens no stream yet: blocks are kept until they are too many, or upload_send says so. */
void upload_keep(struct upload *upload, const struct session *session, uint8_t copies);
/* What is kept is sent after all, as if it had been from the beginning. Errors as upload_start's;
 * nothing when nothing is kept. */
int upload_send(struct upload *upload);
/* The blocks, when they are still kept: first, the one that ended last. blocks: one a block, owned
 * by the caller, borrow from *bytes, which is the caller's now, too. False: they were sent. */
bool upload_take(struct upload *upload, struct msg_small_block **blocks, size_t *count,
                 uint8_t **bytes);

/* Adds bytes to the open block, beginning one when none is open. EXIT_OK, UPLOAD_GONE,
 * EXIT_TIMED_OUT; EXIT_JOB_FAILED when the peer can't store it (said); of blocks before it:
 * UPLOAD_LOST. What is kept may find that there is no room: UPLOAD_FULL. */
int upload_bytes(struct upload *upload, struct slice bytes);
/* Ends the open block (begins and ends an empty one when none is open). *block: what it is; its
 * digest is zero until the peer has confirmed it (blocks[count - 1] now). Errors as above. */
int upload_end(struct upload *upload, struct msg_block_ref *block);
/* A block of bytes that the peer reads itself out of a file that it was lent (ctl/lending.h); one
 * that it can't read is lost. None is open or kept. Errors as above. */
int upload_lent(struct upload *upload, const struct msg_store_lent *lent,
                struct msg_block_ref *block);
/* A block that the peer may have already, and then need not get; one that it has not is lost
 * (may_lose is set). None is open or kept. Errors as above. */
int upload_known(struct upload *upload, const struct msg_block_ref *block);
/* Ends the stream: what is not confirmed, and the open block, are lost. upload_move is due. */
void upload_lose(struct upload *upload);
/* Takes what the peer has answered so far, without waiting: what it has confirmed is not sent again
 * should it die. Errors as above. */
int upload_hear(struct upload *upload);
/* Readable when there may be something to hear; -1: nobody is there. */
int upload_descriptor(const struct upload *upload);
/* Some word, when the input keeps us waiting: the peer ends a stream that is silent for a minute.
 */
int upload_keep_alive(struct upload *upload);
/* One whole block. */
int upload_block(struct upload *upload, struct slice bytes, struct msg_block_ref *block);
/* Before a block, none being open: is there room for `size` bytes, or for `least`? `granted` says
 * for how many from now on; they will find it. All that was sent must have arrived before there is
 * an answer: who asks for more than a block asks seldom. EXIT_OK, UPLOAD_FULL, errors as above. */
int upload_ask(struct upload *upload, uint64_t size, uint64_t least);
/* The blocks that follow go to the peer that the session talks to now. All that was sent is
 * confirmed (upload_finish). Errors as upload_start's. */
int upload_move(struct upload *upload, const struct session *session);
/* The same to another peer than the session's. */
int upload_move_to(struct upload *upload, const struct session *session, const char *address);
/* Waits until the peer has confirmed all. Errors as above. */
int upload_finish(struct upload *upload);

/* The blocks are not going to be used after all: the peer need not keep them for an hour. Best
 * effort. */
void upload_forget(struct upload *upload, const struct session *session);
void upload_forget_legs(const struct session *session, const struct upload_leg *legs,
                        size_t legs_count, const struct msg_block_ref *blocks, size_t count);
/* The last peer has written an entry that keeps them: the others need not, by themselves. */
void upload_used_legs(const struct session *session, const struct upload_leg *legs,
                      size_t legs_count, const struct msg_block_ref *blocks);

#endif
