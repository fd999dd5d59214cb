/* Brief tasks: built-ins over a few bytes, done by one mrtask that stays for the next (briefs.c).
 */
#ifndef IO_BRIEFS_H
#define IO_BRIEFS_H

#include "base/error.h"
#include "node/action.h"

#include <stdbool.h>
#include <sys/types.h>

struct briefs;
struct loop;

/* mrtask and path ("PATH=...") are borrowed until briefs_free. MEMORY. Starts nothing yet. */
enum error briefs_open(struct loop *loop, const char *mrtask, char *path,
                       struct briefs **out) MUST_USE;
/* An ACTION_TASK_RUN that is brief. False: it has to be done as any other. */
bool briefs_run(struct briefs *briefs, const struct action *action);
/* Its process; 0: there is none. */
pid_t briefs_process(const struct briefs *briefs);
/* Ends it at once, no event follows. */
void briefs_close(struct briefs *briefs);
/* After the loop ran out of handles. NULL is fine. */
void briefs_free(struct briefs *briefs);

#endif
