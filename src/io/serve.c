/* The bulk server (serve.h). One request at a time on a stream, in order:
 *
 *   IDLE -- fetch --> OPENING -> READING <-> DRAINING -> IDLE        reply, chunks
 *   IDLE -- store --> STORING -- store_check --> IDLE                chunks, stored
 *                        |                 \-> WAITING -> IDLE       too many are being made
 * durable \ disk full: stored (FULL), then SWALLOWING until store_check -> IDLE
 *   IDLE -- store_lent --> IDLE, or WAITING -> IDLE                  stored
 *   IDLE -- store_known --> IDLE, or WAITING -> IDLE                 stored
 *   IDLE -- store_ask --> LOOKING -> IDLE                            store_room
 *
 * Who asks before a block, and is told of room, will not find the disk full amid it: the bytes
 * are promised to it alone, and come out of the disk's reserve (sink.c) should others have been
 * quicker. So an uploader whose bytes can't be read again goes on elsewhere between two blocks.
 *
 * What was stored is a deposit until it is a block (deposits.h), and the next one comes meanwhile.
 * Answers are in the order of the deposits.
 *
 * While busy with a request the stream is paused, so whoever asks for much at once waits in the
 * kernel's buffers and not in our memory. At most about 1 MiB of a block is queued for a slow
 * reader. Files are read and written on worker threads. */
#include "io/serve.h"

#include "io/blocks.h"
#include "io/bulk.h"
#include "io/deposits.h"
#include "io/lending.h"
#include "io/loop.h"
#include "io/partitioned.h"
#include "io/sink.h"
#include "io/stream.h"
#include "io/verify.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SERVE_READ_SIZE = 256 << 10, /* a disk read: long enough that seeks do not dominate */
    SERVE_QUEUED_MAX = 1 << 20,  /* unsent bytes at which reading waits */
    DEPOSITS_MAX = 3,      /* of a stream: one comes, one is synced, one waits for its directory */
    LENT_DEPOSITS_MAX = 5, /* of a lent file: two are read, two synced, one is ready */
    KNOWN_DEPOSITS_MAX = 16, /* of blocks that are here: most need but a look at their files */
    LENT_MAX = 1 << 30,      /* bytes of one block */
    SERVE_TIMEOUT =
        60 * SECOND, /* without progress: an uploader may think for a while, not for ever */
};

enum serving_state {
    SERVING_IDLE,
    SERVING_OPENING,  /* a worker looks the bytes up */
    SERVING_READING,  /* a worker reads the next ones */
    SERVING_DRAINING, /* they wait for the network */
    SERVING_LOOKING,  /* a worker looks for room */
    SERVING_STORING,
    SERVING_WAITING,    /* for a deposit to become a block */
    SERVING_SWALLOWING, /* the rest of an upload that failed */
};

struct serving {
    struct chore chore;
    struct loop *loop;
    struct stream *stream; /* NULL: it has ended; the serving follows when its worker is done */
    enum serving_state state;

    /* fetch */
    struct msg_fetch wanted;
    struct block *block; /* pinned */
    uint64_t block_size;
    struct block_state block_state;
    bool is_partitioned;
    char path[FILE_PATH_MAX];
    int file;
    enum error error;
    uint64_t offset, left;
    uint8_t *index; /* of a partitioned block; malloc'ed */
    size_t index_size;
    uint8_t *buffer;
    size_t buffered;

    /* store */
    struct deposits deposits;
    size_t deposits_max; /* while WAITING: as many as may be */
    uint64_t received;   /* of the one that comes */
    uint8_t copies;      /* of each block, that will be wanted; 0: not known */
    struct msg_store_ask asked;
    uint64_t room;    /* as the worker found it */
    uint64_t spoken;  /* bytes that it did not see on the disk yet, but will be there */
    uint64_t granted; /* of the loop's promised */
};

static void read_more(struct serving *serving);

/* ---- lifecycle ---- */

