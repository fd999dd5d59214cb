/* Deep copies of decoded messages, for what outlives the call that brought it. */
#ifndef TASKS_COPY_H
#define TASKS_COPY_H

#include "base/memory.h"
#include "wire/wire.h"

/* A piece of memory that begins with a copy of message (a struct of that schema) and holds all
 * that it borrows. *size: of the piece, for memory_put. NULL when out of memory. */
void *copy_take(struct memory *memory, const struct wire_schema *schema, const void *message,
                size_t *size);

/* The same for bytes: a slice of own memory, to be freed by copy_slice_put. False when out of
 * memory. */
bool copy_slice(struct memory *memory, struct slice bytes, struct slice *copy);
void copy_slice_put(struct memory *memory, struct slice *copy);

#endif
