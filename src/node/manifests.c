/* Manifests in memory: the lists of blocks of which datasets are made. A manifest is itself a
 * block; it is fetched when it is not here, read, decoded once, and kept while a job or a name
 * wants it.
 *
 * Of a job's input some blocks may be none: ranges of files that all nodes share (a zero digest;
 * the bytes are read where they lie, shared.c). Keeper finds no such block and so leaves them
 * alone.
 *
 *   ABSENT --> FETCHING --> ABSENT (now here) --> READING --> READY
 *     ^-----------'  failed: again in a second      '--> ABSENT, no memory: again
 *                                                   '--> NONE: who reads has compared the digest,
 *                                                        so that is what somebody meant */
#include "node/smalls.h"

#include "node/manifests.h"
#include "node/release.h"

#include <string.h>

enum {
    RETRY = SECOND,
};

static struct manifest *find(struct node *node, const struct digest *digest)
{
    return map_get(&node->manifests, digest);
}

static void start(struct node *node, struct manifest *manifest)
{
    if (manifest->state != MANIFEST_ABSENT || node->now < manifest->retry) return;
    if (manifest->block.size > LIST_SIZE_MAX) return;
    bool is_here = keeper_has(node, &manifest->digest);
    size_t holders_count = 0;
    const struct msg_block_holder *holders = NULL;
    if (!is_here) {
        holders = living_holders(node, &manifest->digest, NULL, 0, &holders_count);
        manifest->retry = node->now + RETRY;
        if (holders_count == 0) return;
    }
    struct action *action =
        actions_push(node->actions, is_here ? ACTION_BLOCK_READ : ACTION_BLOCK_FETCH);
    if (is_here) {
        action->block_read.token = node->token_next++;
        action->block_read.block = manifest->block;
    } else {
        action->block_fetch.token = node->token_next++;
        action->block_fetch.block = manifest->block;
        action->block_fetch.holders = holders;
        action->block_fetch.holders_count = holders_count;
        action->block_fetch.is_list = true;
    }
    manifest->state = is_here ? MANIFEST_READING : MANIFEST_FETCHING;
}

/* The log carries it. */
static void read_small(struct node *node, struct manifest *manifest)
{
    const struct small *small = smalls_find(node, &manifest->digest);
    bool is_idle = manifest->state == MANIFEST_ABSENT || manifest->state == MANIFEST_FETCHING;
    if (small == NULL || small->size == 0 || !is_idle || node->now < manifest->retry) return;
    manifest->state = MANIFEST_READING;
    manifests_read(node, &manifest->digest, slice_of(small->bytes, small->size));
}

const struct msg_manifest *manifests_get(struct node *node, const struct msg_block_ref *block)
{
    struct manifest *manifest = find(node, &block->digest);
    if (manifest == NULL) {
        manifest = memory_take(&node->memory, sizeof *manifest);
        if (manifest == NULL) return NULL;
        manifest->digest = block->digest;
        manifest->block = *block;
        if (map_add(&node->manifests, manifest) != ERROR_NONE) {
            memory_put(&node->memory, manifest, sizeof *manifest);
            return NULL;
        }
        node->is_manifest_wanted = true;
    }
    manifest->is_marked = true;
    read_small(node, manifest);
    if (manifest->state == MANIFEST_READY) return &manifest->fields;
    start(node, manifest);
    return NULL;
}

bool manifests_known(struct node *node, const struct digest *digest, struct msg_block_ref *block)
{
    const struct manifest *manifest = find(node, digest);
    if (manifest == NULL || manifest->state != MANIFEST_READY) return false;
    *block = manifest->block;
    return true;
}

bool manifests_is_none(struct node *node, const struct msg_block_ref *block)
{
    const struct manifest *manifest = find(node, &block->digest);
    return block->size > LIST_SIZE_MAX || (manifest != NULL && manifest->state == MANIFEST_NONE);
}

