/* Group commit (persist.h): while the thread is in one fsync, everything that comes is gathered in
 * the other batch; so the load decides the size of a commit, and a single write never waits for
 * company (DeWitt et al. 1984, section 5). What comes of one step, or of what a stream brought at
 * once, goes in one commit, too. A step's is handed over before its messages leave: whom they wake
 * might get our processor.
 *
 *   loop:    puts -> gathering batch         thread:  write, sync
 *                         |   swap when idle     ^
 *                         +----------------------+
 *
 * Full or read-only disk: the batch is kept and tried again every second, in order, since nothing
 * of it was written. The node is told once, and lives on without acknowledging anything; the next
 * EVENT_PERSISTED tells it that there is room again. While nothing comes, the storage gets time to
 * settle (storage.h). Any other error is the end of this boot: after
 * a failed fsync nobody knows what is on the disk, and it is never tried again. */
#include "io/persist.h"

#include "io/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    PERSIST_PENDING_MAX = 512 << 20, /* a disk this far behind is not going to catch up */
    PERSIST_OWES_MUCH = 50,          /* percent */
    PERSIST_REST_MS = 500,           /* nothing came for so long: nobody waits just now */
    PERSIST_BREATH_MS = 5,
};

struct batch {
    struct storage_put *puts; /* slices point into bytes once it is handed over; offsets before */
    size_t puts_count, puts_capacity;
    uint8_t *bytes;
    size_t bytes_count, bytes_capacity;
    uint64_t token; /* of the newest write in it */
};

enum persist_state {
    PERSIST_IDLE,   /* the thread waits */
    PERSIST_BUSY,   /* it owns the writing batch */
    PERSIST_DONE,   /* the loop has not seen the result yet */
    PERSIST_FAILED, /* for good */
};

struct persist {
    struct loop *loop;
    struct storage *storage;
    uv_thread_t thread;
    bool has_thread;
    uv_async_t async;
    uv_mutex_t mutex; /* guards state, error, waits and is_ending */
    uv_cond_t wake;
    enum persist_state state;
    enum error error;
    enum error waits; /* news for the loop: why it is tried again and again; NONE */
    bool is_ending;
    struct batch batches[2];
    struct batch *gathering; /* the loop's */
    struct batch *writing;   /* the thread's while BUSY */
    bool has_gap;            /* something could not be taken: nor is what comes behind it */
};

/* ---- the thread ---- */

static void tell_waits(struct persist *persist, enum error error)
{
    uv_mutex_lock(&persist->mutex);
    persist->waits = error;
    uv_mutex_unlock(&persist->mutex);
    (void)uv_async_send(&persist->async);
}

static bool is_ending(struct persist *persist)
{
    uv_mutex_lock(&persist->mutex);
    bool is = persist->is_ending;
    uv_mutex_unlock(&persist->mutex);
    return is;
}

/* One of those after which nothing is lost (storage.h), and which may pass. */
static bool may_pass(enum error error)
{
    return error == ERROR_FULL || error == ERROR_DENIED || error == ERROR_MEMORY;
}

/* Until it is on the disk, or never will be. The storage takes the puts once, then syncs. */
static enum error commit(struct persist *persist)
{
    struct batch *batch = persist->writing;
    bool is_taken = false, was_told = false;
    for (;;) {
        enum error error = ERROR_NONE;
        if (!is_taken) error = storage_write(persist->storage, batch->puts, batch->puts_count);
        is_taken = error == ERROR_NONE;
        if (is_taken) error = storage_sync(persist->storage);
        if (error == ERROR_NONE || !may_pass(error) || is_ending(persist)) return error;
        if (!was_told) tell_waits(persist, error == ERROR_MEMORY ? ERROR_FULL : error);
        was_told = true;
        sleep(1);
    }
}

/* With the mutex held, which it lets go meanwhile: until there is a batch; false: at the end. While
 * there is none the storage gets time to settle: soon when it owes much, for a sync would have to
 * do it otherwise. What fails there is told by the next commit. */
