/* A worker is one attempt on this machine:
 *
 *   FETCHING -> PREPARING -> RUNNING -> COLLECTING -> PLACING -> CLEANING -> gone
 *       \            \                        \                    ^
 *        +------------+------------------------+---- no output ----+
 *
 * EVENT_TASK_STARTED goes out on the way into RUNNING, EVENT_TASK_FINISHED on the way into
 * CLEANING. What is borrowed from an action is copied into a reserve of address space of the
 * worker's own, of which only touched pages count.
 *
 * What runs it is a helper (helper.c): an mrtask that has waited for it, and waits for the next one
 * afterwards. Told to stop, mrtask gets TERM and 5 s: it grants its command 2 s of them before it
 * kills the group. After that mrtask itself is killed, and whatever still works in the attempt's
 * directory. */
#include "io/workers.h"

#include "io/blocks.h"
#include "io/briefs.h"
#include "io/confinement.h"
#include "io/fetch.h"
#include "io/fetched.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/lull.h"
#include "io/orphans.h"
#include "io/prefetch.h"
#include "io/rundir.h"
#include "io/spare.h"
#include "io/verify.h"
#include "wire/seal.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    WORKER_ARENA_SIZE = 128 << 20, /* JOB_MAPS_SHUFFLED_MAX inputs with holders and paths; reserved,
                                      not used */
    WORKER_FETCHES_MAX = 16,       /* of one attempt at once: twice what really runs in parallel */
};

struct worker_input;

/* A look at a local input, which outlives the attempt if that is stopped. */
struct looking {
    struct verify verify;
    struct worker_input *input; /* NULL: nobody waits any more */
};

enum worker_state {
    WORKER_FETCHING,
    WORKER_PREPARING,
    WORKER_RUNNING,
    WORKER_COLLECTING,
    WORKER_PLACING,
    WORKER_CLEANING,
};

struct worker_input {
    struct fetch_want want;
    struct worker *worker;
    struct action_input input;
    struct block *block;     /* pinned: it is here */
    struct looking *looking; /* its bytes are being looked at */
    struct fetched *file;    /* or these bytes are */
};

struct worker {
    struct chore chore;
    struct helper_user user;
    struct helper *helper; /* RUNNING: who does it */
    struct workers *workers;
    struct worker *next;
    uint64_t token;
    enum worker_state state;
    bool is_killed;
    bool makes_spare; /* while it is CLEANING */
    const char *label;
    char directory[FILE_PATH_MAX];
    char commands[FILE_PATH_MAX];
    void *reserve;
    struct arena arena;
    struct worker_input *inputs; /* the job's files behind the task's inputs */
    size_t inputs_count, asked_count, outstanding_count;
    const struct msg_job_file *files;
    size_t files_count;
    struct rundir rundir;
    uint16_t small_max;
    int64_t exit_status;
    int exit_signal;
    struct block_place place;
};

struct workers {
    struct loop *loop;
    struct worker *first;
    uint64_t directories; /* names given in scratch */
    struct orphans orphans;
    struct helpers *helpers;
    struct briefs *briefs;
    struct spare spare;
    struct lull lull;
};

static void start_chore(struct worker *worker, void (*run)(struct chore *),
                        void (*done)(struct chore *))
{
    chore_start(&worker->workers->loop->uv, &worker->chore, run, done);
}

static void move_to(struct worker *worker, enum worker_state state)
{
    assert(state > worker->state || state == WORKER_FETCHING);
    worker->state = state;
}

/* ---- the end ---- */

static void worker_unlink(struct worker *worker)
{
    struct worker **link = &worker->workers->first;
    while (*link != worker) link = &(*link)->next;
    *link = worker->next;
}

static void release_inputs(struct worker *worker)
{
    struct blocks *blocks = worker->workers->loop->blocks;
    for (size_t i = 0; i < worker->inputs_count; i++) {
        struct worker_input *input = &worker->inputs[i];
        fetch_cancel(&input->want);
        if (input->looking != NULL) input->looking->input = NULL;
        input->looking = NULL;
        if (input->block != NULL) blocks_unpin(blocks, input->block);
        if (input->file != NULL) fetched_release(input->file);
        input->block = NULL;
        input->file = NULL;
    }
}

