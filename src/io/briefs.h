/* Brief tasks: built-ins over a few bytes, many of them done by one helper (briefs.c). */
#ifndef IO_BRIEFS_H
#define IO_BRIEFS_H

#include "base/error.h"
#include "node/action.h"

#include <stdbool.h>

struct briefs;
struct helpers;
struct loop;

/* helpers are borrowed until briefs_free. MEMORY. Starts nothing yet. */
enum error briefs_open(struct loop *loop, struct helpers *helpers, struct briefs **out) MUST_USE;
/* An ACTION_TASK_RUN that is brief. False: it has to be done as any other. */
bool briefs_run(struct briefs *briefs, const struct action *action);
/* No event follows. */
void briefs_close(struct briefs *briefs);
/* After the loop ran out of handles. NULL is fine. */
void briefs_free(struct briefs *briefs);

#endif
