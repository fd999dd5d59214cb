/* Prefetched parts (prefetch.h): QUEUED -> FETCHING -> HERE, in the order in which they were asked
 * for, a few at a time: half of what may be fetched at once stays for attempts that wait. Bounded
 * in number and in bytes (--prefetch); beyond, and when the disk is full, nothing is taken. */
#include "io/prefetch.h"

#include "base/map.h"
#include "io/blocks.h"
#include "io/fetch.h"
#include "io/fetched.h"
#include "io/loop.h"
#include "node/metrics.h"
#include "node/node.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PREFETCH_PARALLEL_MAX = 4,
    PREFETCH_COUNT_MAX = 4096, /* some KB of memory each */
};

enum prefetch_state {
    PREFETCH_QUEUED,
    PREFETCH_FETCHING,
    PREFETCH_HERE,
};

struct prefetch {
    struct fetch_want want;
    struct prefetches *prefetches;
    struct prefetch *older, *newer;
    struct prefetch_key {
        struct digest digest;
        uint32_t part;
    } key;
    enum prefetch_state state;
    struct id job;
    struct msg_block_ref block;
    struct msg_block_holder holder;
    struct fetched *file; /* HERE */
};

struct prefetches {
    struct loop *loop;
    struct map map;                   /* all, by key */
    struct prefetch *oldest, *newest; /* all */
    struct prefetch *queued;          /* the oldest of those; younger ones are, too */
    size_t fetching_count;
    uint64_t size; /* of those that are here */
    bool is_closing;
};

static void pump(struct prefetches *prefetches);

static struct prefetch *find(const struct prefetches *prefetches, const struct digest *digest,
                             uint32_t part)
{
    struct prefetch_key key = {*digest, part};
    return map_get(&prefetches->map, &key);
}

static void append(struct prefetches *prefetches, struct prefetch *prefetch)
{
    prefetch->older = prefetches->newest;
    if (prefetches->newest != NULL) prefetches->newest->newer = prefetch;
    else prefetches->oldest = prefetch;
    prefetches->newest = prefetch;
    if (prefetches->queued == NULL) prefetches->queued = prefetch;
}

/* Forgets it, without its file. */
static void forget(struct prefetch *prefetch)
{
    struct prefetches *prefetches = prefetch->prefetches;
    if (prefetch->state == PREFETCH_FETCHING) {
        fetch_cancel(&prefetch->want);
        prefetches->fetching_count--;
    }
    if (prefetch->state == PREFETCH_HERE) prefetches->size -= prefetch->file->size;
    if (prefetches->queued == prefetch) prefetches->queued = prefetch->newer;
    *(prefetch->older != NULL ? &prefetch->older->newer : &prefetches->oldest) = prefetch->newer;
    *(prefetch->newer != NULL ? &prefetch->newer->older : &prefetches->newest) = prefetch->older;
    (void)map_remove(&prefetches->map, &prefetch->key);
    free(prefetch);
}

static void discard(struct prefetch *prefetch)
{
    struct fetched *file = prefetch->state == PREFETCH_HERE ? prefetch->file : NULL;
    forget(prefetch);
    if (file != NULL) fetched_release(file);
}

static void discard_queued(struct prefetches *prefetches)
{
    while (prefetches->queued != NULL) discard(prefetches->queued);
}

static void on_fetched(struct fetch_want *want, enum error error, struct fetched *file)
{
    struct prefetch *prefetch = (struct prefetch *)want;
    struct prefetches *prefetches = prefetch->prefetches;
    if (file == NULL) { /* nobody gave it, or it is a block here now */
        discard(prefetch);
    } else {
        prefetches->fetching_count--;
        prefetch->state = PREFETCH_HERE;
        prefetch->file = file;
        prefetches->size += file->size;
        node_add(prefetches->loop->node, METRIC_prefetched, 1);
    }
    if (error == ERROR_FULL || prefetches->is_closing) discard_queued(prefetches);
    pump(prefetches);
}

