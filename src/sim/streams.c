/* Records travel in a pipe each way: a FIFO whose head is delivered when it has arrived and the
 * link is whole. While a link is cut the head waits (TCP's retransmission) until the sweep gives
 * the stream up. Every delivery looks the stream up by number, so that nothing is ever told of a
 * stream that is gone. */
#include "sim/streams.h"

#include "sim/client.h"
#include "sim/history.h"
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>

enum {
    BYTES_PER_MICROSECOND = 100, /* 100 MB/s: a rack's link */
    UNSENT_MAX = 64 << 20,       /* a stream whose unsent bytes pass this is closed (action.h) */
    RETRY_DELAY = 100 * MILLISECOND, /* while a link is cut the head is tried so often */
    GIVE_UP_AFTER = 3 * SECOND,      /* a cut link breaks its streams then */
    SILENCE_MAX = 15 * SECOND,       /* an end without power is noticed within (keepalive) */
};

void streams_init(struct streams *streams, struct memory *memory)
{
    *streams = (struct streams){.odd_next = 1};
    map_init(&streams->by_number, memory, offsetof(struct stream, number), sizeof(uint64_t));
    map_init(&streams->by_end, memory, offsetof(struct stream_end, key), 2 * sizeof(uint64_t));
}

static void pipe_empty(struct stream_pipe *pipe)
{
    while (pipe->first != NULL) {
        struct stream_record *record = pipe->first;
        pipe->first = record->next;
        free(record);
    }
    pipe->last = NULL;
    pipe->size = 0;
}

static void stream_free(struct streams *streams, struct stream *stream)
{
    (void)map_remove(&streams->by_number, &stream->number);
    for (int side = 0; side < 2; side++) {
        pipe_empty(&stream->pipes[side]);
        struct stream_end *end = &stream->ends[side];
        if (end->key.id != 0 && map_get(&streams->by_end, &end->key) == end)
            (void)map_remove(&streams->by_end, &end->key);
    }
    if (stream->next != NULL) stream->next->previous = stream->previous;
    if (stream->previous != NULL) stream->previous->next = stream->next;
    else streams->all = stream->next;
    free(stream);
}

void streams_deinit(struct streams *streams)
{
    while (streams->all != NULL) stream_free(streams, streams->all);
    map_deinit(&streams->by_number);
    map_deinit(&streams->by_end);
}

static struct stream_end *end_find(struct streams *streams, uint32_t party, uint64_t id)
{
    struct stream_end wanted = {.key = {id, party}};
    return map_get(&streams->by_end, &wanted.key);
}

static void end_attach(struct streams *streams, struct stream_end *end, uint32_t party, uint64_t id)
{
    end->key.id = id;
    end->key.party = party;
    end->is_attached = true;
    enum error error = map_add(&streams->by_end, end);
    assert(error == ERROR_NONE);
    (void)error;
}

/* The end wants no more events; with both gone the stream goes. */
static void end_detach(struct streams *streams, struct stream *stream, uint32_t side)
{
    struct stream_end *end = &stream->ends[side];
    if (end->is_attached && end->key.id != 0) (void)map_remove(&streams->by_end, &end->key);
    end->is_attached = false;
    pipe_empty(&stream->pipes[side]);
    if (!stream->ends[1 - side].is_attached) stream_free(streams, stream);
}

static uint32_t party_life(struct world *world, uint64_t party)
{
    return party < world->hosts_count ? world->hosts[party].life : LIFE_ANY;
}

static void push(struct world *world, enum happening_kind kind, struct stream *stream,
                 uint32_t side, instant at)
{
    uint64_t party = stream->ends[side].key.party;
    queue_push(&world->queue, (struct happening){.at = at,
                                                 .kind = kind,
                                                 .host = (uint32_t)party,
                                                 .life = party_life(world, party),
                                                 .side = side,
                                                 .number = stream->number});
}

