/* status: one job in full, or all in a table. */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/table.h"
#include "wire/kinds.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROW_SIZE = 32 << 10, /* a job_row with its error text */
    PAGE_SIZE = 4 << 20, /* the largest page of them, copied */
};

/* The keys that scripts hold on to, and some more. */
static void json_job(struct json *json, const struct msg_job_row *row,
                     const struct msg_final_row *final)
{
    char id[ID_TEXT_SIZE];
    json_open(json, '{');
    json_field_bytes(json, "job", row->name); /* what every command takes */
    json_field_bytes(json, "name", row->name);
    json_field_text(json, "id", id_text(&row->job, id));
    json_field_text(json, "state", job_outcome_text(row->state));
    json_field_bool(json, "final", final->is_final);
    json_field_bytes(json, "final_text", final->text);
    json_field_number(json, "maps", row->maps);
    json_field_number(json, "maps_done", row->maps_done);
    json_field_number(json, "reduces", row->reduces);
    json_field_number(json, "reduces_done", row->reduces_done);
    json_field_number(json, "running", row->running);
    json_field_number(json, "attempts", row->attempts);
    json_field_number(json, "reexecuted", row->reexecuted);
    json_field_number(json, "speculated", row->speculated);
    json_field_number(json, "failed", row->failed);
    json_field_number(json, "elapsed_ms", row->elapsed_ms);
    json_field_number(json, "submitted_wall_ms", row->submitted_wall_ms);
    json_field_bytes(json, "output", row->output);
    json_field_bytes(json, "error", row->error);
}

static void table_job(struct table *table, const struct msg_job_row *row,
                      const struct msg_final_row *final)
{
    char elapsed[QUANTITY_TEXT_SIZE];
    table_bytes(table, row->name);
    table_cell(table, "%s", job_outcome_text(row->state));
    table_cell(table, "%u/%u", row->maps_done, row->maps);
    table_cell(table, "%u/%u", row->reduces_done, row->reduces);
    table_cell(table, "%u", row->running);
    table_cell(table, "%u", row->attempts);
    table_cell(table, "%u", row->reexecuted);
    table_cell(table, "%u", row->speculated);
    table_cell(table, "%u", row->failed);
    table_cell(table, "%s", quantity_duration_text(row->elapsed_ms, elapsed));
    table_cell(table, "%s", row->state == JOB_RUNNING ? "" : final->is_final ? "yes" : "no");
}

static const char *const header[] = {"JOB",      "STATE",     ">MAPS",  ">REDUCES",
                                     ">RUNNING", ">ATTEMPTS", ">AGAIN", ">COPIES",
                                     ">FAILED",  ">TIME",     "FINAL",  NULL};

static void json_whole_job(struct json *json, const struct msg_job_row *row,
                           const struct msg_final_row *final)
{
    json_job(json, row, final);
    json_close(json, '}');
}

/* Where maps found their input: the flock counts it as a program would, in a group that none can
 * name. The other counters are those that programs reported. */
static bool is_locality(const struct msg_counter *counter)
{
    return slice_equal(counter->group, slice_string(",input"));
}

static uint64_t locality_of(const struct list *list, const char *name)
{
    const struct msg_counter *counters = list->at;
    for (uint32_t i = 0; i < list->count; i++)
        if (is_locality(&counters[i]) && slice_equal(counters[i].name, slice_string(name)))
            return counters[i].value;
    return 0;
}

