#include "base/address.h"

#include <stdio.h>
#include <stdlib.h>

bool address_is_loopback(const struct address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    if (address_is_ipv4(address)) return address->ip[12] == 127;
    return memcmp(address->ip, one, sizeof one) == 0;
}

char *address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    const uint8_t *ip = address->ip;
    if (address_is_ipv4(address)) {
        snprintf(text, ADDRESS_TEXT_SIZE, "%u.%u.%u.%u:%u", ip[12], ip[13], ip[14], ip[15],
                 address->port);
        return text;
    }
    /* RFC 5952: the longest run of two or more zero groups becomes "::". */
    unsigned groups[8];
    int best = -1, best_count = 1;
    for (int i = 0; i < 8; i++) groups[i] = (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]);
    for (int i = 0; i < 8; i++) {
        int count = 0;
        while (i + count < 8 && groups[i + count] == 0) count++;
        if (count > best_count) best = i, best_count = count;
    }
    size_t used = (size_t)snprintf(text, ADDRESS_TEXT_SIZE, "[");
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            used += (size_t)snprintf(text + used, ADDRESS_TEXT_SIZE - used, "::");
            i += best_count - 1;
            continue;
        }
        const char *colon = i > 0 && text[used - 1] != ':' ? ":" : "";
        used += (size_t)snprintf(text + used, ADDRESS_TEXT_SIZE - used, "%s%x", colon, groups[i]);
    }
    snprintf(text + used, ADDRESS_TEXT_SIZE - used, "]:%u", address->port);
    return text;
}

/* A decimal number of at most max at *text, no sign, no leading zeros; moves *text behind it. */
static bool parse_number(const char **text, unsigned max, unsigned *value)
{
    const char *at = *text;
    if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9')) return false;
    for (*value = 0; *at >= '0' && *at <= '9'; at++)
        if ((*value = *value * 10 + (unsigned)(*at - '0')) > max) return false;
    *text = at;
    return true;
}

static bool parse_port(const char *text, struct address *address)
{
    unsigned port;
    if (*text++ != ':' || !parse_number(&text, 65535, &port) || *text != '\0') return false;
    address->port = (uint16_t)port;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Up to 8 groups into out from *text; stops at "::", "]" or garbage. Returns the groups read, -1 if
 * bad. */
static int parse_groups(const char **text, uint16_t out[8], int room)
{
    int count = 0;
    const char *at = *text;
    while (hex_value(*at) >= 0) {
        unsigned value = 0, digits = 0;
        for (; hex_value(*at) >= 0 && digits < 4; at++, digits++)
            value = value << 4 | (unsigned)hex_value(*at);
        if (count == room || hex_value(*at) >= 0) return -1;
        out[count++] = (uint16_t)value;
        if (*at != ':' || at[1] == ':') break;
        if (hex_value(at[1]) < 0) return -1;
        at++;
    }
    *text = at;
    return count;
}

static bool parse_ipv6(const char *text, struct address *address)
{
    uint16_t head[8], tail[8];
    int tail_count = 0;
    int head_count = parse_groups(&text, head, 8);
    if (head_count < 0) return false;
    bool gap = text[0] == ':' && text[1] == ':';
    if (gap) {
        if (head_count == 8) return false; /* a gap stands for one group at least */
        text += 2;
        tail_count = parse_groups(&text, tail, 7 - head_count);
        if (tail_count < 0) return false;
    }
    if (*text++ != ']' || (!gap && head_count != 8) || head_count + tail_count > 8) return false;
    memset(address->ip, 0, sizeof address->ip);
    for (int i = 0; i < head_count; i++) {
        address->ip[2 * i] = (uint8_t)(head[i] >> 8);
        address->ip[2 * i + 1] = (uint8_t)head[i];
    }
    for (int i = 0; i < tail_count; i++) {
        int at = 2 * (8 - tail_count + i);
        address->ip[at] = (uint8_t)(tail[i] >> 8);
        address->ip[at + 1] = (uint8_t)tail[i];
    }
    return parse_port(text, address);
}

bool address_parse(const char *text, struct address *address)
{
    if (*text == '[') return parse_ipv6(text + 1, address);
    unsigned part[4];
    for (int i = 0; i < 4; i++) {
        if (i > 0 && *text++ != '.') return false;
        if (!parse_number(&text, 255, &part[i])) return false;
    }
    *address =
        address_ipv4((uint8_t)part[0], (uint8_t)part[1], (uint8_t)part[2], (uint8_t)part[3], 0);
    return parse_port(text, address);
}
