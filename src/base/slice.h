/* Borrowed bytes: a view, never an owner. Valid as long as what it was cut from. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *at;
    size_t count;
};

static inline struct slice slice_of(const void *at, size_t count)
{
    return (struct slice){at, count};
}

/* A view of a C string without its NUL. Borrows. */
static inline struct slice slice_string(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.at, b.at, a.count) == 0);
}

/* Order of bytes as LC_ALL=C sort sees it: memcmp, then the shorter first. <0, 0, >0. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t shorter = a.count < b.count ? a.count : b.count;
    int order = shorter == 0 ? 0 : memcmp(a.at, b.at, shorter);
    if (order != 0) return order;
    return a.count < b.count ? -1 : a.count > b.count;
}

#endif
