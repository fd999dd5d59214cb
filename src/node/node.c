/* A node: one step function over everything that can happen.
 *
 *   event --> gossip, log, folds, blocks, work, requests --> actions
 *
 * Order within a step: the event itself; then what is due by time; then, once, the log's commit, so
 * that all entries of a step are one signed batch and one write. What depends on durability waits
 * for EVENT_PERSISTED. Nothing here knows whether the world or the simulator drives it. */
#include "node/early.h"
#include "node/freed.h"
#include "node/holders.h"
#include "node/logs.h"
#include "node/manifests.h"
#include "node/release.h"
#include "node/scrub.h"
#include "node/smalls.h"
#include "node/state.h"
#include "node/surplus.h"
#include "node/tags.h"
#include "node/tally.h"

#include "base/hash.h"
#include "tasks/owners.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    MEMORY_BUDGET = 1 << 30, /* far above what a flock of hundreds needs: a fence, not a plan */
    FETCHED_PIN = 5 * SECOND,
};

static duration profile_period(enum node_profile profile)
{
    switch (profile) {
    case PROFILE_LOCAL: return SECOND / 2;
    case PROFILE_LAN: return SECOND;
    case PROFILE_WAN: return 5 * SECOND;
    }
    return SECOND;
}

duration node_evict_least(enum node_profile profile)
{
    enum {
        PERIODS = 48
    };
    return PERIODS * profile_period(profile);
}

void node_fail(struct node *node, enum error error, const char *what)
{
    if (error == ERROR_NONE || node->fatal != ERROR_NONE) return;
    node->fatal = error;
    trace_line(&node->trace, TRACE_ERROR, "event=stop error=\"%s\" where=%s", error_text(error),
               what);
}

bool node_has_room(const struct node *node)
{
    const struct actions *actions = node->actions;
    return actions->count < actions->capacity / 2 && actions->arena.used < actions->arena.size / 2;
}

/* ---- folds: what the log tells ---- */

/* The member's place in the roster, made anew; NULL: no memory, and the node stops. */
static struct roster_item *fold_roster(struct node *node, const struct id *id)
{
    struct roster_item *item = map_get(&node->roster, id);
    if (item != NULL) return item;
    item = memory_take(&node->memory, sizeof *item);
    if (item == NULL) {
        node_fail(node, ERROR_MEMORY, "roster");
        return NULL;
    }
    item->id = *id;
    enum error error = map_add(&node->roster, item);
    if (error == ERROR_NONE) return item;
    memory_put(&node->memory, item, sizeof *item);
    node_fail(node, error, "roster");
    return NULL;
}

static void fold_tags(struct node *node, const struct stamped *entry)
{
    struct roster_item *item = fold_roster(node, &entry->stamp.node);
    if (item != NULL) node_fail(node, tags_fold(node, item, entry), "tags");
}

static void release_replaced(struct node *node, const struct list *replaces)
{
    const struct msg_stamp *stamps = replaces->at;
    for (uint32_t i = 0; i < replaces->count; i++) {
        const struct naming *naming = map_get(&node->names.by_stamp, &stamps[i]);
        if (naming != NULL && naming->is_known)
            release_unreferenced(node, &naming->manifest, node->now);
    }
}

static void fold_naming(struct node *node, const struct stamped *entry)
{
    node->sweep_wanted = true;
    if (entry->fields == NULL || node->actions == NULL) return;
    if (entry->kind == MSG_named)
        release_replaced(node, &((const struct msg_named *)entry->fields)->replaces);
    else release_replaced(node, &((const struct msg_unnamed *)entry->fields)->replaces);
}

