/* Jobs: which there are, their specs, and how each ended. See jobs.h for the rules of the fold.
 *
 * The state is a join of the entries: sets that only grow, and maxima or minima over total
 * orders. That is why no entry has to come before another, and why a late one needs no replay
 * of the rest (Shapiro et al. 2011, "Conflict-free replicated data types").
 * The two places where one entry gives meaning to others are solved by keeping: attempts have
 * placeholders (attempt.c), and entries without tasks to land on wait (pending.c).
 *
 * The same job id submitted at several nodes gives several job entries, alike in all but their
 * stamp. The least counts. Should they differ, the least one's spec counts, and the task arrays
 * stay as large as the largest asked for: what is folded into tasks beyond the spec is not
 * counted, and is there if a still lesser entry wants it.
 *
 * An ended job's digest is that of its winning `ended` entry, whatever else is known of it:
 * feeds may have lost the rest to compaction, and a replica that folded it must agree with one
 * that never saw it. */
#include "tasks/jobs.h"

#include "base/hash.h"
#include "tasks/attempt.h"
#include "tasks/changed.h"
#include "tasks/claims.h"
#include "tasks/copy.h"
#include "tasks/counts.h"
#include "tasks/ends.h"
#include "tasks/job_names.h"
#include "tasks/owners.h"
#include "tasks/pending.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void jobs_init(struct jobs *jobs, struct memory *memory)
{
    *jobs = (struct jobs){.memory = memory};
    jobs->all_end = &jobs->all;
    map_init(&jobs->by_id, memory, offsetof(struct job, id), sizeof(struct id));
    job_names_init(jobs);
    map_init(&jobs->owners, memory, offsetof(struct owner_node, id), sizeof(struct id));
    map_init(&jobs->pending, memory, offsetof(struct pending, stamp), sizeof(struct msg_stamp));
}

/* ---- the tasks of a job ---- */

static size_t words_count(uint32_t count) { return (count + 63u) / 64; }

/* One piece for the tasks and, behind them, two bits for each. */
static size_t tasks_bytes(uint32_t count)
{
    return count * sizeof(struct task) + 2 * words_count(count) * sizeof(uint64_t);
}

static enum error tasks_grow(struct jobs *jobs, struct job *job, enum task_kind kind,
                             uint32_t count)
{
    uint32_t size = job->tasks_size[kind];
    if (count <= size) return ERROR_NONE;
    struct task *tasks = memory_take(jobs->memory, tasks_bytes(count));
    if (tasks == NULL) return ERROR_MEMORY;
    uint64_t *bits = (uint64_t *)(void *)(tasks + count);
    memset(bits, 0xff, words_count(count) * sizeof *bits);
    uint64_t *busy = bits + words_count(count);
    for (uint32_t i = 0; i < size; i++) {
        tasks[i] = job->tasks[kind][i];
        uint64_t bit = UINT64_C(1) << (i % 64);
        if ((job->free[kind][i / 64] & bit) == 0) bits[i / 64] &= ~bit;
        busy[i / 64] |= job->busy[kind][i / 64] & bit;
    }
    memory_put(jobs->memory, job->tasks[kind], tasks_bytes(size));
    job->tasks[kind] = tasks;
    job->free[kind] = bits;
    job->busy[kind] = busy;
    job->tasks_size[kind] = count;
    return ERROR_NONE;
}

static void tasks_put(struct jobs *jobs, struct job *job, enum task_kind kind)
{
    for (uint32_t i = 0; i < job->tasks_size[kind]; i++)
        attempt_put_all(jobs->memory, &job->tasks[kind][i]);
    memory_put(jobs->memory, job->tasks[kind], tasks_bytes(job->tasks_size[kind]));
}

uint32_t job_tasks_count(const struct job *job, enum task_kind kind)
{
    if (!job->is_known) return 0;
    return kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
}

/* ---- jobs ---- */

static enum error job_get(struct jobs *jobs, const struct id *id, struct job **job)
{
    *job = map_get(&jobs->by_id, id);
    if (*job != NULL) return ERROR_NONE;
    *job = memory_take(jobs->memory, sizeof **job);
    if (*job == NULL) return ERROR_MEMORY;
    (*job)->id = *id;
    (*job)->outcome = JOB_RUNNING;
    enum error error = job_names_reserve(jobs, jobs->by_id.count + 1);
    if (error == ERROR_NONE) error = map_add(&jobs->by_id, *job);
    if (error != ERROR_NONE) {
        memory_put(jobs->memory, *job, sizeof **job);
        return error;
    }
    *jobs->all_end = *job;
    jobs->all_end = &(*job)->next;
    job_changed(jobs, *job);
    return ERROR_NONE;
}

