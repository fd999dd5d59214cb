/* The word `final`: how a job ended, and nothing that anybody may still say can change it.
 *
 * An entry is stable here once every node of the roster, dead ones included, has said in one vector
 * that the entry is on its disk, and the first entry of that node's newest boot, and all of that
 * vector is on our disk, too (design, section 7). Why this is enough: who holds a job's timely
 * `ended` writes no other one (a fold with an outcome ends nothing), and goes on holding it, since
 * it is on its disk. So what could outweigh it was written before, was in that vector, and is here;
 * it has lost, or it is the one that we look at. Who was never in step does not know who is on the
 * roster, so nothing is stable at a newcomer; and what he ends himself meanwhile is late
 * (store/flock.h).
 *
 * A late end is never final, since an earlier late one may still come from whoever else was out of
 * step. Where it is the only kind that there is, and all of the roster have it, one of those who
 * are in step says the same again: that is timely, outweighs all late ones, and becomes final as
 * any other.
 *
 * Who tells whom: once an `ended` is on our disk all who are linked to us get our whole vector,
 * once a second at most. What did not come (a stream that ended) is asked for, ever more seldom.
 * Nothing else waits for this: a job that is not final is not less done. In a flock where not
 * everyone is linked to everyone (links.c), or while somebody of the roster is dead, jobs that end
 * meanwhile do not become final; they do when he is back, has left, or is evicted. */
#include "node/state.h"

#include <stdio.h>
#include <string.h>

enum {
    LOOK_EVERY = 100 * MILLISECOND,
    LOOK_MORE = 10 * MILLISECOND, /* later for each thousand jobs that wait: it looks at all */
    VOUCH_EVERY = SECOND,         /* one vector for all jobs that end in it */
    ASK_FIRST = 2 * SECOND,       /* what is vouched for comes sooner */
    ASK_LAST = 60 * SECOND,
    GATHER_AGAIN = 5 * SECOND, /* without memory: by then there may be some */
    AFFIRMED_MAX = 100,        /* ends of one look that are said again */
};

static void add(struct node *node, struct job *job)
{
    if (job->is_final || job->is_unfinal) return;
    struct job **grown = memory_grow(&node->memory, node->unfinal, &node->unfinal_capacity,
                                     node->unfinal_count, sizeof *grown);
    if (grown == NULL) {
        node->unfinal_again = node->now + GATHER_AGAIN;
        return;
    }
    node->unfinal = grown;
    if (node->unfinal_count == 0) {
        node->final_patience = ASK_FIRST;
        node->final_ask = node->now + ASK_FIRST;
    }
    node->unfinal[node->unfinal_count++] = job;
    job->is_unfinal = true;
}

void final_ended(struct node *node, const struct id *id)
{
    struct job *job = jobs_find(&node->jobs, id);
    if (job == NULL || job->outcome == JOB_RUNNING) return;
    node->is_vouch_wanted = node->actions != NULL;
    node->is_final_stale = true;
    add(node, job);
}

void final_reconsider(struct node *node) { node->unfinal_again = node->now; }

/* Those for which there was no memory when they ended, or when the disk was read, and those of
 * which another end counts since somebody was evicted or has returned. */
static void gather(struct node *node)
{
    if (node->now < node->unfinal_again) return;
    node->unfinal_again = INSTANT_NEVER;
    node->is_final_stale = true;
    for (struct job *job = node->jobs.all; job != NULL; job = job->next)
        if (job->outcome != JOB_RUNNING && node->unfinal_again == INSTANT_NEVER) add(node, job);
}

void final_persisted(struct node *node, uint64_t token)
{
    node->is_final_stale = true;
    if (node->vouch_token == 0 || token < node->vouch_token) return;
    node->vouch_token = 0;
    node->vouch_next = node->now;
    if (node->vouched > 0)
        node->vouch_next = instant_max(node->now, node->vouched + (duration)VOUCH_EVERY);
}

static void vouch(struct node *node)
{
    if (node->now < node->vouch_next) return;
    node->vouch_next = INSTANT_NEVER;
    node->vouched = node->now;
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER)
            replicas_ask(node, link, false);
}

/* We hold all that some eviction of it leaves timely: what we do not know of it is late. */
static bool is_excused(const struct node *node, const struct id *id)
{
    for (size_t i = 0; i < node->flock.evictions_count; i++) {
        const struct flock_eviction *eviction = &node->flock.evictions[i];
        if (eviction->is_void || eviction->has_returned || !id_equal(&eviction->node, id)) continue;
        uint32_t held = 0;
        for (; held < eviction->feeds_count; held++)
            if (log_durable(node->log, id, &eviction->feeds[held].boot) <
                eviction->feeds[held].have)
                break;
        if (held == eviction->feeds_count) return true;
    }
    return false;
}

/* Who is evicted, and could still outweigh a timely entry; NULL: nobody. */
static const struct id *missing_evicted(const struct node *node)
{
    for (size_t i = 0; i < node->flock.evictions_count; i++) {
        const struct id *id = &node->flock.evictions[i].node;
        if (flock_is_evicted(&node->flock, id) && !is_excused(node, id)) return id;
    }
    return NULL;
}

/* Who of the roster has not said yet that the entry is on its disk; NULL: all have. Ourselves, too,
 * as long as we do not know who is on it. */
static const struct id *missing(const struct node *node, const struct msg_stamp *entry)
{
    size_t cursor = 0;
    if (!flock_is_in_step(&node->flock, &node->id)) return &node->id;
    if (log_durable(node->log, &entry->node, &entry->boot) < entry->sequence) return &node->id;
    for (const struct flock_node *at; (at = flock_next(&node->flock, &cursor)) != NULL;)
        if (!id_equal(&at->id, &node->id) && !heard_has(node, &at->id, entry)) return &at->id;
    return NULL;
}

