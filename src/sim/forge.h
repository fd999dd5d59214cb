/* Batches made by hand, right or wrong: a hostile author's pen (hostile.c). */
#ifndef SIM_FORGE_H
#define SIM_FORGE_H

#include "wire/crypto.h"
#include "wire/wire.h"

#include <stdbool.h>

struct forgery {
    struct msg_batch_body body;
    struct msg_entry entry; /* its only one */
    const struct crypto_pair *signer;
    bool is_damaged; /* after it was signed */
};

enum {
    FORGERY_SIZE_MAX = 2048,
};

/* Right as it is: the first batch of this author, who leaves. Borrows author. */
struct forgery forge(const struct crypto *crypto, const struct crypto_pair *author,
                     const struct boot *boot);
/* Signed and packed as a log_batch, into bytes. */
struct slice forge_pack(const struct crypto *crypto, struct forgery *forgery,
                        uint8_t bytes[FORGERY_SIZE_MAX]);

#endif
