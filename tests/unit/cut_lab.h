/* Replicas that fold jobs, cut their logs and hand on snapshots: for the tests of compaction. The
 * fold and the judge are the real ones; the disks forget what the test wants. */
#ifndef TEST_CUT_LAB_H
#define TEST_CUT_LAB_H

#include "base/prng.h"
#include "store/feed.h"
#include "store/log.h"
#include "tasks/jobs.h"
#include "wire/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
    LAB_SCRATCH_SIZE = 24 << 20,
    LAB_BUDGET = 128 << 20,
    PASS_MAX = 1000000,
};

struct replica {
    struct memory memory, jobs_memory;
    struct arena scratch;
    struct crypto_pair pair;
    struct id id;
    struct boot boot;
    struct log *log;
    struct jobs jobs;
    struct storage *disk;
    uint64_t token;
    unsigned entries, usurped;
};

/* ---- ports ---- */

static void lab_entry(void *context, const struct stamped *entry)
{
    struct replica *replica = context;
    replica->entries++;
    assert_int_equal(jobs_apply(&replica->jobs, entry), ERROR_NONE);
}

static void lab_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct replica *replica = context;
    assert_int_equal(token, ++replica->token);
    assert_int_equal(storage_write(replica->disk, puts, count), ERROR_NONE);
}

static void lab_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                       const struct id *from)
{
    (void)context, (void)batch, (void)author, (void)from;
}

static void lab_usurped(void *context, const struct boot *boot)
{
    (void)boot;
    ((struct replica *)context)->usurped++;
}

/* As in node/compaction.c. */
static enum log_fate lab_judge(void *context, const struct msg_entry *entry,
                               struct msg_stamp *needs)
{
    const struct replica *replica = context;
    struct id id;
    bool is_of_task = entry->kind == MSG_claim || entry->kind == MSG_done;
    if (!is_of_task || entry->body.count < sizeof id) return LOG_KEPT;
    memcpy(id.bytes, entry->body.at, sizeof id.bytes);
    const struct job *job = jobs_find(&replica->jobs, &id);
    if (job == NULL || job->outcome == JOB_RUNNING) return LOG_WAITS;
    *needs = job->ended;
    return LOG_DROPPED;
}

/* ---- life ---- */

static enum error lab_load(void *context, struct slice key, struct slice value)
{
    struct replica *replica = context;
    assert_null(log_load(replica->log, key, value, &replica->scratch));
    return ERROR_NONE;
}

/* A new boot, from its disk. */
static void replica_boot(struct replica *replica)
{
    replica->boot.counter++;
    replica->boot.random = 77;
    replica->token = 0;
    replica->entries = 0;
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &replica->pair,
        .id = replica->id,
        .boot = replica->boot,
        .ports = {replica, lab_entry, lab_persist, lab_spread, lab_usurped},
    };
    arena_reset(&replica->scratch);
    jobs_init(&replica->jobs, &replica->jobs_memory);
    replica->log = log_open(&config, &replica->memory);
    assert_non_null(replica->log);
    assert_int_equal(storage_each(replica->disk, slice_string(""), lab_load, replica), ERROR_NONE);
}

static inline void replica_stop(struct replica *replica)
{
    log_close(replica->log);
    jobs_deinit(&replica->jobs);
    assert_int_equal(replica->memory.used, 0);
    assert_int_equal(replica->jobs_memory.used, 0);
}

static inline void replica_restart(struct replica *replica)
{
    replica_stop(replica);
    replica_boot(replica);
}

static inline struct replica *replica_open(uint64_t number)
{
    struct replica *replica = calloc(1, sizeof *replica);
    assert_non_null(replica);
    memory_init(&replica->memory, LAB_BUDGET);
    memory_init(&replica->jobs_memory, LAB_BUDGET);
    arena_init(&replica->scratch, malloc(LAB_SCRATCH_SIZE), LAB_SCRATCH_SIZE);
    plain_pair(number, &replica->pair);
    replica->id = crypto_node_id(&crypto_plain, &replica->pair.public);
    assert_int_equal(storage_memory_open(&replica->disk), ERROR_NONE);
    replica_boot(replica);
    return replica;
}

static inline void replica_close(struct replica *replica)
{
    replica_stop(replica);
    storage_close(replica->disk);
    free(replica->scratch.base);
    free(replica);
}

static inline uint64_t replica_state(const struct replica *replica)
{
    return jobs_digest(&replica->jobs);
}

/* Everything written is on the disk, and known to be. */
static inline void replica_sync(struct replica *replica)
{
    assert_int_equal(storage_sync(replica->disk), ERROR_NONE);
    log_persisted(replica->log, replica->token);
}

/* ---- entries ---- */

static inline struct id lab_job(unsigned n)
{
    return (struct id){{(uint8_t)(n >> 8), (uint8_t)n, 0x55}};
}

static inline struct msg_stamp say(struct replica *replica, const struct wire_schema *schema,
                                   const void *message)
{
    struct msg_stamp stamp;
    assert_int_equal(log_append(replica->log, schema, message, &stamp), ERROR_NONE);
    return stamp;
}

static inline void commit(struct replica *replica)
{
    arena_reset(&replica->scratch);
    assert_int_equal(log_commit(replica->log, &replica->scratch), ERROR_NONE);
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

static inline size_t replica_cut(struct replica *replica)
{
    struct log_judge judge = {replica, lab_judge, 1 + replica->jobs.revision};
    struct log_pass pass = {.entries_max = PASS_MAX, .is_new = true};
    arena_reset(&replica->scratch);
    return log_cut(replica->log, &judge, &pass, &replica->scratch);
}

/* Marks, then cuts all that may go. */
static inline size_t replica_cut_now(struct replica *replica)
{
    replica_sync(replica);
    size_t cut = replica_cut(replica);
    return cut + replica_cut(replica);
}

static inline size_t replica_prune(struct replica *replica)
{
    struct log_judge judge = {replica, lab_judge, 1 + replica->jobs.revision};
    arena_reset(&replica->scratch);
    return log_prune(replica->log, &judge, 1000, &replica->scratch);
}

static inline void replica_sweep(struct replica *replica, size_t max)
{
    arena_reset(&replica->scratch);
    while (log_sweep(replica->log, max, &replica->scratch)) arena_reset(&replica->scratch);
}

static inline void assert_same(const struct replica *a, const struct replica *b)
{
    assert_true(log_digest(a->log) == log_digest(b->log));
    assert_true(replica_state(a) == replica_state(b));
}

#endif
