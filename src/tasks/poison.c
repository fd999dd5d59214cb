/* Which deaths a task answers for. */
#include "tasks/poison.h"

#include "tasks/owners.h"

#include <assert.h>

enum {
    APART = 10 * SECOND, /* longer than it takes a rack to be held dead, node by node */
};

static bool died(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_DEAD && attempt->end_cause != CAUSE_OWNER_LEFT;
}

/* It was held dead, and is not: a pause, a cable. */
static bool lives(const struct owner *owner)
{
    return boot_equal(&owner->node->lives, &owner->boot);
}

/* A second copy of what a suspect ran comes after a death if the suspect was dead indeed. */
static bool is_after_death(const struct task *task, const struct attempt *attempt)
{
    if (attempt->cause == CAUSE_OWNER_DEAD || attempt->cause == CAUSE_OWNER_RESTARTED) return true;
    if (attempt->cause != CAUSE_OWNER_SILENT) return false;
    for (const struct attempt *other = task->attempts; other != NULL; other = other->next)
        if (other->number < attempt->number && died(other)) return true;
    return false;
}

/* In that life: who runs it after another one says nothing of how that ended. */
static bool has_run_in(const struct task *task, const struct id *node, const struct boot *boot)
{
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next)
        if (id_equal(&attempt->claim.node, node) && boot_equal(&attempt->claim.boot, boot))
            return true;
    return false;
}

/* Did nobody die at about the same time who never ran the task? */
static bool is_alone(const struct jobs *jobs, const struct task *task, const struct owner *owner)
{
    size_t cursor = 0;
    const struct owner_node *node;
    while ((node = map_next(&jobs->owners, &cursor)) != NULL) {
        for (const struct owner *other = node->owners; other != NULL; other = other->next) {
            int64_t apart = other->died - owner->died;
            bool is_near = other->died != 0 && apart < APART && -apart < APART;
            if (is_near && !has_run_in(task, &node->id, &other->boot)) return false;
        }
    }
    return true;
}

size_t poison_victims(const struct jobs *jobs, const struct task *task, struct id *nodes,
                      size_t max)
{
    size_t count = 0;
    uint32_t numbers[POISON_DEATHS];
    assert(max <= POISON_DEATHS);
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next) {
        if (!died(attempt) || lives(attempt->owner) || !is_after_death(task, attempt)) continue;
        bool is_known = false; /* two of one number ran it at once: not one after the other */
        for (size_t i = 0; i < count; i++)
            is_known = is_known || id_equal(&nodes[i], &attempt->claim.node) ||
                       numbers[i] == attempt->number;
        if (is_known || count == max || !is_alone(jobs, task, attempt->owner)) continue;
        numbers[count] = attempt->number;
        nodes[count++] = attempt->claim.node;
    }
    return count;
}

bool poison_is_doubted(const struct task *task)
{
    for (const struct attempt *attempt = task->attempts; attempt != NULL; attempt = attempt->next)
        if (died(attempt) && is_after_death(task, attempt)) return true;
    return false;
}
