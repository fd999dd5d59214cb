/* Comparing keys. A number is compared as text, as sort -n does it: blanks, a minus sign, digits,
 * perhaps a point and digits; of any length, exactly, with no rounding. All else is 0. */
#include "mapreduce/order.h"

#include <assert.h>

/* The decimal number at the front of a key. Digits without their leading zeros before the point and
 * trailing ones behind it; none at all = 0, which has no sign. */
struct number {
    bool is_negative;
    struct slice whole;
    struct slice fraction;
};

static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static struct slice digits_at(const uint8_t *at)
{
    const uint8_t *end = at;
    while (is_digit(*end)) end++;
    return slice_of(at, (size_t)(end - at));
}

/* Stops at the newline at the latest: it is neither blank, sign, point nor digit. */
static struct number number_parse(const struct order *order, const uint8_t *at)
{
    struct number number = {0};
    while (*at == ' ' || (*at == '\t' && order->is_whole_line)) at++;
    number.is_negative = *at == '-';
    if (number.is_negative) at++;
    while (*at == '0') at++;
    number.whole = digits_at(at);
    at += number.whole.count;
    if (*at == '.') number.fraction = digits_at(at + 1);
    struct slice *fraction = &number.fraction;
    while (fraction->count > 0 && fraction->at[fraction->count - 1] == '0') fraction->count--;
    if (number.whole.count == 0 && fraction->count == 0) number.is_negative = false;
    return number;
}

static int number_compare(const struct number *a, const struct number *b)
{
    if (a->is_negative != b->is_negative) return a->is_negative ? -1 : 1;
    int sign = a->is_negative ? -1 : 1;
    if (a->whole.count != b->whole.count) return a->whole.count < b->whole.count ? -sign : sign;
    int order = slice_compare(a->whole, b->whole);
    if (order == 0) order = slice_compare(a->fraction, b->fraction);
    return sign * ((order > 0) - (order < 0));
}

/* | sign 1 | digits before the point 23 | the first 12 digits 40 |; below 0 the lower 63 bits are
 * inverted. */
static uint64_t number_prefix(const struct number *number)
{
    enum {
        DIGITS = 12,
        COUNT_MAX = (1 << 23) - 1
    };
    uint64_t value = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        uint8_t digit = '0';
        size_t behind = i - number->whole.count; /* meant only when i is not before the point */
        if (i < number->whole.count) digit = number->whole.at[i];
        else if (behind < number->fraction.count) digit = number->fraction.at[behind];
        value = value * 10 + (digit - '0');
    }
    size_t count = number->whole.count;
    if (count >= COUNT_MAX) {
        count = COUNT_MAX; /* longer ones are told apart by order_compare alone */
        value = 0;
    }
    value |= (uint64_t)count << 40;
    return number->is_negative ? ~value & INT64_MAX : value | 1ull << 63;
}

static uint64_t bytes_prefix(const struct order *order, const uint8_t *at)
{
    uint64_t prefix = 0;
    for (unsigned i = 0; i < ORDER_STEP; i++) {
        if (order_ends_key(order, at[i])) return i == 0 ? 0 : prefix << 8 * (8 - i) | i;
        prefix = prefix << 8 | at[i];
    }
    return prefix << 8 | (order_ends_key(order, at[ORDER_STEP]) ? ORDER_STEP : ORDER_STEP + 1);
}

uint64_t order_prefix(const struct order *order, const uint8_t *line, size_t depth)
{
    uint64_t prefix = 0;
    if (order->kind == SORT_NONE) return 0;
    if (order->kind == SORT_KEY) {
        prefix = bytes_prefix(order, line + depth);
    } else {
        assert(order->kind == SORT_NUMERIC && depth == 0);
        struct number number = number_parse(order, line);
        prefix = number_prefix(&number);
    }
    return order->is_reverse ? ~prefix : prefix;
}

static int bytes_compare(const struct order *order, const uint8_t *a, const uint8_t *b)
{
    while (*a == *b && !order_ends_key(order, *a)) a++, b++;
    bool a_ends = order_ends_key(order, *a);
    bool b_ends = order_ends_key(order, *b);
    if (a_ends || b_ends) return (int)b_ends - (int)a_ends;
    return *a < *b ? -1 : 1;
}

static int field_compare(const struct order *order, unsigned kind, const uint8_t *a,
                         const uint8_t *b)
{
    if (kind == SORT_NONE) return 0;
    if (kind == SORT_KEY) return bytes_compare(order, a, b);
    struct number left = number_parse(order, a);
    struct number right = number_parse(order, b);
    int result = number_compare(&left, &right);
    return result != 0 ? result : bytes_compare(order, a, b);
}

/* Behind the field's TAB; at the newline, where every further field is empty, when it has none. */
static const uint8_t *next_field(const uint8_t *at)
{
    while (*at != '\t' && *at != '\n') at++;
    return *at == '\t' ? at + 1 : at;
}

int order_compare(const struct order *order, const uint8_t *a, const uint8_t *b, size_t depth)
{
    size_t skipped = order->kind == SORT_KEY ? depth : 0;
    int result = field_compare(order, order->kind, a + skipped, b + skipped);
    if (result != 0) return order->is_reverse ? -result : result;
    for (unsigned i = 0; i < order->more_count; i++) {
        a = next_field(a);
        b = next_field(b);
        result = field_compare(order, order->more[i].kind, a, b);
        if (result != 0) return order->more[i].is_reverse ? -result : result;
    }
    return 0;
}

struct order order_of(const struct sorting *sorting)
{
    assert(sorting->count > 0);
    struct order order = {
        .kind = sorting->fields[0].kind,
        .is_whole_line = sorting->is_whole_line,
        .is_reverse = sorting->fields[0].is_reverse,
        .more_count = (uint8_t)(sorting->count - 1),
    };
    for (uint32_t i = 1; i < sorting->count; i++) order.more[i - 1] = sorting->fields[i];
    return order;
}

struct slice order_fields(const struct order *order, struct slice line, uint32_t count)
{
    struct slice all = slice_of(line.at, line.count - 1);
    if (order->is_whole_line) return all;
    const uint8_t *at = line.at, *end = all.at + all.count;
    for (; at < end; at++)
        if (*at == '\t' && --count == 0) break;
    return slice_of(line.at, (size_t)(at - line.at));
}
