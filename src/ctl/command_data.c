/* put, get, cat, ls, rm: datasets by name. A name is an entry of the replicated log; its blocks are
 * on several nodes. */
#include "ctl/commands.h"

#include "ctl/dataset.h"
#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/job_spec.h"
#include "ctl/json.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/table.h"
#include "ctl/tree.h"
#include "wire/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NAMINGS_MAX = 4, /* each after the loss of a peer */
    HEAD_LINES = 10,
};

static bool is_name(const char *name)
{
    if (strlen(name) <= 255 && *name != '\0') return true;
    notice_line("a dataset's name has 1 to 255 bytes");
    return false;
}

/* ---- put ---- */

static int check_free(struct session *session, const struct options *options, const char *name)
{
    struct msg_name_row row;
    if (options->is_overwrite) return EXIT_OK;
    int code = dataset_find(session, name, &row);
    if (code == EXIT_NOT_FOUND) return EXIT_OK;
    if (code != EXIT_OK) return code;
    notice_line("dataset %s exists; remove it (mrctl rm) or use --overwrite", name);
    return EXIT_CONFLICT;
}

/* Names what is stored. *is_lost: that failed, and a peer that had some of it has gone. */
static int name_once(struct session *session, const struct options *options,
                     const struct dataset *dataset, const struct id *id, bool *is_lost)
{
    struct wire_message reply;
    struct msg_ask_name ask = {.id = *id,
                               .name = slice_string(options->arguments.items[1]),
                               .manifest = dataset->manifest,
                               .size = dataset->size,
                               .replicas = (uint8_t)options->replicas,
                               .overwrite = options->is_overwrite};
    session_ask(session, &wire_ask_name, &ask, SESSION_COPY_PATIENCE);
    int code = session_reply(session, MSG_say_ok, &reply);
    *is_lost = dataset_is_lost(dataset, session, code);
    const struct msg_say_ok *said = code == EXIT_OK ? reply.fields : NULL;
    if (said != NULL && !options->is_quiet && !slice_equal(said->text, slice_string(NAMED_TEXT)))
        notice_line("%.*s", (int)said->text.count, (const char *)said->text.at);
    return *is_lost ? code : session_complain(session, code);
}

static int put_inputs(struct session *session, const struct options *options,
                      const struct inputs *inputs)
{
    struct dataset dataset;
    struct stat status;
    struct id id;
    const char *path = options->arguments.items[0];
    bool is_tree = stat(path, &status) == 0 && S_ISDIR(status.st_mode), is_lost = false;
    struct dataset_plan plan = {.inputs = inputs,
                                .split_size = options->split_size,
                                .records = options->records,
                                .copies = (uint8_t)options->replicas,
                                .tree = is_tree && inputs->count > 0 ? path : NULL};
    keys_random(&id, sizeof id);
    int code = dataset_make(&dataset, session, &plan);
    if (code != EXIT_OK) return code;
    code = name_once(session, options, &dataset, &id, &is_lost);
    for (unsigned i = 1; i < NAMINGS_MAX && is_lost; i++) {
        code = dataset_mend(&dataset);
        is_lost = false;
        if (code == EXIT_OK) code = name_once(session, options, &dataset, &id, &is_lost);
    }
    if (is_lost) session_complain(session, code);
    if (code == EXIT_OK) dataset_used(&dataset, session);
    else dataset_forget(&dataset, session);
    dataset_deinit(&dataset);
    return code;
}

int mrctl_put(const struct options *options)
{
    struct inputs inputs;
    struct session *session = NULL;
    const char *path = options->arguments.items[0], *name = options->arguments.items[1];
    if (!job_is_dataset_name(name)) {
        notice_line("a dataset's name has 1 to 255 bytes, no '@' and no control characters");
        return EXIT_USAGE;
    }
    int code = inputs_open_path(&inputs, path, !options->is_no_input);
    if (code == EXIT_OK) code = session_open(&session, options);
    if (code == EXIT_OK) code = check_free(session, options, name);
    if (code == EXIT_OK) code = put_inputs(session, options, &inputs);
    session_close(session);
    inputs_deinit(&inputs);
    return code;
}

/* ---- get and cat ---- */

/* PATH, or NAME in it when it is a directory. Owned by the caller. */
static char *target_of(const char *path, const char *name)
{
    struct stat status;
    char *target = NULL;
    const char *slash = strrchr(name, '/');
    bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    if (asprintf(&target, "%s%s%s", path, is_directory ? "/" : "",
                 !is_directory   ? ""
                 : slash == NULL ? name
                                 : slash + 1) < 0)
        notice_no_memory();
    return target;
}

static int cannot_write(const char *path)
{
    notice_line("%s: %s", path, strerror(errno));
    return EXIT_JOB_FAILED;
}

