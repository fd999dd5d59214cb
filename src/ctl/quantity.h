/* Durations (500ms, 5s, 2m, 1h, 1d) and sizes (64K, 16M, 1G: powers of 1024) as people write and
 * read them. */
#ifndef CTL_QUANTITY_H
#define CTL_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    QUANTITY_TEXT_SIZE = 24
};

/* A whole number and a unit; a bare number is seconds. False when text is anything else or too
 * large. */
bool quantity_parse_duration(const char *text, uint64_t *milliseconds);
/* A whole number and K, M, G or T, with or without "B" or "iB" behind; a bare number is bytes.
 * False as above. */
bool quantity_parse_size(const char *text, uint64_t *bytes);
/* Decimal digits only, min to max. */
bool quantity_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count);

/* Short forms for tables, without spaces: "850ms" "12.3s" "3m07s" "2h05m" "4d03h"; "512" "64.0K"
 * "1.5G". Returns text. */
char *quantity_duration_text(uint64_t milliseconds, char text[QUANTITY_TEXT_SIZE]);
char *quantity_size_text(uint64_t bytes, char text[QUANTITY_TEXT_SIZE]);

#endif
