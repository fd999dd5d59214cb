/* The bulk client (fetch.h). A fetch goes through its holders one by one until one gives bytes with
 * the right digest:
 *
 *   WAITING -> ASKING -> RECEIVING -> FINISHING -> PLACING -> gone
 *      ^         ^  |        |            |
 *      |         +--+--------+------------+   this holder failed: the next one
 *      +------------+                         all failed: once more after a second, then given up
 *
 * A holder is given up after 5 s without progress. Streams are kept for a while and used again,
 * since a reduce fetches many parts from the same few nodes and a handshake costs more than a small
 * part. */
#include "io/fetch.h"

#include "base/hash.h"
#include "base/map.h"
#include "io/blocks.h"
#include "io/bulk.h"
#include "io/loop.h"
#include "io/partitioned.h"
#include "io/sink.h"
#include "io/stream.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FETCH_PARALLEL_MAX = 8,          /* keeps a link full and a disk from seeking itself to death */
    FETCH_ROUNDS_MAX = 2,
    FETCH_ROUND_PAUSE = 1 * SECOND,  /* a holder that starts anew is back after about this */
    FETCH_TIMEOUT = 5 * SECOND,      /* without progress */
    FETCH_IDLE_TIMEOUT = 10 * SECOND,/* a stream kept for later */
    FETCH_IDLE_MAX = 16,
};

enum fetch_state {
    FETCH_WAITING,
    FETCH_ASKING,
    FETCH_RECEIVING,
    FETCH_FINISHING, /* all bytes are here; the sink writes and checks the last */
    FETCH_PLACING,   /* becomes a block */
};

struct fetch {
    struct fetches *fetches;
    struct fetch *newer;             /* while WAITING */
    struct fetch_key {
        struct digest digest;
        uint32_t part;
        uint32_t makes_block;
    } key;
    uint64_t block_size;
    enum fetch_state state;
    instant retry;                   /* WAITING: not before */
    struct fetch_want *wants;
    struct msg_block_holder *holders;
    size_t holders_count, holder;
    unsigned round;
    struct stream *stream;
    bool is_list;   /* a manifest: it may use the disk's reserve */
    bool is_reused; /* the stream was kept from before: it may have ended meanwhile */
    struct sink *sink;
    uint64_t size, received;
    bool is_partitioned;
    char path[FILE_PATH_MAX];
    struct block_place *place;
};

struct fetches {
    struct loop *loop;
    struct map map;                  /* of struct fetch by key */
    struct fetch *oldest, *newest;   /* WAITING ones */
    size_t active_count;
    uv_timer_t timer;
    struct stream *idle[FETCH_IDLE_MAX];
    size_t idle_count;
    bool is_closing;
};

static const struct stream_user fetch_user;

static void pump_soon(struct fetches *fetches, duration delay);
static void try_next(struct fetch *fetch);

/* ---- streams kept for later ---- */

static void idle_remove(struct fetches *fetches, struct stream *stream)
{
    for (size_t i = 0; i < fetches->idle_count; i++) {
        if (fetches->idle[i] != stream) continue;
        fetches->idle[i] = fetches->idle[--fetches->idle_count];
        return;
    }
}

static void on_idle_record(struct stream *stream, struct slice bytes)
{
    (void)bytes; /* nobody asked */
    idle_remove(stream->context, stream);
    stream_drop(stream);
}

static void on_idle_closed(struct stream *stream, enum error error, const char *reason)
{
    (void)error;
    (void)reason;
    idle_remove(stream->context, stream);
}

static const struct stream_user idle_user = {NULL, on_idle_record, NULL, on_idle_closed};

static void idle_put(struct fetches *fetches, struct stream *stream)
{
    if (fetches->idle_count == FETCH_IDLE_MAX || fetches->is_closing) {
        stream_end(stream);
        return;
    }
    fetches->idle[fetches->idle_count++] = stream;
    stream->user = &idle_user;
    stream->context = fetches;
    stream_set_deadline(stream, loop_now() + FETCH_IDLE_TIMEOUT);
    stream_resume(stream);
}

