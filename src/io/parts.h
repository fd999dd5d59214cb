/* The parts of a driver, opened in the order in which they need each other. */
#ifndef IO_PARTS_H
#define IO_PARTS_H

#include "base/error.h"
#include "io/port.h"
#include "store/storage.h"
#include "wire/channel.h"

struct loop;

/* Opens all of them into loop. Takes the port's descriptors, borrows the rest for the loop's life.
 * After an error loop_close closes what was opened. */
enum error parts_open(struct loop *loop, const char *directory,
                      const struct channel_config *identity, const struct port *port,
                      struct storage *storage) MUST_USE;
/* From now on packets and connections come in, and the storage is its thread's alone. */
enum error parts_start(struct loop *loop) MUST_USE;

#endif
