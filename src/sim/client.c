/* The client's side of the promises: what was acknowledged is not lost, the same id is the same
 * job, a wait survives the death of the node it waits at, the output equals the reference. A client
 * trusts no single node: silence for five seconds, an end of the stream or an error make it try
 * elsewhere. */
#include "sim/client.h"

#include "sim/blocks.h"
#include "sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TURN_EVERY = SECOND,
    SILENCE_MAX = 5 * SECOND,
    RECONNECT_DELAY = 200 * MILLISECOND,
    MAPS_MAX = 8,
    REDUCES_MAX = 4,
    TEXT_SIZE_MAX = 1500,
    VERIFY_ONE_IN = 8, /* jobs, by chance, whose tasks run two or three times (--verify) */
    RETRIES = 4,
    REPLICAS = 2,
    ACKS = 2,
    HASTY_CHANCE = 300000, /* per million: of a client that submits and kills at several nodes */
    HASTE_MAX = 20 * MILLISECOND,
    NOT_FOUND = 4,          /* mrctl's exit code */
    RECORD_SIZE = 32 << 10, /* room for one request */
};

/* ---- jobs ---- */

static void choose_model(struct sim_job *job, struct prng *prng)
{
    uint64_t draw = prng_below(prng, 100);
    const char *command = "wordcount";
    if (draw >= 92) command = "fail";
    else if (draw >= 80) command = "slow";
    else if (draw >= 60) command = prng_chance(prng, 500000) ? "flaky:10" : "flaky:30";
    snprintf(job->command, sizeof job->command, "%s", command);
    job->model = model_parse(slice_string(job->command), &job->percent);
    job->is_hasty = prng_chance(prng, HASTY_CHANCE);
    job->wants_kill = prng_chance(prng, job->model == MODEL_SLOW ? 500000 : 50000);
}

static void make_inputs(struct world *world, struct sim_job *job, struct prng *prng)
{
    job->inputs = calloc(job->maps, sizeof *job->inputs);
    struct msg_manifest_block *blocks = calloc(job->maps, sizeof *blocks);
    assert(job->inputs != NULL && blocks != NULL);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < job->maps; i++) {
        size_t size;
        uint8_t *text = model_text(prng, 1 + (size_t)prng_below(prng, TEXT_SIZE_MAX), &size);
        struct digest digest;
        world->crypto->digest(slice_of(text, size), &digest);
        job->inputs[i] = blocks_content(world, &digest, text, size);
        blocks[i].block = (struct msg_block_ref){digest, size};
        blocks[i].offset = offset;
        offset += size;
    }
    struct msg_text file = {slice_string("input")};
    struct msg_manifest manifest = {{&file, 1}, {blocks, job->maps}};
    size_t size = wire_packed_size(&wire_manifest, &manifest);
    uint8_t *bytes = malloc(size);
    assert(bytes != NULL);
    struct writer writer = writer_of(bytes, size);
    bool is_packed = wire_pack(&wire_manifest, &manifest, &writer);
    assert(is_packed);
    (void)is_packed;
    struct digest digest;
    world->crypto->digest(slice_of(bytes, size), &digest);
    job->manifest = blocks_content(world, &digest, bytes, size);
    free(blocks);
}

static void make_expected(struct world *world, struct sim_job *job)
{
    struct slice *inputs = calloc(job->maps, sizeof *inputs);
    job->expected_count = job->reduces == 0 ? job->maps : job->reduces;
    job->expected = calloc(job->expected_count, sizeof *job->expected);
    assert(inputs != NULL && job->expected != NULL);
    for (uint32_t i = 0; i < job->maps; i++)
        inputs[i] = slice_of(job->inputs[i]->bytes, job->inputs[i]->size);
    for (uint32_t i = 0; i < job->expected_count; i++) {
        struct output output;
        if (job->reduces == 0) model_map(world->crypto, inputs[i], 0, &output);
        else model_reference(world->crypto, inputs, job->maps, i, job->reduces, &output);
        job->expected[i] = output.digest;
        free(output.bytes);
    }
    free(inputs);
}