static void on_entry(void *context, const struct stamped *entry)
{
    struct node *node = context;
    uint64_t lateness = node->flock.lateness_revision;
    bool may_move = entry->kind == MSG_left || entry->kind == MSG_opened; /* few of all entries */
    bool had_left = may_move && flock_has_left(&node->flock, &entry->stamp.node);
    node_fail(node, flock_apply(&node->flock, entry), "roster");
    if (lateness != node->flock.lateness_revision) jobs_reconsider(&node->jobs);
    node_fail(node, jobs_apply(&node->jobs, entry), "jobs");
    node_fail(node, names_apply(&node->names, entry), "names");
    if (entry->kind == MSG_joined && entry->fields != NULL)
        (void)fold_roster(node, &((const struct msg_joined *)entry->fields)->node);
    if (entry->kind == MSG_opened || entry->kind == MSG_key_held)
        (void)fold_roster(node, &entry->stamp.node);
    if (entry->kind == MSG_keyed || entry->kind == MSG_key_held)
        node_fail(node, keyring_fold(node, entry), "keys");
    if (entry->kind == MSG_small && entry->fields != NULL) smalls_fold(node, entry);
    if (entry->kind == MSG_tagged && entry->fields != NULL) fold_tags(node, entry);
    if (entry->kind == MSG_named || entry->kind == MSG_unnamed) fold_naming(node, entry);
    if (entry->kind == MSG_ended) compaction_ended(node);
    if (entry->kind == MSG_ended && entry->fields != NULL)
        final_ended(node, &((const struct msg_ended *)entry->fields)->job);
    if (may_move && had_left != flock_has_left(&node->flock, &entry->stamp.node))
        living_recount(node);
    if (entry->kind == MSG_claim && !id_equal(&entry->stamp.node, &node->id))
        node->deferred_since = 0; /* somebody else works: claiming.c */
    bool is_waited_for = jobs_submitted(entry) != NULL || entry->kind == MSG_ended ||
                         entry->kind == MSG_named || entry->kind == MSG_unnamed;
    if (is_waited_for) node->pending_next = node->now;
    if (is_waited_for || entry->kind == MSG_small) node->is_ack_wanted = true;
    work_entry(node, entry);
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct node *node = context;
    if (node->actions == NULL) return; /* while loading: it comes from the disk */
    /* Keys and values outlive the step (log.h), only the array does not. */
    struct storage_put *copy = arena_take(&node->actions->arena, count * sizeof *copy);
    if (copy == NULL) {
        node_fail(node, ERROR_MEMORY, "persist");
        return;
    }
    memcpy(copy, puts, count * sizeof *copy);
    struct action *action = actions_push(node->actions, ACTION_PERSIST);
    action->persist.token = node->persist_token = token;
    if (node->is_ack_wanted) node->ack_token = token;
    if (node->is_vouch_wanted) node->vouch_token = token;
    node->is_ack_wanted = node->is_vouch_wanted = false;
    action->persist.puts = copy;
    action->persist.puts_count = count;
}

static void on_usurped(void *context, const struct boot *boot)
{
    struct node *node = context;
    if (node->actions == NULL) return;
    trace_line(&node->trace, TRACE_ERROR, "event=usurped boot=%llu here=%llu",
               (unsigned long long)boot->counter, (unsigned long long)node->boot.counter);
    if (boot->counter > node->usurper) node->usurper = boot->counter;
    node_fail(node, ERROR_EXISTS, "duplicate identity");
}

/* ---- what the parts of a node call ---- */

uint64_t node_wall_ms(const struct node *node)
{
    return node->wall_ms + (uint64_t)((node->now - node->started) / MILLISECOND);
}

enum error node_append(struct node *node, const struct wire_schema *schema, const void *message,
                       struct msg_stamp *stamp)
{
    struct msg_stamp unused;
    enum error error = log_append(node->log, schema, message, stamp != NULL ? stamp : &unused);
    /* Too large for an entry (INVALID) is the asker's trouble, not the node's. */
    if (error != ERROR_INVALID) node_fail(node, error, "append");
    return error;
}

/* Addresses survive a restart of everyone: each living peer's is kept on disk (key "peer" + id). */
static void save_peer(struct node *node, const struct member *member)
{
    enum {
        KEY_SIZE = 4 + 16
    };
    uint8_t *key = arena_take(&node->actions->arena, KEY_SIZE + ADDRESS_TEXT_SIZE);
    if (key == NULL) return;
    char *text = (char *)key + KEY_SIZE;
    memcpy(key, "peer", 4);
    memcpy(key + 4, member->fact->id.bytes, 16);
    struct storage_put put = {slice_of(key, KEY_SIZE),
                              slice_string(address_text(&member->fact->address, text))};
    if (member->state == MEMBER_LEFT) put.value = slice_of(NULL, 0);
    on_persist(node, node->persist_token, &put, 1);
}

