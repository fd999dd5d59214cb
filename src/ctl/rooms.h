/* Looking for a peer with room for a block. */
#ifndef CTL_ROOMS_H
#define CTL_ROOMS_H

#include "ctl/session.h"

enum {
    ROOMS_FULL_MAX = 16
}; /* so many without room: the others have none, either */

/* Zeros at first. */
struct rooms {
    char fulls[ROOMS_FULL_MAX][CONNECTION_ADDRESS_SIZE]; /* that had no room a moment ago */
    size_t fulls_count;
    instant roomless_since; /* when first nobody had; 0 = not so far */
};

/* The peer that the session talks to has none: then the session talks to who is to be asked next.
 * When nobody has, somebody may make some within a while. why: as the peer said it. is_once: there
 * are bytes that can't be had a second time. EXIT_OK; EXIT_JOB_FAILED, EXIT_TIMED_OUT, EXIT_NO_PEER
 * (said). */
int rooms_next(struct rooms *rooms, struct session *session, const char *why, bool is_once);

#endif
