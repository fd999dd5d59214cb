/* Binding the node's port. Plain sockets rather than libuv's, because libuv reports a taken TCP
 * port only later, and because with port 0 the pair has to be found by trying: TCP chooses, UDP
 * follows, and if UDP's is taken, again. */
#include "io/port.h"

#include "io/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>
#include <uv.h>

enum {
    PORT_TRIES_MAX =
        32, /* of port 0: each fails with a chance below one half on a crowded machine */
    PORT_BACKLOG = 1024, /* a whole flock may come at once; the kernel caps it at somaxconn */
    PORT_RECEIVE_BUFFER = 1 << 20, /* datagrams that wait while a step runs: some 700 full ones */
};

static enum error socket_error(int number)
{
    if (number == EADDRINUSE) return ERROR_BUSY;
    if (number == EADDRNOTAVAIL) return ERROR_NOT_FOUND;
    if (number == EACCES || number == EPERM) return ERROR_DENIED;
    return ERROR_SYSTEM;
}

/* A bound socket of this type at address. The descriptor, or minus errno. */
static int bind_one(const struct address *address, int type)
{
    struct sockaddr_storage name;
    int family = sockaddr_family(address), yes = 1, no = 0, size = PORT_RECEIVE_BUFFER;
    (void)sockaddr_from(address, family, &name);
    int descriptor = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    if (type == SOCK_STREAM) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    else setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(descriptor, (struct sockaddr *)&name, sockaddr_size(&name)) != 0 ||
        (type == SOCK_STREAM && listen(descriptor, PORT_BACKLOG) != 0)) {
        int number = errno;
        close(descriptor);
        return -number;
    }
    return descriptor;
}

static enum error open_pair(const struct address *address, struct port *port)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    port->address = *address;
    port->tcp = bind_one(address, SOCK_STREAM);
    if (port->tcp < 0) return socket_error(-port->tcp);
    if (getsockname(port->tcp, (struct sockaddr *)&name, &size) != 0) {
        close(port->tcp);
        return ERROR_SYSTEM;
    }
    port->address.port = sockaddr_address((struct sockaddr *)&name).port;
    port->udp = bind_one(&port->address, SOCK_DGRAM);
    if (port->udp >= 0) return ERROR_NONE;
    close(port->tcp);
    return socket_error(-port->udp);
}

enum error port_open(const struct address *address, struct port *port)
{
    enum error error = ERROR_BUSY;
    int tries = address->port == 0 ? PORT_TRIES_MAX : 1;
    for (int i = 0; i < tries && error == ERROR_BUSY; i++) error = open_pair(address, port);
    return error;
}

struct address port_guess(const struct address *like)
{
    uv_interface_address_t *all;
    int count;
    struct address best = *like;
    if (uv_interface_addresses(&all, &count) != 0) return best;
    for (int i = count - 1; i >= 0; i--) {
        struct address one = sockaddr_address((struct sockaddr *)&all[i].address);
        bool is_link_local = one.ip[0] == 0xfe && (one.ip[1] & 0xc0) == 0x80;
        if (all[i].is_internal || is_link_local || address_is_ipv4(&one) != address_is_ipv4(like))
            continue;
        one.port = like->port;
        best = one;
    }
    uv_free_interface_addresses(all, count);
    return best;
}
