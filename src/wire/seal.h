/* libsodium, the only place that includes it beside src/io: the real cryptography behind crypto.h, and BLAKE2b in
 * pieces for bytes that are streamed. */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include "wire/crypto.h"

#include <stddef.h>

/* libsodium's. Needs no initialisation on Linux (no randomness is drawn). */
extern const struct crypto crypto_sodium;

/* The key pair of a 32-byte seed (fresh random bytes from the driver, or node.key). */
void seal_pair_from_seed(const uint8_t seed[32], struct crypto_pair *pair);

/* BLAKE2b-256 in pieces. */
struct seal_hasher {
    _Alignas(64) uint8_t opaque[384];
};

void seal_hasher_init(struct seal_hasher *hasher);
void seal_hasher_update(struct seal_hasher *hasher, struct slice bytes);
void seal_hasher_final(struct seal_hasher *hasher, struct digest *digest);

#endif
