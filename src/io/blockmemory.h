/* Small blocks between the node's memory and the disk: manifests, mostly. */
#ifndef IO_BLOCKMEMORY_H
#define IO_BLOCKMEMORY_H

#include "wire/wire.h"

struct loop;

/* ACTION_BLOCK_WRITE: copies the bytes; EVENT_BLOCK_STORED or _FAILED follows. Patient ones, for
 * which nobody waits, are begun a few at a time, so that other writes and fetched blocks go
 * between; of one that is there when its turn comes nothing follows. */
void blockmemory_write(struct loop *loop, uint64_t token, struct slice bytes, bool is_patient);
/* ACTION_BLOCK_READ: EVENT_BLOCK_READ with the right bytes, or _FAILED. */
void blockmemory_read(struct loop *loop, uint64_t token, const struct msg_block_ref *block);

#endif
