#include "sim/verified.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    MESSAGE_MAX = 64 /* a batch's digest and what stands before it are less */
};

struct question {
    struct digest public;
    uint8_t signature[CRYPTO_SIGNATURE_SIZE];
    uint64_t size;
    uint8_t message[MESSAGE_MAX];
};

struct answer {
    struct question question;
    bool is_good;
};

static bool verify(const struct crypto *crypto, const struct digest *public, struct slice message,
                   const uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
    struct verified *verified = ((const struct verified *)(const void *)crypto)->self;
    const struct crypto *real = verified->real;
    struct question question = {.public = *public, .size = message.count};
    if (message.count > MESSAGE_MAX) return real->verify(real, public, message, signature);
    memcpy(question.signature, signature, sizeof question.signature);
    if (message.count > 0) memcpy(question.message, message.at, message.count);
    struct answer *answer = map_get(&verified->answers, &question);
    if (answer != NULL) return answer->is_good;
    answer = malloc(sizeof *answer);
    assert(answer != NULL);
    *answer = (struct answer){question, real->verify(real, public, message, signature)};
    enum error error = map_add(&verified->answers, answer);
    assert(error == ERROR_NONE);
    (void)error;
    return answer->is_good;
}

void verified_init(struct verified *verified, const struct crypto *real, struct memory *memory)
{
    *verified = (struct verified){.crypto = *real, .real = real, .self = verified};
    map_init(&verified->answers, memory, offsetof(struct answer, question),
             sizeof(struct question));
    verified->crypto.verify = verify;
}

void verified_deinit(struct verified *verified)
{
    size_t cursor = 0;
    for (void *answer; (answer = map_next(&verified->answers, &cursor)) != NULL;) free(answer);
    map_deinit(&verified->answers);
}