static void run_clean(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    rundir_remove(&worker->rundir);
    if (worker->makes_spare) spare_make(&worker->workers->spare, worker->rundir.user != 0);
}

static void done_clean(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    if (worker->makes_spare) spare_end(&worker->workers->spare);
    worker_unlink(worker);
    munmap(worker->reserve, WORKER_ARENA_SIZE);
    free(worker);
}

/* Nobody waits for a directory here. */
static bool is_idle(const struct workers *workers)
{
    const struct worker *worker = workers->first;
    while (worker != NULL && worker->state == WORKER_CLEANING) worker = worker->next;
    return worker == NULL;
}

/* Tells the node, then cleans up. Never from within workers_run and workers_kill. */
static void finish(struct worker *worker)
{
    struct rundir *rundir = &worker->rundir;
    struct loop *loop = worker->workers->loop;
    struct msg_task_result result = rundir->result;
    if (rundir->outcome != 0) {
        result = (struct msg_task_result){.outcome = (uint8_t)rundir->outcome};
        result.text = slice_string(rundir->text);
        result.status = rundir->status;
        result.log = rundir->log;
    }
    if (worker->is_killed && result.outcome != OUTCOME_DONE) result.outcome = OUTCOME_KILLED;
    struct event event = {.kind = EVENT_TASK_FINISHED};
    event.task_finished.token = worker->token;
    event.task_finished.result = &result;
    event.task_finished.missing = rundir->missing;
    event.task_finished.is_small = result.outcome == OUTCOME_DONE && rundir->is_small;
    event.task_finished.bytes = rundir->small;
    trace_line(&loop->trace, TRACE_DEBUG, "event=task_finished task=%s outcome=%u text=\"%.*s\"",
               worker->label, result.outcome, (int)result.text.count, (const char *)result.text.at);
    move_to(worker, WORKER_CLEANING);
    if (result.outcome == OUTCOME_INPUT_MISSING) verify_doubt(loop, &rundir->missing);
    release_inputs(worker);
    loop_feed(loop, &event);
    worker->makes_spare = spare_begin(&worker->workers->spare);
    if (!is_idle(worker->workers)) start_chore(worker, run_clean, done_clean);
    else lull_start(&worker->workers->lull, &worker->chore, run_clean, done_clean);
}

static void on_placed(struct block_place *place, enum error error)
{
    struct worker *worker = place->context;
    if (error != ERROR_NONE) {
        worker->rundir.outcome = OUTCOME_DISK;
        snprintf(worker->rundir.text, sizeof worker->rundir.text, "the output: %s",
                 error_text(error));
    }
    finish(worker);
}

static void place_output(struct worker *worker)
{
    const struct rundir *rundir = &worker->rundir;
    struct block_place *place = &worker->place;
    move_to(worker, WORKER_PLACING);
    memcpy(place->from, rundir->output, sizeof place->from);
    place->digest = rundir->result.output.digest;
    place->size = rundir->result.output.size;
    place->is_partitioned = rundir->spec.kind == TASK_MAP && rundir->spec.partitions > 0;
    place->is_durable = rundir->is_durable;
    place->context = worker;
    place->done = on_placed;
    blocks_place(worker->workers->loop->blocks, place);
}

static void run_nothing(struct chore *chore) { (void)chore; }
static void done_nothing(struct chore *chore) { finish((struct worker *)chore); }

static void run_collect(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    rundir_collect(&worker->rundir);
}

static void done_collect(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    const struct rundir *rundir = &worker->rundir;
    bool has_file = rundir->result.outcome == OUTCOME_DONE && !rundir->is_small;
    if (rundir->outcome == 0 && has_file) place_output(worker);
    else finish(worker);
}

/* ---- the process ---- */

/* Its bytes are those that its digest names. */
static bool keep_small(struct worker *worker, const struct msg_task_ended *ended)
{
    struct rundir *rundir = &worker->rundir;
    struct digest digest;
    crypto_sodium.digest(ended->output, &digest);
    rundir->is_small = true;
    rundir->small = ended->output;
    return rundir->result.output.size == ended->output.count &&
           digest_equal(&digest, &rundir->result.output.digest);
}

