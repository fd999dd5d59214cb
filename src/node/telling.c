/* What people are told of a task that failed, without asking: the command, the node, how it ended,
 * which part of the input it had, its last words; and of one that cannot go on for now, why, and
 * what would help. */
#include "node/telling.h"

#include "base/plural.h"
#include "node/manifests.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TROUBLE_SIZE = 1024,
    HINDERED_MIN = 2, /* attempts that failed without fault of their own: once is nothing */
    COMMAND_MAX = 1000,
    LISTED_MAX = 16, /* nodes */
};

#define MRTASK_KILLED "not its command, but mrtask" /* as io/rundir.c says it */

#define COMMIT_USUAL (5 * SECOND) /* a commit that takes longer has a reason */

/* Text that grows in a piece of memory; what does not fit is cut. */
struct telling {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void say(struct telling *telling, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = telling->size - telling->used;
    int size = vsnprintf(telling->text + telling->used, room, format, arguments);
    va_end(arguments);
    if (size > 0) telling->used += (size_t)size < room ? (size_t)size : room - 1;
}

static void say_slice(struct telling *telling, struct slice bytes, size_t max)
{
    size_t count = bytes.count < max ? bytes.count : max;
    if (count > 0) say(telling, "%.*s", (int)count, (const char *)bytes.at);
}

static const char *node_name(const struct node *node, const struct attempt *attempt)
{
    const struct member *member = members_find(&node->gossip.members, &attempt->claim.node);
    return member != NULL ? member->fact->name : "a node that is gone";
}

static void say_end(struct telling *telling, const struct attempt *attempt)
{
    if (attempt->end_cause == CAUSE_SIGNALED)
        say(telling, "killed by signal %u", attempt->status - 128);
    else if (attempt->end_cause == CAUSE_EXITED) say(telling, "exit status %u", attempt->status);
    else say(telling, "%s", cause_text(attempt->end_cause));
}

/* What may help against it, where that is known: the kernel kills what takes the last of the
 * memory, a command, a child of its shell (which tells of it by its status), or mrtask. */
static void say_help(struct telling *telling, const struct attempt *attempt)
{
    enum {
        KILLED = 128 + 9 /* by nobody here: --task-timeout and the like are told as such */
    };
    bool has_ended = attempt->end_cause == CAUSE_SIGNALED || attempt->end_cause == CAUSE_EXITED;
    bool is_ours =
        attempt->end_cause == CAUSE_NO_MEMORY ||
        (attempt->log.count > 0 && memmem(attempt->log.at, attempt->log.count, MRTASK_KILLED,
                                          sizeof MRTASK_KILLED - 1) != NULL);
    if (!is_ours && !(has_ended && attempt->status == KILLED)) return;
    say(telling, "\nif memory was short: ");
    if (is_ours)
        say(telling, "sorting and merging take what --mem SIZE says (64M), and spill beyond: less "
                     "of it, fewer tasks at once (mrnode --slots), or shorter records");
    else say(telling, "--mem SIZE has each of its tasks run where so much is free");
    if (attempt->kind == TASK_REDUCE) say(telling, "; more reduces (-R) make each smaller");
}

/* The dataset that is this job's whole input; NULL: it has no name, or none any more. */
static const char *input_name(const struct node *node, const struct job *job)
{
    for (size_t i = 0; i < node->names.current_count; i++) {
        const struct naming *naming = node->names.current[i];
        if (digest_equal(&naming->manifest.digest, &job->spec.manifest.digest)) return naming->name;
    }
    return NULL;
}

/* How to have the bytes of block `index` alone: a command is mended sooner at hand than in a job.
 */
static void say_slice_alone(struct telling *telling, const char *dataset,
                            const struct msg_manifest *manifest, uint32_t index)
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    unsigned long long before = 0, size = blocks[index].block.size;
    for (uint32_t i = 0; i < index; i++) before += blocks[i].block.size;
    say(telling, "\nto have it alone: mrctl cat %s | tail -c +%llu | head -c %llu", dataset,
        before + 1, size);
}

/* A map's split: which bytes of which file. */
static void say_input(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                      struct telling *telling)
{
    if (kind == TASK_REDUCE) {
        say(telling, "\ninput: part %u of %u, of the outputs of %s", index, job->spec.reduces,
            plural(job->spec.maps, "map").text);
        return;
    }
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    if (manifest == NULL || index >= manifest->blocks.count) return;
    const struct msg_manifest_block *block =
        (const struct msg_manifest_block *)manifest->blocks.at + index;
    const char *dataset = input_name(node, job);
    say(telling, "\ninput: ");
    if (dataset != NULL) say(telling, "dataset %s, of ", dataset);
    if (block->file < manifest->files.count) {
        struct slice name = ((const struct msg_text *)manifest->files.at)[block->file].text;
        if (slice_equal(name, slice_string("-"))) name = slice_string("standard input");
        say_slice(telling, name, 500);
    }
    say(telling, ", bytes %llu to %llu", (unsigned long long)block->offset,
        (unsigned long long)(block->offset + block->block.size));
    if (dataset != NULL) say_slice_alone(telling, dataset, manifest, index);
}

