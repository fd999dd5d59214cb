#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *bytes, size_t count, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, count, seed);
}

uint64_t hash_rendezvous(const void *key, size_t key_size, const void *candidate,
                         size_t candidate_size)
{
    return hash64(candidate, candidate_size, hash64(key, key_size, 0));
}