static void tell_closed(struct world *world, struct stream *stream, uint32_t side, instant at)
{
    stream->state = STREAM_BROKEN;
    if (stream->ends[side].is_attached) push(world, HAPPEN_STREAM_CLOSED, stream, side, at);
}

/* ---- actions ---- */

void streams_open(struct world *world, uint32_t party, uint64_t id, const struct address *to,
                  enum channel_purpose purpose)
{
    struct streams *streams = &world->streams;
    struct network *network = &world->network;
    uint32_t target = network_index(network, to);
    struct stream *stream = calloc(1, sizeof *stream);
    assert(stream != NULL && end_find(streams, party, id) == NULL);
    stream->number = ++streams->number_last;
    stream->purpose = purpose;
    stream->ends[0].stream = stream->ends[1].stream = stream;
    stream->next = streams->all;
    if (streams->all != NULL) streams->all->previous = stream;
    streams->all = stream;
    enum error error = map_add(&streams->by_number, stream);
    assert(error == ERROR_NONE);
    (void)error;
    end_attach(streams, &stream->ends[0], party, id);
    stream->ends[1].key.party = target;
    bool is_there = target < world->hosts_count && world->hosts[target].state != HOST_DOWN;
    bool is_cut = is_there && (network_is_cut(network, party, target) ||
                               network_is_cut(network, target, party));
    duration delay = network_delay(network);
    if (is_there && !is_cut) push(world, HAPPEN_STREAM_ACCEPT, stream, 1, world->now + 3 * delay);
    else tell_closed(world, stream, 0, world->now + (is_cut ? GIVE_UP_AFTER : 2 * delay));
}

static void pipe_push(struct world *world, struct stream *stream, uint32_t to, struct slice bytes,
                      bool is_goodbye)
{
    struct stream_pipe *pipe = &stream->pipes[to];
    struct stream_record *record = malloc(sizeof *record + bytes.count);
    assert(record != NULL);
    instant arrives = world->now + network_delay(&world->network);
    if (arrives < pipe->arrived_last) arrives = pipe->arrived_last;
    arrives += (duration)(bytes.count / BYTES_PER_MICROSECOND) + 1;
    *record = (struct stream_record){.arrives = arrives, .is_goodbye = is_goodbye};
    record->count = bytes.count;
    if (bytes.count > 0) memcpy(record->bytes, bytes.at, bytes.count);
    if (pipe->last == NULL) pipe->first = record;
    else pipe->last->next = record;
    pipe->last = record;
    pipe->size += bytes.count;
    pipe->arrived_last = arrives;
    if (!pipe->is_head_due) {
        pipe->is_head_due = true;
        push(world, HAPPEN_STREAM_HEAD, stream, to, pipe->first->arrives);
    }
}

void streams_send(struct world *world, uint32_t party, uint64_t id, struct slice bytes)
{
    struct stream_end *end = end_find(&world->streams, party, id);
    if (bytes.count > CHANNEL_RECORD_MAX)
        world_violated(world, party, "S8", "a record of %zu bytes", bytes.count);
    if (end == NULL || end->stream->state == STREAM_BROKEN) return;
    struct stream *stream = end->stream;
    uint32_t to = end == &stream->ends[0] ? 1 : 0;
    if (stream->state != STREAM_OPEN) {
        world_violated(world, party, "contract", "a record on a stream that is not open");
        return;
    }
    if (!stream->ends[to].is_attached) return; /* it has said goodbye, which is on its way */
    pipe_push(world, stream, to, bytes, false);
    if (stream->pipes[to].size > UNSENT_MAX) {
        tell_closed(world, stream, 0, world->now + 1);
        tell_closed(world, stream, 1, world->now + 1);
    }
}

void streams_close(struct world *world, uint32_t party, uint64_t id)
{
    struct stream_end *end = end_find(&world->streams, party, id);
    if (end == NULL) return;
    struct stream *stream = end->stream;
    uint32_t side = end == &stream->ends[0] ? 0 : 1;
    if (stream->state == STREAM_OPEN && stream->ends[1 - side].is_attached)
        pipe_push(world, stream, 1 - side, (struct slice){0}, true);
    end_detach(&world->streams, stream, side);
}