static void choose_as_planned(struct sim_job *job, const struct job_plan *plan)
{
    if (plan->maps != COUNT_DRAWN) job->maps = plan->maps;
    if (plan->reduces != COUNT_DRAWN) job->reduces = plan->reduces;
    if (plan->command[0] == '\0') return;
    snprintf(job->command, sizeof job->command, "%s", plan->command);
    job->model = model_parse(slice_string(job->command), &job->percent);
    job->wants_kill = job->is_hasty = false;
}

static void job_init(struct world *world, struct sim_job *job, uint32_t index, struct prng *prng)
{
    *job = (struct sim_job){.index = index, .retries = RETRIES};
    prng_fill(prng, job->id.bytes, sizeof job->id.bytes);
    if (job->id.bytes[0] % VERIFY_ONE_IN == 0) job->verify = 2 + job->id.bytes[1] % 2;
    job->is_small = job->id.bytes[2] % 2 == 0;
    snprintf(job->output, sizeof job->output, "out-%u", index);
    choose_model(job, prng);
    job->maps = 1 + (uint32_t)prng_below(prng, MAPS_MAX);
    job->reduces = prng_chance(prng, 150000) ? 0 : 1 + (uint32_t)prng_below(prng, REDUCES_MAX);
    choose_as_planned(job, &world->plan.jobs[index]);
    make_inputs(world, job, prng);
    make_expected(world, job);
    for (int kind = 0; kind < 2; kind++) {
        size_t count = 1 + (kind == TASK_MAP ? job->maps : job->reduces);
        job->runs[kind] = calloc(count, sizeof *job->runs[kind]);
        job->exits[kind] = calloc(count, sizeof *job->exits[kind]);
        assert(job->runs[kind] != NULL && job->exits[kind] != NULL);
    }
}

/* The job begins at its time, through its node first. */
static void begin(struct world *world, uint32_t index, const struct job_plan *plan)
{
    bool is_any = plan->node == NODE_ANY;
    world->jobs[index].peer = is_any ? UINT32_MAX : plan->node % world->hosts_count;
    queue_push(&world->queue, (struct happening){
                                  .at = plan->at,
                                  .kind = HAPPEN_CLIENT,
                                  .host = UINT32_MAX,
                                  .number = index,
                              });
}

void clients_init(struct world *world, uint64_t seed)
{
    uint32_t count = (uint32_t)world->plan.jobs_count;
    prng_init(&world->clients_prng, seed);
    world->jobs = calloc(count + 1, sizeof *world->jobs);
    assert(world->jobs != NULL);
    world->jobs_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct job_plan *plan = &world->plan.jobs[i];
        struct prng prng; /* its own, so that a job does not depend on the number of them */
        prng_init(&prng, seed + 1 + plan->draw);
        job_init(world, &world->jobs[i], i, &prng);
        begin(world, i, plan);
    }
}

void clients_deinit(struct world *world)
{
    for (uint32_t i = 0; i < world->jobs_count; i++) {
        struct sim_job *job = &world->jobs[i];
        free(job->inputs);
        free(job->expected);
        for (int kind = 0; kind < 2; kind++) {
            free(job->runs[kind]);
            free(job->exits[kind]);
        }
    }
    free(world->jobs);
}

struct sim_job *client_job(struct world *world, const struct id *id)
{
    for (uint32_t i = 0; i < world->jobs_count; i++)
        if (id_equal(&world->jobs[i].id, id)) return &world->jobs[i];
    return NULL;
}

bool clients_are_over(const struct world *world)
{
    for (uint32_t i = 0; i < world->jobs_count; i++)
        if (world->jobs[i].state != CLIENT_OVER) return false;
    return true;
}

