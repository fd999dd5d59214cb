/* The end of a job: decided by an entry, written by the first living node in line.
 *
 *   all its tasks done              ->  the output's manifest is stored, every block of it is on
 *                                       two nodes  ->  ended (done), and a name
 *   a task failed --retries times   ->  ended (failed), with its last words
 *   an input block is gone for good ->  ended (failed)
 *
 * The first in line is who made the last output: it knows first, and what the log carries of it is
 * in the feed in which the end follows. The others wait a moment for that, then their turns.
 *
 * Every node would write the same manifest, byte for byte. An output that nobody holds any more is
 * `lost`, and its task runs again. */
#include "node/finish.h"

#include "node/holders.h"
#include "node/locality.h"
#include "node/manifests.h"
#include "node/shared.h"
#include "node/smalls.h"
#include "node/state.h"
#include "node/telling.h"

#include "base/hash.h"
#include "tasks/counts.h"
#include "tasks/poison.h"

#include <stdio.h>
#include <string.h>

enum {
    WRITE_AGAIN = 3 * SECOND,      /* a manifest that the disk has not taken by then */
    FOLDED_LATE = 64,              /* dones of one step that are not folded yet */
    LAST_FIRST = 50 * MILLISECOND, /* whose output was the last has so long, alone */
    INPUT_EVERY = SECOND,          /* a walk over all tasks, for what happens once in years */
    DIFFERING_MAX = 64,            /* outputs kept because they differ: more teach nothing */
    TASK_NAME_SIZE = 96,           /* as task_name has it */
    INPUT_PATIENCE = 60 * SECOND,  /* who restarts is back by then, with the blocks it had */
    POISON_PATIENCE = 2 * SECOND,  /* who was only silent is back by then: poison.h */
};

static enum task_kind final_kind(const struct job *job)
{
    return job->spec.reduces > 0 ? TASK_REDUCE : TASK_MAP;
}

static uint32_t final_count(const struct job *job)
{
    return job->spec.reduces > 0 ? job->spec.reduces : job->spec.maps;
}

struct slice job_output_name(const struct job *job)
{
    return job->spec.output.count > 0 ? job->spec.output : slice_string(job->name);
}

/* ---- failed ---- */

static void append_failed_end(struct node *node, const struct job *job, enum task_kind kind,
                              uint32_t index)
{
    char text[8192];
    struct msg_ended ended = {.job = job->id,
                              .outcome = JOB_FAILED,
                              .cause = CAUSE_TASK_FAILED,
                              .wall_ms = node_wall_ms(node)};
    ended.text = slice_of(text, telling_failed(node, job, kind, index, text, sizeof text));
    (void)!node_append(node, &wire_ended, &ended, NULL);
}

/* True when the job is to fail; writes the entry in its turn. */
static bool fail_tick(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    if (job->failed_count < job->spec.retries || job->spec.retries == 0) return false;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
        for (uint32_t i = 0; i < count; i++) {
            if (job->tasks[kind][i].failures < job->spec.retries) continue;
            if (work->failed_since == 0) work->failed_since = node->now;
            if (living_is_turn(node, &job->id, sizeof job->id, work->failed_since))
                append_failed_end(node, job, (enum task_kind)kind, i);
            return true;
        }
    }
    return false;
}

/* ---- poison ---- */

static void append_poison_end(struct node *node, const struct job *job, enum task_kind kind,
                              uint32_t index, const struct id *victims, size_t count)
{
    char name[96], text[1024];
    struct slice command = kind == TASK_MAP ? job->spec.mapper : job->spec.reducer;
    int used = snprintf(text, sizeof text,
                        "task %s is poison: the nodes that ran it died, each alone, one after the"
                        " other:",
                        task_name(job, kind, index, 0, name));
    for (size_t i = 0; i < count; i++) {
        struct slice author = answers_author(node, &victims[i], &node->actions->arena);
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %.*s", i > 0 ? "," : "",
                         (int)author.count, (const char *)author.at);
    }
    used +=
        snprintf(text + used, sizeof text - (size_t)used, "\ncommand: %.*s\nsee: mrctl explain %s",
                 command.count > 300 ? 300 : (int)command.count, (const char *)command.at, name);
    struct msg_ended ended = {.job = job->id,
                              .outcome = JOB_FAILED,
                              .cause = CAUSE_POISON,
                              .wall_ms = node_wall_ms(node),
                              .text = slice_of(text, (size_t)used)};
    (void)!node_append(node, &wire_ended, &ended, NULL);
}

