/* The core's streams: by number, as events and actions know them. */
#ifndef IO_PEERS_H
#define IO_PEERS_H

#include "base/address.h"
#include "base/error.h"
#include "base/slice.h"

struct loop;
struct peers;

/* Makes the table and serves inbound PEER and CLIENT streams from then on. loop->streams must be
 * open. MEMORY. */
enum error peers_open(struct loop *loop, struct peers **peers) MUST_USE;
/* ACTION_STREAM_OPEN, _SEND, _CLOSE. Numbers that are gone already are ignored: their CLOSED is on
 * its way. */
void peers_connect(struct peers *peers, uint64_t number, const struct address *to);
void peers_send(struct peers *peers, uint64_t number, struct slice record);
void peers_end(struct peers *peers, uint64_t number);
/* After the loop ran out of handles. NULL is fine. */
void peers_free(struct peers *peers);

#endif
