/* The action that starts an attempt: what mrtask is told, where the input may be had, and the
 * environment of Hadoop Streaming's contract. Everything in it follows from the job, the task and
 * the attempt; nothing from the node but its name. */
#include "node/run.h"

#include "node/manifests.h"
#include "node/smalls.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    VARIABLES_MAX = 16 + 22 + 64, /* ours, Hadoop's, and the job's at most */
    VARIABLE_SIZE = 4096,
    OUTPUT_SIZE_MAX_GIB =
        64, /* of one attempt: a program that prints for ever ends before the disk does */
};

struct environment {
    struct arena *arena;
    struct msg_text *items;
    uint32_t count;
    bool is_full;
};

__attribute__((format(printf, 2, 3))) static void set(struct environment *environment,
                                                      const char *format, ...)
{
    char text[VARIABLE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || environment->count == VARIABLES_MAX) return;
    size_t kept = (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    uint8_t *copy = arena_take(environment->arena, kept + 1);
    if (copy == NULL) {
        environment->is_full = true;
        return;
    }
    memcpy(copy, text, kept);
    environment->items[environment->count++].text = slice_of(copy, kept);
}

/* ---- Hadoop's names, new and old, for scripts that were written to them ---- */

static bool is_hadoop_wanted(const struct msg_job_spec *spec)
{
    const struct msg_text *items = spec->environment.at;
    for (uint32_t i = 0; i < spec->environment.count; i++)
        if (slice_equal(items[i].text, slice_string("MR_HADOOP_ENV=1"))) return true;
    return false;
}

/* As our names say of this attempt. Ids serve as file names: no slash. */
static void set_hadoop(struct environment *environment, const struct job *job,
                       const struct running *running, uint32_t number)
{
    bool is_map = running->kind == TASK_MAP;
    char letter = is_map ? 'm' : 'r';
    const char *is_map_text = is_map ? "true" : "false";
    set(environment, "mapreduce_job_id=%s", job->name);
    set(environment, "mapreduce_job_name=%s", job->name);
    set(environment, "mapreduce_job_maps=%u", job->spec.maps);
    set(environment, "mapreduce_job_reduces=%u", job->spec.reduces);
    set(environment, "mapreduce_task_id=%s_%c%u", job->name, letter, running->task);
    set(environment, "mapreduce_task_attempt_id=%s_%c%u_%u", job->name, letter, running->task,
        number);
    set(environment, "mapreduce_task_ismap=%s", is_map_text);
    set(environment, "mapreduce_task_partition=%u", running->task);
    set(environment, "mapred_job_id=%s", job->name);
    set(environment, "mapred_job_name=%s", job->name);
    set(environment, "mapred_map_tasks=%u", job->spec.maps);
    set(environment, "mapred_reduce_tasks=%u", job->spec.reduces);
    set(environment, "mapred_tip_id=%s_%c%u", job->name, letter, running->task);
    set(environment, "mapred_task_id=%s_%c%u_%u", job->name, letter, running->task, number);
    set(environment, "mapred_task_is_map=%s", is_map_text);
    set(environment, "mapred_task_partition=%u", running->task);
}

static void set_hadoop_input(struct environment *environment, const struct msg_manifest *manifest,
                             const struct msg_manifest_block *block)
{
    if (block->file < manifest->files.count) {
        const struct msg_text *file = (const struct msg_text *)manifest->files.at + block->file;
        int size = (int)file->text.count;
        set(environment, "mapreduce_map_input_file=%.*s", size, (const char *)file->text.at);
        set(environment, "map_input_file=%.*s", size, (const char *)file->text.at);
    }
    set(environment, "mapreduce_map_input_start=%llu", (unsigned long long)block->offset);
    set(environment, "map_input_start=%llu", (unsigned long long)block->offset);
    set(environment, "mapreduce_map_input_length=%llu", (unsigned long long)block->block.size);
    set(environment, "map_input_length=%llu", (unsigned long long)block->block.size);
}

/* ---- ours ---- */

static void set_input(struct environment *environment, const struct msg_manifest *manifest,
                      uint32_t index, bool is_hadoop)
{
    if (manifest == NULL || index >= manifest->blocks.count) return;
    const struct msg_manifest_block *block =
        (const struct msg_manifest_block *)manifest->blocks.at + index;
    if (block->file < manifest->files.count) {
        const struct msg_text *file = (const struct msg_text *)manifest->files.at + block->file;
        set(environment, "MR_INPUT=%.*s", (int)file->text.count, (const char *)file->text.at);
    }
    set(environment, "MR_OFFSET=%llu", (unsigned long long)block->offset);
    set(environment, "MR_LENGTH=%llu", (unsigned long long)block->block.size);
    if (is_hadoop) set_hadoop_input(environment, manifest, block);
}

static bool fill_environment(struct node *node, const struct work *work,
                             const struct running *running, enum cause cause, uint32_t number,
                             struct msg_task_spec *spec)
{
    const struct job *job = work->job;
    struct environment environment = {.arena = &node->actions->arena};
    environment.items = arena_take(environment.arena, VARIABLES_MAX * sizeof *environment.items);
    if (environment.items == NULL) return false;
    bool is_map = running->kind == TASK_MAP;
    char name[96];
    set(&environment, "MR_JOB=%s", job->name);
    set(&environment, "MR_TASK=%s", task_name(job, running->kind, running->task, 0, name));
    set(&environment, "MR_KIND=%s", is_map ? "map" : "reduce");
    set(&environment, "MR_INDEX=%u", running->task);
    set(&environment, "MR_COUNT=%u", is_map ? job->spec.maps : job->spec.reduces);
    set(&environment, "MR_ATTEMPT=%u", number);
    set(&environment, "MR_CAUSE=%s", cause_text(cause));
    set(&environment, "MR_NODE_NAME=%s", node->name);
    set(&environment, "MR_PARTITIONS=%u", job->spec.reduces);
    if (!is_map) set(&environment, "MR_PARTITION=%u", running->task);
    uint32_t place[2] = {running->kind, running->task};
    set(&environment, "MR_SEED=%llu",
        (unsigned long long)hash_rendezvous(&job->id, sizeof job->id, place, sizeof place));
    bool is_hadoop = is_hadoop_wanted(&job->spec);
    if (is_hadoop) set_hadoop(&environment, job, running, number);
    if (is_map)
        set_input(&environment, manifests_get(node, &job->spec.manifest), running->task, is_hadoop);
    const struct msg_text *extra = job->spec.environment.at;
    for (uint32_t i = 0; i < job->spec.environment.count; i++)
        set(&environment, "%.*s", (int)extra[i].text.count, (const char *)extra[i].text.at);
    spec->environment = (struct list){environment.items, environment.count};
    return !environment.is_full;
}

/* A range of a file that all nodes share: nothing is fetched. */
static bool fill_shared(struct node *node, const struct work *work,
                        const struct msg_manifest *manifest, const struct msg_manifest_block *block,
                        struct action *action)
{
    const struct msg_shared_file *file =
        manifests_shared(node, &work->job->spec.manifest, block->file);
    if (file == NULL || block->file >= manifest->files.count) return false;
    const struct msg_text *names = manifest->files.at;
    action->task_run.shared = (struct msg_task_input){
        .path = names[block->file].text, .offset = block->offset, .size = block->block.size};
    action->task_run.shared_file = *file;
    return true;
}

/* Bytes that the log carries come with the action; false without memory for them. */
static bool fill_small(struct node *node, struct action_input *input)
{
    const struct small *small = smalls_find(node, &input->block.digest);
    if (small == NULL) return true;
    uint8_t *bytes = arena_take(&node->actions->arena, small->size);
    if (bytes == NULL) return false;
    memcpy(bytes, small->bytes, small->size);
    input->is_small = true;
    input->bytes = slice_of(bytes, small->size);
    return true;
}

static bool fill_map_input(struct node *node, const struct work *work, uint32_t index,
                           struct action *action)
{
    const struct msg_manifest *manifest = manifests_get(node, &work->job->spec.manifest);
    struct action_input *input = arena_take(&node->actions->arena, sizeof *input);
    if (manifest == NULL || input == NULL || index >= manifest->blocks.count) return false;
    const struct msg_manifest_block *block =
        (const struct msg_manifest_block *)manifest->blocks.at + index;
    if (manifests_is_range(block)) return fill_shared(node, work, manifest, block, action);
    *input = (struct action_input){.block = block->block, .part = PART_WHOLE};
    input->holders = living_holders(node, &block->block.digest, NULL, 0, &input->holders_count);
    action->task_run.inputs = input;
    action->task_run.inputs_count = 1;
    return input->holders != NULL && fill_small(node, input);
}

static void add_holder(const struct node *node, const struct attempt *attempt,
                       struct msg_block_holder *holders, size_t *count)
{
    const struct member *member = members_find(&node->gossip.members, &attempt->claim.node);
    if (member == NULL) return;
    if (holders != NULL)
        holders[*count] = (struct msg_block_holder){member->fact->id, member->fact->address};
    ++*count;
}

/* Who made this output: the owner of the committed attempt, then those of others that have come to
 * the same bytes (second copies, verification). How many; holders NULL: counted only. */
static size_t output_holders(const struct node *node, const struct task *task,
                             const struct attempt *committed, struct msg_block_holder *holders)
{
    size_t count = 0;
    add_holder(node, committed, holders, &count);
    for (const struct attempt *a = task->attempts; a != NULL; a = a->next)
        if (a != committed && a->state == ATTEMPT_DONE &&
            digest_equal(&a->output.digest, &committed->output.digest) &&
            !id_equal(&a->claim.node, &committed->claim.node))
            add_holder(node, a, holders, &count);
    return count;
}

/* One part of each map's output, in the order of the maps: equal keys merge by (map, position). */
static bool fill_reduce_inputs(struct node *node, const struct work *work, uint32_t partition,
                               struct action *action)
{
    const struct job *job = work->job;
    struct arena *arena = &node->actions->arena;
    struct action_input *inputs = arena_take(arena, job->spec.maps * sizeof *inputs);
    if (inputs == NULL) return false;
    for (uint32_t i = 0; i < job->spec.maps; i++) {
        const struct task *task = &job->tasks[TASK_MAP][i];
        const struct attempt *attempt = task_committed(task);
        if (attempt == NULL) return false;
        inputs[i] = (struct action_input){.block = attempt->output, .part = partition};
        size_t count = output_holders(node, task, attempt, NULL);
        struct msg_block_holder *holders = arena_take(arena, count * sizeof *holders);
        if (holders == NULL) return false;
        inputs[i].holders = holders;
        inputs[i].holders_count = output_holders(node, task, attempt, holders);
    }
    action->task_run.inputs = inputs;
    action->task_run.inputs_count = job->spec.maps;
    return true;
}

/* Job files are on as many nodes as its input is; the others fetch them as they fetch that. */
static bool fill_files(struct node *node, const struct msg_job_spec *asked, struct action *action)
{
    const struct msg_job_file *files = asked->files.at;
    size_t size = asked->files.count * sizeof(struct action_input);
    struct action_input *inputs = arena_take(&node->actions->arena, size);
    if (inputs == NULL) return false;
    for (uint32_t i = 0; i < asked->files.count; i++) {
        struct action_input *input = &inputs[i];
        *input = (struct action_input){.block = files[i].block, .part = PART_WHOLE};
        input->holders =
            living_holders(node, &files[i].block.digest, NULL, 0, &input->holders_count);
        if (input->holders == NULL || !fill_small(node, input)) return false;
    }
    action->task_run.files = files;
    action->task_run.files_inputs = inputs;
    action->task_run.files_count = asked->files.count;
    return true;
}

bool run_is_brief(const struct job *job)
{
    static const char *const names[] = {"@true", "@cat", "@sort"};
    const struct msg_job_spec *spec = &job->spec;
    bool is_plain = spec->reduces == 0 && spec->combiner.count == 0 && spec->files.count == 0 &&
                    spec->partition == 0 && job->terms.cpus <= 1 && job->terms.task_memory == 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_plain && slice_equal(spec->mapper, slice_string(names[i]))) return true;
    return false;
}

