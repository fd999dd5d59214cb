/* What the two sides of a BULK stream share: one small message in, one out. */
#ifndef IO_BULK_H
#define IO_BULK_H

#include "wire/wire.h"

struct stream;

enum {
    BULK_CHUNK_SIZE = 64 << 10,                /* msg_chunk's cap */
    BULK_MESSAGE_MAX = BULK_CHUNK_SIZE + 4096, /* the largest bulk message, packed */
    BULK_SCRATCH_SIZE = 1024, /* room for one decoded bulk message: none has lists */
};

/* One message's struct, on the stack. */
struct bulk_scratch {
    _Alignas(16) uint8_t bytes[BULK_SCRATCH_SIZE];
};

/* Takes one packed message from the front of *record into scratch; it borrows from both. NULL, or
 * why it is refused. */
const char *bulk_unpack(struct slice *record, struct wire_message *message,
                        struct bulk_scratch *scratch);
/* Sends one message as a record. The stream may be closed, and its user have heard of it, when this
 * returns. */
void bulk_send(struct stream *stream, const struct wire_schema *schema, const void *message);

#endif
