/* Datagrams as UDP has them on a bad day. Every one is drawn anew: lost? damaged? doubled? how
 * late? Reordering needs no knob of its own: jitter does it. A link is directed, so that a
 * partition can be asymmetric (faults: N2), and remembers since when it is cut, because streams
 * across it live on for a while as TCP's would. */
#include "sim/network.h"

#include "sim/world.h"
#include "wire/frame.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PORT = 7437,
    CALM_DELAY = 200, /* microseconds: one rack */
    CALM_JITTER = 300,
};

void network_init(struct network *network, uint32_t count, uint64_t seed)
{
    *network = (struct network){.count = count, .delay = CALM_DELAY, .jitter = CALM_JITTER};
    prng_init(&network->prng, seed);
    network->cut_since = malloc((size_t)count * count * sizeof *network->cut_since);
    network->wonky = calloc(count, sizeof *network->wonky);
    assert(network->cut_since != NULL && network->wonky != NULL);
    for (size_t i = 0; i < (size_t)count * count; i++) network->cut_since[i] = INSTANT_NEVER;
}

void network_deinit(struct network *network)
{
    free(network->cut_since);
    free(network->wonky);
}

struct address network_address(uint32_t index)
{
    return address_ipv4(10, 0, (uint8_t)(index >> 8), (uint8_t)index, PORT);
}

uint32_t network_index(const struct network *network, const struct address *address)
{
    uint32_t index = (uint32_t)address->ip[14] << 8 | address->ip[15];
    if (index >= network->count) return network->count;
    struct address expected = network_address(index);
    return address_equal(address, &expected) ? index : network->count;
}

duration network_delay(struct network *network)
{
    return network->delay + (duration)prng_below(&network->prng, (uint64_t)network->jitter + 1);
}

bool network_is_cut(const struct network *network, uint32_t from, uint32_t to)
{
    if (network->cuts == 0 || from >= network->count || to >= network->count) return false;
    return network->cut_since[(size_t)from * network->count + to] != INSTANT_NEVER;
}

bool network_is_cut_since(const struct network *network, uint32_t a, uint32_t b, instant before)
{
    if (network->cuts == 0 || a >= network->count || b >= network->count) return false;
    return network->cut_since[(size_t)a * network->count + b] <= before ||
           network->cut_since[(size_t)b * network->count + a] <= before;
}

void network_cut(struct network *network, uint32_t from, uint32_t to, instant now)
{
    if (from == to) return;
    instant *since = &network->cut_since[(size_t)from * network->count + to];
    if (*since == INSTANT_NEVER) network->cuts++;
    if (*since == INSTANT_NEVER) *since = now;
}

/* ---- layouts ---- */

static bool is_cut_by(enum layout layout, uint32_t from, uint32_t to, const uint8_t *group,
                      uint32_t count)
{
    uint32_t apart = from > to ? from - to : to - from;
    switch (layout) {
    case LAYOUT_HALVES:
    case LAYOUT_ONE:
    case LAYOUT_THIRD: return group[from] != group[to];
    case LAYOUT_BRIDGE: return from != 0 && to != 0 && group[from] != group[to];
    case LAYOUT_RING: return apart != 1 && apart != count - 1;
    case LAYOUT_ONE_WAY: return group[from] == 0 && group[to] == 1;
    case LAYOUT_ONE_WAY_RING: return to != (from + 1) % count;
    case LAYOUT_PAIRS:
    case LAYOUT_ONE_WAY_PAIRS:
    case LAYOUT_COUNT: break;
    }
    return false;
}

static void cut_pairs(struct network *network, enum layout layout, struct prng *prng, instant now)
{
    for (uint32_t from = 0; from < network->count; from++)
        for (uint32_t to = from + 1; to < network->count; to++) {
            bool is_there = prng_chance(prng, 300000);
            bool is_back = layout == LAYOUT_PAIRS ? is_there : prng_chance(prng, 300000);
            if (is_there) network_cut(network, from, to, now);
            if (is_back) network_cut(network, to, from, now);
        }
}

static void choose_group(const struct network *network, enum layout layout, struct prng *prng,
                         uint8_t *group)
{
    uint32_t count = network->count;
    uint32_t members = layout == LAYOUT_ONE ? 1 : layout == LAYOUT_THIRD ? count / 3 : count / 2;
    for (uint32_t left = members; left > 0;) {
        uint32_t index = (uint32_t)prng_below(prng, count);
        if (group[index] == 1) continue;
        group[index] = 1;
        left--;
    }
}

