/* debug: one archive for a report of a bug. It holds what other commands print (their JSON), each
 * asked of every member by itself and of no other in its place, so that it shows where members
 * disagree. The commands run as they are, with their output caught: an archive cannot tell another
 * story than they do, and cannot hold what they never print: keys, contents of datasets, commands.
 * Whom it could not ask is in it with the reason. */
#include "ctl/commands.h"

#include "ctl/archive.h"
#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/roster.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP "mr-debug/"

enum {
    LOG_LINES = 2000,             /* of each node: the last ones */
    PATIENCE_MS = 20 * 1000,      /* for one command at one node */
    FOLDER_SIZE = 64 + 1 + 8 + 1, /* NAME-ID of a node */
    WHY_SIZE = 512,
};

/* What one command printed. */
struct caught {
    char *text;
    size_t size;
    char why[WHY_SIZE]; /* the last line on stderr */
    int code;
};

struct debug {
    const struct options *options;
    struct archive archive;
    instant deadline;
    FILE *missing; /* into missing_text: what could not be had */
    char *missing_text;
    size_t missing_size;
    struct json json; /* of it */
    unsigned lacks;
};

static const char readme[] =
    "What `mrctl debug` found of a flock. Each file is what an mrctl command prints with -o json.\n"
    "\n"
    "mrctl.json                  version of the mrctl that asked, and when (ms since 1970)\n"
    "config.json                 mrctl config: its options, and where each value came from\n"
    "doctor.json                 mrctl doctor: what is wrong or missing, on each node\n"
    "reach.json                  mrctl reach: who sees whom\n"
    "missing.json                what could not be had, and why; [] when all is here\n"
    "nodes/NAME-ID/ping.json     version, address, all counters of the node\n"
    "nodes/NAME-ID/members.json  the members as this node sees them, and what they lack of the "
    "log\n"
    "nodes/NAME-ID/status.json   the jobs as it sees them\n"
    "nodes/NAME-ID/ls.json       the datasets: names, sizes, copies\n"
    "nodes/NAME-ID/log.jsonl     the last 2000 entries of the replicated log that it holds, one\n"
    "                            object a line, in total order\n"
    "\n"
    "There is no key in here, no content of a dataset and no task's output. There are names of\n"
    "machines, jobs and datasets, addresses, and what programs said when they failed.\n";

/* ---- catching what a command prints ---- */

/* The whole file, which is closed. */
static char *take(FILE *file, size_t *size)
{
    char *text = NULL;
    FILE *memory = open_memstream(&text, size);
    char piece[4096];
    size_t count;
    if (memory == NULL) notice_no_memory();
    rewind(file);
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) (void)fwrite(piece, 1, count, memory);
    fclose(file);
    if (fclose(memory) != 0 || text == NULL) notice_no_memory();
    return text;
}

/* Puts a fresh file in fd's place; *saved: what was there. NULL: none could be made. */
static FILE *divert(int fd, int *saved)
{
    FILE *file = tmpfile();
    if (file == NULL) return NULL;
    *saved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (*saved >= 0 && dup2(fileno(file), fd) >= 0) return file;
    fclose(file);
    return NULL;
}

static void restore(int fd, int saved)
{
    (void)dup2(saved, fd);
    close(saved);
}

/* The last line of what was said, without our name in front. */
static void keep_why(struct caught *caught, char *said)
{
    size_t count = strlen(said);
    while (count > 0 && said[count - 1] == '\n') said[--count] = '\0';
    const char *line = strrchr(said, '\n') == NULL ? said : strrchr(said, '\n') + 1;
    if (strncmp(line, "mrctl: ", 7) == 0) line += 7;
    snprintf(caught->why, sizeof caught->why, "%s", *line == '\0' ? "it says nothing" : line);
}

