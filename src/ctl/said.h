/* What attempts have said, as it is printed: in whole lines, each behind its attempt's name, so
 * that many may be printed as they come. */
#ifndef CTL_SAID_H
#define CTL_SAID_H

#include "base/map.h"
#include "ctl/attempts.h"

enum {
    SAID_LINE_MAX = 4096, /* a longer line is printed in pieces */
    SAID_LAST_SIZE = 256, /* by which the place is found in a log whose beginning is gone */
};

/* One attempt that was followed. */
struct said {
    char key[TASK_NAME_SIZE + ID_TEXT_SIZE]; /* of two rivals the name is the same */
    char name[TASK_NAME_SIZE];
    bool is_over;                 /* all of it is printed */
    uint64_t position;            /* bytes taken in so far */
    uint8_t last[SAID_LAST_SIZE]; /* the last of them */
    size_t last_count;
    uint8_t *line; /* without its end yet; SAID_LINE_MAX, owned; NULL = none */
    size_t line_size;
};

/* All of them, by name and node. */
struct saids {
    struct memory memory;
    struct map by_key;
};

void saids_init(struct saids *saids);
void saids_deinit(struct saids *saids);
/* The attempt's, made when it is not there. */
struct said *saids_get(struct saids *saids, const char *name, const struct id *node);

/* Prints the whole lines of text, and keeps the rest for later. */
void said_more(struct said *said, struct slice text);
/* The attempt has ended, and this is its log: prints what was not yet. is_whole: the log has all
 * that it ever said, from the first byte on. */
void said_end(struct said *said, struct slice log, bool is_whole);
/* Lines behind a name. */
void said_print(const char *name, struct slice text);

#endif
