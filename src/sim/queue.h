/* What will happen, in order of (virtual time, sequence): a binary heap. The sequence makes ties
 * repeatable: of two happenings of one instant the one that was pushed first comes first, in every
 * run of a seed. */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum happening_kind {
    HAPPEN_TICK,           /* number: none */
    HAPPEN_DATAGRAM,       /* bytes: struct address from, then the datagram */
    HAPPEN_STREAM_ACCEPT,  /* number: stream */
    HAPPEN_STREAM_OPENED,  /* number: stream */
    HAPPEN_STREAM_HEAD,    /* number: stream; side: of the receiver */
    HAPPEN_STREAM_CLOSED,  /* number: stream; side */
    HAPPEN_SYNCED,         /* number: token */
    HAPPEN_BLOCK,          /* bytes: struct block_news */
    HAPPEN_FETCH,          /* bytes: struct block_fetch and holders */
    HAPPEN_INPUTS,         /* number: attempt */
    HAPPEN_FINISH,         /* number: attempt */
    HAPPEN_TAIL,           /* number: attempt; bytes: struct tail_question */
    HAPPEN_RESOLVED,       /* number: token */
    HAPPEN_STORAGE_FAILED, /* number: enum error */
    HAPPEN_LEAVE,
    /* from here on: not of a process, never held back by a pause */
    HAPPEN_START,     /* a host that is down starts */
    HAPPEN_RESUME,    /* a paused one goes on */
    HAPPEN_SWEEP,     /* streams across a partition */
    HAPPEN_CLIENT,    /* number: client; side: its epoch */
    HAPPEN_HISTORY,   /* number: 0, or 1 + client; side: its epoch */
    HAPPEN_FAULT,     /* number: of the strike in the plan */
    HAPPEN_FAULT_END, /* number: of the strike in the plan */
    HAPPEN_HEAL,      /* the liveness phase begins */
    HAPPEN_CHECK,     /* global invariants */
    HAPPEN_GONE,      /* number: job index; S6: nothing of it runs here any more */
    HAPPEN_COUNT
};

enum {
    LIFE_ANY = 0
};

struct happening {
    instant at;
    enum happening_kind kind;
    uint32_t host; /* whose; UINT32_MAX = nobody's */
    uint32_t life; /* dropped when the host is in another one; LIFE_ANY = never */
    uint32_t side;
    uint64_t number;
    void *bytes; /* owned; freed when it has happened */
    size_t size;
};

struct queued {
    instant at;
    uint64_t sequence;
    size_t slot; /* of the happening, in items */
};

struct queue {
    struct queued *heap;
    struct happening *items;
    size_t count;
    size_t capacity;
    uint64_t sequence;
};

void queue_deinit(struct queue *queue);
/* Takes over happening.bytes. */
void queue_push(struct queue *queue, struct happening happening);
/* The next one; false when there is none. Its bytes become the caller's. */
bool queue_pop(struct queue *queue, struct happening *happening);
/* "tick", "datagram", ... */
const char *happening_text(enum happening_kind kind);

#endif
