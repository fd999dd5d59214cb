/* Streams (stream.h). Limits against strangers, who may connect as often as they like:
 *
 *   - A handshake has 5 s, the whole connect included; of unfinished inbound ones there are at most
 * 256, and the oldest makes room for a new one, so idle connections can't shut honest ones out.
 *   - One read buffer serves all streams, and a channel grows only by bytes of those who hold the
 * key: a stranger costs one socket and about 2 KiB.
 *   - A refusal is counted and answered by silence.
 *
 * When descriptors run out libuv itself accepts and closes what waits (its EMFILE reserve), so the
 * listener does not spin. */
#include "io/stream.h"

#include "io/loop.h"
#include "io/sockaddr.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAMS_MAX = 1024,        /* half of a usual limit of descriptors is left to files and tasks */
    STREAMS_SHAKING_MAX = 256, /* inbound; a flock that all comes at once, in some rounds */
    HANDSHAKE_TIMEOUT = 5 * SECOND,
    ENDING_TIMEOUT = 5 * SECOND,  /* without any progress */
    CLOSING_TIMEOUT = 1 * SECOND, /* of goodbyes, when the node goes */
    SWEEP_MS = 250,               /* deadlines are kept to this */
    READ_SIZE = 64 << 10,         /* libuv's own suggestion */
    CORKED_SIZE = 8 << 10,        /* what is larger goes by itself */
    KEEPALIVE_S = 600, /* for mrctl on a machine that vanished: gossip tells of peers. Every 30 s,
                          on 15 streams, they were half as many bytes as all gossip */
};

static const char silent_refusal[] = "no answer to the handshake: another cluster key or version?";

struct streams {
    struct loop *loop;
    uv_tcp_t listener;
    uv_timer_t sweep;
    struct channel_config identity;
    struct address bound; /* where we listen */
    const struct stream_user *users[CHANNEL_BULK + 1];
    void *contexts[CHANNEL_BULK + 1];
    struct stream *oldest, *newest;
    size_t count;
    size_t shaking_count; /* inbound ones */
    bool is_closing;
    bool has_waiting; /* a connection that could not be accepted for want of memory */
    bool is_corked;
    struct stream *corked; /* streams that may have something to send, the last one first */
    char buffer[READ_SIZE];
};

/* Sealed bytes on their way out. */
struct outgoing {
    uv_write_t request;
    struct stream *stream;
    size_t size;
    uint8_t bytes[];
};

/* ---- the list, and states ---- */

static void sweep_start(struct streams *streams);

/* The last stream of a node that goes takes the timer along. */
static void sweep_end(struct streams *streams)
{
    uv_handle_t *sweep = (uv_handle_t *)&streams->sweep;
    if (streams->is_closing && streams->count == 0 && !uv_is_closing(sweep)) uv_close(sweep, NULL);
}

static void list_add(struct stream *stream)
{
    struct streams *streams = stream->streams;
    stream->older = streams->newest;
    if (streams->newest != NULL) streams->newest->newer = stream;
    else streams->oldest = stream;
    streams->newest = stream;
    streams->count++;
}

static void list_remove(struct stream *stream)
{
    struct streams *streams = stream->streams;
    *(stream->older != NULL ? &stream->older->newer : &streams->oldest) = stream->newer;
    *(stream->newer != NULL ? &stream->newer->older : &streams->newest) = stream->older;
    streams->count--;
}

/* The one mover of states. Back only never. */
static void move_to(struct stream *stream, enum stream_state state)
{
    assert(state > stream->state);
    bool was_shaking = stream->state == STREAM_SHAKING;
    if (was_shaking && stream->is_inbound) stream->streams->shaking_count--;
    if (state == STREAM_SHAKING && stream->is_inbound) stream->streams->shaking_count++;
    stream->state = state;
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    assert(stream->state == STREAM_CLOSED);
    struct streams *streams = stream->streams;
    list_remove(stream);
    channel_close(stream->channel);
    free(stream);
    sweep_end(streams);
}

static void close_quietly(struct stream *stream)
{
    if (stream->state == STREAM_CLOSED) return;
    move_to(stream, STREAM_CLOSED);
    stream->user = NULL;
    stream->deadline = INSTANT_NEVER;
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

void stream_drop(struct stream *stream) { close_quietly(stream); }

void stream_fail(struct stream *stream, enum error error, const char *reason)
{
    const struct stream_user *user = stream->user;
    if (stream->state == STREAM_CLOSED) return;
    close_quietly(stream);
    if (user != NULL) user->closed(stream, error, reason);
}

/* A stranger, or someone who breaks the rules: counted, then closed. */
static void refuse(struct stream *stream, const char *reason)
{
    struct loop *loop = stream->streams->loop;
    bool is_denial =
        reason == channel_wrong_key || reason == channel_other_version || reason == silent_refusal;
    refusals_note(&loop->refusals, &loop->trace, loop_now(), reason, &stream->address);
    stream_fail(stream, is_denial ? ERROR_DENIED : ERROR_INVALID, reason);
}

/* ---- sending ---- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct stream *stream = request->handle->data;
    if (status != 0)
        close_quietly(stream); /* else the peer's end of stream closes it, or the deadline */
}

