/* A built-in over a few bytes takes microseconds; a directory, a process and files take
 * milliseconds. So one helper (an mrtask that waits, helper.c) serves all of them: tasks go to it
 * as they come, results come back in the same order, many at a time.
 *
 *   NONE --first brief task--> UP --it owes nothing--> put back: NONE
 *                               \--it dies--> NONE, and rests for a while
 *
 * No code of a user's ever runs in it: what a task of that kind could spoil is our own doing. When
 * it is killed it was at the first of those that it owes, as far as anybody knows: that one counts
 * as an attempt, as it would in a process of its own (rundir_lose), so that what always ends so
 * ends its job. The rest was not started, and is claimed again; for a while tasks then run as
 * others do. */
#include "io/briefs.h"

#include "io/helper.h"
#include "io/loop.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REST = 10 * SECOND, /* after it has died of itself */
    INPUT_MAX = 16384,  /* as task_brief */
};

struct briefs {
    struct loop *loop;
    struct helpers *helpers;
    struct helper_user user;
    struct helper *helper; /* NULL: NONE */
    bool is_over;          /* the loop stops */
    instant rests_until;
    uint64_t *tokens; /* a queue: what it owes, in order */
    size_t tokens_capacity, tokens_first, tokens_count;
};

/* ---- the queue ---- */

static bool queue_reserve(struct briefs *briefs)
{
    if (briefs->tokens_first + briefs->tokens_count < briefs->tokens_capacity) return true;
    if (briefs->tokens_first > 0) {
        memmove(briefs->tokens, briefs->tokens + briefs->tokens_first,
                briefs->tokens_count * sizeof *briefs->tokens);
        briefs->tokens_first = 0;
        if (briefs->tokens_count < briefs->tokens_capacity) return true;
    }
    size_t capacity = briefs->tokens_capacity == 0 ? 64 : 2 * briefs->tokens_capacity;
    uint64_t *tokens = realloc(briefs->tokens, capacity * sizeof *tokens);
    if (tokens == NULL) return false;
    briefs->tokens = tokens;
    briefs->tokens_capacity = capacity;
    return true;
}

static uint64_t queue_take(struct briefs *briefs)
{
    briefs->tokens_count--;
    return briefs->tokens[briefs->tokens_first++];
}

/* ---- results ---- */

static void put_back(struct briefs *briefs, bool is_sound)
{
    helper_put(briefs->helper, is_sound);
    briefs->helper = NULL;
}

/* The next task that is owed has ended. */
static void feed_end(struct briefs *briefs, const struct msg_task_result *result,
                     struct slice output, bool has_more)
{
    struct event event = {.kind = EVENT_TASK_FINISHED, .has_more = has_more};
    event.task_finished.token = queue_take(briefs);
    event.task_finished.result = result;
    event.task_finished.is_small = result->outcome == OUTCOME_DONE;
    event.task_finished.bytes = output;
    loop_feed(briefs->loop, &event);
}

static bool on_told(struct helper_user *user, const struct wire_message *message, bool has_more)
{
    struct briefs *briefs = user->context;
    const struct msg_task_brief_result *said = message->fields;
    if (message->type != MSG_task_brief_result || briefs->tokens_count == 0) return false;
    if (said->token != briefs->tokens[briefs->tokens_first]) return false;
    struct msg_task_result result = {.outcome = said->outcome,
                                     .status = said->status,
                                     .output = {said->digest, said->output.count},
                                     .records = said->records,
                                     .text = said->text};
    feed_end(briefs, &result, said->output, has_more);
    bool is_sound = said->outcome == OUTCOME_DONE || said->outcome == OUTCOME_EXITED;
    if (briefs->tokens_count == 0 && briefs->helper != NULL) put_back(briefs, is_sound);
    return true;
}

static void on_ended(struct helper_user *user, int64_t status, int number)
{
    struct msg_task_result lost = {
        .outcome = OUTCOME_NOT_STARTED,
        .text = {(const uint8_t *)"the mrtask for brief tasks has died", 35},
    };
    struct briefs *briefs = user->context;
    struct msg_task_result killed = lost;
    char text[128];
    briefs->helper = NULL;
    if (briefs->is_over) return;
    trace_line(&briefs->loop->trace, TRACE_WARN,
               "event=briefs_ended status=%lld signal=%d owed=%zu", (long long)status, number,
               briefs->tokens_count);
    briefs->rests_until = loop_now() + REST;
    if (number != 0 && briefs->tokens_count > 0) {
        const char *name = sigabbrev_np(number);
        snprintf(text, sizeof text, "killed by signal %d (SIG%s): mrtask, which runs built-ins",
                 number, name == NULL ? "?" : name);
        killed.outcome = OUTCOME_SIGNALED;
        killed.status = 128 + (uint32_t)number;
        killed.text = slice_string(text);
        feed_end(briefs, &killed, slice_of(NULL, 0), briefs->tokens_count > 1);
    }
    while (briefs->tokens_count > 0) feed_end(briefs, &lost, slice_of(NULL, 0), false);
}

/* ---- tasks ---- */

static bool take_helper(struct briefs *briefs)
{
    const char *why;
    if (briefs->helper != NULL) return true;
    briefs->user = (struct helper_user){on_told, on_ended, briefs};
    briefs->helper = helpers_take(briefs->helpers, &briefs->user, &why);
    if (briefs->helper == NULL) briefs->rests_until = loop_now() + REST;
    return briefs->helper != NULL;
}

bool briefs_run(struct briefs *briefs, const struct action *action)
{
    if (!action->task_run.is_brief || briefs->is_over) return false;
    if (loop_now() < briefs->rests_until) return false;
    if (action->task_run.inputs[0].bytes.count > INPUT_MAX || !queue_reserve(briefs)) return false;
    if (!take_helper(briefs)) return false;
    const struct msg_task_brief ask = {.token = action->task_run.token,
                                       .command = action->task_run.spec.command,
                                       .input = action->task_run.inputs[0].bytes};
    bool is_sent = helper_send(briefs->helper, &wire_task_brief, &ask);
    if (!is_sent && briefs->tokens_count == 0) put_back(briefs, false);
    if (!is_sent) return false;
    briefs->tokens[briefs->tokens_first + briefs->tokens_count++] = action->task_run.token;
    return true;
}

/* ---- life ---- */

enum error briefs_open(struct loop *loop, struct helpers *helpers, struct briefs **out)
{
    struct briefs *briefs = calloc(1, sizeof *briefs);
    if (briefs == NULL) return ERROR_MEMORY;
    briefs->loop = loop;
    briefs->helpers = helpers;
    *out = briefs;
    return ERROR_NONE;
}

void briefs_close(struct briefs *briefs) { briefs->is_over = true; }

void briefs_free(struct briefs *briefs)
{
    if (briefs == NULL) return;
    free(briefs->tokens);
    free(briefs);
}
