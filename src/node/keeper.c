/* The keeper of blocks: what is here, who else has a copy, who should, and what may go.
 *
 *   wanted by a name or a running job  ->  on `replicas` living nodes, the first in
 *                                          rendezvous order of (block, node)
 *   wanted by nobody, not pinned       ->  dropped
 *
 * A node that wants copies asks those who should hold them ("block_ensure": get it from these, keep
 * it, say so); nobody pushes bytes. Confirmations are believed until the member dies, says
 * otherwise, or does not name the block among what it has (tally.c). Who stores bytes may have the
 * only good ones: a copy that lay here before counts for them once it was looked at (confirm_here).
 * A fresh upload and a block that was promised to somebody are pinned for an hour, because what
 * will reference them is still on its way; for some seconds, when the log references them
 * already. */
#include "node/early.h"
#include "node/freed.h"
#include "node/holders.h"
#include "node/ids.h"
#include "node/logs.h"
#include "node/manifests.h"
#include "node/scrub.h"
#include "node/smalls.h"
#include "node/state.h"
#include "node/surplus.h"

#include <string.h>

enum {
    ASK_AGAIN = SECOND,             /* an ensure that got no answer is repeated */
    SWEEP_EVERY = 10 * SECOND,      /* without news; with news at once */
    SWEEP_SOON = 300 * MILLISECOND, /* many entries of one moment make one sweep */
    IN_LOG_PIN = 15 * SECOND,       /* what wants it is in the log, and soon here */
    DEFAULT_PIN_MINUTES = 60,       /* of an upload: what will reference it may take long */
    LOOK_GOOD_FOR = 600 * SECOND,   /* as in io/verify.c: a disk changes bytes without telling */
    FEW_ASKS = 5,   /* in vain, for copies of an upload: then all that should have it are asked */
    LOST_AFTER = 3, /* refusals: everyone who could know was asked and asked again */
};

duration keeper_promise_length(const struct node *node)
{
    return node->pin_length > 0 ? node->pin_length : (duration)DEFAULT_PIN_MINUTES * 60 * SECOND;
}

struct block *keeper_find(const struct node *node, const struct digest *digest)
{
    return map_get(&node->blocks, digest);
}

bool keeper_has(const struct node *node, const struct digest *digest)
{
    const struct block *block = keeper_find(node, digest);
    return block != NULL && block->is_here;
}

static struct block *block_at(struct node *node, const struct msg_block_ref *ref)
{
    struct block *block = keeper_find(node, &ref->digest);
    if (block != NULL) return block;
    block = memory_take(&node->memory, sizeof *block);
    if (block == NULL) return NULL;
    block->digest = ref->digest;
    block->size = ref->size;
    if (map_add(&node->blocks, block) != ERROR_NONE) {
        memory_put(&node->memory, block, sizeof *block);
        return NULL;
    }
    return block;
}

/* `pinned` tells release whether somebody asked for the block since a job was seen, for a reason of
 * his own. Shorter pins have theirs in the log: would they count, what a brief job lets go of would
 * stay for an hour. */
static void pin(struct node *node, struct block *block, duration length)
{
    if (length >= keeper_promise_length(node)) block->pinned = node->now;
    if (node->now + length > block->pinned_until) block->pinned_until = node->now + length;
}

size_t keeper_copies(const struct node *node, const struct digest *digest)
{
    const struct block *block = keeper_find(node, digest);
    size_t copies = block != NULL && block->is_here && !node_is_leaving(node);
    for (size_t i = 0; block != NULL && i < block->copies_count; i++)
        copies += living_stays(node, &block->copies[i]);
    size_t living = members_living_count(&node->gossip.members);
    if (copies < living && smalls_is_safe(node, digest)) return living;
    return copies;
}

bool keeper_is_lost(const struct node *node, const struct digest *digest)
{
    const struct block *block = keeper_find(node, digest);
    if (block == NULL || block->is_here || block->copies_count > 0) return false;
    if (smalls_find(node, digest) != NULL) return false;
    size_t living = members_living_count(&node->gossip.members);
    return block->refusals >= LOST_AFTER * (living < 4 ? living : 4) * living_windows(node);
}

/* ---- copies elsewhere ---- */