static bool await_batch(struct persist *persist)
{
    bool has_tried = false;
    while (persist->state != PERSIST_BUSY && !persist->is_ending) {
        unsigned owes = has_tried ? 0 : storage_owes(persist->storage);
        if (owes == 0) {
            uv_cond_wait(&persist->wake, &persist->mutex);
            continue;
        }
        uint64_t pause_ms = owes < PERSIST_OWES_MUCH ? PERSIST_REST_MS : PERSIST_BREATH_MS;
        if (uv_cond_timedwait(&persist->wake, &persist->mutex, pause_ms * 1000000) == 0) continue;
        if (persist->state == PERSIST_BUSY || persist->is_ending) continue;
        uv_mutex_unlock(&persist->mutex);
        has_tried = true;
        (void)!storage_settle(persist->storage);
        uv_mutex_lock(&persist->mutex);
    }
    return persist->state == PERSIST_BUSY;
}

static void run(void *context)
{
    struct persist *persist = context;
    uv_mutex_lock(&persist->mutex);
    while (await_batch(persist)) {
        uv_mutex_unlock(&persist->mutex);
        enum error error = commit(persist);
        uv_mutex_lock(&persist->mutex);
        persist->error = error;
        persist->state = error == ERROR_NONE ? PERSIST_DONE : PERSIST_FAILED;
        (void)uv_async_send(&persist->async);
    }
    uv_mutex_unlock(&persist->mutex);
}

/* ---- the loop ---- */

static void batch_reset(struct batch *batch)
{
    enum {
        KEPT_SIZE = 1 << 20
    }; /* of a usual batch; what a burst took goes back */
    if (batch->bytes_capacity > KEPT_SIZE) {
        free(batch->bytes);
        batch->bytes = NULL;
        batch->bytes_capacity = 0;
    }
    batch->puts_count = 0;
    batch->bytes_count = 0;
}

static bool batch_reserve(struct batch *batch, size_t puts, size_t bytes)
{
    size_t puts_wanted = batch->puts_count + puts, bytes_wanted = batch->bytes_count + bytes;
    if (bytes_wanted > PERSIST_PENDING_MAX) return false;
    if (puts_wanted > batch->puts_capacity) {
        void *moved = realloc(batch->puts, 2 * puts_wanted * sizeof *batch->puts);
        if (moved == NULL) return false;
        batch->puts = moved;
        batch->puts_capacity = 2 * puts_wanted;
    }
    if (bytes_wanted > batch->bytes_capacity) {
        void *moved = realloc(batch->bytes, 2 * bytes_wanted);
        if (moved == NULL) return false;
        batch->bytes = moved;
        batch->bytes_capacity = 2 * bytes_wanted;
    }
    return true;
}

static struct slice batch_copy(struct batch *batch, struct slice bytes)
{
    if (bytes.count > 0) memcpy(batch->bytes + batch->bytes_count, bytes.at, bytes.count);
    batch->bytes_count += bytes.count;
    return (struct slice){bytes.at, bytes.count};
}

/* The bytes no longer move: slices get their final places, in the order they were copied. */
static void batch_settle(struct batch *batch)
{
    uint8_t *at = batch->bytes;
    for (size_t i = 0; i < batch->puts_count; i++) {
        struct storage_put *put = &batch->puts[i];
        put->key.at = at;
        at += put->key.count;
        if (put->value.at != NULL) put->value.at = at;
        at += put->value.count;
    }
}

/* With the mutex held. */
static void hand_over(struct persist *persist)
{
    if (persist->state != PERSIST_IDLE || persist->gathering->puts_count == 0) return;
    struct batch *batch = persist->gathering;
    persist->gathering = persist->writing;
    persist->writing = batch;
    batch_settle(batch);
    persist->state = PERSIST_BUSY;
    uv_cond_signal(&persist->wake);
}

