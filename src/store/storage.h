/* The disk seam: an ordered map of keys to values, written in atomic batches, durable after
 * sync. Two implementations with one contract: storage_lmdb.c (the world) and storage_memory.c
 * (the laboratory, which can lose what was not synced, fail, and be copied). Every value carries
 * its own checksum inside (LMDB 0.9 pages do not): a damaged one is reported as ERROR_CORRUPT,
 * never handed out.
 *
 * Keys: "batch" + feed (node, boot) + first sequence, big endian, so a feed reads in order;
 * "meta..." and "peer..." are small single values. 1 to STORAGE_KEY_MAX bytes.
 *
 * Threads: one call at a time, from any thread. */
#ifndef STORE_STORAGE_H
#define STORE_STORAGE_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

enum {
    STORAGE_KEY_MAX = 255, /* LMDB takes 511 */
    STORAGE_VERSION = 1,   /* of what is written; another one is refused with ERROR_VERSION */
};

struct storage_put {
    struct slice key;
    struct slice value; /* at == NULL: delete the key, if it is there */
};

struct storage;

struct storage_methods {
    enum error (*write)(struct storage *storage, const struct storage_put *puts, size_t count);
    enum error (*sync)(struct storage *storage);
    enum error (*each)(struct storage *storage, struct slice prefix,
                       enum error (*visit)(void *context, struct slice key, struct slice value),
                       void *context);
    void (*close)(struct storage *storage);
    enum error (*settle)(struct storage *storage);   /* NULL: it never owes anything */
    unsigned (*owes)(const struct storage *storage); /* NULL as well */
};

struct storage {
    const struct storage_methods *methods;
};

/* All puts or none, in order. Copies. Durable after the next storage_sync, perhaps before; after
 * a crash, what is there is what was written up to some point at or behind the last sync. FULL,
 * MEMORY: none was written, and later calls may succeed. IO and all others: as for storage_sync. */
MUST_USE
static inline enum error storage_write(struct storage *storage, const struct storage_put *puts,
                                       size_t count)
{
    return storage->methods->write(storage, puts, count);
}

/* fsync. FULL, MEMORY, DENIED (read-only): nothing was lost, and a later sync may succeed.
 * After any other error what was written since the last sync may be gone, here and on the disk:
 * the storage answers all later calls with the same error. Never is a failed fsync tried again. */
MUST_USE
static inline enum error storage_sync(struct storage *storage)
{
    return storage->methods->sync(storage);
}

/* Visits every pair whose key starts with prefix, in key order, unsynced writes included; stops at
 * the first error and returns it. key and value are valid during the visit, which must not use the
 * storage. CORRUPT: a damaged value (it was not visited). */
MUST_USE
static inline enum error storage_each(struct storage *storage, struct slice prefix,
                                      enum error (*visit)(void *context, struct slice key,
                                                          struct slice value),
                                      void *context)
{
    return storage->methods->each(storage, prefix, visit, context);
}

/* Durable writes are brought to where they stay, so that the next ones find room; not needed, but
 * better done while nobody waits. Errors as of storage_sync: what was synced is safe in any case.
 */
MUST_USE
static inline enum error storage_settle(struct storage *storage)
{
    return storage->methods->settle == NULL ? ERROR_NONE : storage->methods->settle(storage);
}

/* What storage_settle would do, in percent of what makes a sync do it by itself; 0: nothing. */
static inline unsigned storage_owes(const struct storage *storage)
{
    return storage->methods->owes == NULL ? 0 : storage->methods->owes(storage);
}

/* Closes. What was not synced may be lost. Frees the storage. */
static inline void storage_close(struct storage *storage) { storage->methods->close(storage); }

/* Opens (makes) the LMDB environment in this directory, which it makes too, but not its parents;
 * grows its map by itself. BUSY: another process has it. VERSION, CORRUPT, IO, FULL, DENIED,
 * NOT_FOUND (no parent), MEMORY, SYSTEM. */
enum error storage_lmdb_open(const char *directory, struct storage **storage) MUST_USE;

/* The same behind a journal, a file of a MiB in the same directory: a sync is one write and one
 * flush. What a crash left in it is played into the tree. Errors are the same. */
enum error storage_journal_open(const char *directory, struct storage **storage) MUST_USE;

/* A disk in memory. MEMORY. */
enum error storage_memory_open(struct storage **storage) MUST_USE;
/* What a power cut does to the bytes that were not synced. */
enum storage_cut {
    STORAGE_LOST,      /* from some write on, nothing reached the platter */
    STORAGE_TORN,      /* from some byte on */
    STORAGE_REORDERED, /* any subset of the sectors did */
    STORAGE_CUTS
};
/* Power cut, at a point that `choice` picks (UINT64_MAX: all is there); then the storage goes on as
 * after a reopen, which finds what is whole by its checksums. */
void storage_memory_cut(struct storage *storage, enum storage_cut cut, uint64_t choice);
/* The cut STORAGE_LOST; 0: nothing unsynced is there. */
void storage_memory_crash(struct storage *storage, uint64_t choice);
/* From now on a cut's checksums are not looked at: the planted bug. */
void storage_memory_trust(struct storage *storage);
/* Flips a bit of some stored value; false: that one has none. */
bool storage_memory_rot(struct storage *storage, uint64_t choice);
/* A copy as of now, synced or not, to be brought back later (an old disk image). MEMORY. */
enum error storage_memory_copy(const struct storage *storage, struct storage **copy) MUST_USE;
/* The n-th next operation (write or sync) fails with this error; 0 = none. */
void storage_memory_fail(struct storage *storage, uint64_t countdown, enum error error);

#endif