static void end_request(struct serving *serving)
{
    if (serving->block != NULL) blocks_unpin(serving->loop->blocks, serving->block);
    if (serving->file >= 0) close(serving->file);
    free(serving->index);
    free(serving->buffer);
    serving->block = NULL;
    serving->file = -1;
    serving->index = NULL;
    serving->buffer = NULL;
    serving->index_size = 0;
    serving->state = SERVING_IDLE;
}

static void use_grant(struct serving *serving, uint64_t count)
{
    if (count > serving->granted) count = serving->granted;
    serving->granted -= count;
    serving->loop->promised -= count;
}

static void serving_free(struct serving *serving)
{
    end_request(serving);
    use_grant(serving, serving->granted);
    free(serving);
}

static void become_idle(struct serving *serving)
{
    end_request(serving);
    /* Who waits for an answer of ours owes us nothing. */
    stream_set_deadline(serving->stream,
                        serving->deposits.count > 0 ? INSTANT_NEVER : loop_now() + SERVE_TIMEOUT);
    stream_resume(serving->stream); /* serving may be gone now */
}

static bool is_with_worker(const struct serving *serving)
{
    return serving->state == SERVING_OPENING || serving->state == SERVING_READING ||
           serving->state == SERVING_LOOKING;
}

static void on_closed(struct stream *stream, enum error error, const char *reason)
{
    struct serving *serving = stream->context;
    (void)error;
    (void)reason;
    serving->stream = NULL;
    bool is_left = deposits_leave(&serving->deposits); /* else: on_settled */
    if (is_left && !is_with_worker(serving)) serving_free(serving);
}

/* The other side breaks the rules, or our disk fails amid a reply: there is no way to say so but to
 * end. */
static void give_up(struct serving *serving, enum error error, const char *reason)
{
    struct loop *loop = serving->loop;
    struct stream *stream = serving->stream;
    refusals_note(&loop->refusals, &loop->trace, loop_now(), reason, &stream->address);
    stream_fail(stream, error, reason); /* on_closed frees serving */
}

/* ---- fetch ---- */

static enum error read_index(struct serving *serving)
{
    uint8_t head[PARTITIONED_HEAD];
    uint64_t size;
    enum error error = file_read(serving->file, head, sizeof head, 0);
    if (error != ERROR_NONE) return error;
    serving->index_size = partitioned_index_size(head);
    if (serving->index_size == 0) return ERROR_CORRUPT;
    serving->index = malloc(serving->index_size);
    if (serving->index == NULL) return ERROR_MEMORY;
    error = file_read(serving->file, serving->index, serving->index_size, 0);
    if (error != ERROR_NONE) return error;
    const char *reason = partitioned_check(slice_of(serving->index, serving->index_size), &size);
    return reason == NULL && size == serving->block_size ? ERROR_NONE : ERROR_CORRUPT;
}

/* Which bytes of the file are wanted. */
static enum error choose_range(struct serving *serving)
{
    const struct msg_fetch *wanted = &serving->wanted;
    uint64_t size = serving->block_size;
    serving->offset = 0;
    if (wanted->part != PART_WHOLE) {
        struct slice index = slice_of(serving->index, serving->index_size);
        if (serving->index == NULL || wanted->part >= partitioned_count(index))
            return ERROR_INVALID;
        struct segment segment = partitioned_segment(index, wanted->part);
        serving->offset = segment.offset;
        size = segment.size;
    }
    if (wanted->offset > size) return ERROR_INVALID;
    serving->offset += wanted->offset;
    serving->left = size - wanted->offset;
    return ERROR_NONE;
}

static void run_open(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    serving->error = verify_file(serving->path, &serving->wanted.digest, serving->is_partitioned,
                                 false, &serving->block_state);
    if (serving->error != ERROR_NONE) return;
    serving->file = open(serving->path, O_RDONLY | O_CLOEXEC);
    serving->error = serving->file >= 0 ? ERROR_NONE : file_error(errno);
    if (serving->error == ERROR_NONE && serving->is_partitioned)
        serving->error = read_index(serving);
    if (serving->error == ERROR_NONE) serving->error = choose_range(serving);
}

static void reply(struct serving *serving, enum error error)
{
    struct msg_fetch_reply message = {.status = (uint8_t)error};
    if (error == ERROR_NONE) {
        message.size = serving->left;
        message.index = slice_of(serving->index, serving->index_size);
    }
    bulk_send(serving->stream, &wire_fetch_reply, &message);
}

