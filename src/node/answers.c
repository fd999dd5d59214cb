/* What mrctl reads: rows made from the folds, as of now, by any node. Pages keep every record
 * bounded. */
#include "node/locality.h"
#include "node/state.h"
#include "node/telling.h"

#include "base/hash.h"
#include "base/plural.h"
#include "tasks/counts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MEMBERS_PAGE = 1024,
    JOBS_PAGE = 64,
    ATTEMPTS_PAGE = 256,
    LINES_MAX = 1024,
};

static int shown(struct slice text) { return text.count > 200 ? 200 : (int)text.count; }

struct job *answers_find_job(struct node *node, uint64_t stream, uint64_t request,
                             struct slice text)
{
    size_t matches = 0;
    struct job *job = jobs_find_name(&node->jobs, text, &matches);
    if (job != NULL) return job;
    if (matches == 0)
        control_error(node, stream, request, CODE_NOT_FOUND,
                      "no job is named %.*s: see: mrctl status", shown(text),
                      (const char *)text.at);
    else
        control_error(node, stream, request, CODE_USAGE,
                      "%zu jobs begin with %.*s: say more of the name", matches, shown(text),
                      (const char *)text.at);
    return NULL;
}

/* ---- members ---- */

static uint32_t running_at(const struct node *node, const struct id *id)
{
    uint32_t running = 0;
    for (const struct work *work = node->works; work != NULL; work = work->next)
        for (int kind = 0; kind < 2; kind++) {
            uint32_t count = kind == TASK_MAP ? work->job->spec.maps : work->job->spec.reduces;
            for (uint32_t i = 0; i < count; i++)
                for (const struct attempt *a = work->job->tasks[kind][i].attempts; a != NULL;
                     a = a->next)
                    running += a->state == ATTEMPT_RUNNING && a->number > 0 &&
                               id_equal(&a->claim.node, id);
        }
    return running;
}

static struct msg_member_row member_row(const struct node *node, const struct member *member)
{
    bool is_self = id_equal(&member->fact->id, &node->id);
    struct msg_member_row row = {
        .claim = member_claim(member),
        .since_ms = (uint64_t)((node->now - member->since) / MILLISECOND),
        .running =
            is_self ? (uint32_t)work_running_count(node) : running_at(node, &member->fact->id),
        .lag = heard_lag(node, member),
        .rtt_us = (uint64_t)member->rtt,
        .cause_text = slice_string(cause_text(member->cause)),
    };
    if (member->state == MEMBER_ALIVE && standing_is_degraded(node, &member->fact->id)) {
        row.claim.state = MEMBER_DEGRADED;
        row.cause_text = slice_string("held dead and back again and again: no new work");
    }
    return row;
}

void answers_members(struct node *node, uint64_t stream, const struct msg_ask_members *ask)
{
    struct msg_member_row *rows = arena_take(&node->actions->arena, MEMBERS_PAGE * sizeof *rows);
    if (rows == NULL) return;
    uint32_t count = 0;
    size_t cursor = 0;
    const struct member *member = members_next(&node->gossip.members, &cursor);
    do {
        for (count = 0; member != NULL && count < MEMBERS_PAGE;) {
            if (member->cause != CAUSE_FORGOTTEN) rows[count++] = member_row(node, member);
            member = members_next(&node->gossip.members, &cursor);
        }
        struct msg_say_members reply = {
            .request = ask->request, .more = member != NULL, .members = {rows, count}};
        links_send(node, stream, &wire_say_members, &reply);
    } while (member != NULL);
}

/* ---- jobs ---- */

static uint32_t job_running_count(const struct job *job)
{
    uint32_t running = 0;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < count; i++)
            running += task_committed(&job->tasks[kind][i]) == NULL &&
                       task_owner(&job->tasks[kind][i]) != NULL;
    }
    return running;
}

