/* The node's one UDP socket: datagrams in and out, nothing else. */
#ifndef IO_UDP_H
#define IO_UDP_H

#include "base/address.h"
#include "base/error.h"
#include "base/slice.h"

struct loop;
struct udp;

/* Takes the bound descriptor, of this family. Receives nothing before udp_start. MEMORY, SYSTEM. */
enum error udp_open(struct loop *loop, int descriptor, int family, struct udp **udp) MUST_USE;
enum error udp_start(struct udp *udp) MUST_USE;
/* Sends now or, when the kernel's buffer is full or the address can't be reached from this socket,
 * never: a datagram may be lost anyway, and who cares for it asks again. */
void udp_send(struct udp *udp, const struct address *to, struct slice bytes);
void udp_close(struct udp *udp);
/* After the loop ran out of handles. NULL is fine. */
void udp_free(struct udp *udp);

#endif
