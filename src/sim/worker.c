/* What a driver and mrtask do with an attempt, in virtual time:
 *
 *   TASK_RUN -> look for the inputs, twice -> TASK_STARTED -> run -> TASK_FINISHED, a real result
 *                        `-> INPUT_MISSING                      `-> TASK_KILL -> in 2 s -> KILLED
 */
#include "sim/worker.h"

#include "sim/blocks.h"
#include "sim/client.h"
#include "sim/model.h"
#include "sim/world.h"
#include "tasks/jobs.h"
#include "tasks/poison.h"
#include "wire/kinds.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ROUNDS_MAX = 2,
    ROUND_DELAY = SECOND, /* between two rounds of looking for an input */
    FETCH_DELAY = 10 * MILLISECOND,
    RUN_MIN = 50 * MILLISECOND,
    RUN_SPREAD = 750 * MILLISECOND,
    SLOW_MIN = 4 * SECOND,
    SLOW_SPREAD = 8 * SECOND,
    RUN_MAX = 30 * SECOND, /* on the slowest node: L1's bound knows of it */
    KILL_MAX = 2 * SECOND, /* TERM, then KILL */
    TAIL_DELAY = 2 * MILLISECOND,
    WRONG_BYTES_CHANCE = 100000, /* per million: the canary's */
};

void worker_init(struct world *world, uint64_t seed)
{
    world->worker = (struct worker){0};
    prng_init(&world->worker.prng, seed);
    map_init(&world->worker.by_number, &world->memory, offsetof(struct run, number),
             sizeof(uint64_t));
}

static void run_free(struct worker *worker, struct run *run)
{
    (void)map_remove(&worker->by_number, &run->number);
    if (run->next != NULL) run->next->previous = run->previous;
    if (run->previous != NULL) run->previous->next = run->next;
    else worker->all = run->next;
    for (size_t i = 0; i < run->inputs_count; i++) free(run->inputs[i].holders);
    free(run->inputs);
    free((void *)(uintptr_t)run->command.at);
    free(run);
}

void worker_deinit(struct world *world)
{
    while (world->worker.all != NULL) run_free(&world->worker, world->worker.all);
    map_deinit(&world->worker.by_number);
}

void worker_crash(struct world *world, struct host *host)
{
    for (struct run *run = world->worker.all, *next; run != NULL; run = next) {
        next = run->next;
        if (run->host == host->index) run_free(&world->worker, run);
    }
}

size_t worker_count(const struct world *world, uint32_t host, const struct sim_job *job)
{
    size_t count = 0;
    for (const struct run *run = world->worker.all; run != NULL; run = run->next)
        if (run->host == host && (job == NULL || run->job == job)) count++;
    return count;
}

static void later(struct world *world, const struct run *run, enum happening_kind kind,
                  duration delay)
{
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = kind,
                                                 .host = run->host,
                                                 .life = world->hosts[run->host].life,
                                                 .number = run->number});
}

/* ---- actions ---- */

static void copy_inputs(struct run *run, const struct action *action)
{
    run->inputs_count = action->task_run.inputs_count;
    run->inputs = calloc(run->inputs_count + 1, sizeof *run->inputs);
    assert(run->inputs != NULL);
    for (size_t i = 0; i < run->inputs_count; i++) {
        const struct action_input *input = &action->task_run.inputs[i];
        struct run_input *copy = &run->inputs[i];
        *copy = (struct run_input){.block = input->block,
                                   .part = input->part,
                                   .is_small = input->is_small,
                                   .holders_count = input->holders_count};
        copy->holders = calloc(input->holders_count + 1, sizeof *copy->holders);
        assert(copy->holders != NULL);
        if (input->holders_count > 0)
            memcpy(copy->holders, input->holders, input->holders_count * sizeof *copy->holders);
    }
}

