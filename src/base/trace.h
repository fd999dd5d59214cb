/* Where the core's words go: the driver hands in a sink. One line a call, no newline in it.
 * The core composes text, the driver adds time, node and format. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

enum trace_level {
    TRACE_DEBUG,
    TRACE_INFO,
    TRACE_WARN,
    TRACE_ERROR,
};

struct trace {
    void (*line)(void *context, enum trace_level level, const char *text); /* NULL = silence */
    void *context;
    enum trace_level level; /* lines below it are not composed at all */
};

/* Composes at most 512 bytes; longer text is cut. text is key=value words after a short event name.
 */
void trace_line(const struct trace *trace, enum trace_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
