/* Picking tasks to claim.
 *
 * Claims are optimistic, so two nodes that want the same task at the same time both start it,
 * and one has worked in vain. The rule that makes this rare, without asking anyone: for each
 * task the living have an order (placement.h), and the k-th takes it k steps after it became
 * free. A step is longer than a claim takes to be heard of, so when the first is busy the
 * second hears nothing and takes it; when it is not, the second hears its claim. (Like Chubby's
 * and Raft's randomised timeouts, but with an order instead of chance; delay scheduling,
 * Zaharia et al. 2010, waits for locality likewise.)
 *
 * In a flock that is busy all delays are long over, and what keeps nodes apart is that each
 * takes the tasks where its own rank is lowest.
 *
 * The state per task is small and filled lazily: a task that was never claimed is free since
 * its kind became claimable; one that became free again (task.frees moved) is free since we saw
 * it. The fold keeps a bit for each free task, so a call costs what is free (up to
 * CANDIDATES_MAX), not what the job holds. */
#include "tasks/schedule.h"

#include "base/hash.h"

#include <assert.h>

enum {
    /* Above the time in which a claim is heard of in one hop on a local network, with room for
     * a busy loop. */
    RANK_STEP = 25 * MILLISECOND,
    /* Places that count: the last ones then wait 0.2 s, which nobody notices in a task worth
     * distributing. */
    RANK_MAX = 8,
    /* Where the task failed before: four steps are as good as "somebody else, if there is
     * anybody". */
    RANK_FAILED = 4,
    RANK_UNKNOWN = UINT8_MAX,

    /* 0.2 + 0.4 + 0.8 s before the second to fourth attempt: --retries 4 end well within 5 s. */
    FAILED_BACKOFF = 100 * MILLISECOND,
    FAILED_BACKOFF_MAX = 800 * MILLISECOND,
    /* Ours or the machine's fault: such things last (a full disk, a missing block), and the
     * attempts are not limited. */
    HINDERED_BACKOFF = 500 * MILLISECOND,
    HINDERED_BACKOFF_MAX = 8 * SECOND,

    /* Enough for one of them to be preferred here, even in a flock of a thousand; few enough
     * for each event. */
    CANDIDATES_MAX = 1000,
};

/* ---- state ---- */

static enum error kind_init(struct schedule_job *state, enum task_kind kind, uint32_t count,
                            struct memory *memory)
{
    state->tasks_count[kind] = count;
    if (count == 0) return ERROR_NONE;
    state->free_since[kind] = memory_take(memory, count * sizeof(instant));
    state->frees[kind] = memory_take(memory, count * sizeof(uint32_t));
    state->ranks[kind] = memory_take(memory, count);
    bool is_whole =
        state->free_since[kind] != NULL && state->frees[kind] != NULL && state->ranks[kind] != NULL;
    return is_whole ? ERROR_NONE : ERROR_MEMORY;
}

enum error schedule_job_init(struct schedule_job *state, const struct job *job,
                             struct memory *memory, instant now)
{
    assert(job->is_known);
    *state = (struct schedule_job){.seen = now};
    enum error error = kind_init(state, TASK_MAP, job->spec.maps, memory);
    if (error == ERROR_NONE) error = kind_init(state, TASK_REDUCE, job->spec.reduces, memory);
    if (error != ERROR_NONE) schedule_job_deinit(state, job, memory);
    return error;
}

static void kind_deinit(struct schedule_job *state, enum task_kind kind, struct memory *memory)
{
    size_t count = state->tasks_count[kind];
    memory_put(memory, state->free_since[kind], count * sizeof(instant));
    memory_put(memory, state->frees[kind], count * sizeof(uint32_t));
    memory_put(memory, state->ranks[kind], count);
}

void schedule_job_deinit(struct schedule_job *state, const struct job *job, struct memory *memory)
{
    (void)job;
    kind_deinit(state, TASK_MAP, memory);
    kind_deinit(state, TASK_REDUCE, memory);
    *state = (struct schedule_job){.seen = state->seen};
}

/* ---- one task ---- */

/* What a pick needs, together. */
struct picking {
    const struct job *job;
    struct schedule_job *state;
    const struct id *self;
    const struct schedule_node *nodes;
    size_t nodes_count;
    instant now;
    enum task_kind kind;
    struct schedule_pick *picks; /* lowest ranks first; of equal ranks, lowest index first */
    size_t picks_count;
    size_t picks_max;
    instant wake;
};

static bool is_author(const struct picking *picking)
{
    return id_equal(picking->self, &picking->job->stamp.node);
}

/* A job of one task begins where it was submitted, if that lives: there it is known first. */
static bool prefers_author(const struct picking *picking)
{
    if (picking->kind != TASK_MAP || picking->job->spec.maps != 1) return false;
    for (size_t i = 0; i < picking->nodes_count; i++)
        if (id_equal(&picking->nodes[i].id, &picking->job->stamp.node))
            return !picking->nodes[i].is_suspect;
    return false;
}

