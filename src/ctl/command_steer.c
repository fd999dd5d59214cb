/* retry, fail, resume: a job's fate by hand. drain, undrain: a node's. */
#include "ctl/commands.h"

#include "ctl/exits.h"
#include "ctl/follow.h"
#include "ctl/job_spec.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/roster.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

/* ---- a new run of an ended job ---- */

/* Prints its name; with -w waits. without: the task to be run though it was done; "". */
static int resume(struct session *session, const struct options *options, const char *job,
                  const char *without)
{
    struct msg_ask_resume ask = {.ack = (uint8_t)(options->ack > 0 ? options->ack : 2),
                                 .job = slice_string(job),
                                 .without = slice_string(without)};
    struct wire_message reply;
    char name[JOB_NAME_SIZE];
    keys_random(&ask.id, sizeof ask.id);
    session_ask(session, &wire_ask_resume, &ask, SESSION_COPY_PATIENCE);
    int code = session_reply(session, MSG_say_submitted, &reply);
    if (code != EXIT_OK) return session_complain(session, code);
    const struct msg_say_submitted *say = reply.fields;
    snprintf(name, sizeof name, "%.*s", (int)say->name.count, (const char *)say->name.at);
    printf("%s\n", name);
    code = commands_flush();
    if (code != EXIT_OK || !options->is_watch) return code;
    struct followed followed;
    code = follow_job(session, name, true, &followed);
    followed_deinit(&followed);
    return code;
}

static bool is_short(const char *word)
{
    if (strlen(word) <= 128) return true;
    notice_line("a name has at most 128 bytes");
    return false;
}

int mrctl_resume(const struct options *options)
{
    struct session *session;
    if (!is_short(options->arguments.items[0])) return EXIT_USAGE;
    int code = session_open(&session, options);
    if (code == EXIT_OK) code = resume(session, options, options->arguments.items[0], "");
    session_close(session);
    return code;
}

/* ---- a task ---- */

/* Has the job of this task ended? It says so itself when it is asked; this asks before. */
static int is_ended(struct session *session, const char *task, bool *ended)
{
    struct msg_ask_jobs ask = {.prefix = slice_of(task, strcspn(task, "/"))};
    struct wire_message reply;
    int code = session_call(session, &wire_ask_jobs, &ask, MSG_say_jobs, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_jobs *say = reply.fields;
    const struct msg_job_row *rows = say->jobs.at;
    bool is_exact = false;
    *ended = false;
    for (uint32_t i = 0; i < say->jobs.count && !is_exact; i++) {
        is_exact = slice_equal(rows[i].name, ask.prefix);
        if (is_exact || say->jobs.count == 1) *ended = rows[i].state != JOB_RUNNING;
    }
    return EXIT_OK;
}

static int steer(struct session *session, const struct options *options, const char *task,
                 bool is_failure)
{
    struct msg_ask_retry ask = {.task = slice_string(task), .is_failure = is_failure};
    struct wire_message reply;
    bool ended = false;
    int code = is_failure ? EXIT_OK : is_ended(session, task, &ended);
    if (code != EXIT_OK) return code;
    if (ended) {
        char job[129];
        snprintf(job, sizeof job, "%.*s", (int)strcspn(task, "/"), task);
        return resume(session, options, job, task);
    }
    code = session_call(session, &wire_ask_retry, &ask, MSG_say_ok, &reply);
    if (code != EXIT_OK || options->is_quiet) return code;
    const struct msg_say_ok *say = reply.fields;
    notice_line("%.*s", (int)say->text.count, (const char *)say->text.at);
    return EXIT_OK;
}

static int steer_all(const struct options *options, bool is_failure)
{
    struct session *session;
    int worst = session_open(&session, options);
    for (size_t i = 0; session != NULL && i < options->arguments.count; i++) {
        const char *task = options->arguments.items[i];
        int code = is_short(task) ? steer(session, options, task, is_failure) : EXIT_USAGE;
        if (code != EXIT_OK) worst = code;
        if (code == EXIT_NO_PEER || code == EXIT_TIMED_OUT) break;
    }
    session_close(session);
    return worst;
}

int mrctl_retry(const struct options *options) { return steer_all(options, false); }
int mrctl_fail(const struct options *options) { return steer_all(options, true); }

/* ---- a node ---- */

static int drain(struct session *session, const struct options *options, bool is_over)
{
    struct roster roster;
    struct msg_ask_drain ask = {.is_over = is_over,
                                .has_deadline = options->deadline_ms > 0,
                                .deadline_ms = options->deadline_ms};
    struct connection *connection;
    struct wire_message reply;
    char why[CONNECTION_WHY_SIZE];
    const char *word = options->arguments.items[0];
    int code = roster_init(&roster, session);
    const struct msg_member_row *row = code == EXIT_OK ? roster_find(&roster, word, &code) : NULL;
    if (row != NULL) {
        code =
            roster_ask(session, row, &wire_ask_drain, &ask, MSG_say_ok, &connection, &reply, why);
        if (code != EXIT_OK) notice_line("%s: %s", word, why);
    }
    if (row != NULL && code == EXIT_OK) {
        const struct msg_say_ok *say = reply.fields;
        if (!options->is_quiet)
            notice_line("%.*s", (int)say->text.count, (const char *)say->text.at);
        connection_close(connection);
    }
    roster_deinit(&roster);
    return code;
}

static int drain_one(const struct options *options, bool is_over)
{
    struct session *session;
    int code = session_open(&session, options);
    if (code == EXIT_OK) code = drain(session, options, is_over);
    session_close(session);
    return code;
}

int mrctl_drain(const struct options *options) { return drain_one(options, false); }
int mrctl_undrain(const struct options *options) { return drain_one(options, true); }
