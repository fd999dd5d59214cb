/* The clearing of an attempt's directories is what this is for. Its result is on the way to two
 * disks at that moment, and a removed directory costs a disk that is told of freed blocks (ext4's
 * `discard`) a command of its own, before whatever comes behind it.
 *
 * One timer is enough: it is set by the first that comes, and starts all that have come since. */
#include "io/lull.h"

#include <stdlib.h>

enum {
    LULL_MS = 4, /* an answer needs one or two, on a quiet machine */
};

static void begin_all(struct lull *lull)
{
    struct chore *chore = lull->first;
    lull->first = NULL;
    lull->last = &lull->first;
    while (chore != NULL) {
        struct chore *next = chore->next;
        chore_start(lull->timer.loop, chore, chore->run, chore->done);
        chore = next;
    }
}

static void on_lull(uv_timer_t *timer) { begin_all(timer->data); }

void lull_init(struct lull *lull, uv_loop_t *uv)
{
    if (uv_timer_init(uv, &lull->timer) != 0) abort(); /* it only fills in a struct */
    lull->timer.data = lull;
    lull->first = NULL;
    lull->last = &lull->first;
    lull->is_over = false;
}

void lull_start(struct lull *lull, struct chore *chore, void (*run)(struct chore *chore),
                void (*done)(struct chore *chore))
{
    if (lull->is_over) {
        chore_start(lull->timer.loop, chore, run, done);
        return;
    }
    if (lull->first == NULL) (void)uv_timer_start(&lull->timer, on_lull, LULL_MS, 0);
    chore->run = run;
    chore->done = done;
    chore->next = NULL;
    *lull->last = chore;
    lull->last = &chore->next;
}

void lull_close(struct lull *lull)
{
    lull->is_over = true;
    begin_all(lull);
    uv_close((uv_handle_t *)&lull->timer, NULL);
}
