#include "base/prng.h"

#include <assert.h>
#include <string.h>

static uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        prng->state[i] = z ^ (z >> 31);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    assert(bound > 0);
    for (;;) {
        __extension__ unsigned __int128 product = (unsigned __int128)prng_next(prng) * bound;
        uint64_t low = (uint64_t)product;
        /* Nearly always it is not so near: the division is spared. */
        if (low >= bound || low >= -bound % bound) return (uint64_t)(product >> 64);
    }
}

int prng_chance(struct prng *prng, uint32_t per_million)
{
    return prng_below(prng, 1000000) < per_million;
}

void prng_fill(struct prng *prng, void *bytes, size_t count)
{
    uint8_t *at = bytes;
    while (count > 0) {
        uint64_t word = prng_next(prng);
        size_t part = count < sizeof word ? count : sizeof word;
        memcpy(at, &word, part);
        at += part;
        count -= part;
    }
}
