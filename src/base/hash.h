/* A fast 64-bit hash for tables, checksums and state digests: XXH3 (xxHash). Not for identity or
 * against an adversary: that is BLAKE2b, handed in by the driver (wire/crypto.h). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *bytes, size_t count, uint64_t seed);

/* Rendezvous score of (key, candidate): higher wins (Thaler and Ravishankar 1998, HRW). */
uint64_t hash_rendezvous(const void *key, size_t key_size, const void *candidate,
                         size_t candidate_size);

#endif
