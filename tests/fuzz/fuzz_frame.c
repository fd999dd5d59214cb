/* Any bytes as a datagram. Three ways: as they are (the tag refuses nearly all of them); with the
 * tag of the look-alike cryptography set right, so that what lies behind it is reached; and as
 * counters for the window, against one that remembers the last ones it took. */
#include "wire/frame.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

static void open_as_it_is(const struct crypto *crypto, struct slice datagram)
{
    static const struct frame_key key = {1, {{2}}};
    struct frame_header header;
    struct crypto_key subkey;
    uint8_t out[FRAME_SIZE_MAX];
    struct slice payload;
    if (frame_peek(datagram, &header) != NULL) return;
    frame_subkey(crypto, &key, &header.sender, &header.boot, &subkey);
    if (frame_open(crypto, &subkey, datagram, out, &payload) != NULL) return;
    require(payload.count == datagram.count - FRAME_OVERHEAD_MAX);
}

/* The bytes as header and payload of a datagram that was sealed as it should be. */
static void seal_and_open(struct slice datagram)
{
    static const struct frame_key key = {1, {{2}}};
    struct frame_header header, seen;
    struct crypto_key subkey;
    uint8_t sealed[FRAME_SIZE_MAX], out[FRAME_SIZE_MAX];
    struct slice payload, opened;
    if (frame_peek(datagram, &header) != NULL) return;
    payload = slice_of(datagram.at + FRAME_HEADER_SIZE, datagram.count - FRAME_OVERHEAD_MAX);
    frame_subkey(&crypto_plain, &key, &header.sender, &header.boot, &subkey);
    size_t size = frame_seal(&crypto_plain, &subkey, &header, payload, sealed);
    require(size == datagram.count);
    require(memcmp(sealed, datagram.at, FRAME_HEADER_SIZE) == 0);
    require(frame_peek(slice_of(sealed, size), &seen) == NULL);
    require(frame_open(&crypto_plain, &subkey, slice_of(sealed, size), out, &opened) == NULL);
    require(slice_equal(opened, payload));
}

static void take_counters(struct slice bytes)
{
    enum {
        REMEMBERED = 200
    };
    static struct frame_window window;
    uint64_t taken[REMEMBERED], counter = 10000;
    size_t count = 0;
    memset(&window, 0, sizeof window);
    for (size_t i = 0; i + 3 <= bytes.count && count < REMEMBERED; i += 3) {
        uint64_t step = bytes.at[i + 1] | (uint64_t)bytes.at[i + 2] << 8;
        step >>= bytes.at[i] % 16;
        if (bytes.at[i] >= 128) counter += step;
        else if (counter > step) counter -= step;
        if (!frame_window_take(&window, counter)) continue;
        for (size_t j = 0; j < count; j++) require(taken[j] != counter);
        taken[count++] = counter;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct slice datagram = slice_of(bytes, count);
    open_as_it_is(&crypto_sodium, datagram);
    open_as_it_is(&crypto_plain, datagram);
    seal_and_open(datagram);
    take_counters(datagram);
    return 0;
}