/* True when the job is to end because one of its tasks kills nodes. */
static bool poison_tick(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    struct id victims[POISON_DEATHS];
    if (job->doubted_count < POISON_DEATHS) return false;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < job_tasks_count(job, (enum task_kind)kind); i++) {
            const struct task *task = &job->tasks[kind][i];
            if (task->is_done || !poison_is_doubted(task)) continue;
            size_t count = poison_victims(&node->jobs, task, victims, POISON_DEATHS);
            if (count < POISON_DEATHS) continue;
            if (work->failed_since == 0) work->failed_since = node->now;
            instant since = work->failed_since + POISON_PATIENCE;
            if (living_is_turn(node, &job->id, sizeof job->id, since))
                append_poison_end(node, job, (enum task_kind)kind, i, victims, count);
            else if (since > node->now) node->work_next = instant_min(node->work_next, since);
            return true;
        }
    return false;
}

/* ---- its input is gone ---- */

static bool has_missed_input(const struct task *task)
{
    for (const struct attempt *a = task->attempts; a != NULL; a = a->next) {
        bool has_ended = a->state == ATTEMPT_FAILED || a->state == ATTEMPT_RELEASED;
        if (has_ended && a->end_cause == CAUSE_INPUT_MISSING) return true;
    }
    return false;
}

/* Nobody who lives has it. Asks them again first. */
static bool is_gone(struct node *node, const struct job *job, const struct msg_block_ref *block)
{
    keeper_want(node, block, job->spec.replicas, true, NULL);
    return keeper_is_lost(node, &block->digest);
}

/* The block that keeps the job from going on, because nobody who lives has it; NULL: there is
 * none. Where outputs are to be compared a map needs its input again. */
static const struct msg_block_ref *lost_input(struct node *node, const struct work *work)
{
    const struct job *job = work->job;
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    bool has_missed = false;
    if (manifest == NULL)
        return is_gone(node, job, &job->spec.manifest) ? &job->spec.manifest : NULL;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < manifest->blocks.count && i < job->spec.maps; i++) {
        const struct task *task = &job->tasks[TASK_MAP][i];
        if (task->is_verified || !has_missed_input(task)) continue;
        if (manifests_is_range(&blocks[i])) continue;
        if (is_gone(node, job, &blocks[i].block)) return &blocks[i].block;
        has_missed = true;
    }
    for (uint32_t i = 0; i < job->spec.reduces && !has_missed; i++)
        has_missed = has_missed_input(&job->tasks[TASK_REDUCE][i]);
    const struct msg_job_file *files = job->spec.files.at;
    for (uint32_t i = 0; has_missed && i < job->spec.files.count; i++)
        if (is_gone(node, job, &files[i].block)) return &files[i].block;
    return NULL;
}

/* Has somebody who lives taken this address: the same machine, with a new disk? */
static bool is_replaced(const struct node *node, const struct member *dead)
{
    size_t cursor = 0;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;)
        if (member_is_living(m) && address_equal(&m->fact->address, &dead->fact->address))
            return true;
    return false;
}

bool finish_is_majority(const struct node *node)
{
    size_t cursor = 0, dead = 0;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;)
        dead += m->state == MEMBER_DEAD && !is_replaced(node, m);
    return members_living_count(&node->gossip.members) > dead;
}

