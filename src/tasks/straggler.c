/* Judging running attempts.
 *
 * How long an attempt's siblings took is known everywhere. One that runs half as long again as the
 * median of them, and some more for what is not the program's, is behind, and a copy of it started
 * now would probably end at about the same time or before it: the cost is a slot that has nothing
 * else to do for this job. It may have been given more to do, though: whoever would make the copy
 * may know that, and object (node/progress.c).
 *
 * The judgement must come to the same at all nodes at about the same time, or there would be rival
 * copies: it depends on the fold and on when a claim was heard, which differs by a message's
 * flight. As for first claims, the k-th node in the task's order then waits k steps. The node that
 * runs the attempt is not in that order, nor is any suspect. */
#include "tasks/straggler.h"

#include <assert.h>

enum {
    /* Above what fetching an input and starting a program differ by from one attempt to another. */
    SLACK = 100 * MILLISECOND,
    STEP = 25 * MILLISECOND, /* as schedule.c: a claim is heard of within it */
    RANK_MAX = 8,
    SAMPLE_MAX = 64, /* siblings looked at: a median to within some per cent */
    LOOKED_MAX = 1000,
};

struct judging {
    const struct job *job;
    enum straggler_reason reason;
    const struct straggler_judge *by;
    instant wake;
    enum task_kind kind;
    duration typical;
    struct schedule_pick *picks;
    size_t picks_count, picks_max;
};

/* ---- what is typical ---- */

static void insert(uint64_t *sorted, size_t count, uint64_t value)
{
    size_t at = count;
    for (; at > 0 && sorted[at - 1] > value; at--) sorted[at] = sorted[at - 1];
    sorted[at] = value;
}

duration straggler_typical(const struct job *job, enum task_kind kind)
{
    uint64_t sorted[SAMPLE_MAX];
    size_t sample_count = 0;
    uint32_t count = job_tasks_count(job, kind);
    if (count < 2 || job->done_count[kind] == 0 || 2 * job->done_count[kind] < count) return 0;
    uint32_t stride = (count + SAMPLE_MAX - 1) / SAMPLE_MAX;
    for (uint32_t i = 0; i < count; i += stride) {
        const struct attempt *done = task_committed(&job->tasks[kind][i]);
        if (done == NULL) continue;
        assert(sample_count < SAMPLE_MAX);
        insert(sorted, sample_count++, done->elapsed_ms);
    }
    if (sample_count == 0) return 0;
    uint64_t median = sorted[sample_count / 2];
    uint64_t longest = (uint64_t)(INSTANT_NEVER / 4) / MILLISECOND; /* whatever an entry says */
    return (duration)(median < longest ? median : longest) * MILLISECOND + 1;
}

duration straggler_left(duration elapsed, uint64_t read_size, uint64_t input_size)
{
    if (elapsed <= 0 || read_size == 0 || read_size >= input_size) return 0;
    double left = (double)elapsed * (double)(input_size - read_size) / (double)read_size;
    if (left >= (double)(INSTANT_NEVER / 4)) return INSTANT_NEVER / 4;
    return left < 1 ? 1 : (duration)left;
}

/* ---- one attempt ---- */

static const struct schedule_node *node_of(const struct judging *judging, const struct id *id)
{
    const struct straggler_judge *by = judging->by;
    for (size_t i = 0; i < by->nodes_count; i++)
        if (id_equal(&by->nodes[i].id, id)) return &by->nodes[i];
    return NULL;
}

/* When the attempt deserves its copy; INSTANT_NEVER: it does not. */
static instant due(const struct judging *judging, const struct attempt *attempt)
{
    const struct schedule_node *owner = node_of(judging, &attempt->claim.node);
    if (judging->reason == STRAGGLER_SILENT)
        return owner != NULL && owner->silent_since != 0 ? owner->silent_since : INSTANT_NEVER;
    if (judging->typical == 0) return INSTANT_NEVER;
    return attempt->heard + judging->typical + judging->typical / 2 + SLACK;
}

/* Until when there is none although it is due. */
static instant objected(const struct judging *judging, uint32_t index,
                        const struct attempt *attempt)
{
    const struct straggler_judge *by = judging->by;
    if (judging->reason != STRAGGLER_SLOW || by->objects == NULL) return by->now;
    return by->objects(by->context, judging->job, judging->kind, index, attempt);
}

