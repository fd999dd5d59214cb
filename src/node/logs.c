/* What attempts say on stderr, for people. The last words travel in the attempt's own entry
 * (decision 5); what is longer becomes a block, which a `logged` entry names:
 *
 *   the attempt ends here -> the block is written -> `logged`, then `done` or `failed`
 *                                   \-> the sweep (keeper.c) has it copied to a second node
 *
 * So the logs of a dead node's attempts are there, and they go with the job's tasks. While an
 * attempt runs its words are in a file that only its own node reads: who follows them asks that
 * node. */
#include "node/logs.h"

#include "tasks/logged.h"

#include <string.h>

enum {
    LOG_SIZE_MAX = 65536, /* as task_result.log has it, and the line that says how it ended */
    LOGS_PAGE = 128,      /* attempts; with 4 KiB of last words each */
    TASK_ROWS_MAX = 32,   /* attempts shown of one task */
};

/* ---- when an attempt has ended ---- */

/* The line that says how it ended comes first, as in its entry. */
static struct slice compose(struct node *node, const struct msg_task_result *result)
{
    bool has_text = result->outcome != OUTCOME_DONE && result->text.count > 0;
    size_t head = has_text ? result->text.count + 1 : 0;
    uint8_t *bytes = arena_take(&node->actions->arena, head + result->log.count);
    if (bytes == NULL) return slice_of(NULL, 0);
    if (has_text) {
        memcpy(bytes, result->text.at, result->text.count);
        bytes[head - 1] = '\n';
    }
    memcpy(bytes + head, result->log.at, result->log.count);
    return slice_of(bytes, head + result->log.count);
}

void logs_keep(struct node *node, const struct running *running,
               const struct msg_task_result *result)
{
    const struct job *job = jobs_find(&node->jobs, &running->job);
    bool has_failed = result->outcome != OUTCOME_DONE;
    size_t entry_max = has_failed ? TELLTALE_MAX / 2 : TELLTALE_MAX;
    if (result->log.count <= entry_max || result->log.count > LOG_SIZE_MAX) return;
    if (job == NULL || !logged_has_room(job, result->log.count, has_failed)) return;
    struct slice bytes = compose(node, result);
    if (bytes.count == 0) return;
    struct msg_logged logged = {.job = running->job,
                                .claim = running->claim,
                                .kind = running->kind,
                                .task = running->task,
                                .log = {.size = bytes.count}};
    node->crypto->digest(bytes, &logged.log.digest);
    struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
    action->block_write.token = node->token_next++;
    action->block_write.bytes = bytes;
    (void)!node_append(node, &wire_logged, &logged, NULL);
}

void logs_visit(struct node *node, const struct job *job,
                void (*visit)(struct node *node, const struct msg_block_ref *log))
{
    if (job->logged_size == 0) return;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = job_tasks_count(job, (enum task_kind)kind);
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < count; i++)
            for (const struct logged *at = job->tasks[kind][i].logged; at != NULL; at = at->next)
                visit(node, &at->log);
    }
}

/* ---- what mrctl asks ---- */

static void fill_row(struct node *node, enum task_kind kind, uint32_t index,
                     const struct task *task, const struct attempt *attempt,
                     struct msg_log_row *row)
{
    const struct msg_block_ref *log = logged_of(task, &attempt->claim);
    *row = (struct msg_log_row){.attempt = answers_attempt(node, kind, index, attempt, true)};
    if (log == NULL) return;
    size_t count;
    const struct msg_block_holder *holders =
        living_holders(node, &log->digest, &attempt->claim.node, 0, &count);
    row->log = *log;
    if (holders != NULL) row->holders = (struct list){(void *)(uintptr_t)holders, (uint32_t)count};
}

static void fill_task(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                      uint32_t number, struct msg_log_row *rows, uint32_t *count)
{
    if (job->tasks[kind] == NULL) return;
    const struct task *task = &job->tasks[kind][index];
    uint32_t shown = 0;
    for (const struct attempt *a = task->attempts; a != NULL && shown < TASK_ROWS_MAX; a = a->next)
        if (number == 0 || a->number == number) {
            fill_row(node, kind, index, task, a, &rows[(*count)++]);
            shown++;
        }
}