/* ---- faults ---- */

void streams_crash(struct world *world, uint32_t party, bool is_silent)
{
    struct streams *streams = &world->streams;
    for (struct stream *stream = streams->all, *next; stream != NULL; stream = next) {
        next = stream->next;
        for (uint32_t side = 0; side < 2; side++) {
            struct stream_end *end = &stream->ends[side];
            if (end->key.party != party) continue;
            uint64_t other = stream->ends[1 - side].key.party;
            bool is_cut = network_is_cut(&world->network, party, (uint32_t)other);
            duration delay = network_delay(&world->network);
            if (is_silent || is_cut)
                delay += (duration)prng_below(&world->network.prng, SILENCE_MAX);
            if (stream->state != STREAM_BROKEN)
                tell_closed(world, stream, 1 - side, world->now + delay);
            if (end->is_attached) end_detach(streams, stream, side);
            break;
        }
    }
}

static bool is_between_hosts(const struct world *world, const struct stream *stream)
{
    return stream->state == STREAM_OPEN && stream->ends[0].key.party < world->hosts_count &&
           stream->ends[1].key.party < world->hosts_count;
}

bool streams_cut_one(struct world *world, struct prng *prng)
{
    size_t count = 0;
    for (struct stream *stream = world->streams.all; stream != NULL; stream = stream->next)
        if (is_between_hosts(world, stream)) count++;
    if (count == 0) return false;
    size_t chosen = (size_t)prng_below(prng, count);
    for (struct stream *stream = world->streams.all; stream != NULL; stream = stream->next) {
        if (!is_between_hosts(world, stream) || chosen-- > 0) continue;
        tell_closed(world, stream, 0, world->now + 1);
        tell_closed(world, stream, 1, world->now + network_delay(&world->network));
        return true;
    }
    return false;
}

void streams_sweep(struct world *world)
{
    for (struct stream *stream = world->streams.all; stream != NULL; stream = stream->next) {
        uint32_t opener = (uint32_t)stream->ends[0].key.party;
        uint32_t acceptor = (uint32_t)stream->ends[1].key.party;
        instant before = world->now - GIVE_UP_AFTER;
        if (stream->state != STREAM_OPEN) continue;
        if (!network_is_cut_since(&world->network, opener, acceptor, before)) continue;
        tell_closed(world, stream, 0, world->now + 1);
        tell_closed(world, stream, 1, world->now + 2);
    }
}

/* ---- what happens ---- */

static void party_of(const struct world *world, uint64_t party, struct channel_party *is)
{
    *is = (struct channel_party){0};
    if (party >= world->hosts_count) return;
    const struct host *host = &world->hosts[party];
    is->node = host->id;
    is->boot = host->boot;
    is->address = host->address;
    memcpy(is->name, host->name, sizeof host->name);
}

static void deliver_opened(struct world *world, struct stream *stream, uint32_t side)
{
    const struct stream_end *end = &stream->ends[side];
    struct channel_party other;
    party_of(world, stream->ends[1 - side].key.party, &other);
    if (end->key.party >= world->hosts_count) {
        uint32_t client = (uint32_t)end->key.party - world->hosts_count;
        if (client < world->jobs_count) client_opened(world, client, end->key.id);
        else history_opened(world, client - world->jobs_count, end->key.id);
        return;
    }
    struct event event = {.kind = EVENT_STREAM_OPENED};
    event.stream_opened.stream = end->key.id;
    event.stream_opened.purpose = stream->purpose;
    event.stream_opened.party = &other;
    host_step(world, &world->hosts[end->key.party], &event);
}

