/* Writes a tar archive (ustar) of regular files to a stream as it goes. */
#ifndef CTL_ARCHIVE_H
#define CTL_ARCHIVE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    ARCHIVE_NAME_SIZE = 100 /* with its end: as many as ustar has in one field */
};

struct archive {
    FILE *file;
    uint64_t time; /* of all its members: seconds since 1970 */
};

/* A member; name: plain ASCII, relative. What cannot be written shows in ferror of the file. */
void archive_add(struct archive *archive, const char *name, struct slice content);
void archive_end(struct archive *archive);

#endif
