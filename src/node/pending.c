/* Requests that can't be answered at once: each is tried again whenever something it may wait for
 * has happened, and every 200 ms.
 *
 *   submit         BLOCKS (every block on two living nodes) -> ENTRY (on K disks) -> answered
 *   submit small   ENTRY, which the blocks are in (beyond what the log carries: written, BLOCKS)
 *   name           BLOCKS (on as many as --replicas says) -> ENTRY (on two disks) -> answered
 *   unname         ENTRY -> answered
 *   wait, result   WATCH (a row each second) -> the job has ended -> ENTRY (on two disks)
 *   dataset        READ (until the manifest is here) -> answered
 *   leave          WATCH (until this node goes) -> answered
 *   names          READ (until members have said which copies they hold) -> answered
 *
 * A client that lost its peer asks another one with the same id: the same job, the same naming. */
#include "node/early.h"
#include "node/holders.h"
#include "node/manifests.h"
#include "node/release.h"
#include "node/smalls.h"
#include "node/state.h"

#include "base/plural.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    TRY_EVERY = 200 * MILLISECOND,
    SIGN_EVERY = SECOND,                 /* a client takes 10 s of silence for death */
    ASK_DISKS_AFTER = 300 * MILLISECOND, /* peers tell of their own accord sooner, normally */
    /* Longer than a full disk is left alone (holders.c): by then it has been asked once more. */
    ROOM_PATIENCE = 30 * SECOND,
    BLOCKS_PATIENCE = 60 * SECOND, /* without another copy: it is told so */
    READ_PATIENCE = 10 * SECOND,
    END_PATIENCE = 5 * SECOND,     /* for a second disk: it may be full */
    DISKS_PATIENCE = 60 * SECOND,  /* for that of an entry that was asked for: then it is said */
    SMALL_PARTS_MAX = 1024,        /* of an output, as msg_say_result */
    UNKNOWN_PATIENCE = 2 * SECOND, /* a job may have been submitted elsewhere a moment ago */
};

static bool request_copy(struct node *node, struct pending *pending,
                         const struct wire_message *message)
{
    for (size_t size = 4096; size <= 4 << 20; size *= 8) {
        void *memory = memory_take(&node->memory, size);
        if (memory == NULL) return false;
        struct arena arena;
        arena_init(&arena, memory, size);
        void *fields = arena_take(&arena, wire_struct_size(message->schema));
        if (fields != NULL && wire_copy(message->schema, fields, message->fields, &arena)) {
            pending->request = fields;
            pending->memory = memory;
            pending->memory_size = size;
            return true;
        }
        memory_put(&node->memory, memory, size);
    }
    return false;
}

/* It is over before what it asks for was written: the copies made for it are not wanted. */
static void give_up_blocks(struct node *node, const struct pending *pending)
{
    if (pending->state != PENDING_BLOCKS) return;
    if (pending->type == MSG_ask_name)
        release_dataset(node, &((const struct msg_ask_name *)pending->request)->manifest);
    else /* submit_small begins so, too */
        release_dataset(node,
                        &((const struct msg_ask_submit_with *)pending->request)->spec.manifest);
}

static void pending_free(struct node *node, struct pending *pending)
{
    memory_put(&node->memory, pending->memory, pending->memory_size);
    memory_put(&node->memory, pending, sizeof *pending);
}

static enum pending_state first_state(unsigned type)
{
    switch (type) {
    case MSG_ask_submit_with:
    case MSG_ask_submit_small:
    case MSG_ask_name: return PENDING_BLOCKS;
    case MSG_ask_unname: return PENDING_ENTRY;
    case MSG_ask_leave:
    case MSG_ask_leave_now:
    case MSG_ask_wait:
    case MSG_ask_result: return PENDING_WATCH;
    default: return PENDING_READ;
    }
}

void pending_add(struct node *node, uint64_t stream, const struct wire_message *message)
{
    pending_add_resume(node, stream, message, &(struct resume){0});
}

