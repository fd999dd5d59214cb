/* The replicated log: a feed a (node, boot), an append-only sequence of entries in signed, hash-chained batches.
 * A replica holds a prefix of each feed (S3); state is a fold over entries that does not depend on arrival order (S1).
 *
 *   feed (A, boot 3):  [batch: 1 2 3] <-previous- [batch: 4] <-previous- [batch: 5 6] ...
 *
 * Pure: what must become durable goes out through the ports and comes back as log_persisted; the driver's storage gives it
 * back at the next start through log_load. Lamport clock: append = max(clock, everything seen) + 1. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/time.h"
#include "base/trace.h"
#include "store/storage.h"
#include "wire/crypto.h"
#include "wire/stamp.h"
#include "wire/wire.h"

enum {
    LOG_BATCH_SIZE_MAX = 200 * 1024,   /* body; below the cap in messages.def, so that it always fits */
    LOG_REPLY_SIZE_MAX = 1024 * 1024,  /* batches sent for one vector: the peer asks again for more */
};

/* An entry more than this ahead of our clock is set aside, so that nobody can push the clock to its end. */
#define LOG_HORIZON (UINT64_C(1) << 32)

struct log_ports {
    void *context;
    /* A new entry, once each, a feed's in order. Called for own entries at commit, too. */
    void (*entry)(void *context, const struct stamped *entry);
    /* Make these durable. token: increasing. Borrows. */
    void (*persist)(void *context, uint64_t token, const struct storage_put *puts, size_t count);
    /* A batch that is new here and should go to the peers (own, or received from `from`; from is zero for own). */
    void (*spread)(void *context, const struct msg_log_batch *batch, const struct id *author, const struct id *from);
    /* A batch of our own id and boot, or of a higher boot of ours, that we did not write. */
    void (*usurped)(void *context, const struct boot *boot);
};

struct log_config {
    const struct crypto *crypto;
    const struct crypto_pair *pair;
    struct id id;
    struct boot boot;
    struct log_ports ports;
    struct trace trace;
};

struct log_counters {
    uint64_t entries, batches, bytes, refused, forks, gaps, horizon, duplicates;
};

struct log_feed; /* one feed as held here */
struct log;

/* Copies config; borrows crypto, pair and memory. NULL when out of memory. */
struct log *log_open(const struct log_config *config, struct memory *memory);
void log_close(struct log *log);

/* Feeds back one stored "batch..." pair, in key order; entries are delivered through ports.entry. NULL or the damage. */
const char *log_load(struct log *log, struct slice key, struct slice value, struct arena *scratch);

/* Adds an entry of this message type to the batch that log_commit will close. Returns its stamp (valid at once: time, node,
 * boot, sequence). Copies. ERROR_MEMORY. */
enum error log_append(struct log *log, const struct wire_schema *schema, const void *message,
                      struct msg_stamp *stamp) MUST_USE;
/* Entries appended and not committed. */
size_t log_open_count(const struct log *log);
/* Signs and chains what was appended as one batch (several if too large), then delivers it through ports entry, persist and
 * spread, in this order. Nothing when nothing was appended. */
enum error log_commit(struct log *log, struct arena *scratch) MUST_USE;

/* A batch from a peer: verified (signature, chain, sequence, horizon, the author's id being its key's digest), then delivered. NULL, or why it was
 * refused; "gap" (LOG_GAP) means that earlier ones are missing: ask with our vector. A duplicate is NULL and does nothing. */
const char *log_receive(struct log *log, const struct msg_log_batch *batch, const struct id *from, struct arena *scratch);
extern const char *const log_gap; /* the one reason that is nobody's fault */

/* Everything persisted up to this token is on disk. */
void log_persisted(struct log *log, uint64_t token);

/* What we hold, all feeds, in the arena; changed_only: those whose `durable` moved since the last call with it. False when it does not fit. */
bool log_vector_fill(struct log *log, bool changed_only, struct msg_log_vector *vector, struct arena *arena);
/* Batches that we hold and the vector lacks, oldest first, at most LOG_REPLY_SIZE_MAX bytes: calls give for each; when
 * vector is complete, feeds not in it are sent from their beginning. Returns true when all was given. */
bool log_missing(const struct log *log, const struct msg_log_vector *vector,
                 void (*give)(void *context, const struct msg_log_batch *batch), void *context);
/* True when the vector has something that we lack. */
bool log_is_behind(const struct log *log, const struct msg_log_vector *vector);

/* Highest sequence held of this feed (0 = none), and on our disk. */
uint64_t log_have(const struct log *log, const struct id *node, const struct boot *boot);
uint64_t log_durable(const struct log *log, const struct id *node, const struct boot *boot);
/* The newest boot of this node that has a feed here; false when none. */
bool log_newest_boot(const struct log *log, const struct id *node, struct boot *boot);

uint64_t log_clock(const struct log *log);
/* Order-independent digest of which entries are held: equal vectors, equal digests. Never 0. */
uint64_t log_digest(const struct log *log);
const struct log_counters *log_counters(const struct log *log);
/* A digest of the contents held of a feed up to a sequence (its chain), to check S3 across nodes; false when not held so far. */
bool log_chain(const struct log *log, const struct id *node, const struct boot *boot, uint64_t sequence,
               struct digest *digest);
/* Walks the feeds: start with *cursor = 0; false at the end. */
bool log_feeds_next(const struct log *log, size_t *cursor, struct msg_feed_position *position);

#endif
