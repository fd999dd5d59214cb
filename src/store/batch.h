/* One batch: how its bytes are made, read and kept. Private to the log.
 *
 *   msg_log_batch   body ------- batch_body: node boot key first previous [entry entry ...]
 *                   signature -- Ed25519 by key, over "murmuration batch" + digest(body)
 *
 * The words before the digest keep a signature made for a batch from meaning anything elsewhere.
 * The digest of the body is its link in the chain: the next batch names it as previous, so one
 * digest stands for all of the feed before. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "base/error.h"
#include "base/memory.h"
#include "wire/crypto.h"
#include "wire/stamp.h"
#include "wire/wire.h"

enum {
    BATCH_PREFIX_SIZE = 5,                           /* "batch" */
    BATCH_KEY_SIZE = BATCH_PREFIX_SIZE + 16 + 3 * 8, /* node, boot in two, first sequence */
    BATCH_BODY_SIZE_MAX = 256 * 1024,                /* the cap of log_batch.body */
    BATCH_ENTRIES_MAX = 4096,                        /* the cap of batch_body.entries */
};

/* A batch as kept: one piece of memory with its storage key and its packed bytes, for as long as
 * the log lives. */
struct batch {
    uint64_t first, last; /* sequences */
    uint64_t time;        /* of its first entry */
    uint64_t token;       /* under which it was handed to the disk; 0 = it came from there */
    struct digest digest; /* of its body */
    struct msg_log_batch message; /* into bytes */
    uint8_t *bytes; /* BATCH_KEY_SIZE of key, then the packed log_batch: the stored value */
    size_t size;
};

/* A batch as read; borrows from the message that was read and from an arena. */
struct content {
    struct msg_batch_body body;
    struct digest digest; /* of the encoded body */
    const struct msg_entry *entries;
    size_t count;            /* 1 or more */
    struct stamped *stamped; /* count of them, by batch_unfold */
};

/* The storage keys of compaction: "base", node, boot; and "kept", node, boot, sequence. */
enum {
    BASE_KEY_SIZE = 4 + 16 + 2 * 8,
    KEPT_KEY_SIZE = BASE_KEY_SIZE + 8
};

void batch_base_key(const struct id *node, const struct boot *boot, uint8_t key[BASE_KEY_SIZE]);
void batch_kept_key(const struct id *node, const struct boot *boot, uint64_t sequence,
                    uint8_t key[KEPT_KEY_SIZE]);
/* The storage key: "batch", node, boot and sequence, big endian, so that a feed reads in order. */
void batch_key(const struct id *node, const struct boot *boot, uint64_t sequence,
               uint8_t key[BATCH_KEY_SIZE]);

/* Is this a message type of log entries, known here or not? */
bool batch_is_kind(uint8_t kind);
/* Checks all that can be known from the batch alone but its signature and its entries' fields.
 * NULL or the reason. */
const char *batch_read(struct content *content, const struct msg_log_batch *message,
                       const struct crypto *crypto, struct arena *arena);
/* Decodes all entries of known kinds into the arena. NULL or the reason. */
const char *batch_unfold(struct content *content, struct arena *arena);

void batch_sign(const struct crypto *crypto, const struct crypto_pair *pair,
                const struct digest *digest, uint8_t signature[CRYPTO_SIGNATURE_SIZE]);
bool batch_is_signed(const struct crypto *crypto, const struct content *content,
                     const struct msg_log_batch *message);

/* Makes the kept form of a batch that was read. ERROR_MEMORY. */
enum error batch_keep(struct batch *batch, const struct content *content,
                      const struct msg_log_batch *message, struct memory *memory) MUST_USE;
void batch_drop(struct batch *batch, struct memory *memory);

static inline struct slice batch_stored_key(const struct batch *batch)
{
    return slice_of(batch->bytes, BATCH_KEY_SIZE);
}

static inline struct slice batch_stored_value(const struct batch *batch)
{
    return slice_of(batch->bytes + BATCH_KEY_SIZE, batch->size - BATCH_KEY_SIZE);
}

#endif
