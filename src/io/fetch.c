/* The bulk client (fetch.h). A fetch goes through its holders one by one until all bytes are here
 * and have the right digest:
 *
 *   WAITING -> ASKING -> RECEIVING -> FINISHING -> PLACING -> gone
 *      ^         ^  |        |            |
 *      |         +--+--------+------------+   this holder failed: the next one
 *      +------------+                         all failed: once more after a second, then given up
 *
 * A holder is given up after 5 s without progress (it may take longer to look at a large block
 * first). What it gave stays: the next one (or the same again) is asked for the rest, as long as
 * it stores the same bytes under that digest. Should the whole turn out wrong, and come from
 * several, nobody knows whose fault it is: then it is fetched anew, of one holder at a time. A
 * round of holders that brought the fetch on is not counted. */
#include "io/fetch.h"

#include "base/hash.h"
#include "base/map.h"
#include "io/blocks.h"
#include "io/bulk.h"
#include "io/expect.h"
#include "io/fetched.h"
#include "io/reuse.h"
#include "io/loop.h"
#include "io/partitioned.h"
#include "io/sink.h"
#include "io/stream.h"
#include "node/metrics.h"
#include "node/node.h"
#include "wire/kinds.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FETCH_PARALLEL_MAX = 8, /* keeps a link full and a disk from seeking itself to death */
    FETCH_ROUNDS_MAX = 2,
    FETCH_ROUND_PAUSE = 1 * SECOND, /* a holder that starts anew is back after about this */
    FETCH_TIMEOUT = 5 * SECOND,     /* without progress */
    FETCH_LOOK_RATE = 8 << 20,      /* bytes a second that a holder looks through at first,
                                       on a disk with much else to do */
    FETCH_LOOK_MAX = 256 << 20,     /* half a minute */
    FETCH_HOLDERS_MAX = 64,         /* of all who want it; four times what one of them names */
    FETCH_STEP = 16 << 10,          /* bytes that are progress: less each 5 s would be endless */
    FETCH_ADVANCE = 1 << 20,        /* bytes that a round must bring so as not to count */
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
    struct fetch *next; /* while WAITING */
    struct fetch_key {
        struct digest digest;
        uint32_t part;
        uint32_t makes_block;
    } key;
    uint64_t block_size;
    enum fetch_state state;
    instant retry; /* WAITING: not before */
    struct fetch_want *wants;
    struct msg_block_holder *holders;
    size_t holders_count, holder;
    unsigned round;
    struct stream *stream;
    bool is_list;      /* a manifest: it goes first, and may use the disk's reserve */
    bool is_reused;    /* the stream was kept from before: it may have ended meanwhile */
    bool is_held;      /* ASKING, as soon as the sink has room again */
    bool is_mixed;     /* the bytes in the sink are of several holders */
    bool is_single;    /* they may not be any more */
    struct sink *sink; /* stays from holder to holder, with the first `received` bytes */
    uint64_t size, received;
    uint64_t received_before; /* this round */
    uint64_t counted;         /* when the holder last got time anew */
    unsigned begun;           /* how often, from the first byte on */
    struct digest records;    /* of a part of a partitioned block; else zeros */
    uint64_t index_hash;      /* of how they are stored, where they come from */
    struct address source;    /* who gave the last of them */
    bool is_partitioned;
    char path[FILE_PATH_MAX];
    struct block_place *place;
};

struct fetches {
    struct loop *loop;
    struct map map;             /* of struct fetch by key */
    struct fetch *first, *last; /* WAITING ones, in the order in which they go on */
    size_t active_count;
    uv_timer_t timer;
    struct reuse reuse;
    bool is_closing;
};

static const struct stream_user fetch_user;

static void pump_soon(struct fetches *fetches, duration delay);
static void try_next(struct fetch *fetch);
static void list_remove(struct fetch *fetch);
static void ask(struct fetch *fetch);

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

static void on_placed(struct block_place *place, enum error error)
{
    struct fetch *fetch = place->context;
    finish(fetch, error, NULL);
}

static void start_place(struct fetch *fetch)
{
    struct block_place *place = calloc(1, sizeof *place);
    if (place == NULL) {
        fetched_remove(fetch->fetches->loop, fetch->path);
        finish(fetch, ERROR_MEMORY, NULL);
        return;
    }
    fetch->state = FETCH_PLACING;
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
    fetch->is_held = false;
}

/* For the next fetch from there. */
static void give_back(struct fetch *fetch)
{
    if (fetch->fetches->is_closing) stream_end(fetch->stream);
    else reuse_put(&fetch->fetches->reuse, fetch->stream);
    fetch->stream = NULL;
}

