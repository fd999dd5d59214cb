/* Streams kept for a while after their use, to be used again: a handshake costs more than a small
 * part, and a reduce fetches many of those from the same few nodes. */
#ifndef IO_REUSE_H
#define IO_REUSE_H

#include "base/address.h"

#include <stddef.h>

struct stream;

enum {
    REUSE_MAX = 16, /* twice the fetches under way at once */
};

struct reuse {
    struct stream *streams[REUSE_MAX];
    size_t count;
};

/* Takes the stream, which nobody else uses any more; ends it when there are many already. */
void reuse_put(struct reuse *reuse, struct stream *stream);
/* One to this address, whose user and context are the caller's to set; NULL: there is none. */
struct stream *reuse_take(struct reuse *reuse, const struct address *address);
/* Ends all. */
void reuse_end(struct reuse *reuse);

#endif