static void done_open(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    verify_note(serving->loop, serving->block, &serving->block_state, serving->error);
    if (serving->stream != NULL) reply(serving, serving->error);
    serving->state =
        SERVING_DRAINING; /* not before: should the stream end in reply, the freeing is ours */
    if (serving->stream == NULL) serving_free(serving);
    else if (serving->error != ERROR_NONE || serving->left == 0) become_idle(serving);
    else read_more(serving);
}

static void run_read(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    serving->error = file_read(serving->file, serving->buffer, serving->buffered, serving->offset);
}

static void send_chunks(struct serving *serving)
{
    for (size_t at = 0; at < serving->buffered && serving->stream != NULL; at += BULK_CHUNK_SIZE) {
        size_t count = serving->buffered - at;
        if (count > BULK_CHUNK_SIZE) count = BULK_CHUNK_SIZE;
        struct msg_chunk message = {slice_of(serving->buffer + at, count)};
        bulk_send(serving->stream, &wire_chunk, &message);
    }
}

static void done_read(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    /* Still READING while chunks are sent: should the stream end now, on_closed leaves the freeing
     * to us. */
    if (serving->stream != NULL && serving->error == ERROR_NONE) send_chunks(serving);
    serving->offset += serving->buffered;
    serving->left -= serving->buffered;
    serving->state = SERVING_DRAINING;
    if (serving->stream == NULL) serving_free(serving);
    else if (serving->error != ERROR_NONE)
        give_up(serving, serving->error, "a block's file can't be read");
    else if (serving->left == 0) become_idle(serving);
    else if (serving->stream->unsent_size < SERVE_QUEUED_MAX) read_more(serving);
}

static void read_more(struct serving *serving)
{
    if (serving->buffer == NULL) serving->buffer = malloc(SERVE_READ_SIZE);
    if (serving->buffer == NULL) {
        give_up(serving, ERROR_MEMORY, "no memory to read a block");
        return;
    }
    serving->buffered = serving->left < SERVE_READ_SIZE ? (size_t)serving->left : SERVE_READ_SIZE;
    serving->state = SERVING_READING;
    stream_set_deadline(serving->stream, loop_now() + SERVE_TIMEOUT);
    chore_start(&serving->loop->uv, &serving->chore, run_read, done_read);
}

static void on_drained(struct stream *stream)
{
    struct serving *serving = stream->context;
    if (serving->state == SERVING_DRAINING) read_more(serving);
}

static void start_fetch(struct serving *serving, const struct msg_fetch *message)
{
    struct block *block = blocks_find(serving->loop->blocks, &message->digest);
    if (block == NULL) {
        reply(serving, ERROR_NOT_FOUND);
        return;
    }
    blocks_pin(block);
    serving->block = block;
    serving->block_size = block->size;
    serving->block_state = block->state;
    serving->is_partitioned = block->is_partitioned;
    serving->wanted = *message;
    blocks_path(serving->loop->blocks, block, serving->path);
    serving->state = SERVING_OPENING;
    stream_pause(serving->stream);
    stream_set_deadline(serving->stream, INSTANT_NEVER);
    chore_start(&serving->loop->uv, &serving->chore, run_open, done_open);
}

/* ---- store ---- */

static void on_over(void *context, enum error error, const struct msg_block_ref *block)
{
    struct serving *serving = context;
    struct msg_stored message = {.status = (uint8_t)error, .block = *block};
    if (error != ERROR_NONE) message.text = slice_string(error_text(error));
    bulk_send(serving->stream, &wire_stored, &message);
}

/* There may be room for more. */
static void on_settled(void *context)
{
    struct serving *serving = context;
    if (serving->stream == NULL) {
        if (!is_with_worker(serving)) serving_free(serving);
    } else if (serving->state == SERVING_WAITING &&
               serving->deposits.count < serving->deposits_max) {
        become_idle(serving);
    } else if (serving->state == SERVING_IDLE && serving->deposits.count == 0) {
        stream_set_deadline(serving->stream, loop_now() + SERVE_TIMEOUT);
    }
}