static void drop_sink(struct fetch *fetch)
{
    if (fetch->sink != NULL) sink_abort(fetch->sink);
    fetch->sink = NULL;
}

/* The bytes are not what the digest says. */
static void begin_anew(struct fetch *fetch)
{
    struct loop *loop = fetch->fetches->loop;
    if (!fetch->is_mixed)
        refusals_note(&loop->refusals, &loop->trace, loop_now(),
                      "a block with other bytes than its digest's", &fetch->source);
    fetch->is_single = fetch->is_single || fetch->is_mixed;
    try_next(fetch);
}

/* In the midst of something, as far as the others are concerned. */
static void stop_waiting(struct fetch *fetch)
{
    if (fetch->state != FETCH_WAITING) return;
    list_remove(fetch);
    fetch->fetches->active_count++;
    fetch->state = FETCH_ASKING;
}

/* The sink is done: the file is complete and right, or it is not. */
static void on_sink_ended(void *context, enum error error, const struct digest *digest,
                          uint64_t size)
{
    struct fetch *fetch = context;
    (void)digest;
    (void)size;
    fetch->sink = NULL;
    fetch->is_held = false;
    if (error != ERROR_NONE) {
        stop_waiting(fetch);
        release_stream(fetch);
        if (error == ERROR_CORRUPT) begin_anew(fetch);
        else finish(fetch, error, NULL);
    } else if (fetch->key.makes_block) {
        start_place(fetch);
    } else {
        struct fetched *file = fetched_new(fetch->fetches->loop, fetch->path, fetch->size);
        if (file != NULL) file->records = fetch->records;
        finish(fetch, file == NULL ? ERROR_MEMORY : ERROR_NONE, file);
        if (file != NULL) fetched_release(file);
    }
}

static void give_time(struct fetch *fetch)
{
    fetch->counted = fetch->received;
    stream_set_deadline(fetch->stream, loop_now() + FETCH_TIMEOUT);
}

static void on_sink_ready(void *context)
{
    struct fetch *fetch = context;
    if (fetch->state == FETCH_ASKING && fetch->is_held) {
        ask(fetch);
        return;
    }
    if (fetch->state != FETCH_RECEIVING) return;
    give_time(fetch);
    stream_resume(fetch->stream);
}

static const struct sink_user fetch_sink_user = {on_sink_ready, on_sink_ended};

/* ---- from one holder ---- */

/* A holder reads a block whole before it gives it away (verify.c), when it has not for long. */
static duration look_time(const struct fetch *fetch)
{
    uint64_t size = fetch->block_size < FETCH_LOOK_MAX ? fetch->block_size : FETCH_LOOK_MAX;
    return (duration)(size * SECOND / FETCH_LOOK_RATE);
}

/* The rest. A record must fit into the sink when it comes. */
static void ask(struct fetch *fetch)
{
    struct msg_fetch message = {.digest = fetch->key.digest, .part = fetch->key.part};
    fetch->is_held = fetch->sink != NULL && !sink_has_room(fetch->sink);
    if (fetch->is_held) return;
    if (fetch->sink != NULL) message.offset = fetch->received;
    stream_set_deadline(fetch->stream, loop_now() + FETCH_TIMEOUT + look_time(fetch));
    bulk_send(fetch->stream, &wire_fetch, &message); /* fetch may be gone now */
}

static bool ask_holder(struct fetch *fetch, const struct address *address)
{
    struct fetches *fetches = fetch->fetches;
    fetch->state = FETCH_ASKING;
    fetch->stream = reuse_take(&fetches->reuse, address);
    fetch->is_reused = fetch->stream != NULL;
    if (fetch->is_reused) {
        fetch->stream->user = &fetch_user;
        fetch->stream->context = fetch;
        ask(fetch);
        return true;
    }
    fetch->stream =
        stream_connect(fetches->loop->streams, address, CHANNEL_BULK, &fetch_user, fetch);
    return fetch->stream != NULL;
}

static void wait_until(struct fetch *fetch, instant retry)
{
    struct fetches *fetches = fetch->fetches;
    fetch->state = FETCH_WAITING;
    fetch->retry = retry;
    /* Somebody waits for all that a list lists. */
    bool goes_first = fetch->is_list || fetches->first == NULL;
    fetch->next = goes_first ? fetches->first : NULL;
    *(goes_first ? &fetches->first : &fetches->last->next) = fetch;
    if (fetch->next == NULL) fetches->last = fetch;
    pump_soon(fetches, retry - loop_now());
}

