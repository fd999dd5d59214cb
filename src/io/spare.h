/* A directory made before there is an attempt for it: making one takes the disk as long as a brief
 * command takes. It lies beside the attempts' and moves there by a rename. */
#ifndef IO_SPARE_H
#define IO_SPARE_H

#include "io/file.h"

#include <stdbool.h>

enum spare_state {
    SPARE_NONE,
    SPARE_MAKING, /* by a chore */
    SPARE_READY,
};

struct spare {
    enum spare_state state;
    bool is_made; /* of spare_make: as it should be */
    char path[FILE_PATH_MAX];
};

/* directory: what scratch/ lies in. */
bool spare_init(struct spare *spare, const char *directory) MUST_USE;
/* It becomes this directory, with an empty work/ in it. False: there is none. */
bool spare_use(struct spare *spare, const char *directory) MUST_USE;
/* None is there: then one is MAKING, and it is for the caller to call spare_make, from any thread,
 * and then spare_end. */
bool spare_begin(struct spare *spare);
/* is_passable: others may pass it on the way to work/. */
void spare_make(struct spare *spare, bool is_passable);
void spare_end(struct spare *spare);

#endif
