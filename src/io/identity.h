/* What a node is, on disk: its key, the cluster's key, its boots, and the lock on its directory.
 * Blocking, before the loop runs. Each failure is composed into why, one line: what, why, what to
 * do next. */
#ifndef IO_IDENTITY_H
#define IO_IDENTITY_H

#include "io/file.h"
#include "store/storage.h"
#include "wire/crypto.h"
#include "wire/types.h"

enum {
    IDENTITY_WHY_SIZE = 1024,
    IDENTITY_KEYS_MAX = 8, /* accepted at once, while keys are rotated */
};

/* Room for one failure's line. */
struct why {
    char text[IDENTITY_WHY_SIZE];
};

/* Makes the directory if needed and locks it for as long as the process lives: the descriptor, or
 * -1. */
int identity_lock(const char *directory, struct why *why);
/* The node's key pair out of DIR/node.key, made at the first start. */
bool identity_pair(const char *directory, struct crypto_pair *pair, struct why *why) MUST_USE;

enum identity_found {
    IDENTITY_FOUND,
    IDENTITY_ABSENT, /* no such file */
    IDENTITY_BAD,    /* why says it */
};

/* The cluster's keys: a line of 64 hex digits each, the first one seals. Refused when others may
 * read the file. */
enum identity_found identity_keys(const char *path, struct crypto_key keys[IDENTITY_KEYS_MAX],
                                  size_t *count, struct why *why);
/* Puts these keys in its place, whole: 0600, fsynced. */
enum error identity_put_keys(const char *path, const struct crypto_key *keys,
                             size_t count) MUST_USE;
/* Makes a new cluster key there, unless somebody else did in the meantime. */
bool identity_make_key(const char *path, struct why *why) MUST_USE;

/* Opens a new boot: one above the last and above `above`, durable before it is returned. */
enum error identity_boot(struct storage *storage, uint64_t above, struct boot *boot) MUST_USE;
/* The key under which identity_boot keeps it: the driver's, not the core's. */
bool identity_is_own(struct slice key);

#endif