void client_count_run(struct sim_job *job, uint32_t kind, uint32_t task, bool is_exit)
{
    uint32_t count = kind == TASK_MAP ? job->maps : job->reduces;
    if (task >= count) return;
    if (is_exit) job->exits[kind][task]++;
    else job->runs[kind][task]++;
}

/* ---- asking ---- */

static uint32_t party(const struct world *world, const struct sim_job *job)
{
    return world->hosts_count + job->index;
}

static void next_turn(struct world *world, const struct sim_job *job, duration delay)
{
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_CLIENT,
                                                 .host = UINT32_MAX,
                                                 .side = (uint32_t)job->stream,
                                                 .number = job->index});
}

static void ask(struct world *world, struct sim_job *job, const struct wire_schema *schema,
                const void *message)
{
    uint8_t bytes[RECORD_SIZE];
    struct writer writer = writer_of(bytes, sizeof bytes);
    bool is_packed = wire_pack(schema, message, &writer);
    assert(is_packed);
    (void)is_packed;
    streams_send(world, party(world, job), job->stream, slice_of(bytes, writer.written));
}

static void ask_submit_small(struct world *world, struct sim_job *job,
                             const struct msg_ask_submit_with *with)
{
    struct msg_small_block blocks[1 + MAPS_MAX];
    struct msg_ask_submit_small small = {.request = with->request,
                                         .job = with->job,
                                         .ack = with->ack,
                                         .spec = with->spec,
                                         .terms = with->terms};
    blocks[0].bytes = slice_of(job->manifest->bytes, job->manifest->size);
    for (uint32_t i = 0; i < job->maps; i++)
        blocks[1 + i].bytes = slice_of(job->inputs[i]->bytes, job->inputs[i]->size);
    small.blocks = (struct list){blocks, 1 + job->maps};
    ask(world, job, &wire_ask_submit_small, &small);
}

static void upload(struct world *world, struct host *host, const struct sim_job *job)
{
    for (uint32_t i = 0; i < job->maps; i++) (void)blocks_upload(world, host, job->inputs[i]);
    (void)blocks_upload(world, host, job->manifest);
}

static void ask_submit(struct world *world, struct sim_job *job)
{
    struct host *host = &world->hosts[job->peer];
    if (host->state != HOST_UP) return; /* silence will tell */
    bool is_small = job->is_small && job->maps <= MAPS_MAX;
    if (!is_small) upload(world, host, job);
    struct msg_ask_submit_with submit = {.request = ++job->request, .job = job->id, .ack = ACKS};
    submit.terms.verify = job->verify;
    submit.spec.name = slice_string("wc");
    submit.spec.mapper = slice_string(job->command);
    submit.spec.reducer = job->reduces == 0 ? (struct slice){0} : slice_string(job->command);
    submit.spec.maps = job->maps;
    submit.spec.reduces = job->reduces;
    submit.spec.manifest = (struct msg_block_ref){job->manifest->digest, job->manifest->size};
    submit.spec.output = slice_string(job->output);
    submit.spec.retries = job->retries;
    submit.spec.ok_exits = slice_of("", 1);
    submit.spec.replicas = REPLICAS;
    submit.spec.memory_size = 64 << 20;
    submit.spec.weight = 1;
    submit.spec.inputs_owned = true;
    submit.spec.submitted_wall_ms = 1;
    job->state = CLIENT_SUBMITTING;
    if (is_small) ask_submit_small(world, job, &submit);
    else ask(world, job, &wire_ask_submit_with, &submit);
}

static void ask_wait(struct world *world, struct sim_job *job)
{
    struct msg_ask_wait wait = {++job->request, slice_string(job->name)};
    struct msg_ask_result result = {job->request, slice_string(job->name)};
    job->state = CLIENT_WAITING;
    if (job->is_small) ask(world, job, &wire_ask_result, &result);
    else ask(world, job, &wire_ask_wait, &wait);
}