struct msg_job_row answers_job(struct node *node, const struct job *job)
{
    bool is_running = job->outcome == JOB_RUNNING;
    uint64_t until = is_running ? node_wall_ms(node) : job->ended_wall_ms;
    uint64_t from = job->spec.submitted_wall_ms;
    return (struct msg_job_row){
        .job = job->id,
        .name = slice_string(job->name),
        .state = (uint8_t)job->outcome,
        .maps = job->spec.maps,
        /* Its end stands for its tasks, which may have been cut. */
        .maps_done = job->outcome == JOB_DONE ? job->spec.maps : job->done_count[TASK_MAP],
        .reduces = job->spec.reduces,
        .reduces_done = job->outcome == JOB_DONE ? job->spec.reduces : job->done_count[TASK_REDUCE],
        .running = is_running ? job_running_count(job) : 0,
        .attempts = job->claims_count,
        .reexecuted = job->reexecuted_count,
        .speculated = job->speculated_count,
        .failed = job->failed_count,
        .elapsed_ms = until > from ? until - from : 0,
        .submitted_wall_ms = from,
        .output = job_output_name(job),
        .error = telling_trouble(node, job),
    };
}

void answers_jobs(struct node *node, uint64_t stream, const struct msg_ask_jobs *ask)
{
    struct msg_job_row *rows = arena_take(&node->actions->arena, JOBS_PAGE * sizeof *rows);
    if (rows == NULL) return;
    uint32_t count = 0;
    bool is_behind = !id_is_zero(&ask->after);
    struct msg_say_jobs reply = {.request = ask->request};
    for (const struct job *job = node->jobs.all; job != NULL; job = job->next) {
        if (is_behind) {
            is_behind = !id_equal(&job->id, &ask->after);
            continue;
        }
        struct slice name = slice_string(job->name);
        bool is_asked =
            job->is_known && name.count >= ask->prefix.count &&
            (ask->prefix.count == 0 || memcmp(name.at, ask->prefix.at, ask->prefix.count) == 0);
        if (!is_asked) continue;
        if (count == JOBS_PAGE) {
            reply.more = true;
            break;
        }
        rows[count++] = answers_job(node, job);
    }
    reply.jobs = (struct list){rows, count};
    links_send(node, stream, &wire_say_jobs, &reply);
}

void answers_counters(struct node *node, uint64_t stream, const struct msg_ask_counters *ask)
{
    struct msg_counter sums[COUNTS_MAX];
    const struct job *job = answers_find_job(node, stream, ask->request, ask->job);
    if (job == NULL) return;
    struct msg_say_counters reply = {.request = ask->request};
    reply.counters = (struct list){sums, (uint32_t)locality_counters(node, job, sums)};
    links_send(node, stream, &wire_say_counters, &reply);
}

/* ---- tasks ---- */

struct slice answers_author(const struct node *node, const struct id *id, struct arena *arena)
{
    const struct member *member = members_find(&node->gossip.members, id);
    if (member != NULL) return slice_string(member->fact->name);
    char *text = arena_take(arena, ID_SHORT_SIZE);
    return text == NULL ? slice_of(NULL, 0) : slice_string(id_short(id, text));
}

struct msg_attempt_row answers_attempt(struct node *node, enum task_kind kind, uint32_t index,
                                       const struct attempt *attempt, bool with_logs)
{
    return (struct msg_attempt_row){
        .kind = (uint8_t)kind,
        .task = index,
        .number = attempt->number,
        .state = (uint8_t)attempt->state,
        .cause = (uint8_t)(attempt->state == ATTEMPT_RUNNING ? attempt->cause : attempt->end_cause),
        .node = attempt->claim.node,
        .node_name = answers_author(node, &attempt->claim.node, &node->actions->arena),
        .status = attempt->status,
        .elapsed_ms = attempt->state == ATTEMPT_RUNNING
                          ? (uint64_t)((node->now - attempt->heard) / MILLISECOND)
                          : attempt->elapsed_ms,
        .records = attempt->records,
        .size = attempt->output.size,
        .log = with_logs ? attempt->log : slice_of(NULL, 0),
    };
}

