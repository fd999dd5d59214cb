/* Real cryptography, where each signature is verified once a run, not once a node: the same key,
 * message and signature have the same answer, and that is remembered. Else most of the time of a
 * run with real cryptography would go by with answers that are known. */
#ifndef SIM_VERIFIED_H
#define SIM_VERIFIED_H

#include "base/map.h"
#include "wire/crypto.h"

struct verified {
    struct crypto crypto; /* to be handed to nodes */
    const struct crypto *real;
    struct map answers;
    struct verified *self; /* nodes know it as a constant */
};

/* Borrows both. It must stay where it is. */
void verified_init(struct verified *verified, const struct crypto *real, struct memory *memory);
void verified_deinit(struct verified *verified);

#endif
