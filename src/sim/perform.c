/* The dispatcher from actions to the parts of the laboratory. Nothing here steps a node: what an
 * action leads to comes back through the queue, at its own time. */
#include "sim/perform.h"

#include "sim/blocks.h"
#include "sim/disk.h"
#include "sim/world.h"

#include <assert.h>

enum {
    RESOLVE_DELAY = 30 * MILLISECOND
};

static void resolve(struct world *world, struct host *host, uint64_t token)
{
    queue_push(&world->queue, (struct happening){.at = world->now + RESOLVE_DELAY,
                                                 .kind = HAPPEN_RESOLVED,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .number = token});
}

static void perform_block(struct world *world, struct host *host, const struct action *action)
{
    switch (action->kind) {
    case ACTION_BLOCK_WRITE:
        blocks_write(world, host, action->block_write.token, action->block_write.bytes);
        return;
    case ACTION_BLOCK_READ:
        blocks_read(world, host, action->block_read.token, &action->block_read.block);
        return;
    case ACTION_BLOCK_FETCH: blocks_fetch(world, host, action); return;
    case ACTION_BLOCK_DROP: blocks_drop(world, host, &action->block_drop.digest); return;
    case ACTION_BLOCK_CHECK: blocks_check(world, host, &action->block_check.block.digest); return;
    default: assert(!"an action of blocks");
    }
}

static void perform_one(struct world *world, struct host *host, const struct action *action)
{
    switch (action->kind) {
    case ACTION_SEND:
        network_send(world, host->index, &action->send.to, action->send.bytes);
        return;
    case ACTION_STREAM_OPEN:
        streams_open(world, host->index, action->stream_open.stream, &action->stream_open.to,
                     CHANNEL_PEER);
        return;
    case ACTION_STREAM_SEND:
        streams_send(world, host->index, action->stream_send.stream, action->stream_send.bytes);
        return;
    case ACTION_STREAM_CLOSE:
        streams_close(world, host->index, action->stream_close.stream);
        return;
    case ACTION_PERSIST:
        disk_persist(world, host, action->persist.token, action->persist.puts,
                     action->persist.puts_count);
        return;
    case ACTION_BLOCK_WRITE:
    case ACTION_BLOCK_READ:
    case ACTION_BLOCK_FETCH:
    case ACTION_BLOCK_DROP:
    case ACTION_BLOCK_CHECK: perform_block(world, host, action); return;
    case ACTION_TASK_RUN: worker_run(world, host, action); return;
    case ACTION_TASK_KILL: worker_kill(world, host, action->task_kill.token); return;
    case ACTION_KEYS_WRITE: return; /* nobody rotates keys here */
    case ACTION_TAIL_READ: worker_tail(world, host, action); return;
    case ACTION_PREFETCH: return; /* a help only: attempts fetch what they need */
    case ACTION_PREFETCH_END: return;
    case ACTION_RESOLVE: resolve(world, host, action->resolve.token); return;
    case ACTION_STOP: return;
    }
}

bool perform_actions(struct world *world, struct host *host, enum error *error)
{
    const struct actions *actions = &world->actions;
    for (size_t i = 0; i < actions->count; i++) {
        const struct action *action = &actions->items[i];
        if (action->kind == ACTION_STOP) {
            *error = action->stop.error;
            if (action->stop.boot > host->boot.counter) host->boot.counter = action->stop.boot;
            world_say(world, host->index, "stop: %s", action->stop.text);
            return true;
        }
        perform_one(world, host, action);
    }
    return false;
}
