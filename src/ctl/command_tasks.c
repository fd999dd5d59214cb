/* tasks, explain: what became of a job's tasks, from the replicated log; so also of attempts on
 * nodes that are dead. */
#include "ctl/commands.h"

#include "ctl/attempts.h"
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

typedef void attempt_visit(void *context, struct slice job, const struct msg_attempt_row *row,
                           bool is_last);

/* Every attempt of a job or task, in order. is_last: its task has no later one on
 * this page. */
static int each_attempt(struct session *session, const char *name, void *context,
                        attempt_visit *visit)
{
    struct msg_ask_tasks ask = {.name = slice_string(name)};
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
    json_field_text(json, "task", attempts_task(job, row, name));
    json_field_text(json, "attempt", attempts_name(job, row, name));
    json_field_text(json, "kind", row->kind == TASK_MAP ? "map" : "reduce");
    json_field_number(json, "index", row->task);
    json_field_number(json, "number", row->number);
    json_field_text(json, "state", attempts_state(row));
    json_field_text(json, "cause", attempts_cause(row));
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
    attempts_name(job, row, name);
    if (listing->options->output == OUTPUT_NAME) {
        printf("%s\n", name);
        return;
    }
    table_cell(&listing->table, "%s", name);
    table_cell(&listing->table, "%s", attempts_state(row));
    if (row->node_name.count > 0 || attempts_is_unclaimed(row))
        table_bytes(&listing->table, row->node_name);
    else table_cell(&listing->table, "%s", id_short(&row->node, node));
    table_cell(&listing->table, "%s", quantity_duration_text(row->elapsed_ms, text));
    table_cell(&listing->table, "%llu", (unsigned long long)row->records);
    table_cell(&listing->table, "%s", quantity_size_text(row->size, text));
    table_cell(&listing->table, "%u", row->status);
    table_cell(&listing->table, "%s", attempts_cause(row));
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
    int code = each_attempt(session, options->arguments.items[0], &listing, visit_tasks);
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
    return attempts_is_short(options->arguments.items[0]) ? commands_show(options, show_tasks)
                                                          : EXIT_USAGE;
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
    return attempts_is_short(options->arguments.items[0]) ? commands_show(options, show_story)
                                                          : EXIT_USAGE;
}
