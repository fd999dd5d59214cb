/* The order of things on a real disk: write returns early, fsync late, and a power cut between them
 * loses what was written from some point on, tears it, or leaves a part of its sectors (storage.h).
 * The node may believe only EVENT_PERSISTED; the crash proves whether it did. */
#include "sim/disk.h"

#include "sim/world.h"

#include <assert.h>

enum {
    FULL_AGAIN = SECOND /* a full disk is tried again so often: io/persist.c */
};

void disk_open(struct host *host)
{
    enum error error = storage_memory_open(&host->storage);
    assert(error == ERROR_NONE);
    (void)error;
}

void disk_close(struct host *host)
{
    if (host->storage != NULL) storage_close(host->storage);
    if (host->image != NULL) storage_close(host->image);
    host->storage = host->image = NULL;
}

static void failed(struct world *world, struct host *host, enum error error)
{
    world->result->disk_errors += error != ERROR_FULL;
    queue_push(&world->queue, (struct happening){.at = world->now + 1,
                                                 .kind = HAPPEN_STORAGE_FAILED,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .number = (uint64_t)error});
}

static void begin_sync(struct world *world, struct host *host)
{
    host->syncing_token = host->written_token;
    duration delay =
        host->fsync_delay / 2 + (duration)prng_below(&world->prng, (uint64_t)host->fsync_delay + 1);
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_SYNCED,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .number = host->syncing_token});
}

void disk_persist(struct world *world, struct host *host, uint64_t token,
                  const struct storage_put *puts, size_t count)
{
    if (token < host->written_token)
        world_violated(world, host->index, "contract", "persist token %llu after %llu",
                       (unsigned long long)token, (unsigned long long)host->written_token);
    enum error error = storage_write(host->storage, puts, count);
    if (error != ERROR_NONE) {
        failed(world, host, error);
        return;
    }
    host->written_token = token;
    if (host->syncing_token == 0) begin_sync(world, host);
}

void disk_synced(struct world *world, struct host *host, uint64_t token)
{
    if (host->full_at > 0 && --host->full_at == 0) {
        host->is_full = true;
        world->result->disks_full++;
    }
    if (host->is_full) {
        failed(world, host, ERROR_FULL);
        queue_push(&world->queue, (struct happening){.at = world->now + FULL_AGAIN,
                                                     .kind = HAPPEN_SYNCED,
                                                     .host = host->index,
                                                     .life = host->life,
                                                     .number = token});
        return;
    }
    host->syncing_token = 0;
    /* The canary reports what it has not done. */
    bool is_skipped = world->plan.canary == CANARY_LOSE_ACKNOWLEDGED;
    enum error error = is_skipped ? ERROR_NONE : storage_sync(host->storage);
    if (error != ERROR_NONE) {
        failed(world, host, error);
        return;
    }
    if (host->written_token > token) begin_sync(world, host);
    struct event event = {.kind = EVENT_PERSISTED};
    event.persisted.token = token;
    host_step(world, host, &event);
}

void disk_crash(struct world *world, struct host *host, enum crash_kind kind)
{
    host->written_token = host->syncing_token = 0;
    uint64_t choice = prng_next(&world->prng);
    enum storage_cut cut = kind == CRASH_TORN        ? STORAGE_TORN
                           : kind == CRASH_REORDERED ? STORAGE_REORDERED
                                                     : STORAGE_LOST;
    if (kind == CRASH_DISK) {
        disk_close(host);
        disk_open(host);
    } else if (kind == CRASH_IMAGE && host->image != NULL) {
        storage_close(host->storage);
        host->storage = host->image;
        host->image = NULL;
        host->boot.counter = host->image_counter;
    } else {
        if (world->plan.canary == CANARY_TRUST_TORN) storage_memory_trust(host->storage);
        storage_memory_cut(host->storage, cut, kind == CRASH_KILL ? UINT64_MAX : choice);
    }
}

void disk_take_image(struct host *host)
{
    if (host->image != NULL) storage_close(host->image);
    host->image_counter = host->boot.counter;
    enum error error = storage_memory_copy(host->storage, &host->image);
    assert(error == ERROR_NONE);
    (void)error;
}

void disk_fail(struct host *host, uint64_t countdown, enum error error)
{
    storage_memory_fail(host->storage, countdown, error);
}
