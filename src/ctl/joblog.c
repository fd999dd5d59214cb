/* Reading and writing job logs (joblog.h), to the column as GNU parallel does, so that its users'
 * scripts read ours. */
#include "ctl/joblog.h"

#include "ctl/exits.h"
#include "ctl/notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 9
};

static const char head[] =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

void joblog_head(FILE *file) { fputs(head, file); }

void joblog_put(FILE *file, const struct joblog_row *row)
{
    fprintf(file, "%llu\t%s\t%llu.%03llu\t%10.3f\t0\t%llu\t%u\t%u\t%s\n",
            (unsigned long long)row->sequence, row->host,
            (unsigned long long)row->started_ms / 1000, (unsigned long long)row->started_ms % 1000,
            (double)row->elapsed_us / 1e6, (unsigned long long)row->size, row->status, row->signal,
            row->command);
}

static void add(struct joblog *joblog, const struct joblog_line *line)
{
    if (joblog->count == joblog->capacity) {
        joblog->capacity = joblog->capacity == 0 ? 256 : 2 * joblog->capacity;
        joblog->lines = realloc(joblog->lines, joblog->capacity * sizeof *joblog->lines);
        if (joblog->lines == NULL) notice_no_memory();
    }
    joblog->lines[joblog->count++] = *line;
}

/* False: this is no line of a log. Changes text. */
static bool take_line(struct joblog *joblog, char *text)
{
    char *columns[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        columns[i] = text;
        char *tab = i + 1 < COLUMNS ? strchr(text, '\t') : NULL;
        if (tab == NULL && i + 1 < COLUMNS) return false;
        if (tab == NULL) break;
        *tab = '\0';
        text = tab + 1;
    }
    struct joblog_line line = {.sequence = strtoull(columns[0], NULL, 10)};
    line.status = (uint32_t)strtoul(columns[6], NULL, 10);
    line.signal = (uint32_t)strtoul(columns[7], NULL, 10);
    line.command = strdup(columns[8]);
    if (line.command == NULL) notice_no_memory();
    add(joblog, &line);
    return line.sequence > 0;
}

static int compare(const void *a, const void *b)
{
    const struct joblog_line *left = a, *right = b;
    if (left->sequence != right->sequence) return left->sequence < right->sequence ? -1 : 1;
    return 0;
}

/* Stable, so that of equal numbers the newest stays last; a log is nearly sorted. */
static void sort(struct joblog *joblog)
{
    struct joblog_line *lines = joblog->lines;
    bool is_sorted = true;
    for (size_t i = 1; i < joblog->count && is_sorted; i++)
        is_sorted = compare(&lines[i - 1], &lines[i]) <= 0;
    /* glibc's qsort is a merge sort, stable, as long as memory lasts. */
    if (!is_sorted) qsort(lines, joblog->count, sizeof *lines, compare);
    for (size_t i = 0; i < joblog->count; i++)
        lines[i].is_last = i + 1 == joblog->count || lines[i + 1].sequence != lines[i].sequence;
}

int joblog_read(struct joblog *joblog, const char *path)
{
    *joblog = (struct joblog){0};
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) return EXIT_OK;
    char *line = NULL;
    size_t capacity = 0;
    bool is_log = file != NULL;
    for (ssize_t size; is_log && (size = getline(&line, &capacity, file)) >= 0;) {
        if (strncmp(line, "Seq\t", 4) == 0) continue;
        if (size > 0 && line[size - 1] == '\n') line[size - 1] = '\0';
        is_log = take_line(joblog, line);
    }
    if (!is_log) notice_line("%s: %s", path, file == NULL ? strerror(errno) : "it is no job log");
    free(line);
    if (file != NULL) fclose(file);
    sort(joblog);
    return is_log ? EXIT_OK : EXIT_USAGE;
}

void joblog_deinit(struct joblog *joblog)
{
    for (size_t i = 0; i < joblog->count; i++) free(joblog->lines[i].command);
    free(joblog->lines);
    *joblog = (struct joblog){0};
}

bool joblog_has(const struct joblog *joblog, uint64_t sequence)
{
    struct joblog_line key = {.sequence = sequence};
    return joblog->count > 0 &&
           bsearch(&key, joblog->lines, joblog->count, sizeof *joblog->lines, compare) != NULL;
}