static void input_tick(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    if (node->now - work->input_checked < INPUT_EVERY) return;
    work->input_checked = node->now;
    const struct msg_block_ref *block = lost_input(node, work);
    if (block == NULL || !finish_is_majority(node)) {
        work->lost_since = 0;
        return;
    }
    if (work->lost_since == 0) work->lost_since = node->now;
    instant since = work->lost_since + INPUT_PATIENCE;
    if (!living_is_turn(node, &job->id, sizeof job->id, since)) return;
    char text[1024];
    telling_lost(node, job, block, text, sizeof text);
    struct msg_ended ended = {.job = job->id,
                              .outcome = JOB_FAILED,
                              .cause = CAUSE_INPUT_LOST,
                              .wall_ms = node_wall_ms(node),
                              .text = slice_string(text)};
    (void)!node_append(node, &wire_ended, &ended, NULL);
}

/* ---- done ---- */

static uint64_t outputs_digest(const struct job *job)
{
    uint64_t digest = 1;
    for (uint32_t i = 0; i < final_count(job); i++) {
        const struct attempt *attempt = task_committed(&job->tasks[final_kind(job)][i]);
        if (attempt == NULL) return 0;
        digest = hash64(&attempt->output.digest, sizeof attempt->output.digest, digest);
    }
    return digest;
}

/* A short list goes the way of small outputs. */
static bool carry_manifest(struct node *node, struct work *work, struct slice bytes)
{
    struct msg_small_block block = {bytes};
    work->is_list_small = bytes.count <= SMALL_LISTED_MAX &&
                          smalls_fit(node, &work->job->id, bytes.count) &&
                          smalls_append(node, &work->job->id, &block, 1) == ERROR_NONE;
    return work->is_list_small;
}

/* Encodes the manifest and has it stored; its digest is known at once. */
static bool write_manifest(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    uint32_t count = final_count(job);
    struct arena *arena = &node->actions->arena;
    struct msg_manifest_block *blocks = arena_take(arena, count * sizeof *blocks);
    if (blocks == NULL) return false;
    struct msg_manifest manifest = {.blocks = {blocks, count}};
    work->finish_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct attempt *attempt = task_committed(&job->tasks[final_kind(job)][i]);
        blocks[i] =
            (struct msg_manifest_block){.block = attempt->output, .offset = work->finish_size};
        work->finish_size += attempt->output.size;
    }
    struct msg_text file = {.text = job_output_name(job)};
    manifest.files = (struct list){&file, 1};
    struct slice bytes = wire_pack_arena(&wire_manifest, &manifest, arena);
    if (bytes.at == NULL) return false;
    node->crypto->digest(bytes, &work->finish_manifest.digest);
    work->finish_manifest.size = bytes.count;
    work->finish_written = node->now;
    if (carry_manifest(node, work, bytes)) return true;
    struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
    action->block_write.token = node->token_next++;
    action->block_write.bytes = bytes;
    return true;
}

/* Every output of the tasks whose outputs differ, each a file named like its attempt: kept as the
 * dataset JOB.differing. */
static uint32_t list_differing(const struct job *job, struct msg_text *files,
                               struct msg_manifest_block *blocks, char *names)
{
    uint32_t count = 0;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < job_tasks_count(job, (enum task_kind)kind); i++) {
            const struct task *task = &job->tasks[kind][i];
            const struct attempt *a = task->is_differing ? task->attempts : NULL;
            for (; a != NULL && count < DIFFERING_MAX; a = a->next) {
                if (a->state != ATTEMPT_DONE) continue;
                char *name = task_name(job, (enum task_kind)kind, i, a->number,
                                       names + count * TASK_NAME_SIZE);
                files[count].text = slice_string(strrchr(name, '/') + 1);
                blocks[count] = (struct msg_manifest_block){.block = a->output, .file = count};
                count++;
            }
        }
    return count;
}