void pending_add_resume(struct node *node, uint64_t stream, const struct wire_message *message,
                        const struct resume *resume)
{
    struct pending *pending = memory_take(&node->memory, sizeof *pending);
    if (pending == NULL) return; /* the client asks again, here or elsewhere */
    pending->resume = *resume;
    pending->stream = stream;
    pending->type = message->type;
    pending->state = first_state(message->type);
    pending->since = pending->told = pending->moved = node->now;
    if (!request_copy(node, pending, message)) {
        pending_free(node, pending);
        return;
    }
    pending->next = node->pendings;
    node->pendings = pending;
    node->pending_next = node->now;
}

/* ---- blocks first ---- */

enum progress {
    PROGRESS_READY,
    PROGRESS_WAITS,
    PROGRESS_OVER, /* the client has been told why not */
};

/* Nobody has it; or nobody else takes a copy of it. */
static void say_missing(struct node *node, const struct pending *pending, uint64_t request,
                        const struct digest *digest, const char *what)
{
    char text[DIGEST_TEXT_SIZE];
    size_t copies = keeper_copies(node, digest);
    if (copies > 0)
        control_error(node, pending->stream, request, CODE_PARTIAL,
                      "block %.12s of the input%s is on %s, and no other has taken a copy "
                      "for %d s: see mrctl members, or try again",
                      digest_text(digest, text), what, plural(copies, "node").text,
                      (int)(BLOCKS_PATIENCE / SECOND));
    else
        control_error(node, pending->stream, request, CODE_PARTIAL,
                      "block %.12s of the input%s can be had from no living node: a member that is "
                      "dead may have it (see mrctl members); or put the input again",
                      digest_text(digest, text), what);
}

/* Which bytes of which input that is: " (bytes 0 to 4096 of numbers)". */
static const char *where_of(const struct msg_manifest *manifest, uint32_t index, char text[512])
{
    const struct msg_manifest_block *block =
        (const struct msg_manifest_block *)manifest->blocks.at + index;
    struct slice name = {0};
    if (block->file < manifest->files.count)
        name = ((const struct msg_text *)manifest->files.at)[block->file].text;
    snprintf(text, 512, " (bytes %llu to %llu of %.*s)", (unsigned long long)block->offset,
             (unsigned long long)(block->offset + block->block.size),
             name.count < 400 ? (int)name.count : 400, (const char *)name.at);
    return text;
}

/* Of each block, whoever has room. */
static size_t least_copies(const struct node *node, uint8_t needed)
{
    size_t living = living_staying(node);
    size_t least = needed < SAFE_COPIES ? needed : SAFE_COPIES;
    return living < least ? living : least;
}

/* Others live, and none of them has room for a second copy of it. */
static bool lacks_room(struct node *node, const struct msg_block_ref *block, uint8_t needed)
{
    size_t least = least_copies(node, needed);
    return keeper_copies(node, &block->digest) < least &&
           holders_possible(node, needed, block->size) < least;
}

/* Asks for copies when there are too few. *copies: as many as count. */
static bool block_is_safe(struct node *node, const struct msg_block_ref *block, uint8_t needed,
                          uint8_t replicas, uint32_t *copies)
{
    size_t wanted = holders_possible(node, needed, block->size);
    size_t have = keeper_copies(node, &block->digest), least = least_copies(node, needed);
    *copies += (uint32_t)(have < needed ? have : needed);
    if (have >= wanted && have >= least) return true;
    keeper_want(node, block, replicas < needed ? needed : replicas, false, NULL);
    return false;
}

/* So it is with some block. Somebody may make room: the client waits a while before it hears so. */
static enum progress await_room(struct node *node, const struct pending *pending, uint64_t request,
                                uint8_t needed)
{
    char names[256];
    if (node->now - pending->moved < ROOM_PATIENCE) return PROGRESS_WAITS;
    size_t count = holders_full_names(node, names, sizeof names);
    control_error(node, pending->stream, request, CODE_FAILED,
                  "no room for %s of each block: the disk%s of %s %s full; free some space "
                  "there, or add a node",
                  plural(least_copies(node, needed), "copy").text, count == 1 ? "" : "s", names,
                  count == 1 ? "is" : "are");
    return PROGRESS_OVER;
}

/* What was copied while the client stored it is to stay now. */
static void renew(struct node *node, struct pending *pending, const struct msg_block_ref *ref,
                  const struct msg_manifest *manifest)
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    early_end(node, &ref->digest);
    for (uint32_t i = 0; i < manifest->blocks.count; i++) early_end(node, &blocks[i].block.digest);
    pending->is_renewed = true;
}