/* By what its environment says of the claim's cause. */
static bool is_copy(const struct msg_task_spec *spec)
{
    const struct msg_text *items = spec->environment.at;
    static const char name[] = "MR_CAUSE=";
    for (uint32_t i = 0; i < spec->environment.count; i++) {
        struct slice text = items[i].text;
        size_t size = sizeof name - 1;
        if (text.count < size || memcmp(text.at, name, size) != 0) continue;
        struct slice cause = slice_of(text.at + size, text.count - size);
        return slice_equal(cause, slice_string(cause_text(CAUSE_STRAGGLER))) ||
               slice_equal(cause, slice_string(cause_text(CAUSE_OWNER_SILENT)));
    }
    return false;
}

/* By what the node itself knows. One that came to its end somewhere is no poison. */
static bool kills(const struct jobs *jobs, const struct task *task)
{
    struct id victims[POISON_DEATHS];
    return !task->is_done && poison_victims(jobs, task, victims, POISON_DEATHS) == POISON_DEATHS;
}

/* Which job of ours the label names, by the node's own fold. */
static void identify(struct world *world, struct host *host, struct run *run, const char *label)
{
    struct slice name;
    enum task_kind kind;
    size_t matches;
    if (!task_parse(slice_string(label), &name, &kind, &run->task, &run->attempt)) {
        world_violated(world, host->index, "contract", "the label '%s' names no task", label);
        return;
    }
    const struct job *job = jobs_find_name(node_jobs(host->node), name, &matches);
    if (job != NULL) run->job = client_job(world, &job->id);
    if (job == NULL && matches > 1) return; /* two jobs of one name: which is not told */
    if (job == NULL || run->job == NULL)
        world_violated(world, host->index, "S7", "'%s' is a task of no job", label);
    else if (job->outcome != JOB_RUNNING)
        world_violated(world, host->index, "S6", "%s starts, and its job has ended", label);
    else if (kills(node_jobs(host->node), &job->tasks[kind][run->task]))
        world_violated(world, host->index, "S9", "%s starts, and is known to be poison", label);
}

void worker_run(struct world *world, struct host *host, const struct action *action)
{
    struct worker *worker = &world->worker;
    struct run *run = calloc(1, sizeof *run);
    assert(run != NULL);
    run->number = ++worker->number_last;
    run->host = host->index;
    run->token = action->task_run.token;
    run->since = world->now;
    run->kind = action->task_run.spec.kind;
    run->partitions = action->task_run.spec.partitions;
    run->is_durable = action->task_run.is_durable;
    run->small_max = action->task_run.small_max;
    run->is_copy = is_copy(&action->task_run.spec);
    struct slice command = action->task_run.spec.command;
    uint8_t *copy = malloc(command.count + 1);
    assert(copy != NULL);
    if (command.count > 0) memcpy(copy, command.at, command.count);
    run->command = slice_of(copy, command.count);
    copy_inputs(run, action);
    identify(world, host, run, action->task_run.label);
    run->next = worker->all;
    if (worker->all != NULL) worker->all->previous = run;
    worker->all = run;
    enum error error = map_add(&worker->by_number, run);
    assert(error == ERROR_NONE);
    (void)error;
    later(world, run, HAPPEN_INPUTS, FETCH_DELAY);
}

static struct run *find_token(const struct world *world, uint32_t host, uint64_t token)
{
    for (struct run *run = world->worker.all; run != NULL; run = run->next)
        if (run->host == host && run->token == token) return run;
    return NULL;
}

void worker_kill(struct world *world, struct host *host, uint64_t token)
{
    struct run *run = find_token(world, host->index, token);
    if (run == NULL || run->state == RUN_KILLED) return;
    if (world->plan.canary == CANARY_IGNORE_KILL) return;
    run->state = RUN_KILLED;
    later(world, run, HAPPEN_FINISH, (duration)prng_below(&world->worker.prng, KILL_MAX));
}

/* ---- how far it is ---- */

struct tail_question {
    uint64_t stream, request;
};

