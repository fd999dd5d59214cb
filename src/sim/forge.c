#include "sim/forge.h"

#include "store/batch.h"

#include <assert.h>

struct forgery forge(const struct crypto *crypto, const struct crypto_pair *author,
                     const struct boot *boot)
{
    static const uint8_t left[1] = {1};
    struct forgery forgery = {.signer = author};
    forgery.body = (struct msg_batch_body){.node = crypto_node_id(crypto, &author->public),
                                           .boot = *boot,
                                           .key = author->public,
                                           .first = 1};
    forgery.entry = (struct msg_entry){1, MSG_left, slice_of(left, sizeof left)};
    return forgery;
}

struct slice forge_pack(const struct crypto *crypto, struct forgery *forgery,
                        uint8_t bytes[FORGERY_SIZE_MAX])
{
    uint8_t body[FORGERY_SIZE_MAX / 2], signature[CRYPTO_SIGNATURE_SIZE];
    struct writer writer = writer_of(body, sizeof body);
    struct digest digest;
    forgery->body.entries = (struct list){&forgery->entry, 1};
    bool fits = wire_encode(&wire_batch_body, &forgery->body, &writer);
    struct msg_log_batch batch = {.body = slice_of(body, writer.written)};
    crypto->digest(batch.body, &digest);
    batch_sign(crypto, forgery->signer, &digest, signature);
    signature[0] ^= forgery->is_damaged;
    batch.signature = slice_of(signature, sizeof signature);
    writer = writer_of(bytes, FORGERY_SIZE_MAX);
    fits = fits && wire_pack(&wire_log_batch, &batch, &writer);
    assert(fits);
    (void)fits;
    return slice_of(bytes, writer.written);
}