static void on_ready(void *context)
{
    struct serving *serving = context;
    stream_set_deadline(serving->stream, loop_now() + SERVE_TIMEOUT);
    stream_resume(serving->stream);
}

/* Trouble amid an upload: the rest of the bytes is thrown away. */
static void on_failed(void *context)
{
    struct serving *serving = context;
    serving->state = SERVING_SWALLOWING;
    on_ready(serving);
}

static const struct deposits_user deposits_user = {on_ready, on_failed, on_over, on_settled};

static void run_look(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    serving->room = sink_room(blocks_directory(serving->loop->blocks));
}

static uint64_t spoken_for(const struct loop *loop) { return loop->promised + loop->unwritten; }

/* What was promised to others, or written, meanwhile is taken off; twice rather than not at all. */
static void say_room(struct serving *serving)
{
    const struct msg_store_ask *asked = &serving->asked;
    struct loop *loop = serving->loop;
    uint64_t now = spoken_for(loop), spoken = serving->spoken > now ? serving->spoken : now;
    uint64_t room = serving->room > spoken ? serving->room - spoken : 0;
    struct msg_store_room reply = {.size = asked->size < room ? asked->size : room};
    if (reply.size < asked->least || (reply.size == 0 && asked->size > 0)) {
        reply = (struct msg_store_room){.status = ERROR_FULL};
        blocks_feed_full(loop, asked->least); /* less may fit */
    }
    serving->granted = reply.size;
    loop->promised += reply.size;
    bulk_send(serving->stream, &wire_store_room, &reply);
}

static void done_look(struct chore *chore)
{
    struct serving *serving = (struct serving *)chore;
    if (serving->stream != NULL) say_room(serving); /* still LOOKING: the freeing is ours */
    serving->state = SERVING_IDLE;
    if (serving->stream == NULL) serving_free(serving);
    else become_idle(serving);
}

static void look_for_room(struct serving *serving, const struct msg_store_ask *ask)
{
    serving->asked = *ask;
    use_grant(serving, serving->granted);
    serving->spoken = spoken_for(serving->loop);
    serving->state = SERVING_LOOKING;
    stream_pause(serving->stream);
    stream_set_deadline(serving->stream, INSTANT_NEVER);
    chore_start(&serving->loop->uv, &serving->chore, run_look, done_look);
}

static void start_store(struct serving *serving)
{
    if (deposits_begin(&serving->deposits, serving->granted, serving->copies) != ERROR_NONE) {
        give_up(serving, ERROR_MEMORY, "no memory for an upload");
        return;
    }
    serving->received = 0;
    serving->state = SERVING_STORING;
    stream_set_deadline(serving->stream, loop_now() + SERVE_TIMEOUT);
}

static void on_chunk(struct serving *serving, struct slice bytes)
{
    if (serving->state == SERVING_SWALLOWING) return;
    serving->received += bytes.count;
    use_grant(serving, bytes.count);
    bool has_room = deposits_write(&serving->deposits, bytes);
    if (!has_room) stream_pause(serving->stream);
    stream_set_deadline(serving->stream, has_room ? loop_now() + SERVE_TIMEOUT : INSTANT_NEVER);
}

/* The next one may come, unless there are as many as may be. */
static void await_deposits(struct serving *serving, size_t most)
{
    bool is_full = serving->deposits.count >= most;
    serving->deposits_max = most;
    serving->state = is_full ? SERVING_WAITING : SERVING_IDLE;
    if (is_full) stream_pause(serving->stream);
    stream_set_deadline(serving->stream, INSTANT_NEVER);
}

static void finish_store(struct serving *serving, uint64_t size, const uint64_t *check)
{
    if (serving->state == SERVING_SWALLOWING) {
        become_idle(serving);
        return;
    }
    if (size != serving->received) {
        give_up(serving, ERROR_INVALID, "an upload of another size than announced");
        return;
    }
    deposits_end(&serving->deposits, check);
    await_deposits(serving, DEPOSITS_MAX);
}

