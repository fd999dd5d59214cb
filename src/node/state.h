/* What a node is made of, for the files of src/node alone: drivers see node.h. Each part is written
 * only by the file named beside it; all of them answer within one step, with node->now and
 * node->actions set. */
#ifndef NODE_STATE_H
#define NODE_STATE_H

#include "gossip/gossip.h"
#include "node/metrics.h"
#include "node/keyring.h"
#include "node/leave.h"
#include "node/node.h"
#include "node/progress.h"
#include "node/room.h"
#include "node/sightings.h"
#include "store/log.h"
#include "store/names.h"
#include "store/flock.h"
#include "tasks/schedule.h"
#include "wire/frame.h"

enum {
    LIVING_MAX = 16384,  /* as the member table */
    HOLDERS_MAX = 16,    /* as msg_block_ensure: enough to try */
    COPIES_MAX = 8,      /* as many copies as anybody may ask for: more would not make it safer */
    ACKS_MAX = 16,       /* as many disks for an entry */
    WAITERS_MAX = 4,     /* of one block: others ask again */
    FULLS_MAX = 64,      /* members known to have a full disk */
    TALLY_PAGE = 256,    /* blocks in a question of tally.c: 10 KB */
    SPARINGS_MAX = 16,   /* surplus blocks that wait for confirmations */
    CONFIRMS_MAX = 64,   /* confirmations that wait for our disk */
    TELLTALE_MAX = 4096, /* bytes of last words that an attempt's entry carries */
    SAFE_COPIES = 2,     /* nothing is acknowledged with fewer copies, while so many members live */
    AHEAD_MAX = 128,     /* brief tasks claimed beyond the slots */
    JOIN_MAX = 64,       /* addresses to join through */
    SENTS_MAX = 64,      /* datagrams remembered: those of some seconds, and more in a storm */
};

/* Who has proven to be alive and to hold the key, at which boot: datagrams.c. */
struct contact {
    struct id id;
    struct boot boot;
    struct crypto_key subkey;
    struct frame_window *window;
    uint64_t token; /* of our challenge; 0 = none out */
    instant challenged;
    instant reminded; /* when it was last told of its newer boot */
    bool is_proven;
    uint8_t *held; /* the payload that waits for the proof */
    size_t held_size;
    struct address held_from;
};

/* A datagram that we sent, to be recognised when it comes back: datagrams.c. */
struct sent {
    instant when;
    struct address to;
    uint64_t counter;
    uint64_t sealed; /* the first bytes of what is sealed: nobody on the outside can know them */
};

/* A stream: links.c. */
enum link_state {
    LINK_CONNECTING, /* asked for, not open */
    LINK_OPEN,
};

struct link {
    uint64_t stream;
    enum link_state state;
    enum channel_purpose purpose;
    bool is_ours;     /* we connected */
    bool is_doubtful; /* its peer was held dead since anything last came */
    bool is_extra;    /* not of the mesh: for a while, because a message had to go there */
    instant used;     /* when it was last needed by itself; ours: opened, at least */
    struct id peer;   /* zero: a client, or not known yet */
    struct boot boot;
    struct address address;
    instant asked;        /* when we last asked for log repair */
    uint64_t task_memory; /* of the peer, as it said; UINT64_MAX: none; 0: it has not: room.c */
    struct link *next;
};

/* An address to join through: links.c. */
struct seed {
    struct address address;
    instant next_try;
    duration backoff;
    bool is_saved; /* of a former boot, not asked for by anyone */
    bool is_told;  /* people have been told that it can't be reached */
};

/* A dataset's list of blocks in memory: manifests.c. */
enum manifest_state {
    MANIFEST_ABSENT, /* wanted; next try at retry */
    MANIFEST_FETCHING,
    MANIFEST_READING,
    MANIFEST_READY,
    MANIFEST_NONE, /* its bytes are no list that this version knows */
};

struct manifest {
    struct digest digest;
    struct msg_block_ref block;
    enum manifest_state state;
    struct msg_manifest fields;
    struct list shared; /* of msg_shared_file, by file: those that its ranges lie in */
    void *memory;
    size_t memory_size;
    instant retry;
    bool is_marked;   /* asked for since the last sweep */
    instant released; /* its name or job let go of it before it was here; 0 = no */
};