static struct stream *idle_take(struct fetches *fetches, const struct address *address)
{
    for (size_t i = 0; i < fetches->idle_count; i++) {
        struct stream *stream = fetches->idle[i];
        if (!address_equal(&stream->address, address)) continue;
        idle_remove(fetches, stream);
        return stream;
    }
    return NULL;
}

/* ---- files fetched for tasks ---- */

struct removal {
    struct chore chore;
    char path[FILE_PATH_MAX];
};

static void run_removal(struct chore *chore) { (void)unlink(((struct removal *)chore)->path); }

static void done_removal(struct chore *chore) { free(chore); }

static void remove_file(struct fetches *fetches, const char *path)
{
    struct removal *removal = malloc(sizeof *removal);
    if (removal == NULL) return; /* the next start deletes it */
    memcpy(removal->path, path, FILE_PATH_MAX);
    chore_start(&fetches->loop->uv, &removal->chore, run_removal, done_removal);
}

void fetched_release(struct fetched *file)
{
    assert(file->holds > 0);
    if (--file->holds > 0) return;
    remove_file(file->fetches, file->path);
    free(file);
}

/* ---- the end of a fetch ---- */

static void fetch_free(struct fetch *fetch)
{
    free(fetch->holders);
    free(fetch->place);
    free(fetch);
}

/* Tells every want. Whoever hears may start and cancel others: so each is taken off before. */
static void tell_all(struct fetch *fetch, enum error error, struct fetched *file)
{
    while (fetch->wants != NULL) {
        struct fetch_want *want = fetch->wants;
        fetch->wants = want->next;
        want->fetch = NULL;
        if (file != NULL) file->holds++;
        want->done(want, error, file);
    }
}

static void finish(struct fetch *fetch, enum error error, struct fetched *file)
{
    struct fetches *fetches = fetch->fetches;
    (void)map_remove(&fetches->map, &fetch->key);
    if (fetch->state != FETCH_WAITING) fetches->active_count--;
    tell_all(fetch, error, file);
    fetch_free(fetch);
    pump_soon(fetches, 0);
}

static struct fetched *fetched_new(struct fetch *fetch)
{
    struct fetched *file = malloc(sizeof *file);
    if (file == NULL) return NULL;
    *file = (struct fetched){.fetches = fetch->fetches, .holds = 1, .size = fetch->size};
    memcpy(file->path, fetch->path, FILE_PATH_MAX);
    return file;
}

static void on_placed(struct block_place *place, enum error error)
{
    struct fetch *fetch = place->context;
    finish(fetch, error, NULL);
}

static void start_place(struct fetch *fetch)
{
    struct block_place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        remove_file(fetch->fetches, fetch->path);
        finish(fetch, ERROR_MEMORY, NULL);
        return;
    }
    fetch->place = place;
    memcpy(place->from, fetch->path, FILE_PATH_MAX);
    place->digest = fetch->key.digest;
    place->size = fetch->size;
    place->is_partitioned = fetch->is_partitioned;
    place->is_durable = true;
    place->context = fetch;
    place->done = on_placed;
    blocks_place(fetch->fetches->loop->blocks, place);
}

static void release_stream(struct fetch *fetch)
{
    if (fetch->stream != NULL) stream_drop(fetch->stream);
    fetch->stream = NULL;
}

/* This holder's bytes are not what the digest says. */
static void blame_holder(struct fetch *fetch)
{
    struct loop *loop = fetch->fetches->loop;
    assert(fetch->holder > 0);
    refusals_note(&loop->refusals, &loop->trace, loop_now(),
                  "a block with other bytes than its digest's",
                  &fetch->holders[fetch->holder - 1].address);
    try_next(fetch);
}

/* The sink is done: the file is complete and right, or it is not. */
static void on_sink_ended(void *context, enum error error, const struct digest *digest,
                          uint64_t size)
{
    struct fetch *fetch = context;
    (void)digest;
    (void)size;
    fetch->sink = NULL;
    if (error != ERROR_NONE) {
        release_stream(fetch);
        if (error == ERROR_CORRUPT) blame_holder(fetch);
        else finish(fetch, error, NULL);
    } else if (fetch->key.makes_block) {
        start_place(fetch);
    } else {
        struct fetched *file = fetched_new(fetch);
        finish(fetch, file == NULL ? ERROR_MEMORY : ERROR_NONE, file);
        if (file != NULL) fetched_release(file);
    }
}