static void shut_down(struct stream *stream)
{
    int status = uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, on_shutdown);
    if (status != 0) close_quietly(stream);
}

static void written(struct stream *stream, size_t size, int status)
{
    bool was_behind = stream->unsent_size > STREAM_DRAINED;
    stream->unsent_size -= size;
    if (stream->state == STREAM_CLOSED) return;
    if (status != 0) {
        stream_fail(stream, ERROR_CLOSED, "sending failed");
    } else if (stream->state == STREAM_ENDING) {
        stream_set_deadline(stream, loop_now() + ENDING_TIMEOUT);
    } else if (was_behind && stream->unsent_size <= STREAM_DRAINED && stream->user != NULL &&
               stream->user->drained != NULL) {
        stream->user->drained(stream);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct outgoing *outgoing = request->data;
    written(outgoing->stream, outgoing->size, status);
    free(outgoing);
}

static struct outgoing *outgoing_new(struct stream *stream, size_t size)
{
    struct outgoing *outgoing = malloc(sizeof *outgoing + size);
    if (outgoing == NULL) {
        stream_fail(stream, ERROR_MEMORY, "no memory to send");
        return NULL;
    }
    outgoing->stream = stream;
    outgoing->size = size;
    outgoing->request.data = outgoing;
    return outgoing;
}

/* Takes outgoing. */
static void outgoing_send(struct outgoing *outgoing)
{
    struct stream *stream = outgoing->stream;
    uv_buf_t buffer = uv_buf_init((char *)outgoing->bytes, (unsigned)outgoing->size);
    int status = uv_write(&outgoing->request, (uv_stream_t *)&stream->tcp, &buffer, 1, on_written);
    if (status != 0) {
        free(outgoing);
        stream_fail(stream, ERROR_CLOSED, "sending failed");
        return;
    }
    stream->unsent_size += outgoing->size;
}

/* What was gathered goes out. */
static void flush(struct stream *stream)
{
    struct outgoing *outgoing = stream->corked;
    stream->corked = NULL;
    if (outgoing == NULL) return;
    stream->unsent_size -= outgoing->size;
    if (stream->state == STREAM_CLOSED) free(outgoing);
    else outgoing_send(outgoing);
}

/* False: no memory, and the stream is closed. */
static bool make_corked(struct stream *stream, size_t size)
{
    if (stream->corked != NULL && CORKED_SIZE - stream->corked->size < size) flush(stream);
    if (stream->state == STREAM_CLOSED) return false;
    if (stream->corked == NULL) {
        stream->corked = outgoing_new(stream, CORKED_SIZE);
        if (stream->corked == NULL) return false;
        stream->corked->size = 0;
    }
    if (stream->is_corked) return true;
    stream->is_corked = true;
    stream->next_corked = stream->streams->corked;
    stream->streams->corked = stream;
    return true;
}

static void gather(struct stream *stream, struct slice record)
{
    size_t size = channel_sealed_size(record.count);
    if (!make_corked(stream, size)) return;
    channel_send(stream->channel, record, stream->corked->bytes + stream->corked->size);
    stream->corked->size += size;
    stream->unsent_size += size;
}

static void send_sealed(struct stream *stream, struct slice record)
{
    size_t size = channel_sealed_size(record.count);
    if (stream->streams->is_corked && size <= CORKED_SIZE) {
        gather(stream, record);
        return;
    }
    flush(stream);
    struct outgoing *outgoing = stream->state == STREAM_CLOSED ? NULL : outgoing_new(stream, size);
    if (outgoing == NULL) return;
    channel_send(stream->channel, record, outgoing->bytes);
    outgoing_send(outgoing);
}

void streams_cork(struct streams *streams)
{
    assert(!streams->is_corked);
    streams->is_corked = true;
}

/* Streams that were closed meanwhile are still there: libuv lets go of them later. */
void streams_uncork(struct streams *streams)
{
    streams->is_corked = false;
    while (streams->corked != NULL) {
        struct stream *stream = streams->corked;
        streams->corked = stream->next_corked;
        stream->is_corked = false;
        flush(stream);
    }
}

void stream_send(struct stream *stream, struct slice record)
{
    assert(record.count <= CHANNEL_RECORD_MAX);
    if (stream->state != STREAM_OPEN) return;
    if (stream->unsent_size + record.count > STREAM_UNSENT_MAX) {
        stream_fail(stream, ERROR_FULL, "the peer reads too slowly");
        return;
    }
    send_sealed(stream, record);
}

static void send_handshake(struct stream *stream)
{
    struct slice bytes = channel_output(stream->channel);
    if (bytes.count == 0) return;
    struct outgoing *outgoing = outgoing_new(stream, bytes.count);
    if (outgoing == NULL) return;
    memcpy(outgoing->bytes, bytes.at, bytes.count);
    outgoing_send(outgoing);
}

static void end_within(struct stream *stream, duration timeout)
{
    stream->user = NULL;
    if (stream->state < STREAM_OPEN) close_quietly(stream);
    if (stream->state == STREAM_OPEN && stream->flow == STREAM_PAUSED) stream_resume(stream);
    if (stream->state == STREAM_OPEN) send_sealed(stream, slice_of("", 0));
    flush(stream);
    if (stream->state != STREAM_OPEN) return;
    move_to(stream, STREAM_ENDING);
    stream_set_deadline(stream, loop_now() + timeout);
    shut_down(stream);
}

void stream_end(struct stream *stream) { end_within(stream, ENDING_TIMEOUT); }

/* ---- receiving ---- */

static void deliver(struct stream *stream)
{
    struct slice record;
    if (stream->is_delivering) return; /* the loop further up goes on */
    stream->is_delivering = true;
    loop_hold(stream->streams->loop);
    while (stream->state == STREAM_OPEN && stream->flow == STREAM_FLOWS &&
           channel_next(stream->channel, &record)) {
        if (record.count == 0) stream->has_goodbye = true;
        else if (stream->user != NULL) stream->user->record(stream, record);
    }
    loop_release(stream->streams->loop);
    stream->is_delivering = false;
}

/* The handshake is done: inbound streams now learn who serves them. */
static void opened(struct stream *stream)
{
    struct streams *streams = stream->streams;
    move_to(stream, STREAM_OPEN);
    stream->deadline = INSTANT_NEVER;
    if (stream->is_inbound) {
        stream->purpose = channel_purpose(stream->channel);
        assert(stream->purpose <= CHANNEL_BULK);
        stream->user = streams->users[stream->purpose];
        stream->context = streams->contexts[stream->purpose];
    }
    if (stream->user != NULL) stream->user->opened(stream);
}

static void received(struct stream *stream, struct slice bytes)
{
    if (stream->state == STREAM_ENDING)
        return; /* nobody wants it; read on until the end of stream */
    const char *reason = channel_receive(stream->channel, bytes);
    if (reason != NULL) {
        refuse(stream, reason);
        return;
    }
    if (stream->state == STREAM_SHAKING) {
        send_handshake(stream);
        if (stream->state == STREAM_SHAKING && channel_state(stream->channel) == CHANNEL_OPEN)
            opened(stream);
    }
    deliver(stream);
}

static void ended(struct stream *stream, ssize_t status)
{
    bool is_orderly = status == UV_EOF && stream->has_goodbye && channel_is_whole(stream->channel);
    if (stream->state == STREAM_ENDING) close_quietly(stream);
    else if (stream->state == STREAM_SHAKING && stream->is_inbound)
        refuse(stream, "gone amid the handshake");
    else if (stream->state == STREAM_SHAKING) refuse(stream, silent_refusal);
    else if (is_orderly) stream_fail(stream, ERROR_NONE, "goodbye");
    else stream_fail(stream, ERROR_CLOSED, "ended without a goodbye");
}

static void on_allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    struct stream *stream = handle->data;
    (void)size;
    *buffer = uv_buf_init(stream->streams->buffer, READ_SIZE); /* on_read follows at once */
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
    struct stream *stream = handle->data;
    if (stream->state == STREAM_CLOSED || count == 0) return;
    if (count > 0) received(stream, slice_of(buffer->base, (size_t)count));
    else ended(stream, count);
}

