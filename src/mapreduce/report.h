/* What a command says on stderr: Hadoop Streaming's reporter lines are taken, the rest is the
 * attempt's log, of which the last 64 KiB are kept. Nothing here grows, whatever is printed. */
#ifndef MAPREDUCE_REPORT_H
#define MAPREDUCE_REPORT_H

#include "base/slice.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REPORT_LOG_MAX = 65536,    /* the cap of task_result.log */
    REPORT_COUNTERS_MAX = 256, /* the cap of task_result.counters; further ones are not counted */
    REPORT_NAME_MAX = 128,     /* the cap of a counter's group and name; longer ones are log */
    REPORT_LINE_MAX = 1024,    /* a reporter line: the cap of task_result.text, and two names fit */
};

struct report_counter {
    uint8_t group[REPORT_NAME_MAX];
    uint8_t name[REPORT_NAME_MAX];
    uint8_t group_size;
    uint8_t name_size;
    uint64_t value; /* stays at its maximum rather than wrap */
};

struct report {
    uint8_t ring[REPORT_LOG_MAX];
    uint64_t logged; /* bytes ever; the last ones are in the ring, byte n at n % max */
    uint8_t line[REPORT_LINE_MAX]; /* the current line, as long as it may be a reporter line */
    size_t line_size;
    bool is_passing; /* the current line is log: what comes goes to the ring */
    uint8_t status[REPORT_LINE_MAX];
    size_t status_size;
    struct report_counter counters[REPORT_COUNTERS_MAX];
    uint32_t counters_count;
};

void report_init(struct report *report);
/* Bytes of stderr, cut anywhere. */
void report_take(struct report *report, struct slice bytes);
/* No more bytes: what looked like the beginning of a reporter line is judged as it is. */
void report_end(struct report *report);

/* The log: the last bytes, from a line's start on when bytes had to be dropped. Writes into log
 * (REPORT_LOG_MAX), which the slice borrows. */
struct slice report_log(const struct report *report, uint8_t log[REPORT_LOG_MAX]);
/* The last status; none = count 0. Borrows. */
struct slice report_status(const struct report *report);
/* The counters, in order of their first mention; views into report, in counters
 * (REPORT_COUNTERS_MAX). */
struct list report_counters(const struct report *report, struct msg_counter *counters);

#endif
