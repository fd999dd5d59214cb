/* members, join, leave, ping: the flock itself. */
#include "ctl/commands.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/roster.h"
#include "ctl/table.h"
#include "wire/kinds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Tags of 16,384 rows, as many as a flock can have; untouched pages cost nothing. */
enum {
    MEMBERS_SIZE = 64 << 20
};

/* ---- members ---- */

static char *incarnation_text(const struct msg_member_claim *claim, char text[48])
{
    snprintf(text, 48, "%" PRIu64 ".%" PRIu32, claim->boot.counter, claim->refutations);
    return text;
}

/* What nodes are tagged with, where it is shown. */
struct tags {
    struct msg_tags_row *rows;
    size_t count;
};

static const struct list *tags_of(const struct tags *tags, const struct id *id)
{
    static const struct list none;
    for (size_t i = 0; i < tags->count; i++)
        if (id_equal(&tags->rows[i].node, id)) return &tags->rows[i].tags;
    return &none;
}

static void json_tags(struct json *json, const struct list *list)
{
    const struct msg_tag *tags = list->at;
    json_key(json, "tags");
    json_open(json, '{');
    for (uint32_t i = 0; i < list->count; i++) {
        json_key_bytes(json, tags[i].key);
        json_bytes(json, tags[i].value);
    }
    json_close(json, '}');
}

static void table_tags(struct table *table, const struct list *list)
{
    enum {
        TEXT_SIZE = 16 * (32 + 128 + 2)
    };
    const struct msg_tag *tags = list->at;
    char text[TEXT_SIZE + 1];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < list->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s=%.*s", i == 0 ? "" : ",",
                                 (int)tags[i].key.count, (const char *)tags[i].key.at,
                                 (int)tags[i].value.count, (const char *)tags[i].value.at);
    table_bytes(table, slice_string(text));
}

static void json_member(struct json *json, const struct msg_member_row *row,
                        const struct tags *tags)
{
    const struct msg_member_claim *claim = &row->claim;
    char id[ID_TEXT_SIZE], address[ADDRESS_TEXT_SIZE], incarnation[48];
    json_open(json, '{');
    json_field_text(json, "id", id_text(&claim->node, id));
    json_field_bytes(json, "name", claim->name);
    json_field_text(json, "address", address_text(&claim->address, address));
    json_field_text(json, "state", roster_state_text(row));
    json_field_text(json, "incarnation", incarnation_text(claim, incarnation));
    json_field_number(json, "since_ms", row->since_ms);
    json_field_number(json, "slots", claim->slots);
    json_field_number(json, "running", row->running);
    json_field_number(json, "lag", row->lag);
    json_field_number(json, "rtt_us", row->rtt_us);
    json_tags(json, tags_of(tags, &claim->node));
    if (row->cause_text.count > 0) json_field_bytes(json, "cause", row->cause_text);
    else json_field_text(json, "cause", cause_text(claim->cause));
    json_close(json, '}');
}

/* tags: NULL = the narrow table. */
static void table_member(struct table *table, const struct msg_member_row *row,
                         const struct tags *tags)
{
    const struct msg_member_claim *claim = &row->claim;
    char id[ID_SHORT_SIZE], address[ADDRESS_TEXT_SIZE], text[QUANTITY_TEXT_SIZE], incarnation[48];
    table_bytes(table, claim->name);
    table_cell(table, "%s", id_short(&claim->node, id));
    table_cell(table, "%s", address_text(&claim->address, address));
    table_cell(table, "%s", roster_state_text(row));
    table_cell(table, "%s", quantity_duration_text(row->since_ms, text));
    table_cell(table, "%u/%u", row->running, (unsigned)claim->slots);
    if (tags != NULL) {
        table_cell(table, "%s", incarnation_text(claim, incarnation));
        table_cell(table, "%" PRIu64, row->lag);
        table_tags(table, tags_of(tags, &claim->node));
    }
    table_cell(table, "%.1fms", (double)row->rtt_us / 1000);
    if (row->cause_text.count > 0) table_bytes(table, row->cause_text);
    else table_cell(table, "%s", cause_text(claim->cause));
}

