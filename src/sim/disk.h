/* A host's disk: the storage seam's memory implementation, with fsyncs that take virtual time, and
 * crashes that lose what was not synced. One fsync is in flight at a time; what was written before
 * it began is reported when it ends. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "sim/host.h"

enum {
    DISK_SYNC_DELAY = 2 * MILLISECOND
}; /* a good disk's */

void disk_open(struct host *host);
void disk_close(struct host *host);
void disk_persist(struct world *world, struct host *host, uint64_t token,
                  const struct storage_put *puts, size_t count);
/* HAPPEN_SYNCED. */
void disk_synced(struct world *world, struct host *host, uint64_t token);
void disk_crash(struct world *world, struct host *host, enum crash_kind kind);
/* Keeps a copy of the disk as it is now, to be brought back by CRASH_IMAGE. */
void disk_take_image(struct host *host);
/* The n-th next operation fails. */
void disk_fail(struct host *host, uint64_t countdown, enum error error);

#endif
