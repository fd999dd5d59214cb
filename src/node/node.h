/* A node: the only place where who is there (gossip) and what is to be done (log, tasks) meet.
 * Pure: it never blocks, reads no clock, touches no file and no socket. A driver feeds it events
 * and carries out its actions; the same events with the same seed give the same actions, byte for
 * byte. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/memory.h"
#include "base/trace.h"
#include "node/action.h"
#include "node/event.h"
#include "wire/crypto.h"

struct node; /* opaque to drivers */

/* How fast the flock breathes (mrnode --profile). */
enum node_profile {
    PROFILE_LOCAL, /* one machine or rack: probe every 0.5 s */
    PROFILE_LAN,   /* 1 s */
    PROFILE_WAN,   /* 5 s */
};

/* All copied but crypto and pair, which are borrowed for the node's life. */
struct node_config {
    const struct crypto *crypto;
    const struct crypto_pair *pair;
    const struct crypto_key *keys; /* the cluster's; the first seals */
    size_t keys_count;
    struct boot boot;           /* made durable by the driver before node_open */
    struct address address;     /* where others reach us */
    const char *name;           /* for people, at most 64 bytes */
    uint16_t slots;             /* tasks at once */
    const struct msg_tag *tags; /* sorted by key; at most 16 */
    size_t tags_count;
    enum node_profile profile;
    const struct address *join; /* seeds to join through, may be none */
    size_t join_count;
    uint64_t seed;             /* of the node's own prng */
    uint64_t wall_ms;          /* what the wall clock shows now: only ever shown to people */
    size_t memory_budget;      /* bytes; 0 = 1 GiB */
    uint64_t allocation_fails; /* tests: the n-th, as of node_open; 0 = none (base/memory.h) */
    uint64_t task_memory;      /* bytes that tasks may take together; 0 = no limit */
    uint64_t confinement;      /* of tasks, bits of enum confinement_part: told to who asks */
    duration compact_every;    /* how often the log is cut; 0 = 20 s */
    duration details_kept;     /* of ended jobs' tasks; 0 = 10 min */
    duration evict_after;      /* who is dead so long is put off the roster; 0 = 24 h */
    duration scrub_every;      /* a walk over all blocks takes at least so long; 0 = 24 h */
    duration pin_length;       /* of an upload until something references it; 0 = 1 h */
    struct trace trace;
};

/* The least evict_after that makes sense: twice the longest suspicion (membership/suspicion.c) in a
 * flock of a hundred. */
duration node_evict_least(enum node_profile profile);

/* Makes a node. Returns NULL when out of memory. Next: node_load for all that the disk holds, then
 * node_start. */
struct node *node_open(const struct node_config *config, instant now);
void node_close(struct node *node);

/* Feeds one stored key and value back, as ACTION_PERSIST wrote them, in key order. NULL, or why it
 * is damaged. */
const char *node_load(struct node *node, struct slice key, struct slice value,
                      struct arena *scratch);
/* One block that the disk holds, whole. */
enum error node_load_block(struct node *node, const struct msg_block_ref *block) MUST_USE;
/* All is loaded: opens the feed of this boot, begins to gossip. */
void node_start(struct node *node, instant now, struct actions *actions);

/* Tell the node what happened; learn what to do. Resets actions first; they stay valid until the
 * next step. */
void node_step(struct node *node, const struct event *event, struct actions *actions);
/* When the node next wants a tick, if nothing happens before. */
instant node_deadline(const struct node *node);

/* ---- to look in, for drivers, tests and invariants ---- */

struct id node_id(const struct node *node);
/* It knows of nobody else who lives. */
bool node_is_alone(const struct node *node);
/* Order-independent digest of the folded state: equal for nodes with the same entries (invariant
 * S1). */
uint64_t node_state_digest(struct node *node);
/* Digest of what entries it holds. */
uint64_t node_log_digest(const struct node *node);
/* Its log carries this block, and has no need of a disk's copy yet. */
bool node_carries(const struct node *node, const struct digest *digest);
/* Attempts running here now (tokens out of ACTION_TASK_RUN, not yet finished). */
size_t node_running_count(const struct node *node);
/* What it lives in; a test sets the countdown. */
struct memory *node_memory(struct node *node);
/* The job has ended, and nothing that anybody may still say can change how (final.c). */
bool node_is_final(const struct node *node, const struct id *job);
/* Whether it is, or who keeps it from being so: a line for people. */
void node_final_text(const struct node *node, const struct id *job, char *text, size_t size);
/* How often it has called one so; only ever grows. */
uint64_t node_finals(const struct node *node);
/* A counter, by its place in metrics.def. */
uint64_t node_metric(const struct node *node, size_t number);
/* For what the driver counts. */
void node_add(struct node *node, size_t number, uint64_t value);

struct gossip;
struct log;
struct jobs;
struct flock;
const struct gossip *node_gossip(const struct node *node);
const struct log *node_log(const struct node *node);
const struct jobs *node_jobs(const struct node *node);
const struct flock *node_flock(const struct node *node);

#endif
