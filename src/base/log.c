#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_SIZE = 512 }; /* a line a person still reads */

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    if (log->line == NULL || level < log->level) return;
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log->line(log->context, level, text);
}