static void begin(struct prefetches *prefetches, struct prefetch *prefetch)
{
    prefetches->queued = prefetch->newer;
    prefetch->want.done = on_fetched;
    enum error error = fetch_start(prefetches->loop->fetches, &prefetch->want, &prefetch->block,
                                   prefetch->key.part, &prefetch->holder, 1);
    if (error != ERROR_NONE) {
        discard(prefetch);
        return;
    }
    prefetch->state = PREFETCH_FETCHING;
    prefetches->fetching_count++;
}

static void pump(struct prefetches *prefetches)
{
    if (prefetches->size >= prefetches->loop->prefetch_size_max) discard_queued(prefetches);
    while (prefetches->queued != NULL && prefetches->fetching_count < PREFETCH_PARALLEL_MAX)
        begin(prefetches, prefetches->queued);
}

void prefetch_start(struct prefetches *prefetches, const struct action *action)
{
    const struct action_input *input = &action->prefetch.input;
    bool is_too_much = prefetches->size >= prefetches->loop->prefetch_size_max ||
                       prefetches->map.count >= PREFETCH_COUNT_MAX;
    if (prefetches->is_closing || is_too_much || input->holders_count == 0) return;
    if (find(prefetches, &input->block.digest, input->part) != NULL) return;
    if (blocks_find(prefetches->loop->blocks, &input->block.digest) != NULL) return;
    struct prefetch *prefetch = calloc(1, sizeof *prefetch);
    if (prefetch == NULL) return;
    prefetch->prefetches = prefetches;
    prefetch->key = (struct prefetch_key){input->block.digest, input->part};
    prefetch->job = action->prefetch.job;
    prefetch->block = input->block;
    prefetch->holder = input->holders[0];
    if (map_add(&prefetches->map, prefetch) != ERROR_NONE) {
        free(prefetch);
        return;
    }
    append(prefetches, prefetch);
    pump(prefetches);
}

void prefetch_end(struct prefetches *prefetches, const struct id *job)
{
    for (struct prefetch *prefetch = prefetches->oldest, *next; prefetch != NULL; prefetch = next) {
        next = prefetch->newer;
        if (id_equal(&prefetch->job, job)) discard(prefetch);
    }
    pump(prefetches);
}

struct fetched *prefetch_take(struct prefetches *prefetches, const struct digest *digest,
                              uint32_t part)
{
    struct prefetch *prefetch = find(prefetches, digest, part);
    if (prefetch == NULL || prefetch->state != PREFETCH_HERE) return NULL;
    struct fetched *file = prefetch->file;
    node_add(prefetches->loop->node, METRIC_prefetches_used, 1);
    forget(prefetch);
    return file;
}

void prefetch_leave(struct prefetches *prefetches, const struct digest *digest, uint32_t part)
{
    struct prefetch *prefetch = find(prefetches, digest, part);
    if (prefetch == NULL) return;
    discard(prefetch);
    pump(prefetches);
}

enum error prefetches_open(struct loop *loop, struct prefetches **out)
{
    struct prefetches *prefetches = calloc(1, sizeof *prefetches);
    if (prefetches == NULL) return ERROR_MEMORY;
    prefetches->loop = loop;
    map_init(&prefetches->map, &loop->memory, offsetof(struct prefetch, key),
             sizeof(struct prefetch_key));
    *out = prefetches;
    return ERROR_NONE;
}

void prefetches_close(struct prefetches *prefetches)
{
    if (prefetches->is_closing) return;
    prefetches->is_closing = true;
    while (prefetches->oldest != NULL) discard(prefetches->oldest);
}

void prefetches_free(struct prefetches *prefetches)
{
    if (prefetches == NULL) return;
    assert(prefetches->oldest == NULL && prefetches->fetching_count == 0);
    map_deinit(&prefetches->map);
    free(prefetches);
}
