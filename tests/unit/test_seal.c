/* The cryptography: libsodium against the published vectors, and both sets of functions (the real
 * one and the simulator's look-alike) against the same promises of crypto.h. */
#include "base/prng.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static const struct crypto *const both[] = {&crypto_sodium, &crypto_plain};

static size_t unhex(const char *text, uint8_t *bytes)
{
    size_t count = strlen(text) / 2;
    for (size_t i = 0; i < count; i++) {
        unsigned value;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return count;
}

static void assert_hex(const void *bytes, const char *text)
{
    uint8_t wanted[512];
    size_t count = unhex(text, wanted);
    assert_memory_equal(bytes, wanted, count);
}

/* RFC 7693, appendix A, for 256 bits. */
static void digest_is_blake2b(void **state)
{
    (void)state;
    struct digest digest;
    crypto_sodium.digest(slice_string("abc"), &digest);
    assert_hex(&digest, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    crypto_sodium.digest(slice_of(NULL, 0), &digest);
    assert_hex(&digest, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
static void seal_is_xchacha20_poly1305(void **state)
{
    (void)state;
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
        "the future, sunscreen would be it.";
    struct crypto_key key;
    uint8_t nonce[24], clear[16], sealed[256], opened[256];
    unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key.bytes);
    unhex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce);
    size_t clear_size = unhex("50515253c0c1c2c3c4c5c6c7", clear);
    struct slice open_part = slice_of(clear, clear_size);
    crypto_sodium.seal(&key, nonce, open_part, slice_string(text), sealed);
    assert_hex(sealed, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
                       "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
                       "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
                       "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
    struct slice whole = slice_of(sealed, strlen(text) + CRYPTO_TAG_SIZE);
    assert_true(crypto_sodium.open(&key, nonce, open_part, whole, opened));
    assert_memory_equal(opened, text, strlen(text));
}

/* RFC 8032, section 7.1, test 1. */
static void sign_is_ed25519(void **state)
{
    (void)state;
    uint8_t seed[32], signature[CRYPTO_SIGNATURE_SIZE];
    struct crypto_pair pair;
    unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed);
    seal_pair_from_seed(seed, &pair);
    assert_hex(&pair.public, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    crypto_sodium.sign(&pair, slice_of(NULL, 0), signature);
    assert_hex(signature, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                          "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
}

/* RFC 7748, section 5.2: the first vector, and one round from the base point. */
static void exchange_is_x25519(void **state)
{
    (void)state;
    uint8_t secret[SEAL_EXCHANGE_SIZE], peer[SEAL_EXCHANGE_SIZE], shared[SEAL_EXCHANGE_SIZE];
    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", secret);
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", peer);
    assert_true(seal_exchange(secret, peer, shared));
    assert_hex(shared, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    static const uint8_t nine[SEAL_EXCHANGE_SIZE] = {9};
    seal_exchange_public(nine, shared);
    assert_hex(shared, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
}

static void exchange_refuses_keys_of_small_order(void **state)
{
    (void)state;
    static const uint8_t zero[SEAL_EXCHANGE_SIZE], one[SEAL_EXCHANGE_SIZE] = {1};
    uint8_t secret[SEAL_EXCHANGE_SIZE] = {42}, shared[SEAL_EXCHANGE_SIZE];
    assert_false(seal_exchange(secret, zero, shared));
    assert_false(seal_exchange(secret, one, shared));
}

static void hasher_in_pieces_is_the_digest_of_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[3000];
    struct prng prng;
    prng_init(&prng, 1);
    prng_fill(&prng, bytes, sizeof bytes);
    for (int round = 0; round < 50; round++) {
        struct seal_hasher hasher;
        struct digest pieces, whole;
        size_t count = (size_t)prng_below(&prng, sizeof bytes + 1);
        seal_hasher_init(&hasher);
        for (size_t at = 0, part; at < count; at += part) {
            part = 1 + (size_t)prng_below(&prng, count - at);
            seal_hasher_update(&hasher, slice_of(bytes + at, part));
        }
        seal_hasher_final(&hasher, &pieces);
        crypto_sodium.digest(slice_of(bytes, count), &whole);
        assert_true(digest_equal(&pieces, &whole));
    }
}

static void same_bytes_with_and_without_seal_init(void **state)
{
    (void)state;
    struct crypto_key key = {{7}};
    uint8_t nonce[CRYPTO_NONCE_SIZE] = {1}, plain[1000] = {5};
    uint8_t before[sizeof plain + CRYPTO_TAG_SIZE], after[sizeof before];
    crypto_sodium.seal(&key, nonce, slice_string("clear"), slice_of(plain, sizeof plain), before);
    assert_true(seal_init());
    assert_true(seal_init());
    crypto_sodium.seal(&key, nonce, slice_string("clear"), slice_of(plain, sizeof plain), after);
    assert_memory_equal(before, after, sizeof before);
}

static void seal_equal_and_wipe_do_what_they_say(void **state)
{
    (void)state;
    uint8_t a[32] = {1}, b[32] = {1};
    assert_true(seal_equal(a, b, sizeof a));
    b[31] = 1;
    assert_false(seal_equal(a, b, sizeof a));
    assert_true(seal_equal(a, b, 31));
    seal_wipe(a, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) assert_int_equal(a[i], 0);
}

static void what_was_sealed_opens_also_in_place(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (size_t c = 0; c < 2; c++) {
        for (size_t count = 0; count < 300; count++) {
            struct crypto_key key;
            uint8_t nonce[CRYPTO_NONCE_SIZE], plain[300], sealed[316], opened[300];
            prng_fill(&prng, &key, sizeof key);
            prng_fill(&prng, nonce, sizeof nonce);
            prng_fill(&prng, plain, sizeof plain);
            struct slice clear = slice_of(plain, count / 2);
            both[c]->seal(&key, nonce, clear, slice_of(plain, count), sealed);
            struct slice whole = slice_of(sealed, count + CRYPTO_TAG_SIZE);
            assert_true(both[c]->open(&key, nonce, clear, whole, opened));
            assert_memory_equal(opened, plain, count);
            assert_true(both[c]->open(&key, nonce, clear, whole, sealed));
            assert_memory_equal(sealed, plain, count);
        }
    }
}

static void any_changed_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct crypto_key key = {{3}};
        uint8_t nonce[CRYPTO_NONCE_SIZE] = {4}, clear[5] = "clear", sealed[6 + 16], opened[6];
        struct slice open_part = slice_of(clear, sizeof clear);
        struct slice whole = slice_of(sealed, sizeof sealed);
        both[c]->seal(&key, nonce, open_part, slice_string("secret"), sealed);
        assert_true(both[c]->open(&key, nonce, open_part, whole, opened));
        struct {
            uint8_t *at;
            size_t count;
        } parts[] = {{key.bytes, sizeof key},
                     {nonce, sizeof nonce},
                     {clear, sizeof clear},
                     {sealed, sizeof sealed}};
        for (size_t p = 0; p < 4; p++) {
            for (size_t bit = 0; bit < 8 * parts[p].count; bit++) {
                parts[p].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(both[c]->open(&key, nonce, open_part, whole, opened));
                parts[p].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
        }
        for (size_t count = 0; count < sizeof sealed; count++)
            assert_false(both[c]->open(&key, nonce, open_part, slice_of(sealed, count), opened));
    }
}

static void make_pair(const struct crypto *crypto, uint8_t number, struct crypto_pair *pair)
{
    uint8_t seed[32] = {number};
    if (crypto == &crypto_plain) plain_pair(number, pair);
    else seal_pair_from_seed(seed, pair);
}

static void signatures_hold_for_their_key_and_message_only(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct crypto_pair pair, other;
        uint8_t signature[CRYPTO_SIGNATURE_SIZE];
        make_pair(both[c], 1, &pair);
        make_pair(both[c], 2, &other);
        both[c]->sign(&pair, slice_string("message"), signature);
        assert_true(both[c]->verify(both[c], &pair.public, slice_string("message"), signature));
        assert_false(both[c]->verify(both[c], &pair.public, slice_string("massage"), signature));
        assert_false(both[c]->verify(both[c], &other.public, slice_string("message"), signature));
        for (size_t i = 0; i < sizeof signature; i++) {
            signature[i] ^= 1;
            assert_false(
                both[c]->verify(both[c], &pair.public, slice_string("message"), signature));
            signature[i] ^= 1;
        }
    }
}

static void subkeys_differ_by_key_and_purpose(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct crypto_key key = {{1}}, other = {{2}}, subkeys[3], again;
        both[c]->derive(&key, slice_string("one"), &subkeys[0]);
        both[c]->derive(&key, slice_string("two"), &subkeys[1]);
        both[c]->derive(&other, slice_string("one"), &subkeys[2]);
        both[c]->derive(&key, slice_string("one"), &again);
        assert_memory_equal(&subkeys[0], &again, sizeof again);
        assert_memory_not_equal(&subkeys[0], &subkeys[1], sizeof again);
        assert_memory_not_equal(&subkeys[0], &subkeys[2], sizeof again);
    }
}

static void node_id_is_the_beginning_of_the_keys_digest(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct crypto_pair pair;
        struct digest digest;
        make_pair(both[c], 1, &pair);
        struct id id = crypto_node_id(both[c], &pair.public);
        both[c]->digest(slice_of(&pair.public, sizeof pair.public), &digest);
        assert_memory_equal(&id, &digest, sizeof id);
        assert_false(id_is_zero(&id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_is_blake2b),
        cmocka_unit_test(seal_is_xchacha20_poly1305),
        cmocka_unit_test(sign_is_ed25519),
        cmocka_unit_test(exchange_is_x25519),
        cmocka_unit_test(exchange_refuses_keys_of_small_order),
        cmocka_unit_test(hasher_in_pieces_is_the_digest_of_the_whole),
        cmocka_unit_test(same_bytes_with_and_without_seal_init),
        cmocka_unit_test(seal_equal_and_wipe_do_what_they_say),
        cmocka_unit_test(what_was_sealed_opens_also_in_place),
        cmocka_unit_test(any_changed_bit_is_noticed),
        cmocka_unit_test(signatures_hold_for_their_key_and_message_only),
        cmocka_unit_test(subkeys_differ_by_key_and_purpose),
        cmocka_unit_test(node_id_is_the_beginning_of_the_keys_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