/* Are the manifest and all that it lists on `needed` living nodes? maps: as many blocks must be in
 * it; 0 = any. */
static enum progress blocks_progress(struct node *node, struct pending *pending, uint64_t request,
                                     const struct msg_block_ref *ref, uint32_t maps, uint8_t needed,
                                     uint8_t replicas)
{
    bool is_late = node->now - pending->moved > BLOCKS_PATIENCE;
    const struct msg_manifest *manifest = manifests_get(node, ref);
    if (manifest == NULL && manifests_is_none(node, ref)) {
        manifests_say_none(node, pending->stream, request, ref);
        return PROGRESS_OVER;
    }
    if (manifest == NULL) {
        if (!is_late && !keeper_is_lost(node, &ref->digest)) return PROGRESS_WAITS;
        say_missing(node, pending, request, &ref->digest, "");
        return PROGRESS_OVER;
    }
    if (maps > 0 && manifest->blocks.count != maps) {
        control_error(node, pending->stream, request, CODE_USAGE,
                      "the job says %s, its manifest %s", plural(maps, "map").text,
                      plural(manifest->blocks.count, "block").text);
        return PROGRESS_OVER;
    }
    if (!pending->is_renewed) renew(node, pending, ref, manifest);
    uint32_t copies = 0, safe = block_is_safe(node, ref, needed, replicas, &copies);
    bool is_roomless = safe == 0 && lacks_room(node, ref, needed);
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < manifest->blocks.count; i++) {
        if (manifests_is_range(&blocks[i]) ||
            block_is_safe(node, &blocks[i].block, needed, replicas, &copies)) {
            safe++;
            continue;
        }
        if (lacks_room(node, &blocks[i].block, needed)) is_roomless = true;
        bool is_in_vain = is_late && !is_roomless;
        if (!is_in_vain && !keeper_is_lost(node, &blocks[i].block.digest)) continue;
        char where[512];
        say_missing(node, pending, request, &blocks[i].block.digest, where_of(manifest, i, where));
        return PROGRESS_OVER;
    }
    /* Gigabytes may take long: while they come, all is well. More than a moment ago, not than ever:
     * copies that a smaller --replicas makes surplus go meanwhile. */
    if (copies > pending->copies) pending->moved = node->now;
    pending->copies = copies;
    if (is_roomless) return await_room(node, pending, request, needed);
    return safe == manifest->blocks.count + 1 ? PROGRESS_READY : PROGRESS_WAITS;
}

/* ---- then the entry ---- */

/* On how many disks the entry is, as far as we know. Who leaves still listens, and takes its own
 * along: ours counts then while nobody else is there. */
static size_t disks(const struct node *node, const struct pending *pending)
{
    bool is_here = log_durable(node->log, &pending->entry.node, &pending->entry.boot) >=
                   pending->entry.sequence;
    size_t heard = heard_disks(node, &pending->entry), count = 1;
    if (!is_here) return 0;
    for (size_t i = 0; i < pending->acks_count; i++)
        count += !flock_has_left(&node->flock, &pending->acks[i]);
    if (heard > count) count = heard;
    bool stays = !node_is_leaving(node) || members_living_count(&node->gossip.members) == 0;
    return stays ? count : count - 1;
}

static bool is_acknowledged(struct node *node, struct pending *pending, uint8_t ack)
{
    size_t living = living_staying(node);
    size_t wanted = ack == 0 ? SAFE_COPIES : ack;
    if (living == 0) living = 1; /* who leaves counts itself no more */
    if (disks(node, pending) >= (wanted < living ? wanted : living)) return true;
    bool is_time = node->now - pending->since > ASK_DISKS_AFTER &&
                   node->now - pending->asked > ASK_DISKS_AFTER;
    if (!is_time) return false;
    pending->asked = node->now;
    struct msg_log_vector question = {.complete = false, .wants_reply = true};
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER)
            links_send(node, link->stream, &wire_log_vector, &question);
    return false;
}

static uint64_t request_number(const struct pending *pending)
{
    return *(const uint64_t *)pending->request; /* every request begins with it */
}

/* Its entry is written, and too few disks say that they have it: full ones can't. The client hears
 * so after a while; what it asked for is in the log all the same. */