void node_changed(struct node *node, const struct member *member, unsigned before)
{
    bool was_living = before == MEMBER_ALIVE || before == MEMBER_SUSPECT;
    node->members_revision++;
    node->is_living_stale = true;
    node->is_work_wanted = true;
    if (was_living != member_is_living(member)) {
        node->living_changed = node->now;
        holders_changed(node);
        if (!living_stays(node, &member->fact->id)) living_recount(node);
    }
    standing_changed(node, member, before);
    evict_changed(node, member);
    owners_live(&node->jobs, &member->fact->id,
                member->state == MEMBER_ALIVE ? &member->fact->boot : NULL);
    if (node->actions == NULL || id_equal(&member->fact->id, &node->id)) return;
    if (!member_is_living(member)) keeper_forget_member(node, &member->fact->id);
    if (member->state == MEMBER_DEAD) links_doubt(node, &member->fact->id);
    if (member->state == MEMBER_ALIVE && before == MEMBER_DEAD) links_renew(node, member);
    bool is_news = before == 0 || before == MEMBER_DEAD || before == MEMBER_LEFT;
    if ((is_news && member->state == MEMBER_ALIVE) || member->state == MEMBER_LEFT)
        save_peer(node, member);
    links_look(node, 0);
}

static void on_changed(void *context, const struct member *member, unsigned before)
{
    sightings_note(context, member, before);
    node_changed(context, member, before);
}

/* ---- life ---- */

static enum error open_parts(struct node *node, const struct node_config *config, instant now)
{
    struct gossip_config gossip = {
        .id = node->id,
        .boot = node->boot,
        .address = node->address,
        .name = node->name,
        .slots = node->slots,
        .period = profile_period(config->profile),
        .ports = {node, datagrams_send, links_gossip, on_changed, on_usurped},
        .trace = config->trace,
    };
    struct log_config log = {
        .crypto = node->crypto,
        .pair = node->pair,
        .id = node->id,
        .boot = node->boot,
        .ports = {node, on_entry, on_persist, replicas_spread, on_usurped},
        .trace = config->trace,
    };
    enum error error = gossip_init(&node->gossip, &gossip, &node->prng, &node->memory, now);
    if (error != ERROR_NONE) return error;
    node->log = log_open(&log, &node->memory);
    node->running_max = node->slots + (size_t)AHEAD_MAX;
    node->running = memory_take(&node->memory, node->running_max * sizeof *node->running);
    return node->log == NULL || node->running == NULL ? ERROR_MEMORY : ERROR_NONE;
}

struct node *node_open(const struct node_config *config, instant now)
{
    assert(config->keys_count > 0 && config->keys_count <= KEYS_MAX);
    struct memory memory;
    memory_init(&memory, config->memory_budget > 0 ? config->memory_budget : MEMORY_BUDGET);
    memory.fail_after = config->allocation_fails;
    struct node *node = memory_take(&memory, sizeof *node);
    if (node == NULL) return NULL;
    node->memory = memory;
    node->crypto = config->crypto;
    node->pair = config->pair;
    node->id = crypto_node_id(config->crypto, &config->pair->public);
    node->boot = config->boot;
    node->address = config->address;
    snprintf(node->name, sizeof node->name, "%s", config->name);
    node->slots = config->slots;
    node->task_memory = config->task_memory;
    node->drain_deadline = INSTANT_NEVER;
    node->metrics[METRIC_confinement] = config->confinement;
    node->wall_ms = config->wall_ms;
    node->compact_every = config->compact_every;
    node->details_kept = config->details_kept;
    node->scrub_every = config->scrub_every;
    node->pin_length = config->pin_length;
    node->placing = 1;
    node->started = node->now = now;
    node->trace = config->trace;
    prng_init(&node->prng, config->seed);
    for (size_t i = 0; i < config->keys_count; i++)
        frame_key_init(&node->keys[node->keys_count++], node->crypto, &config->keys[i]);
    frame_subkey(node->crypto, &node->keys[0], &node->id, &node->boot, &node->own_subkey);
    map_init(&node->contacts, &node->memory, offsetof(struct contact, id), sizeof(struct id));
    heard_open(node);
    flock_init(&node->flock, &node->memory);
    node->vouch_next = INSTANT_NEVER;
    node->unfinal_again = INSTANT_NEVER;
    map_init(&node->roster, &node->memory, offsetof(struct roster_item, id), sizeof(struct id));
    map_init(&node->manifests, &node->memory, offsetof(struct manifest, digest),
             sizeof(struct digest));
    map_init(&node->blocks, &node->memory, offsetof(struct block, digest), sizeof(struct digest));
    smalls_open(node);
    work_open(node);
    names_init(&node->names, &node->memory);
    jobs_init(&node->jobs, &node->memory);
    node->jobs.flock = &node->flock;
    owners_live(&node->jobs, &node->id, &node->boot);
    node->evict_after = config->evict_after;
    node->stream_next = 2;
    node->token_next = 1;
    node->is_living_stale = true;
    node->jobs.now = now;
    node->sweep_cut = node->prune_wanted = true;
    enum error error = tags_set(node, config->tags, config->tags_count);
    assert(error != ERROR_INVALID);
    if (error != ERROR_NONE || open_parts(node, config, now) != ERROR_NONE) {
        node_close(node);
        return NULL;
    }
    for (size_t i = 0; i < config->join_count; i++) links_join(node, &config->join[i], false);
    return node;
}