static void on_sink_ready(void *context)
{
    struct fetch *fetch = context;
    if (fetch->state != FETCH_RECEIVING) return;
    stream_set_deadline(fetch->stream, loop_now() + FETCH_TIMEOUT);
    stream_resume(fetch->stream);
}

static const struct sink_user fetch_sink_user = {on_sink_ready, on_sink_ended};

/* ---- from one holder ---- */

static void ask(struct fetch *fetch)
{
    struct msg_fetch message = {.digest = fetch->key.digest, .part = fetch->key.part};
    stream_set_deadline(fetch->stream, loop_now() + FETCH_TIMEOUT);
    bulk_send(fetch->stream, &wire_fetch, &message); /* fetch may be gone now */
}

static bool ask_holder(struct fetch *fetch, const struct address *address)
{
    struct fetches *fetches = fetch->fetches;
    fetch->state = FETCH_ASKING;
    fetch->stream = idle_take(fetches, address);
    fetch->is_reused = fetch->stream != NULL;
    if (fetch->is_reused) {
        fetch->stream->user = &fetch_user;
        fetch->stream->context = fetch;
        ask(fetch);
        return true;
    }
    fetch->stream = stream_connect(fetches->loop->streams, address, CHANNEL_BULK, &fetch_user,
                                   fetch);
    return fetch->stream != NULL;
}

static void wait_until(struct fetch *fetch, instant retry)
{
    struct fetches *fetches = fetch->fetches;
    fetch->state = FETCH_WAITING;
    fetch->retry = retry;
    fetch->newer = NULL;
    if (fetches->oldest == NULL) fetches->oldest = fetch;
    else fetches->newest->newer = fetch;
    fetches->newest = fetch;
    pump_soon(fetches, retry - loop_now());
}

static void end_round(struct fetch *fetch)
{
    fetch->holder = 0;
    if (++fetch->round == FETCH_ROUNDS_MAX || fetch->holders_count == 0) {
        finish(fetch, ERROR_NOT_FOUND, NULL);
        return;
    }
    fetch->fetches->active_count--;
    wait_until(fetch, loop_now() + FETCH_ROUND_PAUSE);
}

static void try_next(struct fetch *fetch)
{
    assert(fetch->stream == NULL && fetch->sink == NULL);
    while (fetch->holder < fetch->holders_count)
        if (ask_holder(fetch, &fetch->holders[fetch->holder++].address)) return;
    end_round(fetch);
}

static void abandon_holder(struct fetch *fetch)
{
    if (fetch->sink != NULL) sink_abort(fetch->sink);
    fetch->sink = NULL;
    release_stream(fetch);
    try_next(fetch);
}

/* What bytes the reply promises: pieces (*count of them, malloc'ed), or NULL when they are not
 * those asked for. */
static struct sink_piece *expect_index(const struct fetch *fetch,
                                       const struct msg_fetch_reply *reply, size_t *count)
{
    struct digest digest;
    uint64_t size;
    /* Its size is what this holder's compressor made of it: only the records are in the name. */
    if (partitioned_check(reply->index, &size) != NULL) return NULL;
    crypto_sodium.digest(partitioned_name(reply->index), &digest);
    if (!digest_equal(&digest, &fetch->key.digest)) return NULL;
    uint32_t segments = partitioned_count(reply->index);
    bool is_whole = fetch->key.part == PART_WHOLE;
    if (is_whole ? reply->size != size : fetch->key.part >= segments) return NULL;
    struct sink_piece *pieces = calloc((size_t)segments + 1, sizeof *pieces);
    if (pieces == NULL) return NULL;
    pieces[0] = (struct sink_piece){
        .size = reply->index.count,
        .check = hash64(reply->index.at, reply->index.count, 0),
        .has_check = true,
    };
    *count = 1;
    for (uint32_t i = 0; i < segments; i++) {
        struct segment segment = partitioned_segment(reply->index, i);
        struct sink_piece piece = {
            .size = segment.size, .check = segment.check, .has_check = true};
        if (is_whole) pieces[(*count)++] = piece;
        else if (i == fetch->key.part) pieces[0] = piece;
    }
    if (is_whole || reply->size == pieces[0].size) return pieces;
    free(pieces);
    return NULL;
}

