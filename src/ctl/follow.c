/* Following a job to its end: one ask_wait, answered every second. Killing the peer, ^C and
 * --timeout end only our wait, never the job: whoever goes away is told how to come back. */
#include "ctl/follow.h"

#include "base/plural.h"
#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/progress.h"
#include "ctl/quantity.h"
#include "wire/kinds.h"

#include <stdlib.h>

enum {
    ROW_SIZE = 32 << 10,         /* a job_row with its error text */
    RESULT_SIZE = 256 << 10,     /* and the largest output that comes along */
    UNKNOWN_LIMIT = 10 * SECOND, /* after a fail-over, for the log to bring it there */
    UNKNOWN_PAUSE = SECOND / 4,
};

static void keep(struct followed *followed, const struct msg_job_row *row)
{
    arena_reset(&followed->arena);
    if (!wire_copy(&wire_job_row, &followed->row, row, &followed->arena)) notice_no_memory();
}

static void say_end(const struct session *session, const struct msg_job_row *row)
{
    char elapsed[QUANTITY_TEXT_SIZE];
    int count = (int)row->name.count;
    const char *name = (const char *)row->name.at;
    quantity_duration_text(row->elapsed_ms, elapsed);
    if (row->state == JOB_DONE) {
        if (!session_options(session)->is_quiet)
            notice_line("%.*s done in %s (%s, %u again)", count, name, elapsed,
                        plural(row->attempts, "attempt").text, row->reexecuted);
        if (row->error.count > 0) notice_block("warning: ", row->error);
        return;
    }
    notice_line("%.*s %s after %s", count, name, job_outcome_text(row->state), elapsed);
    notice_block("  ", row->error);
    if (row->state == JOB_FAILED) notice_line("see: mrctl logs %.*s", count, name);
}

static void say_how_to_return(const struct session *session, const char *name, int code)
{
    const char *node = session_options(session)->node == NULL ? NULL : session_peer(session);
    notice_line("%s; the job goes on; to wait again: mrctl%s%s wait %s",
                code == EXIT_INTERRUPTED ? "interrupted" : "timed out", node == NULL ? "" : " -n ",
                node == NULL ? "" : node, name);
}

/* What keeps it from going on is said once, not every second. */
static void tell_trouble(struct session *session, const struct followed *followed,
                         const struct msg_job_row *row, struct progress *progress)
{
    bool is_news = row->error.count > 0 && !slice_equal(row->error, followed->row.error);
    if (row->state != JOB_RUNNING || !is_news || session_options(session)->is_quiet) return;
    progress_clear(progress);
    notice_line("%.*s", (int)row->error.count, (const char *)row->error.at);
}

static void keep_parts(struct followed *followed, const struct msg_say_result *say)
{
    struct msg_say_result copy;
    if (!say->is_whole || !wire_copy(&wire_say_result, &copy, say, &followed->arena)) return;
    followed->is_whole = true;
    followed->parts = copy.blocks;
}

/* One round: asks, and takes replies until the job has ended or the conversation has. */
static int wait_once(struct session *session, const char *name, bool wants_result,
                     struct followed *followed, struct progress *progress)
{
    struct msg_ask_wait ask = {.job = slice_string(name)};
    struct msg_ask_result ask_result = {.job = slice_string(name)};
    struct wire_message reply;
    if (wants_result) session_ask(session, &wire_ask_result, &ask_result, SESSION_WATCH_PATIENCE);
    else session_ask(session, &wire_ask_wait, &ask, SESSION_WATCH_PATIENCE);
    for (;;) {
        int code = session_reply(session, wants_result ? MSG_say_result : MSG_say_job, &reply);
        if (code != EXIT_OK) return code;
        const struct msg_job_row *row = wants_result
                                            ? &((const struct msg_say_result *)reply.fields)->job
                                            : &((const struct msg_say_job *)reply.fields)->job;
        tell_trouble(session, followed, row, progress);
        keep(followed, row);
        if (wants_result) keep_parts(followed, reply.fields);
        if (row->state != JOB_RUNNING) return EXIT_OK;
        progress_job(progress, row);
    }
}

static int follow(struct session *session, const char *name, bool is_new, bool wants_result,
                  struct followed *followed)
{
    struct progress progress;
    instant limit = clock_now() + UNKNOWN_LIMIT;
    unsigned moves = session_moves(session);
    size_t size = wants_result ? ROW_SIZE + RESULT_SIZE : ROW_SIZE;
    void *memory = malloc(size);
    if (memory == NULL) notice_no_memory();
    *followed = (struct followed){0};
    arena_init(&followed->arena, memory, size);
    progress_init(&progress, session_options(session)->is_quiet);
    if (session_options(session)->is_bar) progress.is_terminal = true;
    session_catch_interrupts(session);
    int code = wait_once(session, name, wants_result, followed, &progress);
    while (code == EXIT_NOT_FOUND) {
        /* A peer that we moved to, or that did not take the job itself, may not have heard of it
         * yet. */
        bool is_late = is_new || followed->row.name.count > 0 || session_moves(session) > moves;
        if (!is_late || clock_now() >= limit) break;
        clock_sleep(UNKNOWN_PAUSE);
        code = wait_once(session, name, wants_result, followed, &progress);
    }
    progress_clear(&progress);
    session_release_interrupts(session);
    if (code == EXIT_INTERRUPTED || code == EXIT_TIMED_OUT) {
        say_how_to_return(session, name, code);
        return code;
    }
    if (code != EXIT_OK) return session_complain(session, code);
    say_end(session, &followed->row);
    return followed->row.state == JOB_DONE ? EXIT_OK : EXIT_JOB_FAILED;
}

int follow_job(struct session *session, const char *name, bool is_new, struct followed *followed)
{
    return follow(session, name, is_new, false, followed);
}

int follow_result(struct session *session, const char *name, struct followed *followed)
{
    return follow(session, name, true, true, followed);
}

void followed_deinit(struct followed *followed)
{
    free(followed->arena.base);
    *followed = (struct followed){0};
}
