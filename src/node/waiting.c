/* What a job that does not end waits for (mrctl explain --pending): a line for each task that is
 * neither done nor known to run well, and before them one of the slots there are. Read off the fold
 * and the members as this node sees them, now; so the lines have no stamp. */
#include "node/manifests.h"
#include "node/state.h"

#include "base/plural.h"

#include <stdio.h>
#include <string.h>

enum {
    LINES_MAX = 1000
}; /* tasks told of; how many more there are is said */

struct telling {
    struct node *node;
    struct msg_story_line *lines;
    uint32_t count;
};

static void put(struct telling *telling, const struct id *node, const char *text)
{
    struct arena *arena = &telling->node->actions->arena;
    size_t size = strlen(text) + 1;
    char *copy = arena_take(arena, size);
    if (copy == NULL) return;
    memcpy(copy, text, size);
    struct msg_story_line *line = &telling->lines[telling->count++];
    *line = (struct msg_story_line){.text = slice_string(copy)};
    if (node != NULL) line->author_name = answers_author(telling->node, node, arena);
}

/* Slots of members that take tasks, and how many members do not. */
static void count_slots(const struct node *node, unsigned *slots, unsigned *closed)
{
    size_t cursor = 0;
    *slots = *closed = 0;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;) {
        if (!member_is_living(m)) continue;
        bool is_closed = m->fact->slots == 0 || m->state == MEMBER_SUSPECT ||
                         standing_is_degraded(node, &m->fact->id);
        *closed += is_closed;
        if (!is_closed) *slots += m->fact->slots;
    }
}

/* Attempts that run of all jobs. */
static unsigned count_running(const struct node *node)
{
    unsigned running = 0;
    for (const struct job *job = node->jobs.all; job != NULL; job = job->next)
        if (job->is_known && job->outcome == JOB_RUNNING) running += job->running_count;
    return running;
}

void waiting_text(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                  char *text, size_t size)
{
    const struct task *task = &job->tasks[kind][index];
    const struct attempt *owner = task_owner(task);
    unsigned slots, closed, running = count_running(node);
    count_slots(node, &slots, &closed);
    if (owner != NULL)
        snprintf(text, size, "running as attempt %u%s", owner->number,
                 living_has(node, &owner->claim.node) ? "" : "; its node does not answer");
    else if (kind == TASK_REDUCE && job->done_count[TASK_MAP] < job->spec.maps)
        snprintf(text, size, "waits for the maps: %u of %u are done", job->done_count[TASK_MAP],
                 job->spec.maps);
    else if (manifests_get(node, &job->spec.manifest) == NULL)
        snprintf(text, size, "waits for the list of the job's blocks");
    else if (room_lacks(node, job, text, size) || room_waits(node, job, text, size)) return;
    else if (slots == 0)
        snprintf(text, size, "no member takes tasks: %u %s draining, suspect or degraded", closed,
                 closed == 1 ? "is" : "are");
    else
        snprintf(text, size, "free; waits for a slot: next cause: %s%s",
                 cause_text(task_next_cause(task)),
                 running >= slots ? " (all slots are taken)" : "");
}

void waiting_answer(struct node *node, uint64_t stream, const struct msg_ask_explain *ask,
                    const struct job *job)
{
    struct telling telling = {.node = node};
    char text[512], name[96], reason[384];
    unsigned slots, closed, left = 0;
    telling.lines = arena_take(&node->actions->arena, (LINES_MAX + 3) * sizeof *telling.lines);
    if (telling.lines == NULL) return;
    count_slots(node, &slots, &closed);
    snprintf(text, sizeof text, "%s is %s; running: %s on %s; members that take no tasks: %u",
             job->name, job_outcome_text(job->outcome), plural(count_running(node), "attempt").text,
             plural(slots, "slot").text, closed);
    put(&telling, NULL, text);
    final_text(node, job, reason, sizeof reason);
    snprintf(text, sizeof text, "its result is %s", reason);
    if (job->outcome != JOB_RUNNING) put(&telling, NULL, text);
    for (int kind = 0; kind < 2 && job->outcome == JOB_RUNNING; kind++)
        for (uint32_t i = 0; i < job_tasks_count(job, (enum task_kind)kind); i++) {
            const struct task *task = &job->tasks[kind][i];
            if (task_committed(task) != NULL) continue;
            if (telling.count > LINES_MAX) {
                left++;
                continue;
            }
            const struct attempt *owner = task_owner(task);
            waiting_text(node, job, (enum task_kind)kind, i, reason, sizeof reason);
            snprintf(text, sizeof text, "%s: %s", task_name(job, (enum task_kind)kind, i, 0, name),
                     reason);
            put(&telling, owner == NULL ? NULL : &owner->claim.node, text);
        }
    snprintf(text, sizeof text, "and %s more", plural(left, "task").text);
    if (left > 0) put(&telling, NULL, text);
    struct msg_say_story reply = {.request = ask->request, .lines = {telling.lines, telling.count}};
    links_send(node, stream, &wire_say_story, &reply);
}
