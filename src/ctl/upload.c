/* Storing blocks: store chunk... store_check store chunk... store_check ... -> stored stored ...
 *
 * Blocks follow each other without waiting; a few may be unconfirmed, so that the peer's fsync and
 * our reading overlap. The peer names what it stores: it has to hash every byte anyway, and BLAKE2
 * on both sides costs more than all else here but the seal. What came over is what was sent: the
 * XXH3 of a block goes behind it, and the peer compares that as it hashes. */
#include "ctl/upload.h"

#include "base/error.h"
#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_SIZE = 65536,            /* as msg_chunk allows */
    UNCONFIRMED_MAX = 4,           /* blocks: enough that the stream never waits for one fsync */
    KNOWN_MAX = 64,                /* questions about what is there already: small */
    STORED_PATIENCE = 60 * SECOND, /* a slow disk's fsync of a large block */
    FORGET_LIMIT = 2 * SECOND,     /* for a peer; in vain its blocks are kept for an hour */
    KEPT_MAX = 96 << 10,           /* below what a node lets a job carry in the log */
    KEPT_BLOCK_MAX = 49152,        /* as msg_small_block */
    KEPT_AHEAD = 1 << 20,          /* room for the rest of an open block */
    KEPT_COUNT_MAX = 1000,         /* as msg_ask_submit_small */
};

static int gone(struct upload *upload, enum arrival arrival)
{
    switch (arrival) {
    case ARRIVAL_OK: return EXIT_OK;
    case ARRIVAL_EXPIRED:
        if (!upload->is_given_up) notice_line("timed out (--timeout) during the upload");
        return EXIT_TIMED_OUT;
    case ARRIVAL_CANCELLED: return EXIT_INTERRUPTED;
    case ARRIVAL_SILENT: snprintf(upload->why, sizeof upload->why, "it stopped answering"); break;
    case ARRIVAL_CLOSED: snprintf(upload->why, sizeof upload->why, "the connection broke"); break;
    case ARRIVAL_UNREACHABLE:
    case ARRIVAL_REFUSED: break; /* connection_open said why */
    }
    return UPLOAD_GONE;
}

int upload_move(struct upload *upload, const struct session *session)
{
    return upload_move_to(upload, session, session_peer(session));
}

int upload_move_to(struct upload *upload, const struct session *session, const char *address)
{
    assert(upload->confirmed == upload->count && !upload->is_open);
    connection_close(upload->connection);
    upload->connection = NULL;
    upload->asks = 0;
    upload->granted = 0;
    if (upload->legs_count == UPLOAD_LEGS_MAX) upload->legs_count--;
    struct upload_leg *leg = &upload->legs[upload->legs_count++];
    snprintf(leg->address, sizeof leg->address, "%s", address);
    leg->first = upload->count;
    int code = gone(upload, connection_open(session_connections(session), leg->address,
                                            CHANNEL_BULK, &upload->connection, upload->why));
    const struct msg_store_for wanted = {upload->copies};
    if (code != EXIT_OK || upload->copies < 2) return code;
    return gone(upload, connection_send(upload->connection, &wire_store_for, &wanted));
}

int upload_start(struct upload *upload, const struct session *session, uint8_t copies)
{
    *upload = (struct upload){.session = session, .copies = copies};
    return upload_move(upload, session);
}

void upload_start_dry(struct upload *upload) { *upload = (struct upload){.is_dry = true}; }

/* One message on its way, unless this is but a rehearsal. */
static int send_message(struct upload *upload, const struct wire_schema *schema, const void *fields)
{
    if (upload->is_dry) return EXIT_OK;
    return gone(upload, connection_send(upload->connection, schema, fields));
}

void upload_stop(struct upload *upload)
{
    connection_close(upload->connection);
    free(upload->blocks);
    free(upload->kept);
    upload->connection = NULL;
    upload->blocks = NULL;
    upload->kept = NULL;
}

static int begin(struct upload *upload)
{
    struct msg_store store = {.size_hint = 0};
    seal_hasher_init(&upload->hasher);
    hash_stream_init(&upload->check);
    upload->is_open = true;
    upload->block_size = 0;
    if (upload->is_kept) return EXIT_OK;
    return send_message(upload, &wire_store, &store);
}

static int no_room(struct upload *upload, int code)
{
    snprintf(upload->why, sizeof upload->why, "%s has no space left for a block; free some",
             connection_address(upload->connection));
    return code;
}

/* The digest stays zero. */
static int block_lost(struct upload *upload, unsigned status)
{
    int code = UPLOAD_GONE;
    upload->is_unread = upload->is_unread || status == ERROR_INVALID;
    snprintf(upload->why, sizeof upload->why, "%s",
             status == ERROR_INVALID ? "it could not read what it was lent"
                                     : "it got other bytes than were sent");
    if (status == ERROR_FULL) code = no_room(upload, UPLOAD_LOST);
    if (!upload->may_lose) return code;
    upload->lost_count++;
    upload->is_full = upload->is_full || status == ERROR_FULL;
    upload->granted = 0;
    return EXIT_OK;
}

