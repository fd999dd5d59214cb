/* The laboratory of the tests of compaction: replicas (tests/lib/replica_lab.h), what they write,
 * and what goes between them when nobody lies. */
#ifndef TEST_CUT_LAB_H
#define TEST_CUT_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define REQUIRE(condition) assert_true(condition)
#include "tests/lib/replica_lab.h"

static inline struct replica *replica_open(uint64_t number)
{
    struct replica *replica = calloc(1, sizeof *replica);
    void *scratch = malloc(LAB_SCRATCH_SIZE);
    assert_true(replica != NULL && scratch != NULL);
    replica_init(replica, number, scratch);
    return replica;
}

static inline void replica_close(struct replica *replica)
{
    replica_deinit(replica);
    free(replica->scratch.base);
    free(replica);
}

/* ---- entries ---- */

static inline struct id lab_job(unsigned n)
{
    return (struct id){{(uint8_t)(n >> 8), (uint8_t)n, 0x55}};
}

static inline void say_job(struct replica *replica, unsigned n, uint32_t maps)
{
    struct msg_job job = {.job = lab_job(n), .spec = {.name = slice_string("j"), .maps = maps}};
    (void)say(replica, &wire_job, &job);
    commit(replica);
}

static inline struct msg_stamp say_claim(struct replica *replica, unsigned n, uint32_t task)
{
    struct msg_task_range range = {TASK_MAP, task, 1};
    struct msg_claim claim = {
        .job = lab_job(n), .number = 1, .cause = CAUSE_FIRST, .ranges = {&range, 1}};
    struct msg_stamp stamp = say(replica, &wire_claim, &claim);
    commit(replica);
    return stamp;
}

static inline void say_done(struct replica *replica, unsigned n, uint32_t task,
                            struct msg_stamp claim)
{
    struct msg_done done = {.job = lab_job(n), .claim = claim, .task = task};
    done.output.size = 10 + task;
    (void)say(replica, &wire_done, &done);
    commit(replica);
}

static inline void say_ended(struct replica *replica, unsigned n)
{
    struct msg_ended ended = {.job = lab_job(n), .outcome = JOB_DONE, .cause = CAUSE_EXITED};
    (void)say(replica, &wire_ended, &ended);
    commit(replica);
}

/* A job of so many tasks, from submission to end. */
static inline void say_whole_job(struct replica *replica, unsigned n, uint32_t maps)
{
    say_job(replica, n, maps);
    for (uint32_t i = 0; i < maps; i++) say_done(replica, n, i, say_claim(replica, n, i));
    say_ended(replica, n);
}

/* ---- between them ---- */

static void lab_give(void *context, const struct msg_log_batch *batch)
{
    static const struct id from = {{1}};
    struct replica *to = context;
    const char *reason = log_receive(to->log, batch, &from, &to->scratch);
    if (reason != NULL && reason != log_fork && reason != log_quarantined)
        fail_msg("refused: %s", reason);
}

/* `to` gets the batches of `from` that it can take. True when that was all it lacks. */
static inline bool replica_pull(struct replica *to, struct replica *from)
{
    struct msg_log_vector vector;
    arena_reset(&to->scratch);
    assert_true(log_vector_fill(to->log, false, &vector, &to->scratch));
    bool is_cut_off = log_is_cut_off(from->log, &vector);
    while (!log_missing(from->log, &vector, lab_give, to)) {
        arena_reset(&to->scratch);
        assert_true(log_vector_fill(to->log, false, &vector, &to->scratch));
    }
    return !is_cut_off;
}

/* The next page of `from` behind `first` items, packed as on the wire; in memory that stays until
 * the next call. */
static inline struct slice page_packed(struct replica *from, uint64_t first, bool is_offer)
{
    static uint8_t bytes[1 << 20];
    struct msg_log_snapshot page = {.number = log_cut_number(from->log), .more = true};
    arena_reset(&from->scratch);
    if (!is_offer) assert_true(log_snapshot_fill(from->log, first, &page, &from->scratch));
    struct writer writer = writer_of(bytes, sizeof bytes);
    assert_true(wire_pack(&wire_log_snapshot, &page, &writer));
    return slice_of(bytes, writer.written);
}

static inline enum log_page page_take(struct replica *to, struct slice packed, uint64_t *first,
                                      const char **reason)
{
    static const struct id from = {{1}};
    struct wire_message message;
    arena_reset(&to->scratch);
    assert_null(wire_unpack(&packed, &message, &to->scratch));
    assert_int_equal(message.type, MSG_log_snapshot);
    return log_snapshot_take(to->log, message.fields, &from, first, reason, &to->scratch);
}

/* The whole snapshot; how many pages it had. */
static inline unsigned replica_snapshot(struct replica *to, struct replica *from)
{
    uint64_t first;
    const char *reason;
    unsigned pages = 0;
    enum log_page news = page_take(to, page_packed(from, 0, true), &first, &reason);
    while (news == LOG_PAGE_WANTS) {
        pages++;
        news = page_take(to, page_packed(from, first, false), &first, &reason);
    }
    if (news == LOG_PAGE_REFUSED) fail_msg("refused: %s", reason);
    assert_int_equal(news, LOG_PAGE_LAST);
    return pages;
}

/* In step, by whatever it takes. */
static inline void replica_catch_up(struct replica *to, struct replica *from)
{
    if (!replica_pull(to, from)) (void)replica_snapshot(to, from);
    assert_true(replica_pull(to, from));
}

/* Marks, then cuts all that may go. */
static inline size_t replica_cut_now(struct replica *replica)
{
    replica_sync(replica);
    size_t cut = replica_cut(replica);
    return cut + replica_cut(replica);
}

static inline void replica_sweep(struct replica *replica, size_t max)
{
    arena_reset(&replica->scratch);
    while (log_sweep(replica->log, max, &replica->scratch)) arena_reset(&replica->scratch);
}

static inline void assert_same(struct replica *a, struct replica *b)
{
    assert_true(log_digest(a->log) == log_digest(b->log));
    assert_true(replica_state(a) == replica_state(b));
}

#endif
