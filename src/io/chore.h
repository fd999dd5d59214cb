/* One piece of blocking work (disk, mostly) on libuv's worker threads, so that the loop never waits
 * for a disk. Embedded as the first member of what it works on: run owns that object until done is
 * called. */
#ifndef IO_CHORE_H
#define IO_CHORE_H

#include <uv.h>

struct chore {
    uv_work_t request;
    struct chore *next;                /* while it has yet to begin (lull.h) */
    void (*run)(struct chore *chore);  /* on a worker thread */
    void (*done)(struct chore *chore); /* on the loop's thread, always, exactly once */
};

/* Starts it. Borrows chore until done is called, which is never before chore_start has returned. */
void chore_start(uv_loop_t *uv, struct chore *chore, void (*run)(struct chore *chore),
                 void (*done)(struct chore *chore));

#endif