static void say_held(struct node *node, const struct id *to, const struct digest *digest,
                     bool is_held)
{
    struct link *link = links_need(node, to);
    if (link == NULL) return;
    struct msg_block_held held = {.digest = *digest, .is_held = is_held};
    links_send(node, link->stream, &wire_block_held, &held);
}

/* Who counts on our copy hears of its end (keeper_drop). */
static void say_here(struct node *node, const struct id *to, struct block *block)
{
    ids_add(block->counting, &block->counting_count, COPIES_MAX, to);
    say_held(node, to, &block->digest, true);
}

bool keeper_tell_here(struct node *node, const struct digest *digest, const struct id *to)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL || !block->is_here) return false;
    ids_add(block->counting, &block->counting_count, COPIES_MAX, to);
    return true;
}

void keeper_drop(struct node *node, struct block *block)
{
    for (size_t i = 0; i < block->counting_count; i++)
        say_held(node, &block->counting[i], &block->digest, false);
    block->counting_count = 0;
    block->is_here = false;
    block->placed = 0;
    block->asked = 0;
    block->looked = 0;
    actions_push(node->actions, ACTION_BLOCK_DROP)->block_drop.digest = block->digest;
}

void keeper_promise(struct node *node, struct block *block)
{
    block->promised_until = node->now + keeper_promise_length(node);
}

/* What the log carries is written as it is; patient: other writes go first. */
static void write_small(struct node *node, struct block *block, const struct small *small,
                        bool is_patient)
{
    uint8_t *bytes = arena_take(&node->actions->arena, small->size);
    if (bytes == NULL) return;
    memcpy(bytes, small->bytes, small->size);
    struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
    action->block_write.token = node->token_next++;
    action->block_write.bytes = slice_of(bytes, small->size);
    action->block_write.is_patient = is_patient;
    block->is_fetching = true;
    block->is_patient = is_patient;
}

static void fetch(struct node *node, struct block *block, const struct msg_block_holder *holders,
                  size_t count)
{
    if (block->is_fetching || block->is_here) return;
    const struct small *small = smalls_find(node, &block->digest);
    if (small != NULL) {
        write_small(node, block, small, true);
        return;
    }
    if (count == 0) return;
    struct action *action = actions_push(node->actions, ACTION_BLOCK_FETCH);
    action->block_fetch.token = node->token_next++;
    action->block_fetch.block = (struct msg_block_ref){block->digest, block->size};
    action->block_fetch.holders = holders;
    action->block_fetch.holders_count = count;
    block->is_fetching = true;
}

static void ensure_at(struct node *node, const struct id *peer,
                      const struct msg_block_ensure *ensure)
{
    struct link *link = links_need(node, peer);
    if (link != NULL) links_send(node, link->stream, &wire_block_ensure, ensure);
}

/* Where those asked may get it: from us, from who has confirmed one; when we have none, from
 * anybody in its order. A client may have left it with any of many: then others are tried each
 * time. */
static struct list sources_of(struct node *node, struct block *block, const struct id *first)
{
    size_t holders_count;
    size_t window = block->is_here || block->copies_count > 0 ? 0 : block->window++;
    const struct msg_block_holder *holders =
        living_holders(node, &block->digest, first, window, &holders_count);
    struct msg_block_holder *sources =
        arena_take(&node->actions->arena, HOLDERS_MAX * sizeof *sources);
    if (holders == NULL || sources == NULL) return (struct list){NULL, 0};
    uint32_t count = 0;
    if (block->is_here) sources[count++] = (struct msg_block_holder){node->id, node->address};
    for (size_t i = 0; i < holders_count && count < HOLDERS_MAX; i++)
        if (!block->is_here || ids_have(block->copies, block->copies_count, &holders[i].node))
            sources[count++] = holders[i];
    return (struct list){sources, count};
}

bool keeper_materialise(struct node *node, const struct msg_block_ref *ref)
{
    struct block *block = block_at(node, ref);
    if (block == NULL || block->is_here) return true;
    const struct small *small = smalls_find(node, &block->digest);
    if (small != NULL && (block->is_patient || !block->is_fetching))
        write_small(node, block, small, false);
    return false;
}

void keeper_fetch(struct node *node, struct block *block)
{
    struct list sources = sources_of(node, block, NULL);
    fetch(node, block, sources.at, sources.count);
}

