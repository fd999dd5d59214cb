/* Claiming: which tasks of which jobs this node's free slots take, in this order:
 *
 *   1. second copies of what runs on nodes suspected dead: a death then costs no waiting
 *   2. free tasks; among jobs by lottery: a job's tickets are its weight over the service that it
 * had here (slot time, half of it forgotten in 10 s) and over the slots that it holds now. No queue
 * is kept anywhere: a job of a million brief tasks and one of ten long ones share each node's slots
 *      by what they cost (Waldspurger and Weihl 1994, "Lottery scheduling")
 *   3. second copies of stragglers, with at most half of the slots
 */
#include "node/locality.h"
#include "node/run.h"
#include "node/smalls.h"
#include "node/state.h"

#include "tasks/poison.h"
#include "tasks/straggler.h"

#include <assert.h>
#include <string.h>

enum {
    PICKS_MAX = 64,             /* claims of one step and job; more follow in the next */
    SERVICE_HALF = 10 * SECOND, /* longer than most tasks, shorter than anyone waits gladly */
    SERVICE_UNIT_MS = 100,      /* below it all jobs had alike */
    TICKETS_UNIT = 1 << 20,
    DEFERS_MAX = 10 * SECOND,        /* far above the time in which a claim is heard of */
    FAR_MAX = 8,                     /* of them, such as others are first in line for */
    BUNDLE_FIRST = 8,                /* brief tasks claimed at once, to begin with */
    BUNDLE_BRIEF = 10 * MILLISECOND, /* they took less: more at once next time */
    BUNDLE_LONG = 40 * MILLISECOND,  /* longer than that none is to wait */
};

/* Slots that a task of this job takes here. Who asks for more than there are has the node alone. */
static size_t cpus_of(const struct node *node, const struct work *work)
{
    size_t cpus = work->job->terms.cpus == 0 ? 1 : work->job->terms.cpus;
    return cpus < node->slots ? cpus : node->slots;
}

static bool is_doubted(const struct work *work, const struct schedule_pick *pick)
{
    return poison_is_doubted(&work->job->tasks[pick->kind][pick->index]);
}

/* Of tasks that may be poison a node runs one at a time: else the innocent would share the blame.
 * The others stay free, for other nodes or for later. How many picks are left. */
static size_t leave_doubted(const struct node *node, const struct work *work,
                            struct schedule_pick *picks, size_t count)
{
    size_t kept = 0;
    bool has_one = false;
    for (size_t i = 0; i < node->running_end; i++)
        has_one = has_one || (node->running[i].token != 0 && node->running[i].is_doubted);
    for (size_t i = 0; i < count; i++) {
        bool doubted = work->job->doubted_count > 0 && is_doubted(work, &picks[i]);
        if (doubted && has_one) continue;
        has_one = has_one || doubted;
        picks[kept++] = picks[i];
    }
    return kept;
}

/* Nobody needs a second copy of what may take a second node down. How many picks are left. */
static size_t drop_doubted(const struct work *work, struct schedule_pick *picks, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (work->job->doubted_count == 0 || !is_doubted(work, &picks[i])) picks[kept++] = picks[i];
    return kept;
}

static void start(struct node *node, struct work *work, const struct schedule_pick *pick,
                  const struct msg_stamp *claim, uint32_t number, bool is_ahead)
{
    struct running *running = work_slot(node);
    *running = (struct running){.token = node->token_next++,
                                .job = work->job->id,
                                .kind = pick->kind,
                                .task = pick->index,
                                .claim = *claim,
                                .is_copy = cause_is_copy(pick->cause),
                                .cpus = is_ahead ? 0 : cpus_of(node, work),
                                .memory = is_ahead ? 0 : room_wanted(work->job),
                                .is_brief = work->is_brief,
                                .is_doubted = is_doubted(work, pick),
                                .is_remote = pick->kind == TASK_MAP &&
                                             locality_is_remote(node, work->job, pick->index),
                                .since = node->now};
    if (room_is_kept_for(node, work->job)) room_keep_no_more(node);
    node_count(node, METRIC_attempts_started);
    if (run_attempt(node, work, running, pick->cause, number)) return;
    work_released(node, running, CAUSE_NOT_STARTED);
    work_clear(node, running);
}

/* What a dead node ran is claimed singly: should the next owner die as well, it is known of what.
 */
static bool is_single(enum cause cause)
{
    return cause == CAUSE_OWNER_DEAD || cause == CAUSE_OWNER_RESTARTED;
}

/* One claim entry for picks of the same kind, number and cause; neighbours share it. Those behind
 * the first `slots` wait behind these. */
