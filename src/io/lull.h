/* Chores for which nobody waits begin a little later: what they would take from the disk and the
 * processors just now, somebody does wait for. */
#ifndef IO_LULL_H
#define IO_LULL_H

#include "io/chore.h"

#include <stdbool.h>

struct lull {
    uv_timer_t timer;
    struct chore *first, **last; /* those that have yet to begin, the oldest first */
    bool is_over;
};

void lull_init(struct lull *lull, uv_loop_t *uv);
/* As chore_start, some milliseconds later; at once after lull_close. */
void lull_start(struct lull *lull, struct chore *chore, void (*run)(struct chore *chore),
                void (*done)(struct chore *chore));
/* All that have yet to begin do so now. */
void lull_close(struct lull *lull);

#endif