static struct sink_piece *expect_plain(const struct fetch *fetch,
                                       const struct msg_fetch_reply *reply, size_t *count)
{
    if (fetch->key.part != PART_WHOLE || reply->size != fetch->block_size) return NULL;
    struct sink_piece *pieces = malloc(sizeof *pieces);
    if (pieces != NULL)
        *pieces = (struct sink_piece){.size = reply->size, .digest = fetch->key.digest};
    *count = 1;
    return pieces;
}

static void complete(struct fetch *fetch)
{
    idle_put(fetch->fetches, fetch->stream);
    fetch->stream = NULL;
    fetch->state = FETCH_FINISHING;
    sink_finish(fetch->sink, fetch->key.makes_block);
}

/* These return false when the stream is no longer this fetch's, which may be gone. */
static bool on_reply(struct fetch *fetch, const struct msg_fetch_reply *reply)
{
    struct loop *loop = fetch->fetches->loop;
    size_t count = 0;
    if (reply->status != ERROR_NONE) { /* this one hasn't got it */
        idle_put(fetch->fetches, fetch->stream);
        fetch->stream = NULL;
        try_next(fetch);
        return false;
    }
    struct sink_piece *pieces = reply->index.count > 0 ? expect_index(fetch, reply, &count)
                                                       : expect_plain(fetch, reply, &count);
    if (pieces != NULL) {
        blocks_temporary(loop->blocks, fetch->path);
        fetch->sink = sink_open(loop, fetch->path, pieces, count, &fetch_sink_user, fetch);
        free(pieces);
        if (fetch->sink != NULL && fetch->is_list) sink_use_reserve(fetch->sink);
    }
    if (fetch->sink == NULL) {
        abandon_holder(fetch);
        return false;
    }
    fetch->is_partitioned = reply->index.count > 0;
    fetch->size = reply->size;
    fetch->received = 0;
    fetch->state = FETCH_RECEIVING;
    if (fetch->size > 0) return true;
    complete(fetch);
    return false;
}

static bool on_chunk(struct fetch *fetch, struct slice bytes)
{
    if (bytes.count == 0 || bytes.count > fetch->size - fetch->received) {
        abandon_holder(fetch);
        return false;
    }
    fetch->received += bytes.count;
    bool has_room = sink_write(fetch->sink, bytes);
    if (fetch->received == fetch->size) {
        complete(fetch);
        return false;
    }
    if (!has_room) stream_pause(fetch->stream);
    stream_set_deadline(fetch->stream, has_room ? loop_now() + FETCH_TIMEOUT : INSTANT_NEVER);
    return true;
}

static bool on_message(struct fetch *fetch, struct slice *record)
{
    struct bulk_scratch scratch;
    struct wire_message message;
    const char *reason = bulk_unpack(record, &message, &scratch);
    if (reason == NULL && message.type == MSG_fetch_reply && fetch->state == FETCH_ASKING)
        return on_reply(fetch, message.fields);
    if (reason == NULL && message.type == MSG_chunk && fetch->state == FETCH_RECEIVING)
        return on_chunk(fetch, ((const struct msg_chunk *)message.fields)->bytes);
    abandon_holder(fetch);
    return false;
}

static void on_record(struct stream *stream, struct slice bytes)
{
    struct fetch *fetch = stream->context;
    bool goes_on = true;
    while (goes_on && bytes.count > 0) goes_on = on_message(fetch, &bytes);
}

static void on_opened(struct stream *stream) { ask(stream->context); }

static void on_closed(struct stream *stream, enum error error, const char *reason)
{
    struct fetch *fetch = stream->context;
    struct loop *loop = fetch->fetches->loop;
    char text[ADDRESS_TEXT_SIZE];
    trace_line(&loop->trace, TRACE_DEBUG, "event=fetch_failed from=%s error=\"%s\" reason=\"%s\"",
               address_text(&stream->address, text), error_text(error), reason);
    fetch->stream = NULL;
    if (fetch->is_reused && fetch->state == FETCH_ASKING)
        fetch->holder--; /* it was stale: connect anew */
    abandon_holder(fetch);
}