/* A pipe, a terminal, /dev/null: written as it is, nothing is put in its place. */
static int get_stream(struct session *session, const char *name, const char *target)
{
    int fd = open(target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int code = fd < 0 ? cannot_write(target) : download_dataset(session, name, fd);
    if (fd >= 0 && close(fd) != 0 && code == EXIT_OK) code = cannot_write(target);
    return code;
}

/* Into a file beside the target, then over it: whoever looks sees the old bytes or all of the new
 * ones. mode: of the old ones. */
static int get_beside(struct session *session, const char *name, const char *target, mode_t mode)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp-XXXXXX", target) < 0) notice_no_memory();
    int fd = mkostemp(temporary, O_CLOEXEC);
    int code = fd < 0 ? cannot_write(target) : download_dataset(session, name, fd);
    if (code == EXIT_OK && fchmod(fd, mode) != 0) code = cannot_write(temporary);
    if (fd >= 0 && close(fd) != 0 && code == EXIT_OK) code = cannot_write(temporary);
    if (code == EXIT_OK && rename(temporary, target) != 0) code = cannot_write(target);
    if (fd >= 0 && code != EXIT_OK) unlink(temporary);
    free(temporary);
    return code;
}

/* A link's file gets the bytes; the link stays. */
static int get_file(struct session *session, const struct tree *tree, const char *name,
                    const char *target)
{
    struct stat status;
    mode_t mask = umask(0);
    (void)umask(mask);
    bool is_there = stat(target, &status) == 0;
    if (is_there && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return get_stream(session, name, target);
    char *file = is_there ? realpath(target, NULL) : NULL;
    session_catch_interrupts(session); /* what is beside it is to go then */
    int code = get_beside(session, name, file == NULL ? target : file,
                          is_there ? status.st_mode & 0777 : 0666 & ~mask);
    free(file);
    return tree_nothing_left(tree, session, name, code);
}

int mrctl_get(const struct options *options)
{
    struct session *session;
    const char *name = options->arguments.items[0], *path = options->arguments.items[1];
    int code = is_name(name) ? session_open(&session, options) : EXIT_USAGE;
    if (code != EXIT_OK) return code;
    if (strcmp(path, "-") == 0) {
        code = download_dataset(session, name, STDOUT_FILENO);
    } else {
        char *target = target_of(path, name);
        struct tree tree;
        code = tree_read(&tree, session, name);
        if (code == EXIT_OK && tree.count > 0) code = tree_get(&tree, session, name, target);
        else if (code == EXIT_OK) code = get_file(session, &tree, name, target);
        tree_free(&tree);
        free(target);
    }
    session_close(session);
    return code;
}

int mrctl_cat(const struct options *options)
{
    struct session *session = NULL;
    int code = EXIT_OK;
    for (size_t i = 0; i < options->arguments.count; i++)
        if (!is_name(options->arguments.items[i])) return EXIT_USAGE;
    code = session_open(&session, options);
    for (size_t i = 0; i < options->arguments.count && code == EXIT_OK; i++)
        code = download_dataset(session, options->arguments.items[i], STDOUT_FILENO);
    session_close(session);
    return code;
}

int mrctl_head(const struct options *options)
{
    struct session *session = NULL;
    const char *name = options->arguments.items[0];
    int code = is_name(name) ? session_open(&session, options) : EXIT_USAGE;
    if (code == EXIT_OK)
        code = download_lines(session, name, STDOUT_FILENO,
                              options->lines == 0 ? HEAD_LINES : options->lines);
    session_close(session);
    return code;
}

/* ---- ls ---- */

/* What a listing tells of a dataset beside its name. */
struct listing {
    const char *const *header;
    void (*fields)(struct json *json, const struct msg_name_row *row);
    void (*cells)(struct table *table, const struct msg_name_row *row);
};

static void list_row(const struct listing *listing, const struct options *options,
                     struct json *json, struct table *table, const struct msg_name_row *row)
{
    if (options->output == OUTPUT_NAME) {
        printf("%.*s\n", (int)row->name.count, (const char *)row->name.at);
    } else if (options->output == OUTPUT_JSON) {
        json_open(json, '{');
        json_field_bytes(json, "name", row->name);
        json_field_number(json, "size", row->size);
        listing->fields(json, row);
        json_close(json, '}');
    } else {
        char size[QUANTITY_TEXT_SIZE];
        table_bytes(table, row->name);
        table_cell(table, "%s", quantity_size_text(row->size, size));
        listing->cells(table, row);
    }
}

/* Every page of names that start with prefix. *count: of them. */
static int list_pages(struct session *session, const struct options *options, struct json *json,
                      struct table *table, const struct listing *listing, size_t *count)
{
    char after[256] = "";
    const char *prefix = options->arguments.count > 0 ? options->arguments.items[0] : "";
    for (;;) {
        struct msg_ask_names ask = {.prefix = slice_string(prefix),
                                    .after = slice_string(after),
                                    .counts_copies = options->output != OUTPUT_NAME};
        struct wire_message reply;
        int code = session_call(session, &wire_ask_names, &ask, MSG_say_names, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_say_names *say = reply.fields;
        const struct msg_name_row *rows = say->names.at;
        for (uint32_t i = 0; i < say->names.count; i++)
            list_row(listing, options, json, table, &rows[i]);
        *count += say->names.count;
        if (!say->more || say->names.count == 0) return EXIT_OK;
        struct slice last = rows[say->names.count - 1].name;
        size_t size = last.count < sizeof after - 1 ? last.count : sizeof after - 1;
        memcpy(after, last.at, size);
        after[size] = '\0';
    }
}

static int show_rows(struct session *session, const struct options *options,
                     const struct listing *listing)
{
    struct table table;
    struct json json;
    table_init(&table, listing->header);
    json_begin(&json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&json, '[');
    size_t count = 0;
    int code = list_pages(session, options, &json, &table, listing, &count);
    /* Who watches may wait for it to come. */
    bool is_asked_for = options->arguments.count > 0 && !options->is_watch;
    bool is_absent = code == EXIT_OK && count == 0 && is_asked_for;
    if (options->output == OUTPUT_JSON) {
        json_close(&json, ']');
        json_end(&json);
    } else if (options->output != OUTPUT_NAME && code == EXIT_OK && !is_absent) {
        table_print(&table, stdout);
    }
    table_deinit(&table);
    if (!is_absent) return code;
    notice_line("no dataset's name begins with %s; see: mrctl ls", options->arguments.items[0]);
    return EXIT_NOT_FOUND;
}

static void name_fields(struct json *json, const struct msg_name_row *row)
{
    json_field_number(json, "blocks", row->blocks);
    json_field_number(json, "replicas_wanted", row->replicas_wanted);
    json_field_number(json, "replicas_min", row->replicas_min);
    json_field_bool(json, "conflict", row->is_conflict);
}

static void name_cells(struct table *table, const struct msg_name_row *row)
{
    table_cell(table, "%u", row->blocks);
    table_cell(table, "%u/%u", row->replicas_min, row->replicas_wanted);
    table_cell(table, "%s", row->is_conflict ? "conflict" : "");
}

static int show_names(struct session *session, const struct options *options, bool *is_over)
{
    static const char *const header[] = {"NAME", ">SIZE", ">BLOCKS", ">COPIES", "NOTE", NULL};
    static const struct listing names = {header, name_fields, name_cells};
    *is_over = false;
    return show_rows(session, options, &names);
}

/* ---- du ---- */

/* Of all copies that are there now, by the block with the fewest. */
static uint64_t use_of(const struct msg_name_row *row) { return row->size * row->replicas_min; }

static void use_fields(struct json *json, const struct msg_name_row *row)
{
    json_field_number(json, "copies", row->replicas_min);
    json_field_number(json, "total", use_of(row));
}

static void use_cells(struct table *table, const struct msg_name_row *row)
{
    char total[QUANTITY_TEXT_SIZE];
    table_cell(table, "%u", row->replicas_min);
    table_cell(table, "%s", quantity_size_text(use_of(row), total));
}

static int show_use(struct session *session, const struct options *options, bool *is_over)
{
    static const char *const header[] = {"NAME", ">SIZE", ">COPIES", ">TOTAL", NULL};
    static const struct listing use = {header, use_fields, use_cells};
    *is_over = false;
    return show_rows(session, options, &use);
}

int mrctl_du(const struct options *options)
{
    if (options->arguments.count > 0 && !is_name(options->arguments.items[0])) return EXIT_USAGE;
    return commands_show(options, show_use);
}

int mrctl_ls(const struct options *options)
{
    if (options->arguments.count > 0 && !is_name(options->arguments.items[0])) return EXIT_USAGE;
    return commands_show(options, show_names);
}

/* ---- rm ---- */

int mrctl_rm(const struct options *options)
{
    struct session *session;
    for (size_t i = 0; i < options->arguments.count; i++)
        if (!is_name(options->arguments.items[i])) return EXIT_USAGE;
    int worst = session_open(&session, options);
    for (size_t i = 0; session != NULL && i < options->arguments.count; i++) {
        struct msg_ask_unname ask = {.name = slice_string(options->arguments.items[i])};
        struct wire_message reply;
        keys_random(&ask.id, sizeof ask.id);
        int code = session_call(session, &wire_ask_unname, &ask, MSG_say_ok, &reply);
        if (code != EXIT_OK) worst = code;
        if (code == EXIT_NO_PEER || code == EXIT_TIMED_OUT) break;
    }
    session_close(session);
    return worst;
}