/* A block that this node has or cares for: keeper.c. */
struct block {
    struct digest digest;
    uint64_t size;
    bool is_here, is_fetching;
    bool is_patient;  /* it is written when the disk has nothing else to do */
    bool is_marked;   /* referenced, at the last sweep */
    bool is_list;     /* a manifest: every node wants to read it */
    bool is_missed;   /* rotten here, and to be had again */
    bool is_checking; /* its bytes are being looked at */
    bool is_surplus;  /* others should have it; as of `placed` */
    bool is_vouched;  /* one of its copies elsewhere was looked at, since we leave: leave.c */
    uint8_t replicas; /* copies wanted; 0: kept where it is */
    uint8_t placed_replicas;
    uint8_t window, asks; /* of holders to try next; for copies, since a client stored it */
    uint8_t early;    /* copies that a client will want that is still storing; 0: none: early.c */
    uint32_t placed;  /* of node.placing: then all that should have it were known to */
    uint32_t uploads; /* by clients, neither used nor given up since */
    uint32_t marks;   /* names and jobs that reference it, at the last sweep */
    uint32_t marks_before;
    uint32_t refusals; /* members that said they can't get it, since the last that could */
    instant pinned_until;
    instant pinned;               /* when the last full-length pin was made */
    instant uploaded;             /* when a client last stored it */
    uint64_t frontier;            /* freed.c: it may go once that is reached; 0: it is referenced */
    instant freed;                /* when that began */
    instant promised_until;       /* no surplus before: somebody counts on it */
    instant asked;                /* when holders were last asked */
    instant looked;               /* when its bytes here were last known to be right; 0: never */
    struct id copies[COPIES_MAX]; /* members that confirmed one */
    size_t copies_count;
    struct id counting[COPIES_MAX]; /* members that we told that we have it */
    size_t counting_count;
    struct id waiters[WAITERS_MAX]; /* members that wait for block_held */
    size_t waiters_count;
};

/* How far the flock must be before what is free may go: freed.c. */
struct freed {
    struct msg_feed_position *frontier; /* the one that was taken last */
    size_t count, capacity;
    uint64_t taken, reached, wanted; /* numbers of frontiers */
    instant look, ask;
    duration patience;
    uint64_t seen; /* of heard_revision and evictions, at the last look */
};

/* A member whose disk was full a moment ago: holders.c. */
struct full {
    struct id id;
    uint64_t size; /* so many bytes found no room, nor do more */
    instant until;
};

/* A surplus block that we would drop, and who has confirmed a good copy: surplus.c. */
struct sparing {
    struct digest digest;
    instant since;
    struct id confirmed[COPIES_MAX];
    size_t confirmed_count;
};

/* What a member is asked whether it still has it: tally.c. */
struct tally {
    instant next;
    struct id peer; /* the last one asked; zeros: a walk begins */
    size_t cursor;  /* in node.blocks; 0: the next peer's turn */
    uint64_t token; /* of the question without an answer; 0: none */
    struct digest asked[TALLY_PAGE];
    size_t asked_count;
};

/* Somebody waits for what our disk says of this block: surplus.c. */
struct confirm {
    struct digest digest;
    struct id peer;
};

/* An attempt that runs here: work.c. */
enum running_state {
    RUNNING_STARTING, /* its input is being fetched */
    RUNNING_STARTED,
    RUNNING_STOPPING, /* told to stop */
};

struct running {
    uint64_t token; /* 0: this slot is free */
    struct id job;
    enum task_kind kind;
    uint32_t task;
    struct msg_stamp claim;
    enum running_state state;
    bool was_started;
    bool is_copy; /* a second one: of a straggler's, or a suspect's */
    size_t cpus;  /* slots that it takes; 0: it waits behind a brief one of its job */
    bool is_brief;
    uint64_t memory; /* bytes that it may use, as its job says */
    bool is_doubted; /* nodes died that ran it: poison.h */
    bool is_remote;  /* a map whose block was not here when it was claimed */
    enum cause stop_cause;
    instant since;
    instant started;     /* its program */
    uint64_t input_size; /* bytes, once it was started */
};

