/* Where the words of the node and of its driver go: lines on stderr, logfmt or JSON. */
#ifndef IO_LOGFMT_H
#define IO_LOGFMT_H

#include "base/trace.h"

#include <stdbool.h>

enum logfmt_format {
    LOGFMT_TEXT, /* time=... level=info node=alpha event=suspect member=beta */
    LOGFMT_JSON, /* {"time":"...","level":"info","node":"alpha","text":"suspect member=beta"} */
};

struct logfmt {
    enum logfmt_format format;
    char node[65]; /* the name of who speaks */
};

/* A trace sink; context is a struct logfmt. One write(2) a line: unbuffered, and whole in a shared
 * log. */
void logfmt_line(void *context, enum trace_level level, const char *text);

/* "debug", "info", "warn", "error" to a level; false for anything else. */
bool logfmt_level(const char *word, enum trace_level *level);

#endif
