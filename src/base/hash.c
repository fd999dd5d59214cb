#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *bytes, size_t count, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, count, seed);
}

__attribute__((flatten)) uint64_t hash64_id(const void *bytes) { return XXH3_64bits(bytes, 16); }

_Static_assert(sizeof(XXH3_state_t) == sizeof(struct hash_stream) &&
                   _Alignof(XXH3_state_t) <= _Alignof(struct hash_stream),
               "the state fits");

static XXH3_state_t *state_of(struct hash_stream *stream)
{
    return (XXH3_state_t *)(void *)stream->state;
}

void hash_stream_init(struct hash_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    (void)XXH3_64bits_reset(state_of(stream));
}

void hash_stream_update(struct hash_stream *stream, const void *bytes, size_t count)
{
    if (count > 0) (void)XXH3_64bits_update(state_of(stream), bytes, count);
}

uint64_t hash_stream_final(const struct hash_stream *stream)
{
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)stream->state);
}

uint64_t hash_rendezvous(const void *key, size_t key_size, const void *candidate,
                         size_t candidate_size)
{
    return hash64(candidate, candidate_size, hash64(key, key_size, 0));
}
