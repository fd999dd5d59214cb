/* Bulk messages (bulk.h): small structs with at most one long run of bytes, so a stack's worth of
 * room is enough. */
#include "io/bulk.h"

#include "io/stream.h"

#include <assert.h>

const char *bulk_unpack(struct slice *record, struct wire_message *message,
                        struct bulk_scratch *scratch)
{
    struct arena arena;
    arena_init(&arena, scratch->bytes, sizeof scratch->bytes);
    return wire_unpack(record, message, &arena);
}

void bulk_send(struct stream *stream, const struct wire_schema *schema, const void *message)
{
    uint8_t packed[BULK_MESSAGE_MAX];
    struct writer writer = writer_of(packed, sizeof packed);
    bool fits = wire_pack(schema, message, &writer);
    assert(fits);
    (void)fits;
    stream_send(stream, slice_of(packed, writer.written));
}
