/* What is under way between the nodes of a crowd, in order of (arrival, sending). */
#ifndef SIM_POST_H
#define SIM_POST_H

#include "base/slice.h"
#include "base/time.h"
#include "wire/frame.h"

enum letter_kind {
    LETTER_DATAGRAM,
    LETTER_RECORD,  /* over a stream */
    LETTER_HELLO,   /* from connects */
    LETTER_OPENED,  /* the stream to from is there */
    LETTER_REFUSED, /* from's kernel: nobody listens at that port */
    LETTER_ENDED,   /* a stream to from ended without goodbye */
};

struct letter {
    enum letter_kind kind;
    uint32_t from, to;
    uint32_t size;
    struct letter *next; /* post.c's own */
    uint8_t bytes[FRAME_PAYLOAD_MAX];
};

struct post_item {
    instant at;
    uint64_t order;
    struct letter *letter;
};

struct post {
    struct post_item *heap;
    size_t count, capacity;
    uint64_t order;
    struct letter *free; /* letters are used again, the warmest first */
};

void post_init(struct post *post);
void post_deinit(struct post *post);

/* Copies payload (at most FRAME_PAYLOAD_MAX bytes: asserted). */
void post_send(struct post *post, instant at, enum letter_kind kind, uint32_t from, uint32_t to,
               struct slice payload);
/* When the next one arrives. */
instant post_next(const struct post *post);
/* The next one; there must be one (asserted). Give it back with post_put. */
struct letter *post_take(struct post *post);
/* Under way once more: it arrives at that time. */
void post_again(struct post *post, instant at, struct letter *letter);
void post_put(struct post *post, struct letter *letter);

#endif
