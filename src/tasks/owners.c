/* Marks of owners, and the attempts that hang on them.
 *
 * The rule: a claim (node, boot, sequence) is free when the node has opened a later boot, when
 * a `dead` of (node, boot) reaches the sequence, or when the boot's `left` does. Each mark only
 * grows (newest boot, highest sequence), so a mark is a join and the order of arrival leaves no
 * trace. When several marks free one claim, the cause is that of the strongest: left over dead
 * over restarted. A mark that comes later can strengthen it, which is why DEAD attempts stay in
 * their owner's list.
 *
 * The list holds few attempts (what one boot runs, or ran when it died, in jobs that still
 * run), so a death costs what the dead node owned, not what the jobs hold. */
#include "tasks/owners.h"

#include "base/hash.h"
#include "tasks/attempt.h"

#include <assert.h>

static enum error node_get(struct jobs *jobs, const struct id *id, struct owner_node **node)
{
    *node = map_get(&jobs->owners, id);
    if (*node != NULL) return ERROR_NONE;
    *node = memory_take(jobs->memory, sizeof **node);
    if (*node == NULL) return ERROR_MEMORY;
    (*node)->id = *id;
    enum error error = map_add(&jobs->owners, *node);
    if (error != ERROR_NONE) memory_put(jobs->memory, *node, sizeof **node);
    return error;
}

static struct owner *find(const struct owner_node *node, const struct boot *boot)
{
    struct owner *owner = node->owners;
    while (owner != NULL && !boot_equal(&owner->boot, boot)) owner = owner->next;
    return owner;
}

enum error owners_get(struct jobs *jobs, const struct id *id, const struct boot *boot,
                      struct owner **owner)
{
    struct owner_node *node;
    enum error error = node_get(jobs, id, &node);
    if (error != ERROR_NONE) return error;
    *owner = find(node, boot);
    if (*owner != NULL) return ERROR_NONE;
    *owner = memory_take(jobs->memory, sizeof **owner);
    if (*owner == NULL) return ERROR_MEMORY;
    struct owner **at = &node->owners;
    while (*at != NULL && boot_compare(&(*at)->boot, boot) > 0) at = &(*at)->next;
    **owner = (struct owner){.next = *at, .node = node, .boot = *boot};
    *at = *owner;
    return ERROR_NONE;
}

void owners_deinit(struct jobs *jobs)
{
    size_t cursor = 0;
    struct owner_node *node;
    while ((node = map_next(&jobs->owners, &cursor)) != NULL) {
        for (struct owner *owner = node->owners, *next; owner != NULL; owner = next) {
            next = owner->next;
            memory_put(jobs->memory, owner, sizeof *owner);
        }
        memory_put(jobs->memory, node, sizeof *node);
    }
    map_deinit(&jobs->owners);
}

enum cause owners_freed(const struct owner *owner, uint64_t sequence)
{
    if (sequence <= owner->left) return CAUSE_OWNER_LEFT;
    if (sequence <= owner->dead) return CAUSE_OWNER_DEAD;
    if (boot_compare(&owner->boot, &owner->node->opened) < 0) return CAUSE_OWNER_RESTARTED;
    return CAUSE_NONE;
}

static void free_claims(struct jobs *jobs, struct owner *owner)
{
    for (struct attempt *attempt = owner->attempts; attempt != NULL; attempt = attempt->owner_next)
        attempt_check_owner(jobs, attempt);
}

enum error owners_opened(struct jobs *jobs, const struct msg_stamp *stamp)
{
    struct owner_node *node;
    enum error error = node_get(jobs, &stamp->node, &node);
    if (error != ERROR_NONE) return error;
    if (boot_compare(&stamp->boot, &node->opened) <= 0) return ERROR_NONE;
    node->opened = stamp->boot;
    jobs->revision++;
    for (struct owner *owner = node->owners; owner != NULL; owner = owner->next)
        free_claims(jobs, owner);
    return ERROR_NONE;
}

enum error owners_dead(struct jobs *jobs, const struct msg_dead *dead)
{
    struct owner *owner;
    enum error error = owners_get(jobs, &dead->node, &dead->boot, &owner);
    if (error != ERROR_NONE || dead->sequence <= owner->dead) return error;
    owner->dead = dead->sequence;
    jobs->revision++;
    free_claims(jobs, owner);
    return ERROR_NONE;
}

enum error owners_left(struct jobs *jobs, const struct msg_stamp *stamp)
{
    struct owner *owner;
    enum error error = owners_get(jobs, &stamp->node, &stamp->boot, &owner);
    if (error != ERROR_NONE || stamp->sequence <= owner->left) return error;
    owner->left = stamp->sequence;
    jobs->revision++;
    free_claims(jobs, owner);
    return ERROR_NONE;
}

void owners_live(struct jobs *jobs, const struct id *id, const struct boot *boot)
{
    struct owner_node *node;
    if (node_get(jobs, id, &node) != ERROR_NONE) return;
    node->lives = boot == NULL ? (struct boot){0} : *boot;
}

uint64_t jobs_owned_by(const struct jobs *jobs, const struct id *id, const struct boot *boot)
{
    const struct owner_node *node = map_get(&jobs->owners, id);
    const struct owner *owner = node == NULL ? NULL : find(node, boot);
    uint64_t highest = 0;
    if (owner == NULL) return highest;
    for (const struct attempt *at = owner->attempts; at != NULL; at = at->owner_next) {
        assert(at->job->outcome == JOB_RUNNING);
        if (at->state == ATTEMPT_RUNNING && at->claim.sequence > highest)
            highest = at->claim.sequence;
    }
    return highest;
}

uint64_t owners_digest(const struct jobs *jobs)
{
    uint64_t digest = 0;
    size_t cursor = 0;
    const struct owner_node *node;
    while ((node = map_next(&jobs->owners, &cursor)) != NULL) {
        uint64_t seed = hash64(&node->id, sizeof node->id, 0);
        uint64_t opened[2] = {node->opened.counter, node->opened.random};
        if (opened[0] != 0 || opened[1] != 0) digest += hash64(opened, sizeof opened, seed);
        for (const struct owner *owner = node->owners; owner != NULL; owner = owner->next) {
            uint64_t marks[4] = {owner->boot.counter, owner->boot.random, owner->dead, owner->left};
            if (owner->dead != 0 || owner->left != 0) digest += hash64(marks, sizeof marks, seed);
        }
    }
    return digest;
}