static void claim(struct node *node, struct work *work, const struct schedule_pick *picks,
                  size_t count, size_t slots)
{
    struct msg_task_range ranges[PICKS_MAX];
    for (size_t from = 0, to; from < count; from = to) {
        uint32_t number = work->job->tasks[picks[from].kind][picks[from].index].highest + 1;
        uint32_t ranges_count = 0;
        for (to = from; to < count; to++) {
            const struct schedule_pick *pick = &picks[to];
            if (pick->kind != picks[from].kind || pick->cause != picks[from].cause) break;
            if (to > from && is_single(pick->cause)) break;
            if (work->job->tasks[pick->kind][pick->index].highest + 1 != number) break;
            struct msg_task_range *last = ranges_count > 0 ? &ranges[ranges_count - 1] : NULL;
            if (last != NULL && last->first + last->count == pick->index) last->count++;
            else ranges[ranges_count++] = (struct msg_task_range){pick->kind, pick->index, 1};
        }
        struct msg_claim entry = {.job = work->job->id,
                                  .number = number,
                                  .cause = picks[from].cause,
                                  .ranges = {ranges, ranges_count}};
        struct msg_stamp stamp;
        if (node_append(node, &wire_claim, &entry, &stamp) != ERROR_NONE) return;
        for (size_t i = from; i < to; i++) start(node, work, &picks[i], &stamp, number, i >= slots);
    }
}

/* Somebody neither suspect nor degraded is there, as far as is known here. */
static bool has_better(const struct schedule_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!nodes[i].is_suspect) return true;
    return false;
}

/* ---- the lottery ---- */

static void forget_service(const struct node *node, struct work *work)
{
    for (; work->service > 0 && node->now - work->served >= SERVICE_HALF;
         work->served += SERVICE_HALF)
        work->service /= 2;
    if (work->service == 0) work->served = node->now;
}

/* One has ended that was claimed so long ago: was the bundle too large, or too small? */
static void size_bundle(const struct node *node, struct work *work, const struct running *running)
{
    duration waited = node->now - running->since;
    if (waited < BUNDLE_BRIEF && work->bundle < PICKS_MAX) work->bundle++;
    if (waited > BUNDLE_LONG && work->bundle > 1) work->bundle -= (work->bundle + 3) / 4;
}

/* Its slot goes to one that waits behind it. */
static void pass_slot(struct node *node, const struct running *running)
{
    for (size_t i = 0; i < node->running_end; i++) {
        struct running *behind = &node->running[i];
        bool waits = behind->token != 0 && behind->cpus == 0;
        if (!waits || !id_equal(&behind->job, &running->job)) continue;
        behind->cpus = running->cpus;
        return;
    }
}

void claiming_served(struct node *node, const struct running *running)
{
    struct work *work = work_of(node, &running->job);
    if (work == NULL) return;
    forget_service(node, work);
    if (running->is_brief) size_bundle(node, work, running);
    if (running->cpus == 0) return;
    work->service += (uint64_t)((node->now - running->since) / MILLISECOND);
    if (running->is_brief) pass_slot(node, running);
}

static uint64_t tickets(const struct node *node, struct work *work)
{
    forget_service(node, work);
    uint64_t service = work->service, held = work->quota;
    for (size_t i = 0; i < node->running_end; i++) {
        const struct running *running = &node->running[i];
        if (running->token == 0 || !id_equal(&running->job, &work->job->id)) continue;
        service += (uint64_t)((node->now - running->since) / MILLISECOND);
        held++;
    }
    uint64_t weight = work->job->spec.weight == 0 ? 1 : work->job->spec.weight;
    uint64_t share = (1 + service / SERVICE_UNIT_MS) * (1 + held);
    return 1 + weight * TICKETS_UNIT / share;
}

/* About to be ended, as failed or as done (a map lost by then is not needed). */
static bool is_claimable(const struct work *work)
{
    return work->is_scheduled && work->failed_since == 0 && work->complete_since == 0;
}

static struct work *draw_one(struct node *node)
{
    uint64_t total = 0;
    for (struct work *work = node->works; work != NULL; work = work->next) {
        if (work->is_wanting && work->is_waiting) return work;
        if (work->is_wanting) total += work->tickets = tickets(node, work);
    }
    uint64_t drawn = prng_below(&node->prng, total);
    struct work *winner = node->works;
    while (!winner->is_wanting || drawn >= winner->tickets) {
        if (winner->is_wanting) drawn -= winner->tickets;
        winner = winner->next;
    }
    return winner;
}

/* Without a free task it draws no lot, and nothing is kept for it. */
static bool job_wants(const struct job *job)
{
    for (int kind = TASK_MAP; kind <= TASK_REDUCE; kind++)
        if (job_has_free(job, (enum task_kind)kind)) return true;
    return false;
}