void node_close(struct node *node)
{
    if (node == NULL) return;
    pending_close(node);
    work_close(node);
    keeper_close(node);
    manifests_close(node);
    smalls_close(node);
    links_close_all(node);
    datagrams_close(node);
    size_t cursor = 0;
    for (struct roster_item *item; (item = map_next(&node->roster, &cursor)) != NULL;) {
        tags_drop(node, &item->tags);
        memory_put(&node->memory, item, sizeof *item);
    }
    map_deinit(&node->roster);
    flock_deinit(&node->flock);
    final_close(node);
    freed_close(node);
    tags_drop(node, &node->tags);
    keyring_close(node);
    heard_close(node);
    jobs_deinit(&node->jobs);
    names_deinit(&node->names);
    if (node->log != NULL) log_close(node->log);
    gossip_deinit(&node->gossip);
    memory_put(&node->memory, node->living, node->living_capacity * sizeof *node->living);
    memory_put(&node->memory, node->running, node->running_max * sizeof *node->running);
    struct memory memory = node->memory;
    memory_put(&memory, node, sizeof *node);
    assert(memory.used == 0);
}

const char *node_load(struct node *node, struct slice key, struct slice value,
                      struct arena *scratch)
{
    bool is_log =
        key.count > 5 && (memcmp(key.at, "batch", 5) == 0 || memcmp(key.at, "base", 4) == 0 ||
                          memcmp(key.at, "kept", 4) == 0);
    if (is_log) return log_load(node->log, key, value, scratch);
    if (key.count == 20 && memcmp(key.at, "peer", 4) == 0) {
        char text[ADDRESS_TEXT_SIZE];
        struct address address;
        if (value.count >= sizeof text) return "address too long";
        memcpy(text, value.at, value.count);
        text[value.count] = '\0';
        if (!address_parse(text, &address)) return "not an address";
        links_join(node, &address, true);
    }
    return NULL;
}

enum error node_load_block(struct node *node, const struct msg_block_ref *block)
{
    /* Long enough to hear from the peers what is still wanted. */
    return keeper_stored(node, block, 60 * (duration)SECOND);
}

static void append_opened(struct node *node)
{
    struct msg_opened opened = {
        .name = slice_string(node->name), .address = node->address, .wall_ms = node->wall_ms};
    (void)!node_append(node, &wire_opened, &opened, NULL);
}

void node_commit(struct node *node)
{
    if (log_open_count(node->log) > 0)
        node_fail(node, log_commit(node->log, &node->actions->arena), "commit");
}

/* The end of every step: commit what was appended, stop when something fatal came up. */
static void finish_step(struct node *node)
{
    node_commit(node);
    node->gossip.log_digest = log_digest(node->log);
    if (node->fatal != ERROR_NONE && !node->is_stopped) {
        node->is_stopped = true;
        struct action *action = actions_push(node->actions, ACTION_STOP);
        action->stop.error = node->fatal;
        action->stop.boot = node->usurper;
        action->stop.text =
            node->fatal == ERROR_EXISTS
                ? "duplicate identity: another node runs with a copy of this data directory"
                : error_text(node->fatal);
    }
    node->actions = NULL;
}

static void begin_step(struct node *node, instant now, struct actions *actions)
{
    node->jobs.now = now;
    actions->count = 0;
    arena_reset(&actions->arena);
    node->actions = actions;
    node->now = now;
    node_count(node, METRIC_steps);
}

void node_start(struct node *node, instant now, struct actions *actions)
{
    begin_step(node, now, actions);
    append_opened(node);
    heard_begin(node, node->seeds_count > 0);
    scrub_start(node);
    tally_start(node);
    finish_step(node);
}

static void tick(struct node *node)
{
    heard_tick(node);
    if (node->now >= gossip_deadline(&node->gossip)) gossip_tick(&node->gossip, node->now);
    standing_tick(node);
    tags_tick(node);
    keyring_tick(node);
    links_tick(node);
    replicas_tick(node);
    manifests_tick(node);
    holders_tick(node);
    keeper_tick(node);
    freed_tick(node);
    scrub_tick(node);
    tally_tick(node);
    steer_tick(node);
    pending_tick(node); /* before work: what is submitted in this step begins in it */
    work_tick(node);
    compaction_tick(node);
    evict_tick(node);
    final_tick(node);
    leave_tick(node);
}

