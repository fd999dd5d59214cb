/* Streams: two channels in one process, their bytes carried by hand, so that any of them can be cut
 * into pieces, lost, changed or said twice. */
#include "base/prng.h"
#include "wire/channel.h"
#include "wire/frame.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    BUDGET = 16 << 20,
    WIRE_SIZE = 4096, /* holds either side of a handshake */
    HELLO_SIZE = 57,
};

/* One side: a channel and all it needs. */
struct side {
    struct memory memory;
    struct crypto_key keys[2];
    struct crypto_pair pair;
    struct channel_config config;
    struct channel *channel;
};

static void set_side(struct side *side, uint8_t number, const char *name)
{
    uint8_t seed[32] = {number};
    *side = (struct side){.keys = {{{1, 2, 3}}, {{4, 5, 6}}}};
    memory_init(&side->memory, BUDGET);
    seal_pair_from_seed(seed, &side->pair);
    side->config = (struct channel_config){
        .keys = side->keys,
        .keys_count = 1,
        .pair = &side->pair,
        .self =
            {
                .node = crypto_node_id(&crypto_sodium, &side->pair.public),
                .boot = {number, 0xabcdef},
                .address = address_ipv4(10, 0, 0, number, 7437),
            },
        .seed = {number, 99},
    };
    strcpy(side->config.self.name, name);
}

static void set_both(struct side sides[2])
{
    set_side(&sides[0], 1, "anna");
    set_side(&sides[1], 2, "berta");
}

static void open_both(struct side sides[2], enum channel_purpose purpose)
{
    sides[0].channel = channel_open(&sides[0].memory, &sides[0].config, true, purpose);
    sides[1].channel = channel_open(&sides[1].memory, &sides[1].config, false, purpose);
    assert_non_null(sides[0].channel);
    assert_non_null(sides[1].channel);
}

/* Every byte and piece of memory comes back. */
static void close_both(struct side sides[2])
{
    for (int i = 0; i < 2; i++) {
        channel_close(sides[i].channel);
        assert_int_equal(sides[i].memory.used, 0);
    }
}

/* Feeds bytes in pieces of 1 to piece_max; each in memory of its own, for the sanitizer. */
static const char *feed(struct side *to, struct slice bytes, size_t piece_max, struct prng *prng)
{
    const char *reason = NULL;
    for (size_t at = 0, count; at < bytes.count && reason == NULL; at += count) {
        count = 1 + (size_t)prng_below(prng, piece_max);
        if (count > bytes.count - at) count = bytes.count - at;
        uint8_t *own = malloc(count);
        memcpy(own, bytes.at + at, count);
        reason = channel_receive(to->channel, slice_of(own, count));
        free(own);
    }
    return reason;
}

/* Carries the handshake to its end, or to the first refusal. */
static const char *shake(struct side sides[2], size_t piece_max)
{
    struct prng prng;
    prng_init(&prng, piece_max);
    for (int turn = 0; turn < 6; turn++) {
        struct slice output = channel_output(sides[turn % 2].channel);
        const char *reason = feed(&sides[1 - turn % 2], output, piece_max, &prng);
        if (reason != NULL) return reason;
    }
    return NULL;
}

static void shake_open(struct side sides[2], enum channel_purpose purpose)
{
    open_both(sides, purpose);
    assert_null(shake(sides, WIRE_SIZE));
    assert_int_equal(channel_state(sides[0].channel), CHANNEL_OPEN);
    assert_int_equal(channel_state(sides[1].channel), CHANNEL_OPEN);
}

/* One sealed record, in memory that the caller frees. */
static struct slice sealed(struct side *from, struct slice record)
{
    uint8_t *bytes = malloc(channel_sealed_size(record.count));
    channel_send(from->channel, record, bytes);
    return slice_of(bytes, channel_sealed_size(record.count));
}

static void release(struct slice bytes) { free((void *)(uintptr_t)bytes.at); }

/* ---- what works ---- */

static void both_sides_learn_who_the_other_is(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 7, 60, WIRE_SIZE};
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        struct side sides[2];
        set_both(sides);
        open_both(sides, CHANNEL_BULK);
        assert_null(shake(sides, pieces[p]));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(channel_state(sides[i].channel), CHANNEL_OPEN);
            assert_int_equal(channel_purpose(sides[i].channel), CHANNEL_BULK);
            const struct channel_party *peer = channel_peer(sides[i].channel);
            const struct channel_party *wanted = &sides[1 - i].config.self;
            assert_true(id_equal(&peer->node, &wanted->node));
            assert_true(boot_equal(&peer->boot, &wanted->boot));
            assert_true(address_equal(&peer->address, &wanted->address));
            assert_string_equal(peer->name, wanted->name);
            assert_true(channel_is_whole(sides[i].channel));
        }
        close_both(sides);
    }
}