static void check_store(struct serving *serving, const struct msg_store_check *end)
{
    finish_store(serving, end->size, &end->check);
}

static void store_lent(struct serving *serving, const struct msg_store_lent *lent)
{
    uint64_t granted = serving->granted;
    if (lent->size == 0 || lent->size > LENT_MAX || lent->offset > INT64_MAX - LENT_MAX) {
        give_up(serving, ERROR_INVALID, "a lent block without bytes, or beyond any file");
        return;
    }
    use_grant(serving, lent->size);
    if (deposits_pull(&serving->deposits, lent, granted, serving->copies) != ERROR_NONE)
        give_up(serving, ERROR_MEMORY, "no memory for an upload");
    else await_deposits(serving, LENT_DEPOSITS_MAX);
}

static void store_known(struct serving *serving, const struct msg_store_known *known)
{
    if (deposits_know(&serving->deposits, &known->block, serving->copies) != ERROR_NONE)
        give_up(serving, ERROR_MEMORY, "no memory for an upload");
    else await_deposits(serving, KNOWN_DEPOSITS_MAX);
}

static void say_lending(struct serving *serving)
{
    struct msg_lending message = {slice_string(lending_offer(serving->loop->lending))};
    bulk_send(serving->stream, &wire_lending, &message);
}

/* ---- messages ---- */

static bool is_storing(const struct serving *serving)
{
    return serving->state == SERVING_STORING || serving->state == SERVING_SWALLOWING;
}

static void on_message(struct serving *serving, const struct wire_message *message)
{
    bool may_store = serving->state == SERVING_IDLE;
    bool is_idle = may_store && serving->deposits.count == 0;
    if (message->type == MSG_fetch && is_idle) start_fetch(serving, message->fields);
    else if (message->type == MSG_store && may_store) start_store(serving);
    else if (message->type == MSG_store_lent && may_store) store_lent(serving, message->fields);
    else if (message->type == MSG_store_known && may_store) store_known(serving, message->fields);
    else if (message->type == MSG_ask_lending && is_idle) say_lending(serving);
    else if (message->type == MSG_store_for && may_store)
        serving->copies = ((const struct msg_store_for *)message->fields)->copies;
    else if (message->type == MSG_store_ask && may_store) look_for_room(serving, message->fields);
    else if (message->type == MSG_unstore && is_idle)
        deposits_unwanted(serving->loop, &((const struct msg_unstore *)message->fields)->digest,
                          false);
    else if (message->type == MSG_store_used && is_idle)
        deposits_unwanted(serving->loop, &((const struct msg_store_used *)message->fields)->digest,
                          true);
    else if (message->type == MSG_chunk && is_storing(serving))
        on_chunk(serving, ((const struct msg_chunk *)message->fields)->bytes);
    else if (message->type == MSG_store_end && is_storing(serving))
        finish_store(serving, ((const struct msg_store_end *)message->fields)->size, NULL);
    else if (message->type == MSG_store_check && is_storing(serving))
        check_store(serving, message->fields);
    else give_up(serving, ERROR_INVALID, "a bulk message out of turn");
}

static void on_record(struct stream *stream, struct slice bytes)
{
    while (bytes.count > 0 && stream->state == STREAM_OPEN) {
        struct bulk_scratch scratch;
        struct wire_message message;
        const char *reason = bulk_unpack(&bytes, &message, &scratch);
        if (reason != NULL) give_up(stream->context, ERROR_INVALID, reason);
        else on_message(stream->context, &message);
    }
}

static void on_opened(struct stream *stream)
{
    struct serving *serving = calloc(1, sizeof *serving);
    if (serving == NULL) {
        stream_drop(stream);
        return;
    }
    serving->loop = stream->context;
    serving->stream = stream;
    serving->file = -1;
    deposits_init(&serving->deposits, serving->loop, &deposits_user, serving);
    stream->context = serving;
    stream_set_deadline(stream, loop_now() + SERVE_TIMEOUT);
}

static const struct stream_user serve_user = {on_opened, on_record, on_drained, on_closed};

void serve_open(struct loop *loop)
{
    streams_serve(loop->streams, CHANNEL_BULK, &serve_user, loop);
}
