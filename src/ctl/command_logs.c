/* logs: what tasks wrote to stderr. Of an attempt that has ended it is in the log: the last words
 * in its own entry, and the last 64 KiB in a block on two nodes; so any peer tells it, whoever is
 * dead. With -f what runs is asked of the nodes that run it, every now and then, until the job
 * ends. */
#include "ctl/commands.h"

#include "ctl/attempts.h"
#include "ctl/clock.h"
#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/said.h"
#include "ctl/tails.h"
#include "wire/kinds.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FOLLOW_PAUSE = 300 * MILLISECOND, /* as often as mrtask writes, about */
    WORDS_MAX = 4096,                 /* of an attempt's own entry */
    WHOLE_MAX = 60 << 10,             /* a longer log may have lost its beginning */
};

/* An attempt that runs: asked about once the page has been read. */
struct runner {
    struct id node;
    char name[TASK_NAME_SIZE];
};

struct logs_listing {
    const struct options *options;
    struct json json;
    struct saids saids;
    struct download *download;
    struct tails *tails;
    struct runner *runners;
    size_t runners_count, runners_capacity;
};

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

/* All of it, when somebody gives it; else the last words. */
static struct slice fetch(struct logs_listing *listing, const struct msg_log_row *row)
{
    struct msg_dataset_block item = {.block.block = row->log, .holders = row->holders};
    struct slice bytes;
    if (row->log.size == 0 || !download_block(listing->download, &item, &bytes))
        return row->attempt.log;
    return bytes;
}

static void show_json(struct logs_listing *listing, const struct msg_log_row *row, const char *name,
                      struct slice text)
{
    json_open(&listing->json, '{');
    json_field_text(&listing->json, "attempt", name);
    json_field_bytes(&listing->json, "node_name", row->attempt.node_name);
    json_field_text(&listing->json, "state", attempts_state(&row->attempt));
    json_field_bytes(&listing->json, "log", text);
    json_close(&listing->json, '}');
}

/* Was followed while it ran: only the rest is news. How it failed is the first line of a log that
 * tells so, and now comes last. */
static void show_rest(struct said *said, const struct msg_log_row *row, struct slice text)
{
    struct slice verdict = slice_of(text.at, 0);
    bool is_block = text.at != row->attempt.log.at;
    bool is_whole = is_block ? text.count < WHOLE_MAX : text.count < WORDS_MAX;
    if (row->attempt.state == ATTEMPT_FAILED) {
        const uint8_t *end = memchr(text.at, '\n', text.count);
        verdict.count = end == NULL ? text.count : (size_t)(end - text.at);
        size_t skipped = end == NULL ? text.count : verdict.count + 1;
        text = slice_of(text.at + skipped, text.count - skipped);
    }
    said_end(said, text, is_whole);
    said_print(said->name, verdict);
}

static void show_ended(struct logs_listing *listing, const struct msg_log_row *row,
                       const char *name)
{
    bool is_follow = listing->options->is_follow;
    if (row->attempt.log.count == 0 && !is_follow) return;
    struct said *said = is_follow ? saids_get(&listing->saids, name, &row->attempt.node) : NULL;
    if (said != NULL && said->is_over) return;
    struct slice text = fetch(listing, row);
    if (listing->options->output == OUTPUT_JSON) {
        if (text.count > 0) show_json(listing, row, name, tail(text, listing->options->tail));
    } else if (said == NULL || said->position == 0) {
        said_print(name, tail(text, listing->options->tail));
    } else {
        show_rest(said, row, text);
    }
    if (said != NULL) said->is_over = true;
}

static void note_runner(struct logs_listing *listing, const struct msg_log_row *row,
                        const char *name)
{
    if (!listing->options->is_follow || listing->options->output == OUTPUT_JSON) return;
    if (listing->runners_count == listing->runners_capacity) {
        size_t capacity = listing->runners_capacity == 0 ? 64 : 2 * listing->runners_capacity;
        listing->runners = realloc(listing->runners, capacity * sizeof *listing->runners);
        if (listing->runners == NULL) notice_no_memory();
        listing->runners_capacity = capacity;
    }
    struct runner *runner = &listing->runners[listing->runners_count++];
    runner->node = row->attempt.node;
    memcpy(runner->name, name, TASK_NAME_SIZE);
}