void manifests_say_none(struct node *node, uint64_t stream, uint64_t request,
                        const struct msg_block_ref *ref)
{
    char text[DIGEST_TEXT_SIZE];
    control_error(node, stream, request, CODE_USAGE,
                  "block %.12s (%llu bytes) is no list of blocks that %s can read: are its version "
                  "and that of mrctl the same? put the input again",
                  digest_text(&ref->digest, text), (unsigned long long)ref->size, node->name);
}

bool manifests_is_range(const struct msg_manifest_block *block)
{
    return digest_is_zero(&block->block.digest);
}

bool manifests_has_shared(struct node *node, const struct msg_block_ref *ref)
{
    const struct manifest *manifest = find(node, &ref->digest);
    return manifest != NULL && manifest->state == MANIFEST_READY && manifest->shared.count > 0;
}

const struct msg_shared_file *manifests_shared(struct node *node, const struct msg_block_ref *ref,
                                               uint32_t file)
{
    const struct manifest *manifest = find(node, &ref->digest);
    if (manifest == NULL || manifest->state != MANIFEST_READY) return NULL;
    const struct msg_shared_file *files = manifest->shared.at;
    uint32_t low = 0, high = manifest->shared.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (files[middle].file < file) low = middle + 1;
        else high = middle;
    }
    bool is_there = low < manifest->shared.count && files[low].file == file;
    return is_there ? &files[low] : NULL;
}

/* The shared files in order, each with its name; every range lies within one of them. */
static bool ranges_are_sound(const struct msg_manifest *manifest, const struct list *shared)
{
    const struct msg_shared_file *files = shared->at;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t at = 0;
    for (uint32_t i = 0; i < shared->count; i++) {
        if (files[i].file >= manifest->files.count) return false;
        if (i > 0 && files[i].file <= files[i - 1].file) return false;
    }
    for (uint32_t i = 0; i < manifest->blocks.count; i++) {
        if (!manifests_is_range(&blocks[i])) continue;
        if (at == shared->count || files[at].file > blocks[i].file) at = 0;
        while (at < shared->count && files[at].file < blocks[i].file) at++;
        if (at == shared->count || files[at].file != blocks[i].file) return false;
        uint64_t size = files[at].size;
        if (blocks[i].offset > size || blocks[i].block.size > size - blocks[i].offset) return false;
    }
    return true;
}

static bool take_fields(struct manifest *manifest, const struct wire_message *message)
{
    if (message->type == MSG_manifest) {
        manifest->fields = *(const struct msg_manifest *)message->fields;
        manifest->shared = (struct list){0};
    } else if (message->type == MSG_shared_manifest) {
        const struct msg_shared_manifest *fields = message->fields;
        manifest->fields = fields->manifest;
        manifest->shared = fields->shared;
    } else if (message->type == MSG_tree_manifest) {
        /* Which bytes are which file's concerns who gets them alone. */
        manifest->fields = ((const struct msg_tree_manifest *)message->fields)->manifest;
        manifest->shared = (struct list){0};
    } else {
        return false;
    }
    return ranges_are_sound(&manifest->fields, &manifest->shared);
}

/* Decodes into memory of its own: the bytes first, what the decoder takes behind them. The state
 * that follows. */
static enum manifest_state decode(struct node *node, struct manifest *manifest, struct slice bytes)
{
    for (size_t factor = 4; factor <= 32; factor *= 2) {
        size_t size = bytes.count + 64 + bytes.count * factor;
        uint8_t *memory = memory_take(&node->memory, size);
        if (memory == NULL) return MANIFEST_ABSENT;
        memcpy(memory, bytes.at, bytes.count);
        size_t start_at = (bytes.count + 15) & ~(size_t)15;
        struct arena arena;
        arena_init(&arena, memory + start_at, size - start_at);
        struct slice input = slice_of(memory, bytes.count);
        struct wire_message message;
        if (wire_unpack(&input, &message, &arena) == NULL && input.count == 0 &&
            take_fields(manifest, &message)) {
            manifest->memory = memory;
            manifest->memory_size = size;
            return MANIFEST_READY;
        }
        memory_put(&node->memory, memory, size);
    }
    return MANIFEST_NONE;
}

