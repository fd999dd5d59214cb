/* Work: what this node runs, gives back and reports; what it claims is in claiming.c. The log
 * decides who owns a task; this file only acts on what the fold says, optimistically: a claim and
 * its start are one step, and whoever learns of an earlier rival stops.
 *
 *   free slot + claimable task  -> claim entry, ACTION_TASK_RUN        STARTING
 *   its program runs            ->                                     STARTED
 *   job ended, rival, leaving   -> ACTION_TASK_KILL                    STOPPING
 *   finished                    -> done | failed | released entry      slot free
 *
 * What anyone might write (dead, lost, ended) is written by the first living node in rendezvous
 * order; the next waits a second. */
#include "node/finish.h"
#include "node/locality.h"
#include "node/logs.h"
#include "node/release.h"
#include "node/prefetch.h"
#include "node/run.h"
#include "node/shared.h"
#include "node/smalls.h"
#include "node/state.h"

#include "tasks/counts.h"
#include "tasks/owners.h"

#include <assert.h>
#include <string.h>

enum {
    HEARTBEAT = 250 * MILLISECOND, /* work with nothing happening: turns, lost outputs, retries */
    STRANGER_WAIT =
        10 * SECOND,         /* an owner that nobody has seen since our start is dead after this */
    OUTPUT_PIN = 5 * SECOND, /* until the done entry references the output */
};

/* ---- running attempts ---- */

static const bool allowed[3][3] = {
    [RUNNING_STARTING] = {[RUNNING_STARTED] = true, [RUNNING_STOPPING] = true},
    [RUNNING_STARTED] = {[RUNNING_STOPPING] = true},
};

static void running_move(struct node *node, struct running *running, enum running_state state,
                         enum cause cause)
{
    assert(allowed[running->state][state]);
    running->state = state;
    if (state == RUNNING_STARTED) running->was_started = true;
    if (state != RUNNING_STOPPING) return;
    running->stop_cause = cause;
    node_count(node, METRIC_attempts_killed);
    actions_push(node->actions, ACTION_TASK_KILL)->task_kill.token = running->token;
}

static struct running *running_find(struct node *node, uint64_t token)
{
    for (size_t i = 0; token != 0 && i < node->running_end; i++)
        if (node->running[i].token == token) return &node->running[i];
    return NULL;
}

struct work *work_of(const struct node *node, const struct id *job)
{
    return map_get(&node->works_by_job, job);
}

struct running *work_slot(struct node *node)
{
    size_t at = 0;
    while (at < node->running_end && node->running[at].token != 0) at++;
    assert(at < node->running_max);
    if (at == node->running_end) node->running_end++;
    return &node->running[at];
}

void work_clear(struct node *node, struct running *running)
{
    memset(running, 0, sizeof *running);
    while (node->running_end > 0 && node->running[node->running_end - 1].token == 0)
        node->running_end--;
}

size_t work_running_count(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->running_end; i++) count += node->running[i].token != 0;
    return count;
}

size_t work_slots_taken(const struct node *node)
{
    size_t taken = 0;
    for (size_t i = 0; i < node->running_end; i++)
        if (node->running[i].token != 0) taken += node->running[i].cpus;
    return taken;
}

static struct task *task_of(const struct job *job, enum task_kind kind, uint32_t index)
{
    uint32_t count = kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
    return job->tasks[kind] != NULL && index < count ? &job->tasks[kind][index] : NULL;
}

/* Why this attempt should stop now; CAUSE_NONE: it should not. */
static enum cause why_stop(struct node *node, const struct running *running)
{
    const struct job *job = jobs_find(&node->jobs, &running->job);
    if (job == NULL || job->outcome != JOB_RUNNING) return CAUSE_JOB_ENDED;
    const struct task *task = task_of(job, running->kind, running->task);
    if (task == NULL) return CAUSE_NONE;
    const struct attempt *committed = task_committed(task);
    bool is_done = committed != NULL && task_dones(task) >= job_dones_wanted(job);
    if (is_done && !stamp_equal(&committed->claim, &running->claim)) return CAUSE_RIVAL;
    const struct attempt *own = task_attempt(task, &running->claim);
    /* Said by another (steer.c): what we say ourselves of it, we say at its end. */
    if (own != NULL && (own->state == ATTEMPT_RELEASED || own->state == ATTEMPT_FAILED))
        return CAUSE_ASKED;
    if (!task_is_rival_lost(task, &running->claim)) return CAUSE_NONE;
    const struct attempt *owner = task_owner(task);
    return owner != NULL && living_has(node, &owner->claim.node) ? CAUSE_RIVAL : CAUSE_NONE;
}