/* This node's place for the task, at most RANK_MAX. */
static uint8_t rank_of(const struct picking *picking, uint32_t index)
{
    uint8_t *rank = &picking->state->ranks[picking->kind][index];
    if (*rank != RANK_UNKNOWN) return *rank;
    struct {
        struct id job;
        uint32_t kind;
        uint32_t index;
    } task = {picking->job->id, picking->kind, index};
    const void *key = &task;
    size_t key_size = sizeof task;
    if (picking->kind == TASK_MAP && !digest_is_zero(&picking->state->blocks[index])) {
        key = &picking->state->blocks[index];
        key_size = sizeof *picking->state->blocks;
    }
    unsigned place = (unsigned)placement_rank_below(key, key_size, picking->nodes,
                                                    picking->nodes_count, picking->self, RANK_MAX);
    if (prefers_author(picking)) place = is_author(picking) ? 0 : place + 1;
    *rank = (uint8_t)(place < RANK_MAX ? place : RANK_MAX);
    return *rank;
}

/* It ended without the task's fault, but for a reason that may last. */
static bool is_hindered(const struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_FAILED) return !attempt->charged;
    if (attempt->state != ATTEMPT_RELEASED) return false;
    enum cause cause = attempt->end_cause;
    return cause == CAUSE_NOT_STARTED || cause == CAUSE_INPUT_MISSING || cause == CAUSE_DISK ||
           cause == CAUSE_AGAIN;
}

/* Or is it done there, and another should verify it? */
static bool has_failed_at(const struct task *task, const struct id *node)
{
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        bool is_failed = attempt->state == ATTEMPT_FAILED || is_hindered(attempt);
        is_failed = is_failed || (task->is_done && attempt->state == ATTEMPT_DONE);
        if (is_failed && id_equal(&attempt->claim.node, node)) return true;
    }
    return false;
}

/* Should somebody else try, because it failed here and there is one where it has not? */
static bool should_yield(const struct picking *picking, const struct task *task)
{
    if (!has_failed_at(task, picking->self)) return false;
    for (size_t i = 0; i < picking->nodes_count; i++) {
        const struct schedule_node *node = &picking->nodes[i];
        if (!node->is_suspect && !has_failed_at(task, &node->id)) return true;
    }
    return false;
}

static duration doubled(duration first, unsigned times, duration max)
{
    while (times-- > 0 && first < max) first *= 2;
    return first < max ? first : max;
}

static duration backoff(const struct task *task)
{
    const struct attempt *latest = task_latest(task);
    if (latest == NULL) return 0;
    if (latest->state == ATTEMPT_FAILED && latest->charged)
        return doubled(FAILED_BACKOFF, task->failures, FAILED_BACKOFF_MAX);
    if (!is_hindered(latest)) return 0;
    unsigned hindered_count = 0;
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next)
        if (is_hindered(attempt)) hindered_count++;
    return doubled(HINDERED_BACKOFF, hindered_count - 1, HINDERED_BACKOFF_MAX);
}

static instant free_since(const struct picking *picking, uint32_t index)
{
    struct schedule_job *state = picking->state;
    const struct task *task = &picking->job->tasks[picking->kind][index];
    if (task->frees == 0) return state->ready[picking->kind];
    if (state->frees[picking->kind][index] != task->frees) {
        state->frees[picking->kind][index] = task->frees;
        state->free_since[picking->kind][index] = picking->now;
    }
    return state->free_since[picking->kind][index];
}

/* Puts the task where it belongs in picks, if it does. */
static void keep(struct picking *picking, uint32_t index, uint8_t rank)
{
    size_t at = picking->picks_count;
    /* Of what another is first in line for, the far end: that one begins at the near one. */
    bool is_far = picking->state->is_brief && rank > 0;
    while (at > 0 && picking->picks[at - 1].rank + is_far > rank) at--;
    if (at == picking->picks_max) return;
    if (picking->picks_count < picking->picks_max) picking->picks_count++;
    memmove(&picking->picks[at + 1], &picking->picks[at],
            (picking->picks_count - 1 - at) * sizeof *picking->picks);
    picking->picks[at] = (struct schedule_pick){
        .kind = picking->kind,
        .index = index,
        .cause = task_next_cause(&picking->job->tasks[picking->kind][index]),
        .rank = rank,
    };
}

static void consider(struct picking *picking, uint32_t index)
{
    const struct task *task = &picking->job->tasks[picking->kind][index];
    uint8_t rank = rank_of(picking, index);
    instant at = free_since(picking, index);
    if (task->attempts != NULL) {
        if (should_yield(picking, task)) rank += RANK_FAILED;
        at += backoff(task);
    }
    at += rank * (duration)RANK_STEP;
    if (at > picking->now) picking->wake = instant_min(picking->wake, at);
    else keep(picking, index, rank);
}

