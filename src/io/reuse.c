/* Streams for reuse (reuse.h). One on which the other side says something, although nobody asked,
 * is dropped; one that ends is forgotten. */
#include "io/reuse.h"

#include "io/loop.h"
#include "io/stream.h"

enum {
    REUSE_TIMEOUT = 10 * SECOND, /* the next wave of reduces comes sooner, or not for long */
};

static void forget(struct reuse *reuse, const struct stream *stream)
{
    for (size_t i = 0; i < reuse->count; i++) {
        if (reuse->streams[i] != stream) continue;
        reuse->streams[i] = reuse->streams[--reuse->count];
        return;
    }
}

static void on_record(struct stream *stream, struct slice bytes)
{
    (void)bytes;
    forget(stream->context, stream);
    stream_drop(stream);
}

static void on_closed(struct stream *stream, enum error error, const char *reason)
{
    (void)error;
    (void)reason;
    forget(stream->context, stream);
}

static const struct stream_user reuse_user = {NULL, on_record, NULL, on_closed};

void reuse_put(struct reuse *reuse, struct stream *stream)
{
    if (reuse->count == REUSE_MAX) {
        stream_end(stream);
        return;
    }
    reuse->streams[reuse->count++] = stream;
    stream->user = &reuse_user;
    stream->context = reuse;
    stream_set_deadline(stream, loop_now() + REUSE_TIMEOUT);
    stream_resume(stream);
}

struct stream *reuse_take(struct reuse *reuse, const struct address *address)
{
    for (size_t i = 0; i < reuse->count; i++) {
        struct stream *stream = reuse->streams[i];
        if (!address_equal(&stream->address, address)) continue;
        forget(reuse, stream);
        return stream;
    }
    return NULL;
}

void reuse_end(struct reuse *reuse)
{
    while (reuse->count > 0) stream_end(reuse->streams[--reuse->count]);
}
