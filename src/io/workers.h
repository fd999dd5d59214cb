/* Attempts that run here: inputs brought, mrtask started, watched, killed, its output made a block.
 */
#ifndef IO_WORKERS_H
#define IO_WORKERS_H

#include "base/error.h"
#include "node/action.h"

struct loop;
struct workers;

/* loop->blocks and loop->fetches must be open. MEMORY. */
enum error workers_open(struct loop *loop, struct workers **workers) MUST_USE;
/* ACTION_TASK_RUN. Copies all of it. */
void workers_run(struct workers *workers, const struct action *action);
/* ACTION_TASK_KILL. A token that is not running has its FINISHED on the way. */
void workers_kill(struct workers *workers, uint64_t token);
/* The directory of the attempt of this token; NULL: it has ended. Borrowed for the moment. */
const char *workers_directory(const struct workers *workers, uint64_t token);
/* Kills all at once, no event follows. */
void workers_close(struct workers *workers);
/* After the loop ran out of handles. NULL is fine. */
void workers_free(struct workers *workers);

#endif