static bool begins(struct slice text, const char *head)
{
    size_t size = strlen(head);
    return text.count >= size && memcmp(text.at, head, size) == 0;
}

/* The one of its commands that failed: the verdict names it, when it is not the first
 * (mapreduce/filter.c). */
static struct slice failed_command(const struct job *job, enum task_kind kind,
                                   const struct attempt *attempt)
{
    static const char variable[] = "MR_PARTITIONER=";
    const struct msg_text *items = job->spec.environment.at;
    if (kind == TASK_REDUCE) return job->spec.reducer;
    if (attempt != NULL && begins(attempt->log, "combiner: ")) return job->spec.combiner;
    bool is_partitioner = attempt != NULL && begins(attempt->log, "partitioner: ");
    for (uint32_t i = 0; is_partitioner && i < job->spec.environment.count; i++)
        if (begins(items[i].text, variable))
            return slice_of(items[i].text.at + sizeof variable - 1,
                            items[i].text.count - (sizeof variable - 1));
    return job->spec.mapper;
}

static const struct attempt *last_failure(const struct task *task)
{
    const struct attempt *last = NULL;
    for (const struct attempt *a = task->attempts; a != NULL; a = a->next)
        if (a->state == ATTEMPT_FAILED && a->charged) last = a;
    return last;
}

size_t telling_failed(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                      char *text, size_t size)
{
    struct telling telling = {text, size, 0};
    const struct task *task = &job->tasks[kind][index];
    const struct attempt *attempt = last_failure(task);
    char name[96];
    say(&telling, "task %s failed %s, last on %s: ", task_name(job, kind, index, 0, name),
        plural(task->failures, "time").text,
        attempt != NULL ? node_name(node, attempt) : "a node that is gone");
    if (attempt != NULL) say_end(&telling, attempt);
    say(&telling, "\ncommand: ");
    say_slice(&telling, failed_command(job, kind, attempt), COMMAND_MAX);
    say_input(node, job, kind, index, &telling);
    if (attempt != NULL) say_help(&telling, attempt);
    if (attempt != NULL && attempt->log.count > 0) say(&telling, "\nits last words:\n");
    if (attempt != NULL) say_slice(&telling, attempt->log, attempt->log.count);
    return telling.used;
}

/* ---- what waits ---- */

/* The last attempt, when it and one before failed through no fault of their own; NULL. */
static const struct attempt *hindered(const struct task *task)
{
    const struct attempt *last = NULL;
    unsigned count = 0;
    for (const struct attempt *a = task->attempts; a != NULL; a = a->next) {
        if (a->state == ATTEMPT_RUNNING && a->number > 0) continue;
        bool is_waiting = a->state == ATTEMPT_RELEASED && a->end_cause == CAUSE_INPUT_MISSING;
        last = is_waiting || (a->state == ATTEMPT_FAILED && !a->charged) ? a : NULL;
        count += last != NULL;
    }
    return count >= HINDERED_MIN ? last : NULL;
}

static const char *remedy(enum cause cause)
{
    if (cause == CAUSE_DISK) return "free space there, or add a node; the job goes on by itself";
    if (cause == CAUSE_UNREADABLE) return "others try it; the job ends when nobody can read it";
    if (cause == CAUSE_INPUT_MISSING) return "it is tried again where it can be read";
    return "it is tried again";
}

/* Which bytes of what a map's input is. */
static void say_bytes(struct node *node, const struct job *job, const struct msg_manifest *manifest,
                      uint32_t index, struct telling *telling)
{
    const char *dataset = input_name(node, job);
    const struct msg_manifest_block *block =
        (const struct msg_manifest_block *)manifest->blocks.at + index;
    say(telling, "bytes %llu to %llu of ", (unsigned long long)block->offset,
        (unsigned long long)(block->offset + block->block.size));
    if (block->file < manifest->files.count)
        say_slice(telling, ((const struct msg_text *)manifest->files.at)[block->file].text, 300);
    if (dataset != NULL) say(telling, " (dataset %s)", dataset);
}