static void a_client_shows_no_identity(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    sides[0].config.pair = NULL;
    shake_open(sides, CHANNEL_CLIENT);
    const struct channel_party *client = channel_peer(sides[1].channel);
    assert_true(id_is_zero(&client->node));
    assert_true(address_is_none(&client->address));
    assert_true(boot_equal(&client->boot, &(struct boot){0, 0}));
    assert_string_equal(channel_peer(sides[0].channel)->name, "berta");
    close_both(sides);
}

static void any_key_of_the_ring_is_accepted(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    sides[1].keys[1] = sides[0].keys[0];
    sides[1].keys[0] = (struct crypto_key){{7}};
    sides[1].config.keys_count = 2;
    shake_open(sides, CHANNEL_PEER);
    close_both(sides);
}

static void assert_next_is(struct side *side, struct slice wanted)
{
    struct slice record;
    assert_true(channel_next(side->channel, &record));
    assert_true(slice_equal(record, wanted));
}

static void records_arrive_once_in_order_whatever_the_pieces(void **state)
{
    (void)state;
    static uint8_t bytes[200000];
    struct prng prng;
    prng_init(&prng, 5);
    prng_fill(&prng, bytes, sizeof bytes);
    static const size_t pieces[] = {1, 3, 100, 5000, 70000, 1 << 20};
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        struct side sides[2];
        set_both(sides);
        shake_open(sides, CHANNEL_PEER);
        size_t most = pieces[p] < 100 ? 300 : sizeof bytes, sent[40], stream_size = 0, taken = 0;
        uint8_t *stream = malloc(40 * channel_sealed_size(sizeof bytes));
        for (int i = 0; i < 40; i++) {
            sent[i] = (size_t)prng_below(&prng, 1 + (size_t)prng_below(&prng, most));
            channel_send(sides[p % 2].channel, slice_of(bytes, sent[i]), stream + stream_size);
            stream_size += channel_sealed_size(sent[i]);
        }
        for (size_t at = 0, count; at < stream_size; at += count) {
            struct slice record;
            count = 1 + (size_t)prng_below(&prng, pieces[p]);
            if (count > stream_size - at) count = stream_size - at;
            struct channel *to = sides[1 - p % 2].channel;
            assert_null(channel_receive(to, slice_of(stream + at, count)));
            while (channel_next(to, &record))
                assert_true(slice_equal(record, slice_of(bytes, sent[taken++])));
        }
        assert_int_equal(taken, 40);
        assert_true(channel_is_whole(sides[1 - p % 2].channel));
        free(stream);
        close_both(sides);
    }
}

static void both_directions_are_independent(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    shake_open(sides, CHANNEL_PEER);
    for (int i = 0; i < 10; i++) {
        struct slice there = sealed(&sides[0], slice_string("there"));
        struct slice back = sealed(&sides[1], slice_string("back"));
        assert_memory_not_equal(there.at + 4, "there", 5);
        assert_null(channel_receive(sides[1].channel, there));
        assert_null(channel_receive(sides[0].channel, back));
        assert_next_is(&sides[1], slice_string("there"));
        assert_next_is(&sides[0], slice_string("back"));
        release(there);
        release(back);
    }
    close_both(sides);
}

static void records_behind_the_handshake_in_one_piece_are_kept(void **state)
{
    (void)state;
    struct side sides[2];
    uint8_t stream[WIRE_SIZE];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    assert_null(channel_receive(sides[1].channel, channel_output(sides[0].channel)));
    assert_null(channel_receive(sides[0].channel, channel_output(sides[1].channel)));
    assert_null(channel_receive(sides[1].channel, channel_output(sides[0].channel)));
    struct slice last = channel_output(sides[1].channel);
    memcpy(stream, last.at, last.count);
    channel_send(sides[1].channel, slice_string("first"), stream + last.count);
    size_t count = last.count + channel_sealed_size(5);
    assert_null(channel_receive(sides[0].channel, slice_of(stream, count)));
    assert_next_is(&sides[0], slice_string("first"));
    close_both(sides);
}

