/* A fast 64-bit hash for tables, checksums and state digests: XXH3 (xxHash). Not for identity or
 * against an adversary: that is BLAKE2b, handed in by the driver (wire/crypto.h). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *bytes, size_t count, uint64_t seed);

/* hash64 of 16 bytes with seed 0: what tables by id ask for all the time. */
uint64_t hash64_id(const void *bytes);

/* hash64 with seed 0 of bytes that come one after the other. */
struct hash_stream {
    _Alignas(64) uint8_t state[576];
};

void hash_stream_init(struct hash_stream *stream);
void hash_stream_update(struct hash_stream *stream, const void *bytes, size_t count);
uint64_t hash_stream_final(const struct hash_stream *stream);

/* Rendezvous score of (key, candidate): higher wins (Thaler and Ravishankar 1998, HRW). */
uint64_t hash_rendezvous(const void *key, size_t key_size, const void *candidate,
                         size_t candidate_size);

#endif
