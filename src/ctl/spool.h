/* The last bytes that came out of pipes, for a second reading. */
#ifndef CTL_SPOOL_H
#define CTL_SPOOL_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct spool {
    int file;          /* -1: none could be had */
    uint64_t from, to; /* these bytes are there, counted from the first that was ever added */
};

/* Never fails: where there is no room for a file nothing is kept. spool_close is due. */
void spool_open(struct spool *spool);
void spool_close(struct spool *spool);
/* Behind those before; the oldest make room for them. */
void spool_add(struct spool *spool, struct slice bytes);
/* Are all bytes from there on that were added there? */
bool spool_has(const struct spool *spool, uint64_t at);
/* As many of them from there on as there are, at most size. 0: it has none, or the disk fails. */
size_t spool_read(const struct spool *spool, uint64_t at, uint8_t *bytes, size_t size);

#endif