static void ask_dataset(struct world *world, struct sim_job *job)
{
    struct msg_ask_dataset dataset = {++job->request, slice_string(job->output), 0};
    job->state = CLIENT_READING;
    ask(world, job, &wire_ask_dataset, &dataset);
}

static void leave(struct world *world, struct sim_job *job, duration delay)
{
    streams_close(world, party(world, job), job->stream);
    job->state = CLIENT_AWAY;
    next_turn(world, job, delay);
}

static void over(struct world *world, struct sim_job *job)
{
    static const char *const outcomes[] = {"running", "done", "failed", "killed"};
    streams_close(world, party(world, job), job->stream);
    job->state = CLIENT_OVER;
    world_say(world, UINT32_MAX, "client %u over: %s", job->index, outcomes[job->told]);
}

static void connect_to(struct world *world, struct sim_job *job)
{
    if (job->stream > 0 || job->peer == UINT32_MAX)
        job->peer = (uint32_t)prng_below(&world->clients_prng, world->hosts_count);
    job->stream++;
    job->heard = world->now;
    job->state = CLIENT_CONNECTING;
    struct address address = network_address(job->peer);
    streams_open(world, party(world, job), job->stream, &address, CHANNEL_CLIENT);
    next_turn(world, job, TURN_EVERY);
}

/* A client that does not wait for its answer: the same request reaches several nodes at about the
 * same time. */
static void be_hasty(struct world *world, struct sim_job *job)
{
    if (!job->is_hasty || !prng_chance(&world->clients_prng, 500000)) return;
    leave(world, job, (duration)prng_below(&world->clients_prng, HASTE_MAX));
}

void client_turn(struct world *world, uint32_t index, uint32_t epoch)
{
    struct sim_job *job = &world->jobs[index];
    if (epoch != (uint32_t)job->stream || job->state == CLIENT_OVER) return;
    if (job->state == CLIENT_AWAY) {
        connect_to(world, job);
        return;
    }
    if (world->now - job->heard >= SILENCE_MAX) {
        leave(world, job, RECONNECT_DELAY);
        return;
    }
    bool is_time = prng_chance(&world->clients_prng, 300000);
    if (job->wants_kill && job->state == CLIENT_WAITING && is_time) {
        struct msg_ask_kill kill = {UINT64_MAX, slice_string(job->name)};
        ask(world, job, &wire_ask_kill, &kill);
        be_hasty(world, job);
        if (job->state == CLIENT_AWAY) return;
    }
    next_turn(world, job, TURN_EVERY);
}

/* ---- answers ---- */

void client_opened(struct world *world, uint32_t index, uint64_t stream)
{
    struct sim_job *job = &world->jobs[index];
    if (stream != job->stream) return;
    job->heard = world->now;
    if (!job->is_acked) {
        ask_submit(world, job);
        be_hasty(world, job);
    } else if (job->told == JOB_DONE) ask_dataset(world, job);
    else ask_wait(world, job);
}

void client_closed(struct world *world, uint32_t index, uint64_t stream)
{
    struct sim_job *job = &world->jobs[index];
    if (stream != job->stream || job->state == CLIENT_OVER || job->state == CLIENT_AWAY) return;
    leave(world, job, RECONNECT_DELAY);
}

static void submitted(struct world *world, struct sim_job *job, const struct msg_say_submitted *say)
{
    if (job->state != CLIENT_SUBMITTING || say->request != job->request) return;
    if (say->name.count > CLIENT_TEXT_SIZE || !id_equal(&say->job, &job->id)) {
        world_violated(world, job->peer, "S7", "a submission was answered for another job");
        return;
    }
    memcpy(job->name, say->name.at, say->name.count);
    job->name[say->name.count] = '\0';
    job->is_acked = true;
    job->acks = say->acks;
    job->acked_at = world->now;
    job->disks_lost_at_ack = world->faults.disks_lost;
    world_say(world, UINT32_MAX, "client %u: %s acknowledged by %u", job->index, job->name,
              say->acks);
    checks_acknowledged(world, job);
    ask_wait(world, job);
}

