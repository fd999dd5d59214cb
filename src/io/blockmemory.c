/* Small blocks (blockmemory.h): each a copy in memory, handled by one worker thread at a time. What
 * is read is checked against its digest: the core folds over it, and a disk may lie.
 *
 * What the log carries comes in hundreds, when a job of many brief tasks leaves its output under a
 * name, and nobody waits for it. Each costs two syncs, the second one in a line with those of all
 * other blocks (blocks.c): so all but a few stay out of that line, or the list of the same output,
 * which somebody asks for now, would be there when the last of them is. */
#include "io/blockmemory.h"

#include "io/blocks.h"
#include "io/loop.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BLOCKMEMORY_MAX = 256 << 20, /* above the largest manifest; a guard against a wrong size */
    PATIENTS_MAX = 8,            /* enough for the threads; with a sync of 50 ms less than 0.5 s */
};

struct blockmemory {
    struct chore chore;
    struct blockmemory *next; /* that waits */
    bool is_patient;
    struct loop *loop;
    uint64_t token;
    struct msg_block_ref ref;
    struct block *block; /* pinned while reading */
    enum error error;
    char path[FILE_PATH_MAX];
    struct block_place place;
    size_t size;
    uint8_t bytes[];
};

static struct blockmemory *blockmemory_new(struct loop *loop, uint64_t token, uint64_t size)
{
    if (size > BLOCKMEMORY_MAX) return NULL;
    struct blockmemory *memory = malloc(sizeof *memory + (size_t)size);
    if (memory == NULL) return NULL;
    *memory = (struct blockmemory){.loop = loop, .token = token, .size = (size_t)size};
    return memory;
}

/* ---- write ---- */

static void run_write(struct chore *chore)
{
    struct blockmemory *memory = (struct blockmemory *)chore;
    struct slice bytes = slice_of(memory->bytes, memory->size);
    crypto_sodium.digest(bytes, &memory->ref.digest);
    memory->ref.size = memory->size;
    memory->error = file_put(memory->path, bytes, BLOCK_MODE_DURABLE);
}

static void done_write(struct chore *chore);

static void begin_write(struct blockmemory *memory)
{
    struct loop *loop = memory->loop;
    loop->patients_count += memory->is_patient;
    blocks_temporary(loop->blocks, memory->path);
    chore_start(&loop->uv, &memory->chore, run_write, done_write);
}

/* Somebody could not wait, and it was written by itself: that has been told. */
static bool is_here(struct blockmemory *memory)
{
    crypto_sodium.digest(slice_of(memory->bytes, memory->size), &memory->ref.digest);
    return blocks_find(memory->loop->blocks, &memory->ref.digest) != NULL;
}

/* Once the loop is stopped nothing new is begun: it is in the log. */
static void begin_patient(struct loop *loop)
{
    while (loop->patient_first != NULL && loop->patients_count < PATIENTS_MAX) {
        struct blockmemory *memory = loop->patient_first;
        loop->patient_first = memory->next;
        if (loop->state != LOOP_STOPPED && !is_here(memory)) begin_write(memory);
        else free(memory);
    }
}

static void put_last(struct loop *loop, struct blockmemory *memory)
{
    if (loop->patient_first == NULL) loop->patient_first = memory;
    else loop->patient_last->next = memory;
    loop->patient_last = memory;
}

static void on_placed(struct block_place *place, enum error error)
{
    struct blockmemory *memory = place->context;
    struct loop *loop = memory->loop;
    struct event event = {.kind = EVENT_BLOCK_STORED};
    event.block_stored.token = memory->token;
    event.block_stored.block = memory->ref;
    if (error == ERROR_NONE) loop_feed(loop, &event);
    else blocks_feed_failed(loop, memory->token, &memory->ref.digest, error);
    loop->patients_count -= memory->is_patient;
    free(memory);
    begin_patient(loop);
}

static void done_write(struct chore *chore)
{
    struct blockmemory *memory = (struct blockmemory *)chore;
    struct block_place *place = &memory->place;
    if (memory->error != ERROR_NONE) {
        on_placed(place, memory->error);
        return;
    }
    memcpy(place->from, memory->path, FILE_PATH_MAX);
    place->digest = memory->ref.digest;
    place->size = memory->ref.size;
    place->is_durable = true;
    blocks_place(memory->loop->blocks, place);
}

void blockmemory_write(struct loop *loop, uint64_t token, struct slice bytes, bool is_patient)
{
    struct blockmemory *memory = blockmemory_new(loop, token, bytes.count);
    if (memory == NULL) {
        struct digest digest; /* by which the core knows that it may try again */
        crypto_sodium.digest(bytes, &digest);
        blocks_feed_failed(loop, token, &digest, ERROR_MEMORY);
        return;
    }
    if (bytes.count > 0) memcpy(memory->bytes, bytes.at, bytes.count);
    memory->place.context = memory;
    memory->place.done = on_placed;
    memory->is_patient = is_patient;
    if (is_patient) {
        put_last(loop, memory);
        begin_patient(loop);
    } else {
        begin_write(memory);
    }
}

/* ---- read ---- */

static void run_read(struct chore *chore)
{
    struct blockmemory *memory = (struct blockmemory *)chore;
    struct digest digest;
    int file = open(memory->path, O_RDONLY | O_CLOEXEC);
    memory->error = file < 0 ? file_error(errno) : file_read(file, memory->bytes, memory->size, 0);
    if (file >= 0) close(file);
    if (memory->error != ERROR_NONE) return;
    crypto_sodium.digest(slice_of(memory->bytes, memory->size), &digest);
    if (!digest_equal(&digest, &memory->ref.digest)) memory->error = ERROR_CORRUPT;
}

static void done_read(struct chore *chore)
{
    struct blockmemory *memory = (struct blockmemory *)chore;
    struct event event = {.kind = EVENT_BLOCK_READ};
    event.block_read.token = memory->token;
    event.block_read.digest = memory->ref.digest;
    event.block_read.bytes = slice_of(memory->bytes, memory->size);
    blocks_unpin(memory->loop->blocks, memory->block);
    if (memory->error == ERROR_NONE) loop_feed(memory->loop, &event);
    else blocks_feed_failed(memory->loop, memory->token, &memory->ref.digest, memory->error);
    free(memory);
}

void blockmemory_read(struct loop *loop, uint64_t token, const struct msg_block_ref *ref)
{
    struct block *block = blocks_find(loop->blocks, &ref->digest);
    struct blockmemory *memory = block == NULL ? NULL : blockmemory_new(loop, token, block->size);
    if (memory == NULL) {
        blocks_feed_failed(loop, token, &ref->digest,
                           block == NULL ? ERROR_NOT_FOUND : ERROR_MEMORY);
        return;
    }
    memory->ref = *ref;
    memory->block = block;
    blocks_pin(block);
    blocks_path(loop->blocks, block, memory->path);
    chore_start(&loop->uv, &memory->chore, run_read, done_read);
}
