/* Keeping and summing counters (counts.h). */
#include "tasks/counts.h"

#include "base/hash.h"
#include "tasks/changed.h"
#include "tasks/copy.h"

#include <assert.h>

static uint64_t digest_of(const struct count *count)
{
    uint64_t words[] = {count->counted->kind, count->counted->task,
                        stamp_hash(&count->counted->claim), stamp_hash(&count->stamp)};
    return hash64(words, sizeof words, 3);
}

enum error counts_apply(struct jobs *jobs, struct job *job, struct task *task,
                        const struct msg_stamp *stamp, const struct msg_counted *counted)
{
    struct count *count = task->counts;
    while (count != NULL && !stamp_equal(&count->counted->claim, &counted->claim))
        count = count->next;
    if (count != NULL && stamp_compare(&count->stamp, stamp) <= 0) return ERROR_NONE;
    size_t size;
    struct msg_counted *copy = copy_take(jobs->memory, &wire_counted, counted, &size);
    if (copy == NULL) return ERROR_MEMORY;
    if (count == NULL) {
        count = memory_take(jobs->memory, sizeof *count);
        if (count == NULL) {
            memory_put(jobs->memory, copy, size);
            return ERROR_MEMORY;
        }
        count->next = task->counts;
        task->counts = count;
    } else {
        job->digest -= digest_of(count);
        memory_put(jobs->memory, count->counted, count->size);
    }
    count->stamp = *stamp;
    count->counted = copy;
    count->size = size;
    job->digest += digest_of(count);
    job_changed(jobs, job);
    return ERROR_NONE;
}

enum error counts_tally(struct jobs *jobs, struct job *job, const struct msg_stamp *stamp,
                        const struct msg_tallied *tallied)
{
    size_t size;
    if (job->tally != NULL && stamp_compare(&job->tally_stamp, stamp) <= 0) return ERROR_NONE;
    struct msg_tallied *copy = copy_take(jobs->memory, &wire_tallied, tallied, &size);
    if (copy == NULL) return ERROR_MEMORY;
    if (job->tally != NULL) memory_put(jobs->memory, job->tally, job->tally_size);
    job->tally = copy;
    job->tally_size = size;
    job->tally_stamp = *stamp;
    job_changed(jobs, job);
    return ERROR_NONE;
}

void counts_put_all(struct memory *memory, struct task *task)
{
    for (struct count *count = task->counts, *next; count != NULL; count = next) {
        next = count->next;
        memory_put(memory, count->counted, count->size);
        memory_put(memory, count, sizeof *count);
    }
    task->counts = NULL;
}

/* ---- sums ---- */

static int compare_names(const struct msg_counter *a, const struct msg_counter *b)
{
    int order = slice_compare(a->group, b->group);
    return order != 0 ? order : slice_compare(a->name, b->name);
}

/* Adds one where it belongs. */
static void add(struct msg_counter sums[COUNTS_MAX], size_t *count,
                const struct msg_counter *counter)
{
    size_t at = 0;
    while (at < *count && compare_names(&sums[at], counter) < 0) at++;
    if (at < *count && compare_names(&sums[at], counter) == 0) {
        bool fits = counter->value <= UINT64_MAX - sums[at].value;
        sums[at].value = fits ? sums[at].value + counter->value : UINT64_MAX;
        return;
    }
    if (at == COUNTS_MAX) return;
    if (*count == COUNTS_MAX) --*count; /* the last name makes room, in whatever order they came */
    memmove(&sums[at + 1], &sums[at], (*count - at) * sizeof *sums);
    sums[at] = *counter;
    ++*count;
}

static void add_list(struct msg_counter sums[COUNTS_MAX], size_t *count, const struct list *list)
{
    const struct msg_counter *counters = list->at;
    for (uint32_t i = 0; i < list->count; i++) add(sums, count, &counters[i]);
}

size_t counts_sum(const struct job *job, struct msg_counter sums[COUNTS_MAX])
{
    size_t count = 0;
    if (job->tally != NULL) {
        add_list(sums, &count, &job->tally->counters);
        return count;
    }
    for (int kind = 0; kind < 2; kind++) {
        uint32_t tasks = job_tasks_count(job, (enum task_kind)kind);
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < tasks; i++) {
            const struct task *task = &job->tasks[kind][i];
            const struct attempt *committed = task->counts == NULL ? NULL : task_committed(task);
            if (committed == NULL) continue;
            for (const struct count *at = task->counts; at != NULL; at = at->next)
                if (stamp_equal(&at->counted->claim, &committed->claim))
                    add_list(sums, &count, &at->counted->counters);
        }
    }
    return count;
}