static bool write_differing(struct node *node, struct work *work)
{
    struct arena *arena = &node->actions->arena;
    struct msg_manifest_block *blocks = arena_take(arena, DIFFERING_MAX * sizeof *blocks);
    struct msg_text *files = arena_take(arena, DIFFERING_MAX * sizeof *files);
    char *names = arena_take(arena, DIFFERING_MAX * TASK_NAME_SIZE);
    if (blocks == NULL || files == NULL || names == NULL) return false;
    uint32_t count = list_differing(work->job, files, blocks, names);
    struct msg_manifest manifest = {.files = {files, count}, .blocks = {blocks, count}};
    struct slice bytes = wire_pack_arena(&wire_manifest, &manifest, arena);
    if (bytes.at == NULL) return false;
    node->crypto->digest(bytes, &work->differing.digest);
    work->differing.size = bytes.count;
    work->differing_size = 0;
    for (uint32_t i = 0; i < count; i++) work->differing_size += blocks[i].block.size;
    struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
    action->block_write.token = node->token_next++;
    action->block_write.bytes = bytes;
    return true;
}

static bool is_differing(const struct job *job)
{
    return job->differing_count > 0 && job_is_comparable(job);
}

/* Of an output of this size: all that were asked for, or as many as full disks leave; but not fewer
 * than keep the result when one node dies: that much room is waited for (telling.c says so). */
static size_t safe_copies(const struct node *node, const struct job *job, uint64_t size)
{
    size_t living = living_staying(node);
    size_t least = living < SAFE_COPIES ? living : SAFE_COPIES;
    if (job->spec.replicas < least) least = job->spec.replicas;
    size_t possible = holders_possible(node, job->spec.replicas, size);
    return possible > least ? possible : least;
}

/* A manifest that was written here. */
static bool list_is_safe(struct node *node, const struct job *job,
                         const struct msg_block_ref *manifest)
{
    if (keeper_copies(node, &manifest->digest) >= safe_copies(node, job, manifest->size))
        return true;
    if (keeper_has(node, &manifest->digest))
        keeper_want(node, manifest, job->spec.replicas, true, NULL);
    return false;
}

/* True when every output is on enough nodes; asks for the missing copies, gives up what nobody has.
 */
static bool outputs_are_safe(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    bool is_safe = true;
    for (uint32_t i = 0; i < final_count(job); i++) {
        const struct attempt *attempt = task_committed(&job->tasks[final_kind(job)][i]);
        const struct msg_block_ref *output = &attempt->output;
        if (keeper_copies(node, &output->digest) >= safe_copies(node, job, output->size)) continue;
        is_safe = false;
        if (smalls_find(node, &attempt->output.digest) != NULL) continue; /* soon on two disks */
        keeper_want(node, &attempt->output, job->spec.replicas, true, &attempt->claim.node);
        if (!keeper_is_lost(node, &attempt->output.digest)) continue;
        struct msg_lost lost = {.job = job->id,
                                .done = attempt->done,
                                .kind = final_kind(job),
                                .task = i,
                                .cause = CAUSE_OWNER_DEAD};
        (void)!node_append(node, &wire_lost, &lost, NULL);
    }
    if (!work->is_list_small && !list_is_safe(node, job, &work->finish_manifest)) is_safe = false;
    if (work->differing.size > 0 && !list_is_safe(node, job, &work->differing)) is_safe = false;
    return is_safe;
}

static void append_tallied(struct node *node, const struct job *job)
{
    struct msg_counter sums[COUNTS_MAX];
    size_t count = locality_counters(node, job, sums);
    struct msg_tallied tallied = {.job = job->id, .counters = {sums, (uint32_t)count}};
    if (count > 0 && job->tally == NULL) (void)!node_append(node, &wire_tallied, &tallied, NULL);
}

