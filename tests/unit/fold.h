/* Entries about jobs in a line each, and a fold to apply them to: for the tests of src/tasks.
 * Nodes, boots and jobs are small numbers; entries are of job 0 unless they say otherwise, claims
 * are of maps. */
#ifndef TEST_FOLD_H
#define TEST_FOLD_H

#include "store/flock.h"
#include "tasks/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- entries ---- */

struct item {
    unsigned kind;
    struct msg_stamp stamp;
    union {
        struct msg_job job;
        struct msg_job_with job_with;
        struct msg_claim claim;
        struct msg_done done;
        struct msg_failed failed;
        struct msg_released released;
        struct msg_lost lost;
        struct msg_dead dead;
        struct msg_left left;
        struct msg_opened opened;
        struct msg_ended ended;
        struct msg_counted counted;
        struct msg_logged logged;
        struct msg_evicted evicted;
        struct msg_returned returned;
    } as;
    struct msg_feed_end held;        /* of evicted */
    struct msg_stamp evictions[2];   /* of returned */
    struct msg_task_range ranges[2]; /* of claim and released */
    uint32_t ranges_count;
};

static inline struct stamped entry_of(struct item *item)
{
    struct list ranges = {item->ranges, item->ranges_count};
    if (item->kind == MSG_claim) item->as.claim.ranges = ranges;
    if (item->kind == MSG_released) item->as.released.ranges = ranges;
    if (item->kind == MSG_evicted) item->as.evicted.feeds = (struct list){&item->held, 1};
    if (item->kind == MSG_returned) item->as.returned.evictions.at = item->evictions;
    return (struct stamped){item->stamp, item->kind, &item->as};
}

static inline struct id node_of(unsigned n) { return (struct id){{(uint8_t)(0xa0 + n)}}; }
static inline struct id job_of(unsigned n) { return (struct id){{(uint8_t)(0x10 + n)}}; }

/* Node n, boot b, at that time; the sequence is the time, too. */
static inline struct msg_stamp stamp_at(unsigned n, unsigned b, uint64_t time)
{
    return (struct msg_stamp){time, node_of(n), {.counter = b, .random = 7}, time};
}

static inline struct item job_item(struct msg_stamp stamp, unsigned job, uint32_t maps,
                                   uint32_t reduces)
{
    struct item item = {.kind = MSG_job, .stamp = stamp};
    item.as.job.job = job_of(job);
    item.as.job.spec.name = slice_string(job == 0 ? "wc-3f7a" : "wc-3f80");
    item.as.job.spec.maps = maps;
    item.as.job.spec.reduces = reduces;
    return item;
}

/* Of job 0, on terms of its own: so many copies of each task must be done. */
static inline struct item job_with_item(struct msg_stamp stamp, uint32_t maps, uint32_t reduces,
                                        uint8_t verify)
{
    struct item item = {.kind = MSG_job_with, .stamp = stamp};
    item.as.job_with.job = job_of(0);
    item.as.job_with.spec.name = slice_string("wc-3f7a");
    item.as.job_with.spec.maps = maps;
    item.as.job_with.spec.reduces = reduces;
    item.as.job_with.terms.verify = verify;
    return item;
}

static inline struct item claim_item(struct msg_stamp stamp, uint32_t number, enum cause cause,
                                     uint32_t first, uint32_t count)
{
    struct item item = {.kind = MSG_claim, .stamp = stamp, .ranges_count = 1};
    item.as.claim.job = job_of(0);
    item.as.claim.number = number;
    item.as.claim.cause = (uint8_t)cause;
    item.ranges[0] = (struct msg_task_range){TASK_MAP, first, count};
    return item;
}

static inline struct item counted_item(struct msg_stamp stamp, struct msg_stamp claim,
                                       uint32_t task)
{
    static struct msg_counter counter = {{(const uint8_t *)"g", 1}, {(const uint8_t *)"n", 1}, 7};
    struct item item = {.kind = MSG_counted, .stamp = stamp};
    item.as.counted.job = job_of(0);
    item.as.counted.claim = claim;
    item.as.counted.task = task;
    item.as.counted.counters = (struct list){&counter, 1};
    return item;
}

static inline struct item logged_item(struct msg_stamp stamp, struct msg_stamp claim, uint32_t task)
{
    struct item item = {.kind = MSG_logged, .stamp = stamp};
    item.as.logged.job = job_of(0);
    item.as.logged.claim = claim;
    item.as.logged.task = task;
    item.as.logged.log = (struct msg_block_ref){{{(uint8_t)stamp.time}}, 5000 + stamp.time};
    return item;
}

static inline struct item done_item(struct msg_stamp stamp, struct msg_stamp claim, uint32_t task)
{
    struct item item = {.kind = MSG_done, .stamp = stamp};
    item.as.done.job = job_of(0);
    item.as.done.claim = claim;
    item.as.done.task = task;
    item.as.done.output = (struct msg_block_ref){{{(uint8_t)stamp.time}}, 100 + stamp.time};
    item.as.done.records = stamp.time;
    item.as.done.log = slice_string("well done");
    return item;
}

