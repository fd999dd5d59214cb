/* What is held of one feed, and the table of all feeds: an array sorted by (node, boot). There
 * are few feeds (a node's boots) and many batches, so finding is a binary search, a new feed
 * moves some pointers, a node's newest boot is the last of its run, and every walk has the same
 * order everywhere. Private to the log. */
#ifndef STORE_FEED_H
#define STORE_FEED_H

#include "store/batch.h"
#include "store/log.h"

/* An entry of a cut prefix that still counts: one piece of memory, its storage key and value. */
struct kept {
    uint64_t sequence;
    size_t size;
    uint8_t bytes[]; /* KEPT_KEY_SIZE of key, then the packed log_kept */
};

/* In one piece of memory, its key included; NULL when there is none. */
struct kept *kept_make(const struct msg_log_kept *entry, struct memory *memory);
void kept_put(struct kept *kept, struct memory *memory);
/* The packed log_kept. */
static inline struct slice kept_value(const struct kept *kept)
{
    return slice_of(kept->bytes + KEPT_KEY_SIZE, kept->size - KEPT_KEY_SIZE);
}

struct log_feed {
    struct id node;
    struct boot boot;
    uint64_t base;      /* 1 to base are cut: what counts of them is in kept */
    struct kept **kept; /* by sequence */
    size_t kept_count;
    size_t kept_capacity;
    uint64_t *doomed; /* first sequences of cut batches that are still on the disk */
    size_t doomed_count;
    size_t doomed_capacity;
    size_t waits;    /* kept entries that may be dropped yet; at least */
    uint64_t marked; /* cut.c: what was held at the last pass: old enough to be cut */
    struct {
        uint64_t revision, base, last; /* of the judge; these entries were not worth a cut */
    } spared;
    size_t cut;             /* cut.c: batches that this pass cuts */
    uint64_t have;          /* sequences base + 1 to have are held */
    uint64_t durable;       /* 1 to durable are on our disk */
    uint64_t told;          /* the `durable` that a changed-only vector last stated */
    uint64_t time;          /* of entry `have` */
    struct digest previous; /* of the last batch's body: what the next must name */
    struct batch *batches;  /* in order, without a gap */
    size_t batches_count;
    size_t batches_capacity;
    size_t durable_count;     /* batches on our disk */
    bool is_quarantined;      /* its author forked: nothing more is taken */
    bool is_waiting;          /* in feeds.waiting: some batch is not on our disk yet */
    struct log_feed *waiting; /* the next there */
    size_t reply;             /* vector.c: the next batch to give */
};

struct feeds {
    struct memory *memory;
    struct log_feed **items; /* sorted by (node, boot) */
    size_t count;
    size_t capacity;
    struct log_feed **heap; /* vector.c: room for `count`: answering allocates nothing */
    size_t heap_capacity;
    struct log_feed *waiting; /* those with batches not on our disk yet */
    uint64_t digest;          /* sum over feeds of what is held */
    size_t turn;              /* cut.c: the feed that the next pass begins with */
};

/* Where a batch falls in its feed. */
enum place {
    PLACE_NEXT, /* it continues what is held */
    PLACE_HELD, /* it is held, or was before it was cut */
    PLACE_GAP,  /* something before it is missing */
    PLACE_FORK, /* it contradicts what is held: another body at a sequence held, or another past */
};

void feeds_init(struct feeds *feeds, struct memory *memory);
void feeds_deinit(struct feeds *feeds);
/* NULL when nothing of it is held. */
struct log_feed *feeds_find(const struct feeds *feeds, const struct id *node,
                            const struct boot *boot);
/* The same for those who go through a vector, *cursor beginning as 0: most are asked for in order,
 * and found without a search. */
struct log_feed *feeds_seek(const struct feeds *feeds, size_t *cursor, const struct id *node,
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
/* The feed, made when it is not there. NULL when out of memory. */
struct log_feed *feeds_get(struct feeds *feeds, const struct id *node, const struct boot *boot);
/* The first `count` batches go; base moves to the end of the last of them. What was doomed is to
 * be deleted from the disk some time. False, and nothing changed, when out of memory. */
bool feed_drop(struct feeds *feeds, struct log_feed *feed, size_t count);
/* Room to remember so many. */
bool feed_doom_reserve(struct feeds *feeds, struct log_feed *feed, size_t count);
/* One batch more that is cut and still on the disk. */
bool feed_doom(struct feeds *feeds, struct log_feed *feed, uint64_t first);
/* A feed whose prefix is cut at base: of the disk, or of a snapshot. It holds no batch then; all of
 * it that was held is doomed. False when out of memory. */
bool feed_rebase(struct feeds *feeds, struct log_feed *feed, uint64_t base);
/* Keeps an entry of the cut prefix. NULL when out of memory. Those of a feed come in order. */
const struct kept *feed_keep(struct feeds *feeds, struct log_feed *feed,
                             const struct msg_log_kept *entry);
/* Adds `count` more, in order, that are this feed's from now on. False when out of memory. */
bool feed_keep_all(struct feeds *feeds, struct log_feed *feed, struct kept *const *kept,
                   size_t count);
/* All batches with a token up to this one are on the disk. */
void feeds_persisted(struct feeds *feeds, uint64_t token);

/* Forgets what feed_keep added beyond the first `count`. */
void feed_unkeep(struct feeds *feeds, struct log_feed *feed, size_t count);

/* cut.c: sets each feed's `cut`; returns how many batches that is. */
size_t feeds_choose(struct feeds *feeds, const struct log_judge *judge, struct log_pass *pass,
                    struct arena *scratch);
/* Keeps what the judge says of the batches chosen. False, and nothing kept: out of memory. */
bool feed_keep_cut(struct feeds *feeds, struct log_feed *feed, const struct log_judge *judge,
                   struct arena *scratch);
/* Drops kept entries that have become void, at most max; `gone` sees each before. How many. */
size_t feed_prune(struct feeds *feeds, struct log_feed *feed, const struct log_judge *judge,
                  size_t max, void (*gone)(void *context, const struct kept *kept), void *context,
                  struct arena *scratch);
/* Names where the feeds are cut: the same number, the same cut. 0: nowhere. */
uint64_t feeds_cut_number(const struct feeds *feeds);

/* vector.c: see log.h. */
bool feeds_vector(struct feeds *feeds, bool changed_only, struct msg_log_vector *vector,
                  struct arena *arena);
bool feeds_missing(const struct feeds *feeds, const struct msg_log_vector *vector, size_t size_max,
                   void (*give)(void *context, const struct msg_log_batch *batch), void *context);
/* walk.c: see log.h. */
bool feeds_walk(const struct feeds *feeds, const struct msg_log_vector *vector, struct arena *arena,
                bool (*visit)(void *context, const struct stamped *entry), void *context);
bool feeds_is_behind(const struct feeds *feeds, const struct msg_log_vector *vector);
bool feeds_is_same(const struct feeds *feeds, const struct msg_log_vector *vector);
bool feeds_has_durable(const struct feeds *feeds, const struct msg_feed_position *positions,
                       size_t count);

static inline struct msg_feed_position feed_position(const struct log_feed *feed)
{
    return (struct msg_feed_position){feed->node, feed->boot, feed->have, feed->durable};
}

#endif