/* To a question or about a block; each kind in the order of what it is to. */
static int judge(struct upload *upload, const struct wire_message *message)
{
    if (message->type == MSG_store_room && upload->asks > 0) {
        upload->room = *(const struct msg_store_room *)message->fields;
        upload->asks--;
        return EXIT_OK;
    }
    bool is_due = upload->confirmed < upload->count;
    if (message->type != MSG_stored || !is_due) return gone(upload, ARRIVAL_CLOSED);
    const struct msg_stored *stored = message->fields;
    struct msg_block_ref *block = &upload->blocks[upload->confirmed++];
    bool is_lost = stored->status == ERROR_FULL || stored->status == ERROR_CORRUPT ||
                   stored->status == ERROR_INVALID || stored->status == ERROR_NOT_FOUND;
    if (is_lost) return block_lost(upload, stored->status);
    if (stored->status != 0) {
        notice_line("%s cannot store a block: %.*s", connection_address(upload->connection),
                    (int)stored->text.count, (const char *)stored->text.at);
        return EXIT_JOB_FAILED;
    }
    block->digest = stored->block.digest;
    if (stored->block.size == block->size) return EXIT_OK;
    snprintf(upload->why, sizeof upload->why, "it stored other bytes than were sent");
    return UPLOAD_GONE;
}

/* Waits for one answer. */
static int take_answer(struct upload *upload)
{
    struct wire_message message;
    int code = gone(upload, connection_receive(upload->connection, STORED_PATIENCE, &message));
    return code == EXIT_OK ? judge(upload, &message) : code;
}

int upload_hear(struct upload *upload)
{
    int code = EXIT_OK;
    while (code == EXIT_OK && upload->connection != NULL) {
        struct wire_message message;
        enum arrival arrival = connection_receive(upload->connection, 0, &message);
        if (arrival == ARRIVAL_SILENT) break;
        code = arrival == ARRIVAL_OK ? judge(upload, &message) : gone(upload, arrival);
    }
    return code;
}

int upload_descriptor(const struct upload *upload)
{
    return upload->connection == NULL ? -1 : connection_descriptor(upload->connection);
}

/* ---- keeping ---- */

void upload_keep(struct upload *upload, const struct session *session, uint8_t copies)
{
    *upload = (struct upload){.session = session, .copies = copies, .is_kept = true};
    upload->kept = malloc(KEPT_MAX);
    if (upload->kept == NULL) notice_no_memory();
}

/* All that was kept, block by block, over a stream of its own. */
int upload_send(struct upload *upload)
{
    struct upload kept = *upload;
    uint64_t at = 0;
    if (!upload->is_kept) return EXIT_OK;
    uint64_t ahead = kept.is_open ? KEPT_AHEAD : 0;
    int code = upload_start(upload, kept.session, kept.copies);
    upload->may_lose = kept.may_lose;
    if (code == EXIT_OK) code = upload_ask(upload, kept.kept_size + ahead, kept.kept_size + ahead);
    if (code == UPLOAD_FULL) { /* nothing is lost */
        memcpy(kept.why, upload->why, sizeof kept.why);
        upload_stop(upload);
        *upload = kept;
        return code;
    }
    for (size_t i = 0; i < kept.count && code == EXIT_OK; i++) {
        struct msg_block_ref block;
        code = upload_bytes(upload, slice_of(kept.kept + at, kept.blocks[i].size));
        if (code == EXIT_OK) code = upload_end(upload, &block);
        at += kept.blocks[i].size;
    }
    if (code == EXIT_OK && kept.is_open)
        code = upload_bytes(upload, slice_of(kept.kept + at, kept.kept_size - at));
    free(kept.kept);
    free(kept.blocks);
    return code;
}

static bool fits(const struct upload *upload, size_t count)
{
    return upload->block_size + count <= KEPT_BLOCK_MAX && upload->kept_size + count <= KEPT_MAX &&
           upload->count < KEPT_COUNT_MAX;
}

static void keep(struct upload *upload, struct slice bytes)
{
    seal_hasher_update(&upload->hasher, bytes);
    hash_stream_update(&upload->check, bytes.at, bytes.count);
    if (bytes.count > 0) memcpy(upload->kept + upload->kept_size, bytes.at, bytes.count);
    upload->kept_size += bytes.count;
    upload->block_size += bytes.count;
    upload->size += bytes.count;
}

