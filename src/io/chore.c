/* Blocking work on libuv's threads. Chores are never cancelled: whoever loses interest in one says
 * so in the object it works on, and its done callback cleans up. So there is one way through, and
 * nothing is freed while a thread still looks at it.
 *
 * The pool has the four threads of libuv's default: disks gain little from more, and a slow name
 * lookup takes at most half of them (libuv's rule for slow work). */
#include "io/chore.h"

#include <assert.h>

static void on_run(uv_work_t *request)
{
    struct chore *chore = request->data;
    chore->run(chore);
}

static void on_done(uv_work_t *request, int status)
{
    struct chore *chore = request->data;
    assert(status == 0); /* nobody cancels */
    chore->done(chore);
}

void chore_start(uv_loop_t *uv, struct chore *chore, void (*run)(struct chore *chore),
                 void (*done)(struct chore *chore))
{
    assert(run != NULL && done != NULL);
    chore->run = run;
    chore->done = done;
    chore->request.data = chore;
    int status = uv_queue_work(uv, &chore->request, on_run, on_done);
    assert(status == 0); /* fails only without a callback */
    (void)status;
}