static void the_same_seeds_give_the_same_bytes(void **state)
{
    (void)state;
    struct slice records[2];
    for (int i = 0; i < 2; i++) {
        struct side sides[2];
        set_both(sides);
        shake_open(sides, CHANNEL_PEER);
        records[i] = sealed(&sides[0], slice_string("record"));
        close_both(sides);
    }
    assert_true(slice_equal(records[0], records[1]));
    release(records[0]);
    release(records[1]);
}

/* ---- what is refused ---- */

static void another_cluster_key_is_told_and_not_answered(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    sides[1].keys[0].bytes[31] ^= 1;
    open_both(sides, CHANNEL_PEER);
    assert_ptr_equal(shake(sides, 10), channel_wrong_key);
    assert_int_equal(channel_state(sides[1].channel), CHANNEL_FAILED);
    assert_int_equal(channel_output(sides[1].channel).count, 0);
    close_both(sides);
}

static void another_version_is_told_at_its_byte(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    static const uint8_t other[] = {'M', 'U', 'R', 'M', CHANNEL_VERSION + 1};
    assert_null(channel_receive(sides[1].channel, slice_of(other, 4)));
    const char *reason = channel_receive(sides[1].channel, slice_of(other + 4, 1));
    assert_ptr_equal(reason, channel_other_version);
    assert_ptr_equal(channel_receive(sides[1].channel, slice_string("more")), reason);
    close_both(sides);
}

static void another_protocol_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    const char *reason = channel_receive(sides[1].channel, slice_string("GET"));
    assert_string_equal(reason, "not a stream of ours");
    assert_int_equal(channel_output(sides[1].channel).count, 0);
    assert_true(sides[1].memory.used < 4096);
    close_both(sides);
}

static void nobody_can_be_answered_with_his_own_hello(void **state)
{
    (void)state;
    struct side sides[2];
    uint8_t hello[HELLO_SIZE];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    struct slice output = channel_output(sides[0].channel);
    assert_int_equal(output.count, HELLO_SIZE);
    memcpy(hello, output.at, sizeof hello);
    assert_non_null(channel_receive(sides[0].channel, slice_of(hello, sizeof hello)));
    close_both(sides);
}

static void a_stranger_who_knows_the_key_id_is_not_answered(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    uint8_t hello[HELLO_SIZE];
    memcpy(hello, channel_output(sides[0].channel).at, sizeof hello);
    hello[20] ^= 1; /* an ephemeral key of his own, without a tag */
    assert_string_equal(channel_receive(sides[1].channel, slice_of(hello, sizeof hello)),
                        "hello forged or damaged");
    assert_int_equal(channel_output(sides[1].channel).count, 0);
    close_both(sides);
}

/* Runs the handshake with one bit changed at a place of all that is said; returns false behind its
 * end. */
static bool shake_with_a_flipped_bit(size_t place, unsigned bit)
{
    struct side sides[2];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    size_t said = 0;
    const char *reason = NULL;
    for (int turn = 0; turn < 4 && reason == NULL; turn++) {
        uint8_t bytes[WIRE_SIZE];
        struct slice output = channel_output(sides[turn % 2].channel);
        memcpy(bytes, output.at, output.count);
        bool is_here = place >= said && place - said < output.count;
        if (is_here) bytes[place - said] ^= (uint8_t)(1u << bit);
        said += output.count;
        reason = channel_receive(sides[1 - turn % 2].channel, slice_of(bytes, output.count));
        if (!is_here || reason != NULL) continue;
        /* A longer length still waits for bytes, which then are wrong. */
        assert_int_not_equal(channel_state(sides[1 - turn % 2].channel), CHANNEL_OPEN);
        uint8_t more[WIRE_SIZE] = {0};
        reason = channel_receive(sides[1 - turn % 2].channel, slice_of(more, sizeof more));
        assert_non_null(reason);
    }
    bool is_over = place >= said && reason == NULL;
    if (!is_over) assert_non_null(reason);
    close_both(sides);
    return !is_over;
}

static void a_flipped_bit_anywhere_in_the_handshake_ends_it(void **state)
{
    (void)state;
    size_t place = 0;
    while (shake_with_a_flipped_bit(place, place % 8)) place++;
    assert_in_range(place, 2 * HELLO_SIZE + 2 * 130, 1000);
}

