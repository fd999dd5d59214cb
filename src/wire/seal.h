/* libsodium, the only place that includes it beside src/io: the real cryptography behind crypto.h,
 * the few primitives more that streams need (channel.c), and BLAKE2b in pieces for bytes that are
 * streamed. Pure, but for seal_init. */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include "wire/crypto.h"

#include <stddef.h>

enum {
    SEAL_EXCHANGE_SIZE = 32
}; /* X25519: secret, public key and shared secret */

/* libsodium's. Works without seal_init, and gives the same bytes. */
extern const struct crypto crypto_sodium;

/* Lets libsodium choose the fastest code for this CPU: about three times the speed for bulk bytes.
 * For programs, once, at the start of main; never for the core. False when libsodium cannot start
 * (no entropy in this system). */
bool seal_init(void) __attribute__((warn_unused_result));

/* The key pair of a 32-byte seed (fresh random bytes from the driver, or node.key). */
void seal_pair_from_seed(const uint8_t seed[32], struct crypto_pair *pair);

/* The X25519 public key of a secret: any 32 random bytes (RFC 7748, section 6.1). */
void seal_exchange_public(const uint8_t secret[SEAL_EXCHANGE_SIZE],
                          uint8_t public[SEAL_EXCHANGE_SIZE]);
/* What both sides compute. False when the peer's key has a small order: it would fix the result.
 * Hash before use. */
bool seal_exchange(const uint8_t secret[SEAL_EXCHANGE_SIZE], const uint8_t peer[SEAL_EXCHANGE_SIZE],
                   uint8_t shared[SEAL_EXCHANGE_SIZE]);

/* Equal bytes? Takes the same time whichever of them differ. */
bool seal_equal(const void *a, const void *b, size_t count);
/* Overwrites a secret; no compiler takes it for useless. */
void seal_wipe(void *secret, size_t count);

/* BLAKE2b-256 in pieces: init, update any number of times, final once. */
struct seal_hasher {
    _Alignas(64) uint8_t opaque[384];
};

void seal_hasher_init(struct seal_hasher *hasher);
void seal_hasher_update(struct seal_hasher *hasher, struct slice bytes);
void seal_hasher_final(struct seal_hasher *hasher, struct digest *digest);

#endif
