/* Numbers, durations and shares as people type them. Whatever follows is refused: "5x" is no 5. */
#include "mrsim_parse.h"

#include "sim/scn.h"

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
    return scn_number(text, least, most, number);
}

bool parse_duration(const char *text, duration *result)
{
    return scn_duration(text, result) && *result > 0;
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
