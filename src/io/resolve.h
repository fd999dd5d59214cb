/* Host names to addresses, on libuv's worker threads. */
#ifndef IO_RESOLVE_H
#define IO_RESOLVE_H

#include "base/address.h"
#include "base/error.h"

#include <stddef.h>

enum {
    RESOLVE_PORT = 7437, /* when a host comes without one */
    RESOLVE_ADDRESSES_MAX =
        8, /* of one name: a machine has few, a round-robin name is asked again */
};

struct loop;
struct resolver;

enum error resolver_open(struct loop *loop, struct resolver **resolver) MUST_USE;
/* ACTION_RESOLVE: HOST, HOST:PORT, IPv4 or [IPv6] with or without a port. EVENT_RESOLVED follows,
 * never from within. Copies host. */
void resolver_ask(struct resolver *resolver, uint64_t token, const char *host);
/* The same with token 0, again and again, less and less often, until the node is not alone any
 * more. Before the loop has a node (asserted). */
void resolver_insist(struct resolver *resolver, const char *host);
/* Names insisted on that have no address yet. */
size_t resolver_pending(const struct resolver *resolver);
/* While the loop has no node yet: what was found so far, up to capacity; returns how many. */
size_t resolver_found(const struct resolver *resolver, struct address *addresses, size_t capacity);
/* Drops what is under way. */
void resolver_close(struct resolver *resolver);
/* After the loop ran out of handles. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* Splits into host (at most 255 bytes, without brackets) and port. False: not of that form. */
bool resolve_split(const char *text, char host[256], uint16_t *port);

#endif