static const struct stream_user fetch_user = {on_opened, on_record, NULL, on_closed};

/* ---- waiting ---- */

/* The oldest one whose time has come, taken out of the list; *next: when the first of the others
 * may go. */
static struct fetch *take_due(struct fetches *fetches, instant now, instant *next)
{
    struct fetch *before = NULL;
    *next = INSTANT_NEVER;
    for (struct fetch *fetch = fetches->oldest; fetch != NULL;
         before = fetch, fetch = fetch->newer) {
        *next = instant_min(*next, fetch->retry);
        if (fetch->retry > now) continue;
        *(before != NULL ? &before->newer : &fetches->oldest) = fetch->newer;
        if (fetches->newest == fetch) fetches->newest = before;
        return fetch;
    }
    return NULL;
}

static void on_pump(uv_timer_t *timer)
{
    struct fetches *fetches = timer->data;
    instant now = loop_now(), next = INSTANT_NEVER;
    while (fetches->active_count < FETCH_PARALLEL_MAX) {
        struct fetch *fetch = take_due(fetches, now, &next);
        if (fetch == NULL) break;
        fetches->active_count++;
        fetch->state = FETCH_ASKING;
        try_next(fetch);
    }
    if (fetches->active_count < FETCH_PARALLEL_MAX && next != INSTANT_NEVER)
        pump_soon(fetches, next - now);
}

static void pump_soon(struct fetches *fetches, duration delay)
{
    uint64_t ms = delay <= 0 ? 0 : (uint64_t)delay / MILLISECOND + 1;
    uv_timer_t *timer = &fetches->timer;
    if (fetches->is_closing) return;
    if (uv_is_active((uv_handle_t *)timer) && uv_timer_get_due_in(timer) <= ms) return;
    (void)uv_timer_start(timer, on_pump, ms, 0);
}

/* ---- wants ---- */

/* One under way for the same bytes; a block in the making serves a task as well. */
static struct fetch *find_same(const struct fetches *fetches, struct fetch_key key)
{
    struct fetch *fetch = NULL;
    if (!key.makes_block) {
        struct fetch_key other = key;
        other.makes_block = true;
        fetch = map_get(&fetches->map, &other);
    }
    return fetch != NULL ? fetch : map_get(&fetches->map, &key);
}

/* Without ourselves and without those that have no address. */
static bool copy_holders(struct fetch *fetch, const struct msg_block_holder *holders, size_t count)
{
    fetch->holders = malloc((count + 1) * sizeof *holders);
    if (fetch->holders == NULL) return false;
    for (size_t i = 0; i < count; i++)
        if (!id_equal(&holders[i].node, &fetch->fetches->loop->self) &&
            !address_is_none(&holders[i].address))
            fetch->holders[fetch->holders_count++] = holders[i];
    return true;
}

enum error fetch_start(struct fetches *fetches, struct fetch_want *want,
                       const struct msg_block_ref *block, uint32_t part,
                       const struct msg_block_holder *holders, size_t holders_count)
{
    struct fetch_key key = {block->digest, part, want->makes_block};
    assert(want->fetch == NULL && (part == PART_WHOLE || !want->makes_block));
    if (fetches->is_closing) return ERROR_CLOSED;
    struct fetch *fetch = find_same(fetches, key);
    if (fetch == NULL) {
        fetch = calloc(1, sizeof *fetch);
        if (fetch == NULL) return ERROR_MEMORY;
        fetch->fetches = fetches;
        fetch->key = key;
        fetch->block_size = block->size;
        if (!copy_holders(fetch, holders, holders_count) ||
            map_add(&fetches->map, fetch) != ERROR_NONE) {
            fetch_free(fetch);
            return ERROR_MEMORY;
        }
        wait_until(fetch, loop_now());
    }
    want->fetch = fetch;
    want->next = fetch->wants;
    fetch->wants = want;
    return ERROR_NONE;
}

static void list_remove(struct fetch *fetch)
{
    struct fetches *fetches = fetch->fetches;
    struct fetch *before = NULL;
    for (struct fetch *at = fetches->oldest; at != fetch; at = at->newer) before = at;
    *(before != NULL ? &before->newer : &fetches->oldest) = fetch->newer;
    if (fetches->newest == fetch) fetches->newest = before;
}

