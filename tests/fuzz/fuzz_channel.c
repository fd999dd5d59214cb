/* A stream of any bytes, cut anywhere, into a channel in each of its states. The first byte says
 * which state, and which side is fed; the second where true bytes end and the fuzzer's begin; the
 * rest is fed in pieces, each piece's size before it. Nothing may be accepted that the other side
 * did not say, and nobody may make us hold much. */
#include "wire/channel.h"
#include "wire/seal.h"

#include <stdlib.h>

enum {
    BUDGET = 8 << 20,
    TURNS = 4,          /* of a handshake */
    HELD_MAX = 1 << 16, /* for what a fuzzer's input can really fill */
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

struct side {
    struct memory memory;
    struct crypto_pair pair;
    struct channel *channel;
};

static void open_side(struct side *side, const struct crypto_key *key, bool initiates)
{
    uint8_t seed[32] = {initiates};
    memory_init(&side->memory, BUDGET);
    seal_pair_from_seed(seed, &side->pair);
    struct channel_config config = {
        .keys = key,
        .keys_count = 1,
        .pair = &side->pair,
        .self = {.node = crypto_node_id(&crypto_sodium, &side->pair.public), .name = "node"},
        .seed = {1, initiates},
    };
    side->channel = channel_open(&side->memory, &config, initiates, CHANNEL_PEER);
    require(side->channel != NULL);
}

/* One turn of the handshake, as it should be; the last, if any, is cut after `cut` bytes. */
static void turn(struct side *from, struct side *to, size_t cut)
{
    struct slice output = channel_output(from->channel);
    if (output.count > cut) output.count = cut;
    require(channel_receive(to->channel, output) == NULL);
}

/* Feeds the fuzzer's pieces; the channel may take whole pieces only of what was sealed for it. */
static void feed(struct side *to, struct slice bytes)
{
    struct slice record;
    while (bytes.count > 1) {
        size_t piece = 1 + (size_t)bytes.at[0];
        bytes = slice_of(bytes.at + 1, bytes.count - 1);
        if (piece > bytes.count) piece = bytes.count;
        (void)channel_receive(to->channel, slice_of(bytes.at, piece));
        require(!channel_next(to->channel, &record));
        require(to->memory.used < HELD_MAX);
        bytes = slice_of(bytes.at + piece, bytes.count - piece);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const struct crypto_key key = {{7}};
    if (count < 2 || count > 8192) return 0;
    struct side sides[2];
    open_side(&sides[0], &key, true);
    open_side(&sides[1], &key, false);
    int turns = bytes[0] % (TURNS + 1);
    for (int i = 0; i < turns; i++)
        turn(&sides[i % 2], &sides[1 - i % 2], i + 1 == turns ? bytes[1] : SIZE_MAX);
    feed(&sides[bytes[0] / 128], slice_of(bytes + 2, count - 2));
    for (int i = 0; i < 2; i++) {
        channel_close(sides[i].channel);
        require(sides[i].memory.used == 0);
    }
    return 0;
}
