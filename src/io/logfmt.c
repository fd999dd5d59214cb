/* The log: a line a happening, made for grep and for machines alike. Wall-clock time appears here
 * and nowhere else in a decision. Names come from other nodes, so control characters are never
 * passed on to a terminal. */
#include "io/logfmt.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_LINE_MAX = 2048
}; /* a trace line of 512 bytes, escaped, and what precedes it */

struct line {
    char text[LOG_LINE_MAX];
    size_t size;
};

static const char *const level_words[] = {"debug", "info", "warn", "error"};

bool logfmt_level(const char *word, enum trace_level *level)
{
    for (unsigned i = 0; i < sizeof level_words / sizeof *level_words; i++)
        if (strcmp(word, level_words[i]) == 0) {
            *level = (enum trace_level)i;
            return true;
        }
    return false;
}

static void add_byte(struct line *line, char byte)
{
    if (line->size < sizeof line->text - 4)
        line->text[line->size++] = byte; /* 4: "}, newline, NUL */
}

static void add_text(struct line *line, const char *text)
{
    while (*text != '\0') add_byte(line, *text++);
}

/* Text of others: printable, and for JSON escaped. */
static void add_safe(struct line *line, const char *text, enum logfmt_format format)
{
    for (; *text != '\0'; text++) {
        bool is_control = (uint8_t)*text < 0x20 || *text == 0x7f;
        if (format == LOGFMT_JSON && (*text == '"' || *text == '\\')) add_byte(line, '\\');
        add_byte(line, is_control ? '?' : *text);
    }
}

static void add_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    char text[64], whole[80];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(whole, sizeof whole, "%s.%03ldZ", text, now.tv_nsec / 1000000);
    add_text(line, whole);
}

void logfmt_line(void *context, enum trace_level level, const char *text)
{
    const struct logfmt *log = context;
    bool is_json = log->format == LOGFMT_JSON;
    struct line line = {.size = 0};
    add_text(&line, is_json ? "{\"time\":\"" : "time=");
    add_time(&line);
    add_text(&line, is_json ? "\",\"level\":\"" : " level=");
    add_text(&line, level_words[level]);
    add_text(&line, is_json ? "\",\"node\":\"" : " node=");
    add_safe(&line, log->node, log->format);
    add_text(&line, is_json ? "\",\"text\":\"" : " ");
    add_safe(&line, text, log->format);
    if (is_json) {
        line.text[line.size++] = '"';
        line.text[line.size++] = '}';
    }
    line.text[line.size++] = '\n';
    (void)!write(STDERR_FILENO, line.text, line.size);
}
