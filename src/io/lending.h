/* Files that clients on this machine lend to their node: a descriptor, passed over a socket in the
 * node's directory (SCM_RIGHTS, unix(7)). So their bytes are read by whoever stores them, and need
 * not be sealed, sent and opened first. Only who could read the node's directory can write to the
 * socket: its own user, and root. Everybody else sends chunks. */
#ifndef IO_LENDING_H
#define IO_LENDING_H

#include "base/id.h"

struct lending;
struct loop;

/* Makes the socket, DIRECTORY/lend, in place of a former boot's. directory: absolute; borrowed.
 * NULL when that is not possible: then nothing is lent. */
struct lending *lending_open(struct loop *loop, const char *directory);
/* Closes its handles; nothing is taken in any more. */
void lending_close(struct lending *lending);
/* After the loop ran out of handles. NULL is fine. */
void lending_free(struct lending *lending);
/* Where the socket is, which has room for another loan now; "" when lending is NULL. */
const char *lending_offer(struct lending *lending);
/* The descriptor lent under this token, of a regular file that may be read: the caller's from now
 * on. -1: none was. */
int lending_take(struct lending *lending, const struct id *token);

#endif