/* ---- all ---- */

/* The first free task from index on; count when there is none. */
static uint32_t next_free(const uint64_t *bits, uint32_t index, uint32_t count)
{
    while (index < count) {
        uint64_t word = bits[index / 64] >> (index % 64);
        if (word == 0) {
            index = (index / 64 + 1) * 64;
            continue;
        }
        while ((word & 1) == 0) {
            word >>= 1;
            index++;
        }
        break;
    }
    return index < count ? index : count;
}

/* Forgets the ranks when other nodes live than those for whom they were computed. */
static void check_living(struct picking *picking)
{
    struct schedule_job *state = picking->state;
    uint64_t living = 1; /* 0: no ranks yet */
    for (size_t i = 0; i < picking->nodes_count; i++) {
        const struct id *id = &picking->nodes[i].id;
        if (!picking->nodes[i].is_suspect) living += hash64_id(id->bytes);
    }
    if (living == state->living) return;
    state->living = living;
    for (unsigned kind = TASK_MAP; kind <= TASK_REDUCE; kind++)
        if (state->tasks_count[kind] > 0)
            memset(state->ranks[kind], RANK_UNKNOWN, state->tasks_count[kind]);
}

/* Maps while one is not verified; reduces once all maps are done. */
static bool is_claimable(const struct job *job, const struct schedule_job *state,
                         enum task_kind kind)
{
    if (!job->is_known || job->outcome != JOB_RUNNING) return false;
    if (kind == TASK_REDUCE) return job->done_count[TASK_MAP] == job->spec.maps;
    return job->verified_count[TASK_MAP] < job->spec.maps && state->blocks != NULL;
}

/* Its input could not be read here a moment ago, and there is somebody who may. */
static bool is_blind(struct picking *picking)
{
    if (picking->state->blind_until <= picking->now) return false;
    for (size_t i = 0; i < picking->nodes_count; i++) {
        const struct schedule_node *node = &picking->nodes[i];
        if (node->is_suspect || id_equal(&node->id, picking->self)) continue;
        picking->wake = instant_min(picking->wake, picking->state->blind_until);
        return true;
    }
    return false;
}

static void consider_kind(struct picking *picking, enum task_kind kind)
{
    const struct job *job = picking->job;
    struct schedule_job *state = picking->state;
    picking->kind = kind;
    if (state->ready[kind] == 0) state->ready[kind] = picking->now == 0 ? 1 : picking->now;
    uint32_t count = job_tasks_count(job, kind);
    if (count > state->tasks_count[kind]) count = state->tasks_count[kind];
    uint32_t index = next_free(job->free[kind], 0, count);
    for (size_t looked = 0; index < count && looked < CANDIDATES_MAX; looked++) {
        consider(picking, index);
        bool is_full = picking->picks_max > 0 && picking->picks_count == picking->picks_max;
        /* none can be better */
        if (is_full && picking->picks[picking->picks_max - 1].rank == 0) break;
        index = next_free(job->free[kind], index + 1, count);
    }
}

size_t schedule_pick(const struct job *job, struct schedule_job *state, const struct id *self,
                     const struct schedule_node *nodes, size_t nodes_count, instant now,
                     struct schedule_pick *picks, size_t picks_max, instant *wake)
{
    struct picking picking = {
        .job = job,
        .state = state,
        .self = self,
        .nodes = nodes,
        .nodes_count = nodes_count,
        .now = now,
        .picks = picks,
        .picks_max = picks_max,
        .wake = INSTANT_NEVER,
    };
    *wake = INSTANT_NEVER;
    if (!job->is_known || job->outcome != JOB_RUNNING) return 0;
    check_living(&picking);
    if (is_claimable(job, state, TASK_MAP) && !is_blind(&picking))
        consider_kind(&picking, TASK_MAP);
    if (is_claimable(job, state, TASK_REDUCE)) consider_kind(&picking, TASK_REDUCE);
    *wake = picking.wake;
    return picking.picks_count;
}

size_t schedule_prefers(const struct job *job, struct schedule_job *state, const struct id *self,
                        const struct schedule_node *nodes, size_t nodes_count, uint32_t *reduces,
                        size_t max)
{
    struct picking picking = {.job = job,
                              .state = state,
                              .self = self,
                              .nodes = nodes,
                              .nodes_count = nodes_count,
                              .kind = TASK_REDUCE};
    size_t count = 0;
    check_living(&picking);
    for (uint32_t i = 0; i < state->tasks_count[TASK_REDUCE] && count < max; i++)
        if (rank_of(&picking, i) == 0) reduces[count++] = i;
    return count;
}