void network_partition(struct network *network, enum layout layout, uint64_t group,
                       struct prng *prng, instant now)
{
    if (layout == LAYOUT_PAIRS || layout == LAYOUT_ONE_WAY_PAIRS) {
        cut_pairs(network, layout, prng, now);
        return;
    }
    uint32_t count = network->count;
    uint8_t *is_in = calloc(count, 1);
    assert(is_in != NULL);
    if (group == 0) choose_group(network, layout, prng, is_in);
    for (uint32_t i = 0; group != 0 && i < count && i < 64; i++) is_in[i] = group >> i & 1;
    for (uint32_t from = 0; from < count; from++)
        for (uint32_t to = 0; to < count; to++)
            if (is_cut_by(layout, from, to, is_in, count)) network_cut(network, from, to, now);
    free(is_in);
}

const char *layout_text(enum layout layout)
{
    static const char *const texts[LAYOUT_COUNT] = {"halves",  "one",           "third",
                                                    "bridge",  "ring",          "pairs",
                                                    "one-way", "one-way-pairs", "one-way-ring"};
    assert(layout < LAYOUT_COUNT);
    return texts[layout];
}

void network_calm(struct network *network)
{
    network->delay = CALM_DELAY;
    network->jitter = CALM_JITTER;
}

void network_heal(struct network *network, bool is_calm)
{
    for (size_t i = 0; i < (size_t)network->count * network->count; i++)
        network->cut_since[i] = INSTANT_NEVER;
    network->cuts = 0;
    if (!is_calm) return;
    network->loss = network->duplicate = network->corrupt = network->late = 0;
    network_calm(network);
    memset(network->wonky, 0, network->count * sizeof *network->wonky);
}

/* ---- one datagram ---- */

/* Flips a bit, cuts the tail off, or sets a run of bytes: what reaches the node must be refused. */
static size_t damage(struct prng *prng, uint8_t *bytes, size_t size)
{
    if (size == 0) return size;
    switch (prng_below(prng, 3)) {
    case 0: bytes[prng_below(prng, size)] ^= (uint8_t)(1u << prng_below(prng, 8)); return size;
    case 1: return (size_t)prng_below(prng, size);
    default: {
        size_t at = (size_t)prng_below(prng, size);
        size_t run = 1 + (size_t)prng_below(prng, size - at);
        prng_fill(prng, bytes + at, run);
        return size;
    }
    }
}

static void arrive(struct world *world, uint32_t from, uint32_t to, struct slice bytes)
{
    struct network *network = &world->network;
    struct address source = network_address(from);
    uint8_t *copy = malloc(sizeof source + bytes.count + 1);
    assert(copy != NULL);
    memcpy(copy, &source, sizeof source);
    if (bytes.count > 0) memcpy(copy + sizeof source, bytes.at, bytes.count);
    size_t size = bytes.count;
    if (network->corrupt > 0 && prng_chance(&network->prng, network->corrupt))
        size = damage(&network->prng, copy + sizeof source, size);
    duration delay = network_delay(network);
    if (network->late > 0 && prng_chance(&network->prng, network->late))
        delay += (duration)prng_below(&network->prng, (uint64_t)network->late_max + 1);
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_DATAGRAM,
                                                 .host = to,
                                                 .bytes = copy,
                                                 .size = sizeof source + size});
}

void network_send(struct world *world, uint32_t from, const struct address *to, struct slice bytes)
{
    struct network *network = &world->network;
    network->datagrams++;
    if (bytes.count > FRAME_SIZE_MAX)
        world_violated(world, from, "S8", "a datagram of %zu bytes", bytes.count);
    uint32_t target = network_index(network, to);
    if (target == network->count) return; /* nobody is there */
    uint32_t loss = network->loss + network->wonky[from] + network->wonky[target];
    bool is_lost = loss > 0 && prng_chance(&network->prng, loss);
    if (is_lost || network_is_cut(network, from, target)) {
        network->lost++;
        return;
    }
    arrive(world, from, target, bytes);
    if (network->duplicate > 0 && prng_chance(&network->prng, network->duplicate))
        arrive(world, from, target, bytes);
}
