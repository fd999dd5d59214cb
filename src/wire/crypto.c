/* What is the same whichever cryptography the driver handed in. */
#include "wire/crypto.h"

struct id crypto_node_id(const struct crypto *crypto, const struct digest *public)
{
    struct digest digest;
    struct id id;
    crypto->digest(slice_of(public->bytes, sizeof public->bytes), &digest);
    memcpy(id.bytes, digest.bytes, sizeof id.bytes);
    return id;
}
