/* crypto.h by libsodium: BLAKE2b (RFC 7693), XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03),
 * Ed25519 (RFC 8032), X25519 (RFC 7748). Thin on purpose: no choice is made here but which
 * primitive. Nothing draws randomness; secrets come from the driver. Failures that only a mistake
 * of ours could cause (a wrong length) are asserts. */
#include "wire/seal.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(CRYPTO_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(CRYPTO_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(CRYPTO_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(CRYPTO_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "secret");
_Static_assert(CRYPTO_SIGNATURE_SIZE == crypto_sign_BYTES, "signature");
_Static_assert(sizeof(struct digest) == crypto_sign_PUBLICKEYBYTES, "public key");
_Static_assert(sizeof(struct seal_hasher) >= sizeof(crypto_generichash_state), "hasher");
_Static_assert(SEAL_EXCHANGE_SIZE == crypto_scalarmult_BYTES, "exchange");
_Static_assert(SEAL_EXCHANGE_SIZE == crypto_scalarmult_SCALARBYTES, "exchange");

enum {
    PURPOSE_MAX = 64
}; /* promised in crypto.h */

static void digest_bytes(struct slice bytes, struct digest *digest)
{
    int error =
        crypto_generichash(digest->bytes, sizeof digest->bytes, bytes.at, bytes.count, NULL, 0);
    assert(error == 0);
}

static void derive(const struct crypto_key *key, struct slice purpose, struct crypto_key *subkey)
{
    assert(purpose.count <= PURPOSE_MAX);
    int error = crypto_generichash(subkey->bytes, sizeof subkey->bytes, purpose.at, purpose.count,
                                   key->bytes, sizeof key->bytes);
    assert(error == 0);
}

static void seal(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice plain, uint8_t *out)
{
    unsigned long long size;
    int error = crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, &size, plain.at, plain.count, open_part.at, open_part.count, NULL, nonce, key->bytes);
    assert(error == 0 && size == plain.count + CRYPTO_TAG_SIZE);
}

static bool open(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice sealed, uint8_t *out)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.at, sealed.count,
                                                      open_part.at, open_part.count, nonce,
                                                      key->bytes) == 0;
}

static void sign(const struct crypto_pair *pair, struct slice message,
                 uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    int error = crypto_sign_detached(signature, NULL, message.at, message.count, pair->secret);
    assert(error == 0);
}

static bool verify(const struct crypto *crypto, const struct digest *public, struct slice message,
                   const uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    (void)crypto;
    return crypto_sign_verify_detached(signature, message.at, message.count, public->bytes) == 0;
}

const struct crypto crypto_sodium = {
    .digest = digest_bytes,
    .derive = derive,
    .seal = seal,
    .open = open,
    .sign = sign,
    .verify = verify,
};

bool seal_init(void) { return sodium_init() >= 0; }

void seal_pair_from_seed(const uint8_t seed[32], struct crypto_pair *pair)
{
    int error = crypto_sign_seed_keypair(pair->public.bytes, pair->secret, seed);
    assert(error == 0);
}

void seal_exchange_public(const uint8_t secret[SEAL_EXCHANGE_SIZE],
                          uint8_t public[SEAL_EXCHANGE_SIZE])
{
    int error = crypto_scalarmult_base(public, secret);
    assert(error == 0);
}

bool seal_exchange(const uint8_t secret[SEAL_EXCHANGE_SIZE], const uint8_t peer[SEAL_EXCHANGE_SIZE],
                   uint8_t shared[SEAL_EXCHANGE_SIZE])
{
    return crypto_scalarmult(shared, secret, peer) == 0;
}

bool seal_equal(const void *a, const void *b, size_t count)
{
    return sodium_memcmp(a, b, count) == 0;
}

void seal_wipe(void *secret, size_t count) { sodium_memzero(secret, count); }

static crypto_generichash_state *state_of(struct seal_hasher *hasher)
{
    return (crypto_generichash_state *)(void *)hasher->opaque;
}

void seal_hasher_init(struct seal_hasher *hasher)
{
    int error = crypto_generichash_init(state_of(hasher), NULL, 0, sizeof(struct digest));
    assert(error == 0);
}

void seal_hasher_update(struct seal_hasher *hasher, struct slice bytes)
{
    int error = crypto_generichash_update(state_of(hasher), bytes.at, bytes.count);
    assert(error == 0);
}

void seal_hasher_final(struct seal_hasher *hasher, struct digest *digest)
{
    int error = crypto_generichash_final(state_of(hasher), digest->bytes, sizeof digest->bytes);
    assert(error == 0);
}