static void visit(struct logs_listing *listing, struct slice job, const struct msg_log_row *row,
                  bool is_last)
{
    char name[TASK_NAME_SIZE] = "";
    if (listing->options->is_previous && is_last) return;
    attempts_name(job, &row->attempt, name);
    if (row->attempt.state != ATTEMPT_RUNNING) show_ended(listing, row, name);
    else if (row->attempt.number > 0) note_runner(listing, row, name);
}

/* Every attempt of a job or task, in order. */
static int each_log(struct session *session, const char *name, struct logs_listing *listing)
{
    struct msg_ask_logs ask = {.name = slice_string(name)};
    listing->runners_count = 0;
    for (;;) {
        struct wire_message reply;
        int code = session_call(session, &wire_ask_logs, &ask, MSG_say_logs, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_say_logs *say = reply.fields;
        const struct msg_log_row *rows = say->rows.at;
        for (uint32_t i = 0; i < say->rows.count; i++) {
            const struct msg_attempt_row *now = &rows[i].attempt, *next = now;
            if (i + 1 < say->rows.count) next = &rows[i + 1].attempt;
            bool is_last =
                i + 1 == say->rows.count || next->task != now->task || next->kind != now->kind;
            visit(listing, say->job_name, &rows[i], is_last);
        }
        if (!say->more || say->next <= ask.first) return EXIT_OK;
        ask.first = say->next;
    }
}

static void show_running(struct logs_listing *listing)
{
    for (size_t i = 0; i < listing->runners_count; i++) {
        const struct runner *runner = &listing->runners[i];
        struct said *said = saids_get(&listing->saids, runner->name, &runner->node);
        if (said->is_over) continue;
        const struct msg_say_tail *say =
            tails_ask(listing->tails, &runner->node, runner->name, said->position);
        if (say == NULL) continue;
        bool is_first = said->position == 0;
        if (say->behind > said->position) said->position = say->behind; /* lost: it was faster */
        struct slice text = say->bytes;
        struct slice shown = is_first ? tail(text, listing->options->tail) : text;
        said->position += text.count - shown.count;
        said_more(said, shown);
    }
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

/* Without waiting for something to be printed. */
static bool is_reader_gone(void)
{
    struct pollfd reader = {.fd = STDOUT_FILENO};
    return poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR) != 0;
}

static int show_all(struct session *session, const char *name, struct logs_listing *listing)
{
    for (;;) {
        /* Asked first: what ends after this question is printed by the round after it. */
        bool goes_on = listing->options->is_follow && is_running(session, name);
        int code = each_log(session, name, listing);
        if (code == EXIT_OK) show_running(listing);
        if (code != EXIT_OK || fflush(stdout) != 0 || !goes_on) return code;
        if (is_reader_gone()) return EXIT_OK;
        if (clock_now() >= session_connections(session)->deadline) return EXIT_TIMED_OUT;
        clock_sleep(FOLLOW_PAUSE);
    }
}

int mrctl_logs(const struct options *options)
{
    struct logs_listing listing = {.options = options};
    struct session *session;
    const char *name = options->arguments.items[0];
    bool has_array = options->output == OUTPUT_JSON;
    int code = attempts_is_short(name) ? session_open(&session, options) : EXIT_USAGE;
    if (code != EXIT_OK) return code;
    saids_init(&listing.saids);
    listing.download = download_open(session);
    listing.tails = tails_open(session);
    json_begin(&listing.json, stdout);
    if (has_array) json_open(&listing.json, '[');
    code = show_all(session, name, &listing);
    if (has_array) {
        json_close(&listing.json, ']');
        json_end(&listing.json);
    }
    int written = commands_flush();
    tails_close(listing.tails);
    download_close(listing.download);
    saids_deinit(&listing.saids);
    free(listing.runners);
    session_close(session);
    return code == EXIT_OK ? written : code;
}