static void deliver_closed(struct world *world, struct stream *stream, uint32_t side,
                           bool is_goodbye)
{
    uint64_t id = stream->ends[side].key.id;
    uint32_t party = (uint32_t)stream->ends[side].key.party;
    end_detach(&world->streams, stream, side);
    if (party >= world->hosts_count) {
        uint32_t client = party - world->hosts_count;
        if (client < world->jobs_count) client_closed(world, client, id);
        else history_closed(world, client - world->jobs_count, id);
        return;
    }
    struct event event = {.kind = EVENT_STREAM_CLOSED};
    event.stream_closed.stream = id;
    event.stream_closed.error = is_goodbye ? ERROR_NONE : ERROR_CLOSED;
    event.stream_closed.reason = is_goodbye ? "goodbye" : "connection reset";
    host_step(world, &world->hosts[party], &event);
}

static void accept_stream(struct world *world, struct stream *stream)
{
    if (stream->state != STREAM_CONNECTING) return;
    stream->state = STREAM_OPEN;
    uint64_t odd = world->streams.odd_next;
    world->streams.odd_next += 2;
    end_attach(&world->streams, &stream->ends[1], (uint32_t)stream->ends[1].key.party, odd);
    instant opened = world->now + network_delay(&world->network);
    stream->pipes[0].arrived_last = opened; /* no record overtakes the handshake */
    push(world, HAPPEN_STREAM_OPENED, stream, 0, opened);
    deliver_opened(world, stream, 1);
}

static void deliver_record(struct world *world, struct stream *stream, uint32_t side,
                           struct stream_record *record)
{
    const struct stream_end *end = &stream->ends[side];
    struct slice bytes = slice_of(record->bytes, record->count);
    if (end->key.party >= world->hosts_count) {
        uint32_t client = (uint32_t)end->key.party - world->hosts_count;
        if (client < world->jobs_count) client_record(world, client, end->key.id, bytes);
        else history_record(world, client - world->jobs_count, end->key.id, bytes);
        return;
    }
    struct event event = {.kind = EVENT_STREAM_RECORD};
    event.stream_record.stream = end->key.id;
    event.stream_record.bytes = bytes;
    host_step(world, &world->hosts[end->key.party], &event);
}

static void deliver_head(struct world *world, struct stream *stream, uint32_t side)
{
    struct stream_pipe *pipe = &stream->pipes[side];
    pipe->is_head_due = false;
    struct stream_record *record = pipe->first;
    if (record == NULL || stream->state != STREAM_OPEN || !stream->ends[side].is_attached) return;
    uint32_t from = (uint32_t)stream->ends[1 - side].key.party;
    uint32_t to = (uint32_t)stream->ends[side].key.party;
    bool is_cut =
        network_is_cut(&world->network, from, to) || network_is_cut(&world->network, to, from);
    instant next = world->now + RETRY_DELAY;
    if (!is_cut) {
        pipe->first = record->next;
        if (pipe->first == NULL) pipe->last = NULL;
        pipe->size -= record->count;
        next = pipe->first == NULL ? 0 : pipe->first->arrives;
    }
    if (next != 0) {
        pipe->is_head_due = true;
        push(world, HAPPEN_STREAM_HEAD, stream, side, next < world->now ? world->now : next);
    }
    if (is_cut) return;
    if (record->is_goodbye) deliver_closed(world, stream, side, true);
    else deliver_record(world, stream, side, record);
    free(record);
}

void streams_happen(struct world *world, const struct happening *happening)
{
    struct stream *stream = map_get(&world->streams.by_number, &happening->number);
    if (stream == NULL) return;
    uint32_t side = happening->side;
    switch (happening->kind) {
    case HAPPEN_STREAM_ACCEPT: accept_stream(world, stream); return;
    case HAPPEN_STREAM_OPENED:
        if (stream->state == STREAM_OPEN && stream->ends[0].is_attached)
            deliver_opened(world, stream, 0);
        return;
    case HAPPEN_STREAM_HEAD: deliver_head(world, stream, side); return;
    case HAPPEN_STREAM_CLOSED:
        if (stream->ends[side].is_attached) deliver_closed(world, stream, side, false);
        return;
    default: assert(!"a happening of streams");
    }
}