void manifests_read(struct node *node, const struct digest *digest, struct slice bytes)
{
    struct manifest *manifest = find(node, digest);
    if (manifest == NULL || manifest->state != MANIFEST_READING) return;
    manifest->state = decode(node, manifest, bytes);
    node->is_work_wanted = node->sweep_wanted = true;
    node->pending_next = node->now;
    if (manifest->state == MANIFEST_READY) {
        if (manifest->released != 0)
            release_unreferenced(node, &manifest->block, manifest->released);
        manifest->released = 0;
        return;
    }
    manifest->retry = node->now + 10 * RETRY;
    node->is_manifest_wanted = true;
    trace_line(&node->trace, TRACE_WARN, "event=manifest-%s size=%zu",
               manifest->state == MANIFEST_NONE ? "damaged" : "waits", bytes.count);
}

void manifests_failed(struct node *node, const struct digest *digest)
{
    struct manifest *manifest = find(node, digest);
    if (manifest == NULL || manifest->state == MANIFEST_READY) return;
    manifest->state = MANIFEST_ABSENT;
    manifest->retry = node->now + RETRY;
    node->is_manifest_wanted = true;
}

static void close_one(struct node *node, struct manifest *manifest)
{
    memory_put(&node->memory, manifest->memory, manifest->memory_size);
    memory_put(&node->memory, manifest, sizeof *manifest);
}

void manifests_release(struct node *node, const struct digest *digest, instant seen)
{
    struct manifest *manifest = find(node, digest);
    if (manifest != NULL && manifest->state != MANIFEST_READY) manifest->released = seen;
}

/* Those that nobody has asked for since the last time go: two sweeps without a name, a job or a
 * request. */
void manifests_sweep(struct node *node)
{
    enum {
        DROP_MAX = 64
    }; /* a sweep; the table must not change while it is walked */
    struct manifest *idle[DROP_MAX];
    size_t count = 0, cursor = 0;
    for (struct manifest *manifest; (manifest = map_next(&node->manifests, &cursor)) != NULL;) {
        bool is_busy = manifest->state == MANIFEST_FETCHING || manifest->state == MANIFEST_READING;
        if (!manifest->is_marked && !is_busy && count < DROP_MAX) idle[count++] = manifest;
        manifest->is_marked = false;
    }
    for (size_t i = 0; i < count; i++) {
        map_remove(&node->manifests, &idle[i]->digest);
        close_one(node, idle[i]);
    }
}

/* A fetched one can be read now; one that failed is tried again when its time has come. */
void manifests_tick(struct node *node)
{
    size_t cursor = 0;
    if (!node->is_manifest_wanted) return;
    node->is_manifest_wanted = false;
    for (struct manifest *manifest; (manifest = map_next(&node->manifests, &cursor)) != NULL;) {
        bool has_come = manifest->state == MANIFEST_FETCHING && keeper_has(node, &manifest->digest);
        if (has_come) {
            manifest->state = MANIFEST_ABSENT;
            manifest->retry = node->now;
        }
        if (manifest->state == MANIFEST_ABSENT) start(node, manifest);
        bool is_open = manifest->state == MANIFEST_ABSENT || manifest->state == MANIFEST_FETCHING;
        node->is_manifest_wanted = node->is_manifest_wanted || is_open;
    }
}

void manifests_close(struct node *node)
{
    size_t cursor = 0;
    for (struct manifest *manifest; (manifest = map_next(&node->manifests, &cursor)) != NULL;)
        close_one(node, manifest);
    map_deinit(&node->manifests);
}
