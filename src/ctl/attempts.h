/* Attempts' rows in words. */
#ifndef CTL_ATTEMPTS_H
#define CTL_ATTEMPTS_H

#include "wire/wire.h"

#include <stdbool.h>

enum {
    TASK_NAME_SIZE = 128,
};

/* "wc-3f7a/m12"; returns text. */
char *attempts_task(struct slice job, const struct msg_attempt_row *row, char text[TASK_NAME_SIZE]);
/* "wc-3f7a/m12.1"; a task that nobody has claimed yet is a row with number 0: "wc-3f7a/m12" */
char *attempts_name(struct slice job, const struct msg_attempt_row *row, char text[TASK_NAME_SIZE]);
/* What a new run inherits is done without having been claimed in it: that is none. */
bool attempts_is_unclaimed(const struct msg_attempt_row *row);
const char *attempts_state(const struct msg_attempt_row *row);
const char *attempts_cause(const struct msg_attempt_row *row);
/* As a job's or task's name may be; false: said. */
bool attempts_is_short(const char *word);

#endif