/* What mrtask says of its end, once. */
static bool on_told(struct helper_user *user, const struct wire_message *message, bool has_more)
{
    struct worker *worker = user->context;
    struct rundir *rundir = &worker->rundir;
    const struct msg_task_ended *said = message->fields;
    struct msg_task_ended ended;
    (void)has_more;
    if (message->type != MSG_task_ended || said->token != worker->token) return false;
    if (said->result.outcome < OUTCOME_DONE || said->result.outcome > OUTCOME_NO_MEMORY)
        return false;
    if (!wire_copy(&wire_task_ended, &ended, said, &worker->arena)) return false;
    rundir->result = ended.result;
    if (ended.is_small && !keep_small(worker, &ended)) return false;
    uint32_t number = ended.result.status;
    if (ended.result.outcome == OUTCOME_INPUT_MISSING && number > 0 &&
        number <= rundir->inputs_count)
        rundir->missing = rundir->inputs[number - 1].digest;
    bool is_sound =
        ended.result.outcome != OUTCOME_NOT_STARTED && ended.result.outcome != OUTCOME_NO_MEMORY;
    helper_put(worker->helper, is_sound);
    worker->helper = NULL;
    move_to(worker, WORKER_COLLECTING);
    bool has_file = ended.result.outcome == OUTCOME_DONE && !ended.is_small;
    if (has_file || rundir_has_blocks(rundir)) start_chore(worker, run_collect, done_collect);
    else finish(worker);
    return true;
}

static void run_lose(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    rundir_lose(&worker->rundir, worker->exit_status, worker->exit_signal);
}

static void on_ended(struct helper_user *user, int64_t status, int signal)
{
    struct worker *worker = user->context;
    worker->helper = NULL;
    if (signal != 0) orphans_end(&worker->workers->orphans, worker->workers->helpers);
    worker->exit_status = status;
    worker->exit_signal = signal;
    move_to(worker, WORKER_COLLECTING);
    start_chore(worker, run_lose, done_nothing);
}

static bool assign(struct worker *worker)
{
    const struct rundir *rundir = &worker->rundir;
    struct msg_task_assign assign = {.token = worker->token,
                                     .directory = slice_string(worker->directory),
                                     .commands = slice_string(worker->commands),
                                     .user = rundir->user,
                                     .small_max = worker->small_max,
                                     .spec = rundir->packed,
                                     .carried = rundir->carried};
    return helper_send(worker->helper, &wire_task_assign, &assign);
}

static void feed_started(struct worker *worker)
{
    struct event event = {.kind = EVENT_TASK_STARTED};
    event.task_started.token = worker->token;
    event.task_started.input_size = worker->rundir.shared.size; /* 0: of no shared file */
    for (size_t i = 0; i < worker->rundir.inputs_count; i++)
        event.task_started.input_size += worker->rundir.inputs[i].size;
    trace_line(&worker->workers->loop->trace, TRACE_DEBUG, "event=task_started task=%s pid=%d",
               worker->label, helper_process(worker->helper));
    loop_feed(worker->workers->loop, &event);
}

/* Perhaps from within a step: then what follows is told later. */
static void start_process(struct worker *worker)
{
    const char *why;
    worker->user = (struct helper_user){on_told, on_ended, worker};
    worker->helper = helpers_take(worker->workers->helpers, &worker->user, &why);
    if (worker->helper == NULL) {
        worker->rundir.outcome = OUTCOME_NOT_STARTED;
        snprintf(worker->rundir.text, sizeof worker->rundir.text, "%s", why);
        start_chore(worker, run_nothing, done_nothing);
        return;
    }
    move_to(worker, WORKER_RUNNING);
    if (assign(worker)) feed_started(worker);
    else helper_stop(worker->helper); /* and on_ended follows */
}

static void run_prepare(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    rundir_prepare(&worker->rundir);
}

static void done_prepare(struct chore *chore)
{
    struct worker *worker = (struct worker *)chore;
    if (worker->rundir.outcome == 0 && !worker->is_killed) {
        start_process(worker);
        return;
    }
    finish(worker);
}

/* ---- inputs ---- */

/* While FETCHING: no more of it. The end is told by way of a worker thread, since this may be
 * within a step. */
static void stop_fetching(struct worker *worker, enum task_outcome outcome, const char *text)
{
    assert(worker->state == WORKER_FETCHING);
    worker->rundir.outcome = outcome;
    snprintf(worker->rundir.text, sizeof worker->rundir.text, "%s", text);
    release_inputs(worker);
    move_to(worker, WORKER_PREPARING);
    start_chore(worker, run_nothing, done_nothing);
}