/* self's place among those who could run the copy. */
static size_t rank_of(const struct judging *judging, uint32_t index, const struct id *owner)
{
    struct {
        struct id job;
        uint32_t kind;
        uint32_t index;
    } key = {judging->job->id, judging->kind, index};
    const struct straggler_judge *by = judging->by;
    size_t rank =
        placement_rank_below(&key, sizeof key, by->nodes, by->nodes_count, by->self, RANK_MAX);
    const struct schedule_node *other = node_of(judging, owner);
    if (rank == 0 || other == NULL || other->is_suspect) return rank;
    /* The owner may stand before us; it will not claim. */
    return rank - placement_precedes(&key, sizeof key, owner, by->self);
}

static void consider(struct judging *judging, uint32_t index)
{
    const struct task *task = &judging->job->tasks[judging->kind][index];
    const struct attempt *attempt = task_single(task);
    if (attempt == NULL || attempt->number == 0 || task_has_copy(task, attempt)) return;
    if (id_equal(&attempt->claim.node, judging->by->self)) return;
    instant at = due(judging, attempt);
    if (at == INSTANT_NEVER) return;
    /* Its turn is later still: another is due before it, whatever its rank. */
    if (at > judging->by->now && at >= judging->wake) return;
    at += (duration)rank_of(judging, index, &attempt->claim.node) * STEP;
    /* Who can make no copy need not know whether there should be one. */
    if (at <= judging->by->now && judging->picks_count == judging->picks_max) return;
    if (at <= judging->by->now) at = objected(judging, index, attempt);
    if (at > judging->by->now) {
        judging->wake = instant_min(judging->wake, at);
        return;
    }
    judging->picks[judging->picks_count++] = (struct schedule_pick){
        .kind = judging->kind,
        .index = index,
        .cause = judging->reason == STRAGGLER_SILENT ? CAUSE_OWNER_SILENT : CAUSE_STRAGGLER,
    };
}

/* ---- all of a kind ---- */

/* How many second copies of this job run anywhere. */
static uint32_t copies_running(const struct job *job, enum task_kind kind)
{
    uint32_t copies = 0, count = job_tasks_count(job, kind);
    for (uint32_t i = 0; i < count; i++) {
        if (job->busy[kind][i / 64] == 0) {
            i |= 63;
            continue;
        }
        for (const struct attempt *at = job->tasks[kind][i].attempts; at != NULL; at = at->next)
            copies += at->state == ATTEMPT_RUNNING && cause_is_copy(at->cause);
    }
    return copies;
}

/* What --speculate N leaves of picks_max. */
static size_t cap(const struct job *job, size_t picks_max)
{
    uint32_t most = job->terms.speculate;
    if (most == 0) return picks_max;
    uint32_t running = copies_running(job, TASK_MAP) + copies_running(job, TASK_REDUCE);
    size_t left = running < most ? most - running : 0;
    return left < picks_max ? left : picks_max;
}

static void consider_kind(struct judging *judging)
{
    const struct job *job = judging->job;
    uint32_t count = job_tasks_count(job, judging->kind);
    /* A reduce whose map is being made anew can't be started. */
    if (count == 0 || (judging->kind == TASK_REDUCE && job->done_count[TASK_MAP] < job->spec.maps))
        return;
    if (judging->reason == STRAGGLER_SLOW) {
        if (job_has_free(job, judging->kind)) return;
        judging->typical = straggler_typical(job, judging->kind);
    }
    size_t looked = 0;
    for (uint32_t i = 0; i < count && looked < LOOKED_MAX; i++) {
        uint64_t word = job->busy[judging->kind][i / 64] >> (i % 64);
        if (word == 0) i |= 63; /* on to the next word */
        else if ((word & 1) != 0) {
            consider(judging, i);
            looked++;
        }
    }
}

size_t straggler_pick(const struct job *job, struct schedule_job *state,
                      enum straggler_reason reason, const struct straggler_judge *judge,
                      struct schedule_pick *picks, size_t picks_max, instant *wake)
{
    *wake = INSTANT_NEVER;
    if (!job->is_known || job->outcome != JOB_RUNNING || state->blocks == NULL) return 0;
    if (job->running_count == 0 || job->terms.speculate == SPECULATE_OFF) return 0;
    struct judging judging = {
        .job = job,
        .reason = reason,
        .by = judge,
        .wake = INSTANT_NEVER,
        .picks = picks,
        .picks_max = cap(job, picks_max),
    };
    for (int kind = TASK_MAP; kind <= TASK_REDUCE; kind++) {
        judging.kind = (enum task_kind)kind;
        consider_kind(&judging);
    }
    *wake = judging.wake;
    return judging.picks_count;
}