/* Gossip's own messages have the lowest types, and fill a record of their own. */
static bool is_gossip(const struct link *link, struct slice bytes)
{
    return link != NULL && link->state == LINK_OPEN && link->purpose == CHANNEL_PEER &&
           bytes.count > 0 && bytes.at[0] < MSG_exchange;
}

static void stream_gossip(struct node *node, const struct link *link, struct slice bytes)
{
    const struct id peer = link->peer;
    const struct boot boot = link->boot;
    const char *reason =
        gossip_receive(&node->gossip, node->now, &peer, &boot, NULL, bytes, &node->actions->arena);
    if (reason != NULL) node_count(node, METRIC_records_refused);
}

static void peer_message(struct node *node, struct link *link, const struct wire_message *message)
{
    switch (message->type) {
    case MSG_exchange: {
        const struct msg_exchange *exchange = message->fields;
        gossip_exchange_take(&node->gossip, node->now, exchange);
        if (exchange->wants_reply) replicas_hello(node, link);
        return;
    }
    case MSG_log_vector: replicas_vector(node, link, message->fields); return;
    case MSG_log_batch: replicas_batch(node, link, message->fields); return;
    case MSG_log_snapshot: compaction_page(node, link, message->fields); return;
    case MSG_log_ask_snapshot: compaction_asked(node, link, message->fields); return;
    case MSG_block_ensure:
    case MSG_block_held:
    case MSG_block_no_room:
    case MSG_block_query: keeper_message(node, link, message); return;
    case MSG_progress_ask:
    case MSG_progress_told: progress_message(node, link, message); return;
    case MSG_evict_ask:
    case MSG_evict_agree: evict_message(node, link, message); return;
    case MSG_holdings_query:
    case MSG_holdings: catalog_message(node, link, message); return;
    case MSG_capacity: room_heard(link, message->fields); return;
    case MSG_key_ask:
    case MSG_key_give: keyring_message(node, link, message); return;
    case MSG_block_release: release_take(node, message->fields); return;
    case MSG_block_confirm: surplus_asked(node, link, message->fields); return;
    case MSG_block_confirmed: surplus_confirmed(node, link, message->fields); return;
    default: node_count(node, METRIC_records_refused);
    }
}

/* One record may hold many messages; a step answers as many as it has room for, and a record that
 * asks for more is nobody's honest one. */
static void stream_record(struct node *node, uint64_t stream, struct slice bytes)
{
    node_count(node, METRIC_records_received);
    struct link *from = links_find(node, stream);
    if (from != NULL) from->is_doubtful = false;
    if (is_gossip(from, bytes)) {
        stream_gossip(node, from, bytes);
        return;
    }
    while (bytes.count > 0) {
        struct link *link = links_find(node, stream); /* an answer may have closed it */
        if (link == NULL || link->state != LINK_OPEN) return;
        struct wire_message message;
        struct slice packed = bytes;
        const char *reason = node_has_room(node)
                                 ? wire_unpack(&bytes, &message, &node->actions->arena)
                                 : "more messages than one record may hold";
        if (reason != NULL) {
            node_count(node, METRIC_records_refused);
            trace_line(&node->trace, TRACE_DEBUG, "event=record-refused reason=\"%s\"", reason);
            if (link->purpose == CHANNEL_CLIENT) control_unknown(node, link, packed);
            return;
        }
        if (link->purpose == CHANNEL_CLIENT) control_request(node, link, &message);
        else peer_message(node, link, &message);
    }
}

/* A full disk is no reason to stop: it gossips, serves what it has, hears what is new; it runs
 * nothing, and acknowledges nothing. */
static void storage_failed(struct node *node, enum error error)
{
    if (error != ERROR_FULL && error != ERROR_DENIED) {
        node_fail(node, error, "storage");
        return;
    }
    if (node->storage_waits != ERROR_NONE) return;
    node->storage_waits = error;
    node_count(node, METRIC_disk_waits);
    trace_line(&node->trace, TRACE_WARN, "event=disk_waits because=\"%s\"",
               error == ERROR_FULL ? "no space left" : "it is read-only");
    work_give_back(node, CAUSE_DISK);
}