void logs_answer(struct node *node, uint64_t stream, const struct msg_ask_logs *ask)
{
    struct msg_log_row *rows = arena_take(&node->actions->arena, LOGS_PAGE * sizeof *rows);
    struct msg_say_logs reply = {.request = ask->request};
    uint32_t count = 0, index = 0, number = 0;
    enum task_kind kind = TASK_MAP;
    bool is_task = ask->name.count > 0 && memchr(ask->name.at, '/', ask->name.count) != NULL;
    const struct job *job =
        is_task ? answers_find_task(node, stream, ask->request, ask->name, &kind, &index, &number)
                : answers_find_job(node, stream, ask->request, ask->name);
    if (rows == NULL || job == NULL) return;
    uint32_t maps = job->spec.maps, total = maps + job->spec.reduces;
    if (is_task) {
        fill_task(node, job, kind, index, number, rows, &count);
    } else {
        uint32_t at = ask->first;
        for (; at < total && count + TASK_ROWS_MAX <= LOGS_PAGE; at++)
            fill_task(node, job, at < maps ? TASK_MAP : TASK_REDUCE, at < maps ? at : at - maps, 0,
                      rows, &count);
        reply.next = at;
        reply.more = at < total;
    }
    reply.job_name = slice_string(job->name);
    reply.rows = (struct list){rows, count};
    links_send(node, stream, &wire_say_logs, &reply);
}

/* Entries have no wall-clock time, so the times are those at which this node folded the claims: of
 * a node that started since, they are its start. */
static uint32_t fill_times(struct node *node, const struct job *job, enum task_kind kind,
                           uint32_t index, struct msg_time_row *rows)
{
    uint32_t count = 0;
    const struct attempt *a = job->tasks[kind] == NULL ? NULL : job->tasks[kind][index].attempts;
    for (; a != NULL && count < TASK_ROWS_MAX; a = a->next) {
        struct msg_time_row *row = &rows[count++];
        row->ago_ms = (uint64_t)((node->now - a->heard) / MILLISECOND);
        row->attempt = answers_attempt(node, kind, index, a, false);
    }
    return count;
}

void times_answer(struct node *node, uint64_t stream, const struct msg_ask_times *ask)
{
    struct msg_time_row *rows = arena_take(&node->actions->arena, LOGS_PAGE * sizeof *rows);
    const struct job *job = answers_find_job(node, stream, ask->request, ask->job);
    struct msg_say_times reply = {.request = ask->request};
    uint32_t count = 0, at = ask->first;
    if (rows == NULL || job == NULL) return;
    uint32_t maps = job->spec.maps, total = maps + job->spec.reduces;
    for (; at < total && count + TASK_ROWS_MAX <= LOGS_PAGE; at++)
        count += fill_times(node, job, at < maps ? TASK_MAP : TASK_REDUCE,
                            at < maps ? at : at - maps, rows + count);
    reply.next = at;
    reply.more = at < total;
    reply.job_name = slice_string(job->name);
    reply.rows = (struct list){rows, count};
    links_send(node, stream, &wire_say_times, &reply);
}

/* ---- while it runs ---- */

static const struct running *find_running(const struct node *node, const struct job *job,
                                          enum task_kind kind, uint32_t index, uint32_t number)
{
    for (size_t i = 0; i < node->running_end; i++) {
        const struct running *running = &node->running[i];
        if (running->token == 0 || running->kind != kind || running->task != index) continue;
        if (!id_equal(&running->job, &job->id) || job->tasks[kind] == NULL) continue;
        const struct attempt *attempt = task_attempt(&job->tasks[kind][index], &running->claim);
        if (attempt != NULL && attempt->number == number) return running;
    }
    return NULL;
}

void logs_ask_tail(struct node *node, uint64_t stream, const struct msg_ask_tail *ask)
{
    enum task_kind kind;
    uint32_t index, number;
    const struct job *job =
        answers_find_task(node, stream, ask->request, ask->attempt, &kind, &index, &number);
    if (job == NULL) return;
    const struct running *running = find_running(node, job, kind, index, number);
    if (running == NULL) {
        struct msg_say_tail nothing = {.request = ask->request, .behind = ask->behind};
        links_send(node, stream, &wire_say_tail, &nothing);
        return;
    }
    struct action *action = actions_push(node->actions, ACTION_TAIL_READ);
    action->tail_read.token = running->token;
    action->tail_read.stream = stream;
    action->tail_read.request = ask->request;
    action->tail_read.behind = ask->behind;
}

void logs_tail(struct node *node, const struct event *event)
{
    const struct link *link = links_find(node, event->tail_read.stream);
    if (link != NULL && link->purpose != CHANNEL_CLIENT) {
        progress_read(node, event);
        return;
    }
    struct msg_say_tail reply = {.request = event->tail_read.request,
                                 .is_running = event->tail_read.is_running,
                                 .behind = event->tail_read.behind,
                                 .read_size = event->tail_read.read_size,
                                 .bytes = event->tail_read.bytes};
    links_send(node, event->tail_read.stream, &wire_say_tail, &reply);
}