static void stop_losers(struct node *node)
{
    for (size_t i = 0; i < node->running_end; i++) {
        struct running *running = &node->running[i];
        if (running->token == 0 || running->state == RUNNING_STOPPING) continue;
        enum cause cause = why_stop(node, running);
        if (cause != CAUSE_NONE) running_move(node, running, RUNNING_STOPPING, cause);
    }
}

void work_give_back(struct node *node, enum cause cause)
{
    for (size_t i = 0; i < node->running_end; i++)
        if (node->running[i].token != 0 && node->running[i].state != RUNNING_STOPPING)
            running_move(node, &node->running[i], RUNNING_STOPPING, cause);
}

void work_started(struct node *node, const struct event *event)
{
    struct running *running = running_find(node, event->task_started.token);
    if (running == NULL) return;
    running->started = node->now;
    running->input_size = event->task_started.input_size;
    if (running->state == RUNNING_STARTING)
        running_move(node, running, RUNNING_STARTED, CAUSE_NONE);
}

/* ---- what became of an attempt ---- */

static struct slice last_words(struct slice log)
{
    if (log.count <= TELLTALE_MAX) return log;
    return slice_of(log.at + log.count - TELLTALE_MAX, TELLTALE_MAX);
}

/* Part of the job's result: a second node gets it at once, so that neither the job's end waits for
 * copies nor a death undoes what was done. (A map's output for reduces is cheaper made again.) */
static void copy_final(struct node *node, const struct running *running,
                       const struct msg_block_ref *output)
{
    const struct job *job = jobs_find(&node->jobs, &running->job);
    bool is_final = job != NULL && (running->kind == TASK_REDUCE || job->spec.reduces == 0);
    if (is_final) keeper_want(node, output, job->spec.replicas, true, NULL);
}

/* Before the done: who has that has this. */
static void append_counted(struct node *node, const struct running *running,
                           const struct msg_task_result *result)
{
    struct msg_counted counted = {.job = running->job,
                                  .claim = running->claim,
                                  .kind = running->kind,
                                  .task = running->task,
                                  .counters = result->counters};
    struct msg_counter counters[COUNTS_MAX];
    uint32_t room = COUNTS_MAX - (running->is_remote ? 1 : 0);
    if (counted.counters.count > room) counted.counters.count = room;
    if (running->is_remote) {
        if (counted.counters.count > 0)
            memcpy(counters, counted.counters.at, counted.counters.count * sizeof *counters);
        counters[counted.counters.count++] = locality_remote();
        counted.counters.at = counters;
    }
    if (counted.counters.count > 0) (void)!node_append(node, &wire_counted, &counted, NULL);
}

/* An output that came with the event: into the log, before its done. There it is as safe as that.
 */
static void keep_small(struct node *node, const struct running *running, struct slice bytes)
{
    struct msg_small_block block = {bytes};
    if (bytes.count == 0) return;
    if (smalls_fit(node, &running->job, bytes.count)) {
        (void)!smalls_append(node, &running->job, &block, 1);
        return;
    }
    /* Others have filled the job's share meanwhile. */
    uint8_t *copy = arena_take(&node->actions->arena, bytes.count);
    if (copy == NULL) return; /* nobody has it then: `lost`, and the task runs again */
    memcpy(copy, bytes.at, bytes.count);
    struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
    action->block_write.token = node->token_next++;
    action->block_write.bytes = slice_of(copy, bytes.count);
}

static void append_done(struct node *node, const struct running *running, const struct event *event)
{
    const struct msg_task_result *result = event->task_finished.result;
    struct msg_done done = {.job = running->job,
                            .claim = running->claim,
                            .kind = running->kind,
                            .task = running->task,
                            .output = result->output,
                            .records = result->records,
                            .elapsed_ms = result->elapsed_ms,
                            .cause = CAUSE_EXITED,
                            .log = last_words(result->log)};
    node_count(node, METRIC_attempts_done);
    bool is_small = event->task_finished.is_small;
    if (is_small) keep_small(node, running, event->task_finished.bytes);
    else node_fail(node, keeper_stored(node, &result->output, OUTPUT_PIN), "output");
    append_counted(node, running, result);
    logs_keep(node, running, result);
    (void)!node_append(node, &wire_done, &done, NULL);
    if (!is_small) copy_final(node, running, &result->output);
}

void work_released(struct node *node, const struct running *running, enum cause cause)
{
    struct msg_task_range range = {.kind = running->kind, .first = running->task, .count = 1};
    struct msg_released released = {
        .job = running->job, .claim = running->claim, .cause = cause, .ranges = {&range, 1}};
    (void)!node_append(node, &wire_released, &released, NULL);
}

