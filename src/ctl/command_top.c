/* top: members and running jobs on one screen. On a terminal it goes on until ^C, as top(1); to a
 * pipe, and as JSON, it is printed once. */
#include "ctl/commands.h"

#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/quantity.h"
#include "ctl/roster.h"
#include "ctl/table.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void json_members(struct json *json, const struct roster *roster)
{
    json_key(json, "members");
    json_open(json, '[');
    for (size_t i = 0; i < roster->count; i++) {
        const struct msg_member_row *row = &roster->rows[i];
        json_open(json, '{');
        json_field_bytes(json, "name", row->claim.name);
        json_field_text(json, "state", roster_state_text(row));
        json_field_number(json, "slots", row->claim.slots);
        json_field_number(json, "running", row->running);
        json_field_number(json, "lag", row->lag);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void table_members(const struct roster *roster)
{
    static const char *const header[] = {"NODE", "STATE", ">RUNNING", ">LAG", ">RTT", NULL};
    struct table table;
    table_init(&table, header);
    for (size_t i = 0; i < roster->count; i++) {
        const struct msg_member_row *row = &roster->rows[i];
        if (row->claim.state == MEMBER_LEFT) continue;
        table_bytes(&table, row->claim.name);
        table_cell(&table, "%s", roster_state_text(row));
        table_cell(&table, "%u/%u", row->running, row->claim.slots);
        table_cell(&table, "%llu", (unsigned long long)row->lag);
        table_cell(&table, "%.1fms", (double)row->rtt_us / 1000);
    }
    table_print(&table, stdout);
    table_deinit(&table);
}

struct jobs_view {
    struct json *json; /* NULL: the table */
    struct table table;
    unsigned running;
};

static void visit_job(struct jobs_view *view, const struct msg_job_row *row)
{
    char text[QUANTITY_TEXT_SIZE];
    if (row->state != JOB_RUNNING) return;
    view->running++;
    if (view->json != NULL) {
        json_open(view->json, '{');
        json_field_bytes(view->json, "job", row->name);
        json_field_number(view->json, "maps", row->maps);
        json_field_number(view->json, "maps_done", row->maps_done);
        json_field_number(view->json, "reduces", row->reduces);
        json_field_number(view->json, "reduces_done", row->reduces_done);
        json_field_number(view->json, "running", row->running);
        json_field_number(view->json, "failed", row->failed);
        json_field_number(view->json, "elapsed_ms", row->elapsed_ms);
        json_close(view->json, '}');
        return;
    }
    table_bytes(&view->table, row->name);
    table_cell(&view->table, "%u/%u", row->maps_done, row->maps);
    table_cell(&view->table, "%u/%u", row->reduces_done, row->reduces);
    table_cell(&view->table, "%u", row->running);
    table_cell(&view->table, "%u", row->failed);
    table_cell(&view->table, "%s", quantity_duration_text(row->elapsed_ms, text));
}

static int each_running(struct session *session, struct jobs_view *view)
{
    struct msg_ask_jobs ask = {0};
    for (;;) {
        struct wire_message reply;
        int code = session_call(session, &wire_ask_jobs, &ask, MSG_say_jobs, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_say_jobs *say = reply.fields;
        const struct msg_job_row *rows = say->jobs.at;
        for (uint32_t i = 0; i < say->jobs.count; i++) visit_job(view, &rows[i]);
        if (!say->more || say->jobs.count == 0) return EXIT_OK;
        ask.after = rows[say->jobs.count - 1].job;
    }
}

static int show_top(struct session *session, const struct options *options, bool *is_over)
{
    static const char *const header[] = {"JOB",     ">MAPS", ">REDUCES", ">RUNNING",
                                         ">FAILED", ">TIME", NULL};
    struct roster roster;
    struct json json;
    struct jobs_view view = {.json = options->output == OUTPUT_JSON ? &json : NULL};
    *is_over = false;
    int code = roster_init(&roster, session);
    if (code == EXIT_OK) {
        json_begin(&json, stdout);
        table_init(&view.table, header);
        if (view.json != NULL) {
            json_open(&json, '{');
            json_members(&json, &roster);
            json_key(&json, "jobs");
            json_open(&json, '[');
        } else {
            table_members(&roster);
            putchar('\n');
        }
        code = each_running(session, &view);
        if (view.json != NULL) {
            json_close(&json, ']');
            json_close(&json, '}');
            json_end(&json);
        } else if (view.running > 0) {
            table_print(&view.table, stdout);
        } else {
            puts("no job runs");
        }
        table_deinit(&view.table);
    }
    roster_deinit(&roster);
    return code;
}

int mrctl_top(const struct options *options)
{
    struct options again = *options;
    if (isatty(STDOUT_FILENO) != 0 && options->output != OUTPUT_JSON) again.is_watch = true;
    return commands_show(&again, show_top);
}