static void feed_failed(struct persist *persist, enum error error)
{
    struct event event = {.kind = EVENT_STORAGE_FAILED};
    event.storage_failed.error = error;
    loop_feed(persist->loop, &event);
}

static void feed_persisted(struct persist *persist, uint64_t token)
{
    struct event event = {.kind = EVENT_PERSISTED};
    event.persisted.token = token;
    loop_feed(persist->loop, &event);
}

static void on_news(uv_async_t *async)
{
    struct persist *persist = async->data;
    uv_mutex_lock(&persist->mutex);
    enum persist_state state = persist->state;
    enum error waits = persist->waits;
    uint64_t token = persist->writing->token;
    persist->waits = ERROR_NONE;
    if (state == PERSIST_DONE) {
        batch_reset(persist->writing);
        persist->state = PERSIST_IDLE;
    }
    uv_mutex_unlock(&persist->mutex);
    if (waits != ERROR_NONE) feed_failed(persist, waits);
    if (state == PERSIST_DONE) feed_persisted(persist, token);
    if (state == PERSIST_FAILED) feed_failed(persist, persist->error);
}

void persist_write(struct persist *persist, uint64_t token, const struct storage_put *puts,
                   size_t count)
{
    struct batch *batch = persist->gathering;
    size_t size = 0;
    if (persist->has_gap) return;
    for (size_t i = 0; i < count; i++) size += puts[i].key.count + puts[i].value.count;
    if (!batch_reserve(batch, count, size)) {
        persist->has_gap = true;
        feed_failed(persist, ERROR_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct storage_put *put = &batch->puts[batch->puts_count++];
        put->key = batch_copy(batch, puts[i].key);
        put->value = batch_copy(batch, puts[i].value);
    }
    batch->token = token;
}

void persist_begin(struct persist *persist)
{
    if (persist->storage == NULL || persist->gathering->puts_count == 0) return;
    uv_mutex_lock(&persist->mutex);
    hand_over(persist);
    uv_mutex_unlock(&persist->mutex);
}

enum error persist_open(struct loop *loop, struct storage *storage, struct persist **out)
{
    struct persist *persist = calloc(1, sizeof *persist);
    if (persist == NULL) return ERROR_MEMORY;
    persist->loop = loop;
    persist->storage = storage;
    persist->gathering = &persist->batches[0];
    persist->writing = &persist->batches[1];
    if (uv_mutex_init(&persist->mutex) != 0 || uv_cond_init(&persist->wake) != 0) abort();
    if (uv_async_init(&loop->uv, &persist->async, on_news) != 0) {
        free(persist);
        return ERROR_SYSTEM;
    }
    persist->async.data = persist;
    *out = persist;
    return ERROR_NONE;
}

enum error persist_start(struct persist *persist)
{
    persist->has_thread = uv_thread_create(&persist->thread, run, persist) == 0;
    return persist->has_thread ? ERROR_NONE : ERROR_SYSTEM;
}

void persist_close(struct persist *persist)
{
    if (persist->storage == NULL) return;
    uv_mutex_lock(&persist->mutex);
    persist->is_ending = true;
    uv_cond_signal(&persist->wake);
    uv_mutex_unlock(&persist->mutex);
    if (persist->has_thread) uv_thread_join(&persist->thread);
    if (persist->state == PERSIST_DONE || persist->state == PERSIST_IDLE) {
        struct batch *batch = persist->gathering;
        batch_settle(batch);
        if (batch->puts_count > 0 &&
            storage_write(persist->storage, batch->puts, batch->puts_count) == ERROR_NONE)
            (void)!storage_sync(persist->storage);
    }
    persist->storage = NULL;
    uv_close((uv_handle_t *)&persist->async, NULL);
}

void persist_free(struct persist *persist)
{
    if (persist == NULL) return;
    for (size_t i = 0; i < 2; i++) {
        free(persist->batches[i].puts);
        free(persist->batches[i].bytes);
    }
    uv_cond_destroy(&persist->wake);
    uv_mutex_destroy(&persist->mutex);
    free(persist);
}
