/* The members we know of: learnt from a peer, remembered between calls, asked when it dies. */
#ifndef CTL_PEERS_H
#define CTL_PEERS_H

#include "ctl/connection.h"

enum {
    PEERS_MAX = 64
}; /* enough that one of them lives; the file stays a few KiB */

struct peers {
    char items[PEERS_MAX][CONNECTION_ADDRESS_SIZE];
    size_t count;
    char path[4096]; /* where they are remembered; "": nowhere */
};

/* Reads what was remembered under this key for this node (-n; NULL: without -n). Nothing there is
 * no error. */
void peers_load(struct peers *peers, const struct crypto_key *key, const char *node);

/* Forgets all; then learn each; then save when something is new (0600, by rename; failure is no
 * error: next time we know less). */
void peers_clear(struct peers *peers);
/* Copies address unless it is there or there is no room. */
void peers_learn(struct peers *peers, const char *address);
void peers_save(const struct peers *peers);

#endif