static void input_missing(struct worker *worker, const struct digest *digest, enum error error)
{
    bool is_ours = error != ERROR_NOT_FOUND && error != ERROR_NONE;
    worker->rundir.missing = *digest;
    stop_fetching(worker, is_ours ? OUTCOME_DISK : OUTCOME_INPUT_MISSING,
                  is_ours ? error_text(error) : "an input that no holder gave");
}

static const char *keep_path(struct worker *worker, const char *path)
{
    size_t size = strlen(path) + 1;
    char *kept = arena_take(&worker->arena, size);
    return kept == NULL ? NULL : memcpy(kept, path, size);
}

static bool locate_input(struct worker *worker, const struct worker_input *from,
                         struct rundir_input *to)
{
    char path[FILE_PATH_MAX];
    *to = (struct rundir_input){.digest = from->input.block.digest, .part = PART_WHOLE};
    if (from->input.is_small) {
        to->is_small = true;
        to->bytes = from->input.bytes;
        to->size = to->bytes.count;
        return true;
    }
    if (from->block != NULL) {
        to->path = keep_path(worker, blocks_path(worker->workers->loop->blocks, from->block, path));
        to->size = from->block->size;
        to->looked = from->block->state;
        to->part = from->input.part;
    } else {
        to->path = from->file->path;
        to->size = from->file->size;
        to->records = from->file->records;
    }
    return to->path != NULL;
}

/* The task's inputs, then the job's files. */
static bool locate_all(struct worker *worker)
{
    struct rundir *rundir = &worker->rundir;
    size_t own_count = worker->inputs_count - worker->files_count;
    struct rundir_input *inputs = arena_take(&worker->arena, own_count * sizeof *inputs);
    struct rundir_file *files = arena_take(&worker->arena, worker->files_count * sizeof *files);
    if (inputs == NULL || files == NULL) return false;
    for (size_t i = 0; i < own_count; i++)
        if (!locate_input(worker, &worker->inputs[i], &inputs[i])) return false;
    for (size_t i = 0; i < worker->files_count; i++) {
        struct rundir_input place;
        if (!locate_input(worker, &worker->inputs[own_count + i], &place)) return false;
        files[i] = (struct rundir_file){.file = &worker->files[i], .place = place};
    }
    rundir->inputs = inputs;
    rundir->inputs_count = own_count;
    rundir->files = files;
    rundir->files_count = worker->files_count;
    return true;
}

static void prepare(struct worker *worker)
{
    if (!locate_all(worker)) {
        stop_fetching(worker, OUTCOME_NOT_STARTED, "too many inputs");
        return;
    }
    move_to(worker, WORKER_PREPARING);
    if (rundir_is_light(&worker->rundir) && spare_use(&worker->workers->spare, worker->directory)) {
        rundir_pack(&worker->rundir);
        start_process(worker);
        return;
    }
    start_chore(worker, run_prepare, done_prepare);
}

static void on_fetched(struct fetch_want *want, enum error error, struct fetched *file);
static void on_looked(struct verify *verify, enum error error);

/* It is here: are its bytes, too? False when there is no memory to find out. */
static bool look_at_input(struct worker *worker, struct worker_input *input)
{
    blocks_pin(input->block); /* release_inputs unpins it, whatever comes */
    struct looking *looking = calloc(1, sizeof *looking);
    if (looking == NULL) {
        input_missing(worker, &input->input.block.digest, ERROR_MEMORY);
        return false;
    }
    input->looking = looking;
    looking->input = input;
    looking->verify.done = on_looked;
    worker->outstanding_count++;
    verify_start(worker->workers->loop, &looking->verify, input->block);
    return true;
}