/* Its tasks are not deterministic: said with the end, and both outputs are kept under a name. */
static struct slice describe_differing(struct node *node, const struct job *job)
{
    enum {
        TEXT_SIZE = 2048,
        ROOM = 256
    };
    char *text = arena_take(&node->actions->arena, TEXT_SIZE), name[96];
    if (text == NULL || !is_differing(job)) return slice_of(NULL, 0);
    int used = snprintf(text, TEXT_SIZE,
                        "%u of its tasks gave different bytes when they ran twice (mrctl explain"
                        " TASK; the outputs are in %s.differing):",
                        job->differing_count, job->name);
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < job_tasks_count(job, (enum task_kind)kind); i++) {
            if (!job->tasks[kind][i].is_differing || used > TEXT_SIZE - ROOM) continue;
            used += snprintf(text + used, TEXT_SIZE - (size_t)used, " %s",
                             task_name(job, (enum task_kind)kind, i, 0, name));
        }
    return slice_of(text, (size_t)used);
}

static void name_differing(struct node *node, const struct work *work)
{
    char name[80];
    snprintf(name, sizeof name, "%s.differing", work->job->name);
    struct msg_named named = {.name = slice_string(name),
                              .manifest = work->differing,
                              .size = work->differing_size,
                              .replicas = work->job->spec.replicas};
    named.request = work->job->id; /* another than the job's own naming, the same at every node */
    named.request.bytes[0] ^= 0xff;
    if (names_by_request(&node->names, &named.request) == NULL)
        (void)!node_append(node, &wire_named, &named, NULL);
}

static void append_done_end(struct node *node, const struct work *work)
{
    const struct job *job = work->job;
    struct msg_ended ended = {.job = job->id,
                              .outcome = JOB_DONE,
                              .cause = CAUSE_ALL_DONE,
                              .manifest = work->finish_manifest,
                              .size = work->finish_size,
                              .wall_ms = node_wall_ms(node),
                              .text = describe_differing(node, job)};
    struct msg_stamp replaced[64];
    struct slice name = job_output_name(job);
    size_t replaced_count =
        job->spec.overwrite ? names_current(&node->names, name, replaced, 64) : 0;
    struct msg_named named = {.name = name,
                              .manifest = work->finish_manifest,
                              .size = work->finish_size,
                              .replicas = job->spec.replicas,
                              .request = job->id,
                              .replaces = {replaced, (uint32_t)replaced_count}};
    append_tallied(node, job);
    if (names_by_request(&node->names, &job->id) == NULL)
        (void)!node_append(node, &wire_named, &named, NULL);
    if (work->differing.size > 0) name_differing(node, work);
    (void)!node_append(node, &wire_ended, &ended, NULL);
}

void finish_note(struct node *node, const struct job *job)
{
    if (job->done_count[final_kind(job)] + FOLDED_LATE < final_count(job)) return;
    struct work *work = work_of(node, &job->id);
    if (work == NULL) return;
    node_commit(node); /* at once, not in a step of its own */
    work->is_ours = job->done_count[final_kind(job)] == final_count(job);
}

void finish_tick(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    if (fail_tick(node, work) || poison_tick(node, work) || shared_tick(node, work)) return;
    work->failed_since = 0;
    bool is_done = job->verified_count[TASK_MAP] >= job->spec.maps &&
                   job->verified_count[TASK_REDUCE] >= job->spec.reduces;
    if (job->done_count[final_kind(job)] < final_count(job) ||
        (job_dones_wanted(job) > 1 && !is_done)) {
        work->complete_since = 0;
        work->is_ours = false;
        input_tick(node, work);
        return;
    }
    if (work->complete_since == 0) work->complete_since = node->now;
    instant since = work->complete_since + LAST_FIRST;
    if (!work->is_ours && !living_is_turn(node, &job->id, sizeof job->id, since)) {
        if (since > node->now) node->work_next = instant_min(node->work_next, since);
        return;
    }
    uint64_t digest = outputs_digest(job);
    if (digest == 0) return;
    bool is_missing = !work->is_list_small &&
                      keeper_copies(node, &work->finish_manifest.digest) == 0 &&
                      node->now - work->finish_written > WRITE_AGAIN;
    if (digest != work->finish_digest || is_missing) {
        if (!write_manifest(node, work)) return;
        if (is_differing(job) && !write_differing(node, work)) return;
        work->finish_digest = digest;
    }
    if (outputs_are_safe(node, work)) append_done_end(node, work);
}
