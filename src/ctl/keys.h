/* The cluster key's file: one key a line, 64 hex digits; the first is used to connect, all are
 * accepted. */
#ifndef CTL_KEYS_H
#define CTL_KEYS_H

#include "wire/crypto.h"

#include <stddef.h>

enum {
    KEYS_MAX = 8,          /* as many as a node accepts at once */
    KEYS_PATH_SIZE = 4096, /* PATH_MAX */
};

/* Reads the keys of this file, or of the default one (path NULL: $HOME/.config/mr/cluster.key).
 * EXIT_OK, EXIT_DENIED (no such file, not readable, damaged). */
int keys_read(const char *path, struct crypto_key keys[KEYS_MAX], size_t *count);

/* A new key to path (made with 0600, its directories with 0700; never over a file that exists:
 * EXIT_CONFLICT) or, with path NULL, to stdout, which must not be a terminal (EXIT_USAGE).
 * EXIT_JOB_FAILED when it cannot be written. */
int keys_generate(const char *path);

/* Puts these keys into the file (path NULL: the default one), whole: 0600, by rename. EXIT_OK;
 * EXIT_JOB_FAILED (said). */
int keys_put(const char *path, const struct crypto_key *keys, size_t count);

/* The first digits of a key's digest: enough to tell keys apart, nothing to guess one from. */
enum {
    KEYS_FINGERPRINT_SIZE = 17
};
void keys_fingerprint(const struct crypto_key *key, char text[KEYS_FINGERPRINT_SIZE]);

/* Fills bytes with fresh randomness from the system; ends the program when it has none. */
void keys_random(void *bytes, size_t count);

/* Makes the directories above path, 0700. False (errno) when one cannot be made. */
bool keys_make_parents(const char *path);

#endif
