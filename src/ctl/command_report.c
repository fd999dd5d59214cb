/* report: what became of a job, as one HTML page that needs nothing else: a timeline of attempts, a
 * row for each node, drawn as SVG; the attempts that were no first ones, and why; counters; all
 * tasks.
 *
 * Everything that somebody else wrote (names, commands, errors) goes through put(), which escapes.
 */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/attempts.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/session.h"
#include "wire/kinds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 1000,     /* of the timeline, in its own units */
    LEFT = 130,       /* of it, for nodes' names */
    LANE = 12,        /* the height of an attempt */
    LANES_MAX = 512,  /* of all nodes: attempts that overlap lie below each other */
    ROWS_MAX = 20000, /* attempts drawn and listed; how many more there are is said */
};

struct report_row {
    char task[TASK_NAME_SIZE];
    char node[65];
    uint64_t begun_ms, elapsed_ms; /* since the first claim */
    uint64_t records, size;
    uint32_t status;
    unsigned number;
    const char *state, *because; /* static: as words */
    bool is_first, is_running;
    unsigned kind;
    size_t lane; /* in the timeline */
};

struct report {
    struct report_row *rows;
    size_t count, left_out;
    char job[65];
    uint64_t length_ms;
};

/* ---- what is told ---- */

static void put(struct slice text)
{
    for (size_t i = 0; i < text.count; i++) {
        uint8_t byte = text.at[i];
        if (byte == '<') fputs("&lt;", stdout);
        else if (byte == '>') fputs("&gt;", stdout);
        else if (byte == '&') fputs("&amp;", stdout);
        else if (byte == '"') fputs("&quot;", stdout);
        else if (byte == '\'') fputs("&#39;", stdout);
        else if (byte < 0x20 && byte != '\n' && byte != '\t') fputc('?', stdout);
        else fputc(byte, stdout);
    }
}

static void put_text(const char *text) { put(slice_string(text)); }

static void put_cell(const char *text)
{
    fputs("<td>", stdout);
    put_text(text);
    fputs("</td>", stdout);
}

/* ---- what is asked ---- */

static void add(struct report *report, struct slice job, const struct msg_time_row *from)
{
    const struct msg_attempt_row *attempt = &from->attempt;
    if (report->count == ROWS_MAX) {
        report->left_out++;
        return;
    }
    struct report_row *row = &report->rows[report->count++];
    char node[ID_SHORT_SIZE];
    bool has_name = attempt->node_name.count > 0;
    *row = (struct report_row){.begun_ms = from->ago_ms, /* turned round below */
                               .elapsed_ms = attempt->elapsed_ms,
                               .records = attempt->records,
                               .size = attempt->size,
                               .status = attempt->status,
                               .number = attempt->number,
                               .kind = attempt->kind,
                               .state = attempts_state(attempt),
                               .because = attempts_cause(attempt),
                               .is_first = attempt->number <= 1,
                               .is_running = attempt->state == ATTEMPT_RUNNING};
    attempts_name(job, attempt, row->task);
    snprintf(row->node, sizeof row->node, "%.*s",
             has_name ? (int)attempt->node_name.count : ID_SHORT_SIZE - 1,
             has_name ? (const char *)attempt->node_name.at : id_short(&attempt->node, node));
    snprintf(report->job, sizeof report->job, "%.*s", (int)job.count, (const char *)job.at);
}

/* Times since the first claim; what runs still, runs until now. */
static void settle_times(struct report *report)
{
    uint64_t most = 0;
    for (size_t i = 0; i < report->count; i++)
        if (report->rows[i].begun_ms > most) most = report->rows[i].begun_ms;
    for (size_t i = 0; i < report->count; i++) {
        struct report_row *row = &report->rows[i];
        uint64_t ago = row->begun_ms;
        row->begun_ms = most - ago;
        if (row->is_running) row->elapsed_ms = ago;
        uint64_t end = row->begun_ms + row->elapsed_ms;
        if (end > report->length_ms) report->length_ms = end;
    }
    if (report->length_ms == 0) report->length_ms = 1;
}

