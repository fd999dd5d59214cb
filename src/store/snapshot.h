/* Handing a cut on (snapshot.c) and taking another replica's over (adopt.c). Private to the log. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/feed.h"

/* What is to become of one feed: of an anchor that came, and of the entries kept before it. */
struct plan {
    struct id node;
    struct boot boot;
    uint64_t base;      /* the anchor begins behind it */
    uint64_t last;      /* and ends here */
    uint64_t time;      /* of its first entry */
    uint64_t kept_time; /* of the last one kept */
    uint8_t *anchor;    /* a packed log_batch */
    size_t anchor_size;
    struct kept **kept; /* those that we lack, or hold in batches that go */
    size_t kept_count;
    size_t kept_capacity;
};

/* A snapshot that is coming in. */
struct intake {
    uint64_t number;    /* of the cut; 0 = none is coming in */
    uint64_t count;     /* items that are here */
    size_t size;        /* their bytes */
    struct plan *plans; /* in order of the feeds */
    size_t plans_count;
    size_t plans_capacity;
};

void intake_reset(struct intake *intake, uint64_t number, struct memory *memory);

/* The page of our own cut behind so many items; in the arena. False when it does not fit. */
bool feeds_snapshot(const struct feeds *feeds, uint64_t first, struct msg_log_snapshot *page,
                    struct arena *arena);

/* The puts of one write, in an arena. */
struct puts {
    struct arena *arena;
    struct storage_put *items;
    size_t count, capacity;
};

bool puts_take(struct puts *puts, size_t capacity, struct arena *arena);
void puts_add(struct puts *puts, struct slice key, struct slice value);
/* Where this feed is cut; false when the arena is full. */
bool puts_base(struct puts *puts, const struct id *node, const struct boot *boot, uint64_t base);

#endif
