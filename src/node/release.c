/* Blocks that nobody wants after all. Before a name or a job is written its blocks are copied, and
 * each copy is pinned for an hour, for what references it is still on its way. When that never
 * comes, because there is no room or the client gives up, the copies would fill the disks of the
 * flock for that hour. So whoever asked for them tells all others that he does not want them any
 * more.
 *
 * Somebody else may have asked for the same bytes meanwhile: so nothing is dropped at once, but
 * when what wants it is not in the log some seconds later. Who counts on such a copy hears of its
 * end (keeper_drop), and asks anew. An upload's own pin ends when its client says so; it must not
 * look, though, as if somebody else had asked for it later. */
#include "node/release.h"

enum {
    PAGE = 1024,           /* as msg_block_release */
    LINGERS = 15 * SECOND, /* what wants it is in the log by then (keeper.c) */
    GRACE = 5 * SECOND,    /* a job's input after its end: time to be asked for again */
};

static void let_go(struct node *node, const struct digest *digest)
{
    struct block *block = keeper_find(node, digest);
    if (block == NULL) return;
    block->pinned = 0;
    if (block->uploads == 0 && block->pinned_until > node->now + LINGERS)
        block->pinned_until = node->now + LINGERS;
    node->sweep_wanted = true;
}

void release_take(struct node *node, const struct msg_block_release *release)
{
    const struct msg_block_ref *blocks = release->blocks.at;
    for (uint32_t i = 0; i < release->blocks.count; i++) let_go(node, &blocks[i].digest);
}

static void tell_all(struct node *node, const struct msg_block_release *release)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    release_take(node, release);
    for (size_t i = 0; i < count; i++) {
        struct link *link =
            id_equal(&living[i].id, &node->id) ? NULL : links_need(node, &living[i].id);
        if (link != NULL) (void)links_send(node, link->stream, &wire_block_release, release);
    }
}

void release_dataset(struct node *node, const struct msg_block_ref *list)
{
    const struct msg_manifest *manifest = manifests_get(node, list);
    struct msg_block_ref whole = *list;
    struct msg_block_release release = {{&whole, 1}};
    tell_all(node, &release);
    if (manifest == NULL) return;
    struct msg_block_ref *page = arena_take(&node->actions->arena, PAGE * sizeof *page);
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t from = 0, count = manifest->blocks.count;
    while (page != NULL && from < count && node_has_room(node)) {
        uint32_t filled = 0;
        for (; from < count && filled < PAGE; from++)
            if (!manifests_is_range(&blocks[from])) page[filled++] = blocks[from].block;
        release.blocks = (struct list){page, filled};
        if (filled > 0) tell_all(node, &release);
    }
}

/* ---- what a name or a job lets go of ---- */

/* Ends the pins that were made before `seen`, unless a client has stored it for something else that
 * is still on its way. */
static void end_pin(struct node *node, const struct digest *digest, instant seen)
{
    struct block *block = keeper_find(node, digest);
    instant soon = node->now + GRACE;
    if (block == NULL || block->pinned > seen) return;
    if (block->uploads > 0 || block->pinned_until < soon) return;
    block->pinned_until = soon;
}

void release_unreferenced(struct node *node, const struct msg_block_ref *ref, instant seen)
{
    const struct msg_manifest *manifest = manifests_get(node, ref);
    end_pin(node, &ref->digest, seen);
    node->sweep_wanted = true;
    if (manifest == NULL) {
        manifests_release(node, &ref->digest, seen); /* once it is here */
        return;
    }
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < manifest->blocks.count; i++)
        end_pin(node, &blocks[i].block.digest, seen);
}

void release_job(struct node *node, const struct job *job, instant seen)
{
    release_unreferenced(node, &job->spec.manifest, seen);
    for (int kind = 0; kind < 2; kind++) {
        uint32_t count = kind == TASK_MAP ? job->spec.maps : job->spec.reduces;
        for (uint32_t i = 0; job->tasks[kind] != NULL && i < count; i++)
            for (const struct attempt *a = job->tasks[kind][i].attempts; a != NULL; a = a->next)
                if (!stamp_is_none(&a->done)) end_pin(node, &a->output.digest, node->now);
    }
}
