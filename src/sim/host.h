/* A machine of the laboratory: its node's process, which may crash, start again, or be stopped for
 * a while (SIGSTOP), its disk, its blocks. A *life* is one run of the process: whatever was meant
 * for a former one is dropped.
 *
 *   DOWN --start--> UP --pause--> PAUSED --resume--> UP     UP, PAUSED --crash--> DOWN
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "base/map.h"
#include "base/prng.h"
#include "node/node.h"
#include "sim/queue.h"

struct world;

enum host_state {
    HOST_DOWN,
    HOST_UP,
    HOST_PAUSED,
};

/* What a crash does to what was not synced. */
enum crash_kind {
    CRASH_KILL, /* the process: what was written stays, others see the streams end at once */
    CRASH_LOST, /* power cut: unsynced writes are lost from a random point on; nobody is told */
    CRASH_TORN, /* the same from a random byte on */
    CRASH_REORDERED, /* the same, and any subset of their sectors is there */
    CRASH_DISK,      /* the disk is gone: it returns as a newcomer */
    CRASH_IMAGE,     /* it returns with an older image of its disk, if one was taken */
};

enum {
    HOST_NAME_SIZE = 16
};

struct host {
    struct world *world;
    uint32_t index;
    uint32_t life; /* grows with each start and stop; never LIFE_ANY */
    enum host_state state;
    bool is_leaving;   /* told to leave */
    instant leaves_at; /* when it was told so last */
    bool is_gone;      /* it left, or stays down for ever */
    bool was_alone;    /* it left, and had waited in vain for somebody to hold what it held */
    bool has_kept;     /* it left, and said that it had blocks which nobody else had */
    bool was_down;     /* since the last heal: for S6's grace */
    struct node *node; /* NULL when down */
    struct crypto_pair pair;
    uint64_t pair_number;
    struct id id;
    struct boot boot;
    struct address address;
    char name[HOST_NAME_SIZE];
    uint16_t slots;
    uint32_t slowness; /* its programs take so many times as long */
    instant tick_at;   /* the tick that is out; INSTANT_NEVER = none */
    instant ticked_last;
    uint32_t ticks_at_once; /* ticks that came within a millisecond each */
    instant paused_last;    /* when it last was resumed */

    struct happening *held; /* what came while paused */
    size_t held_count, held_capacity;
    size_t held_datagrams;

    struct storage *storage;
    struct storage *image;  /* an older copy of the disk; NULL */
    uint64_t image_counter; /* its boot counter */
    uint64_t written_token; /* of the last ACTION_PERSIST */
    uint64_t syncing_token; /* of the fsync in flight; 0 = none */
    duration fsync_delay;
    bool is_full;        /* the disk takes nothing for now */
    uint64_t full_at;    /* from the n-th sync from now on it does not; 0 = it does */
    uint64_t starves_at; /* the node's n-th allocation from now fails; 0 = none */
    struct map blocks;   /* struct held_block: blocks.c */
    size_t room;         /* for so many of them; 0 = for all */
};

void host_init(struct world *world, struct host *host, uint32_t index);
void host_deinit(struct world *world, struct host *host);

/* Starts its node at a new boot with what the disk holds. Nothing when it is not down. */
void host_start(struct world *world, struct host *host);
void host_crash(struct world *world, struct host *host, enum crash_kind kind);
/* The n-th allocation of its node from now, or of the one that starts next, fails. */
void host_starve(struct host *host, uint64_t nth);
/* It had left, or was about to: it is back, as somebody who starts again. */
void host_return(struct world *world, struct host *host);
void host_pause(struct world *world, struct host *host);
void host_resume(struct world *world, struct host *host);

/* The node's turn: sets event->now, steps, carries out, checks. The host must be up. */
void host_step(struct world *world, struct host *host, struct event *event);
/* True when the happening was kept back or dropped: it is not to be dispatched. */
bool host_holds(struct host *host, struct happening *happening);
void host_tick(struct world *world, struct host *host);

#endif