/* Rows of the tasks from `first` on (maps, then reduces), whole tasks, until the page is full.
 * Returns where to go on. */
static uint32_t fill_attempts(struct node *node, const struct job *job,
                              const struct msg_ask_tasks *ask, struct msg_attempt_row *rows,
                              uint32_t *count)
{
    uint32_t total = job->spec.maps + job->spec.reduces;
    uint32_t at = ask->first;
    for (; at < total; at++) {
        enum task_kind kind = at < job->spec.maps ? TASK_MAP : TASK_REDUCE;
        uint32_t index = kind == TASK_MAP ? at : at - job->spec.maps;
        if (*count + 32 > ATTEMPTS_PAGE) break;
        uint32_t shown_count = 0;
        for (const struct attempt *a = job->tasks[kind] == NULL ? NULL
                                                                : job->tasks[kind][index].attempts;
             a != NULL && shown_count < 32; a = a->next, shown_count++)
            rows[(*count)++] = answers_attempt(node, kind, index, a, ask->with_logs);
        if (shown_count == 0)
            rows[(*count)++] = (struct msg_attempt_row){.kind = (uint8_t)kind, .task = index};
    }
    return at;
}

static void fill_one_task(struct node *node, const struct job *job, enum task_kind kind,
                          uint32_t index, uint32_t number, struct msg_attempt_row *rows,
                          uint32_t *count)
{
    if (job->tasks[kind] == NULL) return;
    for (const struct attempt *a = job->tasks[kind][index].attempts;
         a != NULL && *count < ATTEMPTS_PAGE; a = a->next)
        if (number == 0 || a->number == number)
            rows[(*count)++] = answers_attempt(node, kind, index, a, true);
}

struct job *answers_find_task(struct node *node, uint64_t stream, uint64_t request,
                              struct slice name, enum task_kind *kind, uint32_t *index,
                              uint32_t *number)
{
    struct slice job_part;
    if (!task_parse(name, &job_part, kind, index, number)) {
        control_error(node, stream, request, CODE_USAGE,
                      "%.*s is no task: tasks are named like wc-3f7a/m12", shown(name),
                      (const char *)name.at);
        return NULL;
    }
    struct job *job = answers_find_job(node, stream, request, job_part);
    if (job == NULL) return NULL;
    uint32_t count = *kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
    if (*index < count) return job;
    control_error(node, stream, request, CODE_NOT_FOUND, "%s has %s and %s, no %.*s", job->name,
                  plural(job->spec.maps, "map").text, plural(job->spec.reduces, "reduce").text,
                  shown(name), (const char *)name.at);
    return NULL;
}

void answers_tasks(struct node *node, uint64_t stream, const struct msg_ask_tasks *ask)
{
    struct msg_attempt_row *rows = arena_take(&node->actions->arena, ATTEMPTS_PAGE * sizeof *rows);
    if (rows == NULL) return;
    uint32_t count = 0;
    struct msg_say_tasks reply = {.request = ask->request};
    const struct job *job;
    bool is_task = ask->name.count > 0 && memchr(ask->name.at, '/', ask->name.count) != NULL;
    if (is_task) {
        enum task_kind kind;
        uint32_t index, number;
        job = answers_find_task(node, stream, ask->request, ask->name, &kind, &index, &number);
        if (job != NULL) fill_one_task(node, job, kind, index, number, rows, &count);
    } else {
        job = answers_find_job(node, stream, ask->request, ask->name);
        if (job != NULL) {
            reply.next = fill_attempts(node, job, ask, rows, &count);
            reply.more = reply.next < job->spec.maps + job->spec.reduces;
        }
    }
    if (job == NULL) return;
    if (job->is_trimmed) {
        control_error(node, stream, ask->request, CODE_NOT_FOUND,
                      "the tasks of %s are forgotten: it ended longer ago than mrnode --keep says; "
                      "how it ended: mrctl status %s",
                      job->name, job->name);
        return;
    }
    reply.job_name = slice_string(job->name);
    reply.attempts = (struct list){rows, count};
    links_send(node, stream, &wire_say_tasks, &reply);
}

