/* The cryptography that the core uses, as functions that the driver hands in: libsodium's in the
 * world (seal.h), cheap look-alikes in the simulator (plain.h). All are pure. */
#ifndef WIRE_CRYPTO_H
#define WIRE_CRYPTO_H

#include "base/id.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CRYPTO_KEY_SIZE = 32,
    CRYPTO_NONCE_SIZE = 24,  /* XChaCha20 */
    CRYPTO_TAG_SIZE = 16,    /* Poly1305 */
    CRYPTO_SECRET_SIZE = 64, /* Ed25519 secret key, as libsodium keeps it */
    CRYPTO_SIGNATURE_SIZE = 64,
};

struct crypto_key {
    uint8_t bytes[CRYPTO_KEY_SIZE];
};

/* An Ed25519 key pair. */
struct crypto_pair {
    struct digest public;
    uint8_t secret[CRYPTO_SECRET_SIZE];
};

struct crypto {
    /* BLAKE2b-256 of the bytes. */
    void (*digest)(struct slice bytes, struct digest *digest);
    /* A subkey of key for a purpose (at most 64 bytes): keyed BLAKE2b-256. */
    void (*derive)(const struct crypto_key *key, struct slice purpose, struct crypto_key *subkey);
    /* AEAD (XChaCha20-Poly1305): out gets plain.count + CRYPTO_TAG_SIZE bytes. */
    void (*seal)(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice plain, uint8_t *out);
    /* out gets sealed.count - CRYPTO_TAG_SIZE bytes; false when it was not sealed so. sealed may be
     * the same memory as out. */
    bool (*open)(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice sealed, uint8_t *out);
    /* Ed25519. */
    void (*sign)(const struct crypto_pair *pair, struct slice message,
                 uint8_t signature[CRYPTO_SIGNATURE_SIZE]);
    /* Is told by which struct it was called: one may be part of a larger one (sim/verified.h). */
    bool (*verify)(const struct crypto *crypto, const struct digest *public, struct slice message,
                   const uint8_t signature[CRYPTO_SIGNATURE_SIZE]);
};

/* A node's id: the first 128 bits of the digest of its public key. */
struct id crypto_node_id(const struct crypto *crypto, const struct digest *public);

#endif
