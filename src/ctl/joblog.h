/* GNU parallel's job log: a line for each command, columns separated by TABs.
 *
 *   Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command */
#ifndef CTL_JOBLOG_H
#define CTL_JOBLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct joblog_line {
    uint64_t sequence;
    uint32_t status;
    uint32_t signal;
    bool is_last;  /* the newest of its sequence */
    char *command; /* owned */
};

struct joblog {
    struct joblog_line *lines; /* by sequence, of equal ones the newest last */
    size_t count, capacity;
};

/* Reads a log that this program or GNU parallel wrote; one that is not there is empty. EXIT_OK;
 * EXIT_USAGE (said) when it can't be read or is none. joblog_deinit is due either way. */
int joblog_read(struct joblog *joblog, const char *path);
void joblog_deinit(struct joblog *joblog);
bool joblog_has(const struct joblog *joblog, uint64_t sequence);

/* What a log says of one command. */
struct joblog_row {
    uint64_t sequence;
    const char *host;
    uint64_t started_ms;
    uint64_t elapsed_us;
    uint64_t size; /* of its stdout */
    uint32_t status;
    uint32_t signal;
    const char *command;
};

void joblog_head(FILE *file);
void joblog_put(FILE *file, const struct joblog_row *row);

#endif
