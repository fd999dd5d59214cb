/* Small blocks travel in the log: `small` entries carry the input of a job that came with its
 * submission, and outputs of a few KiB. An entry is on two disks before anyone is told, as a block
 * would be, but needs no stream, no file and no fsync of its own. So a brief job costs the log's
 * writes and nothing else.
 *
 *   entry --fold--> in memory, at every node: tasks read it there, waits are answered with it
 *     \--- referenced for longer than some seconds (a name): its holders write it to their disks
 *           (keeper.c), and once all of them have, or nobody refers to it any more, it is forgotten
 *                 here, and the entry may go when its job has ended (compaction.c)
 *
 * Which nodes hold it on disk later is decided as for any block. What a job and what a node may
 * carry is bounded; beyond it there are blocks. Nothing here is state of the fold: replicas that
 * have forgotten at different times do not differ. */
#include "node/smalls.h"

#include "node/holders.h"

#include <assert.h>
#include <string.h>

enum {
    YOUNG = 3 * SECOND,           /* as long as most results live under their job's name */
    FORGOTTEN_AFTER = 5 * SECOND, /* an entry that refers to it is on its way by then */
    ENTRY_SIZE = 48 << 10,        /* of blocks in one entry: below LOG_ENTRY_SIZE_MAX */
};

/* A job whose entries carry the block: many jobs may have the same input. */
struct small_use {
    struct small_use *next;
    struct use_key {
        struct digest digest;
        struct id job;
    } key;
};

/* What a job has in memory here. */
struct small_job {
    struct id job;
    size_t count;
    size_t size;
};

void smalls_open(struct node *node)
{
    struct slice nothing = {(const uint8_t *)"", 0};
    map_init(&node->smalls, &node->memory, offsetof(struct small, digest), sizeof(struct digest));
    map_init(&node->small_jobs, &node->memory, offsetof(struct small_job, job), sizeof(struct id));
    map_init(&node->small_uses, &node->memory, offsetof(struct small_use, key),
             sizeof(struct use_key));
    node->crypto->digest(nothing, &node->nothing);
}

/* ---- what jobs have here ---- */

static struct small_job *job_get(struct node *node, const struct id *id)
{
    struct small_job *job = map_get(&node->small_jobs, id);
    if (job != NULL) return job;
    job = memory_take(&node->memory, sizeof *job);
    if (job == NULL) return NULL;
    job->job = *id;
    if (map_add(&node->small_jobs, job) == ERROR_NONE) return job;
    memory_put(&node->memory, job, sizeof *job);
    return NULL;
}

static void job_put(struct node *node, const struct id *id, size_t size)
{
    struct small_job *job = map_get(&node->small_jobs, id);
    if (job == NULL) return;
    job->size -= size;
    if (--job->count > 0) return;
    (void)map_remove(&node->small_jobs, id);
    memory_put(&node->memory, job, sizeof *job);
}

bool smalls_are_of(const struct node *node, const struct id *job)
{
    return map_get(&node->small_jobs, job) != NULL;
}

bool smalls_fit(const struct node *node, const struct id *id, size_t size)
{
    const struct small_job *job = map_get(&node->small_jobs, id);
    size_t used = job == NULL ? 0 : job->size;
    return used + size <= SMALL_JOB_MAX && node->smalls_size + size <= SMALL_NODE_MAX;
}

/* ---- who uses a block ---- */

static bool use_add(struct node *node, struct small *small, const struct id *id)
{
    struct use_key key = {small->digest, *id};
    if (map_get(&node->small_uses, &key) != NULL) return true;
    struct small_use *use = memory_take(&node->memory, sizeof *use);
    if (use == NULL) return false;
    *use = (struct small_use){small->uses, key};
    if (map_add(&node->small_uses, use) != ERROR_NONE) {
        memory_put(&node->memory, use, sizeof *use);
        return false;
    }
    struct small_job *job = job_get(node, id);
    if (job == NULL) {
        (void)map_remove(&node->small_uses, &key);
        memory_put(&node->memory, use, sizeof *use);
        return false;
    }
    small->uses = use;
    job->count++;
    job->size += small->size;
    return true;
}

static void use_remove(struct node *node, struct small *small, struct small_use **at)
{
    struct small_use *use = *at;
    *at = use->next;
    (void)map_remove(&node->small_uses, &use->key);
    job_put(node, &use->key.job, small->size);
    memory_put(&node->memory, use, sizeof *use);
}

static bool has_ended(const struct node *node, const struct small_use *use)
{
    const struct job *job = jobs_find(&node->jobs, &use->key.job);
    return job != NULL && job->is_known && job->outcome != JOB_RUNNING;
}

/* While the latest job's entries carry the block, those of others that have ended need not stay
 * for it: an input that every job has would else keep them all. True when such may go now. */
static bool uses_trim(struct node *node, struct small *small)
{
    bool is_less = false;
    struct small_use **at = &small->uses;
    if (*at != NULL) at = &(*at)->next;
    while (*at != NULL) {
        if (has_ended(node, *at)) {
            use_remove(node, small, at);
            is_less = true;
        } else at = &(*at)->next;
    }
    return is_less;
}