static void a_flipped_bit_anywhere_in_a_record_is_noticed(void **state)
{
    (void)state;
    size_t size = channel_sealed_size(6);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct side sides[2];
        set_both(sides);
        shake_open(sides, CHANNEL_PEER);
        uint8_t bytes[4000] = {0};
        struct slice record = sealed(&sides[0], slice_string("record")), out;
        memcpy(bytes, record.at, size);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const char *reason = channel_receive(sides[1].channel, slice_of(bytes, sizeof bytes));
        /* A length that grew by more than we feed is waited for, and never opened. */
        assert_true(reason != NULL || (bit >= 12 && bit <= 19));
        assert_false(channel_next(sides[1].channel, &out));
        assert_false(channel_is_whole(sides[1].channel));
        release(record);
        close_both(sides);
    }
}

static void a_record_replayed_or_left_out_is_noticed(void **state)
{
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        struct side sides[2];
        set_both(sides);
        shake_open(sides, CHANNEL_PEER);
        struct slice first = sealed(&sides[0], slice_string("one"));
        struct slice second = sealed(&sides[0], slice_string("two"));
        struct slice out;
        if (skip == 0) {
            assert_null(channel_receive(sides[1].channel, first));
            assert_true(channel_next(sides[1].channel, &out));
        }
        const char *reason = channel_receive(sides[1].channel, skip == 0 ? first : second);
        assert_string_equal(reason, "record forged, damaged or out of order");
        assert_false(channel_next(sides[1].channel, &out));
        release(first);
        release(second);
        close_both(sides);
    }
}

static void a_record_sent_back_to_its_author_is_noticed(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    shake_open(sides, CHANNEL_PEER);
    struct slice record = sealed(&sides[0], slice_string("one"));
    assert_non_null(channel_receive(sides[0].channel, record));
    release(record);
    close_both(sides);
}

static void a_cut_record_is_not_whole(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    shake_open(sides, CHANNEL_PEER);
    struct slice record = sealed(&sides[0], slice_string("record")), out;
    for (size_t i = 0; i < record.count; i++) {
        assert_int_equal(channel_is_whole(sides[1].channel), i == 0);
        assert_false(channel_next(sides[1].channel, &out));
        assert_null(channel_receive(sides[1].channel, slice_of(record.at + i, 1)));
    }
    assert_true(channel_is_whole(sides[1].channel));
    assert_next_is(&sides[1], slice_string("record"));
    release(record);
    close_both(sides);
}

static void a_length_too_large_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const uint8_t most[] = {0, 0, 16, 0}, over[] = {1, 0, 16, 0};
    struct side sides[2];
    struct slice record;
    set_both(sides);
    shake_open(sides, CHANNEL_PEER);
    assert_null(channel_receive(sides[1].channel, slice_of(most, sizeof most)));
    assert_false(channel_next(sides[1].channel, &record));
    assert_true(sides[1].memory.used < 16384);
    assert_string_equal(channel_receive(sides[0].channel, slice_of(over, sizeof over)),
                        "record too long");
    assert_true(sides[0].memory.used < 16384);
    close_both(sides);
}

/* A replayed hello gets one answer; what follows it is bounded by the size of an identity. */
static void whoever_is_not_proven_yet_gets_little_memory(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    open_both(sides, CHANNEL_PEER);
    assert_null(channel_receive(sides[1].channel, channel_output(sides[0].channel)));
    static const uint8_t longer[] = {1, 1, 0, 0};
    assert_string_equal(channel_receive(sides[1].channel, slice_of(longer, sizeof longer)),
                        "record too long");
    assert_true(sides[1].memory.used < 16384);
    close_both(sides);
}

static void the_largest_record_passes_and_its_memory_is_given_back(void **state)
{
    (void)state;
    struct side sides[2];
    struct prng prng;
    struct slice out;
    prng_init(&prng, 3);
    set_both(sides);
    shake_open(sides, CHANNEL_BULK);
    uint8_t *bytes = calloc(1, CHANNEL_RECORD_MAX);
    struct slice record = sealed(&sides[0], slice_of(bytes, CHANNEL_RECORD_MAX));
    assert_null(feed(&sides[1], record, 100000, &prng));
    assert_next_is(&sides[1], slice_of(bytes, CHANNEL_RECORD_MAX));
    assert_true(sides[1].memory.used < 4 * CHANNEL_RECORD_MAX);
    struct slice small = sealed(&sides[0], slice_string("small"));
    assert_false(channel_next(sides[1].channel, &out));
    assert_null(channel_receive(sides[1].channel, small));
    assert_true(sides[1].memory.used < 16384);
    assert_next_is(&sides[1], slice_string("small"));
    release(record);
    release(small);
    free(bytes);
    close_both(sides);
}

