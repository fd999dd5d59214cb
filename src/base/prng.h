/* The core's only source of chance: seeded by the driver, so a run repeats from its seed.
 * xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* Uniform in [0, bound), bound > 0, without bias (Lemire 2019). */
uint64_t prng_below(struct prng *prng, uint64_t bound);
/* True with a chance of per_million / 1,000,000. */
int prng_chance(struct prng *prng, uint32_t per_million);
void prng_fill(struct prng *prng, void *bytes, size_t count);

#endif