static bool read_start(struct stream *stream)
{
    if (uv_read_start((uv_stream_t *)&stream->tcp, on_allocate, on_read) == 0) return true;
    stream_fail(stream, ERROR_CLOSED, "not readable");
    return false;
}

void stream_pause(struct stream *stream)
{
    if (stream->state != STREAM_OPEN || stream->flow == STREAM_PAUSED) return;
    stream->flow = STREAM_PAUSED;
    (void)uv_read_stop((uv_stream_t *)&stream->tcp);
}

void stream_resume(struct stream *stream)
{
    if (stream->state != STREAM_OPEN || stream->flow == STREAM_FLOWS) return;
    stream->flow = STREAM_FLOWS;
    deliver(stream);
    if (stream->state == STREAM_OPEN && stream->flow == STREAM_FLOWS) (void)read_start(stream);
}

/* ---- coming to be ---- */

static struct stream *stream_new(struct streams *streams, bool is_inbound)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    if (uv_tcp_init(&streams->loop->uv, &stream->tcp) != 0) {
        free(stream);
        return NULL;
    }
    stream->tcp.data = stream;
    stream->streams = streams;
    stream->is_inbound = is_inbound;
    stream->state = STREAM_CONNECTING;
    stream->deadline = INSTANT_NEVER;
    list_add(stream);
    return stream;
}

