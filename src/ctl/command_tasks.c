/* tasks, logs, explain: what became of a job's tasks, from the replicated log; so also of attempts
 * on nodes that are dead. */
#include "ctl/commands.h"

#include "ctl/clock.h"
#include "ctl/difference.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/table.h"
#include "wire/kinds.h"
#include "wire/stamp.h"

#include <stdlib.h>
#include <string.h>

enum {
    TASK_NAME_SIZE = 128,
    LOGS_SEEN_MAX = 1 << 20, /* attempts that -f remembers */
};

static char letter_of(unsigned kind) { return kind == TASK_MAP ? 'm' : 'r'; }

/* "wc-3f7a/m12" */
static char *task_text(struct slice job, const struct msg_attempt_row *row,
                       char text[TASK_NAME_SIZE])
{
    snprintf(text, TASK_NAME_SIZE, "%.*s/%c%u", (int)job.count, (const char *)job.at,
             letter_of(row->kind), row->task);
    return text;
}

/* "wc-3f7a/m12.1"; a task that nobody has claimed yet is a row with number 0: "wc-3f7a/m12" */
static char *attempt_name(struct slice job, const struct msg_attempt_row *row,
                          char text[TASK_NAME_SIZE])
{
    size_t count = strlen(task_text(job, row, text));
    if (row->number > 0) snprintf(text + count, TASK_NAME_SIZE - count, ".%u", row->number);
    return text;
}

/* What a new run inherits is done without having been claimed in it. */
static bool is_unclaimed(const struct msg_attempt_row *row)
{
    return row->number == 0 && row->state != ATTEMPT_DONE && row->state != ATTEMPT_LOST;
}

static const char *state_of(const struct msg_attempt_row *row)
{
    return is_unclaimed(row) ? "waiting" : attempt_state_text(row->state);
}

static const char *cause_of(const struct msg_attempt_row *row)
{
    return is_unclaimed(row) ? "not claimed yet" : cause_text(row->cause);
}

typedef void attempt_visit(void *context, struct slice job, const struct msg_attempt_row *row,
                           bool is_last);

/* Every attempt of a job or task, in order. is_last: its task has no later one on
 * this page. */
