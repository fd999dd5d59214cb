/* What went wrong with the world, noted where it happened, told once at the top (task.c): the verb,
 * the file and errno. The first note of an attempt wins, for later ones are its consequences. */
#ifndef MAPREDUCE_TROUBLE_H
#define MAPREDUCE_TROUBLE_H

#include "base/error.h"

#include <stddef.h>

struct trouble {
    const char *verb; /* static: "write", "read", ...; NULL = none so far */
    char name[512];   /* of the file; cut when longer */
    int number;       /* errno */
    const char *why;  /* static: said instead of errno's words; NULL = they are */
};

/* Notes that verb name failed with errno as it stands, unless something is noted already. Borrows
 * verb (static), copies name. Returns ERROR_FULL, ERROR_MEMORY or ERROR_IO by errno. */
enum error trouble_note(struct trouble *trouble, const char *verb, const char *name);

/* The same, for what errno has no words for. why: static. */
void trouble_say(struct trouble *trouble, const char *verb, const char *name, const char *why);

/* "cannot write output: No space left on device" into text, or "" when nothing is noted. */
void trouble_text(const struct trouble *trouble, char *text, size_t size);

#endif
