/* Fetches for the core (blockfetch.h): a want of fetch.c whose end is an event. */
#include "io/blockfetch.h"

#include "io/blocks.h"
#include "io/fetch.h"
#include "io/loop.h"
#include "wire/kinds.h"

#include <assert.h>
#include <stdlib.h>

struct block_want {
    struct fetch_want want;
    struct loop *loop;
    uint64_t token;
    struct msg_block_ref block;
};

static void on_block(struct fetch_want *want, enum error error, struct fetched *file)
{
    struct block_want *block_want = (struct block_want *)want;
    struct event event = {.kind = EVENT_BLOCK_STORED};
    event.block_stored.token = block_want->token;
    event.block_stored.block = block_want->block;
    assert(file == NULL);
    if (error == ERROR_NONE) loop_feed(block_want->loop, &event);
    else blocks_feed_failed(block_want->loop, block_want->token, &block_want->block.digest, error);
    free(block_want);
}

void blockfetch_start(struct loop *loop, const struct action *action)
{
    const struct msg_block_ref *block = &action->block_fetch.block;
    struct block_want *want = calloc(1, sizeof *want);
    if (want == NULL) {
        blocks_feed_failed(loop, action->block_fetch.token, &block->digest, ERROR_MEMORY);
        return;
    }
    *want = (struct block_want){.loop = loop, .token = action->block_fetch.token, .block = *block};
    want->want.makes_block = true;
    want->want.is_list = action->block_fetch.is_list;
    want->want.done = on_block;
    enum error error = ERROR_NONE;
    if (blocks_find(loop->blocks, &block->digest) == NULL)
        error = fetch_start(loop->fetches, &want->want, block, PART_WHOLE,
                            action->block_fetch.holders, action->block_fetch.holders_count);
    if (want->want.fetch == NULL) on_block(&want->want, error, NULL);
}