static bool is_unacknowledged(struct node *node, const struct pending *pending, const char *what)
{
    char names[256];
    if (node->now - pending->moved < DISKS_PATIENCE) return false;
    size_t has = disks(node, pending);
    heard_lacking(node, &pending->entry, names, sizeof names);
    control_error(node, pending->stream, request_number(pending), CODE_PARTIAL,
                  "%s, but only %s %s taken that for %d s: not %s (full? see its log, and mrctl "
                  "doctor); it will be there as well as soon as it can",
                  what, plural(has, "disk").text, has == 1 ? "has" : "have",
                  (int)(DISKS_PATIENCE / SECOND), names);
    return true;
}

static void acks_add(struct pending *pending, const struct id *peer)
{
    for (size_t i = 0; i < pending->acks_count; i++)
        if (id_equal(&pending->acks[i], peer)) return;
    if (pending->acks_count < ACKS_MAX) pending->acks[pending->acks_count++] = *peer;
}

void pending_vector(struct node *node, const struct id *peer, const struct msg_log_vector *vector)
{
    const struct msg_feed_position *feeds = vector->feeds.at;
    bool is_self = id_equal(peer, &node->id);
    for (struct pending *pending = node->pendings; pending != NULL; pending = pending->next) {
        if (stamp_is_none(&pending->entry)) continue;
        for (uint32_t i = 0; i < vector->feeds.count; i++) {
            bool is_feed = id_equal(&feeds[i].node, &pending->entry.node) &&
                           boot_equal(&feeds[i].boot, &pending->entry.boot);
            if (!is_feed || feeds[i].durable < pending->entry.sequence) continue;
            if (!is_self) acks_add(pending, peer);
            node->pending_next = node->now;
        }
    }
}

/* ---- each kind of request: true when it is over ---- */

static void entry_written(const struct node *node, struct pending *pending)
{
    if (pending->state == PENDING_ENTRY) return;
    pending->state = PENDING_ENTRY;
    pending->moved = node->now;
}

static bool say_too_large(struct node *node, const struct pending *pending)
{
    control_error(
        node, pending->stream, request_number(pending), CODE_USAGE,
        "it is too large for an entry of the log (64 KiB): shorten commands and environment");
    return true;
}

static bool output_conflicts(struct node *node, const struct msg_ask_submit_with *ask)
{
    if (ask->spec.output.count == 0 || ask->spec.overwrite) return false;
    return names_find(&node->names, ask->spec.output) != NULL;
}

/* "wc-3f7a": as many digits of its id as no other job known here shares, at least four. */
static void job_name(const struct node *node, const struct msg_ask_submit_with *ask, char name[65])
{
    char id[ID_TEXT_SIZE];
    struct slice asked = ask->spec.name;
    size_t matches = 1;
    for (int digits = 4; digits <= 32 && matches > 0; digits++) {
        int room = 64 - 1 - digits;
        snprintf(name, 65, "%.*s-%.*s", (int)asked.count < room ? (int)asked.count : room,
                 (const char *)asked.at, digits, id_text(&ask->job, id));
        (void)jobs_find_name(&node->jobs, slice_string(name), &matches);
    }
}

/* Older versions know the usual terms alone. */
static enum error append_job(struct node *node, const struct msg_ask_submit_with *ask,
                             struct slice name, struct msg_stamp *stamp)
{
    const struct msg_job_terms *terms = &ask->terms;
    bool is_usual =
        terms->speculate == 0 && terms->verify <= 1 && terms->cpus <= 1 && terms->task_memory == 0;
    if (is_usual) {
        struct msg_job job = {.job = ask->job, .spec = ask->spec, .cause = CAUSE_ASKED};
        job.spec.name = name;
        return node_append(node, &wire_job, &job, stamp);
    }
    struct msg_job_with job = {
        .job = ask->job, .spec = ask->spec, .terms = *terms, .cause = CAUSE_ASKED};
    job.spec.name = name;
    return node_append(node, &wire_job_with, &job, stamp);
}

/* ---- an input that came with its submission ---- */

static const struct list *smalls_of(const struct pending *pending)
{
    if (pending->type != MSG_ask_submit_small) return NULL;
    return &((const struct msg_ask_submit_small *)pending->request)->blocks;
}

