/* What goes without a stream where the node is on this machine: it is lent files, whose descriptors
 * are passed to it (io/lending.h), and its blocks are borrowed, opened where they lie. Both only as
 * far as the rights of the two go. */
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
/* Opens the file of a block that the session's peer may have, for reading; the caller's. -1: it is
 * elsewhere, has it not, or keeps it from us. Its bytes may be any, as those from a stream. */
int lending_borrow(struct lending *lending, const struct session *session,
                   const struct digest *block);
void lending_deinit(struct lending *lending);

#endif