/* A running job as this node works on it: work.c; its share of the slots: claiming.c. */
struct work {
    struct job *job; /* first: node->works_by_job finds it by the job's id */
    struct work *next;
    struct schedule_job schedule;
    bool is_scheduled;     /* schedule is ready */
    instant seen;          /* when the job became known here */
    struct digest *blocks; /* per map; of the manifest */
    uint32_t blocks_count;
    uint64_t finish_digest; /* of the outputs that `ended` is being prepared for */
    struct msg_block_ref finish_manifest;
    uint64_t finish_size;
    instant finish_written; /* when the manifest was last handed to the disk */
    instant complete_since; /* when all its tasks were seen done, here; 0 = they are not */
    bool is_ours;           /* the last done of them was ours: so is its end */
    bool is_list_small;     /* finish_manifest is in our feed: before the end */
    instant failed_since;
    instant input_checked; /* when its input was last looked after */
    uint64_t service;      /* slot time that it had here, ms, fading */
    instant served;        /* up to when it has faded */
    uint64_t tickets;      /* scratch of a lottery */
    size_t quota;
    bool is_wanting;
    bool is_brief;   /* its tasks are built-ins over few bytes: claimed many at a time */
    size_t bundle;   /* how many at a time, by the time that they take */
    bool is_waiting; /* its turn came, and too few slots were free: they are kept for it */
    uint64_t differing_size;
    struct msg_block_ref differing; /* the manifest of outputs that should be equal and are not */
    uint64_t *prefetched;           /* a bit per map: its parts have been ordered; prefetch.c */
    struct pace pace[2];            /* by enum task_kind; progress.c */
    uint64_t mourned;   /* of jobs and members, when all who made its outputs lived: work.c */
    instant lost_since; /* since when a block of its input can be had from nobody; 0 = it can */
};

/* A request that can't be answered at once: pending.c. */
enum pending_state {
    PENDING_BLOCKS, /* waits until the blocks are on enough nodes */
    PENDING_ENTRY,  /* waits until the entry is on enough disks */
    PENDING_WATCH,  /* waits for a job's end */
    PENDING_READ,   /* waits for a manifest, or for what others hold */
};

/* What a new run begins with: steer.c. */
struct resume {
    struct id from;   /* the ended job; zero: nothing */
    int without_kind; /* this task runs again; -1: none */
    uint32_t without_index;
};

struct pending {
    struct pending *next;
    uint64_t stream;
    unsigned type;       /* message type of the request */
    const void *request; /* its fields, copied */
    void *memory;
    size_t memory_size;
    enum pending_state state;
    struct resume resume; /* of a submission that goes on with another job */
    struct msg_stamp entry;
    struct id acks[ACKS_MAX];
    size_t acks_count;
    uint32_t copies; /* of the blocks that it waits for, as far as they count, at the last look;
                        ask_dataset: how many are on our disk, and 1 for their list */
    instant moved;   /* when there were more; later, when its entry was written */
    instant since;
    instant told;  /* last sign of life to the client */
    instant asked; /* last time peers were asked how far their disks are */
    instant ended; /* when the end that is waited for was heard of */
    /* ask_names: which members hold what, catalog.c */
    uint64_t token;       /* of the questions; 0: none yet */
    uint32_t outstanding; /* questions without an answer */
    bool is_short;        /* some could not be sent */
    bool is_written;      /* blocks that came with it are on their way to our disk */
    bool is_renewed;      /* early copies are asked for as others */
};

struct node {
    struct memory memory;
    struct prng prng;
    const struct crypto *crypto;
    const struct crypto_pair *pair;
    struct id id;
    struct boot boot;
    struct address address;
    char name[MEMBER_NAME_SIZE];
    uint16_t slots;
    uint64_t wall_ms; /* wall clock at `started`: only shown */
    instant started;
    struct trace trace;

    struct actions *actions; /* of this step */
    instant now;             /* of this step */
    uint64_t metrics[METRIC_COUNT];
    uint64_t usurper; /* boot counter at which somebody else uses our id */
    enum error fatal; /* set anywhere in a step: the node stops at its end */