static void catch_output(struct caught *caught, int (*run)(const struct options *options),
                         const struct options *options)
{
    int out = -1, err = -1;
    size_t said_size;
    *caught = (struct caught){.code = EXIT_JOB_FAILED};
    fflush(stdout);
    FILE *output = divert(STDOUT_FILENO, &out);
    FILE *talk = output == NULL ? NULL : divert(STDERR_FILENO, &err);
    if (talk != NULL) {
        notice_last_words_to(err);
        caught->code = run(options);
        notice_last_words_to(STDERR_FILENO);
        fflush(stdout);
        clearerr(stdout);
        restore(STDERR_FILENO, err);
    }
    if (output != NULL) restore(STDOUT_FILENO, out);
    if (talk == NULL) {
        snprintf(caught->why, sizeof caught->why, "no temporary file: %s", strerror(errno));
        if (output != NULL) fclose(output);
        return;
    }
    caught->text = take(output, &caught->size);
    char *said = take(talk, &said_size);
    keep_why(caught, said);
    free(said);
}

/* ---- what goes in ---- */

static void note_missing(struct debug *debug, struct slice node, const char *what, const char *why)
{
    debug->lacks++;
    json_open(&debug->json, '{');
    json_field_bytes(&debug->json, "node", node);
    json_field_text(&debug->json, "what", what);
    json_field_text(&debug->json, "why", why);
    json_close(&debug->json, '}');
    notice_line("%.*s%s%s: %s", (int)node.count, (const char *)node.at, node.count > 0 ? ": " : "",
                what, why);
}

/* The last LOG_LINES lines. */
static struct slice tail(const struct caught *caught)
{
    size_t start = caught->size, lines = 0;
    while (start > 0) {
        if (caught->text[start - 1] == '\n' && start < caught->size && ++lines == LOG_LINES) break;
        start--;
    }
    return slice_of(caught->text + start, caught->size - start);
}

/* Runs a command as options say and adds what it printed. A command that found something wrong
 * (exit 1) has answered too. */
static bool add(struct debug *debug, struct slice node, const char *folder, const char *file,
                int (*run)(const struct options *options), struct options options)
{
    char name[ARCHIVE_NAME_SIZE];
    struct caught caught;
    instant now = clock_now();
    bool has_time = now < debug->deadline;
    uint64_t left = has_time ? (uint64_t)((debug->deadline - now) / MILLISECOND) + 1 : 1;
    options.output = OUTPUT_JSON;
    options.is_watch = options.is_follow = options.is_verbose = false;
    options.is_quiet = true;
    options.timeout_ms = left < PATIENCE_MS ? left : PATIENCE_MS;
    catch_output(&caught, run, &options);
    bool is_answer =
        caught.code == EXIT_OK || caught.code == EXIT_JOB_FAILED || caught.code == EXIT_PARTIAL;
    bool is_log = run == mrctl_log;
    if (!is_answer || caught.size == 0) note_missing(debug, node, file, caught.why);
    /* What has come of a log when its time is over is whole lines, or it is cut there. */
    struct slice content = is_log ? tail(&caught) : slice_of(caught.text, caught.size);
    snprintf(name, sizeof name, "%s%s%s", TOP, folder, file);
    if (caught.size > 0 && (is_answer || is_log)) archive_add(&debug->archive, name, content);
    free(caught.text);
    return is_answer;
}

/* NAME-ID, of plain letters. */
static void folder_of(const struct msg_member_claim *claim, char folder[ARCHIVE_NAME_SIZE])
{
    char id[ID_SHORT_SIZE], name[65];
    size_t count = claim->name.count < 64 ? claim->name.count : 64;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = claim->name.at[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '-' || (byte == '.' && i > 0);
        name[i] = is_plain ? (char)byte : '_';
    }
    name[count] = '\0';
    snprintf(folder, ARCHIVE_NAME_SIZE, "nodes/%s-%s/", name, id_short(&claim->node, id));
}

