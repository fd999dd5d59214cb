/* Scenario files: a plan as text, to be read and written by people and by mrsim. Sections and
 * key=value lines as in INI files; but the lines of [jobs] and [faults] are lists of words, which
 * no INI library reads, so the reader is our own. The format: docs/EXPERIMENTS.md. */
#ifndef SIM_SCN_H
#define SIM_SCN_H

#include "sim/plan.h"

#include <stdio.h>

enum {
    SCN_REASON_SIZE = 160
};

/* Reads text, which it changes, into a plan that plan_init made. False: reason says in which line
 * what is wrong. */
bool scn_read(struct plan *plan, char *text, char reason[SCN_REASON_SIZE]);
/* The same from a file. */
bool scn_load(struct plan *plan, const char *path, char reason[SCN_REASON_SIZE]);
/* A complete plan, such that scn_read makes it again. comment: one line, or NULL. */
void scn_write(const struct plan *plan, const char *comment, FILE *file);

/* "250ms", "90s", "2m", "1h", "1500us"; a bare number is seconds. */
bool scn_duration(const char *text, duration *result);
bool scn_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
bool scn_canary(const char *text, enum canary *canary);

#endif