    struct frame_key keys[KEYS_MAX];
    size_t keys_count;
    struct keyring keyring;
    uint64_t task_memory; /* of tasks together; 0 = no limit: room.c */
    uint64_t room_kept;   /* of it, for a task of this job; 0: for none */
    struct id room_kept_for;
    struct crypto_key own_subkey;
    uint64_t datagram_counter;
    struct sent sents[SENTS_MAX]; /* a ring by counter */
    struct map contacts;

    struct gossip gossip;
    struct log *log;
    struct names names;
    struct jobs jobs;
    struct map heard;        /* by id: the vectors that peers have told: heard.c */
    uint64_t heard_revision; /* grows with each whole vector, and with each write that ends */
    struct flock flock;      /* who belongs to it, as the log says */
    struct map roster;       /* struct roster_item: what else is known of who has ever joined */
    uint64_t persist_token;
    enum error storage_waits; /* the disk is full or read-only; NONE: it is not */
    bool is_ack_wanted;       /* an entry came whose author waits for our disk */
    uint64_t ack_token; /* the write of the last such entry that is not on the disk; 0 = none */

    duration compact_every; /* compaction.c; 0 = its own number */
    duration details_kept;
    instant compact_next;
    instant compact_marked; /* the last pass from which entries' age is counted */
    bool prune_wanted;      /* a job has ended, or a cut has moved: kept entries may be void */
    uint64_t ends_count;    /* `ended` entries folded: what compaction judges by */
    bool sweep_cut;         /* batches that were cut are still on the disk */
    instant sweep_cut_next;
    instant snapshot_read;  /* when somebody last read a page of ours */
    instant snapshot_asked; /* when we last asked for a page; when refused: later than now */
    instant snapshot_took;  /* when we last took one over */
    uint64_t snapshot_had;  /* the one that we took over last: offers of it are old */

    struct job **unfinal; /* final.c: jobs that have ended, and are not final yet */
    size_t unfinal_count;
    size_t unfinal_capacity;
    instant unfinal_again; /* there was no memory for one of them: they are gathered anew then */
    bool is_final_stale;   /* something came that may make one final */
    instant final_next;    /* when it is looked at */
    instant final_ask;     /* when peers are asked for what they have not said */
    duration final_patience;
    bool is_vouch_wanted; /* an `ended` is about to be written */
    uint64_t vouch_token; /* the write of the last one that is not on the disk; 0 = none */
    instant vouch_next;   /* when all links are told our vector; INSTANT_NEVER */
    instant vouched;      /* when they were last */

    duration evict_after; /* evict.c; 0 = its own number */
    instant evict_next;
    struct id evict_candidate; /* about whom voices are being collected; zero = nobody */
    uint64_t evict_round;
    size_t evict_voices;
    uint64_t evict_seen;   /* of flock.lateness_revision */
    bool is_out_of_step;   /* a newcomer, or back after it left: heard.c */
    bool is_return_wanted; /* we were evicted, know it, and have not said so */

    struct link *links;
    uint64_t stream_next; /* even */
    struct seed seeds[JOIN_MAX];
    size_t seeds_count;
    instant mesh_next;
    bool is_mesh_wanted; /* a stream or a seed is missing, or may be */
    instant spread_next;

    struct map manifests;
    bool is_manifest_wanted; /* one of them is not read, or may be not */
    struct map blocks;
    struct map smalls;     /* struct small by digest: smalls.c */
    struct map small_jobs; /* struct small_job by job */
    struct map small_uses; /* struct small_use by block and job */
    size_t smalls_size;
    struct digest nothing; /* of the empty block */
    instant sweep_next, manifests_swept;
    bool sweep_wanted;
    struct freed freed;
    duration pin_length;    /* of what nothing references yet */
    instant early_last;     /* a client that wants copies stored a block: early.c */
    uint32_t placing;       /* holders.c */
    instant living_changed; /* when somebody last died or came to life */
    struct full fulls[FULLS_MAX];
    struct sparing sparings[SPARINGS_MAX];
    size_t fulls_count, sparings_count;
    struct confirm confirms[CONFIRMS_MAX];
    size_t confirms_count;
    duration scrub_every; /* scrub.c; 0 = its own number */
    duration scrub_pause; /* after the block that is being looked at */
    instant scrub_next;
    size_t scrub_cursor;
    struct digest scrub_digest; /* that block; zeros: none */
    struct tally tally;