static void add_member(struct debug *debug, const struct msg_member_row *row)
{
    const struct msg_member_claim *claim = &row->claim;
    char folder[ARCHIVE_NAME_SIZE], address[ADDRESS_TEXT_SIZE], why[WHY_SIZE];
    struct options options = *debug->options;
    if (claim->state == MEMBER_LEFT) return;
    if (claim->state == MEMBER_DEAD) {
        snprintf(why, sizeof why, "it is dead (%.*s)", (int)row->cause_text.count,
                 (const char *)row->cause_text.at);
        note_missing(debug, claim->name, "all", why);
        return;
    }
    options.node = address_text(&claim->address, address);
    options.is_alone = true;
    folder_of(claim, folder);
    if (!add(debug, claim->name, folder, "ping.json", mrctl_ping, options)) return;
    add(debug, claim->name, folder, "members.json", mrctl_members, options);
    add(debug, claim->name, folder, "status.json", mrctl_status, options);
    add(debug, claim->name, folder, "ls.json", mrctl_ls, options);
    add(debug, claim->name, folder, "log.jsonl", mrctl_log, options);
}

static int print_self(const struct options *options)
{
    struct json json;
    (void)options;
    json_begin(&json, stdout);
    json_open(&json, '{');
    json_field_text(&json, "version", MR_VERSION);
    json_field_number(&json, "time_ms", clock_wall_ms());
    json_close(&json, '}');
    json_end(&json);
    return EXIT_OK;
}

static void add_all(struct debug *debug, const struct roster *roster)
{
    static const struct slice nobody;
    const struct options *options = debug->options;
    debug->missing = open_memstream(&debug->missing_text, &debug->missing_size);
    if (debug->missing == NULL) notice_no_memory();
    json_begin(&debug->json, debug->missing);
    json_open(&debug->json, '[');
    archive_add(&debug->archive, TOP "README.txt", slice_string(readme));
    add(debug, nobody, "", "mrctl.json", print_self, *options);
    add(debug, nobody, "", "config.json", mrctl_config, *options);
    for (size_t i = 0; i < roster->count && ferror(debug->archive.file) == 0; i++)
        add_member(debug, &roster->rows[i]);
    add(debug, nobody, "", "doctor.json", mrctl_doctor, *options);
    add(debug, nobody, "", "reach.json", mrctl_reach, *options);
    json_close(&debug->json, ']');
    json_end(&debug->json);
    if (fclose(debug->missing) != 0) notice_no_memory();
    archive_add(&debug->archive, TOP "missing.json",
                slice_of(debug->missing_text, debug->missing_size));
    free(debug->missing_text);
    archive_end(&debug->archive);
}

/* ---- where it goes ---- */

/* The archive's file: -O, or what stdout is; the commands' output goes elsewhere meanwhile. */
static FILE *open_archive(const char *path)
{
    int fd = path == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                          : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (file == NULL) notice_line("%s: %s", path == NULL ? "stdout" : path, strerror(errno));
    return file;
}

static int close_archive(FILE *file)
{
    bool is_written = fflush(file) == 0 && ferror(file) == 0;
    int error = errno;
    if (fclose(file) != 0 && is_written) {
        is_written = false;
        error = errno;
    }
    if (is_written || error == EPIPE) return EXIT_OK;
    notice_line("cannot write the archive: %s", strerror(error));
    return EXIT_JOB_FAILED;
}

int mrctl_debug(const struct options *options)
{
    struct session *session;
    struct roster roster;
    struct debug debug = {.options = options, .archive = {.time = clock_wall_ms() / 1000}};
    if (options->output_name == NULL && isatty(STDOUT_FILENO)) {
        notice_line("an archive is not for the screen: mrctl debug > flock.tar, or -O flock.tar");
        return EXIT_USAGE;
    }
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    debug.deadline = session_connections(session)->deadline;
    code = roster_init(&roster, session);
    if (code == EXIT_OK) {
        debug.archive.file = open_archive(options->output_name);
        if (debug.archive.file == NULL) code = EXIT_JOB_FAILED;
    }
    if (code == EXIT_OK) {
        add_all(&debug, &roster);
        code = close_archive(debug.archive.file);
        if (code == EXIT_OK && !options->is_quiet)
            notice_line("no keys and no data are in it; names of machines, jobs and datasets, and "
                        "what programs said when they failed, are: look before you send it");
        if (code == EXIT_OK && debug.lacks > 0) code = EXIT_PARTIAL;
    }
    roster_deinit(&roster);
    session_close(session);
    return code;
}
