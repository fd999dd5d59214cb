/* What bytes a reply to a fetch promises, as pieces that a sink checks on the way. Pure: it looks
 * at nothing but what the other side says, and believes none of it. */
#ifndef IO_EXPECT_H
#define IO_EXPECT_H

#include "io/sink.h"
#include "wire/wire.h"

/* What was asked for. */
struct expect {
    struct digest digest;
    uint32_t part;       /* or PART_WHOLE */
    uint64_t block_size; /* as its reference says; of a partitioned block it does not count */
    uint64_t offset;     /* bytes that are here already */
};

/* All bytes of what was asked for (those that are here already, too): *count pieces, malloc'ed,
 * their sizes' sum in *size. NULL: they would not be those asked for, or no memory. */
struct sink_piece *expect_pieces(const struct expect *expect, const struct msg_fetch_reply *reply,
                                 size_t *count, uint64_t *size);

#endif
