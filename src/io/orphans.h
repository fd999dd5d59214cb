/* Processes that fall to us when an mrtask is killed that had started them. */
#ifndef IO_ORPHANS_H
#define IO_ORPHANS_H

#include "io/helper.h"

enum {
    ORPHANS_INHERITED_MAX = 64,
    ORPHANS_KNOWN_MAX = 2048, /* twice as many as there may be slots: the ending ones, too */
};

struct orphans {
    pid_t inherited[ORPHANS_INHERITED_MAX]; /* children of who became us by exec: not ours to end */
    size_t inherited_count;
};

/* Those that are there now stay. */
void orphans_init(struct orphans *orphans);
/* Kills what is a child of ours and neither inherited nor one of these helpers. */
void orphans_end(const struct orphans *orphans, const struct helpers *helpers);

#endif