/* ---- explain ---- */

struct story {
    struct node *node;
    struct msg_story_line *lines;
    uint32_t count;
};

__attribute__((format(printf, 4, 5))) static void tell(struct story *story,
                                                       const struct msg_stamp *stamp,
                                                       const struct id *author, const char *format,
                                                       ...)
{
    char text[1024];
    if (story->count == LINES_MAX) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct arena *arena = &story->node->actions->arena;
    char *copy = arena_take(arena, strlen(text) + 1);
    if (copy == NULL) return;
    memcpy(copy, text, strlen(text) + 1);
    struct msg_story_line *line = &story->lines[story->count++];
    *line = (struct msg_story_line){.text = slice_string(copy)};
    if (stamp != NULL) line->stamp = *stamp;
    if (author != NULL) line->author_name = answers_author(story->node, author, arena);
}

static void tell_end(struct story *story, const struct attempt *a)
{
    unsigned long long ms = (unsigned long long)a->elapsed_ms;
    switch (a->state) {
    case ATTEMPT_RUNNING: break;
    case ATTEMPT_DONE:
    case ATTEMPT_LOST:
        tell(story, &a->done, &a->claim.node, "attempt %u: done in %llu ms, %s, %s", a->number, ms,
             plural(a->records, "record").text, plural(a->output.size, "byte").text);
        if (a->state == ATTEMPT_LOST)
            tell(story, NULL, NULL, "attempt %u: its output was lost: %s", a->number,
                 cause_text(a->end_cause));
        break;
    case ATTEMPT_FAILED:
        tell(story, NULL, &a->claim.node, "attempt %u: failed after %llu ms: %s (%u)%s", a->number,
             ms, cause_text(a->end_cause), a->status, a->charged ? "" : "; not counted");
        break;
    case ATTEMPT_RELEASED:
        tell(story, NULL, &a->claim.node, "attempt %u: given back: %s", a->number,
             cause_text(a->end_cause));
        break;
    case ATTEMPT_DEAD:
        tell(story, NULL, &a->claim.node, "attempt %u: freed: %s", a->number,
             cause_text(a->end_cause));
        break;
    }
}

/* Its program is not deterministic. */
static void tell_difference(struct story *story, const struct job *job, const struct task *task)
{
    const struct attempt *other = task_different(task), *one = task_committed(task);
    char digest[DIGEST_TEXT_SIZE], committed[DIGEST_TEXT_SIZE];
    if (other == NULL || one == NULL || !job_is_comparable(job)) return;
    tell(story, &other->done, &other->claim.node,
         "attempt %u: its output %.12s differs from %.12s of attempt %u: see %s.differing",
         other->number, digest_text(&other->output.digest, digest),
         digest_text(&one->output.digest, committed), one->number, job->name);
}

static void tell_present(struct story *story, const struct job *job, enum task_kind kind,
                         uint32_t index)
{
    const struct task *task = &job->tasks[kind][index];
    const struct attempt *owner = task_owner(task);
    if (task_committed(task) != NULL) return;
    if (job->outcome != JOB_RUNNING)
        tell(story, NULL, NULL, "now: not done; the job has ended (%s)",
             job_outcome_text(job->outcome));
    else {
        char text[384];
        waiting_text(story->node, job, kind, index, text, sizeof text);
        tell(story, NULL, owner != NULL ? &owner->claim.node : NULL, "now: %s", text);
    }
}