void worker_tail(struct world *world, struct host *host, const struct action *action)
{
    struct tail_question *question = malloc(sizeof *question);
    assert(question != NULL);
    const struct run *run = find_token(world, host->index, action->tail_read.token);
    *question = (struct tail_question){action->tail_read.stream, action->tail_read.request};
    queue_push(&world->queue, (struct happening){.at = world->now + TAIL_DELAY,
                                                 .kind = HAPPEN_TAIL,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .number = run == NULL ? 0 : run->number,
                                                 .bytes = question,
                                                 .size = sizeof *question});
}

static void tell_tail(struct world *world, struct host *host, const struct run *run,
                      const struct tail_question *question)
{
    struct event event = {.kind = EVENT_TAIL_READ};
    event.tail_read.stream = question->stream;
    event.tail_read.request = question->request;
    event.tail_read.is_running = run != NULL && run->state == RUN_RUNNING;
    if (event.tail_read.is_running && run->ends > run->started)
        event.tail_read.read_size =
            (uint64_t)((double)run->input_size * (double)(world->now - run->started) /
                       (double)(run->ends - run->started));
    host_step(world, host, &event);
}

/* ---- inputs ---- */

static bool can_read(const struct world *world, const struct run *run,
                     const struct run_input *input)
{
    const struct digest *digest = &input->block.digest;
    if (input->is_small || blocks_has(&world->hosts[run->host], digest)) return true;
    for (size_t i = 0; i < input->holders_count; i++)
        if (blocks_is_reachable(world, run->host, &input->holders[i].address, digest)) return true;
    return false;
}

/* small: the output's bytes, when they go with it; NULL: they do not. */
static void tell(struct world *world, struct run *run, const struct msg_task_result *result,
                 const struct digest *missing, const struct content *small)
{
    struct host *host = &world->hosts[run->host];
    struct event event = {.kind = EVENT_TASK_FINISHED};
    event.task_finished.token = run->token;
    event.task_finished.result = result;
    if (missing != NULL) event.task_finished.missing = *missing;
    event.task_finished.is_small = small != NULL;
    if (small != NULL) event.task_finished.bytes = slice_of(small->bytes, small->size);
    run_free(&world->worker, run);
    host_step(world, host, &event);
}

static duration run_time(struct world *world, const struct run *run)
{
    uint32_t percent;
    bool is_slow = model_parse(run->command, &percent) == MODEL_SLOW;
    duration least = is_slow ? SLOW_MIN : RUN_MIN;
    uint64_t spread = is_slow ? SLOW_SPREAD : RUN_SPREAD;
    duration time = least + (duration)prng_below(&world->worker.prng, spread);
    time *= world->hosts[run->host].slowness;
    return time < RUN_MAX ? time : RUN_MAX;
}

static uint64_t input_size(struct world *world, const struct run *run)
{
    uint64_t size = 0;
    for (size_t i = 0; i < run->inputs_count; i++) {
        const struct content *content = blocks_find(world, &run->inputs[i].block.digest);
        if (content == NULL) continue;
        struct slice bytes = slice_of(content->bytes, content->size);
        if (run->inputs[i].part != PART_WHOLE) bytes = model_segment(bytes, run->inputs[i].part);
        size += bytes.count;
    }
    return size;
}

static void look_for_inputs(struct world *world, struct run *run)
{
    if (run->state != RUN_FETCHING) return;
    const struct digest *missing = NULL;
    for (size_t i = 0; i < run->inputs_count && missing == NULL; i++)
        if (!can_read(world, run, &run->inputs[i])) missing = &run->inputs[i].block.digest;
    if (missing != NULL && ++run->rounds < ROUNDS_MAX) {
        later(world, run, HAPPEN_INPUTS, ROUND_DELAY);
        return;
    }
    if (missing != NULL) {
        struct digest digest = *missing;
        struct msg_task_result result = {.outcome = OUTCOME_INPUT_MISSING};
        result.text = slice_string("its input could not be fetched");
        tell(world, run, &result, &digest, NULL);
        return;
    }
    run->state = RUN_RUNNING;
    world->worker.executions++;
    if (run->job != NULL) client_count_run(run->job, run->kind, run->task, false);
    if (run->job != NULL && run->is_copy) run->job->copies++;
    duration time = run_time(world, run);
    run->started = world->now;
    run->ends = world->now + time;
    later(world, run, HAPPEN_FINISH, time);
    struct event event = {.kind = EVENT_TASK_STARTED};
    event.task_started.token = run->token;
    event.task_started.input_size = run->input_size = input_size(world, run);
    host_step(world, &world->hosts[run->host], &event);
}

