/* Who belongs to the flock, as the log tells: a fold over the entries joined, opened, left, evicted
 * and returned that does not depend on the order of arrival.
 *
 *   joined by its sponsor, or its own opened -> ON --left--> off --a later boot's opened--> ON
 *                                               ON --evicted--> off --returned--> ON
 *
 * That a node is dead changes nothing here: it is waited for (design, section 7), until it is
 * evicted. An eviction says how far its author held the feeds of the node. What the node wrote
 * behind that is *late*, until it says that it knows of the eviction (returned): late entries count
 * like others, but for one thing: against what who stayed had made final they weigh nothing
 * (tasks/ends.c). So does what a node wrote while it was not *in step*: nobody waited for it. That
 * is before its first `returned`, when nobody knew of it, and between each `left` of it and the
 * next `returned`.
 *
 * Of mutual evictions the least stands: one whose author was evicted by a lesser one, and whose
 * entry is late by that, is void. */
#ifndef STORE_FLOCK_H
#define STORE_FLOCK_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/stamp.h"

enum {
    FLOCK_FEEDS_MAX = 1024,  /* of one eviction: the cap in messages.def */
    FLOCK_RETURNS_MAX = 256, /* of one returned: as there */
};

/* Entries of one author, in the order in which he wrote them. */
struct flock_words {
    struct msg_stamp *at; /* owned */
    size_t count, capacity;
};

struct flock_node {
    struct id id;
    struct boot opened;       /* the newest; zeros = none known yet */
    struct flock_words lefts; /* that it goes */
    struct flock_words steps; /* that it is in step: each `returned`, of evictions or of none */
    bool is_evicted;          /* by an eviction that stands, and it has not returned */
};

struct flock_eviction {
    struct msg_stamp stamp;
    struct id node;
    uint8_t cause;
    struct msg_feed_end *feeds; /* owned; how far each feed was held, oldest boot first */
    uint32_t feeds_count;
    bool is_void;
    bool has_returned;
    struct msg_stamp returned; /* the node's first entry that says that it knows */
};

/* "I know of this eviction", by whomever. */
struct flock_return {
    struct msg_stamp eviction;
    struct msg_stamp entry;
};

struct flock {
    struct memory *memory;
    struct map nodes;
    struct flock_eviction *evictions; /* in total order */
    size_t evictions_count, evictions_capacity;
    struct flock_return *returns; /* in order of arrival */
    size_t returns_count, returns_capacity;
    uint64_t lateness_revision; /* grows whenever other entries are late than before */
};

void flock_init(struct flock *flock, struct memory *memory);
void flock_deinit(struct flock *flock);
/* Folds one entry; kinds that are not of the roster are ignored. ERROR_MEMORY (then the fold is
 * void). */
enum error flock_apply(struct flock *flock, const struct stamped *entry) MUST_USE;

/* Is it on the roster? */
bool flock_has(const struct flock *flock, const struct id *id);
/* Is it in step with the flock, as it says itself, and has not left since? NULL: is anybody on the
 * roster? */
bool flock_is_in_step(const struct flock *flock, const struct id *id);
/* Was it ever? */
bool flock_was_in_step(const struct flock *flock, const struct id *id);
bool flock_is_evicted(const struct flock *flock, const struct id *id);
/* Has it said that it leaves, and not come back since? */
bool flock_has_left(const struct flock *flock, const struct id *id);
/* Those on the roster, in no order that means anything: start with *cursor = 0; NULL at the
 * end. */
const struct flock_node *flock_next(const struct flock *flock, size_t *cursor);
size_t flock_count(const struct flock *flock);
/* Was this entry written behind an eviction of its author that stands, and before he returned; or
 * while he was not in step? */
bool flock_is_late(const struct flock *flock, const struct msg_stamp *stamp);
/* Order-independent. */
uint64_t flock_digest(const struct flock *flock);

#endif