bool upload_take(struct upload *upload, struct msg_small_block **blocks, size_t *count,
                 uint8_t **bytes)
{
    if (!upload->is_kept || upload->count == 0) return false;
    size_t last = upload->count - 1;
    struct msg_small_block *taken = calloc(upload->count, sizeof *taken);
    if (taken == NULL) notice_no_memory();
    const uint8_t *at = upload->kept;
    for (size_t i = 0; i < upload->count; i++) {
        taken[i == last ? 0 : i + 1].bytes = slice_of(at, upload->blocks[i].size);
        at += upload->blocks[i].size;
    }
    *blocks = taken;
    *count = upload->count;
    *bytes = upload->kept;
    upload->kept = NULL;
    return true;
}

/* ---- sending ---- */

int upload_bytes(struct upload *upload, struct slice bytes)
{
    int code = upload->is_open ? EXIT_OK : begin(upload);
    if (upload->is_kept && fits(upload, bytes.count)) {
        keep(upload, bytes);
        return EXIT_OK;
    }
    if (upload->is_kept) code = upload_send(upload);
    if (code == EXIT_OK && !upload->is_open) code = begin(upload);
    while (code == EXIT_OK && bytes.count > 0) {
        size_t count = bytes.count < CHUNK_SIZE ? bytes.count : CHUNK_SIZE;
        struct msg_chunk chunk = {.bytes = slice_of(bytes.at, count)};
        if (upload->is_dry) seal_hasher_update(&upload->hasher, chunk.bytes);
        else hash_stream_update(&upload->check, chunk.bytes.at, chunk.bytes.count);
        upload->block_size += count;
        upload->size += count;
        upload->granted -= count < upload->granted ? count : upload->granted;
        bytes = slice_of(bytes.at + count, bytes.count - count);
        code = send_message(upload, &wire_chunk, &chunk);
    }
    return code;
}

static void add_block(struct upload *upload, const struct msg_block_ref *block)
{
    if (upload->count == upload->capacity) {
        upload->capacity = upload->capacity == 0 ? 64 : 2 * upload->capacity;
        upload->blocks = realloc(upload->blocks, upload->capacity * sizeof *upload->blocks);
        if (upload->blocks == NULL) notice_no_memory();
    }
    upload->blocks[upload->count++] = *block;
}

/* A block that ends with this message, unless it is kept. */
static int end_block(struct upload *upload, const struct msg_block_ref *block,
                     const struct wire_schema *schema, const void *fields)
{
    add_block(upload, block);
    if (upload->is_kept) return EXIT_OK;
    int code = send_message(upload, schema, fields);
    if (upload->is_dry) upload->confirmed = upload->count;
    while (code == EXIT_OK && upload->count - upload->confirmed > UNCONFIRMED_MAX)
        code = take_answer(upload);
    return code;
}

int upload_end(struct upload *upload, struct msg_block_ref *block)
{
    int code = upload->is_open ? EXIT_OK : begin(upload);
    if (code != EXIT_OK) return code;
    upload->checked = hash_stream_final(&upload->check);
    struct msg_store_check end = {upload->block_size, upload->checked};
    *block = (struct msg_block_ref){.size = upload->block_size};
    if (upload->is_kept || upload->is_dry) seal_hasher_final(&upload->hasher, &block->digest);
    upload->is_open = false;
    return end_block(upload, block, &wire_store_check, &end);
}

int upload_lent(struct upload *upload, const struct msg_store_lent *lent,
                struct msg_block_ref *block)
{
    assert(!upload->is_kept && !upload->is_dry && !upload->is_open);
    upload->checked = 0;
    *block = (struct msg_block_ref){.size = lent->size};
    upload->size += lent->size;
    upload->granted -= lent->size < upload->granted ? lent->size : upload->granted;
    return end_block(upload, block, &wire_store_lent, lent);
}

int upload_known(struct upload *upload, const struct msg_block_ref *block)
{
    assert(!upload->is_kept && !upload->is_dry && !upload->is_open && upload->may_lose);
    const struct msg_store_known known = {*block};
    const struct msg_block_ref unknown = {.size = block->size};
    add_block(upload, &unknown);
    int code = send_message(upload, &wire_store_known, &known);
    while (code == EXIT_OK && upload->count - upload->confirmed > KNOWN_MAX)
        code = take_answer(upload);
    return code;
}

void upload_lose(struct upload *upload)
{
    while (upload->confirmed < upload->count) {
        struct msg_block_ref *block = &upload->blocks[upload->confirmed++];
        block->digest = (struct digest){0};
    }
    upload->is_open = upload->is_full = false;
    upload->asks = 0;
    upload->granted = 0;
    connection_close(upload->connection);
    upload->connection = NULL;
}

