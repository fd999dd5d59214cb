/* Datagrams, sealed. All numbers little endian:
 *
 *   0         1         5           21             29            37        45
 *   +---------+---------+-----------+--------------+-------------+---------+----------------+-----+
 *   | version | key id  | sender id | boot counter | boot random | counter | sealed payload | tag |
 *   | 1 byte  | 4       | 16        | 8            | 8           | 8       | 0 to 1339      | 16  |
 *   +---------+---------+-----------+--------------+-------------+---------+----------------+-----+
 *    \______________________ in the clear, authenticated ________________/  \__ secret ___/
 *
 * Fixed places rather than the shortest: 61 bytes around a payload, and a receiver that can refuse
 * a stranger by looking at five of them. The nonce is the counter under a key of this (cluster key,
 * sender, boot) alone, and a boot never repeats (it holds 64 random bits), so no nonce is used
 * twice even when a node forgets all it knew.
 *
 * The window is RFC 6479's: a ring of words of 64 bits, one word more than the window is wide, so
 * that sliding clears whole words and never shifts bits. 8,192 wide: a node that sends 10,000
 * datagrams a second to one peer may still have them reordered by most of a second. */
#include "wire/frame.h"

#include "base/endian.h"

#include <assert.h>

enum {
    AT_VERSION = 0,
    AT_KEY_ID = 1,
    AT_SENDER = 5,
    AT_BOOT_COUNTER = 21,
    AT_BOOT_RANDOM = 29,
    AT_COUNTER = 37,
};

_Static_assert(AT_COUNTER + 8 == FRAME_HEADER_SIZE, "the drawing above");

static void put_key_id(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_key_id(const uint8_t *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)at[i] << (8 * i);
    return value;
}

void frame_key_init(struct frame_key *frame_key, const struct crypto *crypto,
                    const struct crypto_key *key)
{
    struct crypto_key shown;
    crypto->derive(key, slice_string("mr key id"), &shown);
    frame_key->key_id = get_key_id(shown.bytes);
    frame_key->key = *key;
}

void frame_subkey(const struct crypto *crypto, const struct frame_key *key, const struct id *sender,
                  const struct boot *boot, struct crypto_key *subkey)
{
    static const char label[8] = "mr frame";
    uint8_t purpose[sizeof label + sizeof sender->bytes + 16];
    memcpy(purpose, label, sizeof label);
    memcpy(purpose + sizeof label, sender->bytes, sizeof sender->bytes);
    little_put64(purpose + sizeof label + sizeof sender->bytes, boot->counter);
    little_put64(purpose + sizeof label + sizeof sender->bytes + 8, boot->random);
    crypto->derive(&key->key, slice_of(purpose, sizeof purpose), subkey);
}

static void put_header(uint8_t *at, const struct frame_header *header)
{
    at[AT_VERSION] = FRAME_VERSION;
    put_key_id(at + AT_KEY_ID, header->key_id);
    memcpy(at + AT_SENDER, header->sender.bytes, sizeof header->sender.bytes);
    little_put64(at + AT_BOOT_COUNTER, header->boot.counter);
    little_put64(at + AT_BOOT_RANDOM, header->boot.random);
    little_put64(at + AT_COUNTER, header->counter);
}

static void make_nonce(uint64_t counter, uint8_t nonce[CRYPTO_NONCE_SIZE])
{
    memset(nonce, 0, CRYPTO_NONCE_SIZE);
    little_put64(nonce, counter);
}

size_t frame_seal(const struct crypto *crypto, const struct crypto_key *subkey,
                  const struct frame_header *header, struct slice payload, uint8_t *out)
{
    assert(payload.count <= FRAME_PAYLOAD_MAX);
    assert(header->counter > 0);
    uint8_t nonce[CRYPTO_NONCE_SIZE];
    make_nonce(header->counter, nonce);
    put_header(out, header);
    crypto->seal(subkey, nonce, slice_of(out, FRAME_HEADER_SIZE), payload, out + FRAME_HEADER_SIZE);
    return FRAME_HEADER_SIZE + payload.count + CRYPTO_TAG_SIZE;
}

const char *frame_peek(struct slice datagram, struct frame_header *header)
{
    if (datagram.count > FRAME_SIZE_MAX) return "datagram too long";
    if (datagram.count < FRAME_HEADER_SIZE + CRYPTO_TAG_SIZE) return "datagram too short";
    const uint8_t *at = datagram.at;
    if (at[AT_VERSION] != FRAME_VERSION) return "datagram of another version";
    header->key_id = get_key_id(at + AT_KEY_ID);
    memcpy(header->sender.bytes, at + AT_SENDER, sizeof header->sender.bytes);
    header->boot.counter = little_get64(at + AT_BOOT_COUNTER);
    header->boot.random = little_get64(at + AT_BOOT_RANDOM);
    header->counter = little_get64(at + AT_COUNTER);
    return header->counter == 0 ? "datagram without a counter" : NULL;
}

const char *frame_open(const struct crypto *crypto, const struct crypto_key *subkey,
                       struct slice datagram, uint8_t *out, struct slice *payload)
{
    struct frame_header header;
    const char *reason = frame_peek(datagram, &header);
    if (reason != NULL) return reason;
    uint8_t nonce[CRYPTO_NONCE_SIZE];
    make_nonce(header.counter, nonce);
    struct slice clear = slice_of(datagram.at, FRAME_HEADER_SIZE);
    struct slice sealed =
        slice_of(datagram.at + FRAME_HEADER_SIZE, datagram.count - FRAME_HEADER_SIZE);
    if (!crypto->open(subkey, nonce, clear, sealed, out)) return "datagram forged or damaged";
    *payload = slice_of(out, sealed.count - CRYPTO_TAG_SIZE);
    return NULL;
}

bool frame_window_take(struct frame_window *window, uint64_t counter)
{
    enum {
        WORDS = FRAME_WINDOW / 64 + 1
    };
    if (counter == 0) return false;
    uint64_t word = counter / 64, newest = window->highest / 64;
    if (counter > window->highest) {
        uint64_t fresh = word - newest < WORDS ? word - newest : WORDS;
        for (uint64_t i = 0; i < fresh; i++) window->seen[(word - i) % WORDS] = 0;
        window->highest = counter;
    } else if (window->highest - counter >= FRAME_WINDOW) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << (counter % 64);
    if ((window->seen[word % WORDS] & bit) != 0) return false;
    window->seen[word % WORDS] |= bit;
    return true;
}
