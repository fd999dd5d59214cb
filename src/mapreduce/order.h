/* The order of records. A record is a line with its newline; its key is what precedes the first
 * TAB, or all of it but the newline when there is none. Keys are compared as LC_ALL=C sort compares
 * lines (bytes, the shorter first), or by value as sort -n and then by bytes, or not at all; each
 * of them also in reverse. More fields may follow the first: they decide between equal ones (a
 * secondary sort).
 *
 * Most comparisons are decided by a *prefix*, a number that orders as the key does as far as it
 * goes (Nyberg et al., AlphaSort, SIGMOD 1994, section 4). For bytes:
 *
 *   | 7 bytes of the key, zeros behind its end | 0 to 7: it ends after so many; 8: it goes on |
 *
 * Two keys with the same prefix are equal if it ends in 0 to 7, for the length tells "a" from
 * "a\0". */
#ifndef MAPREDUCE_ORDER_H
#define MAPREDUCE_ORDER_H

#include "base/slice.h"
#include "wire/sorting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ORDER_STEP = 7
}; /* key bytes in a prefix */

struct order {
    uint8_t kind;       /* enum sort_kind */
    bool is_whole_line; /* TAB does not end the key: @sort */
    bool is_reverse;
    uint8_t more_count; /* fields compared after the first */
    struct sorting_field more[SORTING_FIELDS_MAX - 1];
};

/* As the text of --sort says. */
struct order order_of(const struct sorting *sorting);

/* The first count fields of a record (with is_whole_line: all of it). Borrows from it. line ends in
 * its newline, count > 0. */
struct slice order_fields(const struct order *order, struct slice line, uint32_t count);

/* The first field of a record. Borrows from it. line ends in its newline. */
static inline struct slice order_key(const struct order *order, struct slice line)
{
    if (order->is_whole_line) return slice_of(line.at, line.count - 1);
    const uint8_t *tab = memchr(line.at, '\t', line.count);
    return slice_of(line.at, tab == NULL ? line.count - 1 : (size_t)(tab - line.at));
}

static inline bool order_ends_key(const struct order *order, uint8_t byte)
{
    return byte == '\n' || (byte == '\t' && !order->is_whole_line);
}

/* The prefix of the key from its byte depth on (SORT_KEY: a multiple of ORDER_STEP, before the
 * key's end; else 0). line: at the record's first byte; read up to its newline at most. */
uint64_t order_prefix(const struct order *order, const uint8_t *line, size_t depth);

/* True when two keys of this prefix (at equal depth, all before it being equal) are equal. */
static inline bool order_is_exact(const struct order *order, uint64_t prefix)
{
    if (order->is_reverse) prefix = ~prefix;
    return order->kind == SORT_NONE ||
           (order->kind == SORT_KEY && (prefix & 0xff) <= ORDER_STEP && order->more_count == 0);
}

/* <0, 0, >0; a and b at records, whose first fields are known to agree in their first depth bytes
 * (SORT_KEY; else depth has no meaning). 0: equal keys, byte for byte (SORT_NONE: always); a field
 * that is not there is an empty one. */
int order_compare(const struct order *order, const uint8_t *a, const uint8_t *b, size_t depth);

#endif
