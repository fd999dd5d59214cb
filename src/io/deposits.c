/* Deposits (deposits.h): sink, then block, then told.
 *
 *   chunks   -- sink_write --> sink_finish: fsync --> blocks_place --> over
 *   lent     WAITS --> PULLED: a worker reads, hashes, writes --> the same
 *   known    SYNCED: a worker looks at the block's file --> over
 *
 * Lent ones are pulled in order and a few at once. Were they all begun together, they would all be
 * read, and then all be synced: the disk would wait for the processors, and these for the disk. */
#include "io/deposits.h"

#include "io/blocks.h"
#include "io/lending.h"
#include "io/loop.h"
#include "io/sink.h"
#include "io/verify.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PULLED_MAX = 2,          /* a worker hashes more slowly than a disk writes, two do not */
    PROMISE_SLACK = 1 << 20, /* the last line of a block goes beyond what was asked for */
};

enum deposit_state {
    DEPOSIT_COMES, /* as chunks */
    DEPOSIT_WAITS, /* to be pulled */
    DEPOSIT_PULLED,
    DEPOSIT_SYNCED, /* all its bytes have come */
    DEPOSIT_OVER,
};

struct deposit {
    struct deposit *next;
    struct deposits *owner; /* NULL: nobody waits for it any more */
    struct loop *loop;
    enum deposit_state state;
    struct sink *sink; /* until its bytes are durable */
    struct block_place place;
    struct block *block; /* a known one; pinned */
    uint8_t copies;      /* that will be wanted */
    enum error error;
    int file; /* while it WAITS; then the sink's. -1: none was lent, as the worker will find */
    uint64_t offset, size;
};

void deposits_init(struct deposits *deposits, struct loop *loop, const struct deposits_user *user,
                   void *context)
{
    *deposits = (struct deposits){.loop = loop, .user = user, .context = context, .lent = -1};
}

bool deposits_leave(struct deposits *deposits)
{
    for (struct deposit *deposit = deposits->first, *next; deposit != NULL; deposit = next) {
        next = deposit->next;
        deposit->owner = NULL;
        if (deposit->state == DEPOSIT_WAITS && deposit->file >= 0) close(deposit->file);
        if (deposit->state < DEPOSIT_SYNCED) sink_abort(deposit->sink);
        if (deposit->state != DEPOSIT_SYNCED) free(deposit);
    }
    if (deposits->lent >= 0) close(deposits->lent);
    deposits->first = NULL;
    deposits->count = 0;
    deposits->lent = -1;
    return !deposits->is_telling;
}

/* ---- what becomes of them ---- */

static void settle(struct deposits *deposits)
{
    struct deposit *deposit;
    if (deposits->is_telling) return;
    deposits->is_telling = true;
    while ((deposit = deposits->first) != NULL && deposit->state == DEPOSIT_OVER) {
        enum error error = deposit->error;
        struct msg_block_ref block = {0};
        if (error == ERROR_NONE)
            block = (struct msg_block_ref){deposit->place.digest, deposit->place.size};
        deposits->first = deposit->next;
        deposits->count--;
        free(deposit);
        deposits->user->over(deposits->context, error, &block);
    }
    deposits->is_telling = false;
    deposits->user->settled(deposits->context);
}

static void end_deposit(struct deposit *deposit, enum error error)
{
    struct deposits *owner = deposit->owner;
    deposit->state = DEPOSIT_OVER;
    deposit->error = error;
    if (owner == NULL) free(deposit);
    else settle(owner);
}

void deposits_unwanted(struct loop *loop, const struct digest *digest, bool is_used)
{
    struct event event = {.kind = EVENT_BLOCK_UNWANTED};
    event.block_unwanted.digest = *digest;
    event.block_unwanted.is_used = is_used;
    loop_feed(loop, &event);
}

static void on_placed(struct block_place *place, enum error error)
{
    struct deposit *deposit = place->context;
    struct event event = {.kind = EVENT_BLOCK_STORED};
    event.block_stored.block = (struct msg_block_ref){place->digest, place->size};
    event.block_stored.copies = deposit->copies;
    event.block_stored.is_known = deposit->block != NULL;
    if (error == ERROR_NONE)
        loop_feed(deposit->loop, &event); /* known here before its owner can name it */
    if (error == ERROR_NONE && deposit->owner == NULL)
        deposits_unwanted(deposit->loop, &place->digest, false); /* it is gone, unanswered */
    end_deposit(deposit, error);
}

/* In order, as many at once as may be. */
static void pull_more(struct deposits *deposits)
{
    struct deposit *deposit = deposits->first;
    for (; deposit != NULL && deposits->pulled_count < PULLED_MAX; deposit = deposit->next) {
        if (deposit->state != DEPOSIT_WAITS) continue;
        deposit->state = DEPOSIT_PULLED;
        deposits->pulled_count++;
        sink_pull(deposit->sink, deposit->file, deposit->offset, deposit->size);
    }
}

/* Its bytes have all come, or none will any more. */
static void bytes_end(struct deposit *deposit)
{
    struct deposits *owner = deposit->owner;
    bool was_pulled = deposit->state == DEPOSIT_PULLED;
    deposit->state = DEPOSIT_SYNCED;
    if (!was_pulled || owner == NULL) return;
    owner->pulled_count--;
    pull_more(owner);
}

static void on_sink_ended(void *context, enum error error, const struct digest *digest,
                          uint64_t size)
{
    struct deposit *deposit = context;
    struct block_place *place = &deposit->place;
    struct deposits *owner = deposit->owner;
    bool is_coming = deposit->state == DEPOSIT_COMES;
    deposit->sink = NULL;
    bytes_end(deposit);
    if (error != ERROR_NONE) {
        if (is_coming && owner != NULL) owner->user->failed(owner->context);
        /* For as much a full disk rests for a while. */
        if (error == ERROR_FULL) blocks_feed_full(deposit->loop, size);
        end_deposit(deposit, error);
        return;
    }
    place->digest = *digest;
    place->size = size;
    place->is_durable = true;
    place->context = deposit;
    place->done = on_placed;
    blocks_place(deposit->loop->blocks, place);
}