/* The socket is connected: hands are to be shaken. */
static void shake(struct stream *stream)
{
    struct streams *streams = stream->streams;
    struct channel_config config = streams->identity;
    randombytes_buf(config.seed, sizeof config.seed);
    move_to(stream, STREAM_SHAKING);
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    (void)uv_tcp_keepalive(&stream->tcp, 1, KEEPALIVE_S);
    stream->channel =
        channel_open(&streams->loop->memory, &config, !stream->is_inbound, stream->purpose);
    sodium_memzero(config.seed, sizeof config.seed);
    if (stream->channel == NULL) {
        stream_fail(stream, ERROR_MEMORY, "no memory for a channel");
        return;
    }
    if (!read_start(stream)) return;
    send_handshake(stream);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct stream *stream = request->handle->data;
    if (stream->state == STREAM_CLOSED) return;
    if (status != 0) stream_fail(stream, ERROR_UNREACHABLE, "connection refused or no route");
    else shake(stream);
}

/* From the address that we listen at, if it is one: so a machine of several addresses has one face,
 * for firewalls and for people. Else the kernel chooses. */
static void bind_source(struct stream *stream, const struct address *to)
{
    static const uint8_t zeros[16];
    struct address from = stream->streams->bound;
    struct sockaddr_storage name;
    bool is_any = address_is_ipv4(&from) ? memcmp(from.ip + 12, zeros, 4) == 0
                                         : memcmp(from.ip, zeros, sizeof zeros) == 0;
    bool is_same = address_is_ipv4(&from) == address_is_ipv4(to) &&
                   address_is_loopback(&from) == address_is_loopback(to);
    if (is_any || !is_same) return;
    from.port = 0;
    (void)sockaddr_from(&from, sockaddr_family(&from), &name);
    (void)uv_tcp_bind(&stream->tcp, (struct sockaddr *)&name, 0);
}

struct stream *stream_connect(struct streams *streams, const struct address *to,
                              enum channel_purpose purpose, const struct stream_user *user,
                              void *context)
{
    struct sockaddr_storage name;
    if (streams->is_closing || streams->count >= STREAMS_MAX) return NULL;
    (void)sockaddr_from(to, sockaddr_family(to), &name);
    struct stream *stream = stream_new(streams, false);
    if (stream == NULL) return NULL;
    stream->address = *to;
    stream->purpose = purpose;
    bind_source(stream, to);
    if (uv_tcp_connect(&stream->connect, &stream->tcp, (struct sockaddr *)&name, on_connected) !=
        0) {
        close_quietly(stream);
        return NULL;
    }
    stream->user = user;
    stream->context = context;
    stream_set_deadline(stream, loop_now() + HANDSHAKE_TIMEOUT);
    return stream;
}

/* The oldest unfinished handshake of a stranger makes room. */
static void make_room(struct streams *streams)
{
    struct stream *stream = streams->oldest;
    if (streams->shaking_count < STREAMS_SHAKING_MAX) return;
    while (stream != NULL && !(stream->is_inbound && stream->state == STREAM_SHAKING))
        stream = stream->newer;
    assert(stream != NULL);
    refuse(stream, "too many unfinished handshakes");
}

static void accepted(struct stream *stream)
{
    struct streams *streams = stream->streams;
    struct sockaddr_storage name;
    int size = sizeof name;
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&name, &size) == 0)
        stream->address = sockaddr_address((struct sockaddr *)&name);
    if (streams->count > STREAMS_MAX) {
        refuse(stream, "too many streams");
        return;
    }
    make_room(streams);
    stream->purpose = CHANNEL_PEER; /* until the other side tells */
    shake(stream);
    stream_set_deadline(stream, loop_now() + HANDSHAKE_TIMEOUT);
}

