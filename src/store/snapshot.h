/* Taking over another replica's cut: its pages are collected, and when the last one is here, all of
 * it is taken in at once. Private to the log. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/feed.h"

/* One item as it came: a packed log_batch (an anchor) or log_kept. */
struct piece {
    struct piece *next;
    bool is_anchor;
    size_t size;
    uint8_t bytes[];
};

struct intake {
    uint64_t number; /* of the cut; 0 = none is coming in */
    uint64_t count;  /* items that are here */
    struct piece *first;
    struct piece **last;
};

void intake_reset(struct intake *intake, uint64_t number, struct memory *memory);
/* Adds a page that comes next; false when out of memory. */
bool intake_add(struct intake *intake, const struct msg_log_snapshot *page, struct memory *memory);

/* What is to become of one feed. */
struct plan {
    struct log_feed *feed;  /* NULL: none here yet */
    struct content content; /* of the anchor, unfolded when is_ahead */
    struct msg_log_batch message;
    uint64_t base; /* to come */
    uint64_t had;  /* held before: what is up to there has been delivered */
    uint64_t had_base;
    bool is_ahead; /* we lack the anchor, and take it; else we hold it, and cut */
};

/* The page of our own cut behind so many items; in the arena. False when it does not fit. */
bool feeds_snapshot(const struct feeds *feeds, uint64_t first, struct msg_log_snapshot *page,
                    struct arena *arena);

#endif