bool run_attempt(struct node *node, const struct work *work, const struct running *running,
                 enum cause cause, uint32_t number)
{
    const struct job *job = work->job;
    const struct msg_job_spec *asked = &job->spec;
    bool is_map = running->kind == TASK_MAP;
    char *label = arena_take(&node->actions->arena, 96);
    if (label == NULL) return false;
    struct action action = {.kind = ACTION_TASK_RUN};
    action.task_run.token = running->token;
    action.task_run.label = task_name(job, running->kind, running->task, number, label);
    action.task_run.is_durable = !is_map || asked->reduces == 0;
    if (action.task_run.is_durable && smalls_fit(node, &job->id, SMALL_OUTPUT_MAX))
        action.task_run.small_max = SMALL_OUTPUT_MAX;
    struct msg_task_spec *spec = &action.task_run.spec;
    spec->kind = running->kind;
    spec->command = is_map ? asked->mapper : asked->reducer;
    spec->combiner = is_map ? asked->combiner : slice_of(NULL, 0);
    spec->partitions = is_map ? asked->reduces : 0;
    spec->sort = asked->sort;
    spec->partition = asked->partition;
    spec->memory_size = asked->memory_size;
    spec->timeout_ms = asked->task_timeout_ms;
    spec->output_size_max = (uint64_t)OUTPUT_SIZE_MAX_GIB << 30;
    spec->ok_exits = asked->ok_exits;
    if (!fill_environment(node, work, running, cause, number, spec)) return false;
    bool has_inputs = is_map ? fill_map_input(node, work, running->task, &action)
                             : fill_reduce_inputs(node, work, running->task, &action);
    if (!has_inputs || !fill_files(node, asked, &action)) return false;
    action.task_run.is_brief = running->is_brief && action.task_run.small_max > 0 &&
                               action.task_run.inputs_count == 1 &&
                               action.task_run.inputs[0].is_small;
    *actions_push(node->actions, ACTION_TASK_RUN) = action;
    trace_line(&node->trace, TRACE_INFO, "event=run attempt=%s cause=\"%s\"", label,
               cause_text(cause));
    return true;
}
