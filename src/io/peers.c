/* The core's streams (peers.h). The core numbers those it opens (even), the driver those that come
 * (odd); a number is never used twice, so a late action for a stream that is gone finds nothing. */
#include "io/peers.h"

#include "base/map.h"
#include "io/loop.h"
#include "io/stream.h"

#include <stdlib.h>

struct peer {
    uint64_t number;
    struct stream *stream;
    struct peers *peers;
};

struct peers {
    struct loop *loop;
    struct map map; /* of struct peer by number */
    uint64_t next;  /* number of the next inbound stream: odd */
};

static void feed_closed(struct peers *peers, uint64_t number, enum error error, const char *reason)
{
    struct event event = {.kind = EVENT_STREAM_CLOSED};
    event.stream_closed.stream = number;
    event.stream_closed.error = error;
    event.stream_closed.reason = reason;
    loop_feed(peers->loop, &event);
}

static void forget(struct peer *peer)
{
    (void)map_remove(&peer->peers->map, &peer->number);
    free(peer);
}

static struct peer *peer_new(struct peers *peers, uint64_t number, struct stream *stream)
{
    struct peer *peer = malloc(sizeof *peer);
    if (peer == NULL) return NULL;
    *peer = (struct peer){.number = number, .stream = stream, .peers = peers};
    if (map_add(&peers->map, peer) == ERROR_NONE) return peer;
    free(peer);
    return NULL;
}

static void feed_opened(struct peer *peer)
{
    struct stream *stream = peer->stream;
    struct event event = {.kind = EVENT_STREAM_OPENED};
    event.stream_opened.stream = peer->number;
    event.stream_opened.purpose = stream->purpose;
    event.stream_opened.party = channel_peer(stream->channel);
    loop_feed(peer->peers->loop, &event);
}

static void on_opened(struct stream *stream) { feed_opened(stream->context); }

/* An inbound one: it has no number yet. */
static void on_arrived(struct stream *stream)
{
    struct peers *peers = stream->context;
    struct peer *peer = peer_new(peers, peers->next, stream);
    if (peer == NULL) {
        stream_drop(stream);
        return;
    }
    peers->next += 2;
    stream->context = peer;
    feed_opened(peer);
}

static void on_record(struct stream *stream, struct slice bytes)
{
    struct peer *peer = stream->context;
    struct event event = {.kind = EVENT_STREAM_RECORD};
    event.stream_record.stream = peer->number;
    event.stream_record.bytes = bytes;
    loop_feed(peer->peers->loop, &event);
}

static void on_closed(struct stream *stream, enum error error, const char *reason)
{
    struct peer *peer = stream->context;
    struct peers *peers = peer->peers;
    uint64_t number = peer->number;
    forget(peer);
    feed_closed(peers, number, error, reason);
}

static const struct stream_user outbound_user = {on_opened, on_record, NULL, on_closed};
static const struct stream_user inbound_user = {on_arrived, on_record, NULL, on_closed};

void peers_connect(struct peers *peers, uint64_t number, const struct address *to)
{
    struct peer *peer = peer_new(peers, number, NULL);
    if (peer != NULL)
        peer->stream = stream_connect(peers->loop->streams, to, CHANNEL_PEER, &outbound_user, peer);
    if (peer != NULL && peer->stream != NULL) return;
    if (peer != NULL) forget(peer);
    feed_closed(peers, number, ERROR_SYSTEM, "no socket for another stream");
}

void peers_send(struct peers *peers, uint64_t number, struct slice record)
{
    struct peer *peer = map_get(&peers->map, &number);
    if (peer != NULL) stream_send(peer->stream, record);
}

void peers_end(struct peers *peers, uint64_t number)
{
    struct peer *peer = map_get(&peers->map, &number);
    if (peer == NULL) return;
    stream_end(peer->stream);
    forget(peer);
}

enum error peers_open(struct loop *loop, struct peers **out)
{
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL) return ERROR_MEMORY;
    peers->loop = loop;
    peers->next = 1;
    map_init(&peers->map, &loop->memory, offsetof(struct peer, number), sizeof(uint64_t));
    streams_serve(loop->streams, CHANNEL_PEER, &inbound_user, peers);
    streams_serve(loop->streams, CHANNEL_CLIENT, &inbound_user, peers);
    *out = peers;
    return ERROR_NONE;
}

void peers_free(struct peers *peers)
{
    size_t cursor = 0;
    struct peer *peer;
    if (peers == NULL) return;
    while ((peer = map_next(&peers->map, &cursor)) != NULL) free(peer);
    map_deinit(&peers->map);
    free(peers);
}
