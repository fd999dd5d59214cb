/* A block's bytes are kept once, however many hosts hold them; a host's disk is a map of digests.
 * What the node is told later travels through the queue as block_news, so that a crash in between
 * loses it, as it would. */
#include "sim/blocks.h"

#include "sim/history.h"
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>

enum {
    BYTES_PER_MICROSECOND = 50,      /* a transfer */
    SEEK_DELAY = 2 * MILLISECOND,    /* before the first byte */
    HOLDER_DELAY = 20 * MILLISECOND, /* to find out that a holder has not got it */
};

struct block_news {
    enum event_kind kind; /* _STORED, _FAILED, _READ, _CHECKED or _UNWANTED */
    uint64_t token;
    const struct content *content; /* STORED, READ */
    struct digest digest;          /* the others */
    enum error error;              /* FAILED, CHECKED */
};

struct block_fetch {
    uint64_t token;
    struct msg_block_ref block;
    bool is_list;
    size_t count;
    struct msg_block_holder holders[];
};

void blocks_init(struct blocks *blocks, struct memory *memory)
{
    map_init(&blocks->contents, memory, offsetof(struct content, digest), sizeof(struct digest));
}

void blocks_deinit(struct blocks *blocks)
{
    size_t cursor = 0;
    for (struct content *content; (content = map_next(&blocks->contents, &cursor)) != NULL;) {
        free(content->bytes);
        free(content);
    }
    map_deinit(&blocks->contents);
}

void blocks_host_init(struct world *world, struct host *host)
{
    map_init(&host->blocks, &world->memory, offsetof(struct held_block, digest),
             sizeof(struct digest));
}

static void forget_all(struct host *host)
{
    size_t cursor = 0;
    for (struct held_block *held; (held = map_next(&host->blocks, &cursor)) != NULL;) free(held);
    map_deinit(&host->blocks);
}

void blocks_host_deinit(struct world *world, struct host *host)
{
    (void)world;
    forget_all(host);
}

/* ---- contents ---- */

const struct content *blocks_find(const struct world *world, const struct digest *digest)
{
    return map_get(&world->blocks.contents, digest);
}

const struct content *blocks_content(struct world *world, const struct digest *digest,
                                     uint8_t *bytes, size_t size)
{
    struct content *content = map_get(&world->blocks.contents, digest);
    if (content != NULL) {
        free(bytes);
        return content;
    }
    content = malloc(sizeof *content);
    assert(content != NULL);
    *content = (struct content){.digest = *digest, .bytes = bytes, .size = size};
    enum error error = map_add(&world->blocks.contents, content);
    assert(error == ERROR_NONE);
    (void)error;
    return content;
}

bool blocks_has(const struct host *host, const struct digest *digest)
{
    const struct held_block *held = map_get(&host->blocks, digest);
    return held != NULL && !held->is_rotten;
}

static bool is_rotten(const struct host *host, const struct digest *digest)
{
    const struct held_block *held = map_get(&host->blocks, digest);
    return held != NULL && held->is_rotten;
}

bool blocks_rot(struct world *world, struct host *host, const struct digest *digest)
{
    struct held_block *held = map_get(&host->blocks, digest);
    if (held == NULL || held->is_rotten) return false;
    char text[DIGEST_TEXT_SIZE];
    world_say(world, host->index, "rot of %.12s", digest_text(digest, text));
    return held->is_rotten = true;
}

void blocks_put(struct world *world, struct host *host, const struct content *content,
                bool is_durable)
{
    (void)world;
    struct held_block *held = map_get(&host->blocks, &content->digest);
    if (held != NULL) {
        held->is_durable = held->is_durable || is_durable;
        held->is_rotten = false;
        return;
    }
    held = malloc(sizeof *held);
    assert(held != NULL);
    *held = (struct held_block){content->digest, content, is_durable, false};
    enum error error = map_add(&host->blocks, held);
    assert(error == ERROR_NONE);
    (void)error;
}

/* ---- lives ---- */

enum error blocks_host_load(struct host *host)
{
    size_t cursor = 0;
    for (struct held_block *held; (held = map_next(&host->blocks, &cursor)) != NULL;) {
        struct msg_block_ref block = {held->digest, held->content->size};
        enum error error = node_load_block(host->node, &block);
        if (error != ERROR_NONE) return error;
    }
    return ERROR_NONE;
}