static void end_round(struct fetch *fetch)
{
    uint64_t received = fetch->sink == NULL ? 0 : fetch->received;
    bool has_advanced =
        fetch->begun <= FETCH_ROUNDS_MAX && received >= fetch->received_before + FETCH_ADVANCE;
    fetch->holder = 0;
    fetch->received_before = received;
    if (received < FETCH_ADVANCE) drop_sink(fetch); /* its file would stay open for little */
    if (!has_advanced) fetch->round++;
    if (fetch->round >= FETCH_ROUNDS_MAX || fetch->holders_count == 0) {
        drop_sink(fetch);
        finish(fetch, ERROR_NOT_FOUND, NULL);
        return;
    }
    fetch->fetches->active_count--;
    wait_until(fetch, loop_now() + FETCH_ROUND_PAUSE);
}

static void try_next(struct fetch *fetch)
{
    assert(fetch->stream == NULL);
    while (fetch->holder < fetch->holders_count)
        if (ask_holder(fetch, &fetch->holders[fetch->holder++].address)) return;
    end_round(fetch);
}

/* It broke the rules: nothing of it is kept. */
static void abandon_holder(struct fetch *fetch)
{
    drop_sink(fetch);
    release_stream(fetch);
    try_next(fetch);
}

/* It broke off: others go on where it stopped. */
static void lose_holder(struct fetch *fetch)
{
    if (fetch->is_single) drop_sink(fetch);
    release_stream(fetch);
    try_next(fetch);
}

static void complete(struct fetch *fetch)
{
    give_back(fetch);
    fetch->state = FETCH_FINISHING;
    sink_finish(fetch->sink, fetch->key.makes_block);
}

static void open_sink(struct fetch *fetch, const struct sink_piece *pieces, size_t count,
                      uint64_t size)
{
    struct loop *loop = fetch->fetches->loop;
    blocks_temporary(loop->blocks, fetch->path);
    fetch->sink = sink_open(loop, fetch->path, pieces, count, &fetch_sink_user, fetch);
    if (fetch->sink != NULL && fetch->is_list) sink_use_reserve(fetch->sink);
    if (fetch->sink != NULL) sink_need(fetch->sink, size);
    fetch->received = fetch->received_before = 0;
    fetch->begun++;
    fetch->is_mixed = false;
}

/* Opens the sink, or goes on with it; it stores the same records in its own way: then all of it. */
static void go_on(struct fetch *fetch, const struct sink_piece *pieces, size_t count, uint64_t size,
                  struct slice index)
{
    char text[ADDRESS_TEXT_SIZE];
    uint64_t hash = hash64(index.at, index.count, 0);
    const struct address *address = &fetch->stream->address;
    if (fetch->sink == NULL) open_sink(fetch, pieces, count, size);
    else if (size != fetch->size || hash != fetch->index_hash) drop_sink(fetch);
    else {
        node_add(fetch->fetches->loop->node, METRIC_fetch_bytes_resumed, fetch->received);
        fetch->is_mixed = fetch->is_mixed || !address_equal(&fetch->source, address);
    }
    trace_line(&fetch->fetches->loop->trace, TRACE_DEBUG,
               "event=fetch from=%s size=%" PRIu64 " offset=%" PRIu64, address_text(address, text),
               size, fetch->sink == NULL ? 0 : fetch->received);
    fetch->size = size;
    fetch->index_hash = hash;
    fetch->is_partitioned = index.count > 0;
    if (fetch->is_partitioned && fetch->key.part != PART_WHOLE)
        fetch->records = partitioned_segment(index, fetch->key.part).records;
    fetch->source = *address;
}

/* These return false when the stream is no longer this fetch's, which may be gone. */

/* This holder again, from the first byte on. */
static bool ask_for_all(struct fetch *fetch)
{
    fetch->holder--;
    abandon_holder(fetch);
    return false;
}

static bool on_refusal(struct fetch *fetch, enum error error)
{
    /* It may store the same records in fewer bytes than are here of another's. */
    if (error == ERROR_INVALID && fetch->sink != NULL) return ask_for_all(fetch);
    give_back(fetch);
    try_next(fetch);
    return false;
}