static int gather(struct session *session, const char *name, struct report *report)
{
    struct msg_ask_times ask = {.job = slice_string(name)};
    struct wire_message reply;
    for (;;) {
        int code = session_call(session, &wire_ask_times, &ask, MSG_say_times, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_say_times *say = reply.fields;
        const struct msg_time_row *rows = say->rows.at;
        snprintf(report->job, sizeof report->job, "%.*s", (int)say->job_name.count,
                 (const char *)say->job_name.at);
        for (uint32_t i = 0; i < say->rows.count; i++) add(report, say->job_name, &rows[i]);
        if (!say->more || say->next <= ask.first) break;
        ask.first = say->next;
    }
    settle_times(report);
    return EXIT_OK;
}

/* ---- the timeline ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct report_row *one = a, *other = b;
    int order = strcmp(one->node, other->node);
    if (order != 0) return order;
    return one->begun_ms < other->begun_ms ? -1 : one->begun_ms > other->begun_ms;
}

static const char *colour(const struct report_row *row)
{
    if (strcmp(row->state, "failed") == 0) return "#c0392b";
    if (row->is_running) return "#7f8c8d";
    if (strcmp(row->state, "done") != 0) return "#e0a030";
    if (!row->is_first) return "#8e44ad";
    return row->kind == TASK_MAP ? "#2e86c1" : "#27ae60";
}

static double across(const struct report *report, uint64_t ms)
{
    return LEFT + (double)(WIDTH - LEFT) * (double)ms / (double)report->length_ms;
}

static void draw_attempt(const struct report *report, const struct report_row *row)
{
    double from = across(report, row->begun_ms);
    double width = across(report, row->begun_ms + row->elapsed_ms) - from;
    printf("<rect x='%.1f' y='%zu' width='%.1f' height='%d' fill='%s'><title>", from,
           row->lane * LANE, width < 1 ? 1 : width, LANE - 2, colour(row));
    put_text(row->task);
    printf(" on ");
    put_text(row->node);
    printf(": %s, %" PRIu64 " ms; ", row->state, row->elapsed_ms);
    put_text(row->because);
    printf("</title></rect>\n");
}

/* Rows are by node, then by time: each attempt goes into the first lane of its node that is free;
 * what finds none is not drawn. How many lanes there are. */
static size_t place(struct report *report)
{
    static uint64_t free_from[LANES_MAX];
    size_t count = 0, first = 0;
    qsort(report->rows, report->count, sizeof *report->rows, compare_rows);
    for (size_t i = 0; i < report->count; i++) {
        struct report_row *row = &report->rows[i];
        if (i == 0 || strcmp(row->node, report->rows[i - 1].node) != 0) first = count;
        row->lane = first;
        while (row->lane < count && free_from[row->lane] > row->begun_ms) row->lane++;
        if (row->lane == LANES_MAX) continue;
        if (row->lane == count) count++;
        free_from[row->lane] = row->begun_ms + row->elapsed_ms;
    }
    return count;
}

static void draw(struct report *report)
{
    size_t count = place(report);
    printf("<svg viewBox='0 0 %d %zu' role='img' aria-label='attempts by node and time'>\n", WIDTH,
           (count + 1) * LANE);
    for (size_t i = 0; i < report->count; i++) {
        const struct report_row *row = &report->rows[i];
        if (row->lane == LANES_MAX) continue;
        if (i == 0 || strcmp(row->node, report->rows[i - 1].node) != 0) {
            printf("<text x='0' y='%zu'>", row->lane * LANE + LANE - 2);
            put_text(row->node);
            printf("</text>\n");
        }
        draw_attempt(report, row);
    }
    printf("</svg>\n");
}

/* ---- tables ---- */

static void show_attempts(const struct report *report, bool again_only)
{
    char text[QUANTITY_TEXT_SIZE];
    printf("<table><tr><th>attempt<th>state<th>node<th>began<th>took<th>records<th>bytes<th>status"
           "<th>because</tr>\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct report_row *row = &report->rows[i];
        bool is_plain = row->is_first && strcmp(row->state, "done") == 0;
        if (again_only && is_plain) continue;
        fputs("<tr>", stdout);
        put_cell(row->task);
        put_cell(row->state);
        put_cell(row->node);
        put_cell(quantity_duration_text(row->begun_ms, text));
        put_cell(quantity_duration_text(row->elapsed_ms, text));
        printf("<td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%u</td>", row->records, row->size,
               row->status);
        put_cell(row->because);
        fputs("</tr>\n", stdout);
    }
    printf("</table>\n");
    if (report->left_out > 0)
        printf("<p>and %s more</p>\n", plural(report->left_out, "attempt").text);
}

static int show_counters(struct session *session, const char *name)
{
    struct msg_ask_counters ask = {.job = slice_string(name)};
    struct wire_message reply;
    int code = session_call(session, &wire_ask_counters, &ask, MSG_say_counters, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_counters *say = reply.fields;
    const struct msg_counter *counters = say->counters.at;
    if (say->counters.count == 0) return EXIT_OK;
    printf("<h2>Counters</h2>\n<table><tr><th>group<th>name<th>value</tr>\n");
    for (uint32_t i = 0; i < say->counters.count; i++) {
        printf("<tr><td>");
        put(counters[i].group);
        printf("</td><td>");
        put(counters[i].name);
        printf("</td><td>%" PRIu64 "</td></tr>\n", counters[i].value);
    }
    printf("</table>\n");
    return EXIT_OK;
}

static void show_head(const struct msg_job_row *job)
{
    char text[QUANTITY_TEXT_SIZE];
    printf("<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>\n<title>");
    put(job->name);
    printf(
        "</title>\n<style>body{font:14px sans-serif;margin:2em;max-width:70em}"
        "table{border-collapse:collapse}td,th{padding:1px 9px;text-align:left;"
        "border-bottom:1px solid #ddd}svg{width:100%%;background:#f8f8f8}"
        "svg text{font-size:10px}pre{background:#f4f4f4;padding:6px}</style></head><body>\n<h1>");
    put(job->name);
    printf("</h1>\n<p>%s after %s: maps %u of %u, reduces %u of %u; %s, %u again, %s, "
           "%u failed</p>\n",
           job_outcome_text(job->state), quantity_duration_text(job->elapsed_ms, text),
           job->maps_done, job->maps, job->reduces_done, job->reduces,
           plural(job->attempts, "attempt").text, job->reexecuted,
           plural(job->speculated, "second copy").text, job->failed);
    if (job->error.count == 0) return;
    printf("<pre>");
    put(job->error);
    printf("</pre>\n");
}

/* The job's row; false: said. */
static int show_job(struct session *session, const char *name)
{
    struct msg_ask_jobs ask = {.prefix = slice_string(name)};
    struct wire_message reply;
    int code = session_call(session, &wire_ask_jobs, &ask, MSG_say_jobs, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_jobs *say = reply.fields;
    const struct msg_job_row *rows = say->jobs.at;
    for (uint32_t i = 0; i < say->jobs.count; i++)
        if (slice_equal(rows[i].name, slice_string(name))) {
            show_head(&rows[i]);
            return EXIT_OK;
        }
    notice_line("no job is named %s: see: mrctl status", name);
    return EXIT_NOT_FOUND;
}

static int show_all(struct session *session, const char *name, struct report *report)
{
    int code = gather(session, name, report);
    if (code == EXIT_OK) code = show_job(session, report->job);
    if (code != EXIT_OK) return code;
    printf(
        "<h2>Attempts by node and time</h2>\n<p>blue: maps, green: reduces, violet: run again or a "
        "copy, red: failed, yellow: given back, freed or lost, grey: running. Times are as the "
        "node "
        "that was asked heard of them.</p>\n");
    draw(report);
    printf("<h2>What was run again, and why</h2>\n");
    show_attempts(report, true);
    code = show_counters(session, report->job);
    printf("<h2>All attempts</h2>\n");
    show_attempts(report, false);
    printf("</body></html>\n");
    return code;
}

int mrctl_report(const struct options *options)
{
    struct session *session;
    const char *name = options->arguments.items[0];
    struct report report = {.rows = calloc(ROWS_MAX, sizeof *report.rows)};
    if (report.rows == NULL) notice_no_memory();
    int code = attempts_is_short(name) ? session_open(&session, options) : EXIT_USAGE;
    if (code == EXIT_OK) {
        code = show_all(session, name, &report);
        session_close(session);
    }
    free(report.rows);
    int written = commands_flush();
    return code == EXIT_OK ? written : code;
}