void blocks_crash(struct world *world, struct host *host, enum crash_kind kind)
{
    if (kind == CRASH_KILL || kind == CRASH_IMAGE)
        return; /* an image: the blocks are as they are */
    if (kind == CRASH_DISK) {
        forget_all(host);
        blocks_host_init(world, host);
        return;
    }
    struct map kept;
    map_init(&kept, &world->memory, offsetof(struct held_block, digest), sizeof(struct digest));
    size_t cursor = 0;
    for (struct held_block *held; (held = map_next(&host->blocks, &cursor)) != NULL;) {
        if (!held->is_durable && prng_chance(&world->prng, 500000)) {
            free(held);
            continue;
        }
        held->is_durable = true; /* it came through: it is on the disk */
        enum error error = map_add(&kept, held);
        assert(error == ERROR_NONE);
        (void)error;
    }
    map_deinit(&host->blocks);
    host->blocks = kept;
}

/* ---- actions ---- */

static void tell(struct world *world, struct host *host, duration delay,
                 const struct block_news *news)
{
    struct block_news *copy = malloc(sizeof *copy);
    assert(copy != NULL);
    *copy = *news;
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_BLOCK,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .bytes = copy,
                                                 .size = sizeof *copy});
}

static bool has_room(const struct host *host, const struct digest *digest)
{
    return host->room == 0 || host->blocks.count < host->room ||
           map_get(&host->blocks, digest) != NULL;
}

bool blocks_upload(struct world *world, struct host *host, const struct content *content)
{
    if (!has_room(host, &content->digest)) {
        tell(world, host, 1, &(struct block_news){.kind = EVENT_BLOCK_FAILED, .error = ERROR_FULL});
        return false;
    }
    blocks_put(world, host, content, true);
    tell(world, host, 1, &(struct block_news){.kind = EVENT_BLOCK_STORED, .content = content});
    return true;
}

void blocks_unstore(struct world *world, struct host *host, const struct digest *digest)
{
    tell(world, host, 2, &(struct block_news){.kind = EVENT_BLOCK_UNWANTED, .digest = *digest});
}

void blocks_write(struct world *world, struct host *host, uint64_t token, struct slice bytes)
{
    struct digest digest;
    world->crypto->digest(bytes, &digest);
    uint8_t *copy = malloc(bytes.count + 1);
    assert(copy != NULL);
    if (bytes.count > 0) memcpy(copy, bytes.at, bytes.count);
    const struct content *content = blocks_content(world, &digest, copy, bytes.count);
    tell(world, host, SEEK_DELAY + host->fsync_delay,
         &(struct block_news){.kind = EVENT_BLOCK_STORED, .token = token, .content = content});
}

void blocks_read(struct world *world, struct host *host, uint64_t token,
                 const struct msg_block_ref *block)
{
    const struct content *content = blocks_find(world, &block->digest);
    struct block_news news = {.kind = EVENT_BLOCK_FAILED,
                              .token = token,
                              .digest = block->digest,
                              .error = is_rotten(host, &block->digest) ? ERROR_CORRUPT
                                                                       : ERROR_NOT_FOUND};
    if (blocks_has(host, &block->digest)) {
        news.kind = EVENT_BLOCK_READ;
        news.content = content;
    }
    tell(world, host, SEEK_DELAY, &news);
}

void blocks_fetch(struct world *world, struct host *host, const struct action *action)
{
    const struct msg_block_holder *holders = action->block_fetch.holders;
    const struct msg_block_ref *block = &action->block_fetch.block;
    size_t count = action->block_fetch.holders_count;
    struct block_fetch *fetch = malloc(sizeof *fetch + count * sizeof *holders);
    assert(fetch != NULL);
    *fetch = (struct block_fetch){.token = action->block_fetch.token,
                                  .block = *block,
                                  .is_list = action->block_fetch.is_list,
                                  .count = count};
    if (count > 0) memcpy(fetch->holders, holders, count * sizeof *holders);
    duration delay = SEEK_DELAY + (duration)(block->size / BYTES_PER_MICROSECOND) +
                     network_delay(&world->network);
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_FETCH,
                                                 .host = host->index,
                                                 .life = host->life,
                                                 .bytes = fetch,
                                                 .size = sizeof *fetch});
}

