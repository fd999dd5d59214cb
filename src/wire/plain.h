/* Look-alike cryptography for the simulator and for tests: the same shapes and sizes as
 * crypto_sodium, checked by XXH3 instead of kept secret. Fast, deterministic, worth nothing against
 * an adversary; mrnode never uses it. */
#ifndef WIRE_PLAIN_H
#define WIRE_PLAIN_H

#include "wire/crypto.h"

extern const struct crypto crypto_plain;

/* A pair for a number: public key derived from it; sign and verify hold together. */
void plain_pair(uint64_t number, struct crypto_pair *pair);

#endif
