/* A stream between two holders of the cluster key: handshake, then sealed records. A pure state
 * machine: bytes in, bytes out; the driver owns the socket. Ephemeral X25519 exchange, bound to the
 * cluster key and to both parties' node identities (signed, as in SIGMA: Krawczyk 2003), then
 * XChaCha20-Poly1305 with a key for each direction and the record's number as the nonce: forward
 * secret, each record once, in order, unchanged.
 *
 *   initiator                                     responder
 *   hello: version, key id, ephemeral, tag   -->
 *                                            <--  hello: version, key id, ephemeral, tag
 *   sealed: who I am, what for, signature    -->
 *                                            <--  sealed: who I am, signature
 *   records                                 <-->  records
 *
 * A stranger's hello is refused without an answer, since its tag takes the cluster key. Nobody can
 * make the other side hold more than a hello before that, CHANNEL_IDENTITY_MAX bytes before it has
 * proven who it is, and one record of CHANNEL_RECORD_MAX after. mrctl has no node identity: its id
 * is zero, and its ephemeral key is all it shows.
 *
 * Not libsodium's secretstream: that draws randomness itself, and the core draws none. What it has
 * beyond us is a mark of the end: here a stream cut between two records looks like one that the
 * peer closed, so messages say themselves how much is to come (fetch_reply, store_end). A cut
 * inside a record shows in channel_is_whole. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include "base/memory.h"
#include "wire/crypto.h"
#include "wire/types.h"

#include <stddef.h>

enum {
    CHANNEL_VERSION = 1,
    CHANNEL_RECORD_MAX = 1 << 20, /* plain bytes of one record: the largest message fits */
    CHANNEL_IDENTITY_MAX = 256,   /* plain bytes of an identity: 201 at most */
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
    struct id node;         /* zero: a client */
    struct boot boot;       /* zero for a client */
    struct address address; /* where it listens; none for a client */
    char name[65];
};

struct channel; /* about 1 KiB and the buffered part of one record */

/* What this side brings. keys and pair are borrowed until channel_close, the rest is copied. */
struct channel_config {
    const struct crypto_key *keys;  /* accepted; the first is used to initiate */
    size_t keys_count;              /* at least 1 */
    const struct crypto_pair *pair; /* NULL: a client; it initiates, and not CHANNEL_PEER */
    struct channel_party self;      /* node: crypto_node_id of the pair (asserted) */
    uint8_t seed[32];               /* fresh random bytes from the driver: the ephemeral key */
};

/* Refusals that the driver turns into advice; channel_receive returns these very pointers. */
extern const char channel_other_version[]; /* the other side speaks another version of this */
extern const char channel_wrong_key[];     /* the other side uses a cluster key we lack */

/* A new channel, from memory (borrowed until channel_close). initiates: this side connected;
 * purpose matters only then. Returns NULL when out of memory. */
struct channel *channel_open(struct memory *memory, const struct channel_config *config,
                             bool initiates, enum channel_purpose purpose);
/* Wipes the keys and frees all. NULL is fine. */
void channel_close(struct channel *channel);

enum channel_state channel_state(const struct channel *channel);
/* Once CHANNEL_OPEN. Borrowed until channel_close. */
const struct channel_party *channel_peer(const struct channel *channel);
/* Once CHANNEL_OPEN. */
enum channel_purpose channel_purpose(const struct channel *channel);

/* Bytes that must be sent now (handshake); borrowed until the next channel_receive; empty when
 * none. Call after channel_open and after each channel_receive. */
struct slice channel_output(struct channel *channel);

/* Feeds received bytes, as many or few as there are, once channel_next has returned false
 * (asserted: this is what bounds the memory). Copies them. Returns NULL, or why the stream is to be
 * closed (static); it then stays failed, and records of these bytes are not to be had. */
const char *channel_receive(struct channel *channel, struct slice bytes);

/* The next whole record, decrypted; borrowed until the next channel_receive or channel_close. False
 * when there is none yet. */
bool channel_next(struct channel *channel, struct slice *record);

/* True when no part of a record is held: if the peer closes now, nothing was cut in two. */
bool channel_is_whole(const struct channel *channel);

/* Bytes that channel_send(record_size bytes) writes. */
size_t channel_sealed_size(size_t record_size);
/* Seals one record (at most CHANNEL_RECORD_MAX, asserted; state CHANNEL_OPEN, asserted) into out
 * (channel_sealed_size bytes). Sealed records must leave in the order they were sealed. */
void channel_send(struct channel *channel, struct slice record, uint8_t *out);

#endif