void keeper_ask(struct node *node, struct block *block, uint8_t replicas, bool is_in_log,
                const struct id *first)
{
    bool is_hurried =
        block->is_here && block->uploads > 0 && block->asks < FEW_ASKS && !node_is_leaving(node);
    block->asked = node->now;
    if (block->asks < FEW_ASKS) block->asks++;
    struct id wanted[COPIES_MAX];
    size_t count = holders_wanted(node, block, replicas, wanted);
    /* A client waits: ours is one of the copies, though another node should have it in the end. */
    bool is_more = is_hurried && !ids_have(wanted, count, &node->id);
    if (is_more && count > 0 && count == replicas) count--;
    struct list sources = sources_of(node, block, first);
    struct msg_block_ensure ensure = {
        .block = {block->digest, block->size}, .is_in_log = is_in_log, .holders = sources};
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&wanted[i], &node->id)) fetch(node, block, sources.at, sources.count);
        else if (!ids_have(block->copies, block->copies_count, &wanted[i]))
            ensure_at(node, &wanted[i], &ensure);
    }
}

void keeper_want(struct node *node, const struct msg_block_ref *ref, uint8_t replicas,
                 bool is_in_log, const struct id *first)
{
    struct block *block = block_at(node, ref);
    if (block == NULL || (block->asked != 0 && node->now - block->asked < ASK_AGAIN)) return;
    if (!node_has_room(node)) return; /* the next tick goes on */
    /* Whoever asks for them meanwhile: copies of an upload are to be good (confirm_here). */
    keeper_ask(node, block, replicas, is_in_log && block->uploads == 0, first);
}

static void say_no_room(struct node *node, const struct id *to, const struct digest *digest)
{
    struct link *link = links_need(node, to);
    struct msg_block_no_room refusal = {*digest};
    node_count(node, METRIC_blocks_no_room);
    if (link != NULL) links_send(node, link->stream, &wire_block_no_room, &refusal);
}

/* "It is here", to somebody with fresh bytes: not by its name alone. What is rotten is dropped
 * (scrub.c), and fetched from him. */
static void confirm_here(struct node *node, const struct id *to, struct block *block)
{
    bool is_good = block->looked != 0 && node->now - block->looked < LOOK_GOOD_FOR;
    keeper_promise(node, block);
    if (is_good) {
        say_here(node, to, block);
        return;
    }
    ids_add(block->waiters, &block->waiters_count, WAITERS_MAX, to);
    scrub_check(node, block);
}

static void take_ensure(struct node *node, struct link *link, const struct msg_block_ensure *ensure)
{
    struct block *block = block_at(node, &ensure->block);
    if (block == NULL || (node_is_leaving(node) && !block->is_here)) return;
    pin(node, block, ensure->is_in_log ? IN_LOG_PIN : keeper_promise_length(node));
    if (block->is_here && !ensure->is_in_log) {
        confirm_here(node, &link->peer, block);
        return;
    }
    if (block->is_here) {
        keeper_promise(node, block);
        say_here(node, &link->peer, block);
        return;
    }
    if (holders_is_full(node, &node->id, ensure->block.size)) {
        say_no_room(node, &link->peer, &block->digest);
        return;
    }
    ids_add(block->waiters, &block->waiters_count, WAITERS_MAX, &link->peer);
    fetch(node, block, ensure->holders.at, ensure->holders.count);
}

void keeper_note_copy(struct node *node, const struct msg_block_ref *ref, const struct id *peer)
{
    struct block *block = block_at(node, ref);
    if (block == NULL) return;
    ids_add(block->copies, &block->copies_count, COPIES_MAX, peer);
    block->refusals = 0;
}

void keeper_forget_copies(struct block *block)
{
    block->copies_count = 0;
    block->is_vouched = false;
    block->asked = 0;
    block->asks = 0;
}

void keeper_lost_copy(struct node *node, struct block *block, const struct id *peer)
{
    ids_remove(block->copies, &block->copies_count, peer);
    block->placed = 0;
    block->is_vouched = false;
    node->sweep_wanted = true;
}

/* Others are asked for it now: somebody waits. */
static void take_no_room(struct node *node, struct link *link,
                         const struct msg_block_no_room *refusal)
{
    struct block *block = keeper_find(node, &refusal->digest);
    if (block == NULL) return;
    keeper_lost_copy(node, block, &link->peer);
    holders_full(node, &link->peer, block->size);
    block->asked = 0;
    node->pending_next = node->now;
    node->is_work_wanted = true;
}