static void tell_job_end(struct story *story, const struct job *job)
{
    char text[256];
    if (job->outcome == JOB_RUNNING) return;
    tell(story, &job->ended, &job->ended.node, "job %s ended: %s (%s)", job->name,
         job_outcome_text(job->outcome), cause_text(job->ended_cause));
    final_text(story->node, job, text, sizeof text);
    tell(story, NULL, NULL, "its result is %s", text);
}

void answers_explain(struct node *node, uint64_t stream, const struct msg_ask_explain *ask)
{
    enum task_kind kind;
    uint32_t index, number;
    const struct job *job;
    if (memchr(ask->task.at, '/', ask->task.count) == NULL && ask->task.count > 0) {
        job = answers_find_job(node, stream, ask->request, ask->task);
        if (job != NULL) waiting_answer(node, stream, ask, job);
        return;
    }
    job = answers_find_task(node, stream, ask->request, ask->task, &kind, &index, &number);
    if (job == NULL) return;
    struct story story = {.node = node};
    story.lines = arena_take(&node->actions->arena, LINES_MAX * sizeof *story.lines);
    if (story.lines == NULL) return;
    tell(&story, &job->stamp, &job->stamp.node, "job %s submitted: %s, %s", job->name,
         plural(job->spec.maps, "map").text, plural(job->spec.reduces, "reduce").text);
    const struct attempt *a = job->tasks[kind] == NULL ? NULL : job->tasks[kind][index].attempts;
    for (; a != NULL; a = a->next) {
        tell(&story, &a->claim, &a->claim.node, "attempt %u: claimed: %s", a->number,
             cause_text(a->cause));
        tell_end(&story, a);
    }
    if (job->tasks[kind] != NULL) {
        tell_difference(&story, job, &job->tasks[kind][index]);
        tell_present(&story, job, kind, index);
    }
    tell_job_end(&story, job);
    struct msg_say_story reply = {.request = ask->request, .lines = {story.lines, story.count}};
    links_send(node, stream, &wire_say_story, &reply);
}

/* ---- the node itself ---- */

static const char *const metric_names[METRIC_COUNT] = {
#define METRIC(name) [METRIC_##name] = #name,
#include "node/metrics.def"
#undef METRIC
};

void answers_info(struct node *node, uint64_t stream, const struct msg_ask_info *ask)
{
    const struct log_counters *log = log_counters(node->log);
    const struct gossip_counters *gossip = &node->gossip.counters;
    struct msg_metric rows[METRIC_COUNT + 24];
    uint32_t count = 0;
    for (int i = 0; i < METRIC_COUNT; i++)
        rows[count++] = (struct msg_metric){slice_string(metric_names[i]), node->metrics[i]};
    const struct {
        const char *name;
        uint64_t value;
    } more[] = {
        {"log_entries", log->entries},
        {"log_batches", log->batches},
        {"log_bytes", log->bytes},
        {"log_refused", log->refused},
        {"log_forks", log->forks},
        {"log_gaps", log->gaps},
        {"log_horizon", log->horizon},
        {"log_duplicates", log->duplicates},
        {"log_cut", log->cut},
        {"log_kept", log->kept},
        {"probes", gossip->probes},
        {"probes_failed", gossip->probes_failed},
        {"suspicions", gossip->suspicions},
        {"refutations", gossip->refutations},
        {"deaths", gossip->deaths},
        {"memory_used", node->memory.used},
        {"log_digest", log_digest(node->log)},
        {"state_digest", node_state_digest(node)},
        {"running", work_running_count(node)},
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        rows[count++] = (struct msg_metric){slice_string(more[i].name), more[i].value};
    struct msg_say_info reply = {.request = ask->request,
                                 .node = node->id,
                                 .name = slice_string(node->name),
                                 .address = node->address,
                                 .version = slice_string(MR_VERSION),
                                 .metrics = {rows, count}};
    links_send(node, stream, &wire_say_info, &reply);
}
