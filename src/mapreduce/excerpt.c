/* Records hold any bytes, NUL and a terminal's escapes among them; what is told of them is
 * printable and short (excerpt.h). */
#include "mapreduce/excerpt.h"

#include <stdio.h>

const char *excerpt_of(struct slice bytes, char text[EXCERPT_SIZE])
{
    size_t shown = bytes.count < EXCERPT_BYTES ? bytes.count : EXCERPT_BYTES;
    size_t used = 0;
    text[used++] = '\'';
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = bytes.at[i];
        if (byte >= 0x20 && byte < 0x7f) text[used++] = (char)byte;
        else used += (size_t)snprintf(text + used, EXCERPT_SIZE - used, "\\x%02x", byte);
    }
    snprintf(text + used, EXCERPT_SIZE - used, "'%s", shown < bytes.count ? "..." : "");
    return text;
}
