/* Which block has an attempt's whole log (logged.h). */
#include "tasks/logged.h"

#include "base/hash.h"
#include "tasks/changed.h"

enum {
    /* Of one job, on the two nodes that hold each log: a thousand full ones, or what one task of a
     * few gigabytes costs without anybody minding. */
    LOGGED_SIZE_MAX = 64 << 20,
};

static uint64_t digest_of(const struct msg_logged *entry, const struct msg_stamp *stamp)
{
    uint64_t words[] = {entry->kind, entry->task, stamp_hash(&entry->claim), stamp_hash(stamp)};
    return hash64(words, sizeof words, 4);
}

enum error logged_apply(struct jobs *jobs, struct job *job, struct task *task,
                        const struct msg_stamp *stamp, const struct msg_logged *entry)
{
    struct logged *logged = task->logged;
    while (logged != NULL && !stamp_equal(&logged->claim, &entry->claim)) logged = logged->next;
    if (logged != NULL && stamp_compare(&logged->stamp, stamp) <= 0) return ERROR_NONE;
    if (logged == NULL) {
        logged = memory_take(jobs->memory, sizeof *logged);
        if (logged == NULL) return ERROR_MEMORY;
        logged->claim = entry->claim;
        logged->next = task->logged;
        task->logged = logged;
    } else {
        job->digest -= digest_of(entry, &logged->stamp);
        job->logged_size -= logged->log.size;
    }
    logged->stamp = *stamp;
    logged->log = entry->log;
    job->digest += digest_of(entry, stamp);
    job->logged_size += logged->log.size;
    job_changed(jobs, job);
    return ERROR_NONE;
}

void logged_put_all(struct memory *memory, struct task *task)
{
    for (struct logged *logged = task->logged, *next; logged != NULL; logged = next) {
        next = logged->next;
        memory_put(memory, logged, sizeof *logged);
    }
    task->logged = NULL;
}

const struct msg_block_ref *logged_of(const struct task *task, const struct msg_stamp *claim)
{
    for (const struct logged *logged = task->logged; logged != NULL; logged = logged->next)
        if (stamp_equal(&logged->claim, claim)) return &logged->log;
    return NULL;
}

bool logged_has_room(const struct job *job, uint64_t size, bool has_failed)
{
    uint64_t max = has_failed ? LOGGED_SIZE_MAX : LOGGED_SIZE_MAX / 2;
    return job->logged_size <= max && size <= max - job->logged_size;
}
