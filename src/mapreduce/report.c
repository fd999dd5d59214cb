/* Cutting stderr into lines without keeping lines: only what begins as a reporter line is held
 * back, and only up to its cap; everything else goes straight to the ring. */
#include "mapreduce/report.h"

#include <assert.h>
#include <string.h>

static const char counter_head[] = "reporter:counter:";
static const char status_head[] = "reporter:status:";

void report_init(struct report *report)
{
    report->logged = 0;
    report->line_size = 0;
    report->is_passing = false;
    report->status_size = 0;
    report->counters_count = 0;
}

static void log_bytes(struct report *report, struct slice bytes)
{
    if (bytes.count > REPORT_LOG_MAX) {
        size_t dropped = bytes.count - REPORT_LOG_MAX;
        report->logged += dropped;
        bytes = slice_of(bytes.at + dropped, REPORT_LOG_MAX);
    }
    while (bytes.count > 0) {
        size_t at = report->logged % REPORT_LOG_MAX;
        size_t part = bytes.count < REPORT_LOG_MAX - at ? bytes.count : REPORT_LOG_MAX - at;
        memcpy(report->ring + at, bytes.at, part);
        report->logged += part;
        bytes = slice_of(bytes.at + part, bytes.count - part);
    }
}

/* ---- reporter lines ---- */

static bool starts(struct slice line, const char *head)
{
    size_t size = strlen(head);
    return line.count >= size && memcmp(line.at, head, size) == 0;
}

/* May the line still become a reporter line, or is it one? */
static bool is_promising(struct slice line, const char *head)
{
    size_t size = strlen(head);
    return memcmp(line.at, head, line.count < size ? line.count : size) == 0;
}

static bool parse_number(struct slice text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.count; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        unsigned digit = text.at[i] - '0';
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    return text.count > 0;
}

/* Cuts text at the first comma: what precedes it into *head, the rest stays. */
static bool cut(struct slice *text, struct slice *head)
{
    const uint8_t *comma = memchr(text->at, ',', text->count);
    if (comma == NULL) return false;
    *head = slice_of(text->at, (size_t)(comma - text->at));
    *text = slice_of(comma + 1, text->count - head->count - 1);
    return true;
}

static struct report_counter *find_counter(struct report *report, struct slice group,
                                           struct slice name)
{
    for (uint32_t i = 0; i < report->counters_count; i++) {
        struct report_counter *counter = &report->counters[i];
        if (slice_equal(slice_of(counter->group, counter->group_size), group) &&
            slice_equal(slice_of(counter->name, counter->name_size), name))
            return counter;
    }
    return NULL;
}

static struct report_counter *add_counter(struct report *report, struct slice group,
                                          struct slice name)
{
    if (report->counters_count == REPORT_COUNTERS_MAX) return NULL;
    struct report_counter *counter = &report->counters[report->counters_count++];
    counter->group_size = (uint8_t)group.count;
    counter->name_size = (uint8_t)name.count;
    counter->value = 0;
    memcpy(counter->group, group.at, group.count);
    memcpy(counter->name, name.at, name.count);
    return counter;
}

/* GROUP,NAME,N. False when it is not that. */
static bool take_counter(struct report *report, struct slice text)
{
    struct slice group, name;
    uint64_t number;
    if (!cut(&text, &group) || !cut(&text, &name) || !parse_number(text, &number)) return false;
    if (group.count > REPORT_NAME_MAX || name.count > REPORT_NAME_MAX) return false;
    struct report_counter *counter = find_counter(report, group, name);
    if (counter == NULL) counter = add_counter(report, group, name);
    if (counter == NULL) return true;
    bool fits = number <= UINT64_MAX - counter->value;
    counter->value = fits ? counter->value + number : UINT64_MAX;
    return true;
}

static bool take_reporter_line(struct report *report, struct slice line)
{
    if (line.count > 0 && line.at[line.count - 1] == '\r') line.count--;
    if (starts(line, counter_head)) {
        size_t head = strlen(counter_head);
        return take_counter(report, slice_of(line.at + head, line.count - head));
    }
    if (!starts(line, status_head)) return false;
    report->status_size = line.count - strlen(status_head);
    memcpy(report->status, line.at + strlen(status_head), report->status_size);
    return true;
}

/* ---- lines ---- */

/* The line held back is over (its newline not in it). */
static void end_held_line(struct report *report, bool has_newline)
{
    struct slice line = slice_of(report->line, report->line_size);
    report->line_size = 0;
    if (take_reporter_line(report, line)) return;
    log_bytes(report, line);
    if (has_newline) log_bytes(report, slice_string("\n"));
}

/* A piece of a line, its newline not in it. */
static void take_piece(struct report *report, struct slice piece)
{
    size_t room = REPORT_LINE_MAX - report->line_size;
    if (!report->is_passing && piece.count <= room) {
        if (piece.count > 0) memcpy(report->line + report->line_size, piece.at, piece.count);
        report->line_size += piece.count;
        struct slice line = slice_of(report->line, report->line_size);
        if (is_promising(line, counter_head) || is_promising(line, status_head)) return;
        piece = (struct slice){0};
    }
    report->is_passing = true;
    log_bytes(report, slice_of(report->line, report->line_size));
    report->line_size = 0;
    log_bytes(report, piece);
}

void report_take(struct report *report, struct slice bytes)
{
    while (bytes.count > 0) {
        const uint8_t *newline = memchr(bytes.at, '\n', bytes.count);
        size_t count = newline == NULL ? bytes.count : (size_t)(newline - bytes.at);
        take_piece(report, slice_of(bytes.at, count));
        if (newline == NULL) return;
        if (report->is_passing) log_bytes(report, slice_string("\n"));
        else end_held_line(report, true);
        report->is_passing = false;
        bytes = slice_of(newline + 1, bytes.count - count - 1);
    }
}

void report_end(struct report *report)
{
    if (!report->is_passing && report->line_size > 0) end_held_line(report, false);
    report->is_passing = false;
}

/* ---- what was said ---- */

struct slice report_log(const struct report *report, uint8_t log[REPORT_LOG_MAX])
{
    if (report->logged <= REPORT_LOG_MAX) {
        memcpy(log, report->ring, (size_t)report->logged);
        return slice_of(log, (size_t)report->logged);
    }
    size_t at = report->logged % REPORT_LOG_MAX;
    memcpy(log, report->ring + at, REPORT_LOG_MAX - at);
    memcpy(log + REPORT_LOG_MAX - at, report->ring, at);
    const uint8_t *newline = memchr(log, '\n', REPORT_LOG_MAX - 1);
    if (newline == NULL) return slice_of(log, REPORT_LOG_MAX);
    return slice_of(newline + 1, (size_t)(log + REPORT_LOG_MAX - newline - 1));
}

struct slice report_status(const struct report *report)
{
    return slice_of(report->status, report->status_size);
}

struct list report_counters(const struct report *report, struct msg_counter *counters)
{
    for (uint32_t i = 0; i < report->counters_count; i++) {
        const struct report_counter *counter = &report->counters[i];
        counters[i] = (struct msg_counter){
            .group = slice_of(counter->group, counter->group_size),
            .name = slice_of(counter->name, counter->name_size),
            .value = counter->value,
        };
    }
    return (struct list){.at = counters, .count = report->counters_count};
}
