/* What a crowd shows: how long until the first, half and all know of something; who was given up
 * wrongly; what each node sends. */
#ifndef SIM_CENSUS_H
#define SIM_CENSUS_H

#include "base/id.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct crowd;
struct crowd_node;
struct member;

enum story_kind {
    STORY_KILL, /* until it is held dead */
    STORY_PAUSE,
    STORY_RETURN, /* paused no more: until it is held alive */
    STORY_JOIN,   /* until the newcomer is held alive */
    STORY_HEAL,   /* the partition is over: until everyone's view is the truth */
    STORY_KINDS,
};

/* One thing that happened. Times are from `at` on; INSTANT_NEVER = not yet. */
struct story {
    enum story_kind kind;
    uint32_t subject;
    instant at;
    uint32_t known, expected; /* by how many, of how many */
    duration first, half, all;
    bool is_open;
};

/* What one node sent. */
struct load {
    uint64_t messages, bytes;       /* datagrams: payload, seal, IP and UDP */
    uint64_t records, record_bytes; /* over streams: payload alone */
};

/* A distribution, sorted out. */
struct spread {
    double least, median, most, mean;
    size_t count;
};

struct census {
    struct story *stories;
    size_t stories_count, stories_capacity;
    uint32_t *open;    /* of each node: the place of its open story, plus 1; 0 = none */
    size_t heal_place; /* of the open STORY_HEAL, plus 1; 0 = none */
    uint64_t truth;    /* the digest of the view in which exactly those who run live */
    uint32_t right_count, running_count;
    uint64_t wrong_failures; /* (observer, member) pairs: held dead, and well */
    uint64_t wrong_suspicions;
    uint32_t wrong_victims;
    bool *is_victim;
    instant measured_since;
    struct load *calm; /* of each node, before the first event */
    duration calm_time;
    FILE *csv; /* NULL: none. Borrowed */
};

void census_open(struct census *census, uint32_t nodes_count);
void census_close(struct census *census);

/* Something happened to this node, now, and shows in its state already. */
void census_begin(struct crowd *crowd, enum story_kind kind, uint32_t subject);
/* This node observes no more, or again. */
void census_leave(struct crowd *crowd, uint32_t observer);
void census_enter(struct crowd *crowd, uint32_t observer);
/* An observer holds a member otherwise than before. */
void census_changed(struct crowd *crowd, uint32_t observer, const struct member *member,
                    unsigned before);
/* The node has taken a step: is its view right? */
void census_look(struct crowd *crowd, struct crowd_node *node);
/* Loads count from now on. is_calm: what was counted until now is the calm. */
void census_restart_loads(struct crowd *crowd, bool is_calm);

/* "kill", "pause", ... */
const char *story_text(enum story_kind kind);
/* Of so many values, in any order (they are sorted). */
struct spread spread_of(double *values, size_t count);
/* Over all stories of this kind: of their first, half or all times, in seconds. which: 0, 1, 2.
 * Those without that time are left out. */
struct spread census_spread(const struct census *census, enum story_kind kind, int which);

#endif
