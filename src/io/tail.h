/* ACTION_TAIL_READ: what a running attempt has said and read so far, from the file that its mrtask
 * writes (mapreduce/live.h). */
#ifndef IO_TAIL_H
#define IO_TAIL_H

#include "node/action.h"

struct loop;

/* EVENT_TAIL_READ follows, never at once. directory: the attempt's, copied; NULL: it does not run
 * (any more). */
void tail_read(struct loop *loop, const struct action *action, const char *directory);

/* What an attempt whose mrtask is gone had said last: how many bytes, of LIVE_RING_SIZE at most.
 * Blocks; for worker threads. */
size_t tail_last(const char *directory, uint8_t *bytes);

#endif
