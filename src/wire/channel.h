/* A stream between two holders of the cluster key: handshake, then sealed records. A pure state
 * machine: bytes in, bytes out; the driver owns the socket. Ephemeral X25519 exchange, bound to the
 * cluster key and to both parties' node identities (signed), then libsodium's secretstream: forward
 * secret, in order, cut off nowhere unnoticed.
 *
 *   initiator                                     responder
 *   hello: version, key id, ephemeral        -->
 *                                            <--  hello: version, key id, ephemeral
 *   sealed: who I am, what for, signature    -->
 *                                            <--  sealed: who I am, signature
 *   records                                 <-->  records
 *
 * A stranger's hello is refused without an answer; nobody can make the other side hold more than
 * CHANNEL_RECORD_MAX bytes. mrctl has no node identity: its id is zero, and its ephemeral key is
 * all it shows. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "base/arena.h"
#include "wire/crypto.h"
#include "wire/types.h"

#include <stddef.h>

enum {
    CHANNEL_VERSION = 1,
    CHANNEL_RECORD_MAX = 1 << 20, /* plain bytes of one record: the largest message fits */
};

/* What a stream is for: told by the initiator. */
enum channel_purpose {
    CHANNEL_PEER = 1,   /* node to node: gossip's exchange and the log */
    CHANNEL_CLIENT = 2, /* mrctl asks */
    CHANNEL_BULK = 3,   /* bytes of blocks, either way */
};

enum channel_state {
    CHANNEL_WAITS_HELLO,
    CHANNEL_WAITS_IDENTITY,
    CHANNEL_OPEN,
    CHANNEL_FAILED,
};

/* Who a party says it is, proven by its signature and the cluster key. */
struct channel_party {
    struct id node;           /* zero: a client */
    struct boot boot;
    struct address address;   /* where it listens; none for a client */
    char name[65];
};

struct channel; /* about 1 KiB and the buffered part of one record */

/* What this side brings. All borrowed until channel_close. */
struct channel_config {
    const struct crypto_key *keys;      /* accepted; the first is used to initiate */
    size_t keys_count;
    const struct crypto_pair *pair;     /* NULL: a client */
    struct channel_party self;
    uint8_t seed[32];                   /* fresh random bytes from the driver: the ephemeral key */
};

/* Takes nothing from config but copies it. Returns NULL when out of memory. initiates: this side
 * connected. */
struct channel *channel_open(const struct channel_config *config, bool initiates, enum channel_purpose purpose);
void channel_close(struct channel *channel);

enum channel_state channel_state(const struct channel *channel);
/* Once CHANNEL_OPEN. Borrowed. */
const struct channel_party *channel_peer(const struct channel *channel);
enum channel_purpose channel_purpose(const struct channel *channel);

/* Bytes that must be sent now (handshake); borrowed until the next call; empty when none. Call
 * after channel_open and after each channel_receive. */
struct slice channel_output(struct channel *channel);

/* Feeds received bytes, as many or few as there are. Returns NULL, or why the stream is to be
 * closed (static). */
const char *channel_receive(struct channel *channel, struct slice bytes);

/* The next whole record, decrypted; borrowed until the next channel_* call. False when there is
 * none yet. */
bool channel_next(struct channel *channel, struct slice *record);

/* Bytes that channel_send_size(record_size) writes for one record. */
size_t channel_sealed_size(size_t record_size);
/* Seals one record (at most CHANNEL_RECORD_MAX, asserted; state CHANNEL_OPEN, asserted) into out
 * (channel_sealed_size bytes). */
void channel_send(struct channel *channel, struct slice record, uint8_t *out);

#endif
