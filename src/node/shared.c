/* Inputs that all nodes share (path:): no blocks are made of them, a task reads its range where it
 * lies. What may go wrong is not the task's fault: the path is not mounted there, the tasks' user
 * may not read it, or the file is another than when it was cut into splits. Such an attempt is not
 * charged; the node leaves the job's maps to others for a while, and these try. When every living
 * node has tried some range of the file in vain, the job ends with what the last of them said. A
 * node that can read it makes the job go on, however many cannot. */
#include "node/shared.h"

#include "base/plural.h"
#include "node/finish.h"
#include "node/manifests.h"

#include <stdio.h>
#include <string.h>

enum {
    BLIND = 5 * SECOND, /* a mount that is not there seldom comes within a moment */
    TRIES_MIN = 3,      /* a server that restarts answers the second or third */
};

void shared_unreadable(struct node *node, const struct running *running)
{
    struct work *work = work_of(node, &running->job);
    if (work != NULL) work->schedule.blind_until = node->now + BLIND;
}

/* Who tried this file in vain. */
struct witnesses {
    struct id nodes[LIVING_MAX / 64];
    size_t count;
    unsigned tries;
    const struct attempt *last;
    uint32_t map;
};

static void witness(struct witnesses *witnesses, const struct attempt *attempt, uint32_t map)
{
    const struct id *id = &attempt->claim.node;
    size_t max = sizeof witnesses->nodes / sizeof *witnesses->nodes, at = 0;
    witnesses->tries++;
    witnesses->last = attempt;
    witnesses->map = map;
    while (at < witnesses->count && !id_equal(&witnesses->nodes[at], id)) at++;
    if (at == witnesses->count && at < max) witnesses->nodes[witnesses->count++] = *id;
}

static bool is_unreadable(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_FAILED && attempt->end_cause == CAUSE_UNREADABLE;
}

/* The first file of the manifest that somebody could not read, and who. */
static void collect(const struct job *job, const struct msg_manifest *manifest,
                    struct witnesses *witnesses)
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t file = UINT32_MAX;
    for (uint32_t i = 0; i < manifest->blocks.count && i < job->spec.maps; i++) {
        const struct task *task = &job->tasks[TASK_MAP][i];
        if (task_committed(task) != NULL || !manifests_is_range(&blocks[i])) continue;
        if (file != UINT32_MAX && blocks[i].file != file) break;
        for (const struct attempt *a = task->attempts; a != NULL; a = a->next) {
            if (!is_unreadable(a)) continue;
            file = blocks[i].file;
            witness(witnesses, a, i);
        }
    }
}

/* Nobody who lives is left to try. In a flock too large to count them all, half a thousand will
 * do. */
static bool have_all_tried(struct node *node, const struct witnesses *witnesses)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    if (witnesses->count == sizeof witnesses->nodes / sizeof *witnesses->nodes) return true;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < witnesses->count && !id_equal(&witnesses->nodes[at], &living[i].id)) at++;
        if (at == witnesses->count) return false;
    }
    return witnesses->tries >= TRIES_MIN;
}

static void append_end(struct node *node, const struct job *job, const struct witnesses *witnesses)
{
    char name[96], text[1024];
    const struct attempt *last = witnesses->last;
    struct slice author = answers_author(node, &last->claim.node, &node->actions->arena);
    const uint8_t *newline =
        last->log.count == 0 ? NULL : memchr(last->log.at, '\n', last->log.count);
    size_t line = newline == NULL ? last->log.count : (size_t)(newline - last->log.at);
    int used =
        snprintf(text, sizeof text,
                 "task %s: of %s that live none can read its input; %.*s says: "
                 "%.*s\nmake it readable on every node (mrctl resume %s), or submit anew",
                 task_name(job, TASK_MAP, witnesses->map, 0, name),
                 plural(witnesses->count, "node").text, (int)author.count, (const char *)author.at,
                 line > 600 ? 600 : (int)line, (const char *)last->log.at, job->name);
    struct msg_ended ended = {.job = job->id,
                              .outcome = JOB_FAILED,
                              .cause = CAUSE_UNREADABLE,
                              .wall_ms = node_wall_ms(node),
                              .text = slice_of(text, (size_t)used)};
    (void)!node_append(node, &wire_ended, &ended, NULL);
}

bool shared_tick(struct node *node, struct work *work)
{
    const struct job *job = work->job;
    if (job->failed_count == 0 || job->done_count[TASK_MAP] == job->spec.maps) return false;
    if (!manifests_has_shared(node, &job->spec.manifest)) return false;
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    struct witnesses *witnesses = arena_take(&node->actions->arena, sizeof *witnesses);
    if (manifest == NULL || witnesses == NULL) return false;
    memset(witnesses, 0, sizeof *witnesses);
    collect(job, manifest, witnesses);
    if (witnesses->last == NULL || !have_all_tried(node, witnesses)) return false;
    if (!finish_is_majority(node)) return false;
    if (work->failed_since == 0) work->failed_since = node->now;
    if (living_is_turn(node, &job->id, sizeof job->id, work->failed_since))
        append_end(node, job, witnesses);
    return true;
}
