/* What mrctl says to people. Peers are trusted with the flock's work, not with the reader's
 * terminal: an escape sequence in a node's name or in a task's stderr is shown, not obeyed. A line
 * is written by one call, so that lines of several mrctl on one terminal do not mix. */
#include "ctl/notice.h"

#include "ctl/exits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_harmless(unsigned char c)
{
    return c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f);
}

static void clean(char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_harmless((unsigned char)text[i])) text[i] = '?';
}

void notice_line(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int count = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (count < 0) notice_no_memory();
    clean(text, (size_t)count);
    fprintf(stderr, "mrctl: %s\n", text);
    free(text);
}

void notice_block(const char *prefix, struct slice text)
{
    while (text.count > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.count);
        size_t count = end == NULL ? text.count : (size_t)(end - text.at);
        char *line = strndup((const char *)text.at, count);
        if (line == NULL) notice_no_memory();
        clean(line, strlen(line));
        fprintf(stderr, "%s%s\n", prefix, line);
        free(line);
        if (end == NULL) return;
        text = slice_of(end + 1, text.count - count - 1);
    }
}

/* Of the process, as stderr is: who is out of memory has no caller to ask. */
static int last_words = STDERR_FILENO;

void notice_last_words_to(int fd) { last_words = fd; }

void notice_no_memory(void)
{
    dprintf(last_words, "mrctl: out of memory; a job that was submitted goes on (mrctl status)\n");
    exit(EXIT_JOB_FAILED);
}