/* One more input: here already, or asked for. False when the attempt is over. */
static bool ask_input(struct worker *worker, struct worker_input *input)
{
    struct loop *loop = worker->workers->loop;
    const struct action_input *wanted = &input->input;
    if (wanted->is_small) return true;
    input->block = blocks_find(loop->blocks, &wanted->block.digest);
    if (input->block != NULL) return look_at_input(worker, input);
    input->file = prefetch_take(loop->prefetches, &wanted->block.digest, wanted->part);
    if (input->file != NULL) return true;
    input->want.done = on_fetched;
    enum error error = fetch_start(loop->fetches, &input->want, &wanted->block, wanted->part,
                                   wanted->holders, wanted->holders_count);
    prefetch_leave(loop->prefetches, &wanted->block.digest, wanted->part);
    if (error != ERROR_NONE) input_missing(worker, &wanted->block.digest, error);
    else worker->outstanding_count++;
    return error == ERROR_NONE;
}

static void ask_more(struct worker *worker)
{
    while (worker->asked_count < worker->inputs_count &&
           worker->outstanding_count < WORKER_FETCHES_MAX)
        if (!ask_input(worker, &worker->inputs[worker->asked_count++])) return;
    if (worker->outstanding_count == 0) prepare(worker);
}

/* Rotten: the node knows, and we get it from somebody else. */
static void on_looked(struct verify *verify, enum error error)
{
    struct looking *looking = (struct looking *)verify;
    struct worker_input *input = looking->input;
    free(looking);
    if (input == NULL) return;
    struct worker *worker = input->worker;
    assert(worker->state == WORKER_FETCHING);
    worker->outstanding_count--;
    input->looking = NULL;
    if (error == ERROR_MEMORY) {
        input_missing(worker, &input->input.block.digest, error);
        return;
    }
    if (error != ERROR_NONE) {
        blocks_unpin(worker->workers->loop->blocks, input->block);
        input->block = NULL;
        if (!ask_input(worker, input)) return;
    }
    ask_more(worker);
}

static void on_fetched(struct fetch_want *want, enum error error, struct fetched *file)
{
    struct worker_input *input = (struct worker_input *)want;
    struct worker *worker = input->worker;
    struct blocks *blocks = worker->workers->loop->blocks;
    assert(worker->state == WORKER_FETCHING);
    worker->outstanding_count--;
    input->file = file;
    if (error == ERROR_NONE && file == NULL) {
        input->block = blocks_find(blocks, &input->input.block.digest);
        if (input->block != NULL) blocks_pin(input->block);
        else error = ERROR_NOT_FOUND; /* dropped again at once */
    }
    if (error != ERROR_NONE) input_missing(worker, &input->input.block.digest, error);
    else ask_more(worker);
}

/* ---- start ---- */

static bool keep_bytes(struct worker *worker, struct slice *bytes)
{
    uint8_t *copy = arena_take(&worker->arena, bytes->count);
    if (copy == NULL) return false;
    if (bytes->count > 0) memcpy(copy, bytes->at, bytes->count);
    bytes->at = copy;
    return true;
}

static bool copy_inputs(struct worker *worker, const struct action_input *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = inputs[i].holders_count * sizeof *inputs[i].holders;
        struct msg_block_holder *holders = arena_take(&worker->arena, size);
        if (holders == NULL) return false;
        if (size > 0) memcpy(holders, inputs[i].holders, size);
        struct worker_input *input = &worker->inputs[worker->inputs_count++];
        *input = (struct worker_input){.worker = worker, .input = inputs[i]};
        input->input.holders = holders;
        if (!keep_bytes(worker, &input->input.bytes)) return false;
    }
    return true;
}

static bool copy_files(struct worker *worker, const struct action *action)
{
    size_t count = action->task_run.files_count;
    struct msg_job_file *files = arena_take(&worker->arena, count * sizeof *files);
    if (files == NULL) return false;
    for (size_t i = 0; i < count; i++)
        if (!wire_copy(&wire_job_file, &files[i], &action->task_run.files[i], &worker->arena))
            return false;
    worker->files = files;
    worker->files_count = count;
    return copy_inputs(worker, action->task_run.files_inputs, count);
}

