/* Numbers, durations and shares as people type them. Whatever follows is refused: "5x" is no 5. */
#include "mrsim_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int usage(const char *what, const char *value)
{
    fprintf(stderr, "mrsim: %s: '%s'; mrsim --help shows examples\n", what, value);
    return EXIT_USAGE;
}

bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number >= least && *number <= most;
}

bool parse_duration(const char *text, duration *result)
{
    static const struct {
        const char *unit;
        duration size;
    } units[] = {{"", SECOND},
                 {"ms", MILLISECOND},
                 {"s", SECOND},
                 {"m", 60 * SECOND},
                 {"h", 3600 * (duration)SECOND}};
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0 && number > 0 && number < 1000000) {
            *result = (duration)number * units[i].size;
            return true;
        }
    return false;
}

bool parse_share(const char *text, uint32_t *per_million)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    double share = strtod(text, &end);
    if (strcmp(end, "%") == 0) share /= 100;
    else if (*end != '\0') return false;
    if (!(share >= 0 && share <= 1)) return false;
    *per_million = (uint32_t)(share * 1000000 + 0.5);
    return true;
}
