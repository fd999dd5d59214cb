/* What is held of one feed, and the table of all feeds: an array sorted by (node, boot). There
 * are few feeds (a node's boots) and many batches, so finding is a binary search, a new feed
 * moves some pointers, a node's newest boot is the last of its run, and every walk has the same
 * order everywhere. Private to the log. */
#ifndef STORE_FEED_H
#define STORE_FEED_H

#include "store/batch.h"

struct log_feed {
    struct id node;
    struct boot boot;
    uint64_t have;             /* sequences 1 to have are held */
    uint64_t durable;          /* 1 to durable are on our disk */
    uint64_t told;             /* the `durable` that a changed-only vector last stated */
    uint64_t time;             /* of entry `have` */
    struct digest previous;    /* of the last batch's body: what the next must name */
    struct batch *batches;     /* in order, without a gap */
    size_t batches_count;
    size_t batches_capacity;
    size_t durable_count;      /* batches on our disk */
    bool is_quarantined;       /* its author forked: nothing more is taken */
    bool is_waiting;           /* in feeds.waiting: some batch is not on our disk yet */
    struct log_feed *waiting;  /* the next there */
    size_t reply;              /* vector.c: the next batch to give */
};

struct feeds {
    struct memory *memory;
    struct log_feed **items;   /* sorted by (node, boot) */
    size_t count;
    size_t capacity;
    struct log_feed **heap;    /* vector.c: room for `count`: answering allocates nothing */
    size_t heap_capacity;
    struct log_feed *waiting;  /* those with batches not on our disk yet */
    uint64_t digest;           /* sum over feeds of what is held */
};

/* Where a batch falls in its feed. */
enum place {
    PLACE_NEXT, /* it continues what is held */
    PLACE_HELD, /* it is held */
    PLACE_GAP,  /* something before it is missing */
    PLACE_FORK, /* it contradicts what is held: another body at a sequence held, or another past */
};

void feeds_init(struct feeds *feeds, struct memory *memory);
void feeds_deinit(struct feeds *feeds);
/* NULL when nothing of it is held. */
struct log_feed *feeds_find(const struct feeds *feeds, const struct id *node,
                            const struct boot *boot);
/* The feed of this node's newest boot; NULL when there is none. */
const struct log_feed *feeds_newest(const struct feeds *feeds, const struct id *node);
/* feed: the batch's, may be NULL. */
enum place feed_place(const struct log_feed *feed, const struct content *content);
/* The batch that holds this sequence; NULL when not held. */
const struct batch *feed_batch(const struct log_feed *feed, uint64_t sequence);
/* Keeps a batch that comes next in its feed; token: under which it goes to the disk, 0 = it
 * comes from there. The feed, whose last batch it is now; NULL when out of memory, and nothing
 * changed. */
struct log_feed *feeds_add(struct feeds *feeds, const struct content *content,
                           const struct msg_log_batch *message, uint64_t token);
/* All batches with a token up to this one are on the disk. */
void feeds_persisted(struct feeds *feeds, uint64_t token);

/* vector.c: see log.h. */
bool feeds_vector(struct feeds *feeds, bool changed_only, struct msg_log_vector *vector,
                  struct arena *arena);
bool feeds_missing(const struct feeds *feeds, const struct msg_log_vector *vector, size_t size_max,
                   void (*give)(void *context, const struct msg_log_batch *batch), void *context);
/* walk.c: see log.h. */
bool feeds_walk(const struct feeds *feeds, const struct msg_log_vector *vector, struct arena *arena,
                bool (*visit)(void *context, const struct stamped *entry), void *context);
bool feeds_is_behind(const struct feeds *feeds, const struct msg_log_vector *vector);

static inline struct msg_feed_position feed_position(const struct log_feed *feed)
{
    return (struct msg_feed_position){feed->node, feed->boot, feed->have, feed->durable};
}

#endif