void blocks_check(struct world *world, struct host *host, const struct digest *digest)
{
    const struct content *content = blocks_find(world, digest);
    struct block_news news = {.kind = EVENT_BLOCK_CHECKED, .digest = *digest};
    bool is_blind = world->plan.canary == CANARY_BLIND_SCRUB;
    if (is_rotten(host, digest)) news.error = is_blind ? ERROR_NONE : ERROR_CORRUPT;
    else if (!blocks_has(host, digest)) news.error = ERROR_NOT_FOUND;
    size_t size = content == NULL ? 0 : content->size;
    tell(world, host, SEEK_DELAY + (duration)(size / BYTES_PER_MICROSECOND), &news);
}

void blocks_drop(struct world *world, struct host *host, const struct digest *digest)
{
    free(map_remove(&host->blocks, digest));
    history_check(world, host->index);
}

/* ---- what happens ---- */

bool blocks_is_reachable(const struct world *world, uint32_t reader, const struct address *holder,
                         const struct digest *digest)
{
    uint32_t index = network_index(&world->network, holder);
    if (index >= world->hosts_count || world->hosts[index].state != HOST_UP) return false;
    if (network_is_cut(&world->network, reader, index)) return false;
    if (network_is_cut(&world->network, index, reader)) return false;
    return blocks_has(&world->hosts[index], digest);
}

/* Who is asked for a block looks at its bytes before it gives them away, and hears of rot then. */
static void find_rot(struct world *world, const struct address *holder, const struct digest *digest)
{
    uint32_t index = network_index(&world->network, holder);
    if (index >= world->hosts_count || world->hosts[index].state != HOST_UP) return;
    if (is_rotten(&world->hosts[index], digest)) blocks_check(world, &world->hosts[index], digest);
}

static void fetched(struct world *world, struct host *host, const struct block_fetch *fetch)
{
    struct block_news news = {
        .kind = EVENT_BLOCK_FAILED,
        .token = fetch->token,
        .digest = fetch->block.digest,
        .error = ERROR_NOT_FOUND,
    };
    const struct digest *digest = &fetch->block.digest;
    duration delay = HOLDER_DELAY;
    for (size_t i = 0; i < fetch->count; i++, delay += HOLDER_DELAY) {
        find_rot(world, &fetch->holders[i].address, digest);
        if (!blocks_is_reachable(world, host->index, &fetch->holders[i].address, digest)) continue;
        news.kind = EVENT_BLOCK_STORED;
        news.content = blocks_find(world, digest);
        if (fetch->is_list || has_room(host, digest)) break;
        news.kind = EVENT_BLOCK_FAILED;
        news.error = ERROR_FULL;
        break;
    }
    if (news.kind == EVENT_BLOCK_FAILED && blocks_has(host, digest)) {
        news.kind = EVENT_BLOCK_STORED;
        news.content = blocks_find(world, digest);
    }
    tell(world, host, delay, &news);
}

static void deliver(struct world *world, struct host *host, const struct block_news *news)
{
    struct event event = {.kind = news->kind};
    const struct content *content = news->content;
    switch (news->kind) {
    case EVENT_BLOCK_STORED:
        if (world->plan.canary != CANARY_FALSE_COPY || news->token == 0)
            blocks_put(world, host, content, true);
        event.block_stored.token = news->token;
        event.block_stored.block = (struct msg_block_ref){content->digest, content->size};
        if (news->token == 0) event.block_stored.copies = content->digest.bytes[0] % 4;
        break;
    case EVENT_BLOCK_READ:
        event.block_read.token = news->token;
        event.block_read.digest = content->digest;
        event.block_read.bytes = slice_of(content->bytes, content->size);
        break;
    case EVENT_BLOCK_FAILED:
        event.block_failed.token = news->token;
        event.block_failed.digest = news->digest;
        event.block_failed.error = news->error;
        break;
    case EVENT_BLOCK_CHECKED:
        event.block_checked.digest = news->digest;
        event.block_checked.error = news->error;
        break;
    case EVENT_BLOCK_UNWANTED: event.block_unwanted.digest = news->digest; break;
    default: assert(!"news of a block");
    }
    host_step(world, host, &event);
}

void blocks_happen(struct world *world, struct host *host, const struct happening *happening)
{
    if (happening->kind == HAPPEN_FETCH) fetched(world, host, happening->bytes);
    else deliver(world, host, happening->bytes);
}