/* Draws who gets the free slots: work->quota, of slots. A winner for whose tasks too few are free
 * gets the next turn, and what is free is kept for it: else narrow tasks would starve wide ones. So
 * it is with memory, but tasks that say nothing of it go on meanwhile. False when nobody wants one.
 */
static bool draw(struct node *node, size_t slots_free)
{
    size_t wanting = 0;
    struct work *only = NULL;
    for (struct work *work = node->works; work != NULL; work = work->next) {
        work->quota = 0;
        if (!work->is_wanting) continue;
        wanting++;
        only = work;
    }
    if (wanting == 1) only->quota = slots_free;
    while (wanting > 1 && slots_free > 0) {
        struct work *winner = draw_one(node);
        if (room_tasks(node, winner->job, 1) == 0) {
            room_keep(node, winner->job);
            winner->is_wanting = false;
            if (--wanting == 1) draw_one(node)->quota += slots_free;
            continue;
        }
        size_t cpus = cpus_of(node, winner);
        winner->is_waiting = cpus > slots_free;
        if (winner->is_waiting) break;
        winner->quota += cpus;
        slots_free -= cpus;
    }
    return wanting > 0;
}

/* ---- a turn ---- */

/* What a turn has to give away. */
struct turn {
    const struct schedule_node *nodes;
    size_t nodes_count;
    size_t slots_free;
};

/* ---- brief tasks: as many at a time as take some milliseconds ---- */

/* How many of this job are here; *room: for how many more there is a place. */
static size_t held_of(const struct node *node, const struct work *work, size_t *room)
{
    size_t held = 0;
    *room = node->running_max - work_running_count(node);
    for (size_t i = 0; i < node->running_end; i++) {
        const struct running *running = &node->running[i];
        held += running->token != 0 && id_equal(&running->job, &work->job->id);
    }
    return held;
}

/* How many to claim in one go. Towards the end of the job ever fewer: none is to wait here while
 * another node has nothing to do. */
static size_t bundle_of(const struct node *node, const struct turn *turn, struct work *work,
                        size_t least)
{
    size_t room, held = held_of(node, work, &room);
    if (!smalls_fit(node, &work->job->id, SMALL_OUTPUT_MAX)) return least; /* run_attempt */
    uint64_t gone = work->job->done_count[TASK_MAP] + work->job->running_count;
    uint64_t left = work->job->spec.maps > gone ? work->job->spec.maps - gone : 0;
    uint64_t share = 1 + left / (2 * turn->nodes_count);
    if (work->bundle == 0) work->bundle = BUNDLE_FIRST;
    size_t most = work->bundle > held ? work->bundle - held : 0;
    if (most > share) most = (size_t)share;
    if (room < node->slots) room = node->slots;
    if (most > room - node->slots) most = room - node->slots; /* the slots have theirs */
    if (most < least) most = least;
    return most < PICKS_MAX ? most : PICKS_MAX;
}

/* Ahead of time mostly what is first in line here; of others' tasks fewer, which they may be about
 * to claim themselves. They are sorted by rank. */
static size_t leave_far(const struct schedule_pick *picks, size_t count, size_t slots)
{
    while (count > slots + FAR_MAX && picks[count - 1].rank > 0) count--;
    return count;
}

/* A bundle half of which is done is filled up, unless another job wants the slot. */
static void fill_bundles(struct node *node, struct turn *turn)
{
    size_t wanting = 0, room;
    for (struct work *work = node->works; work != NULL; work = work->next)
        wanting += is_claimable(work) && job_wants(work->job);
    for (struct work *work = node->works; work != NULL && wanting == 1; work = work->next) {
        struct schedule_pick picks[PICKS_MAX];
        instant wake;
        if (!work->is_brief || !is_claimable(work) || !job_wants(work->job)) continue;
        size_t held = held_of(node, work, &room);
        if (held == 0 || 2 * held > work->bundle) continue;
        size_t most = bundle_of(node, turn, work, 0);
        size_t count = schedule_pick(work->job, &work->schedule, &node->id, turn->nodes,
                                     turn->nodes_count, node->now, picks, most, &wake);
        count = leave_doubted(node, work, picks, leave_far(picks, count, 0));
        claim(node, work, picks, count, 0);
        if (count > 0) node_commit(node); /* the lottery must see these claims */
    }
}

