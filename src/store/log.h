/* The replicated log: a feed a (node, boot), an append-only sequence of entries in signed,
 * hash-chained batches. A replica holds a prefix of each feed (S3); state is a fold over entries
 * that does not depend on arrival order (S1).
 *
 *   feed (A, boot 3):  [batch: 1 2 3] <-previous- [batch: 4] <-previous- [batch: 5 6] ...
 *
 * Pure: what must become durable goes out through the ports and comes back as log_persisted; the
 * driver's storage gives it back at the next start through log_load. Lamport clock: append =
 * max(clock, everything seen) + 1.
 *
 * Inside: batch.h (one batch: its bytes, how it is read), feed.h (one feed and the table of
 * them), vector.c (what is held, what a peer lacks). */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "base/error.h"
#include "base/memory.h"
#include "base/trace.h"
#include "store/lamport.h"
#include "store/storage.h"
#include "wire/crypto.h"
#include "wire/stamp.h"
#include "wire/wire.h"

enum {
    LOG_ENTRY_SIZE_MAX = 64 * 1024,   /* an entry's encoded fields; the cap in messages.def */
    LOG_BATCH_SIZE_MAX = 200 * 1024,  /* body of ours; below its cap, so that it always fits */
    LOG_REPLY_SIZE_MAX = 1024 * 1024, /* batches sent for one vector; the peer asks for more */
};

struct log_ports {
    void *context;
    /* A new entry, once each, a feed's in order. Called for own entries at commit, too. It may
     * call log_append and everything that only looks; nothing else of the log. */
    void (*entry)(void *context, const struct stamped *entry);
    /* Make these durable. token: increasing by 1. Borrows puts for the call; their keys and
     * values until the log is called the next time. */
    void (*persist)(void *context, uint64_t token, const struct storage_put *puts, size_t count);
    /* A batch that is new here and should go to the peers (own, or received from `from`; from is
     * zero for own). Its slices are valid until log_close. */
    void (*spread)(void *context, const struct msg_log_batch *batch, const struct id *author,
                   const struct id *from);
    /* A signed batch of our own id and boot, or of a higher boot of ours, that we did not write.
     * From log_receive, where it was refused; from log_load (a higher boot only: ours went
     * back), where it was taken. */
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
    uint64_t entries, batches, bytes; /* held: own, received and loaded; bytes as stored */
    uint64_t cut, kept;               /* batches cut, entries kept of them */
    uint64_t duplicates, gaps, horizon, forks;
    uint64_t refused; /* for any other reason */
};

/* What compaction does with an entry. */
enum log_fate {
    LOG_KEPT,    /* for ever, by itself when its batch goes */
    LOG_WAITS,   /* kept so for now */
    LOG_DROPPED, /* it counts no more, because of the entry `needs` */
};

/* Looks at an entry's kind and encoded fields. */
struct log_judge {
    void *context;
    enum log_fate (*judge)(void *context, const struct msg_entry *entry, struct msg_stamp *needs);
    uint64_t revision; /* while it stays, every judgement does; 0: who knows */
};

struct log;

/* Copies config; borrows crypto, pair and memory. NULL when out of memory. */
struct log *log_open(const struct log_config *config, struct memory *memory);
void log_close(struct log *log);

/* Feeds back one stored "batch..." pair, in key order; entries are delivered through
 * ports.entry. NULL or the damage (log_memory: out of memory, no damage). Form and chain are
 * checked; signatures were, before they were stored. */
const char *log_load(struct log *log, struct slice key, struct slice value, struct arena *scratch);

/* Adds an entry of this message type to the batch that log_commit will close. Returns its stamp
 * (valid at once: time, node, boot, sequence). Copies. ERROR_MEMORY; ERROR_INVALID: its fields
 * encode to more than LOG_ENTRY_SIZE_MAX. */
enum error log_append(struct log *log, const struct wire_schema *schema, const void *message,
                      struct msg_stamp *stamp) MUST_USE;
/* Entries appended and not committed. */
size_t log_open_count(const struct log *log);
/* Signs and chains what was appended as one batch (several if too large), then delivers each
 * batch through ports entry, persist and spread, in this order. Nothing when nothing was
 * appended. What entry appends meanwhile waits for the next commit. ERROR_MEMORY (memory or
 * scratch): what was not delivered stays open; commit again later. */
enum error log_commit(struct log *log, struct arena *scratch) MUST_USE;

/* A batch from a peer: verified (signature, chain, sequence, horizon, the author's id being its
 * key's digest), then delivered (entry, persist, spread). NULL, or why it was refused; a
 * duplicate is NULL and does nothing. */
const char *log_receive(struct log *log, const struct msg_log_batch *batch, const struct id *from,
                        struct arena *scratch);

/* Reasons of log_receive to act upon, to be compared as pointers. */
extern const char *const log_gap;         /* earlier ones are missing: ask with our vector */
extern const char *const log_horizon;     /* too far ahead of our clock: will be asked for again */
extern const char *const log_memory;      /* we have no room for it now */
extern const char *const log_fork;        /* its author wrote two histories; its feed is frozen */
extern const char *const log_quarantined; /* its feed is frozen since such a fork */
extern const char *const log_usurped;     /* somebody writes with our key: see ports.usurped */
extern const char *const log_no_room;     /* for a snapshot: the node goes on without it */
/* True when an honest peer would never have passed this on: for every reason but those seven. */
bool log_is_offence(const char *reason);