static enum cause failure_cause(unsigned outcome)
{
    switch (outcome) {
    case OUTCOME_EXITED: return CAUSE_EXITED;
    case OUTCOME_SIGNALED: return CAUSE_SIGNALED;
    case OUTCOME_TIMED_OUT: return CAUSE_TIMED_OUT;
    case OUTCOME_OUTPUT_TOO_BIG: return CAUSE_OUTPUT_TOO_BIG;
    case OUTCOME_AGAIN: return CAUSE_AGAIN;
    case OUTCOME_DISK: return CAUSE_DISK;
    case OUTCOME_INPUT_MISSING: return CAUSE_INPUT_MISSING;
    case OUTCOME_UNREADABLE: return CAUSE_UNREADABLE;
    case OUTCOME_NO_MEMORY: return CAUSE_NO_MEMORY;
    default: return CAUSE_NOT_STARTED;
    }
}

/* How it ended, in a line, and then its last words. */
static struct slice failed_words(const struct msg_task_result *result, char text[TELLTALE_MAX])
{
    size_t used = result->text.count < TELLTALE_MAX / 2 ? result->text.count : TELLTALE_MAX / 2;
    if (used > 0) memcpy(text, result->text.at, used);
    if (used > 0 && result->log.count > 0) text[used++] = '\n';
    size_t room = TELLTALE_MAX - used;
    size_t count = result->log.count < room ? result->log.count : room;
    if (count > 0) memcpy(text + used, result->log.at + result->log.count - count, count);
    return slice_of(text, used + count);
}

/* The program's own doing counts; what the machine did to it does not (S9). Memory that runs out
 * counts, whether a command of the task's feels it or the mrtask that sorts and merges for it:
 * whose fault it is nobody knows, and a task that always needs more than there is must end. */
static bool is_charged(unsigned outcome)
{
    return outcome == OUTCOME_EXITED || outcome == OUTCOME_SIGNALED ||
           outcome == OUTCOME_TIMED_OUT || outcome == OUTCOME_OUTPUT_TOO_BIG ||
           outcome == OUTCOME_NO_MEMORY;
}

static void append_failed(struct node *node, const struct running *running,
                          const struct msg_task_result *result)
{
    char telltale[TELLTALE_MAX];
    struct slice words = failed_words(result, telltale);
    struct msg_failed failed = {.job = running->job,
                                .claim = running->claim,
                                .kind = running->kind,
                                .task = running->task,
                                .charged = is_charged(result->outcome),
                                .cause = failure_cause(result->outcome),
                                .status = result->status,
                                .elapsed_ms = result->elapsed_ms,
                                .log = words};
    node_count(node, METRIC_attempts_failed);
    logs_keep(node, running, result);
    (void)!node_append(node, &wire_failed, &failed, NULL);
}

static void append_lost(struct node *node, const struct job *job, uint32_t map,
                        const struct attempt *attempt, enum cause cause)
{
    struct msg_lost lost = {
        .job = job->id, .done = attempt->done, .kind = TASK_MAP, .task = map, .cause = cause};
    (void)!node_append(node, &wire_lost, &lost, NULL);
}

/* Was that ever an output of this map? */
static bool has_made(const struct task *task, const struct digest *output)
{
    const struct attempt *attempt = task->attempts;
    while (attempt != NULL &&
           (stamp_is_none(&attempt->done) || !digest_equal(&attempt->output.digest, output)))
        attempt = attempt->next;
    return attempt != NULL;
}

/* The block that nobody gave was a map's output: then that output is lost, and the reduce did
 * nothing wrong, nor did its node: it is given back, and waits until the map is done again. False:
 * it was something else. */
static bool give_back_waiting(struct node *node, const struct running *running,
                              const struct digest *missing)
{
    const struct job *job = jobs_find(&node->jobs, &running->job);
    bool is_output = false;
    if (job == NULL || running->kind != TASK_REDUCE || job->tasks[TASK_MAP] == NULL) return false;
    for (uint32_t i = 0; i < job->spec.maps; i++) {
        const struct attempt *attempt = task_committed(&job->tasks[TASK_MAP][i]);
        is_output = is_output || has_made(&job->tasks[TASK_MAP][i], missing);
        if (attempt == NULL || !digest_equal(&attempt->output.digest, missing)) continue;
        /* Made again since, with the same bytes: that one nobody has looked for yet. */
        if (attempt->done.time > running->claim.time) continue;
        append_lost(node, job, i, attempt, CAUSE_INPUT_MISSING);
    }
    if (is_output) work_released(node, running, CAUSE_INPUT_MISSING);
    return is_output;
}

