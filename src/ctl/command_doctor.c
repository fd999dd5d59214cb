/* doctor, reach, rtt: what is wrong with the flock, and between whom; each member is asked itself.
 *
 * doctor's findings are lines of three kinds: ok, note (works, but weaker than it could), and bad
 * (something is broken; exit code 1). */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/roster.h"
#include "ctl/table.h"
#include "wire/kinds.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What was found, printed as it is. */
struct findings {
    const struct options *options;
    struct json json;
    struct table table;
    unsigned bad;
};

static void find(struct findings *findings, struct slice node, const char *kind, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

static void find(struct findings *findings, struct slice node, const char *kind, const char *format,
                 ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    findings->bad += strcmp(kind, "bad") == 0;
    if (findings->options->output == OUTPUT_JSON) {
        json_open(&findings->json, '{');
        json_field_bytes(&findings->json, "node", node);
        json_field_text(&findings->json, "kind", kind);
        json_field_text(&findings->json, "text", text);
        json_close(&findings->json, '}');
        return;
    }
    table_bytes(&findings->table, node);
    table_cell(&findings->table, "%s", kind);
    table_cell(&findings->table, "%s", text);
}

static void findings_begin(struct findings *findings, const struct options *options)
{
    static const char *const header[] = {"NODE", "KIND", "FINDING", NULL};
    *findings = (struct findings){.options = options};
    table_init(&findings->table, header);
    json_begin(&findings->json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&findings->json, '[');
}

static int findings_end(struct findings *findings)
{
    if (findings->options->output == OUTPUT_JSON) {
        json_close(&findings->json, ']');
        json_end(&findings->json);
    } else {
        table_print(&findings->table, stdout);
    }
    table_deinit(&findings->table);
    return findings->bad > 0 ? EXIT_JOB_FAILED : EXIT_OK;
}

/* ---- doctor ---- */

static uint64_t metric(const struct msg_say_info *info, const char *name)
{
    const struct msg_metric *metrics = info->metrics.at;
    for (uint32_t i = 0; i < info->metrics.count; i++)
        if (slice_equal(metrics[i].name, slice_string(name))) return metrics[i].value;
    return 0;
}

static void check_confinement(struct findings *findings, struct slice node, uint64_t parts)
{
    if ((parts & CONFINEMENT_FILES) == 0)
        find(findings, node, "note",
             "tasks may open whatever their user may: no Landlock (Linux 5.13, lsm=landlock), or "
             "mrnode --confine off");
    else if ((parts & CONFINEMENT_SIGNALS) == 0)
        find(findings, node, "note",
             "tasks may signal other processes of their user: that needs Linux 6.12");
    if ((parts & CONFINEMENT_UNPRIVILEGED) == 0)
        find(findings, node, "note", "tasks run as root: mrnode --task-user auto, or NAME");
    else if ((parts & CONFINEMENT_USER) == 0)
        find(findings, node, "note",
             "tasks share one user: one that forks for ever uses up the others' processes");
}

static void check_info(struct findings *findings, const struct msg_member_row *row,
                       const struct msg_say_info *info)
{
    struct slice name = row->claim.name;
    unsigned before = findings->bad;
    if (!slice_equal(info->version, slice_string(MR_VERSION)))
        find(findings, name, "note", "it runs version %.*s, this mrctl is " MR_VERSION,
             (int)info->version.count, (const char *)info->version.at);
    if (!id_equal(&info->node, &row->claim.node))
        find(findings, name, "bad", "another node answers at its address");
    if (row->lag > 0)
        find(findings, name, "note", "it lacks %s of the log", plural(row->lag, "entry").text);
    if (metric(info, "log_forks") > 0)
        find(findings, name, "bad",
             "two histories of one feed were seen: a copied data directory?");
    uint64_t foreign = metric(info, "datagrams_refused_key");
    if (foreign > 0)
        find(findings, name, "note", "%s came with another cluster key",
             plural(foreign, "datagram").text);
    check_confinement(findings, name, metric(info, "confinement"));
    if (findings->bad == before) find(findings, name, "ok", "it answers");
}

static void check_member(struct findings *findings, struct session *session,
                         const struct msg_member_row *row)
{
    struct msg_ask_info ask = {0};
    struct connection *connection;
    struct wire_message reply;
    char why[CONNECTION_WHY_SIZE];
    unsigned state = row->claim.state;
    if (state == MEMBER_LEFT) return;
    if (state == MEMBER_DEAD) {
        find(findings, row->claim.name, "bad", "it is dead (%.*s); never comes back? mrctl forget",
             (int)row->cause_text.count, (const char *)row->cause_text.at);
        return;
    }
    if (state != MEMBER_ALIVE || row->claim.slots == 0)
        find(findings, row->claim.name, "note", "it is %s", roster_state_text(row));
    int code =
        roster_ask(session, row, &wire_ask_info, &ask, MSG_say_info, &connection, &reply, why);
    if (code != EXIT_OK) {
        find(findings, row->claim.name, "bad", "from here it cannot be asked: %s", why);
        return;
    }
    check_info(findings, row, reply.fields);
    connection_close(connection);
}

static int show_doctor(struct session *session, const struct options *options, bool *is_over)
{
    struct roster roster;
    struct findings findings;
    size_t living = 0;
    *is_over = false;
    int code = roster_init(&roster, session);
    if (code == EXIT_OK) {
        findings_begin(&findings, options);
        for (size_t i = 0; i < roster.count; i++) {
            check_member(&findings, session, &roster.rows[i]);
            living += roster.rows[i].claim.state == MEMBER_ALIVE;
        }
        if (living == 1)
            find(&findings, slice_string("flock"), "note",
                 "one node alone: what it has is on one disk");
        code = findings_end(&findings);
    }
    roster_deinit(&roster);
    return code;
}

int mrctl_doctor(const struct options *options) { return commands_show(options, show_doctor); }

/* ---- who sees whom, and how far apart they are ---- */

/* What this member says of all others; calls visit with each row. */
static int ask_members_of(struct session *session, const struct msg_member_row *of, void *context,
                          void (*visit)(void *context, const struct msg_member_row *of,
                                        const struct msg_member_row *row))
{
    struct msg_ask_members ask = {0};
    struct connection *connection;
    struct wire_message reply;
    char why[CONNECTION_WHY_SIZE];
    int code =
        roster_ask(session, of, &wire_ask_members, &ask, MSG_say_members, &connection, &reply, why);
    if (code != EXIT_OK) {
        notice_line("%.*s: %s", (int)of->claim.name.count, (const char *)of->claim.name.at, why);
        return code;
    }
    for (bool more = true; more;) {
        const struct msg_say_members *say = reply.fields;
        const struct msg_member_row *rows = say->members.at;
        for (uint32_t i = 0; i < say->members.count; i++) visit(context, of, &rows[i]);
        more = say->more && connection_receive(connection, 5 * SECOND, &reply) == ARRIVAL_OK;
    }
    connection_close(connection);
    return EXIT_OK;
}

struct view {
    const struct options *options;
    const struct msg_member_row *wanted; /* rtt: of this one alone */
    struct json json;
    struct table table;
    unsigned doubts, shown;
};

static void visit_view(void *context, const struct msg_member_row *of,
                       const struct msg_member_row *row)
{
    struct view *view = context;
    if (id_equal(&of->claim.node, &row->claim.node) || row->claim.state == MEMBER_LEFT) return;
    if (view->wanted != NULL && !id_equal(&view->wanted->claim.node, &row->claim.node)) return;
    view->shown++;
    view->doubts += row->claim.state != MEMBER_ALIVE;
    if (view->options->output == OUTPUT_JSON) {
        json_open(&view->json, '{');
        json_field_bytes(&view->json, "from", of->claim.name);
        json_field_bytes(&view->json, "to", row->claim.name);
        json_field_text(&view->json, "state", roster_state_text(row));
        json_field_number(&view->json, "rtt_us", row->rtt_us);
        json_close(&view->json, '}');
        return;
    }
    table_bytes(&view->table, of->claim.name);
    table_bytes(&view->table, row->claim.name);
    table_cell(&view->table, "%s", roster_state_text(row));
    if (row->rtt_us == 0) table_cell(&view->table, "-");
    else table_cell(&view->table, "%.2fms", (double)row->rtt_us / 1000);
}

static void view_begin(struct view *view, const struct options *options)
{
    static const char *const header[] = {"FROM", "TO", "STATE", ">RTT", NULL};
    *view = (struct view){.options = options};
    table_init(&view->table, header);
    json_begin(&view->json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&view->json, '[');
}

static void view_end(struct view *view)
{
    if (view->options->output == OUTPUT_JSON) {
        json_close(&view->json, ']');
        json_end(&view->json);
    } else {
        table_print(&view->table, stdout);
    }
    table_deinit(&view->table);
}

static int show_reach(struct session *session, const struct options *options, bool *is_over)
{
    struct roster roster;
    struct view view;
    *is_over = false;
    int code = roster_init(&roster, session), worst = EXIT_OK;
    if (code == EXIT_OK) {
        view_begin(&view, options);
        for (size_t i = 0; i < roster.count; i++) {
            unsigned state = roster.rows[i].claim.state;
            if (state == MEMBER_DEAD || state == MEMBER_LEFT) continue;
            if (ask_members_of(session, &roster.rows[i], &view, visit_view) != EXIT_OK)
                worst = EXIT_PARTIAL;
        }
        view_end(&view);
        code = worst != EXIT_OK ? worst : view.doubts > 0 ? EXIT_JOB_FAILED : EXIT_OK;
    }
    roster_deinit(&roster);
    return code;
}

int mrctl_reach(const struct options *options) { return commands_show(options, show_reach); }

static int show_rtt(struct session *session, const struct options *options, bool *is_over)
{
    struct roster roster;
    struct view view;
    const struct msg_member_row *a = NULL, *b = NULL;
    *is_over = false;
    int code = roster_init(&roster, session);
    if (code == EXIT_OK) a = roster_find(&roster, options->arguments.items[0], &code);
    if (code == EXIT_OK) b = roster_find(&roster, options->arguments.items[1], &code);
    if (code == EXIT_OK) {
        view_begin(&view, options);
        view.wanted = b;
        code = ask_members_of(session, a, &view, visit_view);
        view_end(&view);
    }
    roster_deinit(&roster);
    return code;
}

int mrctl_rtt(const struct options *options) { return commands_show(options, show_rtt); }