    struct work *works, **works_end; /* in the order of their coming */
    struct map works_by_job;
    struct progress_question questions[PROGRESS_QUESTIONS_MAX];
    struct sightings sightings;
    struct running *running; /* running_max of them */
    size_t running_max;      /* a few beyond the slots */
    size_t running_end;      /* those behind are free */
    uint64_t token_next;
    instant work_next;
    uint64_t members_revision; /* grows with every change of a member's state */
    bool is_work_wanted;
    bool may_author; /* it has what a peer had, or there is nobody to have it from: heard.c */
    instant author_deadline;
    bool is_draining; /* claims nothing: steer.c */
    instant drain_deadline;
    struct leave leave;
    uint64_t deaths_refuted; /* of gossip's counter, those seen */
    instant degraded_until;  /* nobody is from then on; 0 = nobody is now */
    instant deferred_since;  /* work is free, and left to better nodes; 0 = not */
    struct slice tags;       /* our own, packed as an entry: tags.c */
    bool is_tags_said;       /* our feeds say so */
    bool is_stopped;

    struct pending *pendings;
    instant pending_next;

    struct schedule_node
        *living; /* alive and suspect, self included; rebuilt when members change */
    size_t living_count;
    size_t living_capacity;
    bool is_living_stale;
    size_t leaving_count; /* of them, those that have said that they leave */
};

struct roster_item {
    struct id id;
    uint64_t agreed;           /* the round in which it last agreed to an eviction: evict.c */
    instant gone;              /* since when it is not among the living; 0: it is, as we know */
    uint32_t flaps;            /* how often it was held dead and came back, of late: standing.c */
    instant flapped;           /* the last time */
    struct slice tags;         /* a packed `tagged`, ours to free; empty: it has none (tags.c) */
    struct msg_stamp tagged;   /* the entry that says so */
    struct digest key;         /* the cluster key that it last said to hold: keyring.c */
    struct msg_stamp key_held; /* the entry */
};

/* node.c; living_nodes and what is computed from it: living.c */
void node_fail(struct node *node, enum error error, const char *what);
static inline void node_count(struct node *node, enum metric metric) { node->metrics[metric]++; }
/* The step can still take many actions: what can wait for the next one asks first, so that a
 * hundred thousand blocks are worked off over many steps. */
bool node_has_room(const struct node *node);
/* The living, by id; self is among them. Borrowed until members change. */
const struct schedule_node *living_nodes(struct node *node, size_t *count);
bool living_has(const struct node *node, const struct id *id);
/* Addresses of the living in rendezvous order for this digest, self left out; up to HOLDERS_MAX, in
 * the step's arena: the first so many, or those behind (window 1, 2, ... living_windows - 1). */
const struct msg_block_holder *living_holders(struct node *node, const struct digest *digest,
                                              const struct id *first, size_t window, size_t *count);
size_t living_windows(const struct node *node);
static inline bool node_is_leaving(const struct node *node)
{
    return node->leave.state != LEAVE_STAYS;
}
/* It has not said that it leaves. */
bool living_stays(const struct node *node, const struct id *id);
/* How many of the living do not leave. Somebody leaves, or may be back: count anew. */
size_t living_staying(const struct node *node);
void living_recount(struct node *node);
/* What the wall clock shows now, counted on from the start: only ever shown to people. */
uint64_t node_wall_ms(const struct node *node);
/* The n-th in this order acts n seconds later than the first: who writes what anyone might write.
 */
bool living_is_turn(struct node *node, const void *key, size_t key_size, instant since);
/* Appends and remembers that the step must commit. */
enum error node_append(struct node *node, const struct wire_schema *schema, const void *message,
                       struct msg_stamp *stamp);
/* Commits what was appended now, not at the step's end: what follows in the step must see it
 * folded. */
void node_commit(struct node *node);
void node_changed(struct node *node, const struct member *member, unsigned before);

/* datagrams.c */
void datagrams_send(void *context, const struct address *to, struct slice payload);
/* A closed port sent this back. Believed only when we sent it, there, within seconds. */
void datagrams_refused(struct node *node, const struct address *address, struct slice quoted);
void datagrams_receive(struct node *node, const struct address *from, struct slice bytes);
/* A stream's handshake proved this peer. */
void datagrams_proven(struct node *node, const struct id *id, const struct boot *boot);
/* The first of our keys is another now. */
void datagrams_rekey(struct node *node);
void datagrams_close(struct node *node);

