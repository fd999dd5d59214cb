/* Which claims the fate of their owner frees: per node the newest boot that opened, per (node,
 * boot) how far `dead` and `left` reach. Marks apply to claims that come later as well as to
 * those that are there. Part of the fold in jobs.h. */
#ifndef TASKS_OWNERS_H
#define TASKS_OWNERS_H

#include "tasks/jobs.h"

/* One boot of a node. */
struct owner {
    struct owner *next; /* of the same node, newest boot first */
    struct owner_node *node;
    struct boot boot;
    uint64_t dead; /* claims up to this sequence are free; 0 = none */
    uint64_t left;
    int64_t died;             /* jobs.now when a death of its was first heard of; its user's */
    struct attempt *attempts; /* RUNNING and DEAD, of running jobs: what its fate decides */
};

struct owner_node {
    struct id id;
    struct boot opened; /* the newest; zeros = none */
    struct boot lives;  /* in which it lives, as the membership says; zeros = in none */
    struct owner *owners;
};

/* The owner (node, boot), made when it is not there. It stays at its place until owners_deinit.
 * ERROR_MEMORY. */
enum error owners_get(struct jobs *jobs, const struct id *node, const struct boot *boot,
                      struct owner **owner) MUST_USE;
/* Frees all; attempts are not touched. */
void owners_deinit(struct jobs *jobs);

/* Why a claim by owner of this sequence is free; CAUSE_NONE: it is not. */
enum cause owners_freed(const struct owner *owner, uint64_t sequence);

/* Fold opened, dead and left, and free what they free. ERROR_MEMORY. */
enum error owners_opened(struct jobs *jobs, const struct msg_stamp *stamp) MUST_USE;
enum error owners_dead(struct jobs *jobs, const struct msg_dead *dead) MUST_USE;
enum error owners_left(struct jobs *jobs, const struct msg_stamp *stamp) MUST_USE;

/* The membership says that the node lives, in this boot; NULL: that it does not. Frees nothing and
 * is no part of the fold: who lives did not die of what it ran (poison.h). Without memory it is
 * not noted. */
void owners_live(struct jobs *jobs, const struct id *node, const struct boot *boot);

/* Order-independent digest of the marks. */
uint64_t owners_digest(const struct jobs *jobs);

#endif