static size_t smalls_size(const struct list *smalls)
{
    const struct msg_small_block *blocks = smalls->at;
    size_t size = 0;
    for (uint32_t i = 0; i < smalls->count; i++) size += blocks[i].bytes.count;
    return size;
}

/* More than the log carries: they become blocks like others, stored here. */
static void write_smalls(struct node *node, struct pending *pending, const struct list *smalls)
{
    const struct msg_small_block *blocks = smalls->at;
    if (pending->is_written) return;
    for (uint32_t i = 0; i < smalls->count; i++) {
        uint8_t *bytes = arena_take(&node->actions->arena, blocks[i].bytes.count);
        if (bytes == NULL) return;
        if (blocks[i].bytes.count > 0) memcpy(bytes, blocks[i].bytes.at, blocks[i].bytes.count);
        struct action *action = actions_push(node->actions, ACTION_BLOCK_WRITE);
        action->block_write.token = node->token_next++;
        action->block_write.bytes = slice_of(bytes, blocks[i].bytes.count);
    }
    pending->is_written = true;
}

static bool try_submit_blocks(struct node *node, struct pending *pending,
                              const struct msg_ask_submit_with *ask)
{
    if (!node->may_author) return false;
    if (output_conflicts(node, ask)) {
        control_error(node, pending->stream, ask->request, CODE_CONFLICT,
                      "a dataset named %.*s exists: choose another -O, or say --overwrite",
                      (int)ask->spec.output.count, (const char *)ask->spec.output.at);
        return true;
    }
    const struct list *smalls = smalls_of(pending);
    bool is_carried = smalls != NULL && smalls_fit(node, &ask->job, smalls_size(smalls));
    if (smalls != NULL && !is_carried) write_smalls(node, pending, smalls);
    enum progress progress = is_carried
                                 ? PROGRESS_READY
                                 : blocks_progress(node, pending, ask->request, &ask->spec.manifest,
                                                   ask->spec.maps, SAFE_COPIES, ask->spec.replicas);
    if (progress != PROGRESS_READY) return progress == PROGRESS_OVER;
    char name[65];
    job_name(node, ask, name);
    if (append_job(node, ask, slice_string(name), &pending->entry) != ERROR_NONE)
        return say_too_large(node, pending);
    if (is_carried) (void)!smalls_append(node, &ask->job, smalls->at, smalls->count);
    else keeper_used(node, &ask->spec.manifest);
    if (!id_is_zero(&pending->resume.from)) steer_inherit(node, &pending->resume, &ask->job);
    entry_written(node, pending);
    node_commit(node); /* it begins in this step */
    return false;
}

static bool try_submit(struct node *node, struct pending *pending)
{
    const struct msg_ask_submit_with *ask = pending->request;
    const struct job *job = jobs_find(&node->jobs, &ask->job);
    if (job != NULL && job->is_known) {
        pending->entry = job->stamp;
        entry_written(node, pending);
    }
    if (pending->state == PENDING_BLOCKS) return try_submit_blocks(node, pending, ask);
    if (job == NULL || !job->is_known) return false;
    if (!is_acknowledged(node, pending, ask->ack))
        return is_unacknowledged(node, pending, "the job is in the log");
    struct msg_say_submitted reply = {.request = ask->request,
                                      .job = ask->job,
                                      .name = slice_string(job->name),
                                      .acks = (uint8_t)disks(node, pending)};
    links_send(node, pending->stream, &wire_say_submitted, &reply);
    return true;
}

static void say_ok(struct node *node, uint64_t stream, uint64_t request, const char *text)
{
    struct msg_say_ok reply = {.request = request, .text = slice_string(text)};
    links_send(node, stream, &wire_say_ok, &reply);
}