static void job_put(struct jobs *jobs, struct job *job)
{
    tasks_put(jobs, job, TASK_MAP);
    tasks_put(jobs, job, TASK_REDUCE);
    pending_put_all(jobs, job);
    memory_put(jobs->memory, job->spec_memory, job->spec_memory_size);
    ends_put_all(jobs, job);
    if (job->tally != NULL) memory_put(jobs->memory, job->tally, job->tally_size);
    memory_put(jobs->memory, job, sizeof *job);
}

void jobs_deinit(struct jobs *jobs)
{
    for (struct job *job = jobs->all, *next; job != NULL; job = next) {
        next = job->next;
        job_put(jobs, job);
    }
    owners_deinit(jobs);
    map_deinit(&jobs->pending);
    map_deinit(&jobs->by_id);
    job_names_deinit(jobs);
    jobs->all = jobs->stale = jobs->contested = NULL;
    jobs->all_end = &jobs->all;
}

static enum error job_adopt(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                            const struct msg_job_spec *spec, const struct msg_job_terms *terms)
{
    size_t size;
    struct msg_job_spec *copy = copy_take(jobs->memory, &wire_job_spec, spec, &size);
    if (copy == NULL) return ERROR_MEMORY;
    memory_put(jobs->memory, job->spec_memory, job->spec_memory_size);
    bool is_resized = job_tasks_count(job, TASK_MAP) != spec->maps ||
                      job_tasks_count(job, TASK_REDUCE) != spec->reduces;
    job->is_known = true;
    is_resized = is_resized || job->terms.verify != terms->verify;
    job->stamp = *stamp;
    job->spec = *copy;
    job->terms = *terms;
    job->spec_memory = copy;
    job->spec_memory_size = size;
    if (is_resized && !job->is_trimmed) attempt_recount(job);
    job_names_set(jobs, job);
    job_changed(jobs, job);
    return ERROR_NONE;
}

bool job_has_free(const struct job *job, enum task_kind kind)
{
    uint32_t count = job_tasks_count(job, kind);
    for (uint32_t i = 0; i < (count + 63) / 64 && job->free[kind] != NULL; i++) {
        uint64_t bits = job->free[kind][i];
        if (i == count / 64) bits &= (UINT64_C(1) << (count % 64)) - 1;
        if (bits != 0) return true;
    }
    return false;
}

const struct id *jobs_submitted(const struct stamped *entry)
{
    if (entry->fields == NULL) return NULL;
    if (entry->kind == MSG_job) return &((const struct msg_job *)entry->fields)->job;
    if (entry->kind == MSG_job_with) return &((const struct msg_job_with *)entry->fields)->job;
    return NULL;
}

const struct msg_job_spec *jobs_submitted_spec(const struct stamped *entry)
{
    assert(jobs_submitted(entry) != NULL);
    if (entry->kind == MSG_job) return &((const struct msg_job *)entry->fields)->spec;
    return &((const struct msg_job_with *)entry->fields)->spec;
}

bool job_is_comparable(const struct job *job)
{
    struct slice each = slice_string("@each"), mapper = job->spec.mapper;
    return mapper.count < each.count || !slice_equal(slice_of(mapper.at, each.count), each);
}

uint32_t job_dones_wanted(const struct job *job)
{
    return job->terms.verify > 1 ? job->terms.verify : 1;
}

static enum error apply_job(struct jobs *jobs, const struct stamped *entry)
{
    static const struct msg_job_terms usual;
    const struct msg_stamp *stamp = &entry->stamp;
    const struct msg_job_spec *spec = jobs_submitted_spec(entry);
    const struct msg_job_terms *terms =
        entry->kind == MSG_job ? &usual : &((const struct msg_job_with *)entry->fields)->terms;
    struct job *job;
    if (spec->maps > TASKS_MAX || spec->reduces > TASKS_MAX) return ERROR_NONE;
    enum error error = job_get(jobs, jobs_submitted(entry), &job);
    if (error != ERROR_NONE) return error;
    if (!job->is_trimmed) error = tasks_grow(jobs, job, TASK_MAP, spec->maps);
    if (error == ERROR_NONE && !job->is_trimmed)
        error = tasks_grow(jobs, job, TASK_REDUCE, spec->reduces);
    if (error != ERROR_NONE) return error;
    if (!job->is_known || stamp_compare(stamp, &job->stamp) < 0)
        error = job_adopt(jobs, job, stamp, spec, terms);
    if (error != ERROR_NONE) return error;
    return pending_replay(jobs, job);
}

