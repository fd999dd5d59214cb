/* Parts of map outputs that are brought here before the reduce that will read them is claimed:
 * ACTION_PREFETCH, until ACTION_PREFETCH_END of the job. A help and no more: what is not here when
 * an attempt wants it, the attempt fetches itself. */
#ifndef IO_PREFETCH_H
#define IO_PREFETCH_H

#include "base/error.h"
#include "base/id.h"

#include <stdint.h>

struct action;
struct fetched;
struct loop;
struct prefetches;

enum error prefetches_open(struct loop *loop, struct prefetches **prefetches) MUST_USE;
/* Lets go of everything; before fetches_close. */
void prefetches_close(struct prefetches *prefetches);
/* NULL is fine. */
void prefetches_free(struct prefetches *prefetches);

/* Queues it, unless there is too much already. */
void prefetch_start(struct prefetches *prefetches, const struct action *action);
/* All of this job go. */
void prefetch_end(struct prefetches *prefetches, const struct id *job);
/* The file when it is here, which is the caller's to release; else NULL. */
struct fetched *prefetch_take(struct prefetches *prefetches, const struct digest *digest,
                              uint32_t part);
/* Somebody fetches it himself (and joins the transfer, if one is under way). */
void prefetch_leave(struct prefetches *prefetches, const struct digest *digest, uint32_t part);

#endif
