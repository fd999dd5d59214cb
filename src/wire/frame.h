/* A datagram: who sends it, in the clear and authenticated; what it says, sealed.
 *
 *   +---------+---------+-----------+------+---------+----------------+-----+
 *   | version | key id  | sender id | boot | counter | sealed payload | tag |
 *   +---------+---------+-----------+------+---------+----------------+-----+
 *
 * (to the byte in frame.c). The nonce is the counter, the key a subkey of (cluster key, sender,
 * boot): unique by construction. A receiver keeps a replay window of 8,192 counters a (sender,
 * boot). At most 1,400 bytes: below the MTU of every path seen in practice, tunnels included. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "wire/crypto.h"
#include "wire/types.h"

#include <stddef.h>

enum {
    FRAME_SIZE_MAX = 1400,
    FRAME_VERSION = 1,
    FRAME_HEADER_SIZE = 45, /* the clear part */
    FRAME_OVERHEAD_MAX = FRAME_HEADER_SIZE + CRYPTO_TAG_SIZE,
    FRAME_PAYLOAD_MAX = FRAME_SIZE_MAX - FRAME_OVERHEAD_MAX,
    FRAME_WINDOW = 8192, /* counters; why so many: frame.c */
};

/* One cluster key, ready for use: itself, and its id on the wire (4 bytes of a subkey, which tell
 * nothing of the key). */
struct frame_key {
    uint32_t key_id;
    struct crypto_key key;
};

/* Copies key. */
void frame_key_init(struct frame_key *frame_key, const struct crypto *crypto,
                    const struct crypto_key *key);

/* What the clear part says. */
struct frame_header {
    uint32_t key_id;
    struct id sender;
    struct boot boot;
    uint64_t counter;
};

/* Seals payload (at most FRAME_PAYLOAD_MAX bytes, counter > 0: asserted) into out (FRAME_SIZE_MAX
 * bytes). Returns the size. subkey: of frame_subkey for (key, header's sender, header's boot). */
size_t frame_seal(const struct crypto *crypto, const struct crypto_key *subkey,
                  const struct frame_header *header, struct slice payload, uint8_t *out);

/* Reads the clear part. Returns NULL, or why the datagram is refused. Believes nothing yet. */
const char *frame_peek(struct slice datagram, struct frame_header *header);

/* Opens the sealed part into out (FRAME_SIZE_MAX bytes); *payload borrows from out. NULL or the
 * reason. */
const char *frame_open(const struct crypto *crypto, const struct crypto_key *subkey,
                       struct slice datagram, uint8_t *out, struct slice *payload);

/* The key of all that (sender, boot) sends under this cluster key. */
void frame_subkey(const struct crypto *crypto, const struct frame_key *key, const struct id *sender,
                  const struct boot *boot, struct crypto_key *subkey);

/* Counters seen from one (sender, boot): a sliding window (RFC 6479). */
struct frame_window {
    uint64_t highest; /* highest counter seen; 0 = none */
    uint64_t seen[FRAME_WINDOW / 64 + 1];
};

/* True once for each counter > 0 that is not older than the window; false for a repeat. */
bool frame_window_take(struct frame_window *window, uint64_t counter);

#endif
