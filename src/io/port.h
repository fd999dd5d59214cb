/* One UDP and one TCP socket on the same port number. */
#ifndef IO_PORT_H
#define IO_PORT_H

#include "base/address.h"
#include "base/error.h"

struct port {
    struct address address; /* as bound: port 0 has become a number */
    int tcp;                /* descriptors, non-blocking; tcp listens */
    int udp;
};

/* Binds both. Port 0: the kernel's choice, the same for both. BUSY: somebody else is there;
 * NOT_FOUND: no such local address; DENIED; SYSTEM. The descriptors are the caller's. */
enum error port_open(const struct address *address, struct port *port) MUST_USE;

/* An address of this machine that others may reach: the first one that is not loopback, of the
 * family of like; like's own when there is none. For a node that listens everywhere and was not
 * told what to advertise. */
struct address port_guess(const struct address *like);

#endif
