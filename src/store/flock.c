/* The roster as a join: of each node the newest boot that opened and the newest that left. Both
 * only grow, so the order of arrival leaves no trace. `left` is the last entry of its boot's feed,
 * and a feed is held as a prefix: who knows of it has everything that the node ever wrote. So
 * nobody needs to wait for a node that left. */
#include "store/flock.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

void flock_init(struct flock *flock, struct memory *memory)
{
    *flock = (struct flock){.memory = memory};
    map_init(&flock->nodes, memory, offsetof(struct flock_node, id), sizeof(struct id));
}

void flock_deinit(struct flock *flock)
{
    size_t cursor = 0;
    for (struct flock_node *node; (node = map_next(&flock->nodes, &cursor)) != NULL;)
        memory_put(flock->memory, node, sizeof *node);
    map_deinit(&flock->nodes);
}

static enum error node_get(struct flock *flock, const struct id *id, struct flock_node **node)
{
    *node = map_get(&flock->nodes, id);
    if (*node != NULL) return ERROR_NONE;
    *node = memory_take(flock->memory, sizeof **node);
    if (*node == NULL) return ERROR_MEMORY;
    (*node)->id = *id;
    enum error error = map_add(&flock->nodes, *node);
    if (error != ERROR_NONE) memory_put(flock->memory, *node, sizeof **node);
    else flock->revision++;
    return error;
}

static void see_opened(struct flock *flock, struct flock_node *node, const struct boot *boot)
{
    if (boot_compare(boot, &node->opened) <= 0) return;
    node->opened = *boot;
    flock->revision++;
}

static void see_left(struct flock *flock, struct flock_node *node, const struct boot *boot)
{
    if (node->has_left && boot_compare(boot, &node->left) <= 0) return;
    node->has_left = true;
    node->left = *boot;
    flock->revision++;
}

enum error flock_apply(struct flock *flock, const struct stamped *entry)
{
    const struct msg_stamp *stamp = &entry->stamp;
    const struct msg_joined *joined = entry->fields;
    struct flock_node *node;
    if (entry->fields == NULL) return ERROR_NONE;
    if (entry->kind != MSG_joined && entry->kind != MSG_opened && entry->kind != MSG_left)
        return ERROR_NONE;
    enum error error =
        node_get(flock, entry->kind == MSG_joined ? &joined->node : &stamp->node, &node);
    if (error != ERROR_NONE) return error;
    if (entry->kind == MSG_opened) see_opened(flock, node, &stamp->boot);
    if (entry->kind == MSG_left) see_left(flock, node, &stamp->boot);
    return ERROR_NONE;
}

static bool is_on(const struct flock_node *node)
{
    return !node->has_left || boot_compare(&node->opened, &node->left) > 0;
}

bool flock_has(const struct flock *flock, const struct id *id)
{
    const struct flock_node *node = map_get(&flock->nodes, id);
    return node != NULL && is_on(node);
}

const struct flock_node *flock_next(const struct flock *flock, size_t *cursor)
{
    const struct flock_node *node;
    while ((node = map_next(&flock->nodes, cursor)) != NULL && !is_on(node)) continue;
    return node;
}

size_t flock_count(const struct flock *flock)
{
    size_t cursor = 0, count = 0;
    while (flock_next(flock, &cursor) != NULL) count++;
    return count;
}

uint64_t flock_digest(const struct flock *flock)
{
    uint64_t digest = 0;
    size_t cursor = 0;
    for (const struct flock_node *node; (node = map_next(&flock->nodes, &cursor)) != NULL;) {
        uint64_t words[] = {node->opened.counter, node->opened.random, node->left.counter,
                            node->left.random, node->has_left};
        digest += hash64(words, sizeof words, hash64(&node->id, sizeof node->id, 7));
    }
    return digest;
}