static void claim_free(struct node *node, struct turn *turn, struct work *work)
{
    struct schedule_pick picks[PICKS_MAX];
    instant wake;
    size_t cpus = cpus_of(node, work), max = work->quota / cpus;
    if (max > PICKS_MAX) max = PICKS_MAX;
    size_t fitting = room_tasks(node, work->job, max);
    bool is_full = fitting < max;
    max = fitting;
    size_t most = work->is_brief ? bundle_of(node, turn, work, max) : max;
    size_t count = schedule_pick(work->job, &work->schedule, &node->id, turn->nodes,
                                 turn->nodes_count, node->now, picks, most, &wake);
    size_t left = leave_doubted(node, work, picks, leave_far(picks, count, max));
    claim(node, work, picks, left, max);
    turn->slots_free -= (left < max ? left : max) * cpus;
    work->is_wanting = left >= max && left > 0 && !is_full;
    if (count < max) node->work_next = instant_min(node->work_next, wake);
}

/* Rounds: what one job leaves, others may take. */
static void claim_by_lottery(struct node *node, struct turn *turn)
{
    bool is_kept_for_any = false;
    for (struct work *work = node->works; work != NULL; work = work->next) {
        work->is_wanting = is_claimable(work) && job_wants(work->job) && room_ever(node, work->job);
        is_kept_for_any =
            is_kept_for_any || (work->is_wanting && room_is_kept_for(node, work->job));
    }
    if (!is_kept_for_any) room_keep_no_more(node);
    while (turn->slots_free > 0 && draw(node, turn->slots_free)) {
        bool is_kept = false;
        for (struct work *work = node->works; work != NULL; work = work->next) {
            if (work->quota > 0) claim_free(node, turn, work);
            is_kept = is_kept || (work->is_waiting && work->is_wanting);
        }
        if (is_kept) return;
        if (turn->slots_free > 0) node_commit(node); /* the next round must see these claims */
    }
}

static void claim_copies(struct node *node, struct turn *turn, enum straggler_reason reason,
                         size_t most)
{
    struct straggler_judge judge = {.self = &node->id,
                                    .nodes = turn->nodes,
                                    .nodes_count = turn->nodes_count,
                                    .now = node->now,
                                    .objects = progress_objects,
                                    .context = node};
    for (struct work *work = node->works; work != NULL && most > 0; work = work->next) {
        struct schedule_pick picks[PICKS_MAX];
        instant wake;
        if (!is_claimable(work)) continue;
        size_t cpus = cpus_of(node, work);
        size_t max = room_tasks(node, work->job, most / cpus < PICKS_MAX ? most / cpus : PICKS_MAX);
        size_t count =
            straggler_pick(work->job, &work->schedule, reason, &judge, picks, max, &wake);
        count = drop_doubted(work, picks, count);
        claim(node, work, picks, count, count);
        turn->slots_free -= count * cpus;
        most -= count * cpus;
        node->work_next = instant_min(node->work_next, wake);
    }
}

static size_t copies_count(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->running_end; i++)
        count += node->running[i].token != 0 && node->running[i].is_copy;
    return count;
}

/* A degraded node leaves work to others; but who else is degraded each node knows for itself, and
 * so all may leave it to each other. Hence only for a while: until something has been free for so
 * long, and nobody has claimed anything. */
static bool defers(struct node *node, const struct turn *turn)
{
    bool is_deferring =
        standing_is_degraded(node, &node->id) && has_better(turn->nodes, turn->nodes_count);
    bool is_wanted = false;
    for (struct work *work = node->works; work != NULL && !is_wanted; work = work->next)
        is_wanted = is_claimable(work) && job_wants(work->job);
    if (!is_deferring || !is_wanted) node->deferred_since = 0;
    else if (node->deferred_since == 0) node->deferred_since = node->now;
    if (node->deferred_since == 0) return is_deferring;
    instant due = node->deferred_since + DEFERS_MAX;
    if (node->now < due) node->work_next = instant_min(node->work_next, due);
    return node->now < due;
}

void claiming_tick(struct node *node)
{
    struct turn turn = {.slots_free = node->slots - work_slots_taken(node)};
    bool is_closed = node_is_leaving(node) || node->is_draining || !node->may_author;
    if (is_closed || node->storage_waits != ERROR_NONE) return;
    turn.nodes = living_nodes(node, &turn.nodes_count);
    fill_bundles(node, &turn);
    if (turn.slots_free == 0 || defers(node, &turn)) return;
    claim_copies(node, &turn, STRAGGLER_SILENT, turn.slots_free);
    node_commit(node); /* what is a suspect's is not a straggler's as well */
    claim_by_lottery(node, &turn);
    size_t most = (node->slots + 1u) / 2, copies = copies_count(node);
    most = copies < most ? most - copies : 0;
    claim_copies(node, &turn, STRAGGLER_SLOW, most < turn.slots_free ? most : turn.slots_free);
}
