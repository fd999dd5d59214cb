/* Look-alikes: the shapes of crypto.h over XXH3. What the simulator needs of cryptography is that a
 * changed byte, a wrong key, nonce or sender is noticed, and that sizes are the real ones; secrecy
 * it does not need, and it would cost most of its time. Payloads stay readable, which helps when a
 * run is looked at. */
#include "wire/plain.h"

#include "base/hash.h"
#include "base/prng.h"

#include <assert.h>

enum {
    PURPOSE_MAX = 64
}; /* promised in crypto.h */

/* count bytes that depend on the word only. */
static void spread(uint64_t word, uint8_t *out, size_t count)
{
    struct prng prng;
    prng_init(&prng, word);
    prng_fill(&prng, out, count);
}

static void digest_bytes(struct slice bytes, struct digest *digest)
{
    spread(hash64(bytes.at, bytes.count, 1), digest->bytes, 16);
    spread(hash64(bytes.at, bytes.count, 2), digest->bytes + 16, 16);
}

static void derive(const struct crypto_key *key, struct slice purpose, struct crypto_key *subkey)
{
    assert(purpose.count <= PURPOSE_MAX);
    uint64_t seed = hash64(key->bytes, sizeof key->bytes, 3);
    spread(hash64(purpose.at, purpose.count, seed), subkey->bytes, sizeof subkey->bytes);
}

static void tag_of(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                   struct slice open_part, struct slice plain, uint8_t tag[CRYPTO_TAG_SIZE])
{
    uint8_t head[sizeof key->bytes + CRYPTO_NONCE_SIZE];
    memcpy(head, key->bytes, sizeof key->bytes);
    memcpy(head + sizeof key->bytes, nonce, CRYPTO_NONCE_SIZE);
    uint64_t word = hash64(head, sizeof head, 4);
    word = hash64(open_part.at, open_part.count, word);
    word = hash64(plain.at, plain.count, word);
    for (size_t i = 0; i < CRYPTO_TAG_SIZE; i += sizeof word) memcpy(tag + i, &word, sizeof word);
}

static void seal(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice plain, uint8_t *out)
{
    uint8_t tag[CRYPTO_TAG_SIZE];
    tag_of(key, nonce, open_part, plain, tag);
    if (plain.count > 0) memmove(out, plain.at, plain.count);
    memcpy(out + plain.count, tag, sizeof tag);
}

static bool open(const struct crypto_key *key, const uint8_t nonce[CRYPTO_NONCE_SIZE],
                 struct slice open_part, struct slice sealed, uint8_t *out)
{
    if (sealed.count < CRYPTO_TAG_SIZE) return false;
    struct slice plain = slice_of(sealed.at, sealed.count - CRYPTO_TAG_SIZE);
    uint8_t tag[CRYPTO_TAG_SIZE];
    tag_of(key, nonce, open_part, plain, tag);
    if (memcmp(tag, plain.at + plain.count, sizeof tag) != 0) return false;
    memmove(out, plain.at, plain.count);
    return true;
}

static void signature_of(const struct digest *public, struct slice message,
                         uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    uint64_t seed = hash64(public->bytes, sizeof public->bytes, 5);
    spread(hash64(message.at, message.count, seed), signature, CRYPTO_SIGNATURE_SIZE);
}

static void sign(const struct crypto_pair *pair, struct slice message,
                 uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    signature_of(&pair->public, message, signature);
}

static bool verify(const struct crypto *crypto, const struct digest *public, struct slice message,
                   const uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    (void)crypto;
    uint8_t wanted[CRYPTO_SIGNATURE_SIZE];
    signature_of(public, message, wanted);
    return memcmp(wanted, signature, sizeof wanted) == 0;
}

const struct crypto crypto_plain = {
    .digest = digest_bytes,
    .derive = derive,
    .seal = seal,
    .open = open,
    .sign = sign,
    .verify = verify,
};

void plain_pair(uint64_t number, struct crypto_pair *pair)
{
    spread(hash64(&number, sizeof number, 6), pair->public.bytes, sizeof pair->public.bytes);
    spread(hash64(&number, sizeof number, 7), pair->secret, sizeof pair->secret);
}