static bool copy_action(struct worker *worker, const struct action *action)
{
    worker->token = action->task_run.token;
    worker->label = keep_path(worker, action->task_run.label);
    worker->rundir.is_durable = action->task_run.is_durable;
    worker->small_max = (uint16_t)action->task_run.small_max;
    worker->rundir.directory = worker->directory;
    worker->rundir.commands = worker->commands;
    worker->rundir.user = confinement_next_user(worker->workers->loop->confinement);
    worker->rundir.arena = &worker->arena;
    worker->rundir.shared_file = action->task_run.shared_file;
    size_t count = action->task_run.inputs_count + action->task_run.files_count;
    worker->inputs = arena_take(&worker->arena, count * sizeof *worker->inputs);
    return worker->label != NULL && worker->inputs != NULL &&
           wire_copy(&wire_task_spec, &worker->rundir.spec, &action->task_run.spec,
                     &worker->arena) &&
           wire_copy(&wire_task_input, &worker->rundir.shared, &action->task_run.shared,
                     &worker->arena) &&
           copy_inputs(worker, action->task_run.inputs, action->task_run.inputs_count) &&
           copy_files(worker, action);
}

static struct worker *worker_new(struct workers *workers)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) return NULL;
    worker->reserve = mmap(NULL, WORKER_ARENA_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct confinement *confinement = workers->loop->confinement;
    uint64_t number = ++workers->directories;
    bool fits = file_path(worker->directory, "%s/scratch/%" PRIu64,
                          blocks_directory(workers->loop->blocks), number) &&
                confinement_place(confinement, worker->directory, number, worker->commands);
    if (worker->reserve == MAP_FAILED || !fits) {
        if (worker->reserve != MAP_FAILED) munmap(worker->reserve, WORKER_ARENA_SIZE);
        free(worker);
        return NULL;
    }
    arena_init(&worker->arena, worker->reserve, WORKER_ARENA_SIZE);
    worker->workers = workers;
    worker->next = workers->first;
    workers->first = worker;
    return worker;
}

static const struct msg_task_result no_memory = {
    .outcome = OUTCOME_NOT_STARTED,
    .text = {(const uint8_t *)"no memory for another task", 26},
};

void workers_run(struct workers *workers, const struct action *action)
{
    if (briefs_run(workers->briefs, action)) return;
    struct worker *worker = worker_new(workers);
    if (worker == NULL) {
        struct event event = {.kind = EVENT_TASK_FINISHED};
        event.task_finished.token = action->task_run.token;
        event.task_finished.result = &no_memory; /* static: it may queue */
        loop_feed(workers->loop, &event);
        return;
    }
    if (copy_action(worker, action)) ask_more(worker);
    else stop_fetching(worker, OUTCOME_NOT_STARTED, "too many inputs");
}

static struct worker *find(const struct workers *workers, uint64_t token)
{
    struct worker *worker = workers->first;
    while (worker != NULL && (worker->token != token || worker->state == WORKER_CLEANING))
        worker = worker->next;
    return worker;
}

void workers_kill(struct workers *workers, uint64_t token)
{
    struct worker *worker = find(workers, token);
    if (worker == NULL || worker->is_killed) return;
    worker->is_killed = true;
    if (worker->state == WORKER_FETCHING)
        stop_fetching(worker, OUTCOME_KILLED, "stopped before it began");
    if (worker->state == WORKER_RUNNING) helper_stop(worker->helper);
}

const char *workers_directory(const struct workers *workers, uint64_t token)
{
    const struct worker *worker = find(workers, token);
    return worker == NULL ? NULL : worker->directory;
}

/* ---- all of them ---- */

enum error workers_open(struct loop *loop, struct workers **out)
{
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL) return ERROR_MEMORY;
    workers->loop = loop;
    lull_init(&workers->lull, &loop->uv);
    orphans_init(&workers->orphans);
    *out = workers;
    if (!spare_init(&workers->spare, blocks_directory(loop->blocks))) return ERROR_INVALID;
    enum error error = helpers_open(loop, &workers->helpers);
    return error == ERROR_NONE ? briefs_open(loop, workers->helpers, &workers->briefs) : error;
}

void workers_close(struct workers *workers)
{
    if (workers->briefs != NULL) briefs_close(workers->briefs);
    lull_close(&workers->lull);
    for (struct worker *worker = workers->first; worker != NULL; worker = worker->next) {
        worker->is_killed = true;
        if (worker->state == WORKER_FETCHING)
            stop_fetching(worker, OUTCOME_KILLED, "this node stops");
    }
    if (workers->helpers != NULL) helpers_close(workers->helpers);
}

void workers_free(struct workers *workers)
{
    if (workers == NULL) return;
    assert(workers->first == NULL);
    briefs_free(workers->briefs);
    helpers_free(workers->helpers);
    free(workers);
}