static void persisted(struct node *node, uint64_t token)
{
    if (node->storage_waits != ERROR_NONE) trace_line(&node->trace, TRACE_WARN, "event=disk_back");
    if (node->storage_waits != ERROR_NONE) node->is_work_wanted = true;
    node->storage_waits = ERROR_NONE;
    replicas_persisted(node, token);
    final_persisted(node, token);
}

static void take_event(struct node *node, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TICK: break;
    case EVENT_DATAGRAM:
        datagrams_receive(node, &event->datagram.from, event->datagram.bytes);
        break;
    case EVENT_REFUSED:
        datagrams_refused(node, &event->refused.address, event->refused.quoted);
        break;
    case EVENT_STREAM_OPENED: links_opened(node, event); break;
    case EVENT_STREAM_RECORD:
        stream_record(node, event->stream_record.stream, event->stream_record.bytes);
        break;
    case EVENT_STREAM_CLOSED: links_closed(node, event); break;
    case EVENT_PERSISTED: persisted(node, event->persisted.token); break;
    case EVENT_STORAGE_FAILED: storage_failed(node, event->storage_failed.error); break;
    case EVENT_BLOCK_STORED:
        /* An upload waits for what will reference it; whatever we fetched, somebody asked us to
         * pin. */
        node_fail(node,
                  keeper_stored(node, &event->block_stored.block,
                                event->block_stored.token == 0 ? 0 : FETCHED_PIN),
                  "block");
        keeper_looked(node, &event->block_stored.block.digest); /* by who wrote it */
        if (event->block_stored.is_known) node_count(node, METRIC_blocks_known);
        if (event->block_stored.token == 0)
            keeper_uploaded(node, &event->block_stored.block.digest);
        early_begin(node, &event->block_stored.block.digest, event->block_stored.copies);
        break;
    case EVENT_BLOCK_CHECKED:
        scrub_checked(node, &event->block_checked.digest, event->block_checked.error);
        break;
    case EVENT_BLOCK_UNWANTED:
        keeper_unwanted(node, &event->block_unwanted.digest, event->block_unwanted.is_used);
        break;
    case EVENT_BLOCK_FAILED:
        keeper_failed(node, &event->block_failed.digest, event->block_failed.size,
                      event->block_failed.error);
        manifests_failed(node, &event->block_failed.digest);
        break;
    case EVENT_BLOCK_READ:
        manifests_read(node, &event->block_read.digest, event->block_read.bytes);
        break;
    case EVENT_TASK_STARTED: work_started(node, event); break;
    case EVENT_TASK_FINISHED: work_finished(node, event); break;
    case EVENT_KEYS_WRITTEN: keyring_written(node, event); break;
    case EVENT_KEYS_READ: keyring_read(node, event); break;
    case EVENT_TAIL_READ: logs_tail(node, event); break;
    case EVENT_RESOLVED:
        for (size_t i = 0; i < event->resolved.count; i++)
            links_join(node, &event->resolved.addresses[i], false);
        break;
    case EVENT_LEAVE: leave_begin(node, false); break;
    }
}

void node_step(struct node *node, const struct event *event, struct actions *actions)
{
    assert(event->now >= node->now);
    begin_step(node, event->now, actions);
    if (!node->is_stopped) take_event(node, event);
    if (event->has_more && node->fatal == ERROR_NONE) {
        node->actions = NULL; /* the last of them ends the step for all */
        return;
    }
    if (!node->is_stopped) tick(node);
    finish_step(node);
}

instant node_deadline(const struct node *node)
{
    if (node->is_stopped) return INSTANT_NEVER;
    if (node->is_work_wanted) return node->now;
    instant next = gossip_deadline(&node->gossip);
    /* Nobody needs to wake for what a complete mesh or equal logs would find: nothing. What changes
     * that comes by an event, and each step looks. */
    if (node->is_mesh_wanted) next = instant_min(next, node->mesh_next);
    next = instant_min(next, node->sweep_next);
    next = instant_min(next, node->scrub_next);
    next = instant_min(next, node->tally.next);
    next = instant_min(next, node->work_next);
    if (node->sweep_cut) next = instant_min(next, node->sweep_cut_next);
    if (node->pendings != NULL) next = instant_min(next, node->pending_next);
    if (!node->may_author) next = instant_min(next, node->author_deadline);
    next = instant_min(next, node->drain_deadline);
    next = instant_min(next, leave_deadline(node));
    next = instant_min(next, keyring_deadline(node));
    next = instant_min(next, freed_deadline(node));
    next = instant_min(next, node->evict_next);
    return instant_min(next, final_deadline(node));
}