static void json_locality(struct json *json, const struct list *list)
{
    static const char *const names[] = {"maps_local",  "maps_remote",  "maps_shared",
                                        "bytes_local", "bytes_remote", "bytes_shared"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_field_number(json, names[i], locality_of(list, names[i]));
}

static void print_locality(const struct list *list)
{
    char local[QUANTITY_TEXT_SIZE], all[QUANTITY_TEXT_SIZE];
    uint64_t maps = locality_of(list, "maps_local"), bytes = locality_of(list, "bytes_local");
    uint64_t all_maps = maps + locality_of(list, "maps_remote");
    uint64_t all_bytes = bytes + locality_of(list, "bytes_remote");
    uint64_t shared = locality_of(list, "maps_shared");
    if (all_maps + shared > 0) printf("\n");
    if (all_maps > 0)
        printf("local reads: %llu of %s (%llu%%), %s of %s\n", (unsigned long long)maps,
               plural(all_maps, "map").text, (unsigned long long)(100 * maps / all_maps),
               quantity_size_text(bytes, local), quantity_size_text(all_bytes, all));
    if (shared > 0)
        printf("shared reads (path:): %s, %s\n", plural(shared, "map").text,
               quantity_size_text(locality_of(list, "bytes_shared"), all));
}

static void json_counters(struct json *json, const struct list *list)
{
    const struct msg_counter *counters = list->at;
    json_key(json, "counters");
    json_open(json, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        if (is_locality(&counters[i])) continue;
        json_open(json, '{');
        json_field_bytes(json, "group", counters[i].group);
        json_field_bytes(json, "name", counters[i].name);
        json_field_number(json, "value", counters[i].value);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void print_counters(const struct list *list)
{
    static const char *const columns[] = {"COUNTER", "NAME", ">VALUE", NULL};
    const struct msg_counter *counters = list->at;
    struct table table;
    table_init(&table, columns);
    for (uint32_t i = 0; i < list->count; i++) {
        if (is_locality(&counters[i])) continue;
        table_bytes(&table, counters[i].group);
        table_bytes(&table, counters[i].name);
        table_cell(&table, "%llu", (unsigned long long)counters[i].value);
    }
    bool has_rows = table.count > table.columns; /* below its header */
    if (has_rows) printf("\n");
    if (has_rows) table_print(&table, stdout);
    table_deinit(&table);
}

/* How all jobs are printed: as they come, or (table) at the end. */
struct listing {
    const struct options *options;
    struct json json;
    struct table table;
};

static void list_row(struct listing *listing, const struct msg_job_row *row,
                     const struct msg_final_row *final)
{
    if (listing->options->output == OUTPUT_JSON) json_whole_job(&listing->json, row, final);
    else if (listing->options->output == OUTPUT_NAME)
        printf("%.*s\n", (int)row->name.count, (const char *)row->name.at);
    else table_job(&listing->table, row, final);
}

typedef void visit_job(void *context, const struct msg_job_row *row,
                       const struct msg_final_row *final);

/* The rows of a page, and which of them are final. */
static int visit_page(struct session *session, const struct msg_say_jobs *say, void *context,
                      visit_job *visit)
{
    struct msg_job_name names[256];
    struct wire_message reply;
    const struct msg_job_row *rows = say->jobs.at;
    for (uint32_t i = 0; i < say->jobs.count; i++) names[i].job = rows[i].job;
    struct msg_ask_final ask = {.jobs = {names, say->jobs.count}};
    if (say->jobs.count == 0) return EXIT_OK;
    int code = session_call(session, &wire_ask_final, &ask, MSG_say_final, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_final *finals = reply.fields;
    const struct msg_final_row *final = finals->jobs.at;
    for (uint32_t i = 0; i < say->jobs.count && i < finals->jobs.count; i++)
        visit(context, &rows[i], &final[i]);
    return EXIT_OK;
}

/* Every page of jobs whose name starts with prefix. */
static int each_job(struct session *session, struct slice prefix, void *context, visit_job *visit)
{
    struct msg_ask_jobs ask = {.prefix = prefix};
    struct msg_say_jobs say = {.more = true};
    struct arena arena;
    void *memory = malloc(PAGE_SIZE);
    int code = EXIT_OK;
    if (memory == NULL) notice_no_memory();
    while (code == EXIT_OK && say.more) {
        struct wire_message reply;
        code = session_call(session, &wire_ask_jobs, &ask, MSG_say_jobs, &reply);
        if (code != EXIT_OK) break;
        arena_init(&arena, memory, PAGE_SIZE); /* the next call's reply replaces this one */
        if (!wire_copy(&wire_say_jobs, &say, reply.fields, &arena)) notice_no_memory();
        const struct msg_job_row *rows = say.jobs.at;
        code = visit_page(session, &say, context, visit);
        if (say.jobs.count == 0) break;
        ask.after = rows[say.jobs.count - 1].job;
    }
    free(memory);
    return code;
}

static void visit_listing(void *context, const struct msg_job_row *row,
                          const struct msg_final_row *final)
{
    list_row(context, row, final);
}

static int show_all(struct session *session, const struct options *options, bool *is_over)
{
    struct listing listing = {.options = options};
    *is_over = false;
    table_init(&listing.table, header);
    json_begin(&listing.json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&listing.json, '[');
    int code = each_job(session, slice_string(""), &listing, visit_listing);
    if (options->output == OUTPUT_JSON) {
        json_close(&listing.json, ']');
        json_end(&listing.json);
    } else if (options->output != OUTPUT_NAME && code == EXIT_OK) {
        table_print(&listing.table, stdout);
    }
    table_deinit(&listing.table);
    return code;
}

/* The one that a word names: its exact name, or the only one that it begins. */
struct choice {
    struct slice word;
    struct msg_job_row row; /* borrows from arena */
    struct msg_final_row final;
    struct arena arena;
    bool is_exact;
    unsigned matches;
};

static void visit_choice(void *context, const struct msg_job_row *row,
                         const struct msg_final_row *final)
{
    struct choice *choice = context;
    bool is_exact = slice_equal(row->name, choice->word);
    if (choice->is_exact && !is_exact) return;
    if (is_exact != choice->is_exact) choice->matches = 0;
    choice->is_exact = is_exact;
    choice->matches++;
    arena_reset(&choice->arena);
    if (!wire_copy(&wire_job_row, &choice->row, row, &choice->arena) ||
        !wire_copy(&wire_final_row, &choice->final, final, &choice->arena))
        notice_no_memory();
}

static void print_job(const struct options *options, const struct choice *choice,
                      const struct list *counters)
{
    const struct msg_job_row *row = &choice->row;

    struct listing listing = {.options = options};
    json_begin(&listing.json, stdout);
    table_init(&listing.table, header);
    if (options->output == OUTPUT_JSON) {
        json_job(&listing.json, row, &choice->final);
        json_locality(&listing.json, counters);
        json_counters(&listing.json, counters);
        json_close(&listing.json, '}');
        json_end(&listing.json);
    } else {
        list_row(&listing, row, &choice->final);
    }
    if (options->output == OUTPUT_TABLE || options->output == OUTPUT_WIDE) {
        table_print(&listing.table, stdout);
        print_locality(counters);
        print_counters(counters);
    }
    fflush(stdout);
    if (options->output != OUTPUT_JSON) notice_block("  ", row->error);
    table_deinit(&listing.table);
}

static int ask_and_print(struct session *session, const struct options *options,
                         const struct choice *choice)
{
    struct msg_ask_counters ask = {.job = choice->row.name};
    struct wire_message reply;
    if (options->output == OUTPUT_NAME) {
        print_job(options, choice, &(struct list){0});
        return EXIT_OK;
    }
    int code = session_call(session, &wire_ask_counters, &ask, MSG_say_counters, &reply);
    if (code == EXIT_OK)
        print_job(options, choice, &((const struct msg_say_counters *)reply.fields)->counters);
    return code;
}

static int show_one(struct session *session, const struct options *options, bool *is_over)
{
    const char *word = options->arguments.items[0];
    struct choice choice = {.word = slice_string(word)};
    void *memory = malloc(ROW_SIZE);
    if (memory == NULL) notice_no_memory();
    arena_init(&choice.arena, memory, ROW_SIZE);
    int code = each_job(session, choice.word, &choice, visit_choice);
    if (code == EXIT_OK && choice.matches == 0) {
        notice_line("no job is named %s; see: mrctl status", word);
        code = EXIT_NOT_FOUND;
    } else if (code == EXIT_OK && choice.matches > 1) {
        notice_line("%u jobs begin with %s: say more of the name; see: mrctl status",
                    choice.matches, word);
        code = EXIT_USAGE; /* as wait, kill, tasks, logs and explain have it */
    } else if (code == EXIT_OK) {
        code = ask_and_print(session, options, &choice);
        *is_over = choice.row.state != JOB_RUNNING;
    }
    free(memory);
    return code;
}

int mrctl_status(const struct options *options)
{
    if (options->arguments.count == 0) return commands_show(options, show_all);
    if (strlen(options->arguments.items[0]) <= 128) return commands_show(options, show_one);
    notice_line("a job's name has at most 64 bytes");
    return EXIT_USAGE;
}