static int each_attempt(struct session *session, const char *name, bool with_logs, void *context,
                        attempt_visit *visit)
{
    struct msg_ask_tasks ask = {.name = slice_string(name), .with_logs = with_logs};
    for (;;) {
        struct wire_message reply;
        int code = session_call(session, &wire_ask_tasks, &ask, MSG_say_tasks, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_say_tasks *say = reply.fields;
        const struct msg_attempt_row *rows = say->attempts.at;
        for (uint32_t i = 0; i < say->attempts.count; i++) {
            bool is_last = i + 1 == say->attempts.count || rows[i + 1].task != rows[i].task ||
                           rows[i + 1].kind != rows[i].kind;
            visit(context, say->job_name, &rows[i], is_last);
        }
        if (!say->more || say->next <= ask.first) return EXIT_OK;
        ask.first = say->next;
    }
}

static bool is_short(const char *word)
{
    if (strlen(word) <= 128) return true;
    notice_line("a task's name has at most 128 bytes");
    return false;
}

/* ---- tasks ---- */

struct tasks_listing {
    const struct options *options;
    struct json json;
    struct table table;
};

static void json_attempt(struct json *json, struct slice job, const struct msg_attempt_row *row)
{
    char name[TASK_NAME_SIZE], node[ID_TEXT_SIZE];
    json_open(json, '{');
    json_field_text(json, "task", task_text(job, row, name));
    json_field_text(json, "attempt", attempt_name(job, row, name));
    json_field_text(json, "kind", row->kind == TASK_MAP ? "map" : "reduce");
    json_field_number(json, "index", row->task);
    json_field_number(json, "number", row->number);
    json_field_text(json, "state", state_of(row));
    json_field_text(json, "cause", cause_of(row));
    json_field_text(json, "node", id_text(&row->node, node));
    json_field_bytes(json, "node_name", row->node_name);
    json_field_number(json, "status", row->status);
    json_field_number(json, "elapsed_ms", row->elapsed_ms);
    json_field_number(json, "records", row->records);
    json_field_number(json, "size", row->size);
    json_close(json, '}');
}

static void visit_tasks(void *context, struct slice job, const struct msg_attempt_row *row,
                        bool is_last)
{
    struct tasks_listing *listing = context;
    char name[TASK_NAME_SIZE], text[QUANTITY_TEXT_SIZE], node[ID_SHORT_SIZE];
    (void)is_last;
    if (listing->options->output == OUTPUT_JSON) {
        json_attempt(&listing->json, job, row);
        return;
    }
    attempt_name(job, row, name);
    if (listing->options->output == OUTPUT_NAME) {
        printf("%s\n", name);
        return;
    }
    table_cell(&listing->table, "%s", name);
    table_cell(&listing->table, "%s", state_of(row));
    if (row->node_name.count > 0 || is_unclaimed(row)) table_bytes(&listing->table, row->node_name);
    else table_cell(&listing->table, "%s", id_short(&row->node, node));
    table_cell(&listing->table, "%s", quantity_duration_text(row->elapsed_ms, text));
    table_cell(&listing->table, "%llu", (unsigned long long)row->records);
    table_cell(&listing->table, "%s", quantity_size_text(row->size, text));
    table_cell(&listing->table, "%u", row->status);
    table_cell(&listing->table, "%s", cause_of(row));
}

static int show_tasks(struct session *session, const struct options *options, bool *is_over)
{
    static const char *const header[] = {"ATTEMPT", "STATE",   "NODE",    ">TIME", ">RECORDS",
                                         ">SIZE",   ">STATUS", "BECAUSE", NULL};
    struct tasks_listing listing = {.options = options};
    *is_over = false;
    table_init(&listing.table, header);
    json_begin(&listing.json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&listing.json, '[');
    int code = each_attempt(session, options->arguments.items[0], false, &listing, visit_tasks);
    if (options->output == OUTPUT_JSON) {
        json_close(&listing.json, ']');
        json_end(&listing.json);
    } else if (options->output != OUTPUT_NAME && code == EXIT_OK) {
        table_print(&listing.table, stdout);
    }
    table_deinit(&listing.table);
    return code;
}

int mrctl_tasks(const struct options *options)
{
    return is_short(options->arguments.items[0]) ? commands_show(options, show_tasks) : EXIT_USAGE;
}

/* ---- logs ---- */

/* With -f: which attempts' words were printed. A log is kept when its attempt has ended, so it
 * never grows. */
struct logs_listing {
    const struct options *options;
    struct json json;
    char (*seen)[TASK_NAME_SIZE];
    size_t seen_count, seen_capacity;
};

/* True the first time. */
static bool is_new(struct logs_listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->seen_count; i++)
        if (strcmp(listing->seen[i], name) == 0) return false;
    if (listing->seen_count == LOGS_SEEN_MAX) return true;
    if (listing->seen_count == listing->seen_capacity) {
        listing->seen_capacity = listing->seen_capacity == 0 ? 64 : 2 * listing->seen_capacity;
        listing->seen = realloc(listing->seen, listing->seen_capacity * sizeof *listing->seen);
        if (listing->seen == NULL) abort();
    }
    memcpy(listing->seen[listing->seen_count++], name, TASK_NAME_SIZE);
    return true;
}

/* The last `lines` lines of text. */
static struct slice tail(struct slice text, uint32_t lines)
{
    size_t at = text.count;
    if (lines == OPTION_NONE) return text;
    if (lines == 0) return slice_of(text.at, 0);
    if (at > 0 && text.at[at - 1] == '\n') at--;
    for (; at > 0; at--)
        if (text.at[at - 1] == '\n' && --lines == 0) break;
    return slice_of(text.at + at, text.count - at);
}

static void print_lines(const char *name, struct slice text)
{
    while (text.count > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.count);
        size_t count = end == NULL ? text.count : (size_t)(end - text.at);
        printf("%s: ", name);
        fwrite(text.at, 1, count, stdout);
        putchar('\n');
        if (end == NULL) return;
        text = slice_of(end + 1, text.count - count - 1);
    }
}

static void visit_logs(void *context, struct slice job, const struct msg_attempt_row *row,
                       bool is_last)
{
    struct logs_listing *listing = context;
    char name[TASK_NAME_SIZE] = "";
    if (row->log.count == 0 || (listing->options->is_previous && is_last)) return;
    attempt_name(job, row, name);
    if (listing->options->is_follow && !is_new(listing, name)) return;
    struct slice text = tail(row->log, listing->options->tail);
    if (listing->options->output != OUTPUT_JSON) {
        print_lines(name, text);
        return;
    }
    json_open(&listing->json, '{');
    json_field_text(&listing->json, "attempt", name);
    json_field_bytes(&listing->json, "node_name", row->node_name);
    json_field_text(&listing->json, "state", state_of(row));
    json_field_bytes(&listing->json, "log", text);
    json_close(&listing->json, '}');
}

