/* Lending files to a node on this machine: their descriptors, so that it reads them itself
 * (io/lending.h). */
#ifndef CTL_LENDING_H
#define CTL_LENDING_H

#include "base/id.h"
#include "ctl/session.h"

/* What is known of the peer that the session talks to. All zeros: nothing yet. */
struct lending {
    char peer[CONNECTION_ADDRESS_SIZE];
    int directory; /* where its socket is; -1: it takes nothing. Of a peer that has been asked */
};

/* Lends this file, open for reading, to the session's peer; *token names it on streams to that one.
 * False: that peer is elsewhere, is of an earlier version, or is not to read a file like this one;
 * never said. */
bool lending_lend(struct lending *lending, const struct session *session, int file,
                  struct id *token);
void lending_deinit(struct lending *lending);

#endif