static int collect_tags(struct session *session, struct arena *arena, struct tags *tags,
                        size_t rows_max)
{
    struct msg_ask_tags ask = {0};
    struct wire_message reply;
    unsigned moves = session_moves(session);
    session_ask(session, &wire_ask_tags, &ask, SESSION_PATIENCE);
    for (bool more = true; more;) {
        int code = session_reply(session, MSG_say_tags, &reply);
        if (code != EXIT_OK) return session_complain(session, code);
        const struct msg_say_tags *say = reply.fields;
        const struct msg_tags_row *items = say->nodes.at;
        if (session_moves(session) != moves) tags->count = 0; /* another peer, from the start */
        moves = session_moves(session);
        for (uint32_t i = 0; i < say->nodes.count && tags->count < rows_max; i++)
            if (wire_copy(&wire_tags_row, &tags->rows[tags->count], &items[i], arena))
                tags->count++;
        more = say->more;
    }
    return EXIT_OK;
}

static void print_members(const struct options *options, const struct msg_member_row *rows,
                          size_t count, const struct tags *tags)
{
    static const char *const brief[] = {"NAME",     "ID",   "ADDRESS", "STATE", ">SINCE",
                                        ">RUNNING", ">RTT", "BECAUSE", NULL};
    static const char *const wide[] = {"NAME",   "ID",       "ADDRESS",     "STATE",
                                       ">SINCE", ">RUNNING", "INCARNATION", ">LAG",
                                       "TAGS",   ">RTT",     "BECAUSE",     NULL};
    bool is_wide = options->output == OUTPUT_WIDE;
    struct table table;
    struct json json;
    table_init(&table, is_wide ? wide : brief);
    json_begin(&json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        const struct slice name = rows[i].claim.name;
        if (options->output == OUTPUT_JSON) json_member(&json, &rows[i], tags);
        else if (options->output == OUTPUT_NAME)
            printf("%.*s\n", (int)name.count, (const char *)name.at);
        else table_member(&table, &rows[i], is_wide ? tags : NULL);
    }
    if (options->output == OUTPUT_JSON) {
        json_close(&json, ']');
        json_end(&json);
    } else if (options->output != OUTPUT_NAME) {
        table_print(&table, stdout);
    }
    table_deinit(&table);
}

static int show_members(struct session *session, const struct options *options, bool *is_over)
{
    enum {
        ROWS_MAX = 16384
    };
    struct arena arena;
    struct roster roster;
    void *memory = malloc(MEMBERS_SIZE);
    struct tags tags = {.rows = malloc(ROWS_MAX * sizeof *tags.rows)};
    if (memory == NULL || tags.rows == NULL) notice_no_memory();
    arena_init(&arena, memory, MEMBERS_SIZE);
    *is_over = false;
    int code = roster_init(&roster, session);
    bool has_tags = options->output == OUTPUT_JSON || options->output == OUTPUT_WIDE;
    if (code == EXIT_OK && has_tags) code = collect_tags(session, &arena, &tags, ROWS_MAX);
    if (code == EXIT_OK) print_members(options, roster.rows, roster.count, &tags);
    roster_deinit(&roster);
    free(tags.rows);
    free(memory);
    return code;
}

int mrctl_members(const struct options *options) { return commands_show(options, show_members); }

/* ---- join and leave ---- */

/* A request that is answered by say_ok; its text goes to stderr. */
static int call_ok(const struct options *options, const struct wire_schema *schema, void *fields)
{
    struct session *session;
    struct wire_message reply;
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    code = session_call(session, schema, fields, MSG_say_ok, &reply);
    if (code == EXIT_OK && !options->is_quiet) {
        const struct msg_say_ok *say = reply.fields;
        if (say->text.count > 0)
            notice_line("%.*s", (int)say->text.count, (const char *)say->text.at);
    }
    session_close(session);
    return code;
}

int mrctl_join(const struct options *options)
{
    char host[CONNECTION_ADDRESS_SIZE], port[8];
    const char *address = options->arguments.items[0];
    struct msg_ask_join ask = {.host = slice_string(address)};
    if (!connection_parse(address, host, port) || ask.host.count > 255) {
        notice_line("join takes HOST:PORT, not %s", address);
        return EXIT_USAGE;
    }
    return call_ok(options, &wire_ask_join, &ask);
}

