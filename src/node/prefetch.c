/* Shuffling ahead: while maps still run, the parts of those that are done go where they will be
 * read. A reduce is claimed when all maps are done, by the node that comes first in its order, as
 * far as that has a free slot (schedule.c): so each node can tell which ones will probably be its
 * own, as many as it has slots, and has their parts brought to its disk. No slot is taken and no
 * entry written for it; should another run the reduce, or a map be done anew, bytes have been
 * carried in vain and nothing else. What an attempt reads is decided when it is claimed, as ever.
 *
 * (Hadoop starts reduces early for this, in slots that then wait for maps; and maps for slots.) */
#include "node/prefetch.h"

enum {
    PREFETCHES_MAX = 64, /* of one job, in one turn: a burst that nobody notices */
};

/* Reduces that this node will probably take first. */
static size_t find_own(struct node *node, struct work *work, uint32_t *own, size_t max)
{
    size_t count;
    size_t cpus = work->job->terms.cpus == 0 ? 1 : work->job->terms.cpus;
    size_t slots = node->slots / cpus > 0 ? node->slots / cpus : 1;
    const struct schedule_node *nodes = living_nodes(node, &count);
    return schedule_prefers(work->job, &work->schedule, &node->id, nodes, count, own,
                            slots < max ? slots : max);
}

static void prefetch(struct node *node, const struct job *job, const struct attempt *attempt,
                     const uint32_t *own, size_t own_count)
{
    const struct member *member = members_find(&node->gossip.members, &attempt->claim.node);
    struct msg_block_holder *holder = arena_take(&node->actions->arena, sizeof *holder);
    if (member == NULL || holder == NULL) return;
    *holder = (struct msg_block_holder){member->fact->id, member->fact->address};
    for (size_t i = 0; i < own_count; i++) {
        struct action *action = actions_push(node->actions, ACTION_PREFETCH);
        action->prefetch.job = job->id;
        action->prefetch.input = (struct action_input){
            .block = attempt->output, .part = own[i], .holders = holder, .holders_count = 1};
    }
}

static bool is_early(const struct node *node, const struct work *work)
{
    const struct job *job = work->job;
    uint32_t done = job->done_count[TASK_MAP];
    return work->is_scheduled && !node->is_draining && job->spec.reduces > 0 && done > 0 &&
           done < job->spec.maps;
}

void prefetch_tick(struct node *node, struct work *work)
{
    uint32_t own[PREFETCHES_MAX];
    const struct job *job = work->job;
    if (!is_early(node, work) || !node_has_room(node)) return;
    size_t words = ((size_t)job->spec.maps + 63) / 64;
    if (work->prefetched == NULL)
        work->prefetched = memory_take(&node->memory, words * sizeof *work->prefetched);
    if (work->prefetched == NULL) return;
    size_t own_count = find_own(node, work, own, PREFETCHES_MAX);
    size_t left = own_count == 0 ? 0 : PREFETCHES_MAX / own_count;
    for (uint32_t i = 0; i < job->spec.maps && left > 0; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        const struct attempt *attempt = task_committed(&job->tasks[TASK_MAP][i]);
        if (attempt == NULL || (work->prefetched[i / 64] & bit) != 0) continue;
        work->prefetched[i / 64] |= bit;
        if (id_equal(&attempt->claim.node, &node->id)) continue;
        if (keeper_has(node, &attempt->output.digest)) continue;
        prefetch(node, job, attempt, own, own_count);
        left--;
    }
}

void prefetch_over(struct node *node, struct work *work)
{
    if (work->prefetched == NULL) return;
    size_t words = ((size_t)work->job->spec.maps + 63) / 64;
    memory_put(&node->memory, work->prefetched, words * sizeof *work->prefetched);
    work->prefetched = NULL;
    if (node->actions == NULL) return; /* closing */
    actions_push(node->actions, ACTION_PREFETCH_END)->prefetch_end.job = work->job->id;
}