/* Whether it is the input's list, a block of that, or a file of the job's. */
static void say_which(struct node *node, const struct job *job, const struct digest *digest,
                      struct telling *telling)
{
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    const struct msg_manifest_block *blocks = manifest == NULL ? NULL : manifest->blocks.at;
    for (uint32_t i = 0; blocks != NULL && i < manifest->blocks.count; i++) {
        if (!digest_equal(&blocks[i].block.digest, digest)) continue;
        say(telling, ", ");
        say_bytes(node, job, manifest, i, telling);
        return;
    }
    const char *dataset = input_name(node, job);
    if (!digest_equal(&job->spec.manifest.digest, digest)) say(telling, ", a file of the job,");
    else if (dataset == NULL) say(telling, ", the list of its input's blocks,");
    else say(telling, ", the list of blocks of dataset %s,", dataset);
}

void telling_lost(struct node *node, const struct job *job, const struct msg_block_ref *block,
                  char *text, size_t size)
{
    struct telling telling = {text, size, 0};
    char digest[DIGEST_TEXT_SIZE];
    size_t cursor = 0, count = 0;
    say(&telling, "block %.12s", digest_text(&block->digest, digest));
    say_which(node, job, &block->digest, &telling);
    say(&telling, " is held by no living node (");
    for (const struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;)
        if (member_is_living(m) && count++ < LISTED_MAX)
            say(&telling, "%s%s", count > 1 ? ", " : "", m->fact->name);
    if (count > LISTED_MAX) say(&telling, " and %zu more", count - LISTED_MAX);
    say(&telling, "): put the input again");
}

/* A map's input that nobody living gives: which bytes of what that is. */
static void say_missing(struct node *node, const struct job *job, uint32_t index,
                        struct telling *telling)
{
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    if (manifest == NULL || index >= manifest->blocks.count) return;
    say(telling, "; its input is ");
    say_bytes(node, job, manifest, index, telling);
    say(telling, ": a member that is dead may have them, see mrctl members");
}

/* All is done but the copies that make the output safe. */
static struct slice say_commit(struct node *node, const struct job *job)
{
    struct telling telling = {.size = TROUBLE_SIZE};
    const struct work *work = work_of(node, &job->id);
    if (work == NULL || work->complete_since == 0) return job->error;
    if (node->now - work->complete_since < COMMIT_USUAL) return job->error;
    telling.text = arena_take(&node->actions->arena, TROUBLE_SIZE);
    if (telling.text == NULL) return job->error;
    say(&telling,
        "all tasks are done; the end waits for %u copies of the output on living nodes: "
        "is there space on their disks? The job ends by itself",
        (unsigned)SAFE_COPIES);
    return slice_of(telling.text, telling.used);
}

struct slice telling_trouble(struct node *node, const struct job *job)
{
    char name[96];
    struct telling telling = {.size = TROUBLE_SIZE};
    enum task_kind last = job->spec.reduces > 0 ? TASK_REDUCE : TASK_MAP;
    if (job->outcome != JOB_RUNNING || !job->is_known) return job->error;
    if (job->done_count[last] == job_tasks_count(job, last)) return say_commit(node, job);
    if (job->running_count == 0) {
        telling.text = arena_take(&node->actions->arena, TROUBLE_SIZE);
        if (telling.text != NULL && room_lacks(node, job, telling.text, TROUBLE_SIZE))
            return slice_string(telling.text);
    }
    if (job->failed_count == 0) return job->error;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = job_tasks_count(job, (enum task_kind)kind);
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < count; i++) {
            const struct task *task = &job->tasks[kind][i];
            const struct attempt *attempt = task->is_done ? NULL : hindered(task);
            if (attempt == NULL) continue;
            telling.text = arena_take(&node->actions->arena, TROUBLE_SIZE);
            if (telling.text == NULL) return job->error;
            say(&telling,
                "task %s waits; on %s: ", task_name(job, (enum task_kind)kind, i, 0, name),
                node_name(node, attempt));
            const uint8_t *newline =
                attempt->log.count == 0 ? NULL : memchr(attempt->log.at, '\n', attempt->log.count);
            size_t line =
                newline == NULL ? attempt->log.count : (size_t)(newline - attempt->log.at);
            if (line == 0) say(&telling, "%s", cause_text(attempt->end_cause));
            else say_slice(&telling, attempt->log, line);
            say(&telling, ": %s", remedy(attempt->end_cause));
            if (kind == TASK_MAP && attempt->end_cause == CAUSE_INPUT_MISSING)
                say_missing(node, job, i, &telling);
            return slice_of(telling.text, telling.used);
        }
    }
    return job->error;
}