/* The same end once more, in the name of somebody who is in step: the first in line does it. False:
 * not this time. */
static bool affirm(struct node *node, struct job *job)
{
    if (!node->may_author || node_is_leaving(node)) return false;
    if (job->late_since == 0) job->late_since = node->now;
    if (!living_is_turn(node, &job->id, sizeof job->id, job->late_since)) return false;
    struct msg_ended ended = {.job = job->id,
                              .outcome = (uint8_t)job->outcome,
                              .cause = (uint8_t)job->ended_cause,
                              .wall_ms = job->ended_wall_ms,
                              .manifest = job->manifest,
                              .size = job->output_size,
                              .text = job->error};
    return node_append(node, &wire_ended, &ended, NULL) == ERROR_NONE;
}

static void look(struct node *node)
{
    size_t left = 0, affirmed = 0;
    const struct id *evicted = missing_evicted(node);
    heard_settle(node);
    for (size_t i = 0; i < node->unfinal_count; i++) {
        struct job *job = node->unfinal[i];
        bool is_late = flock_is_late(&node->flock, &job->ended);
        bool is_stable = missing(node, &job->ended) == NULL;
        if (is_stable && is_late && affirmed < AFFIRMED_MAX) affirmed += affirm(node, job);
        if (is_stable && is_late) node->is_final_stale = true; /* in our turn, if nobody did it */
        job->is_final = is_stable && !is_late && evicted == NULL;
        job->is_unfinal = !job->is_final;
        if (job->is_unfinal) {
            node->unfinal[left++] = job;
            continue;
        }
        node_count(node, METRIC_jobs_final);
        trace_line(&node->trace, TRACE_DEBUG, "event=final job=%s", job->name);
    }
    node->unfinal_count = left;
    node->unfinal = memory_shrink(&node->memory, node->unfinal, &node->unfinal_capacity, left,
                                  sizeof *node->unfinal);
}

/* Those who are here and have not said it. */
static void ask(struct node *node)
{
    const struct msg_stamp *entry = &node->unfinal[0]->ended;
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER &&
            !heard_has(node, &link->peer, entry))
            replicas_ask(node, link, true);
    node->final_patience = 2 * node->final_patience;
    if (node->final_patience > ASK_LAST) node->final_patience = ASK_LAST;
    node->final_ask = node->now + node->final_patience;
}

void final_tick(struct node *node)
{
    vouch(node);
    gather(node);
    if (node->unfinal_count == 0) return;
    if (node->is_final_stale && node->now >= node->final_next) {
        node->is_final_stale = false;
        look(node);
        node->final_next =
            node->now + LOOK_EVERY + LOOK_MORE * (duration)(node->unfinal_count / 1000);
    }
    if (node->unfinal_count > 0 && node->now >= node->final_ask) ask(node);
}

instant final_deadline(const struct node *node)
{
    instant next = instant_min(node->vouch_next, node->unfinal_again);
    if (node->unfinal_count == 0) return next;
    if (node->is_final_stale) next = instant_min(next, node->final_next);
    return instant_min(next, node->final_ask);
}

/* ---- for people ---- */

void final_text(const struct node *node, const struct job *job, char *text, size_t size)
{
    if (job->outcome == JOB_RUNNING) {
        snprintf(text, size, "not there yet");
        return;
    }
    if (job->is_final) {
        snprintf(text, size, "final: every node of the roster has its end on disk");
        return;
    }
    const struct id *id = missing(node, &job->ended);
    bool is_late = flock_is_late(&node->flock, &job->ended);
    if (id == NULL && !is_late) id = missing_evicted(node);
    const struct member *member = id == NULL ? NULL : members_find(&node->gossip.members, id);
    char name[ID_SHORT_SIZE];
    if (id == NULL && is_late)
        snprintf(text, size, "not final yet: nobody who is in step has said it yet");
    else if (id == NULL) snprintf(text, size, "not final yet");
    else if (!flock_is_in_step(&node->flock, &node->id))
        snprintf(text, size, "not final yet: this node %s, and has not met the flock",
                 flock_was_in_step(&node->flock, &node->id) ? "had left" : "is new");
    else
        snprintf(text, size, "not final yet: %s (%s) has not said that its end is on disk",
                 member != NULL ? member->fact->name : id_short(id, name),
                 flock_is_evicted(&node->flock, id) ? "evicted"
                 : member != NULL                   ? member_state_text(member->state)
                                                    : "not seen since our start");
}

void final_answer(struct node *node, uint64_t stream, const struct msg_ask_final *ask)
{
    enum {
        TEXT_SIZE = 256
    };
    struct arena *arena = &node->actions->arena;
    const struct msg_job_name *names = ask->jobs.at;
    struct msg_final_row *rows = arena_take(arena, ask->jobs.count * sizeof *rows);
    if (rows == NULL) return;
    for (uint32_t i = 0; i < ask->jobs.count; i++) {
        const struct job *job = jobs_find(&node->jobs, &names[i].job);
        char *text = arena_take(arena, TEXT_SIZE);
        if (text == NULL) return;
        text[0] = '\0';
        if (job != NULL) final_text(node, job, text, TEXT_SIZE);
        rows[i] = (struct msg_final_row){.job = names[i].job,
                                         .is_final = job != NULL && job->is_final,
                                         .text = slice_string(text)};
    }
    struct msg_say_final reply = {.request = ask->request, .jobs = {rows, ask->jobs.count}};
    links_send(node, stream, &wire_say_final, &reply);
}

void final_close(struct node *node)
{
    memory_put(&node->memory, node->unfinal, node->unfinal_capacity * sizeof(struct job *));
}
