/* Entries that wait for a job entry.
 *
 * The log keeps the order of a feed, not that of the flock: at a start feed after feed is
 * folded, and claims and dones of one node come long before the job entry of another. They are
 * kept as they are and folded when the job's tasks are there. The same holds for an entry that
 * names tasks beyond those there are: should the id have been submitted twice with different
 * sizes, a later job entry may bring them. What is kept is thereby a function of the set of
 * entries, not of their order.
 *
 * A map by stamp keeps duplicates out, because a hundred thousand entries may wait. */
#include "tasks/pending.h"

#include "tasks/changed.h"
#include "tasks/claims.h"
#include "tasks/copy.h"

#include <assert.h>

static void put(struct jobs *jobs, struct pending *pending)
{
    memory_put(jobs->memory, pending->fields, pending->size);
    memory_put(jobs->memory, pending, sizeof *pending);
}

enum error pending_keep(struct jobs *jobs, struct job *job, const struct stamped *entry)
{
    if (map_get(&jobs->pending, &entry->stamp) != NULL) return ERROR_NONE;
    const struct wire_schema *schema = wire_schema(entry->kind);
    struct pending *pending = memory_take(jobs->memory, sizeof *pending);
    if (pending == NULL) return ERROR_MEMORY;
    pending->stamp = entry->stamp;
    pending->kind = entry->kind;
    pending->fields = copy_take(jobs->memory, schema, entry->fields, &pending->size);
    if (pending->fields == NULL || map_add(&jobs->pending, pending) != ERROR_NONE) {
        put(jobs, pending);
        return ERROR_MEMORY;
    }
    pending->next = job->pending;
    job->pending = pending;
    job->digest += stamp_hash(&pending->stamp);
    job_changed(jobs, job);
    return ERROR_NONE;
}

static void forget(struct jobs *jobs, struct job *job, struct pending *pending)
{
    job->digest -= stamp_hash(&pending->stamp);
    job_changed(jobs, job);
    void *removed = map_remove(&jobs->pending, &pending->stamp);
    assert(removed == pending);
    put(jobs, pending);
}

enum error pending_replay(struct jobs *jobs, struct job *job)
{
    for (struct pending **at = &job->pending; *at != NULL;) {
        struct pending *pending = *at;
        struct stamped entry = {pending->stamp, pending->kind, pending->fields};
        enum error error = claims_apply(jobs, job, &entry);
        if (error != ERROR_NONE) return error;
        if (claims_exceed(job, &entry)) {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        forget(jobs, job, pending);
    }
    return ERROR_NONE;
}

void pending_put_all(struct jobs *jobs, struct job *job)
{
    while (job->pending != NULL) {
        struct pending *pending = job->pending;
        job->pending = pending->next;
        forget(jobs, job, pending);
    }
}
