/* Steering by hand: a task is to be run again or given up, an ended job is to go on, a node is to
 * be emptied. All of it is said with entries that nodes write anyway, so the fold knows nothing of
 * it, and order does not matter:
 *
 *   retry a task that runs   released: its attempt is given back
 *   retry a task that is done  lost: its done counts no longer
 *   fail a task that runs    failed, charged: as if its program had
 *   resume an ended job      a job with the same spec, and for each task that was done a done of
 *                            the new job that names the same claim: so it says where a map's
 *                            output is, and who has lost it
 *   drain                    no entry: the node claims nothing, and says that it has no slots */
#include "node/state.h"

#include <stdio.h>
#include <string.h>

enum {
    INHERITED_MAX = 20000, /* dones of one step: 3 MiB of entries. The rest runs again */
};

static void say_ok(struct node *node, uint64_t stream, uint64_t request, const char *text)
{
    struct msg_say_ok reply = {.request = request, .text = slice_string(text)};
    links_send(node, stream, &wire_say_ok, &reply);
}

/* ---- one task ---- */

static const char *give_back(struct node *node, const struct job *job, enum task_kind kind,
                             uint32_t index, const struct attempt *owner)
{
    struct msg_task_range range = {.kind = (uint8_t)kind, .first = index, .count = 1};
    struct msg_released released = {
        .job = job->id, .claim = owner->claim, .cause = CAUSE_ASKED, .ranges = {&range, 1}};
    (void)!node_append(node, &wire_released, &released, NULL);
    return "its attempt is stopped, it runs again";
}

static const char *undo(struct node *node, const struct job *job, enum task_kind kind,
                        uint32_t index, const struct attempt *committed)
{
    struct msg_lost lost = {.job = job->id,
                            .done = committed->done,
                            .kind = (uint8_t)kind,
                            .task = index,
                            .cause = CAUSE_ASKED};
    (void)!node_append(node, &wire_lost, &lost, NULL);
    return "its output counts no longer, it runs again";
}

static const char *retry_task(struct node *node, const struct job *job, enum task_kind kind,
                              uint32_t index)
{
    const struct task *task = &job->tasks[kind][index];
    const struct attempt *committed = task_committed(task), *owner = task_owner(task);
    if (committed != NULL) return undo(node, job, kind, index, committed);
    if (owner != NULL) return give_back(node, job, kind, index, owner);
    return "it waits for a slot already";
}

static const char *fail_task(struct node *node, const struct job *job, enum task_kind kind,
                             uint32_t index)
{
    const struct task *task = &job->tasks[kind][index];
    const struct attempt *owner = task_owner(task);
    if (owner == NULL || task_committed(task) != NULL) return NULL;
    struct msg_failed failed = {.job = job->id,
                                .claim = owner->claim,
                                .kind = (uint8_t)kind,
                                .task = index,
                                .charged = true,
                                .cause = CAUSE_ASKED,
                                .log = slice_string("failed by request (mrctl fail)\n")};
    (void)!node_append(node, &wire_failed, &failed, NULL);
    return "its attempt has failed by request";
}

void steer_task(struct node *node, uint64_t stream, const struct msg_ask_retry *ask)
{
    enum task_kind kind;
    uint32_t index, number;
    char name[96], text[256];
    const struct job *job =
        answers_find_task(node, stream, ask->request, ask->task, &kind, &index, &number);
    if (job == NULL) return;
    if (job->outcome != JOB_RUNNING) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      "%s has ended (%s): mrctl resume %s", job->name,
                      job_outcome_text(job->outcome), job->name);
        return;
    }
    const char *what =
        ask->is_failure ? fail_task(node, job, kind, index) : retry_task(node, job, kind, index);
    (void)task_name(job, kind, index, 0, name);
    if (what == NULL) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      "%s does not run now: only what runs can be failed", name);
        return;
    }
    node_commit(node);
    node->is_work_wanted = true;
    snprintf(text, sizeof text, "%s: %s", name, what);
    say_ok(node, stream, ask->request, text);
}

/* ---- an ended job goes on, under a new name ---- */

/* "wc-3f7a" -> "wc": the new run gets digits of its own. */
static struct slice base_name(const struct job *job)
{
    const char *dash = strrchr(job->name, '-');
    return slice_of(job->name, dash == NULL || dash == job->name ? strlen(job->name)
                                                                 : (size_t)(dash - job->name));
}