static bool on_reply(struct fetch *fetch, const struct msg_fetch_reply *reply)
{
    bool goes_on = fetch->sink != NULL;
    struct expect expect = {.digest = fetch->key.digest,
                            .part = fetch->key.part,
                            .block_size = fetch->block_size,
                            .offset = goes_on ? fetch->received : 0};
    size_t count;
    uint64_t size;
    if (reply->status != ERROR_NONE) return on_refusal(fetch, reply->status);
    struct sink_piece *pieces = expect_pieces(&expect, reply, &count, &size);
    if (pieces == NULL) {
        lose_holder(fetch);
        return false;
    }
    go_on(fetch, pieces, count, size, reply->index);
    free(pieces);
    if (fetch->sink == NULL && goes_on) return ask_for_all(fetch);
    if (fetch->sink == NULL) {
        abandon_holder(fetch);
        return false;
    }
    fetch->state = FETCH_RECEIVING;
    give_time(fetch);
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
    node_add(fetch->fetches->loop->node, METRIC_fetch_bytes, bytes.count);
    bool has_room = sink_write(fetch->sink, bytes);
    if (fetch->received == fetch->size) {
        complete(fetch);
        return false;
    }
    if (!has_room) {
        stream_pause(fetch->stream);
        stream_set_deadline(fetch->stream, INSTANT_NEVER);
    } else if (fetch->received - fetch->counted >= FETCH_STEP) {
        give_time(fetch);
    }
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
    fetch->is_held = false;
    if (fetch->is_reused && fetch->state == FETCH_ASKING)
        fetch->holder--; /* it was stale: connect anew */
    lose_holder(fetch);
}

static const struct stream_user fetch_user = {on_opened, on_record, NULL, on_closed};

/* ---- waiting ---- */

/* The first one whose time has come, taken out of the list; *next: when the first of the others
 * may go. */
static struct fetch *take_due(struct fetches *fetches, instant now, instant *next)
{
    struct fetch *before = NULL;
    *next = INSTANT_NEVER;
    for (struct fetch *fetch = fetches->first; fetch != NULL; before = fetch, fetch = fetch->next) {
        *next = instant_min(*next, fetch->retry);
        if (fetch->retry > now) continue;
        *(before != NULL ? &before->next : &fetches->first) = fetch->next;
        if (fetches->last == fetch) fetches->last = before;
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

static bool has_holder(const struct fetch *fetch, const struct msg_block_holder *holder)
{
    for (size_t i = 0; i < fetch->holders_count; i++)
        if (address_equal(&fetch->holders[i].address, &holder->address)) return true;
    return false;
}

/* Without ourselves, those that have no address, and those that are known already: each want may
 * know of others. */
static bool add_holders(struct fetch *fetch, const struct msg_block_holder *holders, size_t count)
{
    size_t size = (fetch->holders_count + count + 1) * sizeof *holders;
    struct msg_block_holder *more = realloc(fetch->holders, size);
    if (more == NULL) return false;
    fetch->holders = more;
    for (size_t i = 0; i < count && fetch->holders_count < FETCH_HOLDERS_MAX; i++)
        if (!id_equal(&holders[i].node, &fetch->fetches->loop->self) &&
            !address_is_none(&holders[i].address) && !has_holder(fetch, &holders[i]))
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
        fetch->is_list = want->is_list;
        if (!add_holders(fetch, holders, holders_count) ||
            map_add(&fetches->map, fetch) != ERROR_NONE) {
            fetch_free(fetch);
            return ERROR_MEMORY;
        }
        wait_until(fetch, loop_now());
    } else if (!add_holders(fetch, holders, holders_count)) {
        return ERROR_MEMORY;
    }
    bool goes_first = want->is_list && !fetch->is_list && fetch->state == FETCH_WAITING;
    fetch->is_list = fetch->is_list || want->is_list;
    if (goes_first) {
        list_remove(fetch);
        wait_until(fetch, fetch->retry);
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
    for (struct fetch *at = fetches->first; at != fetch; at = at->next) before = at;
    *(before != NULL ? &before->next : &fetches->first) = fetch->next;
    if (fetches->last == fetch) fetches->last = before;
}

/* Nobody wants it any more. What is being placed goes on: it is a good block. */
static void give_up(struct fetch *fetch)
{
    if (fetch->state == FETCH_PLACING) return;
    if (fetch->state == FETCH_WAITING) list_remove(fetch);
    drop_sink(fetch);
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
        drop_sink(fetch);
        release_stream(fetch);
        finish(fetch, ERROR_CLOSED, NULL); /* events of a stopped loop go nowhere */
    }
    reuse_end(&fetches->reuse);
    uv_close((uv_handle_t *)&fetches->timer, NULL);
}

void fetches_free(struct fetches *fetches)
{
    if (fetches == NULL) return;
    assert(fetches->map.count == 0);
    map_deinit(&fetches->map);
    free(fetches);
}