static void a_stolen_public_key_is_no_identity(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    memset(sides[0].pair.secret, 1, 32); /* the public key stays the other's */
    open_both(sides, CHANNEL_PEER);
    assert_string_equal(shake(sides, WIRE_SIZE), "signature forged");
    close_both(sides);
}

static void every_failed_allocation_is_an_error_or_a_reason(void **state)
{
    (void)state;
    struct side sides[2];
    set_both(sides);
    sides[0].memory.fail_after = 1;
    assert_null(channel_open(&sides[0].memory, &sides[0].config, true, CHANNEL_PEER));
    open_both(sides, CHANNEL_PEER);
    sides[1].memory.fail_after = 1;
    assert_string_equal(shake(sides, WIRE_SIZE), "out of memory");
    assert_int_equal(channel_state(sides[1].channel), CHANNEL_FAILED);
    close_both(sides);
}

/* ---- someone who holds the cluster key and says what he likes ---- */

/* An initiator made by hand, from the drawing in channel.c. */
struct insider {
    uint8_t secret[SEAL_EXCHANGE_SIZE];
    uint8_t hello[HELLO_SIZE];
    struct crypto_key key; /* of what he sends, once answered */
};

static void digest_of_two(struct slice first, struct slice second, struct digest *digest)
{
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_update(&hasher, first);
    seal_hasher_update(&hasher, second);
    seal_hasher_final(&hasher, digest);
}

/* A hello with a true tag for this ephemeral key. */
static void make_hello(struct insider *insider, const struct crypto_key *key,
                       const uint8_t ephemeral[SEAL_EXCHANGE_SIZE])
{
    struct frame_key frame_key;
    struct crypto_key tag;
    uint8_t purpose[8 + 41];
    frame_key_init(&frame_key, &crypto_sodium, key);
    memcpy(insider->hello, "MURM\1", 5);
    for (int i = 0; i < 4; i++) insider->hello[5 + i] = (uint8_t)(frame_key.key_id >> (8 * i));
    memcpy(insider->hello + 9, ephemeral, SEAL_EXCHANGE_SIZE);
    memcpy(purpose, "mr hello", 8);
    memcpy(purpose + 8, insider->hello, 41);
    crypto_sodium.derive(key, slice_of(purpose, sizeof purpose), &tag);
    memcpy(insider->hello + 41, tag.bytes, 16);
}

static void make_keys(struct insider *insider, const struct crypto_key *key, struct slice reply)
{
    uint8_t shared[SEAL_EXCHANGE_SIZE], purpose[8 + sizeof(struct digest)];
    struct digest transcript, mixed;
    struct crypto_key master;
    assert_true(seal_exchange(insider->secret, reply.at + 9, shared));
    digest_of_two(slice_of(insider->hello, HELLO_SIZE), reply, &transcript);
    struct slice heard = slice_of(&transcript, sizeof transcript);
    digest_of_two(slice_of(shared, sizeof shared), heard, &mixed);
    memcpy(purpose, "mr keys:", 8);
    memcpy(purpose + 8, &mixed, sizeof mixed);
    crypto_sodium.derive(key, slice_of(purpose, sizeof purpose), &master);
    crypto_sodium.derive(&master, slice_string("mr initiator sends"), &insider->key);
}

/* What a node answers to an insider whose identity has these bytes. */
static const char *answer_to(struct slice identity)
{
    struct side side;
    struct insider insider = {.secret = {77}};
    uint8_t ephemeral[SEAL_EXCHANGE_SIZE], nonce[CRYPTO_NONCE_SIZE] = {0}, record[600];
    set_side(&side, 2, "berta");
    side.channel = channel_open(&side.memory, &side.config, false, CHANNEL_PEER);
    seal_exchange_public(insider.secret, ephemeral);
    make_hello(&insider, &side.keys[0], ephemeral);
    assert_null(channel_receive(side.channel, slice_of(insider.hello, HELLO_SIZE)));
    make_keys(&insider, &side.keys[0], channel_output(side.channel));
    for (int i = 0; i < 4; i++) record[i] = (uint8_t)(identity.count >> (8 * i));
    crypto_sodium.seal(&insider.key, nonce, slice_of(record, 4), identity, record + 4);
    struct slice whole = slice_of(record, channel_sealed_size(identity.count));
    const char *reason = channel_receive(side.channel, whole);
    assert_int_equal(channel_state(side.channel), reason == NULL ? CHANNEL_OPEN : CHANNEL_FAILED);
    assert_int_equal(channel_output(side.channel).count > 0, reason == NULL);
    channel_close(side.channel);
    assert_int_equal(side.memory.used, 0);
    return reason != NULL ? reason : "accepted";
}

