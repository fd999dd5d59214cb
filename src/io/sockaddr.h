/* Addresses as the kernel wants them, and back. */
#ifndef IO_SOCKADDR_H
#define IO_SOCKADDR_H

#include "base/address.h"

#include <sys/socket.h>

/* For a socket of this family (AF_INET or AF_INET6; IPv4 goes through an AF_INET6 socket in its
 * mapped form). False when such a socket cannot reach it. */
bool sockaddr_from(const struct address *address, int family, struct sockaddr_storage *out);
/* The address of a sockaddr of either family; none for any other. */
struct address sockaddr_address(const struct sockaddr *from);
/* AF_INET or AF_INET6: the family of a socket that listens at this address. */
int sockaddr_family(const struct address *address);
socklen_t sockaddr_size(const struct sockaddr_storage *sockaddr);

#endif