void jobs_trim(struct jobs *jobs, struct job *job)
{
    assert(job->outcome != JOB_RUNNING);
    for (int kind = 0; kind < 2; kind++) {
        tasks_put(jobs, job, (enum task_kind)kind);
        job->tasks[kind] = NULL;
        job->free[kind] = job->busy[kind] = NULL;
        job->tasks_size[kind] = 0;
    }
    pending_put_all(jobs, job);
    job->logged_size = 0;
    job->is_trimmed = true;
    job_changed(jobs, job);
}

/* ---- how a job ends ---- */

static void tasks_ended(struct jobs *jobs, struct job *job, enum task_kind kind)
{
    for (uint32_t i = 0; i < job->tasks_size[kind]; i++)
        for (struct attempt *attempt = job->tasks[kind][i].attempts; attempt != NULL;
             attempt = attempt->next)
            attempt_job_ended(jobs, attempt);
}

static enum error apply_ended(struct jobs *jobs, const struct msg_stamp *stamp,
                              const struct msg_ended *ended)
{
    struct job *job;
    bool is_first = false;
    if (ended->outcome < JOB_DONE || ended->outcome > JOB_KILLED) return ERROR_NONE;
    enum error error = job_get(jobs, &ended->job, &job);
    if (error == ERROR_NONE) error = ends_apply(jobs, job, stamp, ended, &is_first);
    if (error != ERROR_NONE) return error;
    job_changed(jobs, job);
    if (!is_first) return ERROR_NONE;
    tasks_ended(jobs, job, TASK_MAP);
    tasks_ended(jobs, job, TASK_REDUCE);
    return ERROR_NONE;
}

void jobs_reconsider(struct jobs *jobs)
{
    for (struct job *job = jobs->contested; job != NULL; job = job->contested_next)
        if (ends_reconsider(jobs, job)) job_changed(jobs, job);
}

static enum error apply_tallied(struct jobs *jobs, const struct msg_stamp *stamp,
                                const struct msg_tallied *tallied)
{
    struct job *job;
    enum error error = job_get(jobs, &tallied->job, &job);
    return error == ERROR_NONE ? counts_tally(jobs, job, stamp, tallied) : error;
}

/* ---- entries ---- */

static enum error apply_to_tasks(struct jobs *jobs, const struct stamped *entry)
{
    struct job *job;
    enum error error = job_get(jobs, claims_job(entry), &job);
    if (error != ERROR_NONE || job->is_trimmed) return error;
    if (claims_exceed(job, entry)) error = pending_keep(jobs, job, entry);
    return error == ERROR_NONE ? claims_apply(jobs, job, entry) : error;
}

enum error jobs_apply(struct jobs *jobs, const struct stamped *entry)
{
    if (entry->fields == NULL) return ERROR_NONE;
    switch (entry->kind) {
    case MSG_job:
    case MSG_job_with: return apply_job(jobs, entry);
    case MSG_claim:
    case MSG_done:
    case MSG_failed:
    case MSG_released:
    case MSG_counted:
    case MSG_logged:
    case MSG_lost: return apply_to_tasks(jobs, entry);
    case MSG_tallied: return apply_tallied(jobs, &entry->stamp, entry->fields);
    case MSG_ended: return apply_ended(jobs, &entry->stamp, entry->fields);
    case MSG_opened: return owners_opened(jobs, &entry->stamp);
    case MSG_dead: return owners_dead(jobs, entry->fields);
    case MSG_left: return owners_left(jobs, &entry->stamp);
    }
    return ERROR_NONE; /* joined, named, unnamed, and kinds of newer versions: not of tasks */
}

/* ---- questions ---- */

struct job *jobs_find(const struct jobs *jobs, const struct id *id)
{
    return map_get(&jobs->by_id, id);
}

static uint64_t digest_of(const struct job *job)
{
    uint64_t seed = hash64(&job->id, sizeof job->id, job->outcome);
    if (job->outcome != JOB_RUNNING) {
        uint64_t words[] = {
            stamp_hash(&job->ended),
            hash64(&job->manifest.digest, sizeof job->manifest.digest, job->manifest.size),
        };
        return hash64(words, sizeof words, seed);
    }
    uint64_t words[] = {
        job->is_known,
        job->is_known ? stamp_hash(&job->stamp) : 0,
        job->digest,
    };
    return hash64(words, sizeof words, seed);
}

uint64_t jobs_digest(struct jobs *jobs)
{
    while (jobs->stale != NULL) {
        struct job *job = jobs->stale;
        jobs->stale = job->stale_next;
        job->is_stale = false;
        jobs->digest -= job->digest_counted;
        job->digest_counted = digest_of(job);
        jobs->digest += job->digest_counted;
    }
    return jobs->digest + owners_digest(jobs);
}
