/* Memory for tasks: a job says how much each of its tasks may use (--mem), a node how much all
 * tasks together may use that have said so (mrnode --mem). A task is claimed where it fits beside
 * those that run. Who says nothing is counted as nothing: the slots bound it.
 *
 * Where small tasks keep a large one from ever fitting, the lottery gives it the next turn: what
 * becomes free is kept for it.
 *
 * What others have they say when a stream opens (`capacity`), so that a job which fits nowhere is
 * told why, instead of waiting without a word. */
#include "node/room.h"

#include "node/state.h"

#include <stdio.h>

enum {
    MEBI = 1 << 20,
};

uint64_t room_wanted(const struct job *job)
{
    uint64_t size = job->terms.task_memory;
    return size > job->spec.memory_size ? size : job->spec.memory_size;
}

uint64_t room_left(const struct node *node)
{
    uint64_t taken = 0;
    if (node->task_memory == 0) return UINT64_MAX;
    for (size_t i = 0; i < node->running_end; i++)
        if (node->running[i].token != 0) taken += node->running[i].memory;
    return taken < node->task_memory ? node->task_memory - taken : 0;
}

bool room_ever(const struct node *node, const struct job *job)
{
    return node->task_memory == 0 || room_wanted(job) <= node->task_memory;
}

bool room_is_kept_for(const struct node *node, const struct job *job)
{
    return node->room_kept > 0 && id_equal(&node->room_kept_for, &job->id);
}

void room_keep(struct node *node, const struct job *job)
{
    if (node->room_kept > 0) return;
    node->room_kept_for = job->id;
    node->room_kept = room_wanted(job);
}

void room_keep_no_more(struct node *node) { node->room_kept = 0; }

size_t room_tasks(const struct node *node, const struct job *job, size_t most)
{
    uint64_t wanted = room_wanted(job);
    if (wanted == 0 || node->task_memory == 0) return most;
    uint64_t left = room_left(node), kept = room_is_kept_for(node, job) ? 0 : node->room_kept;
    uint64_t count = left < kept ? 0 : (left - kept) / wanted;
    return count < most ? (size_t)count : most;
}

void room_say(struct node *node, struct link *link)
{
    struct msg_capacity capacity = {.task_memory = node->task_memory};
    links_send(node, link->stream, &wire_capacity, &capacity);
}

void room_heard(struct link *link, const struct msg_capacity *capacity)
{
    link->task_memory = capacity->task_memory == 0 ? UINT64_MAX : capacity->task_memory;
}

/* The most that a living member has for one task, and who; UINT64_MAX: as much as it likes, or
 * nobody knows. */
static uint64_t most_memory(const struct node *node, const char **name)
{
    uint64_t most = node->task_memory == 0 ? UINT64_MAX : node->task_memory;
    size_t cursor = 0;
    *name = node->name;
    for (struct member *m; (m = members_next(&node->gossip.members, &cursor)) != NULL;) {
        if (!member_is_living(m) || id_equal(&m->fact->id, &node->id)) continue;
        const struct link *link = links_to(node, &m->fact->id);
        uint64_t size = link == NULL || link->task_memory == 0 ? UINT64_MAX : link->task_memory;
        if (size <= most) continue;
        most = size;
        *name = m->fact->name;
    }
    return most;
}

bool room_lacks(struct node *node, const struct job *job, char *text, size_t size)
{
    const char *name;
    uint64_t wanted = room_wanted(job), most = wanted == 0 ? UINT64_MAX : most_memory(node, &name);
    if (wanted <= most) return false;
    snprintf(
        text, size,
        "each task asks for %llu MiB (--mem), and no member has so much for tasks: at most %llu "
        "MiB, %s; kill it and submit it with less, or start a node with mrnode --mem %lluM",
        (unsigned long long)(wanted / MEBI), (unsigned long long)(most / MEBI), name,
        (unsigned long long)((wanted + MEBI - 1) / MEBI));
    return true;
}

bool room_waits(const struct node *node, const struct job *job, char *text, size_t size)
{
    uint64_t wanted = room_wanted(job), left = room_left(node);
    if (wanted <= left) return false;
    snprintf(text, size,
             "free; waits for memory: it asks for %llu MiB, %s has %llu of %llu MiB left",
             (unsigned long long)(wanted / MEBI), node->name, (unsigned long long)(left / MEBI),
             (unsigned long long)(node->task_memory / MEBI));
    return true;
}
