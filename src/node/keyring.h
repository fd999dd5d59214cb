/* The cluster's keys as this node has them, and how the flock changes them without a pause:
 *
 *   ask_rotate -> one node has the new key -> `keyed` ADDED -> each node asks a peer for it, puts
 * it on its disk, says `key_held` -> once all that live hold it, the first in turn writes `keyed`
 *   SENDS -> each node sends with it, and accepts the old one still -> `keyed` DROPPED, by request
 *
 * The log has fingerprints only; keys travel over the sealed streams between nodes. Who was away,
 * or behind a partition, comes back with the old key: it is accepted, answered under that same key
 * (key_answer), hears of the rest from the log, and asks. Of acts on one key the last by stamp
 * counts, and the key that sends is that of the last SENDS: whatever the order of arrival (S1). */
#ifndef NODE_KEYRING_H
#define NODE_KEYRING_H

#include "base/address.h"
#include "node/event.h"
#include "wire/frame.h"
#include "wire/stamp.h"

struct link;
struct node;

enum {
    KEYS_MAX = 8, /* cluster keys accepted at once */
    KEY_ANSWERS_MAX =
        64, /* addresses that speak under an older key, while a rotation is under way */
};

enum key_act {
    KEY_ADDED = 1,
    KEY_SENDS = 2,
    KEY_DROPPED = 3,
};

/* What the log says of one key. */
struct keyring_item {
    struct digest fingerprint;
    struct msg_stamp changed; /* the last of ADDED and DROPPED; none: only SENDS came so far */
    bool is_dropped;
    struct msg_stamp sends; /* the last SENDS; none: it never did */
    instant since;          /* when its ADDED was seen here: for turns */
};

/* Somebody who has not got the first key yet. */
struct key_answer {
    struct address address;
    uint32_t key_id;
    instant until;
    unsigned
        sent; /* datagrams: some go under the first key, to find out whether it has that by now */
};

struct keyring {
    struct keyring_item *items;
    size_t items_count, items_capacity;
    bool is_stale;   /* the log says something that the keys may not follow yet */
    instant asked;   /* when a missing key was last asked for */
    instant next;    /* looked at again */
    bool is_on_disk; /* the keys are, as they are */
    struct key_answer answers[KEY_ANSWERS_MAX];
    unsigned answers_next;
};

/* `keyed`, `key_held`. ERROR_MEMORY. */
enum error keyring_fold(struct node *node, const struct stamped *entry) MUST_USE;
uint64_t keyring_digest(const struct node *node);
void keyring_tick(struct node *node);
/* When it wants a tick. */
instant keyring_deadline(const struct node *node);
void keyring_close(struct node *node);

/* key_ask and key_give of a peer. */
void keyring_message(struct node *node, struct link *link, const struct wire_message *message);
/* The keys are on the disk; or the file was read again, and has these. */
void keyring_written(struct node *node, const struct event *event);
void keyring_read(struct node *node, const struct event *event);
/* ask_rotate, ask_keys, ask_key_drop. */
void keyring_asked(struct node *node, uint64_t stream, const struct wire_message *message);

/* A datagram came from there under this key. */
void keyring_heard(struct node *node, const struct address *from, const struct frame_key *key);
/* The key to seal with for this address. */
const struct frame_key *keyring_for(struct node *node, const struct address *to);

#endif