/* links.c */
void links_opened(struct node *node, const struct event *event);
void links_closed(struct node *node, const struct event *event);
struct link *links_find(const struct node *node, uint64_t stream);
/* An open PEER stream to this node; NULL. */
struct link *links_to(const struct node *node, const struct id *peer);
/* As links_to; when there is none, one is asked for: the caller tries again later. Closed when
 * idle. */
struct link *links_need(struct node *node, const struct id *peer);
/* The member was held dead, or is alive again: TCP that was cut off tries again ever more seldom,
 * so a stream that has been silent since is replaced by a new one, which needs no patience. */
void links_doubt(struct node *node, const struct id *id);
void links_renew(struct node *node, const struct member *member);
/* Within this time, see what streams are missing. */
void links_look(struct node *node, duration within);
enum {
    LINKS_NEAR_MAX = 8, /* log2 of some hundreds */
};
/* The neighbours on the ring of ids, both ways: their ids, and how many. What is pushed on goes to
 * them, and over a few of them to all. */
size_t links_near(struct node *node, struct id near[LINKS_NEAR_MAX]);
bool links_is_near(const struct id *near, size_t count, const struct id *peer);
void links_tick(struct node *node);
void links_join(struct node *node, const struct address *address, bool is_saved);
/* One message as a record. False when there is no room in the step or the stream is gone. */
bool links_send(struct node *node, uint64_t stream, const struct wire_schema *schema,
                const void *message);
/* Gossip's payload over a stream to this member, or a stream is asked for (struct gossip_ports). */
void links_gossip(void *context, const struct id *to, struct slice payload);
void links_close_all(struct node *node);

/* replicas.c: the log between nodes */
void replicas_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                     const struct id *from);
void replicas_hello(struct node *node, struct link *link);
void replicas_tick(struct node *node);
void replicas_vector(struct node *node, struct link *link, const struct msg_log_vector *vector);
void replicas_batch(struct node *node, struct link *link, const struct msg_log_batch *batch);
void replicas_persisted(struct node *node, uint64_t token);
void replicas_ask(struct node *node, struct link *link, bool wants_reply);

/* work.c */
/* The running job as this node works on it; NULL: there is none of this id. */
struct work *work_of(const struct node *node, const struct id *job);
void work_open(struct node *node);
void work_entry(struct node *node, const struct stamped *entry);
void work_tick(struct node *node);
void work_started(struct node *node, const struct event *event);
void work_finished(struct node *node, const struct event *event);
size_t work_running_count(const struct node *node);
/* A free one, to be filled in. */
struct running *work_slot(struct node *node);
/* It is free again. */
void work_clear(struct node *node, struct running *running);
/* Slots that they take. */
size_t work_slots_taken(const struct node *node);
/* Stops all attempts, which are given back with this cause. */
void work_give_back(struct node *node, enum cause cause);
/* A block that was here is not any more: perhaps it was an output of ours. */
void work_lost_block(struct node *node);
void work_close(struct node *node);
/* Gives the attempt's task back. */
void work_released(struct node *node, const struct running *running, enum cause cause);
/* claiming.c */
void claiming_tick(struct node *node);
/* This attempt is over: its slot time is its job's, its slot that of one which waits behind it. */
void claiming_served(struct node *node, const struct running *running);
/* The dataset that the job makes: -O, else the job's own name. Borrowed. */
struct slice job_output_name(const struct job *job);

/* pending.c */
void pending_add(struct node *node, uint64_t stream, const struct wire_message *message);
/* A submission (MSG_ask_submit_with) that inherits what another job has done. */
void pending_add_resume(struct node *node, uint64_t stream, const struct wire_message *message,
                        const struct resume *resume);
void pending_vector(struct node *node, const struct id *peer, const struct msg_log_vector *vector);
void pending_drop_stream(struct node *node, uint64_t stream);
void pending_tick(struct node *node);
void pending_close(struct node *node);