static void learnt(struct world *world, struct sim_job *job, uint64_t request, unsigned state)
{
    if (job->state != CLIENT_WAITING || request != job->request) return;
    if (state == JOB_RUNNING) return;
    job->told = (enum job_outcome)state;
    world_say(world, UINT32_MAX, "client %u told: %s", job->index, job_outcome_text(job->told));
    if (job->told == JOB_DONE) ask_dataset(world, job);
    else over(world, job);
}

/* The bytes of the output, with the news of the end. */
static void check_result(struct world *world, struct sim_job *job, const struct msg_say_result *say)
{
    const struct msg_small_block *blocks = say->blocks.at;
    if (job->state != CLIENT_WAITING || say->request != job->request || !say->is_whole) return;
    world_say(world, UINT32_MAX, "client %u: all of %s came with its end", job->index, job->output);
    for (uint32_t i = 0; i < say->blocks.count; i++) {
        struct digest digest;
        world->crypto->digest(blocks[i].bytes, &digest);
        if (say->blocks.count != job->expected_count || !digest_equal(&digest, &job->expected[i]))
            world_violated(world, job->peer, "M", "part %u of %s came, and differs", i,
                           job->output);
    }
}

static void read_output(struct world *world, struct sim_job *job, const struct msg_say_dataset *say)
{
    if (job->state != CLIENT_READING || say->request != job->request) return;
    if (say->blocks_count != job->expected_count || say->blocks.count != job->expected_count) {
        world_violated(world, job->peer, "M", "%s has %u blocks, the reference %u", job->output,
                       say->blocks_count, job->expected_count);
        return;
    }
    const struct msg_dataset_block *blocks = say->blocks.at;
    for (uint32_t i = 0; i < job->expected_count; i++)
        if (!digest_equal(&blocks[i].block.block.digest, &job->expected[i]))
            world_violated(world, job->peer, "M", "part %u of %s differs from the reference", i,
                           job->output);
    over(world, job);
}

/* An error: elsewhere, later. An acknowledged job that is not found, after enough disks were lost,
 * is submitted again, as a person would; the invariant S4 judges whether enough were. */
static void refused(struct world *world, struct sim_job *job, const struct msg_say_error *say)
{
    if (say->request != job->request) return;
    world_say(world, UINT32_MAX, "client %u refused: code=%u %.*s", job->index, say->code,
              (int)say->text.count, (const char *)say->text.at);
    if (job->state == CLIENT_WAITING && say->code == NOT_FOUND && checks_may_be_lost(world, job))
        job->is_acked = false;
    leave(world, job, SECOND);
}

static void answer(struct world *world, struct sim_job *job, const struct wire_message *message)
{
    switch (message->type) {
    case MSG_say_submitted: submitted(world, job, message->fields); return;
    case MSG_say_job: {
        const struct msg_say_job *say = message->fields;
        learnt(world, job, say->request, say->job.state);
        return;
    }
    case MSG_say_result: {
        const struct msg_say_result *say = message->fields;
        check_result(world, job, say);
        learnt(world, job, say->request, say->job.state);
        return;
    }
    case MSG_say_dataset: read_output(world, job, message->fields); return;
    case MSG_say_error: refused(world, job, message->fields); return;
    default: return;
    }
}

void client_record(struct world *world, uint32_t index, uint64_t stream, struct slice bytes)
{
    struct sim_job *job = &world->jobs[index];
    if (stream != job->stream || job->state == CLIENT_OVER) return;
    job->heard = world->now;
    arena_reset(&world->scratch);
    while (bytes.count > 0 && stream == job->stream && job->state != CLIENT_AWAY) {
        struct wire_message message;
        const char *reason = wire_unpack(&bytes, &message, &world->scratch);
        if (reason != NULL) {
            world_violated(world, job->peer, "contract", "an answer is refused: %s", reason);
            return;
        }
        answer(world, job, &message);
    }
}