static inline struct item failed_item(struct msg_stamp stamp, struct msg_stamp claim, uint32_t task,
                                      bool charged)
{
    struct item item = {.kind = MSG_failed, .stamp = stamp};
    item.as.failed.job = job_of(0);
    item.as.failed.claim = claim;
    item.as.failed.task = task;
    item.as.failed.charged = charged;
    item.as.failed.cause = charged ? CAUSE_EXITED : CAUSE_NOT_STARTED;
    item.as.failed.status = (uint32_t)stamp.time;
    item.as.failed.log = slice_string("alas");
    return item;
}

static inline struct item released_item(struct msg_stamp stamp, struct msg_stamp claim,
                                        enum cause cause, uint32_t first, uint32_t count)
{
    struct item item = {.kind = MSG_released, .stamp = stamp, .ranges_count = 1};
    item.as.released.job = job_of(0);
    item.as.released.claim = claim;
    item.as.released.cause = (uint8_t)cause;
    item.ranges[0] = (struct msg_task_range){TASK_MAP, first, count};
    return item;
}

static inline struct item lost_item(struct msg_stamp stamp, struct msg_stamp done, uint32_t task)
{
    struct item item = {.kind = MSG_lost, .stamp = stamp};
    item.as.lost.job = job_of(0);
    item.as.lost.done = done;
    item.as.lost.task = task;
    item.as.lost.cause = CAUSE_OUTPUT_LOST;
    return item;
}

static inline struct item dead_item(struct msg_stamp stamp, unsigned n, unsigned b,
                                    uint64_t sequence)
{
    struct item item = {.kind = MSG_dead, .stamp = stamp};
    item.as.dead = (struct msg_dead){node_of(n), {.counter = b, .random = 7}, sequence, 0};
    return item;
}

static inline struct item ended_item(struct msg_stamp stamp, enum job_outcome outcome)
{
    struct item item = {.kind = MSG_ended, .stamp = stamp};
    item.as.ended.job = job_of(0);
    item.as.ended.outcome = (uint8_t)outcome;
    item.as.ended.size = stamp.time;
    item.as.ended.text = slice_string("that is all");
    return item;
}

static inline struct item opened_item(unsigned n, unsigned b, uint64_t time)
{
    return (struct item){.kind = MSG_opened, .stamp = stamp_at(n, b, time)};
}

static inline struct item left_item(unsigned n, unsigned b, uint64_t time)
{
    return (struct item){.kind = MSG_left, .stamp = stamp_at(n, b, time)};
}

/* Node n is off the roster; of its boot b the author holds this much. */
static inline struct item evicted_item(struct msg_stamp stamp, unsigned n, unsigned b,
                                       uint64_t have)
{
    struct item item = {.kind = MSG_evicted, .stamp = stamp};
    item.as.evicted.node = node_of(n);
    item.as.evicted.cause = CAUSE_LONG_DEAD;
    item.held = (struct msg_feed_end){{.counter = b, .random = 7}, have};
    return item;
}

/* Its author knows of these evictions, at most two. */
static inline struct item returned_item(struct msg_stamp stamp, const struct msg_stamp *evictions,
                                        uint32_t count)
{
    struct item item = {.kind = MSG_returned, .stamp = stamp};
    item.as.returned.evictions.count = count;
    for (uint32_t i = 0; i < count; i++) item.evictions[i] = evictions[i];
    return item;
}

/* ---- the fold ---- */

struct fold {
    struct memory memory;
    struct flock flock;
    struct jobs jobs;
};

static inline void fold_init(struct fold *fold)
{
    memory_init(&fold->memory, 64 << 20);
    flock_init(&fold->flock, &fold->memory);
    jobs_init(&fold->jobs, &fold->memory);
    fold->jobs.flock = &fold->flock;
}

static inline void fold_deinit(struct fold *fold)
{
    jobs_deinit(&fold->jobs);
    flock_deinit(&fold->flock);
    assert_int_equal(fold->memory.used, 0);
}

static inline void fold_apply(struct fold *fold, struct item item)
{
    struct stamped entry = entry_of(&item);
    uint64_t lateness = fold->flock.lateness_revision; /* as the node does (node.c) */
    assert_int_equal(flock_apply(&fold->flock, &entry), ERROR_NONE);
    if (lateness != fold->flock.lateness_revision) jobs_reconsider(&fold->jobs);
    assert_int_equal(jobs_apply(&fold->jobs, &entry), ERROR_NONE);
}

/* Node n has long been in step: what it says is timely. */
static inline void fold_in_step(struct fold *fold, unsigned n)
{
    fold_apply(fold, returned_item(stamp_at(n, 0, 1), NULL, 0));
}

static inline struct job *job_in(struct fold *fold)
{
    struct id id = job_of(0);
    return jobs_find(&fold->jobs, &id);
}

static inline struct task *map_in(struct fold *fold, uint32_t i)
{
    return &job_in(fold)->tasks[TASK_MAP][i];
}

#endif
