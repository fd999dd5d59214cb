/* The file of the cluster's keys while a node runs: written when the flock rotates them, read again
 * on SIGHUP. Streams use the new keys from the next handshake on. */
#ifndef IO_KEYFILE_H
#define IO_KEYFILE_H

#include "io/chore.h"
#include "io/identity.h"
#include "node/action.h"

struct loop;

struct keyfile {
    struct chore chore;
    struct loop *loop;
    char path[FILE_PATH_MAX];
    struct crypto_key *keys; /* borrowed: what streams borrow, too */
    size_t *count;
    bool is_busy;                                 /* the chore is under way */
    bool is_stale;                                /* and what it writes is old by now */
    struct crypto_key written[IDENTITY_KEYS_MAX]; /* what it writes */
    size_t written_count;
    enum error error;
};

/* Borrows keys and count. False: the path is too long. */
bool keyfile_init(struct keyfile *keyfile, struct loop *loop, const char *path,
                  struct crypto_key *keys, size_t *count) MUST_USE;
/* ACTION_KEYS_WRITE: used at once; EVENT_KEYS_WRITTEN once the file has them. */
void keyfile_write(struct keyfile *keyfile, const struct action *action);
/* EVENT_KEYS_READ; or a line in the log that says why not. */
void keyfile_read(struct keyfile *keyfile);

#endif