/* Does the job of this name (or of this task's name) still run? */
static bool is_running(struct session *session, const char *name)
{
    struct msg_ask_jobs ask = {.prefix = slice_of(name, strcspn(name, "/"))};
    struct wire_message reply;
    if (session_call(session, &wire_ask_jobs, &ask, MSG_say_jobs, &reply) != EXIT_OK) return false;
    const struct msg_say_jobs *say = reply.fields;
    const struct msg_job_row *rows = say->jobs.at;
    for (uint32_t i = 0; i < say->jobs.count; i++)
        if (rows[i].state == JOB_RUNNING) return true;
    return false;
}

int mrctl_logs(const struct options *options)
{
    struct logs_listing listing = {.options = options};
    struct session *session;
    const char *name = options->arguments.items[0];
    bool has_array = options->output == OUTPUT_JSON;
    int code = is_short(name) ? session_open(&session, options) : EXIT_USAGE;
    if (code != EXIT_OK) return code;
    json_begin(&listing.json, stdout);
    if (has_array) json_open(&listing.json, '[');
    for (bool goes_on = true; goes_on && code == EXIT_OK;) {
        /* Asked first: what ends after this question is printed by the round after it. */
        goes_on = options->is_follow && is_running(session, name);
        code = each_attempt(session, name, true, &listing, visit_logs);
        if (fflush(stdout) != 0) break;
        if (!goes_on) break;
        if (clock_now() >= session_connections(session)->deadline) code = EXIT_TIMED_OUT;
        clock_sleep(SECOND);
    }
    if (has_array) {
        json_close(&listing.json, ']');
        json_end(&listing.json);
    }
    int written = commands_flush();
    free(listing.seen);
    session_close(session);
    return code == EXIT_OK ? written : code;
}

/* ---- explain ---- */

static void json_story(const struct msg_story_line *lines, uint32_t count)
{
    struct json json;
    char node[ID_TEXT_SIZE];
    json_begin(&json, stdout);
    json_open(&json, '[');
    for (uint32_t i = 0; i < count; i++) {
        json_open(&json, '{');
        json_field_number(&json, "time", lines[i].stamp.time);
        json_field_text(&json, "node", id_text(&lines[i].stamp.node, node));
        json_field_bytes(&json, "node_name", lines[i].author_name);
        json_field_bytes(&json, "text", lines[i].text);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}

static void table_story(const struct msg_story_line *lines, uint32_t count)
{
    static const char *const header[] = {">TIME", "NODE", "WHAT", NULL};
    struct table table;
    char node[ID_SHORT_SIZE];
    table_init(&table, header);
    for (uint32_t i = 0; i < count; i++) {
        /* A line that is no entry (what holds now) has no stamp. */
        bool has_stamp = !stamp_is_none(&lines[i].stamp);
        if (has_stamp) table_cell(&table, "%llu", (unsigned long long)lines[i].stamp.time);
        else table_bytes(&table, slice_string(""));
        if (lines[i].author_name.count > 0 || !has_stamp) table_bytes(&table, lines[i].author_name);
        else table_cell(&table, "%s", id_short(&lines[i].stamp.node, node));
        table_bytes(&table, lines[i].text);
    }
    table_print(&table, stdout);
    table_deinit(&table);
}

/* The lines behind the last entry: what holds now. */
static struct list only_present(struct list lines)
{
    struct msg_story_line *first = lines.at;
    while (lines.count > 0 && !stamp_is_none(&first->stamp)) {
        first++;
        lines.count--;
    }
    struct msg_story_line *last = first + lines.count;
    for (struct msg_story_line *at = first; at < last; at++)
        if (!stamp_is_none(&at->stamp)) first = at + 1;
    return (struct list){first, (uint32_t)(last - first)};
}

static int show_story(struct session *session, const struct options *options, bool *is_over)
{
    struct msg_ask_explain ask = {.task = slice_string(options->arguments.items[0])};
    struct wire_message reply;
    *is_over = false;
    int code = session_call(session, &wire_ask_explain, &ask, MSG_say_story, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_story *say = reply.fields;
    struct msg_say_story pending = *say;
    if (options->is_pending) pending.lines = only_present(say->lines);
    say = &pending;
    if (options->output == OUTPUT_JSON) json_story(say->lines.at, say->lines.count);
    else table_story(say->lines.at, say->lines.count);
    if (options->output == OUTPUT_TABLE)
        difference_show(session, say->lines.at, say->lines.count, stdout);
    return EXIT_OK;
}

int mrctl_explain(const struct options *options)
{
    return is_short(options->arguments.items[0]) ? commands_show(options, show_story) : EXIT_USAGE;
}
