/* Replicas that fold jobs, cut their logs and hand on snapshots, for the tests and the fuzzer of
 * compaction. The fold and the judge are the real ones; the disks forget what the test wants. Who
 * includes this defines REQUIRE(condition) before: what becomes of a condition that does not hold.
 */
#ifndef TEST_REPLICA_LAB_H
#define TEST_REPLICA_LAB_H

#include "base/prng.h"
#include "store/feed.h"
#include "store/log.h"
#include "tasks/jobs.h"
#include "wire/plain.h"

#include <string.h>

enum {
    LAB_SCRATCH_SIZE = 24 << 20,
    LAB_BUDGET = 128 << 20,
    LAB_PASS_MAX = 1000000,
    LAB_PRUNE_MAX = 1000,
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
    REQUIRE(jobs_apply(&replica->jobs, entry) == ERROR_NONE);
}

static void lab_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct replica *replica = context;
    REQUIRE(token == ++replica->token);
    REQUIRE(storage_write(replica->disk, puts, count) == ERROR_NONE);
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
    REQUIRE(log_load(replica->log, key, value, &replica->scratch) == NULL);
    return ERROR_NONE;
}

/* A new boot, from its disk. */
static inline void replica_boot(struct replica *replica)
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
    REQUIRE(replica->log != NULL);
    REQUIRE(storage_each(replica->disk, slice_string(""), lab_load, replica) == ERROR_NONE);
}

static inline void replica_stop(struct replica *replica)
{
    log_close(replica->log);
    jobs_deinit(&replica->jobs);
    REQUIRE(replica->memory.used == 0);
    REQUIRE(replica->jobs_memory.used == 0);
}

static inline void replica_restart(struct replica *replica)
{
    replica_stop(replica);
    replica_boot(replica);
}

/* scratch: LAB_SCRATCH_SIZE bytes, borrowed. */
static inline void replica_init(struct replica *replica, uint64_t number, void *scratch)
{
    *replica = (struct replica){.token = 0};
    memory_init(&replica->memory, LAB_BUDGET);
    memory_init(&replica->jobs_memory, LAB_BUDGET);
    arena_init(&replica->scratch, scratch, LAB_SCRATCH_SIZE);
    plain_pair(number, &replica->pair);
    replica->id = crypto_node_id(&crypto_plain, &replica->pair.public);
    REQUIRE(storage_memory_open(&replica->disk) == ERROR_NONE);
    replica_boot(replica);
}

static inline void replica_deinit(struct replica *replica)
{
    replica_stop(replica);
    storage_close(replica->disk);
}

static inline uint64_t replica_state(struct replica *replica)
{
    return jobs_digest(&replica->jobs);
}

/* Everything written is on the disk, and known to be. */
static inline void replica_sync(struct replica *replica)
{
    REQUIRE(storage_sync(replica->disk) == ERROR_NONE);
    log_persisted(replica->log, replica->token);
}

static inline struct msg_stamp say(struct replica *replica, const struct wire_schema *schema,
                                   const void *message)
{
    struct msg_stamp stamp;
    REQUIRE(log_append(replica->log, schema, message, &stamp) == ERROR_NONE);
    return stamp;
}

static inline void commit(struct replica *replica)
{
    arena_reset(&replica->scratch);
    REQUIRE(log_commit(replica->log, &replica->scratch) == ERROR_NONE);
}

/* ---- cutting ---- */

static inline size_t replica_cut(struct replica *replica)
{
    struct log_judge judge = {replica, lab_judge, 1 + replica->jobs.revision};
    struct log_pass pass = {.entries_max = LAB_PASS_MAX, .is_new = true};
    arena_reset(&replica->scratch);
    return log_cut(replica->log, &judge, &pass, &replica->scratch);
}

static inline size_t replica_prune(struct replica *replica)
{
    struct log_judge judge = {replica, lab_judge, 1 + replica->jobs.revision};
    arena_reset(&replica->scratch);
    return log_prune(replica->log, &judge, LAB_PRUNE_MAX, &replica->scratch);
}

#endif
