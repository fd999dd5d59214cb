/* mrnode's life, from options to exit code. */
#ifndef IO_DAEMON_H
#define IO_DAEMON_H

#include "io/options.h"

/* Starts a node, serves until it has left or failed, and returns the exit code. What people are to
 * know is on stderr, the one `ready` line on stdout. */
int daemon_run(const struct options *options);

#endif