/* standing.c */
bool standing_is_degraded(const struct node *node, const struct id *id);
void standing_changed(struct node *node, const struct member *member, unsigned before);
void standing_tick(struct node *node);
/* The name of who was forgotten; NULL: the client has been told why not. */
const char *standing_forget(struct node *node, uint64_t stream, const struct msg_ask_forget *ask);

/* Of a refusal: the exit code of mrctl. */
enum code {
    CODE_FAILED = 1,
    CODE_USAGE = 2,
    CODE_NO_PEER = 3, /* not this one: another is asked */
    CODE_NOT_FOUND = 4,
    CODE_CONFLICT = 6,
    CODE_PARTIAL = 7,
    CODE_UNKNOWN = UNKNOWN_CODE, /* none of mrctl's: it says it in its own words */
};

/* waiting.c: what a task that is not done waits for; and (ask_explain of a job) all of them. */
void waiting_text(struct node *node, const struct job *job, enum task_kind kind, uint32_t index,
                  char *text, size_t size);
void waiting_answer(struct node *node, uint64_t stream, const struct msg_ask_explain *ask,
                    const struct job *job);

/* steer.c */
void steer_task(struct node *node, uint64_t stream, const struct msg_ask_retry *ask);
void steer_resume(struct node *node, uint64_t stream, const struct msg_ask_resume *ask);
/* The entries behind the new run's job entry: in the same step. */
void steer_inherit(struct node *node, const struct resume *resume, const struct id *job);
void steer_drain(struct node *node, uint64_t stream, const struct msg_ask_drain *ask);
void steer_tick(struct node *node);

/* control.c, answers.c: mrctl */
void control_request(struct node *node, struct link *link, const struct wire_message *message);
/* What a client said can't be read. When it is a request that this version does not know, that is
 * answered: else the client would take us for dead. */
void control_unknown(struct node *node, const struct link *link, struct slice packed);
void control_error(struct node *node, uint64_t stream, uint64_t request, uint8_t code,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
struct msg_job_row answers_job(struct node *node, const struct job *job);
void answers_members(struct node *node, uint64_t stream, const struct msg_ask_members *ask);
void answers_jobs(struct node *node, uint64_t stream, const struct msg_ask_jobs *ask);
void answers_tasks(struct node *node, uint64_t stream, const struct msg_ask_tasks *ask);
void answers_explain(struct node *node, uint64_t stream, const struct msg_ask_explain *ask);
void answers_counters(struct node *node, uint64_t stream, const struct msg_ask_counters *ask);
void answers_info(struct node *node, uint64_t stream, const struct msg_ask_info *ask);
struct msg_attempt_row answers_attempt(struct node *node, enum task_kind kind, uint32_t index,
                                       const struct attempt *attempt, bool with_logs);
/* The task that a name like "wc-3f7a/m12" means; NULL: the client has been told. */
struct job *answers_find_task(struct node *node, uint64_t stream, uint64_t request,
                              struct slice name, enum task_kind *kind, uint32_t *index,
                              uint32_t *number);
/* The job this text names; NULL: the client has been told. */
struct job *answers_find_job(struct node *node, uint64_t stream, uint64_t request,
                             struct slice text);
/* The name of a member, for people; empty when it is not known. */
struct slice answers_author(const struct node *node, const struct id *id, struct arena *arena);

/* compaction.c */
void compaction_tick(struct node *node);
/* A job's end was folded. */
void compaction_ended(struct node *node);
/* Offers our snapshot to a peer whose vector ends before our cut: then true. */
bool compaction_offer(struct node *node, struct link *link, const struct msg_log_vector *vector);
void compaction_asked(struct node *node, struct link *link, const struct msg_log_ask_snapshot *ask);
void compaction_page(struct node *node, struct link *link, const struct msg_log_snapshot *page);

/* chronicle.c */
void chronicle_answer(struct node *node, uint64_t stream, const struct msg_ask_log *ask);

/* catalog.c: false: what the answer needs is not here yet. */
bool catalog_names(struct node *node, struct pending *pending);
bool catalog_dataset(struct node *node, struct pending *pending);
void catalog_message(struct node *node, struct link *link, const struct wire_message *message);

#include "node/keeper.h"
#include "node/stability.h"

#endif