static const char *answer_to_identity(const struct msg_identity *identity)
{
    uint8_t bytes[CHANNEL_IDENTITY_MAX];
    struct writer writer = writer_of(bytes, sizeof bytes);
    assert_true(wire_encode(&wire_identity, identity, &writer));
    return answer_to(slice_of(bytes, writer.written));
}

static void identities_are_taken_only_when_they_make_sense(void **state)
{
    (void)state;
    static const uint8_t zeros[CRYPTO_SIGNATURE_SIZE];
    struct msg_identity identity = {.purpose = CHANNEL_CLIENT, .name = slice_string("mrctl")};
    assert_string_equal(answer_to_identity(&identity), "accepted");
    identity.purpose = CHANNEL_BULK;
    assert_string_equal(answer_to_identity(&identity), "accepted");
    identity.purpose = CHANNEL_PEER;
    assert_string_equal(answer_to_identity(&identity), "a client that says it is a peer");
    identity.purpose = 0;
    assert_string_equal(answer_to_identity(&identity), "stream for an unknown purpose");
    identity.purpose = CHANNEL_BULK + 1;
    assert_string_equal(answer_to_identity(&identity), "stream for an unknown purpose");
    identity.purpose = CHANNEL_CLIENT;
    identity.name = slice_of("a\0b", 3);
    assert_string_equal(answer_to_identity(&identity), "name with a NUL");
    identity.name = slice_of(NULL, 0);
    identity.signature = slice_of(zeros, sizeof zeros);
    assert_string_equal(answer_to_identity(&identity), "a signature without a key");
    identity.key.bytes[0] = 1;
    assert_string_equal(answer_to_identity(&identity), "signature forged");
    identity.signature.count = 63;
    assert_string_equal(answer_to_identity(&identity), "no signature");
    assert_string_equal(answer_to(slice_of(NULL, 0)), "cut short");
    assert_string_equal(answer_to(slice_of(zeros, 64)), "bytes behind the message");
}

static void an_ephemeral_key_of_small_order_is_not_answered(void **state)
{
    (void)state;
    static const uint8_t zero[SEAL_EXCHANGE_SIZE];
    struct side side;
    struct insider insider = {.secret = {0}};
    set_side(&side, 2, "berta");
    side.channel = channel_open(&side.memory, &side.config, false, CHANNEL_PEER);
    make_hello(&insider, &side.keys[0], zero);
    const char *reason = channel_receive(side.channel, slice_of(insider.hello, HELLO_SIZE));
    assert_string_equal(reason, "ephemeral key of small order");
    assert_int_equal(channel_output(side.channel).count, 0);
    channel_close(side.channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(a_client_shows_no_identity),
        cmocka_unit_test(any_key_of_the_ring_is_accepted),
        cmocka_unit_test(records_arrive_once_in_order_whatever_the_pieces),
        cmocka_unit_test(both_directions_are_independent),
        cmocka_unit_test(records_behind_the_handshake_in_one_piece_are_kept),
        cmocka_unit_test(the_same_seeds_give_the_same_bytes),
        cmocka_unit_test(another_cluster_key_is_told_and_not_answered),
        cmocka_unit_test(another_version_is_told_at_its_byte),
        cmocka_unit_test(another_protocol_is_refused_at_its_first_byte),
        cmocka_unit_test(nobody_can_be_answered_with_his_own_hello),
        cmocka_unit_test(a_stranger_who_knows_the_key_id_is_not_answered),
        cmocka_unit_test(a_flipped_bit_anywhere_in_the_handshake_ends_it),
        cmocka_unit_test(a_flipped_bit_anywhere_in_a_record_is_noticed),
        cmocka_unit_test(a_record_replayed_or_left_out_is_noticed),
        cmocka_unit_test(a_record_sent_back_to_its_author_is_noticed),
        cmocka_unit_test(a_cut_record_is_not_whole),
        cmocka_unit_test(a_length_too_large_is_refused_before_memory_is_taken),
        cmocka_unit_test(whoever_is_not_proven_yet_gets_little_memory),
        cmocka_unit_test(the_largest_record_passes_and_its_memory_is_given_back),
        cmocka_unit_test(a_stolen_public_key_is_no_identity),
        cmocka_unit_test(every_failed_allocation_is_an_error_or_a_reason),
        cmocka_unit_test(identities_are_taken_only_when_they_make_sense),
        cmocka_unit_test(an_ephemeral_key_of_small_order_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
