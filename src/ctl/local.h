/* run --local: a flock of one node for one command; see local.c. */
#ifndef CTL_LOCAL_H
#define CTL_LOCAL_H

#include "ctl/options.h"

#include <sys/types.h>

enum {
    LOCAL_PATH_SIZE = 512,
};

struct local {
    char directory[LOCAL_PATH_SIZE]; /* of everything it keeps; removed at the end */
    char key_file[LOCAL_PATH_SIZE];
    char address[128];
    pid_t keeper;
    int leash; /* once closed, whoever closes it, the node ends */
};

/* Starts the node and waits until it serves; *with: options that lead to it, borrowed from local
 * and from options. An exit code; has told why not. local_end is due after EXIT_OK. */
int local_begin(struct local *local, const struct options *options, struct options *with);
/* Ends the node and removes what it had. */
void local_end(struct local *local);

#endif