static void take_held(struct node *node, struct link *link, const struct msg_block_held *held)
{
    struct block *block = keeper_find(node, &held->digest);
    if (block == NULL) return;
    if (!held->is_held) {
        keeper_lost_copy(node, block, &link->peer);
        block->refusals++;
    } else {
        keeper_note_copy(node, &(struct msg_block_ref){block->digest, block->size}, &link->peer);
    }
    node->pending_next = node->now;
    node->is_work_wanted = true;
}

void keeper_message(struct node *node, struct link *link, const struct wire_message *message)
{
    if (message->type == MSG_block_ensure) take_ensure(node, link, message->fields);
    if (message->type == MSG_block_held) take_held(node, link, message->fields);
    if (message->type == MSG_block_no_room) take_no_room(node, link, message->fields);
    if (message->type == MSG_block_query) {
        const struct msg_block_query *query = message->fields;
        struct block *block = keeper_find(node, &query->digest);
        bool is_here = block != NULL && block->is_here;
        if (!is_here) {
            say_held(node, &link->peer, &query->digest, false);
            return;
        }
        pin(node, block, keeper_promise_length(node));
        confirm_here(node, &link->peer, block);
    }
}

static void tell_waiters(struct node *node, struct block *block, bool is_held)
{
    for (size_t i = 0; i < block->waiters_count; i++)
        if (is_held) say_here(node, &block->waiters[i], block);
        else say_held(node, &block->waiters[i], &block->digest, false);
    block->waiters_count = 0;
}

enum error keeper_stored(struct node *node, const struct msg_block_ref *ref, duration pinned)
{
    struct block *block = block_at(node, ref);
    if (block == NULL) return ERROR_MEMORY;
    block->is_here = true;
    block->is_fetching = block->is_patient = block->is_missed = false;
    block->placed = 0;
    block->size = ref->size;
    block->refusals = 0;
    pin(node, block, pinned > 0 ? pinned : keeper_promise_length(node));
    if (node->actions == NULL) return ERROR_NONE; /* found on the disk at start */
    node_count(node, METRIC_blocks_stored);
    holders_fit(node, block->size);
    tell_waiters(node, block, true);
    node->sweep_wanted = node->is_work_wanted = true;
    node->pending_next = node->now;
    return ERROR_NONE;
}

void keeper_made(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL) return;
    block->refusals = 0;
    block->asked = 0;
}

void keeper_looked(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL || !block->is_here) return;
    block->looked = node->now;
    tell_waiters(node, block, true);
}

/* What a client stores it will name next. Who confirmed a copy earlier may have let go of it, or
 * have it by name alone by now. */
void keeper_uploaded(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL) return;
    block->uploads++;
    block->uploaded = node->now;
    keeper_forget_copies(block);
}

static void used(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL || block->uploads == 0 || --block->uploads > 0) return;
    if (block->pinned <= block->uploaded) block->pinned_until = node->now + IN_LOG_PIN;
}

void keeper_used(struct node *node, const struct msg_block_ref *ref)
{
    const struct msg_manifest *manifest = manifests_get(node, ref);
    used(node, &ref->digest);
    const struct msg_manifest_block *blocks = manifest == NULL ? NULL : manifest->blocks.at;
    for (uint32_t i = 0; blocks != NULL && i < manifest->blocks.count; i++)
        used(node, &blocks[i].block.digest);
}

/* The pin of an upload ends, unless somebody has asked for another since. */
void keeper_unwanted(struct node *node, const struct digest *digest, bool is_used)
{
    struct block *block = keeper_find(node, digest);
    if (is_used) {
        used(node, digest);
        return;
    }
    if (block == NULL || block->uploads == 0 || --block->uploads > 0) return;
    if (block->pinned > block->uploaded) return;
    block->pinned_until = node->now;
    node->sweep_wanted = true;
}

