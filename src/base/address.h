/* An Internet address and port, 4 or 6; IPv4 is kept as its mapped IPv6 form, so two equal
 * addresses are equal bytes. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct address {
    uint8_t ip[16]; /* ::ffff:a.b.c.d for IPv4; all zeros = no address */
    uint16_t port;
};

enum {
    ADDRESS_TEXT_SIZE = 56
}; /* [eight groups]:65535 and a NUL, with room */

static inline struct address address_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct address){.ip = {[10] = 0xff, [11] = 0xff, a, b, c, d}, .port = port};
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port;
}

static inline bool address_is_ipv4(const struct address *address)
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

static inline bool address_is_none(const struct address *address)
{
    static const uint8_t none[16];
    return memcmp(address->ip, none, sizeof none) == 0;
}

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *address);

/* "1.2.3.4:7437" or "[::1]:7437" into text; returns text. */
char *address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
/* Parses a.b.c.d:port or [v6]:port, port 0 to 65535; no names. False when text is anything else. */
bool address_parse(const char *text, struct address *address);

#endif