void work_finished(struct node *node, const struct event *event)
{
    struct running *running = running_find(node, event->task_finished.token);
    if (running == NULL) return;
    const struct msg_task_result *result = event->task_finished.result;
    const struct job *job = jobs_find(&node->jobs, &running->job);
    bool is_wanted = job != NULL && job->outcome == JOB_RUNNING;
    if (result->outcome == OUTCOME_DONE) {
        if (is_wanted) append_done(node, running, event);
        else if (!event->task_finished.is_small)
            node_fail(node, keeper_stored(node, &result->output, 1), "output");
    } else if (is_wanted && running->state == RUNNING_STOPPING) {
        work_released(node, running, running->stop_cause);
    } else if (is_wanted && result->outcome == OUTCOME_INPUT_MISSING &&
               give_back_waiting(node, running, &event->task_finished.missing)) {
        trace_line(&node->trace, TRACE_INFO, "event=input_lost task=r%u", running->task);
    } else if (is_wanted) {
        append_failed(node, running, result);
        if (result->outcome == OUTCOME_UNREADABLE) shared_unreadable(node, running);
    }
    if (result->outcome == OUTCOME_DONE) progress_done(node, running, result->elapsed_ms);
    claiming_served(node, running);
    work_clear(node, running);
    node->is_work_wanted = true;
    if (is_wanted && result->outcome == OUTCOME_DONE) finish_note(node, job);
}

/* ---- the dead and the lost ---- */

/* Since when this node is not living as we see it; INSTANT_NEVER while it lives. */
static instant dead_since(const struct node *node, const struct id *id)
{
    const struct member *member = members_find(&node->gossip.members, id);
    if (member == NULL) return node->started + STRANGER_WAIT;
    return member_is_living(member) ? INSTANT_NEVER : member->since;
}

static void bury_one(struct node *node, const struct id *id, const struct boot *boot, instant since)
{
    if (jobs_owned_by(&node->jobs, id, boot) == 0) return;
    if (!living_is_turn(node, id, sizeof *id, since)) return;
    const struct member *member = members_find(&node->gossip.members, id);
    struct msg_dead dead = {.node = *id,
                            .boot = *boot,
                            .sequence = log_have(node->log, id, boot),
                            .cause = member != NULL ? member->cause : CAUSE_PROBE_FAILED};
    (void)!node_append(node, &wire_dead, &dead, NULL);
}

/* Few own something at a time: they are looked at, not all feeds. */
static void bury(struct node *node)
{
    size_t cursor = 0;
    for (const struct owner_node *at; (at = map_next(&node->jobs.owners, &cursor)) != NULL;) {
        if (id_equal(&at->id, &node->id)) continue;
        const struct owner *owner = at->owners;
        while (owner != NULL && owner->attempts == NULL) owner = owner->next;
        if (owner == NULL) continue;
        instant since = dead_since(node, &at->id);
        for (; owner != NULL && since <= node->now; owner = owner->next) {
            if (owner->attempts == NULL) continue;
            bury_one(node, &at->id, &owner->boot, since);
        }
    }
}

/* Map outputs live where they were made: those of the dead are gone, and are made again if a reduce
 * still needs them. So are those of a node that lives and has not got them: its machine started
 * anew and they had not been synced, or they rotted. It knows best, and says so of all of them
 * before reduces find one after the other missing. */
static void mourn_outputs(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    uint64_t now = 1 + node->jobs.revision + node->members_revision; /* both only grow */
    if (work->mourned == now) return;
    work->mourned = now; /* unless somebody does not live */
    if (job->spec.reduces == 0 || job->done_count[TASK_REDUCE] == job->spec.reduces) return;
    for (uint32_t i = 0; i < job->spec.maps; i++) {
        const struct attempt *attempt = task_committed(&job->tasks[TASK_MAP][i]);
        if (attempt == NULL) continue;
        bool is_ours = id_equal(&attempt->claim.node, &node->id);
        instant since = is_ours ? node->now : dead_since(node, &attempt->claim.node);
        if (since != INSTANT_NEVER && !is_ours) work->mourned = 0;
        if (since > node->now || keeper_has(node, &attempt->output.digest)) continue;
        if (is_ours) append_lost(node, job, i, attempt, CAUSE_OUTPUT_LOST);
        else if (living_is_turn(node, &attempt->claim.node, sizeof attempt->claim.node, since))
            append_lost(node, job, i, attempt, CAUSE_OWNER_DEAD);
    }
}