void keeper_failed(struct node *node, const struct digest *digest, uint64_t size, enum error error)
{
    struct block *block = keeper_find(node, digest);
    if (error == ERROR_FULL) holders_full(node, &node->id, block != NULL ? block->size : size);
    if (block == NULL) return;
    node_count(node, METRIC_blocks_fetch_failed);
    block->is_fetching = block->is_patient = false;
    if (block->is_here) { /* it could not be read? */
        scrub_check(node, block);
        return;
    }
    block->refusals++;
    if (error != ERROR_FULL) {
        tell_waiters(node, block, false);
        return;
    }
    for (size_t i = 0; i < block->waiters_count; i++)
        say_no_room(node, &block->waiters[i], &block->digest);
    block->waiters_count = 0;
}

void keeper_forget_member(struct node *node, const struct id *id)
{
    size_t cursor = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;) {
        if (ids_have(block->copies, block->copies_count, id)) block->is_vouched = false;
        ids_remove(block->copies, &block->copies_count, id);
        ids_remove(block->waiters, &block->waiters_count, id);
        ids_remove(block->counting, &block->counting_count, id);
    }
    node->sweep_wanted = true; /* holders_changed told that it is to be looked at again */
}

/* ---- the sweep: what is referenced is kept and copied, the rest goes ---- */

static void mark(struct node *node, const struct msg_block_ref *ref, uint8_t replicas)
{
    struct block *block = keeper_find(node, &ref->digest);
    const struct small *small = block == NULL ? smalls_find(node, &ref->digest) : NULL;
    if (small != NULL && small->size > 0) block = block_at(node, ref);
    if (block == NULL) return;
    block->is_marked = true;
    block->marks++;
    if (replicas > block->replicas) block->replicas = replicas;
}

static void mark_dataset(struct node *node, const struct msg_block_ref *ref, uint8_t replicas)
{
    /* Every node that should hold a block of it must know the list. */
    const struct msg_manifest *manifest = manifests_get(node, ref);
    mark(node, ref, replicas);
    struct block *list = keeper_find(node, &ref->digest);
    if (list != NULL) list->is_list = true;
    if (manifest == NULL) return;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < manifest->blocks.count; i++) mark(node, &blocks[i].block, replicas);
}

/* Of its result copies were asked for when each task was done (work.c); who leaves sees to them. A
 * map's output for reduces stays where it is, and is made again. */
static void mark_outputs(struct node *node, const struct job *job)
{
    for (int kind = 0; kind < 2; kind++) {
        bool is_final = kind == TASK_REDUCE || job->spec.reduces == 0;
        uint8_t replicas = is_final && node_is_leaving(node) ? job->spec.replicas : 0;
        uint32_t count = kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < count; i++)
            for (const struct attempt *a = job->tasks[kind][i].attempts; a != NULL; a = a->next)
                if (a->state == ATTEMPT_DONE) mark(node, &a->output, replicas);
    }
}

/* It ended without a result, and someone may want it to go on (steer.c): while its tasks are
 * remembered, its input and what it did are kept. */
static bool may_resume(const struct job *job)
{
    return (job->outcome == JOB_FAILED || job->outcome == JOB_KILLED) && !job->is_trimmed;
}

static void mark_log(struct node *node, const struct msg_block_ref *log)
{
    mark(node, log, SAFE_COPIES);
}

static bool mark_all(struct node *node)
{
    bool is_complete = true;
    /* The current ones: of twins the least speaks for all, and who replaces one replaces all. */
    for (size_t i = 0; i < node->names.current_count; i++) {
        const struct naming *n = node->names.current[i];
        mark_dataset(node, &n->manifest, n->replicas);
        is_complete = is_complete && manifests_get(node, &n->manifest) != NULL;
    }
    for (const struct job *job = node->jobs.all; job != NULL; job = job->next) {
        bool is_running = job->outcome == JOB_RUNNING;
        logs_visit(node, job, mark_log);
        if (!job->is_known || !(is_running || may_resume(job))) continue;
        mark_dataset(node, &job->spec.manifest, job->spec.replicas);
        bool is_there = manifests_get(node, &job->spec.manifest) != NULL;
        is_complete = is_complete && (is_there || !is_running);
        const struct msg_job_file *files = job->spec.files.at;
        for (uint32_t i = 0; i < job->spec.files.count; i++)
            mark(node, &files[i].block, job->spec.replicas);
        mark_outputs(node, job);
    }
    return is_complete;
}