static int ask_once(struct upload *upload, uint64_t size, uint64_t least)
{
    const struct msg_store_ask ask = {size, least};
    upload->granted = size;
    if (upload->is_kept || upload->is_dry) return EXIT_OK;
    assert(!upload->is_open);
    int code = send_message(upload, &wire_store_ask, &ask);
    upload->asks++;
    while (code == EXIT_OK && upload->asks > 0) code = take_answer(upload);
    if (code != EXIT_OK) return code;
    upload->granted = upload->room.size;
    upload->is_full = false;
    return upload->room.status == 0 ? EXIT_OK : no_room(upload, UPLOAD_FULL);
}

/* A peer of an earlier version ends the stream at store_for, and nothing was sent since. */
int upload_ask(struct upload *upload, uint64_t size, uint64_t least)
{
    int code = ask_once(upload, size, least);
    if (code != UPLOAD_GONE || upload->count > 0 || upload->copies < 2) return code;
    upload->copies = 0;
    code = upload_move(upload, upload->session);
    return code == EXIT_OK ? ask_once(upload, size, least) : code;
}

int upload_keep_alive(struct upload *upload)
{
    static const struct msg_chunk nothing;
    static const struct msg_store_ask question; /* for no bytes: there is room for these */
    if (upload->is_kept) return EXIT_OK;
    if (upload->is_open) return send_message(upload, &wire_chunk, &nothing);
    upload->asks++;
    upload->granted = 0; /* each question takes the place of the one before */
    return send_message(upload, &wire_store_ask, &question);
}

int upload_block(struct upload *upload, struct slice bytes, struct msg_block_ref *block)
{
    assert(!upload->is_open);
    int code = upload_bytes(upload, bytes);
    return code == EXIT_OK ? upload_end(upload, block) : code;
}

int upload_finish(struct upload *upload)
{
    int code = EXIT_OK;
    if (upload->is_kept) return EXIT_OK;
    while (code == EXIT_OK && upload->confirmed < upload->count) code = take_answer(upload);
    return code;
}

/* The command's own may be why we are here. */
static struct connection_config last_limits(const struct session *session)
{
    struct connection_config config = *session_connections(session);
    config.deadline = clock_now() + FORGET_LIMIT;
    config.cancel_fd = -1;
    return config;
}

static void tell_of_end(const struct session *session, const char *peer, bool is_used,
                        const struct msg_block_ref *blocks, size_t count)
{
    struct connection *connection = NULL;
    char why[CONNECTION_WHY_SIZE];
    if (count == 0) return;
    const struct connection_config config = last_limits(session);
    enum arrival arrival = connection_open(&config, peer, CHANNEL_BULK, &connection, why);
    for (size_t i = 0; i < count && arrival == ARRIVAL_OK; i++) {
        if (digest_is_zero(&blocks[i].digest)) continue; /* lost */
        struct msg_unstore unstore = {blocks[i].digest};
        struct msg_store_used used = {blocks[i].digest};
        arrival = is_used ? connection_send(connection, &wire_store_used, &used)
                          : connection_send(connection, &wire_unstore, &unstore);
    }
    connection_close(connection);
}

void upload_forget_legs(const struct session *session, const struct upload_leg *legs,
                        size_t legs_count, const struct msg_block_ref *blocks, size_t count)
{
    for (size_t i = 0; i < legs_count; i++) {
        size_t end = i + 1 < legs_count ? legs[i + 1].first : count;
        tell_of_end(session, legs[i].address, false, blocks + legs[i].first, end - legs[i].first);
    }
}

void upload_used_legs(const struct session *session, const struct upload_leg *legs,
                      size_t legs_count, const struct msg_block_ref *blocks)
{
    for (size_t i = 0; i + 1 < legs_count; i++)
        if (strcmp(legs[i].address, legs[legs_count - 1].address) != 0)
            tell_of_end(session, legs[i].address, true, blocks + legs[i].first,
                        legs[i + 1].first - legs[i].first);
}

/* What the node has answered is told it by digest. What is still on its way when the time is over
 * it lets go of itself, since nobody is left to whom it could say the digest (io/serve.c). */
void upload_forget(struct upload *upload, const struct session *session)
{
    struct msg_block_ref last;
    const struct connection_config limits = last_limits(session);
    int code = upload->connection == NULL ? UPLOAD_GONE : EXIT_OK;
    upload->is_given_up = true;
    if (code == EXIT_OK) connection_limits(upload->connection, &limits);
    if (code == EXIT_OK && upload->is_open) code = upload_end(upload, &last);
    while ((code == EXIT_OK || code == UPLOAD_LOST) && upload->confirmed < upload->count)
        code = take_answer(upload);
    connection_close(upload->connection);
    upload->connection = NULL;
    upload_forget_legs(session, upload->legs, upload->legs_count, upload->blocks,
                       upload->confirmed);
}