void work_lost_block(struct node *node)
{
    for (struct work *work = node->works; work != NULL; work = work->next) work->mourned = 0;
    node->is_work_wanted = true;
}

/* ---- jobs that run ---- */

void work_open(struct node *node)
{
    node->works_end = &node->works;
    map_init_behind(&node->works_by_job, &node->memory, offsetof(struct job, id),
                    sizeof(struct id));
}

void work_entry(struct node *node, const struct stamped *entry)
{
    node->is_work_wanted = true;
    if (entry->kind == MSG_done && entry->fields != NULL)
        keeper_made(node, &((const struct msg_done *)entry->fields)->output.digest);
    const struct id *submitted = jobs_submitted(entry);
    if (submitted == NULL) return;
    struct job *job = jobs_find(&node->jobs, submitted);
    if (job == NULL || !job->is_known || job->outcome != JOB_RUNNING) return;
    if (work_of(node, &job->id) != NULL) return;
    struct work *work = memory_take(&node->memory, sizeof *work);
    if (work != NULL) *work = (struct work){.job = job, .seen = node->now};
    if (work == NULL || map_add(&node->works_by_job, work) != ERROR_NONE) {
        memory_put(&node->memory, work, sizeof *work);
        node_fail(node, ERROR_MEMORY, "work");
        return;
    }
    *node->works_end = work;
    node->works_end = &work->next;
}

static void work_remove(struct node *node, struct work **at)
{
    struct work *work = *at;
    *at = work->next;
    if (*at == NULL) node->works_end = at;
    (void)map_remove(&node->works_by_job, &work->job->id);
    prefetch_over(node, work);
    if (work->is_scheduled) schedule_job_deinit(&work->schedule, work->job, &node->memory);
    memory_put(&node->memory, work->blocks, work->blocks_count * sizeof *work->blocks);
    memory_put(&node->memory, work, sizeof *work);
}

/* A job can be worked on once its list of blocks is here. */
static void prepare(struct node *node, struct work *work)
{
    if (work->is_scheduled) return;
    const struct msg_manifest *manifest = manifests_get(node, &work->job->spec.manifest);
    if (manifest == NULL || manifest->blocks.count != work->job->spec.maps) return;
    work->blocks_count = manifest->blocks.count;
    work->blocks = memory_take(&node->memory, work->blocks_count * sizeof *work->blocks);
    if (work->blocks == NULL ||
        schedule_job_init(&work->schedule, work->job, &node->memory, node->now) != ERROR_NONE) {
        memory_put(&node->memory, work->blocks, work->blocks_count * sizeof *work->blocks);
        work->blocks = NULL;
        return;
    }
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    work->is_brief = run_is_brief(work->job);
    for (uint32_t i = 0; i < manifest->blocks.count; i++) {
        const struct small *small = smalls_find(node, &blocks[i].block.digest);
        work->is_brief = work->is_brief && small != NULL && small->size <= SMALL_OUTPUT_MAX;
        /* What is everywhere is nearest to nobody: the task itself decides. */
        if (small == NULL) work->blocks[i] = blocks[i].block.digest;
    }
    work->schedule.blocks = work->blocks;
    work->schedule.is_brief = work->is_brief;
    work->is_scheduled = true;
}

static void prune(struct node *node)
{
    for (struct work **at = &node->works; *at != NULL;) {
        struct work *work = *at;
        if (work->job->outcome == JOB_RUNNING) {
            at = &work->next;
            continue;
        }
        release_job(node, work->job, work->seen);
        work_remove(node, at);
        node->sweep_wanted = true;
    }
}

void work_tick(struct node *node)
{
    bool is_due = node->is_work_wanted || node->now >= node->work_next;
    if (!is_due) return;
    node->is_work_wanted = false;
    stop_losers(node);
    prune(node);
    node->work_next = node->works != NULL ? node->now + HEARTBEAT : INSTANT_NEVER;
    if (node->works == NULL) return;
    for (struct work *work = node->works; work != NULL; work = work->next) prepare(node, work);
    if (!node->may_author || node_is_leaving(node)) return;
    bury(node);
    node_commit(node); /* what this death proves to be poison is not claimed in this step */
    for (struct work *work = node->works; work != NULL; work = work->next) {
        mourn_outputs(node, work);
        finish_tick(node, work);
        prefetch_tick(node, work);
    }
    claiming_tick(node); /* last: nothing starts of a job that this step ends */
}

void work_close(struct node *node)
{
    while (node->works != NULL) work_remove(node, &node->works);
    map_deinit(&node->works_by_job);
}