static void on_sink_ready(void *context)
{
    struct deposit *deposit = context;
    struct deposits *owner = deposit->owner;
    if (deposit->state == DEPOSIT_PULLED) bytes_end(deposit);
    else if (deposit->state == DEPOSIT_COMES && owner != NULL) owner->user->ready(owner->context);
}

static const struct sink_user sink_user = {on_sink_ready, on_sink_ended};

/* ---- their bytes ---- */

static struct deposit *last(const struct deposits *deposits)
{
    struct deposit *deposit = deposits->first;
    while (deposit != NULL && deposit->next != NULL) deposit = deposit->next;
    return deposit;
}

static void add(struct deposits *deposits, struct deposit *deposit, uint8_t copies)
{
    struct deposit *before = last(deposits);
    deposit->owner = deposits;
    deposit->loop = deposits->loop;
    deposit->copies = copies;
    *(before == NULL ? &deposits->first : &before->next) = deposit;
    deposits->count++;
}

/* One whose bytes are still to be written. NULL: no memory. */
static struct deposit *add_sink(struct deposits *deposits, uint64_t promised, uint8_t copies)
{
    struct deposit *deposit = calloc(1, sizeof *deposit);
    if (deposit == NULL) return NULL;
    blocks_temporary(deposits->loop->blocks, deposit->place.from);
    deposit->sink = sink_open(deposits->loop, deposit->place.from, NULL, 0, &sink_user, deposit);
    if (deposit->sink == NULL) {
        free(deposit);
        return NULL;
    }
    if (promised > 0) sink_promise(deposit->sink, promised + PROMISE_SLACK);
    add(deposits, deposit, copies);
    return deposit;
}

enum error deposits_begin(struct deposits *deposits, uint64_t promised, uint8_t copies)
{
    return add_sink(deposits, promised, copies) == NULL ? ERROR_MEMORY : ERROR_NONE;
}

bool deposits_write(struct deposits *deposits, struct slice bytes)
{
    struct deposit *deposit = last(deposits);
    assert(deposit != NULL && deposit->state == DEPOSIT_COMES);
    return sink_write(deposit->sink, bytes);
}

void deposits_end(struct deposits *deposits, const uint64_t *check)
{
    struct deposit *deposit = last(deposits);
    assert(deposit != NULL && deposit->state == DEPOSIT_COMES);
    deposit->state = DEPOSIT_SYNCED;
    if (check != NULL) sink_expect(deposit->sink, *check);
    sink_finish(deposit->sink, true);
}

/* A descriptor of its own of the file that is meant; -1: there is none. */
static int lent_file(struct deposits *deposits, const struct id *token)
{
    if (deposits->lent < 0 || !id_equal(&deposits->token, token)) {
        if (deposits->lent >= 0) close(deposits->lent);
        deposits->lent = lending_take(deposits->loop->lending, token);
        deposits->token = *token;
    }
    return deposits->lent < 0 ? -1 : fcntl(deposits->lent, F_DUPFD_CLOEXEC, 0);
}

enum error deposits_pull(struct deposits *deposits, const struct msg_store_lent *lent,
                         uint64_t promised, uint8_t copies)
{
    assert(lent->size > 0);
    struct deposit *deposit = add_sink(deposits, promised, copies);
    if (deposit == NULL) return ERROR_MEMORY;
    deposit->file = lent_file(deposits, &lent->token);
    deposit->offset = lent->offset;
    deposit->size = lent->size;
    deposit->state = DEPOSIT_WAITS;
    pull_more(deposits);
    return ERROR_NONE;
}

/* ---- bytes that are here ---- */

static void run_look(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    struct deposit *deposit = place->context;
    place->error = ERROR_NOT_FOUND;
    if (deposit->block != NULL)
        place->error = verify_file(place->from, &place->digest, false, false, &place->state);
}

/* It may have been dropped meanwhile: then it goes as soon as nobody reads it. Whatever is wrong
 * with it, the client is not to count on it. */
static void done_look(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    struct deposit *deposit = place->context;
    struct block *block = deposit->block;
    enum error error = place->error;
    if (block != NULL) {
        struct loop *loop = deposit->loop;
        if (error != ERROR_NONE || block->is_dropped) error = ERROR_NOT_FOUND;
        verify_note(loop, block, &place->state, place->error);
        on_placed(place, error); /* deposit may be gone now */
        blocks_unpin(loop->blocks, block);
    } else {
        on_placed(place, error);
    }
}

enum error deposits_know(struct deposits *deposits, const struct msg_block_ref *ref, uint8_t copies)
{
    struct block *block = blocks_find(deposits->loop->blocks, &ref->digest);
    struct deposit *deposit = calloc(1, sizeof *deposit);
    if (deposit == NULL) return ERROR_MEMORY;
    bool is_same =
        block != NULL && block->is_durable && !block->is_partitioned && block->size == ref->size;
    if (is_same) {
        blocks_pin(block);
        blocks_path(deposits->loop->blocks, block, deposit->place.from);
        deposit->block = block;
        deposit->place.state = block->state;
    }
    deposit->place.digest = ref->digest;
    deposit->place.size = ref->size;
    deposit->place.context = deposit;
    deposit->state = DEPOSIT_SYNCED;
    add(deposits, deposit, copies);
    chore_start(&deposits->loop->uv, &deposit->place.chore, run_look, done_look);
    return ERROR_NONE;
}
