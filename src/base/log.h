/* Where the core's words go: the driver hands in a sink. One line a call, no newline in it.
 * The core composes text, the driver adds time, node and format. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

struct log {
    void (*line)(void *context, enum log_level level, const char *text); /* NULL = silence */
    void *context;
    enum log_level level; /* lines below it are not composed at all */
};

/* Composes at most 512 bytes; longer text is cut. text is key=value words after a short event name. */
void log_line(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