/* The task that shall run again though it was done; false: the client has been told. */
static bool find_without(struct node *node, uint64_t stream, const struct msg_ask_resume *ask,
                         struct resume *resume)
{
    uint32_t number;
    resume->without_kind = -1;
    if (ask->without.count == 0) return true;
    enum task_kind kind;
    if (answers_find_task(node, stream, ask->request, ask->without, &kind, &resume->without_index,
                          &number) == NULL)
        return false;
    resume->without_kind = (int)kind;
    return true;
}

void steer_resume(struct node *node, uint64_t stream, const struct msg_ask_resume *ask)
{
    struct resume resume = {0};
    const struct job *old = answers_find_job(node, stream, ask->request, ask->job);
    if (old == NULL || !find_without(node, stream, ask, &resume)) return;
    if (old->outcome == JOB_RUNNING || (old->outcome == JOB_DONE && ask->without.count == 0)) {
        control_error(node, stream, ask->request, CODE_CONFLICT,
                      old->outcome == JOB_RUNNING ? "%s runs: there is nothing to resume"
                                                  : "%s is done: there is nothing to resume",
                      old->name);
        return;
    }
    resume.from = old->id;
    struct msg_ask_submit_with submit = {.request = ask->request,
                                         .job = ask->id,
                                         .ack = ask->ack,
                                         .spec = old->spec,
                                         .terms = old->terms};
    submit.spec.name = base_name(old);
    submit.spec.submitted_wall_ms = node_wall_ms(node);
    struct wire_message message = {
        .type = MSG_ask_submit_with, .schema = &wire_ask_submit_with, .fields = &submit};
    pending_add_resume(node, stream, &message, &resume);
}

static void inherit_task(struct node *node, const struct resume *resume, const struct id *job,
                         const struct job *old, enum task_kind kind, uint32_t index)
{
    const struct attempt *attempt = task_committed(&old->tasks[kind][index]);
    if (attempt == NULL) return;
    if (resume->without_kind == (int)kind && resume->without_index == index) return;
    struct msg_done done = {.job = *job,
                            .claim = attempt->claim,
                            .kind = (uint8_t)kind,
                            .task = index,
                            .output = attempt->output,
                            .records = attempt->records,
                            .elapsed_ms = attempt->elapsed_ms,
                            .cause = CAUSE_INHERITED};
    (void)!node_append(node, &wire_done, &done, NULL);
}

void steer_inherit(struct node *node, const struct resume *resume, const struct id *job)
{
    const struct job *old = jobs_find(&node->jobs, &resume->from);
    uint32_t left = INHERITED_MAX;
    if (old == NULL || old->is_trimmed) return;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = kind == TASK_MAP ? old->spec.maps : old->spec.reduces;
        for (uint32_t i = 0; old->tasks[kind] != NULL && i < count && left > 0; i++, left--)
            inherit_task(node, resume, job, old, (enum task_kind)kind, i);
    }
}

/* ---- draining this node ---- */

static void set_draining(struct node *node, bool is_draining)
{
    if (node->is_draining == is_draining) return;
    node->is_draining = is_draining;
    node->is_work_wanted = node->is_living_stale = true;
    gossip_slots(&node->gossip, node->now, is_draining ? 0 : node->slots);
    trace_line(&node->trace, TRACE_INFO, is_draining ? "event=draining" : "event=undrained");
}

void steer_drain(struct node *node, uint64_t stream, const struct msg_ask_drain *ask)
{
    char text[192];
    size_t running = work_running_count(node);
    enum {
        DEADLINE_MAX = 365 * 24 * 3600
    }; /* seconds */
    uint64_t seconds = ask->deadline_ms / 1000;
    node->drain_deadline = INSTANT_NEVER;
    if (!ask->is_over && ask->has_deadline && seconds < DEADLINE_MAX)
        node->drain_deadline = node->now + (duration)ask->deadline_ms * MILLISECOND;
    set_draining(node, !ask->is_over);
    if (ask->is_over) snprintf(text, sizeof text, "%s takes tasks again", node->name);
    else
        snprintf(text, sizeof text, "%s takes no new tasks; %zu run%s", node->name, running,
                 running == 1 ? "s" : "");
    say_ok(node, stream, ask->request, text);
}

void steer_tick(struct node *node)
{
    if (node->now < node->drain_deadline) return;
    node->drain_deadline = INSTANT_NEVER;
    work_give_back(node, CAUSE_DRAINED);
}
