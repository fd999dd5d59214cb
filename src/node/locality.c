/* How much of a job's input its maps found on their own disks. A node knows when it claims a map
 * whether it has the block; only when it has not, its `counted` entry says so, for that is the rare
 * case. Of a map that says nothing the block was there. When the job ends, its tasks are forgotten,
 * so the sums go into `tallied`, among the counters of the job.
 *
 * The group's name begins with a comma: no program can report such a counter. */
#include "node/locality.h"

#include "node/manifests.h"

#include "tasks/counts.h"

#include <string.h>

#define GROUP ",input"
#define OF_ATTEMPT "remote"

enum kind {
    LOCAL,   /* on the disk of the node that ran the map */
    FETCHED, /* fetched */
    SHARED,  /* a range of a file that all nodes share */
    KINDS,
};

static const char *const names[2][KINDS] = {
    {"maps_local", "maps_remote", "maps_shared"},
    {"bytes_local", "bytes_remote", "bytes_shared"},
};

bool locality_is_remote(struct node *node, const struct job *job, uint32_t map)
{
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    if (manifest == NULL || map >= manifest->blocks.count) return false;
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    return !manifests_is_range(&blocks[map]) && !keeper_has(node, &blocks[map].block.digest);
}

struct msg_counter locality_remote(void)
{
    return (struct msg_counter){
        .group = slice_string(GROUP), .name = slice_string(OF_ATTEMPT), .value = 1};
}

static bool is_ours(const struct msg_counter *counter)
{
    return slice_equal(counter->group, slice_string(GROUP));
}

static bool says_remote(const struct task *task, const struct attempt *attempt)
{
    for (const struct count *at = task->counts; at != NULL; at = at->next) {
        const struct msg_counter *counters = at->counted->counters.at;
        if (!stamp_equal(&at->counted->claim, &attempt->claim)) continue;
        for (uint32_t i = 0; i < at->counted->counters.count; i++)
            if (is_ours(&counters[i])) return true;
    }
    return false;
}

static void sum_up(const struct job *job, const struct msg_manifest *manifest,
                   uint64_t sums[2][KINDS])
{
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    for (uint32_t i = 0; i < job->spec.maps && i < manifest->blocks.count; i++) {
        const struct task *task = &job->tasks[TASK_MAP][i];
        const struct attempt *attempt = task_committed(task);
        if (attempt == NULL) continue;
        enum kind kind = manifests_is_range(&blocks[i]) ? SHARED
                         : says_remote(task, attempt)   ? FETCHED
                                                        : LOCAL;
        sums[0][kind]++;
        sums[1][kind] += blocks[i].block.size;
    }
}

size_t locality_counters(struct node *node, const struct job *job, struct msg_counter *counters)
{
    size_t count = counts_sum(job, counters), kept = 0;
    uint64_t sums[2][KINDS] = {{0}};
    if (job->tally != NULL || job->tasks[TASK_MAP] == NULL) return count;
    const struct msg_manifest *manifest = manifests_get(node, &job->spec.manifest);
    for (size_t i = 0; i < count; i++)
        if (!is_ours(&counters[i])) counters[kept++] = counters[i];
    if (manifest == NULL) return kept;
    sum_up(job, manifest, sums);
    for (int what = 0; what < 2; what++)
        for (int kind = 0; kind < KINDS && kept < COUNTS_MAX; kind++)
            if (sums[what][kind] > 0)
                counters[kept++] = (struct msg_counter){.group = slice_string(GROUP),
                                                        .name = slice_string(names[what][kind]),
                                                        .value = sums[what][kind]};
    return kept;
}
