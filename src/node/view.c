/* What drivers, the laboratory's checks and tests may see of a node: questions without effect, and
 * the counters that a driver adds to. */
#include "node/smalls.h"
#include "node/stability.h"
#include "node/state.h"
#include "node/tags.h"

#include "base/hash.h"

#include <assert.h>
#include <stdio.h>

struct id node_id(const struct node *node) { return node->id; }

bool node_is_alone(const struct node *node)
{
    return members_living_count(&node->gossip.members) <= 1;
}

uint64_t node_state_digest(struct node *node)
{
    uint64_t parts[] = {jobs_digest(&node->jobs), names_digest(&node->names), tags_digest(node),
                        flock_digest(&node->flock), keyring_digest(node)};
    return hash64(parts, sizeof parts, 0);
}

bool node_carries(const struct node *node, const struct digest *digest)
{
    return smalls_find(node, digest) != NULL;
}

uint64_t node_log_digest(const struct node *node) { return log_digest(node->log); }
uint64_t node_metric(const struct node *node, size_t number)
{
    assert(number < METRIC_COUNT);
    return node->metrics[number];
}
struct memory *node_memory(struct node *node) { return &node->memory; }

bool node_is_final(const struct node *node, const struct id *job)
{
    const struct job *found = jobs_find(&node->jobs, job);
    return found != NULL && found->is_final;
}
void node_final_text(const struct node *node, const struct id *job, char *text, size_t size)
{
    const struct job *found = jobs_find(&node->jobs, job);
    snprintf(text, size, "unknown");
    if (found != NULL) final_text(node, found, text, size);
}
uint64_t node_finals(const struct node *node) { return node->metrics[METRIC_jobs_final]; }
const struct flock *node_flock(const struct node *node) { return &node->flock; }
void node_add(struct node *node, size_t number, uint64_t value)
{
    assert(number < METRIC_COUNT);
    node->metrics[number] += value;
}
size_t node_running_count(const struct node *node) { return work_running_count(node); }
const struct gossip *node_gossip(const struct node *node) { return &node->gossip; }
const struct log *node_log(const struct node *node) { return node->log; }
const struct jobs *node_jobs(const struct node *node) { return &node->jobs; }