/* ---- the table ---- */

static void small_free(struct node *node, struct small *small)
{
    while (small->uses != NULL) use_remove(node, small, &small->uses);
    node->smalls_size -= small->size;
    memory_put(&node->memory, small, sizeof *small + small->size);
}

void smalls_close(struct node *node)
{
    size_t cursor = 0;
    for (struct small *small; (small = map_next(&node->smalls, &cursor)) != NULL;)
        small_free(node, small);
    map_deinit(&node->smalls);
    map_deinit(&node->small_uses);
    map_deinit(&node->small_jobs);
}

const struct small *smalls_find(const struct node *node, const struct digest *digest)
{
    static const struct small nothing;
    if (digest_equal(digest, &node->nothing)) return &nothing;
    return map_get(&node->smalls, digest);
}

bool smalls_is_young(const struct node *node, const struct small *small)
{
    return node->now - small->since < YOUNG;
}

static struct small *small_new(struct node *node, const struct digest *digest, struct slice bytes)
{
    struct small *small = memory_take(&node->memory, sizeof *small + bytes.count);
    if (small == NULL) return NULL;
    small->digest = *digest;
    small->size = bytes.count;
    memcpy(small->bytes, bytes.at, bytes.count);
    if (map_add(&node->smalls, small) != ERROR_NONE) {
        memory_put(&node->memory, small, sizeof *small + bytes.count);
        return NULL;
    }
    node->smalls_size += bytes.count;
    return small;
}

static bool take(struct node *node, const struct id *job, struct slice bytes,
                 const struct msg_stamp *stamp)
{
    struct digest digest;
    if (bytes.count == 0) return true;
    node->crypto->digest(bytes, &digest);
    struct small *small = map_get(&node->smalls, &digest);
    if (small == NULL) small = small_new(node, &digest, bytes);
    if (small == NULL) return false;
    small->stamp = *stamp;
    small->since = node->now;
    return use_add(node, small, job);
}

/* Bounds are for who writes: what is in the log is in memory, here as there. */
void smalls_fold(struct node *node, const struct stamped *entry)
{
    const struct msg_small *small = entry->fields;
    const struct msg_small_block *blocks = small->blocks.at;
    for (uint32_t i = 0; i < small->blocks.count; i++)
        if (!take(node, &small->job, blocks[i].bytes, &entry->stamp))
            node_fail(node, ERROR_MEMORY, "smalls");
    node->sweep_wanted = true;
}

/* ---- writing ---- */

enum error smalls_append(struct node *node, const struct id *job, struct msg_small_block *blocks,
                         size_t count)
{
    enum error error = ERROR_NONE;
    for (size_t from = 0, to; from < count && error == ERROR_NONE; from = to) {
        size_t size = 0;
        for (to = from; to < count && (to == from || size + blocks[to].bytes.count < ENTRY_SIZE);
             to++)
            size += blocks[to].bytes.count + 8;
        struct msg_small small = {.job = *job, .blocks = {blocks + from, (uint32_t)(to - from)}};
        error = node_append(node, &wire_small, &small, NULL);
    }
    return error;
}

/* ---- safety ---- */

bool smalls_is_safe(const struct node *node, const struct digest *digest)
{
    const struct small *small = smalls_find(node, digest);
    if (small == NULL) return false;
    if (small->size == 0) return true;
    bool is_own =
        id_equal(&small->stamp.node, &node->id) && boot_equal(&small->stamp.boot, &node->boot);
    if (is_own) return true;
    size_t living = living_staying(node);
    return heard_disks(node, &small->stamp) >= (living < SAFE_COPIES ? living : SAFE_COPIES);
}

/* ---- forgetting ---- */

static bool is_used(const struct node *node, const struct small *small)
{
    for (const struct small_use *use = small->uses; use != NULL; use = use->next)
        if (!has_ended(node, use)) return true;
    return false;
}

static bool may_forget(struct node *node, const struct small *small)
{
    struct block *block = keeper_find(node, &small->digest);
    if (node->now - small->since < FORGOTTEN_AFTER || is_used(node, small)) return false;
    if (block == NULL || !block->is_marked) return true;
    return block->replicas > 0 && holders_are_complete(node, block);
}

void smalls_sweep(struct node *node)
{
    enum {
        FORGET_MAX = 256
    }; /* a sweep: the table must not change while it is walked */
    struct small *idle[FORGET_MAX];
    size_t count = 0, cursor = 0;
    bool is_less = false;
    for (struct small *small; (small = map_next(&node->smalls, &cursor)) != NULL;) {
        if (uses_trim(node, small)) is_less = true;
        if (count < FORGET_MAX && may_forget(node, small)) idle[count++] = small;
    }
    for (size_t i = 0; i < count; i++) {
        (void)map_remove(&node->smalls, &idle[i]->digest);
        small_free(node, idle[i]);
    }
    if (count == FORGET_MAX) node->sweep_wanted = true;
    if (count > 0 || is_less) node->ends_count++; /* entries may go that had to stay */
}
