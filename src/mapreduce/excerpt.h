/* A few bytes of a record, for people: an error that names a record should show it. */
#ifndef MAPREDUCE_EXCERPT_H
#define MAPREDUCE_EXCERPT_H

#include "base/slice.h"

enum {
    EXCERPT_BYTES = 40,                   /* shown: a key is known by its beginning */
    EXCERPT_SIZE = 4 * EXCERPT_BYTES + 6, /* of the text: each may become \x00; quotes, dots, NUL */
};

/* "'the key'", at most EXCERPT_BYTES of it (then "..." follows); what is not printable ASCII as
 * \xNN. Returns text. */
const char *excerpt_of(struct slice bytes, char text[EXCERPT_SIZE]);

#endif