/* ---- the program ---- */

static void compute(struct world *world, const struct run *run, struct output *output)
{
    struct slice *slices = calloc(run->inputs_count + 1, sizeof *slices);
    assert(slices != NULL);
    for (size_t i = 0; i < run->inputs_count; i++) {
        const struct content *content = blocks_find(world, &run->inputs[i].block.digest);
        assert(content != NULL);
        slices[i] = slice_of(content->bytes, content->size);
        if (run->inputs[i].part != PART_WHOLE)
            slices[i] = model_segment(slices[i], run->inputs[i].part);
    }
    if (run->kind == TASK_REDUCE) model_reduce(world->crypto, slices, run->inputs_count, output);
    else
        model_map(world->crypto, run->inputs_count == 0 ? (struct slice){0} : slices[0],
                  run->partitions, output);
    free(slices);
    if (world->plan.canary != CANARY_WRONG_BYTES || run->kind != TASK_REDUCE) return;
    if (output->size == 0 || !prng_chance(&world->worker.prng, WRONG_BYTES_CHANCE)) return;
    output->bytes[0] ^= 1;
    world->crypto->digest(slice_of(output->bytes, output->size), &output->digest);
}

static bool exits_badly(struct world *world, const struct run *run)
{
    uint32_t percent;
    switch (model_parse(run->command, &percent)) {
    case MODEL_FAIL: return true;
    case MODEL_FLAKY: return prng_chance(&world->worker.prng, percent * 10000);
    case MODEL_WORDCOUNT:
    case MODEL_SLOW:
    case MODEL_POISON:
    case MODEL_COUNT: break;
    }
    return false;
}

static bool is_poison(const struct world *world, const struct run *run)
{
    uint32_t percent;
    return world->phase == PHASE_SAFETY && model_parse(run->command, &percent) == MODEL_POISON;
}

static void finish_run(struct world *world, struct run *run)
{
    if (run->state != RUN_KILLED && is_poison(world, run)) {
        faults_kill(world, &world->hosts[run->host]);
        return;
    }
    struct msg_task_result result = {.outcome = OUTCOME_DONE};
    result.elapsed_ms = (uint64_t)(world->now - run->since) / MILLISECOND;
    struct host *host = &world->hosts[run->host];
    const struct content *small = NULL;
    if (run->state == RUN_KILLED) {
        result.outcome = OUTCOME_KILLED;
        result.text = slice_string("killed");
    } else if (exits_badly(world, run) || world->plan.canary == CANARY_FALSE_FAILURE) {
        bool is_true = world->plan.canary != CANARY_FALSE_FAILURE;
        if (run->job != NULL && is_true) client_count_run(run->job, run->kind, run->task, true);
        result.outcome = OUTCOME_EXITED;
        result.status = 1;
        result.text = slice_string("exit status 1");
        result.log = slice_string("the model program says no\n");
    } else {
        struct output output;
        compute(world, run, &output);
        const struct content *content =
            blocks_content(world, &output.digest, output.bytes, output.size);
        bool is_small = content->size <= run->small_max;
        if (is_small) small = content;
        else blocks_put(world, host, content, run->is_durable);
        result.output = (struct msg_block_ref){content->digest, content->size};
        result.records = output.records;
    }
    tell(world, run, &result, NULL, small);
}

void worker_happen(struct world *world, struct host *host, const struct happening *happening)
{
    struct run *run = map_get(&world->worker.by_number, &happening->number);
    if (happening->kind == HAPPEN_TAIL) {
        tell_tail(world, host, run, happening->bytes);
        return;
    }
    if (run == NULL || run->host != host->index) return;
    if (happening->kind == HAPPEN_INPUTS) look_for_inputs(world, run);
    else finish_run(world, run);
}
