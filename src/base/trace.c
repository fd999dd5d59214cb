#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    LINE_SIZE = 512
}; /* a line a person still reads */

void trace_line(const struct trace *trace, enum trace_level level, const char *format, ...)
{
    if (trace->line == NULL || level < trace->level) return;
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    trace->line(trace->context, level, text);
}
