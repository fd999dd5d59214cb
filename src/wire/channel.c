/* The handshake and the records (channel.h). All numbers little endian, but for the address's port.
 *
 *   hello     magic "MURM" 4 | version 1 | key id 4 | ephemeral 32 | tag 16
 *   record    size of the plain bytes 4 | sealed bytes | tag 16
 *   identity  a record whose plain bytes are a wire identity (messages.def)
 *
 * The tag of a hello is a keyed BLAKE2b under the cluster key of its sender's role and the rest: so
 * a stranger who has overheard a key id gets no answer, and nobody's hello can be sent back to him.
 * A replayed hello gets one answer and then fails, for want of the ephemeral secret.
 *
 *   transcript = H(initiator's hello, responder's hello)
 *   master     = keyed by the cluster key: H(shared secret, transcript)
 *   keys       = keyed by the master: one for each direction, numbers of records as nonces
 *
 * Each identity signs H(transcript, itself), is sealed as record 0 of its direction, and joins the
 * transcript, so that the responder signs whom it believes to talk to. A failed channel stays
 * failed: whatever comes after a forged byte is not looked at.
 *
 * The buffer: [0, taken) handed out, [taken, opened) decrypted in place, [opened, end) the
 * beginning of a record. It grows only by bytes that really came; what remains of a record is moved
 * to the front once for each channel_receive, hence never more than was just fed. */
#include "wire/channel.h"

#include "wire/frame.h"
#include "wire/seal.h"
#include "wire/wire.h"

#include <assert.h>

const char channel_other_version[] = "another version of the protocol";
const char channel_wrong_key[] = "another cluster key";

enum {
    AT_VERSION = 4,
    AT_KEY_ID = 5,
    AT_EPHEMERAL = 9,
    AT_TAG = 41,
    TAG_SIZE = 16, /* 128 bits: as the AEAD's */
    HELLO_SIZE = AT_TAG + TAG_SIZE,
    PREFIX_SIZE = 4,
    RECORD_OVERHEAD = PREFIX_SIZE + CRYPTO_TAG_SIZE,
    BUFFER_SIZE_MIN = 4096,       /* a page: most records of a peer are smaller */
    BUFFER_SIZE_KEPT = 256 << 10, /* two chunks of bulk bytes: larger is given back when empty */
};

static const uint8_t magic[AT_VERSION] = {'M', 'U', 'R', 'M'};

/* One direction of the stream. */
struct flow {
    struct crypto_key key;
    uint64_t number; /* of its next record */
};

