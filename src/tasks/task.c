/* Questions about one task: who owns it, what is committed, why it would be run again, what it
 * is called.
 *
 * All derived from the set of its attempts, never stored as truth: a task has one to a handful
 * of attempts, and a stored answer could disagree with them. */
#include "tasks/jobs.h"

#include <assert.h>
#include <stdio.h>

const struct attempt *task_owner(const struct task *task)
{
    const struct attempt *owner = NULL;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (attempt->state != ATTEMPT_RUNNING) continue;
        /* The list has the least claims first. */
        if (owner == NULL || attempt->number > owner->number) owner = attempt;
    }
    return owner;
}

const struct attempt *task_committed(const struct task *task)
{
    const struct attempt *committed = NULL;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (attempt->state != ATTEMPT_DONE) continue;
        if (committed == NULL || stamp_compare(&attempt->done, &committed->done) < 0)
            committed = attempt;
    }
    return committed;
}

uint32_t task_dones(const struct task *task)
{
    uint32_t count = 0;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next)
        count += attempt->state == ATTEMPT_DONE;
    return count;
}

static bool was_done(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_DONE || attempt->state == ATTEMPT_LOST;
}

const struct attempt *task_different(const struct task *task)
{
    const struct attempt *first = task_committed(task);
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (!was_done(attempt)) continue;
        if (first == NULL) first = attempt;
        if (!digest_equal(&attempt->output.digest, &first->output.digest)) return attempt;
    }
    return NULL;
}

const struct attempt *task_attempt(const struct task *task, const struct msg_stamp *claim)
{
    const struct attempt *attempt = task->attempts;
    while (attempt != NULL && !stamp_equal(&attempt->claim, claim)) attempt = attempt->next;
    return attempt;
}

static enum cause cause_after(const struct attempt *attempt)
{
    switch (attempt->state) {
    case ATTEMPT_RUNNING: return CAUSE_STRAGGLER;
    case ATTEMPT_DONE: return CAUSE_VERIFY;
    case ATTEMPT_FAILED: return CAUSE_ATTEMPT_FAILED;
    case ATTEMPT_RELEASED: return CAUSE_RELEASED;
    case ATTEMPT_DEAD: return attempt->end_cause;
    case ATTEMPT_LOST: return CAUSE_OUTPUT_LOST;
    }
    assert(false);
    return CAUSE_NONE;
}

/* A copy that yielded to its rival says nothing of why the task is free now. */
static bool has_yielded(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_RELEASED && attempt->end_cause == CAUSE_RIVAL;
}

const struct attempt *task_latest(const struct task *task)
{
    const struct attempt *latest = NULL;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (has_yielded(attempt)) continue;
        /* The list has the greatest claims last. */
        if (latest == NULL || attempt->number >= latest->number) latest = attempt;
    }
    return latest;
}

enum cause task_next_cause(const struct task *task)
{
    const struct attempt *latest = task_latest(task);
    if (task->is_done) return CAUSE_VERIFY; /* whatever became of the last copy */
    if (latest != NULL) return cause_after(latest);
    return task->attempts == NULL ? CAUSE_FIRST : CAUSE_RELEASED;
}

bool task_is_rival_lost(const struct task *task, const struct msg_stamp *claim)
{
    const struct attempt *own = task_attempt(task, claim);
    if (own == NULL || own->state != ATTEMPT_RUNNING) return false;
    for (const struct attempt *attempt = task->attempts; attempt != own; attempt = attempt->next)
        if (attempt->state == ATTEMPT_RUNNING && attempt->number == own->number) return true;
    return false;
}

const struct attempt *task_single(const struct task *task)
{
    const struct attempt *single = NULL;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (attempt->state != ATTEMPT_RUNNING) continue;
        if (single != NULL) return NULL;
        single = attempt;
    }
    return single;
}

/* A copy whose node went, or that yielded to another, was none. One that could not be started was:
 * else the node would try again and again. */
static bool is_void(const struct attempt *copy)
{
    if (copy->state == ATTEMPT_DEAD) return true;
    return copy->state == ATTEMPT_RELEASED &&
           (copy->end_cause == CAUSE_RIVAL || copy->end_cause == CAUSE_LEAVING);
}

bool task_has_copy(const struct task *task, const struct attempt *of)
{
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        bool is_copy = cause_is_copy(attempt->cause) && attempt->number > of->number;
        if (is_copy && !is_void(attempt)) return true;
    }
    return false;
}

/* Takes a decimal number of 32 bits from the front. */
static bool take_number(struct slice *text, uint32_t *number)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < text->count && text->at[digits] >= '0' && text->at[digits] <= '9'; digits++) {
        value = 10 * value + (uint64_t)(text->at[digits] - '0');
        if (value > UINT32_MAX) return false;
    }
    *number = (uint32_t)value;
    *text = slice_of(text->at + digits, text->count - digits);
    return digits > 0;
}

bool task_parse(struct slice text, struct slice *job, enum task_kind *kind, uint32_t *index,
                uint32_t *attempt)
{
    size_t slash = text.count;
    while (slash > 0 && text.at[slash - 1] != '/') slash--;
    if (slash < 2 || slash == text.count) return false;
    uint8_t letter = text.at[slash];
    if (letter != 'm' && letter != 'r') return false;
    struct slice rest = slice_of(text.at + slash + 1, text.count - slash - 1);
    *job = slice_of(text.at, slash - 1);
    *kind = letter == 'm' ? TASK_MAP : TASK_REDUCE;
    *attempt = 0;
    if (!take_number(&rest, index)) return false;
    if (rest.count == 0) return true;
    if (rest.at[0] != '.') return false;
    rest = slice_of(rest.at + 1, rest.count - 1);
    return take_number(&rest, attempt) && rest.count == 0 && *attempt > 0;
}

char *task_name(const struct job *job, enum task_kind kind, uint32_t index, uint32_t attempt,
                char *text)
{
    /* 64 of the job's name, 2, twice 10 digits, a dot and a NUL, rounded up. */
    enum {
        TEXT_SIZE = 96
    };
    char letter = kind == TASK_MAP ? 'm' : 'r';
    int count = snprintf(text, TEXT_SIZE, "%s/%c%u", job->name, letter, (unsigned)index);
    assert(count > 0 && count < TEXT_SIZE);
    if (attempt > 0)
        (void)snprintf(text + count, TEXT_SIZE - (size_t)count, ".%u", (unsigned)attempt);
    return text;
}