/* This peer and no other: should it not be there, or end, another one must not leave in its place.
 */
int mrctl_leave(const struct options *options)
{
    struct msg_ask_leave ask = {0};
    struct options alone = *options;
    struct session *session;
    struct wire_message reply;
    alone.is_alone = options->node != NULL;
    int code = session_open(&session, &alone);
    if (code != EXIT_OK) return code;
    alone.is_alone = true;
    if (!options->is_quiet && !options->is_now)
        notice_line("%s leaves as soon as others have its blocks (without them: --now)",
                    session_peer(session));
    code = session_call(session, options->is_now ? &wire_ask_leave_now : &wire_ask_leave, &ask,
                        MSG_say_ok, &reply);
    if (code == EXIT_OK && !options->is_quiet) {
        const struct msg_say_ok *say = reply.fields;
        notice_line("%.*s", (int)say->text.count, (const char *)say->text.at);
    }
    session_close(session);
    return code;
}

int mrctl_forget(const struct options *options)
{
    struct msg_ask_forget ask = {.node = slice_string(options->arguments.items[0])};
    if (ask.node.count == 0 || ask.node.count > 64) {
        notice_line("forget takes a member's name or id");
        return EXIT_USAGE;
    }
    return call_ok(options, &wire_ask_forget, &ask);
}

/* ---- ping ---- */

static void json_info(const struct msg_say_info *info, duration elapsed)
{
    struct json json;
    char id[ID_TEXT_SIZE], address[ADDRESS_TEXT_SIZE], key[65];
    const struct msg_metric *metrics = info->metrics.at;
    json_begin(&json, stdout);
    json_open(&json, '{');
    json_field_text(&json, "id", id_text(&info->node, id));
    json_field_bytes(&json, "name", info->name);
    json_field_text(&json, "address", address_text(&info->address, address));
    json_field_bytes(&json, "version", info->version);
    json_field_number(&json, "rtt_us", (uint64_t)elapsed);
    json_key(&json, "metrics");
    json_open(&json, '{');
    for (uint32_t i = 0; i < info->metrics.count; i++) {
        snprintf(key, sizeof key, "%.*s", (int)metrics[i].name.count,
                 (const char *)metrics[i].name.at);
        json_field_number(&json, key, metrics[i].value);
    }
    json_close(&json, '}');
    json_close(&json, '}');
    json_end(&json);
}

static void table_info(const struct msg_say_info *info, duration elapsed, bool is_wide)
{
    static const char *const header[] = {"NAME", "ID", "ADDRESS", "VERSION", ">RTT", NULL};
    static const char *const counters[] = {"COUNTER", ">VALUE", NULL};
    struct table table;
    char id[ID_SHORT_SIZE], address[ADDRESS_TEXT_SIZE];
    const struct msg_metric *metrics = info->metrics.at;
    table_init(&table, header);
    table_bytes(&table, info->name);
    table_cell(&table, "%s", id_short(&info->node, id));
    table_cell(&table, "%s", address_text(&info->address, address));
    table_bytes(&table, info->version);
    table_cell(&table, "%.2fms", (double)elapsed / MILLISECOND);
    table_print(&table, stdout);
    table_deinit(&table);
    if (!is_wide) return;
    table_init(&table, counters);
    for (uint32_t i = 0; i < info->metrics.count; i++) {
        table_bytes(&table, metrics[i].name);
        table_cell(&table, "%" PRIu64, metrics[i].value);
    }
    table_print(&table, stdout);
    table_deinit(&table);
}

static int show_info(struct session *session, const struct options *options, bool *is_over)
{
    struct msg_ask_info ask = {0};
    struct wire_message reply;
    instant before = clock_now();
    *is_over = false;
    int code = session_call(session, &wire_ask_info, &ask, MSG_say_info, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_info *info = reply.fields;
    duration elapsed = clock_now() - before;
    if (options->output == OUTPUT_JSON) json_info(info, elapsed);
    else if (options->output == OUTPUT_NAME)
        printf("%.*s\n", (int)info->name.count, (const char *)info->name.at);
    else table_info(info, elapsed, options->output == OUTPUT_WIDE || options->is_verbose);
    return EXIT_OK;
}

int mrctl_ping(const struct options *options) { return commands_show(options, show_info); }
