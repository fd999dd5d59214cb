/* What people call tasks and attempts (attempts.h). */
#include "ctl/attempts.h"

#include "ctl/notice.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <string.h>

static char letter_of(unsigned kind) { return kind == TASK_MAP ? 'm' : 'r'; }

char *attempts_task(struct slice job, const struct msg_attempt_row *row, char text[TASK_NAME_SIZE])
{
    snprintf(text, TASK_NAME_SIZE, "%.*s/%c%u", (int)job.count, (const char *)job.at,
             letter_of(row->kind), row->task);
    return text;
}

char *attempts_name(struct slice job, const struct msg_attempt_row *row, char text[TASK_NAME_SIZE])
{
    size_t count = strlen(attempts_task(job, row, text));
    if (row->number > 0) snprintf(text + count, TASK_NAME_SIZE - count, ".%u", row->number);
    return text;
}

bool attempts_is_unclaimed(const struct msg_attempt_row *row)
{
    return row->number == 0 && row->state != ATTEMPT_DONE && row->state != ATTEMPT_LOST;
}

const char *attempts_state(const struct msg_attempt_row *row)
{
    return attempts_is_unclaimed(row) ? "waiting" : attempt_state_text(row->state);
}

const char *attempts_cause(const struct msg_attempt_row *row)
{
    return attempts_is_unclaimed(row) ? "not claimed yet" : cause_text(row->cause);
}

bool attempts_is_short(const char *word)
{
    if (strlen(word) <= 128) return true;
    notice_line("a task's name has at most 128 bytes");
    return false;
}