static void accept_one(struct streams *streams)
{
    struct stream *stream = stream_new(streams, true);
    streams->has_waiting = stream == NULL;
    if (stream == NULL) sweep_start(streams); /* tries again */
    else if (uv_accept((uv_stream_t *)&streams->listener, (uv_stream_t *)&stream->tcp) != 0)
        close_quietly(stream);
    else accepted(stream);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct streams *streams = listener->data;
    struct loop *loop = streams->loop;
    static const struct address nobody;
    if (status != 0)
        refusals_note(&loop->refusals, &loop->trace, loop_now(), "accept failed", &nobody);
    else if (!streams->is_closing) accept_one(streams);
}

/* ---- deadlines ---- */

/* What the kernel still holds to send is void: it would go on trying for minutes, and news of long
 * ago would arrive when a partition heals. */
static void abandon(struct stream *stream)
{
    uv_os_fd_t descriptor;
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (uv_fileno((uv_handle_t *)&stream->tcp, &descriptor) == 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    stream_fail(stream, ERROR_TIMEOUT, "took too long");
}

/* Closing a stream takes it out of the list only later (on_closed), so the walk is safe; what a
 * user does meanwhile only appends. */
static bool sweep_all(struct streams *streams, instant now)
{
    bool has_deadlines = false;
    for (struct stream *stream = streams->oldest; stream != NULL; stream = stream->newer) {
        if (stream->deadline == INSTANT_NEVER) continue;
        if (stream->deadline > now) has_deadlines = true;
        else if (stream->state == STREAM_SHAKING && stream->is_inbound)
            refuse(stream, "handshake took too long");
        else abandon(stream);
    }
    return has_deadlines;
}

static void on_sweep(uv_timer_t *timer)
{
    struct streams *streams = timer->data;
    if (streams->has_waiting) accept_one(streams);
    if (!sweep_all(streams, loop_now()) && !streams->has_waiting) (void)uv_timer_stop(timer);
}

static void sweep_start(struct streams *streams)
{
    if (!uv_is_active((uv_handle_t *)&streams->sweep) &&
        !uv_is_closing((uv_handle_t *)&streams->sweep))
        (void)uv_timer_start(&streams->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

void stream_set_deadline(struct stream *stream, instant deadline)
{
    if (stream->state == STREAM_CLOSED) return;
    stream->deadline = deadline;
    if (deadline != INSTANT_NEVER) sweep_start(stream->streams);
}

/* ---- all of them ---- */

void streams_set_keys(struct streams *streams, size_t count)
{
    streams->identity.keys_count = count;
}

enum error streams_open(struct loop *loop, const struct channel_config *identity, int listener,
                        struct streams **out)
{
    struct streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) return ERROR_MEMORY;
    streams->loop = loop;
    streams->identity = *identity;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    if (getsockname(listener, (struct sockaddr *)&name, &size) == 0)
        streams->bound = sockaddr_address((struct sockaddr *)&name);
    if (uv_tcp_init(&loop->uv, &streams->listener) != 0 ||
        uv_timer_init(&loop->uv, &streams->sweep) != 0)
        abort(); /* both only fill in structs */
    streams->listener.data = streams;
    streams->sweep.data = streams;
    *out = streams;
    return uv_tcp_open(&streams->listener, listener) == 0 ? ERROR_NONE : ERROR_SYSTEM;
}

void streams_serve(struct streams *streams, enum channel_purpose purpose,
                   const struct stream_user *user, void *context)
{
    assert(purpose <= CHANNEL_BULK);
    streams->users[purpose] = user;
    streams->contexts[purpose] = context;
}

enum error streams_listen(struct streams *streams)
{
    enum {
        BACKLOG = 1024
    };
    int status = uv_listen((uv_stream_t *)&streams->listener, BACKLOG, on_connection);
    return status == 0 ? ERROR_NONE : ERROR_SYSTEM;
}

void streams_close(struct streams *streams)
{
    if (streams->is_closing) return;
    streams->is_closing = true;
    streams->has_waiting = false;
    uv_close((uv_handle_t *)&streams->listener, NULL);
    for (struct stream *stream = streams->oldest; stream != NULL; stream = stream->newer) {
        const struct stream_user *user = stream->user;
        if (stream->state == STREAM_CLOSED || stream->state == STREAM_ENDING) continue;
        end_within(stream, CLOSING_TIMEOUT);
        if (user != NULL) user->closed(stream, ERROR_CLOSED, "this node stops");
    }
    sweep_end(streams);
}

void streams_free(struct streams *streams)
{
    assert(streams == NULL || streams->count == 0);
    free(streams);
}
