/* Between struct address (one form for both families) and the kernel's. */
#include "io/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

int sockaddr_family(const struct address *address)
{
    return address_is_ipv4(address) ? AF_INET : AF_INET6;
}

socklen_t sockaddr_size(const struct sockaddr_storage *sockaddr)
{
    return sockaddr->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                          : sizeof(struct sockaddr_in6);
}

bool sockaddr_from(const struct address *address, int family, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        if (!address_is_ipv4(address)) return false;
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&four.sin_addr, address->ip + 12, 4);
        memcpy(out, &four, sizeof four);
        return true;
    }
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    memcpy(&six.sin6_addr, address->ip, 16);
    memcpy(out, &six, sizeof six);
    return true;
}

struct address sockaddr_address(const struct sockaddr *from)
{
    struct address address = {.port = 0};
    if (from->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, from, sizeof four);
        address = address_ipv4(0, 0, 0, 0, ntohs(four.sin_port));
        memcpy(address.ip + 12, &four.sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, from, sizeof six);
        memcpy(address.ip, &six.sin6_addr, 16);
        address.port = ntohs(six.sin6_port);
    }
    return address;
}