/* Everything persisted up to this token is on disk. */
void log_persisted(struct log *log, uint64_t token);

/* What we hold, all feeds in order of (node, boot), in the arena; changed_only: those whose
 * `durable` moved since the last call with it. False when it does not fit. */
bool log_vector_fill(struct log *log, bool changed_only, struct msg_log_vector *vector,
                     struct arena *arena);
/* Batches that we hold and the vector lacks, the oldest (by Lamport time) first, so that the
 * peer's clock follows and referents come before references; at most LOG_REPLY_SIZE_MAX bytes,
 * but at least one batch: calls give for each (it must not call the log). When vector is
 * complete, feeds not in it are sent from their beginning. Returns true when all was given. */
bool log_missing(const struct log *log, const struct msg_log_vector *vector,
                 void (*give)(void *context, const struct msg_log_batch *batch), void *context);
/* Visits the entries that we hold and the vector lacks (feeds not in it: from their beginning) in
 * total order, until visit returns false. What it is shown lives in the arena. True when it has
 * seen all; false: visit had enough, or the arena was full. */
bool log_walk(const struct log *log, const struct msg_log_vector *vector, struct arena *arena,
              bool (*visit)(void *context, const struct stamped *entry), void *context);
/* True when the vector has something that we lack (and would take: frozen feeds do not count). */
bool log_is_behind(const struct log *log, const struct msg_log_vector *vector);
/* True when the vector is complete, and says of each feed what we hold: neither lacks anything. */
bool log_is_same(const struct log *log, const struct msg_log_vector *vector);

/* ---- compaction: cut.c says what may be cut, compact.c does it; snapshot.c hands the cut on,
 * adopt.c takes it over ---- */

/* One pass of cutting. */
struct log_pass {
    uint64_t entries_max; /* to be looked at, at most: a pass is one step */
    bool is_new;          /* what came since the last new one is too young; marks it for the next */
    uint64_t looked_at;   /* out: entries judged */
};

/* Cuts what is old enough, is on our disk, and may go by the judge. One write. Returns how many
 * batches went; 0 also without memory for it. */
size_t log_cut(struct log *log, const struct log_judge *judge, struct log_pass *pass,
               struct arena *scratch);
/* Drops up to max of the kept entries that have become void; how many. */
size_t log_prune(struct log *log, const struct log_judge *judge, size_t max, struct arena *scratch);
/* Deletes from the disk up to `max` batches that were cut; true when there are more. */
bool log_sweep(struct log *log, size_t max, struct arena *scratch);
/* True when the vector ends before a cut: only a snapshot helps. */
bool log_is_cut_off(const struct log *log, const struct msg_log_vector *vector);
/* Which cut this is; 0: none. */
uint64_t log_cut_number(const struct log *log);
/* A page of the snapshot, behind its first `first` items; false when the arena is full. */
bool log_snapshot_fill(const struct log *log, uint64_t first, struct msg_log_snapshot *page,
                       struct arena *arena);
/* What became of a page. */
enum log_page {
    LOG_PAGE_IGNORED, /* not the one that comes next */
    LOG_PAGE_WANTS,   /* ask for the one behind *first items */
    LOG_PAGE_LAST,    /* it was the last one, and the cut is taken over */
    LOG_PAGE_REFUSED, /* *reason says why; all of this snapshot is forgotten */
};

/* A page from a peer; an offer (a page of no items) of another number begins anew. Entries kept are
 * written as they come (persist), and count once the last page is here: then feeds that we hold
 * less of move to the cut, and what is new is folded (entry, persist). What we hold is never
 * replaced, and a page that contradicts it is refused. log_memory: no room; the log and the fold
 * are void when it came with the last page. */
enum log_page log_snapshot_take(struct log *log, const struct msg_log_snapshot *page,
                                const struct id *from, uint64_t *first, const char **reason,
                                struct arena *scratch);

/* Highest sequence held of this feed (0 = none), and on our disk. */
uint64_t log_have(const struct log *log, const struct id *node, const struct boot *boot);
uint64_t log_durable(const struct log *log, const struct id *node, const struct boot *boot);
/* All that these positions hold is on our disk. Quick where they are in order of (node, boot). */
bool log_has_durable(const struct log *log, const struct msg_feed_position *positions,
                     size_t count);
/* The newest boot of this node that has a feed here; false when none. */
bool log_newest_boot(const struct log *log, const struct id *node, struct boot *boot);

uint64_t log_clock(const struct log *log);
/* Order-independent digest of which entries are held: equal vectors, equal digests. Never 0. */
uint64_t log_digest(const struct log *log);
const struct log_counters *log_counters(const struct log *log);
/* The digest of the batch body that holds this sequence: through the chain it covers all of the
 * feed up to there, to check S3 across nodes. False when not held so far. */
bool log_chain(const struct log *log, const struct id *node, const struct boot *boot,
               uint64_t sequence, struct digest *digest);
/* Walks the feeds in order of (node, boot): start with *cursor = 0; false at the end. */
bool log_feeds_next(const struct log *log, size_t *cursor, struct msg_feed_position *position);
/* The same, with the digest of the body of each feed's last batch: log_chain of its end. Borrowed
 * until the log changes; NULL: all of the feed is cut. */
bool log_chains_next(const struct log *log, size_t *cursor, struct msg_feed_position *position,
                     const struct digest **chain);

#endif