static bool try_name_blocks(struct node *node, struct pending *pending,
                            const struct msg_ask_name *ask)
{
    if (!node->may_author) return false;
    struct msg_stamp replaced[64];
    size_t count = names_current(&node->names, ask->name, replaced, 64);
    if (count > 0 && !ask->overwrite) {
        control_error(node, pending->stream, ask->request, CODE_CONFLICT,
                      "a dataset named %.*s exists: choose another name, or say --overwrite",
                      (int)ask->name.count, (const char *)ask->name.at);
        return true;
    }
    if (ask->replicas == 0) {
        control_error(node, pending->stream, ask->request, CODE_USAGE,
                      "a dataset needs at least one replica");
        return true;
    }
    enum progress progress = blocks_progress(node, pending, ask->request, &ask->manifest, 0,
                                             ask->replicas, ask->replicas);
    if (progress != PROGRESS_READY) return progress == PROGRESS_OVER;
    struct msg_named named = {.name = ask->name,
                              .manifest = ask->manifest,
                              .size = ask->size,
                              .replicas = ask->replicas,
                              .request = ask->id,
                              .replaces = {replaced, (uint32_t)count}};
    if (node_append(node, &wire_named, &named, &pending->entry) != ERROR_NONE)
        return say_too_large(node, pending);
    keeper_used(node, &ask->manifest);
    entry_written(node, pending);
    return false;
}

static bool try_name(struct node *node, struct pending *pending)
{
    const struct msg_ask_name *ask = pending->request;
    const struct naming *naming = names_by_request(&node->names, &ask->id);
    if (naming != NULL) {
        pending->entry = naming->stamp;
        entry_written(node, pending);
    }
    if (pending->state == PENDING_BLOCKS) return try_name_blocks(node, pending, ask);
    if (!is_acknowledged(node, pending, SAFE_COPIES))
        return is_unacknowledged(node, pending, "the name is in the log");
    bool is_alone = ask->replicas > 1 && members_living_count(&node->gossip.members) <= 1;
    say_ok(node, pending->stream, ask->request,
           is_alone ? "only 1 node has it: no other one lives" : NAMED_TEXT);
    return true;
}

static bool try_unname(struct node *node, struct pending *pending)
{
    const struct msg_ask_unname *ask = pending->request;
    if (stamp_is_none(&pending->entry)) {
        if (!node->may_author) return false;
        const struct naming *naming = names_find(&node->names, ask->name);
        if (naming == NULL) {
            control_error(node, pending->stream, ask->request, CODE_NOT_FOUND,
                          "no dataset is named %.*s; see: mrctl ls", (int)ask->name.count,
                          (const char *)ask->name.at);
            return true;
        }
        struct msg_stamp replaced = naming->stamp;
        struct msg_unnamed unnamed = {.request = ask->id, .replaces = {&replaced, 1}};
        return node_append(node, &wire_unnamed, &unnamed, &pending->entry) != ERROR_NONE;
    }
    if (!is_acknowledged(node, pending, SAFE_COPIES))
        return is_unacknowledged(node, pending, "the removal is in the log");
    say_ok(node, pending->stream, ask->request, "removed");
    return true;
}

/* All of the output, when the log carries it; blocks: SMALL_PARTS_MAX. */
static bool fill_result(struct node *node, const struct job *job, struct msg_small_block *blocks,
                        struct list *parts)
{
    const struct msg_manifest *manifest =
        job->outcome == JOB_DONE ? manifests_get(node, &job->manifest) : NULL;
    if (manifest == NULL || job->output_size > SMALL_JOB_MAX) return false;
    if (manifest->blocks.count > SMALL_PARTS_MAX) return false;
    const struct msg_manifest_block *wanted = manifest->blocks.at;
    for (uint32_t i = 0; i < manifest->blocks.count; i++) {
        const struct small *small = smalls_find(node, &wanted[i].block.digest);
        if (small == NULL) return false;
        blocks[i].bytes = slice_of(small->bytes, small->size);
    }
    *parts = (struct list){blocks, manifest->blocks.count};
    return true;
}

static void say_state(struct node *node, const struct pending *pending, const struct job *job)
{
    const struct msg_ask_wait *ask = pending->request;
    if (pending->type == MSG_ask_wait) {
        struct msg_say_job reply = {.request = ask->request, .job = answers_job(node, job)};
        links_send(node, pending->stream, &wire_say_job, &reply);
        return;
    }
    struct msg_small_block *blocks =
        arena_take(&node->actions->arena, SMALL_PARTS_MAX * sizeof *blocks);
    struct msg_say_result reply = {.request = ask->request, .job = answers_job(node, job)};
    reply.is_whole = blocks != NULL && fill_result(node, job, blocks, &reply.blocks);
    links_send(node, pending->stream, &wire_say_result, &reply);
}