/* Nobody wants it any more. What is being placed goes on: it is a good block. */
static void give_up(struct fetch *fetch)
{
    if (fetch->state == FETCH_PLACING) return;
    if (fetch->state == FETCH_WAITING) list_remove(fetch);
    if (fetch->sink != NULL) sink_abort(fetch->sink);
    release_stream(fetch);
    finish(fetch, ERROR_NONE, NULL);
}

void fetch_cancel(struct fetch_want *want)
{
    struct fetch *fetch = want->fetch;
    if (fetch == NULL) return;
    struct fetch_want **link = &fetch->wants;
    while (*link != want) link = &(*link)->next;
    *link = want->next;
    want->fetch = NULL;
    if (fetch->wants == NULL) give_up(fetch);
}

/* ---- blocks that the core wants ---- */

struct block_want {
    struct fetch_want want;
    struct loop *loop;
    uint64_t token;
    struct msg_block_ref block;
};

static void on_block(struct fetch_want *want, enum error error, struct fetched *file)
{
    struct block_want *block_want = (struct block_want *)want;
    struct event event = {.kind = error == ERROR_NONE ? EVENT_BLOCK_STORED : EVENT_BLOCK_FAILED};
    assert(file == NULL);
    if (error == ERROR_NONE) {
        event.block_stored.token = block_want->token;
        event.block_stored.block = block_want->block;
    } else {
        event.block_failed.token = block_want->token;
        event.block_failed.digest = block_want->block.digest;
        event.block_failed.error = error;
    }
    loop_feed(block_want->loop, &event);
    free(block_want);
}

void fetch_block(struct fetches *fetches, uint64_t token, const struct msg_block_ref *block,
                 bool is_list, const struct msg_block_holder *holders, size_t holders_count)
{
    const struct block *here = blocks_find(fetches->loop->blocks, &block->digest);
    struct block_want *want = calloc(1, sizeof *want);
    if (want == NULL) return; /* the core asks again */
    *want = (struct block_want){.loop = fetches->loop, .token = token, .block = *block};
    want->want.makes_block = true;
    want->want.done = on_block;
    enum error error = ERROR_NONE;
    if (here == NULL)
        error = fetch_start(fetches, &want->want, block, PART_WHOLE, holders, holders_count);
    if (want->want.fetch != NULL && is_list) want->want.fetch->is_list = true;
    if (want->want.fetch == NULL) on_block(&want->want, error, NULL);
}

/* ---- all of them ---- */

enum error fetches_open(struct loop *loop, struct fetches **out)
{
    struct fetches *fetches = calloc(1, sizeof *fetches);
    if (fetches == NULL) return ERROR_MEMORY;
    fetches->loop = loop;
    map_init(&fetches->map, &loop->memory, offsetof(struct fetch, key), sizeof(struct fetch_key));
    if (uv_timer_init(&loop->uv, &fetches->timer) != 0) abort(); /* it only fills in a struct */
    fetches->timer.data = fetches;
    *out = fetches;
    return ERROR_NONE;
}

static struct fetch *any_fetch(const struct fetches *fetches)
{
    size_t cursor = 0;
    struct fetch *fetch;
    while ((fetch = map_next(&fetches->map, &cursor)) != NULL)
        if (fetch->state != FETCH_PLACING) return fetch;
    return NULL;
}

void fetches_close(struct fetches *fetches)
{
    struct fetch *fetch;
    if (fetches->is_closing) return;
    fetches->is_closing = true;
    while ((fetch = any_fetch(fetches)) != NULL) {
        if (fetch->state == FETCH_WAITING) list_remove(fetch);
        if (fetch->sink != NULL) sink_abort(fetch->sink);
        release_stream(fetch);
        finish(fetch, ERROR_CLOSED, NULL); /* events of a stopped loop go nowhere */
    }
    while (fetches->idle_count > 0) stream_end(fetches->idle[--fetches->idle_count]);
    uv_close((uv_handle_t *)&fetches->timer, NULL);
}

void fetches_free(struct fetches *fetches)
{
    if (fetches == NULL) return;
    assert(fetches->map.count == 0);
    map_deinit(&fetches->map);
    free(fetches);
}
