/* English, as far as our messages need it: of what is counted here nothing is more irregular than a
 * copy. */
#include "base/plural.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct plural plural(uint64_t count, const char *word)
{
    struct plural plural;
    size_t length = strlen(word);
    bool is_y = length > 1 && word[length - 1] == 'y' && strchr("aeiou", word[length - 2]) == NULL;
    if (count == 1) is_y = false;
    snprintf(plural.text, sizeof plural.text, "%" PRIu64 " %.*s%s", count,
             (int)(is_y ? length - 1 : length), word,
             is_y         ? "ies"
             : count == 1 ? ""
                          : "s");
    return plural;
}