/* Nobody is told of an end that one disk alone has: not while another one may take it. */
static bool is_end_safe(struct node *node, struct pending *pending, const struct job *job)
{
    if (!stamp_equal(&pending->entry, &job->ended)) {
        pending->entry = job->ended;
        pending->acks_count = 0;
        pending->ended = node->now;
    }
    return is_acknowledged(node, pending, SAFE_COPIES) || node->now - pending->ended > END_PATIENCE;
}

static bool try_wait(struct node *node, struct pending *pending)
{
    const struct msg_ask_wait *ask = pending->request;
    size_t matches = 0;
    const struct job *job = jobs_find_name(&node->jobs, ask->job, &matches);
    bool is_new = node->now - pending->since < UNKNOWN_PATIENCE;
    if (job == NULL && matches == 0 && is_new) return false;
    if (job == NULL) return answers_find_job(node, pending->stream, ask->request, ask->job) == NULL;
    bool is_over = job->outcome != JOB_RUNNING;
    if (is_over && !is_end_safe(node, pending, job)) return false;
    if (!is_over && node->now - pending->told < SIGN_EVERY && pending->told != pending->since)
        return false;
    pending->told = node->now;
    if (pending->told == pending->since) pending->told++;
    say_state(node, pending, job);
    return is_over;
}

static bool try_dataset(struct node *node, struct pending *pending)
{
    const struct msg_ask_dataset *ask = pending->request;
    if (catalog_dataset(node, pending)) return true;
    const struct naming *naming = names_find(&node->names, ask->name);
    if (naming != NULL && manifests_is_none(node, &naming->manifest)) {
        manifests_say_none(node, pending->stream, ask->request, &naming->manifest);
        return true;
    }
    bool is_listed = pending->copies > 0;
    if (node->now - (is_listed ? pending->moved : pending->since) < READ_PATIENCE) return false;
    control_error(node, pending->stream, ask->request, CODE_PARTIAL,
                  is_listed ? "the disk of this node does not take what %.*s is made of"
                            : "the list of blocks of %.*s can be had from no living node",
                  (int)ask->name.count, (const char *)ask->name.at);
    return true;
}

static bool try_one(struct node *node, struct pending *pending)
{
    if (leave_interrupts(node, pending)) return true;
    switch (pending->type) {
    case MSG_ask_submit_with:
    case MSG_ask_submit_small: return try_submit(node, pending);
    case MSG_ask_name: return try_name(node, pending);
    case MSG_ask_unname: return try_unname(node, pending);
    case MSG_ask_wait:
    case MSG_ask_result: return try_wait(node, pending);
    case MSG_ask_dataset: return try_dataset(node, pending);
    case MSG_ask_names: return catalog_names(node, pending);
    case MSG_ask_leave:
    case MSG_ask_leave_now: return leave_answer(node, pending);
    default: assert(!"not a pending request"); return true;
    }
}

/* A client that hears nothing for long believes us dead: also while the end of the job that it
 * watches waits for a second disk. */
static void sign_of_life(struct node *node, struct pending *pending)
{
    if (node->now - pending->told < 2 * SIGN_EVERY) return;
    pending->told = node->now;
    say_ok(node, pending->stream, request_number(pending), "");
}

void pending_tick(struct node *node)
{
    if (node->pendings == NULL || node->now < node->pending_next) return;
    node->pending_next = node->now + TRY_EVERY;
    for (struct pending **at = &node->pendings; *at != NULL;) {
        struct pending *pending = *at;
        if (!try_one(node, pending)) {
            sign_of_life(node, pending);
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        give_up_blocks(node, pending);
        pending_free(node, pending);
    }
}

void pending_drop_stream(struct node *node, uint64_t stream)
{
    for (struct pending **at = &node->pendings; *at != NULL;) {
        struct pending *pending = *at;
        if (pending->stream != stream) {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        give_up_blocks(node, pending);
        pending_free(node, pending);
    }
}

void pending_close(struct node *node)
{
    while (node->pendings != NULL) {
        struct pending *pending = node->pendings;
        node->pendings = pending->next;
        pending_free(node, pending);
    }
}