struct channel {
    struct memory *memory;
    struct channel_config config;
    enum channel_state state;
    const char *reason; /* of CHANNEL_FAILED */
    bool initiates;
    enum channel_purpose purpose;
    struct channel_party peer;
    const struct crypto_key *cluster_key;
    uint8_t own_hello[HELLO_SIZE];
    uint8_t peer_hello[HELLO_SIZE];
    size_t peer_hello_count;
    struct digest transcript;
    struct flow sends;
    struct flow receives;
    uint8_t output[HELLO_SIZE + CHANNEL_IDENTITY_MAX + RECORD_OVERHEAD];
    size_t output_count;
    uint8_t *buffer;
    size_t buffer_size;
    size_t taken;
    size_t opened;
    size_t end;
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The one place where the state changes: forward by one, or to its end. */
static void move(struct channel *channel, enum channel_state state)
{
    assert(channel->state != CHANNEL_FAILED);
    assert(state == channel->state + 1 || state == CHANNEL_FAILED);
    channel->state = state;
}

/* ---- hello ---- */

static void hello_tag(const struct crypto_key *key, bool by_initiator,
                      const uint8_t hello[HELLO_SIZE], uint8_t tag[TAG_SIZE])
{
    uint8_t purpose[8 + AT_TAG];
    struct crypto_key whole;
    memcpy(purpose, by_initiator ? "mr hello" : "mr reply", 8);
    memcpy(purpose + 8, hello, AT_TAG);
    crypto_sodium.derive(key, slice_of(purpose, sizeof purpose), &whole);
    memcpy(tag, whole.bytes, TAG_SIZE);
}

static uint32_t key_id(const struct crypto_key *key)
{
    struct frame_key frame_key;
    frame_key_init(&frame_key, &crypto_sodium, key);
    uint32_t id = frame_key.key_id;
    seal_wipe(&frame_key, sizeof frame_key);
    return id;
}

static void say_hello(struct channel *channel)
{
    uint8_t *hello = channel->own_hello;
    memcpy(hello, magic, sizeof magic);
    hello[AT_VERSION] = CHANNEL_VERSION;
    put_u32(hello + AT_KEY_ID, key_id(channel->cluster_key));
    seal_exchange_public(channel->config.seed, hello + AT_EPHEMERAL);
    hello_tag(channel->cluster_key, channel->initiates, hello, hello + AT_TAG);
    assert(channel->output_count == 0);
    memcpy(channel->output, hello, HELLO_SIZE);
    channel->output_count = HELLO_SIZE;
}

/* Of the keys that may be used, the one named in the peer's hello; NULL when there is none. */
static const struct crypto_key *named_key(const struct channel *channel)
{
    uint32_t id = get_u32(channel->peer_hello + AT_KEY_ID);
    size_t count = channel->initiates ? 1 : channel->config.keys_count;
    for (size_t i = 0; i < count; i++)
        if (key_id(&channel->config.keys[i]) == id) return &channel->config.keys[i];
    return NULL;
}

static const char *check_hello(struct channel *channel)
{
    uint8_t tag[TAG_SIZE];
    channel->cluster_key = named_key(channel);
    if (channel->cluster_key == NULL) return channel_wrong_key;
    hello_tag(channel->cluster_key, !channel->initiates, channel->peer_hello, tag);
    bool holds = seal_equal(tag, channel->peer_hello + AT_TAG, TAG_SIZE);
    return holds ? NULL : "hello forged or damaged";
}

static void derive_flow(struct flow *flow, const struct crypto_key *master, bool by_initiator)
{
    const char *purpose = by_initiator ? "mr initiator sends" : "mr responder sends";
    crypto_sodium.derive(master, slice_string(purpose), &flow->key);
    flow->number = 0;
}

/* From both hellos to the keys of both directions. */
static const char *exchange(struct channel *channel)
{
    static const char label[8] = "mr keys:";
    uint8_t shared[SEAL_EXCHANGE_SIZE], purpose[sizeof label + sizeof(struct digest)];
    struct seal_hasher hasher;
    struct digest mixed;
    struct crypto_key master;
    const uint8_t *first = channel->initiates ? channel->own_hello : channel->peer_hello;
    const uint8_t *second = channel->initiates ? channel->peer_hello : channel->own_hello;
    bool is_sound = seal_exchange(channel->config.seed, channel->peer_hello + AT_EPHEMERAL, shared);
    seal_wipe(channel->config.seed, sizeof channel->config.seed);
    if (!is_sound) return "ephemeral key of small order";
    seal_hasher_init(&hasher);
    seal_hasher_update(&hasher, slice_of(first, HELLO_SIZE));
    seal_hasher_update(&hasher, slice_of(second, HELLO_SIZE));
    seal_hasher_final(&hasher, &channel->transcript);
    seal_hasher_init(&hasher);
    seal_hasher_update(&hasher, slice_of(shared, sizeof shared));
    seal_hasher_update(&hasher, slice_of(channel->transcript.bytes, sizeof(struct digest)));
    seal_hasher_final(&hasher, &mixed);
    memcpy(purpose, label, sizeof label);
    memcpy(purpose + sizeof label, mixed.bytes, sizeof mixed.bytes);
    crypto_sodium.derive(channel->cluster_key, slice_of(purpose, sizeof purpose), &master);
    derive_flow(&channel->sends, &master, channel->initiates);
    derive_flow(&channel->receives, &master, !channel->initiates);
    seal_wipe(shared, sizeof shared);
    seal_wipe(&hasher, sizeof hasher);
    seal_wipe(purpose, sizeof purpose);
    seal_wipe(&mixed, sizeof mixed);
    seal_wipe(&master, sizeof master);
    return NULL;
}

/* ---- records ---- */

static void make_nonce(uint64_t number, uint8_t nonce[CRYPTO_NONCE_SIZE])
{
    memset(nonce, 0, CRYPTO_NONCE_SIZE);
    for (int i = 0; i < 8; i++) nonce[i] = (uint8_t)(number >> (8 * i));
}

static void seal_record(struct flow *flow, struct slice plain, uint8_t *out)
{
    uint8_t nonce[CRYPTO_NONCE_SIZE];
    make_nonce(flow->number++, nonce);
    put_u32(out, (uint32_t)plain.count);
    crypto_sodium.seal(&flow->key, nonce, slice_of(out, PREFIX_SIZE), plain, out + PREFIX_SIZE);
}

/* Opens a whole record in place. */
static bool open_record(struct flow *flow, uint8_t *record)
{
    uint8_t nonce[CRYPTO_NONCE_SIZE];
    make_nonce(flow->number++, nonce);
    size_t size = get_u32(record) + CRYPTO_TAG_SIZE;
    uint8_t *body = record + PREFIX_SIZE;
    struct slice prefix = slice_of(record, PREFIX_SIZE);
    return crypto_sodium.open(&flow->key, nonce, prefix, slice_of(body, size), body);
}

/* ---- identity ---- */

enum {
    SIGNED_SIZE = 16 + sizeof(struct digest)
};

/* What an identity signs: H(transcript, the identity but for its signature), marked as such. */
static void signed_part(const struct channel *channel, const struct msg_identity *identity,
                        uint8_t bytes[SIGNED_SIZE])
{
    uint8_t encoded[CHANNEL_IDENTITY_MAX];
    struct msg_identity bare = *identity;
    bare.signature = slice_of(NULL, 0);
    struct writer writer = writer_of(encoded, sizeof encoded);
    bool fits = wire_encode(&wire_identity, &bare, &writer);
    assert(fits);
    struct seal_hasher hasher;
    struct digest digest;
    seal_hasher_init(&hasher);
    seal_hasher_update(&hasher, slice_of(channel->transcript.bytes, sizeof(struct digest)));
    seal_hasher_update(&hasher, slice_of(encoded, writer.written));
    seal_hasher_final(&hasher, &digest);
    memcpy(bytes, "mr channel party", 16);
    memcpy(bytes + 16, digest.bytes, sizeof digest.bytes);
}

/* The transcript grows by an identity, as it was sealed. */
static void mix(struct channel *channel, struct slice identity)
{
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_update(&hasher, slice_of(channel->transcript.bytes, sizeof(struct digest)));
    seal_hasher_update(&hasher, identity);
    seal_hasher_final(&hasher, &channel->transcript);
}

static void say_identity(struct channel *channel)
{
    const struct channel_party *self = &channel->config.self;
    const struct crypto_pair *pair = channel->config.pair;
    uint8_t signature[CRYPTO_SIGNATURE_SIZE], to_sign[SIGNED_SIZE], encoded[CHANNEL_IDENTITY_MAX];
    struct msg_identity identity = {.purpose = (uint8_t)channel->purpose};
    identity.name = slice_of(self->name, strnlen(self->name, sizeof self->name - 1));
    if (pair != NULL) {
        identity.key = pair->public;
        identity.boot = self->boot;
        identity.address = self->address;
        signed_part(channel, &identity, to_sign);
        crypto_sodium.sign(pair, slice_of(to_sign, sizeof to_sign), signature);
        identity.signature = slice_of(signature, sizeof signature);
    }
    struct writer writer = writer_of(encoded, sizeof encoded);
    bool fits = wire_encode(&wire_identity, &identity, &writer);
    assert(fits);
    size_t size = channel_sealed_size(writer.written);
    assert(size <= sizeof channel->output - channel->output_count);
    struct slice plain = slice_of(encoded, writer.written);
    seal_record(&channel->sends, plain, channel->output + channel->output_count);
    channel->output_count += size;
    mix(channel, plain);
}

/* A node's proof, or a client's lack of one. */
static const char *check_proof(const struct channel *channel, const struct msg_identity *identity)
{
    uint8_t signed_bytes[SIGNED_SIZE];
    if (digest_is_zero(&identity->key)) {
        if (channel->initiates) return "a client answered in a node's place";
        if (identity->purpose == CHANNEL_PEER) return "a client that says it is a peer";
        return identity->signature.count == 0 ? NULL : "a signature without a key";
    }
    if (identity->signature.count != CRYPTO_SIGNATURE_SIZE) return "no signature";
    signed_part(channel, identity, signed_bytes);
    struct slice message = slice_of(signed_bytes, sizeof signed_bytes);
    bool holds =
        crypto_sodium.verify(&crypto_sodium, &identity->key, message, identity->signature.at);
    return holds ? NULL : "signature forged";
}

static const char *check_identity(const struct channel *channel,
                                  const struct msg_identity *identity)
{
    if (identity->purpose < CHANNEL_PEER || identity->purpose > CHANNEL_BULK)
        return "stream for an unknown purpose";
    if (channel->initiates && identity->purpose != channel->purpose)
        return "answer for another purpose";
    if (identity->name.count > 0 && memchr(identity->name.at, 0, identity->name.count) != NULL)
        return "name with a NUL";
    return check_proof(channel, identity);
}

static const char *accept_identity(struct channel *channel, struct slice plain)
{
    struct msg_identity identity;
    struct arena none;
    arena_init(&none, NULL, 0);
    const char *reason = wire_decode_all(&wire_identity, &identity, plain, &none);
    if (reason == NULL) reason = check_identity(channel, &identity);
    if (reason != NULL) return reason;
    struct channel_party *peer = &channel->peer;
    memcpy(peer->name, identity.name.at, identity.name.count);
    if (!digest_is_zero(&identity.key)) {
        peer->node = crypto_node_id(&crypto_sodium, &identity.key);
        peer->boot = identity.boot;
        peer->address = identity.address;
    }
    mix(channel, plain);
    if (!channel->initiates) {
        channel->purpose = (enum channel_purpose)identity.purpose;
        say_identity(channel);
    }
    move(channel, CHANNEL_OPEN);
    return NULL;
}

/* ---- receive ---- */

/* The peer's hello is whole: check it, answer it. */
static const char *accept_hello(struct channel *channel)
{
    const char *reason = check_hello(channel);
    if (reason != NULL) return reason;
    if (!channel->initiates) say_hello(channel);
    reason = exchange(channel);
    if (reason != NULL) return reason;
    if (channel->initiates) say_identity(channel);
    move(channel, CHANNEL_WAITS_IDENTITY);
    return NULL;
}

/* Judges what is there of a hello, so that a stranger is not kept waiting for the rest. */
static const char *receive_hello(struct channel *channel, struct slice *bytes)
{
    uint8_t *hello = channel->peer_hello;
    size_t count = least(HELLO_SIZE - channel->peer_hello_count, bytes->count);
    memcpy(hello + channel->peer_hello_count, bytes->at, count);
    channel->peer_hello_count += count;
    *bytes = slice_of(bytes->at + count, bytes->count - count);
    count = channel->peer_hello_count;
    if (memcmp(hello, magic, least(count, sizeof magic)) != 0) return "not a stream of ours";
    if (count > AT_VERSION && hello[AT_VERSION] != CHANNEL_VERSION) return channel_other_version;
    return count == HELLO_SIZE ? accept_hello(channel) : NULL;
}

static bool reserve(struct channel *channel, size_t count)
{
    size_t wanted = channel->buffer_size < BUFFER_SIZE_MIN ? BUFFER_SIZE_MIN : channel->buffer_size;
    while (wanted - channel->end < count) wanted *= 2;
    if (wanted == channel->buffer_size) return true;
    uint8_t *moved = memory_resize(channel->memory, channel->buffer, channel->buffer_size, wanted);
    if (moved == NULL) return false;
    channel->buffer = moved;
    channel->buffer_size = wanted;
    return true;
}

static const char *accept_record(struct channel *channel)
{
    uint8_t *record = channel->buffer + channel->opened;
    if (!open_record(&channel->receives, record)) return "record forged, damaged or out of order";
    if (channel->state == CHANNEL_WAITS_IDENTITY) {
        channel->end = channel->opened;
        return accept_identity(channel, slice_of(record + PREFIX_SIZE, get_u32(record)));
    }
    channel->opened = channel->end;
    return NULL;
}

/* Takes what completes the prefix, or the record; its length is judged as soon as it is known. */
static const char *receive_record(struct channel *channel, struct slice *bytes)
{
    size_t held = channel->end - channel->opened;
    size_t wanted = PREFIX_SIZE;
    if (held >= PREFIX_SIZE)
        wanted = RECORD_OVERHEAD + (size_t)get_u32(channel->buffer + channel->opened);
    size_t count = least(wanted - held, bytes->count);
    if (!reserve(channel, count)) return "out of memory";
    memcpy(channel->buffer + channel->end, bytes->at, count);
    channel->end += count;
    *bytes = slice_of(bytes->at + count, bytes->count - count);
    if (held + count < wanted) return NULL;
    if (wanted > PREFIX_SIZE) return accept_record(channel);
    size_t max = channel->state == CHANNEL_OPEN ? CHANNEL_RECORD_MAX : CHANNEL_IDENTITY_MAX;
    return get_u32(channel->buffer + channel->opened) > max ? "record too long" : NULL;
}

/* Forgets the records handed out; what there is of the next one moves to the front. */
static void compact(struct channel *channel)
{
    assert(channel->taken == channel->opened);
    size_t rest = channel->end - channel->opened;
    if (rest > 0 && channel->opened > 0)
        memmove(channel->buffer, channel->buffer + channel->opened, rest);
    channel->taken = channel->opened = 0;
    channel->end = rest;
    if (rest > 0 || channel->buffer_size <= BUFFER_SIZE_KEPT) return;
    memory_put(channel->memory, channel->buffer, channel->buffer_size);
    channel->buffer = NULL;
    channel->buffer_size = 0;
}

const char *channel_receive(struct channel *channel, struct slice bytes)
{
    if (channel->state == CHANNEL_FAILED) return channel->reason;
    compact(channel);
    const char *reason = NULL;
    while (bytes.count > 0 && reason == NULL)
        reason = channel->state == CHANNEL_WAITS_HELLO ? receive_hello(channel, &bytes)
                                                       : receive_record(channel, &bytes);
    if (reason == NULL) return NULL;
    channel->reason = reason;
    channel->output_count = 0; /* silence to strangers */
    move(channel, CHANNEL_FAILED);
    return reason;
}

bool channel_next(struct channel *channel, struct slice *record)
{
    if (channel->state != CHANNEL_OPEN || channel->taken == channel->opened) return false;
    const uint8_t *at = channel->buffer + channel->taken;
    *record = slice_of(at + PREFIX_SIZE, get_u32(at));
    channel->taken += channel_sealed_size(record->count);
    assert(channel->taken <= channel->opened);
    return true;
}

bool channel_is_whole(const struct channel *channel)
{
    return channel->state == CHANNEL_OPEN && channel->end == channel->opened;
}

/* ---- send ---- */

struct slice channel_output(struct channel *channel)
{
    struct slice output = slice_of(channel->output, channel->output_count);
    channel->output_count = 0;
    return output;
}

size_t channel_sealed_size(size_t record_size) { return record_size + RECORD_OVERHEAD; }

void channel_send(struct channel *channel, struct slice record, uint8_t *out)
{
    assert(channel->state == CHANNEL_OPEN);
    assert(record.count <= CHANNEL_RECORD_MAX);
    seal_record(&channel->sends, record, out);
}

/* ---- lifecycle ---- */

struct channel *channel_open(struct memory *memory, const struct channel_config *config,
                             bool initiates, enum channel_purpose purpose)
{
    assert(config->keys_count > 0);
    assert(config->pair != NULL || (initiates && purpose != CHANNEL_PEER));
    if (config->pair != NULL) {
        struct id node = crypto_node_id(&crypto_sodium, &config->pair->public);
        assert(id_equal(&node, &config->self.node));
    }
    struct channel *channel = memory_take(memory, sizeof *channel);
    if (channel == NULL) return NULL;
    channel->memory = memory;
    channel->config = *config;
    channel->state = CHANNEL_WAITS_HELLO;
    channel->initiates = initiates;
    channel->purpose = purpose;
    channel->cluster_key = &config->keys[0];
    if (initiates) say_hello(channel);
    return channel;
}

void channel_close(struct channel *channel)
{
    if (channel == NULL) return;
    struct memory *memory = channel->memory;
    memory_put(memory, channel->buffer, channel->buffer_size);
    seal_wipe(channel, sizeof *channel);
    memory_put(memory, channel, sizeof *channel);
}

enum channel_state channel_state(const struct channel *channel) { return channel->state; }

const struct channel_party *channel_peer(const struct channel *channel)
{
    assert(channel->state == CHANNEL_OPEN);
    return &channel->peer;
}

enum channel_purpose channel_purpose(const struct channel *channel)
{
    assert(channel->state == CHANNEL_OPEN);
    return channel->purpose;
}
