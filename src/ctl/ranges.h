/* Cutting a file that all nodes share into ranges, without reading it: only where a range should
 * end is looked for the end of a record. */
#ifndef CTL_RANGES_H
#define CTL_RANGES_H

#include "base/error.h"
#include "ctl/splitter.h"
#include "wire/wire.h"

/* A range begins at *offset, a record's beginning: its size, at least 1, ends where splitter_take
 * would end a block of the same bytes. size: of the file, more than *offset. ERROR: -1 with errno.
 */
int64_t ranges_next(int fd, const struct splitter *splitter, uint64_t offset, uint64_t size);

/* Size and time of change, of what fd is open for. False with errno. */
bool ranges_look(int fd, struct msg_shared_file *file) MUST_USE;

#endif
