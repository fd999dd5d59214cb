/* ACTION_PERSIST: writes and fsyncs on a thread of its own, many batches in one fsync. */
#ifndef IO_PERSIST_H
#define IO_PERSIST_H

#include "base/error.h"
#include "store/storage.h"

struct loop;
struct persist;

/* Borrows storage until persist_close. MEMORY, SYSTEM. */
enum error persist_open(struct loop *loop, struct storage *storage,
                        struct persist **persist) MUST_USE;
/* Starts the thread: from now on until persist_close nobody else may use the storage. SYSTEM. */
enum error persist_start(struct persist *persist) MUST_USE;
/* Copies the puts. EVENT_PERSISTED with this token or a later one follows, or EVENT_STORAGE_FAILED,
 * which is final unless it says FULL or DENIED: then it is tried on. */
void persist_write(struct persist *persist, uint64_t token, const struct storage_put *puts,
                   size_t count);
/* What was copied goes to the thread, if that is idle; else some step's end does that. */
void persist_begin(struct persist *persist);
/* Writes what is pending, ends the thread, waiting for it. No event follows. */
void persist_close(struct persist *persist);
/* After the loop ran out of handles. NULL is fine. */
void persist_free(struct persist *persist);

#endif
