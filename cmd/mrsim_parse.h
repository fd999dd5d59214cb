/* Values on mrsim's command line. */
#ifndef MRSIM_PARSE_H
#define MRSIM_PARSE_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EXIT_VIOLATED = 1,
    EXIT_USAGE = 2,
};

/* Decimal digits alone. False: not a number between these. */
bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
/* "250ms", "90s", "2m", "1h"; a bare number is seconds. False: nothing like it, or nought. */
bool parse_duration(const char *text, duration *result);
/* "5%", "0.5%", "0.05": a share between 0 and 1, in millionths. */
bool parse_share(const char *text, uint32_t *per_million);

/* Says what is wrong with this value on stderr. Returns EXIT_USAGE. */
int usage(const char *what, const char *value);

#endif