/* Here, and missing elsewhere; or missing here, where it was rotten. */
static bool is_short(struct node *node, struct block *block)
{
    if (!block->is_marked) return false;
    const struct small *small = smalls_find(node, &block->digest);
    bool is_carried = small != NULL && small->size > 0 && !smalls_is_young(node, small);
    if (!block->is_here && !is_carried) return block->is_missed;
    return block->replicas > 0 && !holders_are_complete(node, block);
}

/* With a new reference the pin has done its work, unless it is an upload's for something else. */
static void end_pin(struct node *node, struct block *block)
{
    if (block->marks > block->marks_before && block->uploads == 0) block->pinned_until = node->now;
}

/* True: it is short. */
static bool settle_wanted(struct node *node, struct block *block)
{
    struct msg_block_ref ref = {block->digest, block->size};
    if (!is_short(node, block)) {
        surplus_consider(node, block);
        return false;
    }
    if (block->is_here || smalls_find(node, &block->digest) != NULL)
        keeper_want(node, &ref, block->replicas, true, NULL);
    else if (node->now - block->asked >= ASK_AGAIN && node_has_room(node)) {
        block->asked = node->now;
        keeper_fetch(node, block);
    }
    return true;
}

/* True: it is looked at again soon. */
static bool settle(struct node *node, struct block *block, bool may_drop)
{
    end_pin(node, block);
    if (block->is_marked) {
        freed_forget(block);
        return settle_wanted(node, block);
    }
    block->is_missed = false;
    if (leave_settle(node, block)) return true;
    early_renew(node, block);
    bool may_go = may_drop && block->is_here && freed_may_go(node, block);
    if (!may_go || block->pinned_until > node->now) return false;
    if (!node_has_room(node)) {
        node->sweep_wanted = true; /* many at once: the next sweep goes on */
        return false;
    }
    block->is_list = false;
    block->uploads = 0;
    /* Others drop it too. The same bytes may come again (empty outputs do), and are to be copied
     * again at once. */
    block->copies_count = 0;
    node_count(node, METRIC_blocks_dropped);
    freed_forget(block);
    keeper_drop(node, block);
    return false;
}

/* Forgets blocks that are neither here nor of interest, so that the table is bounded by what is
 * kept. Collected first: the table must not change while it is walked. */
static void forget_strangers(struct node *node)
{
    enum {
        FORGET_MAX = 256
    }; /* a sweep; the next one goes on */
    struct block *idle[FORGET_MAX];
    size_t idle_count = 0, cursor = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;) {
        bool is_wanted =
            block->is_here || block->is_marked || block->is_fetching || block->waiters_count > 0;
        if (is_wanted || node->now - block->asked < 30 * SECOND) continue;
        if (idle_count < FORGET_MAX) idle[idle_count++] = block;
    }
    for (size_t i = 0; i < idle_count; i++) {
        map_remove(&node->blocks, &idle[i]->digest);
        memory_put(&node->memory, idle[i], sizeof *idle[i]);
    }
}

void keeper_tick(struct node *node)
{
    if (node->sweep_wanted) {
        node->sweep_wanted = false;
        node->sweep_next = instant_min(node->sweep_next, node->now + SWEEP_SOON);
    }
    if (node->now < node->sweep_next) return;
    node->sweep_next = node->now + SWEEP_EVERY;
    size_t cursor = 0;
    struct block *block;
    while ((block = map_next(&node->blocks, &cursor)) != NULL) {
        block->is_marked = false;
        block->replicas = 0;
        block->marks_before = block->marks;
        block->marks = 0;
    }
    if (node->now - node->manifests_swept >= SWEEP_EVERY) {
        node->manifests_swept = node->now;
        manifests_sweep(node);
    }
    bool may_drop = mark_all(node) && node->may_author;
    node->leave.is_all_known = may_drop;
    smalls_sweep(node);
    cursor = 0;
    while ((block = map_next(&node->blocks, &cursor)) != NULL) {
        if (settle(node, block, may_drop))
            node->sweep_next = instant_min(node->sweep_next, node->now + ASK_AGAIN);
    }
    forget_strangers(node);
}

void keeper_close(struct node *node)
{
    size_t cursor = 0;
    for (struct block *block; (block = map_next(&node->blocks, &cursor)) != NULL;)
        memory_put(&node->memory, block, sizeof *block);
    map_deinit(&node->blocks);
}
