/* Quantities on the command line. Strict on purpose: "5 s", "1e3", "-1" and "10m30s" are refused,
 * because a number read otherwise than it was meant is worse than a usage error. Overflow is
 * refused, never wrapped. */
#include "ctl/quantity.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Digits at *text; moves it behind them. False when there are none or they do not fit. */
static bool parse_digits(const char **text, uint64_t *value)
{
    const char *at = *text;
    *value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*value > (UINT64_MAX - digit) / 10) return false;
        *value = *value * 10 + digit;
    }
    if (at == *text) return false;
    *text = at;
    return true;
}

static bool scale(uint64_t value, uint64_t factor, uint64_t *scaled)
{
    if (value > UINT64_MAX / factor) return false;
    *scaled = value * factor;
    return true;
}

bool quantity_parse_duration(const char *text, uint64_t *milliseconds)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t value;
    if (!parse_digits(&text, &value)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(text, units[i].name) == 0) return scale(value, units[i].factor, milliseconds);
    return false;
}

bool quantity_parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    uint64_t value, factor = 1;
    if (!parse_digits(&text, &value)) return false;
    char upper = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
    const char *letter = upper == '\0' ? NULL : strchr(letters, upper);
    if (letter != NULL) {
        factor = (uint64_t)1 << (10 * (letter - letters + 1));
        text++;
        if (strcmp(text, "iB") == 0) text += 2;
    }
    if (strcmp(text, "B") == 0) text++;
    return *text == '\0' && scale(value, factor, bytes);
}

bool quantity_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count)
{
    return parse_digits(&text, count) && *text == '\0' && *count >= min && *count <= max;
}

char *quantity_duration_text(uint64_t ms, char text[QUANTITY_TEXT_SIZE])
{
    unsigned long long seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (ms < 1000) snprintf(text, QUANTITY_TEXT_SIZE, "%ums", (unsigned)ms);
    else if (seconds < 60)
        snprintf(text, QUANTITY_TEXT_SIZE, "%llu.%us", seconds, (unsigned)(ms % 1000 / 100));
    else if (minutes < 60)
        snprintf(text, QUANTITY_TEXT_SIZE, "%llum%02llus", minutes, seconds % 60);
    else if (hours < 24) snprintf(text, QUANTITY_TEXT_SIZE, "%lluh%02llum", hours, minutes % 60);
    else snprintf(text, QUANTITY_TEXT_SIZE, "%llud%02lluh", hours / 24, hours % 24);
    return text;
}

char *quantity_size_text(uint64_t bytes, char text[QUANTITY_TEXT_SIZE])
{
    static const char letters[] = "KMGTPE";
    if (bytes < 1024) {
        snprintf(text, QUANTITY_TEXT_SIZE, "%u", (unsigned)bytes);
        return text;
    }
    size_t unit = 0;
    uint64_t whole = bytes;
    for (; whole >= (uint64_t)1024 * 1024; unit++) whole /= 1024;
    snprintf(text, QUANTITY_TEXT_SIZE, "%u.%u%c", (unsigned)(whole / 1024),
             (unsigned)(whole % 1024 * 10 / 1024), letters[unit]);
    return text;
}
