/* The fold over a small world, exhaustively: three nodes, one task, two attempts, two entries an
 * author, and one crash (of A: it comes back with a new boot, whose first entry frees what the
 * former one owned; what it had said may have reached the others, or not).
 *
 *   A boot 1   claim, then done, failed (charged or not), released or nothing
 *   A boot 2   opened
 *   B          a rival claim or a later one, then done, failed, released, lost (A's output) or
 *              nothing
 *   C          the job, then dead (A or B), lost (A's or B's output) or ended (in three ways)
 *
 * And with evictions (decision 17): C puts A off the roster, who may not know of it for a while.
 *
 *   A boot 1   claim, then done, ended (done or killed), or the eviction of C: a mutual one
 *   A boot 2   opened, perhaps returned, ended
 *   B          claim, then done, ended (done or failed), or an eviction of A, too
 *   C          the job, then the eviction of A, of whom it holds nothing, the claim, or all
 *
 * And with a newcomer: A was never in step, and says so in its first boot, in its second, or never.
 *
 *   A boot 1   returned or a claim, then done or ended (done or killed)
 *   A boot 2   opened, perhaps returned, ended
 *   B          claim, then done or ended (done or failed)
 *   C          the job, then ended (in three ways) or an eviction of A
 *
 * And with a departure: A leaves, and is back.
 *
 *   A boot 1   ended (done or killed), left
 *   A boot 2   opened, perhaps returned, ended
 *   B and C    as with a newcomer
 *
 * A replica holds a prefix of each feed. For each such world all interleavings of the four feeds
 * are folded; wherever two of them hold the same, they must say the same (S1), and what they say of
 * the task's output, of the job's end and of who is evicted must be what the rules say of the set
 * of entries (S2). On each path what has ended stays ended, and gives way to a better end alone.
 *
 * STRIDE: every how many interleavings of a world (default 1; make asan says 50). */
#include "fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEEDS = 4,
    FEED_MAX = 3,
    VECTORS = (FEED_MAX + 1) * (FEED_MAX + 1) * (FEED_MAX + 1) * (FEED_MAX + 1),
};

struct world {
    struct item items[FEEDS][FEED_MAX];
    unsigned lengths[FEEDS];
    bool is_known[VECTORS];
    uint64_t digests[VECTORS];
    const struct item *ends[VECTORS]; /* which end counts by the rules; NULL: none */
    unsigned long paths, stride;
    bool is_a_new; /* A has not been in step before */
};

static void world_init(struct world *world)
{
    const char *text = getenv("STRIDE");
    unsigned long stride = text == NULL ? 1 : strtoul(text, NULL, 10);
    memset(world, 0, sizeof *world);
    world->stride = stride < 1 || stride > 100 ? 1 : stride;
}

static unsigned number_of(const unsigned held[FEEDS])
{
    unsigned number = 0;
    for (unsigned f = 0; f < FEEDS; f++) number = number * (FEED_MAX + 1) + held[f];
    return number;
}

/* ---- what the rules say of a set ---- */

static const struct item *held_item(const struct world *world, const unsigned held[FEEDS],
                                    unsigned *cursor)
{
    for (; *cursor < FEEDS * FEED_MAX; ++*cursor) {
        unsigned feed = *cursor / FEED_MAX, at = *cursor % FEED_MAX;
        if (at < held[feed]) return &world->items[feed][(*cursor)++ % FEED_MAX];
    }
    return NULL;
}

static bool is_lost(const struct world *world, const unsigned held[FEEDS],
                    const struct msg_stamp *done)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (item->kind == MSG_lost && stamp_equal(&item->as.lost.done, done)) return true;
    return false;
}

/* The least done that no lost names; NULL. */
static const struct msg_stamp *committed(const struct world *world, const unsigned held[FEEDS])
{
    const struct msg_stamp *least = NULL;
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;) {
        if (item->kind != MSG_done || is_lost(world, held, &item->stamp)) continue;
        if (least == NULL || stamp_compare(&item->stamp, least) < 0) least = &item->stamp;
    }
    return least;
}

static bool holds_kind(const struct world *world, const unsigned held[FEEDS], unsigned kind)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (item->kind == kind) return true;
    return false;
}

/* ---- what the rules say of evictions ---- */

/* Of one author: was a written before b? */
static bool is_before(const struct msg_stamp *a, const struct msg_stamp *b)
{
    if (a->boot.counter != b->boot.counter) return a->boot.counter < b->boot.counter;
    return a->sequence < b->sequence;
}

/* What its node said up to this entry shows that it was in step. */
static bool was_in_step(const struct world *world, const unsigned held[FEEDS],
                        const struct msg_stamp *entry)
{
    unsigned cursor = 0;
    const struct id a = node_of(0);
    const struct item *last = NULL;
    if (!id_equal(&entry->node, &a)) return true;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;) {
        bool is_word = item->kind == MSG_returned || item->kind == MSG_left;
        if (!is_word || is_before(entry, &item->stamp)) continue;
        if (last == NULL || is_before(&last->stamp, &item->stamp)) last = item;
    }
    return last == NULL ? !world->is_a_new : last->kind == MSG_returned;
}

/* What its node said before this entry shows that it knew of the eviction. */
static bool knew(const struct world *world, const unsigned held[FEEDS], const struct item *eviction,
                 const struct msg_stamp *entry)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;) {
        if (item->kind != MSG_returned || is_before(entry, &item->stamp)) continue;
        if (!id_equal(&item->stamp.node, &eviction->as.evicted.node)) continue;
        for (uint32_t i = 0; i < item->as.returned.evictions.count; i++)
            if (stamp_equal(&item->evictions[i], &eviction->stamp)) return true;
    }
    return false;
}

/* Its author was late by a lesser one. */
static bool is_void(const struct world *world, const unsigned held[FEEDS],
                    const struct item *eviction);

static bool makes_late(const struct world *world, const unsigned held[FEEDS],
                       const struct item *eviction, const struct msg_stamp *entry)
{
    if (eviction->kind != MSG_evicted) return false;
    if (!id_equal(&eviction->as.evicted.node, &entry->node)) return false;
    struct msg_stamp last_held = *entry;
    last_held.boot = eviction->held.boot;
    last_held.sequence = eviction->held.have;
    return is_before(&last_held, entry) && !knew(world, held, eviction, entry) &&
           !is_void(world, held, eviction);
}

static bool is_void(const struct world *world, const unsigned held[FEEDS],
                    const struct item *eviction)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (item->kind == MSG_evicted && stamp_compare(&item->stamp, &eviction->stamp) < 0 &&
            makes_late(world, held, item, &eviction->stamp))
            return true;
    return false;
}

static bool is_behind_eviction(const struct world *world, const unsigned held[FEEDS],
                               const struct msg_stamp *entry)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (makes_late(world, held, item, entry)) return true;
    return false;
}

static bool is_late(const struct world *world, const unsigned held[FEEDS],
                    const struct msg_stamp *entry)
{
    return is_behind_eviction(world, held, entry) || !was_in_step(world, held, entry);
}

static bool is_evicted(const struct world *world, const unsigned held[FEEDS], const struct id *node)
{
    const struct msg_stamp last = {UINT64_MAX, *node, {UINT64_MAX, 0}, UINT64_MAX};
    return is_behind_eviction(world, held, &last);
}

/* ---- a replica against the rules ---- */

/* Timely over late, done over failed over killed, the least. */
static bool is_better_end(const struct world *world, const unsigned held[FEEDS],
                          const struct item *a, const struct item *b)
{
    bool is_a_late = is_late(world, held, &a->stamp), is_b_late = is_late(world, held, &b->stamp);
    if (is_a_late != is_b_late) return is_b_late;
    if (a->as.ended.outcome != b->as.ended.outcome)
        return a->as.ended.outcome < b->as.ended.outcome;
    return stamp_compare(&a->stamp, &b->stamp) < 0;
}

static const struct item *best_end(const struct world *world, const unsigned held[FEEDS])
{
    const struct item *best = NULL;
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (item->kind == MSG_ended && (best == NULL || is_better_end(world, held, item, best)))
            best = item;
    return best;
}

static void check_roster(const struct world *world, const struct fold *fold,
                         const unsigned held[FEEDS])
{
    for (unsigned n = 0; n < 3; n++) {
        struct id id = node_of(n);
        assert_int_equal(flock_is_evicted(&fold->flock, &id), is_evicted(world, held, &id));
    }
}

static void check(struct world *world, struct fold *fold, const unsigned held[FEEDS])
{
    unsigned number = number_of(held);
    uint64_t digest = jobs_digest(&fold->jobs) + 3 * flock_digest(&fold->flock);
    const struct job *job = job_in(fold);
    if (!world->is_known[number]) {
        world->is_known[number] = true;
        world->digests[number] = digest;
        world->ends[number] = best_end(world, held);
        check_roster(world, fold, held);
    }
    assert_true(world->digests[number] == digest);
    if (job == NULL) return;
    const struct item *ended = world->ends[number];
    assert_int_equal(job->outcome, ended == NULL ? JOB_RUNNING : ended->as.ended.outcome);
    if (ended != NULL) assert_true(stamp_equal(&job->ended, &ended->stamp));
    if (!holds_kind(world, held, MSG_job)) return;
    assert_true(job->is_known);
    if (ended != NULL) return; /* its other entries no longer count */
    const struct msg_stamp *wanted = committed(world, held);
    const struct attempt *found = task_committed(&job->tasks[TASK_MAP][0]);
    assert_true((wanted == NULL) == (found == NULL));
    if (wanted != NULL) assert_true(stamp_equal(wanted, &found->done));
    assert_int_equal(job->done_count[TASK_MAP], wanted != NULL);
}

/* What had ended has ended, and not worse: unless it is late by what is known now. */
static void check_end(const struct fold *fold, const struct job *job, enum job_outcome *was,
                      struct msg_stamp *was_by)
{
    if (job == NULL) return;
    if (*was != JOB_RUNNING) {
        assert_int_not_equal(job->outcome, JOB_RUNNING);
        if (!stamp_equal(&job->ended, was_by) && !flock_is_late(&fold->flock, was_by))
            assert_true(!flock_is_late(&fold->flock, &job->ended) && job->outcome <= *was);
    }
    *was = job->outcome;
    *was_by = job->ended;
}

/* ---- all interleavings ---- */

/* One path, each entry twice. */
static void fold_path(struct world *world, const uint8_t *path, unsigned count)
{
    struct fold fold;
    if (world->paths++ % world->stride != 0) return;
    struct msg_stamp ended = {0};
    enum job_outcome outcome = JOB_RUNNING;
    unsigned held[FEEDS] = {0};
    fold_init(&fold);
    for (unsigned n = world->is_a_new; n < 3; n++) fold_in_step(&fold, n);
    for (unsigned i = 0; i < count; i++) {
        const struct item *item = &world->items[path[i]][held[path[i]]++];
        fold_apply(&fold, *item);
        if (i % 2 == 0) fold_apply(&fold, *item);
        check(world, &fold, held);
        check_end(&fold, job_in(&fold), &outcome, &ended);
    }
    fold_deinit(&fold);
}

static void fold_all(struct world *world, uint8_t *path, unsigned count, unsigned held[FEEDS])
{
    bool is_end = true;
    for (unsigned feed = 0; feed < FEEDS; feed++) {
        if (held[feed] == world->lengths[feed]) continue;
        is_end = false;
        held[feed]++;
        path[count] = (uint8_t)feed;
        fold_all(world, path, count + 1, held);
        held[feed]--;
    }
    if (is_end) fold_path(world, path, count);
}

/* ---- all worlds ---- */

enum second {
    SECOND_NONE,
    SECOND_DONE,
    SECOND_FAILED,
    SECOND_NOT_CHARGED,
    SECOND_RELEASED,
    SECOND_LOST, /* of B alone */
    SECONDS,
};

static void add_second(struct world *world, unsigned feed, enum second second,
                       struct msg_stamp stamp, struct msg_stamp claim, struct msg_stamp done_of_a)
{
    struct item *item = &world->items[feed][1];
    world->lengths[feed] = second == SECOND_NONE ? 1 : 2;
    switch (second) {
    case SECOND_DONE: *item = done_item(stamp, claim, 0); break;
    case SECOND_FAILED: *item = failed_item(stamp, claim, 0, true); break;
    case SECOND_NOT_CHARGED: *item = failed_item(stamp, claim, 0, false); break;
    case SECOND_RELEASED: *item = released_item(stamp, claim, CAUSE_RIVAL, 0, 1); break;
    case SECOND_LOST: *item = lost_item(stamp, done_of_a, 0); break;
    case SECOND_NONE:
    case SECONDS: break;
    }
}

static struct item last_word(unsigned which, struct msg_stamp stamp, struct msg_stamp done_of_a,
                             struct msg_stamp done_of_b)
{
    switch (which) {
    case 0: return dead_item(stamp, 0, 1, 2);
    case 1: return dead_item(stamp, 1, 1, 9);
    case 2: return lost_item(stamp, done_of_a, 0);
    case 3: return lost_item(stamp, done_of_b, 0);
    case 4: return ended_item(stamp, JOB_DONE);
    case 5: return ended_item(stamp, JOB_FAILED);
    default: return ended_item(stamp, JOB_KILLED);
    }
}

enum {
    LAST_WORDS = 7,
    TIMES = 3,
};

static unsigned long try_world(enum second of_a, enum second of_b, unsigned number, unsigned last,
                               unsigned times)
{
    static struct world world;
    uint8_t path[FEEDS * FEED_MAX];
    unsigned held[FEEDS] = {0};
    /* Who claims and who ends first in total order: A, B, or the same time and A by its id. */
    struct msg_stamp claim_a = stamp_at(0, 1, 2), claim_b = stamp_at(1, 1, times == 0 ? 3 : 2);
    struct msg_stamp end_a = stamp_at(0, 1, times == 1 ? 6 : 5), end_b = stamp_at(1, 1, 5);
    world_init(&world);
    world.items[0][0] = claim_item(claim_a, 1, CAUSE_FIRST, 0, 1);
    add_second(&world, 0, of_a, end_a, claim_a, end_a);
    world.items[1][0] = opened_item(0, 2, 4);
    world.lengths[1] = 1;
    world.items[2][0] =
        claim_item(claim_b, number, number == 1 ? CAUSE_FIRST : CAUSE_OWNER_DEAD, 0, 1);
    add_second(&world, 2, of_b, end_b, claim_b, end_a);
    world.items[3][0] = job_item(stamp_at(2, 1, 1), 0, 1, 0);
    world.items[3][1] = last_word(last, stamp_at(2, 1, 7), end_a, end_b);
    world.lengths[3] = 2;
    fold_all(&world, path, 0, held);
    return world.paths;
}

static void every_interleaving_of_a_small_world_says_the_same(void **state)
{
    (void)state;
    unsigned long worlds = 0, paths = 0;
    for (unsigned of_a = 0; of_a < SECOND_LOST; of_a++)
        for (unsigned of_b = 0; of_b < SECONDS; of_b++)
            for (unsigned number = 1; number <= 2; number++)
                for (unsigned last = 0; last < LAST_WORDS; last++)
                    for (unsigned times = 0; times < TIMES; times++, worlds++)
                        paths += try_world(of_a, of_b, number, last, times);
    print_message("%lu worlds, %lu interleavings\n", worlds, paths);
    assert_int_equal(worlds, 5 * 6 * 2 * 7 * 3);
}

/* ---- all worlds with evictions ---- */

enum said {
    SAID_DONE,
    SAID_ENDED_DONE,
    SAID_ENDED_OTHERWISE, /* of A: killed, of B: failed */
    SAID_EVICTED,         /* of A: C, of B: A */
    SAIDS,
};

enum {
    HELDS = 3, /* of A's first boot by C: nothing, the claim, all */
    ALL = 99,
};

/* have: of whom it evicts. */
static struct item said_item(enum said said, unsigned n, struct msg_stamp stamp,
                             struct msg_stamp claim, uint64_t have)
{
    switch (said) {
    case SAID_DONE: return done_item(stamp, claim, 0);
    case SAID_ENDED_DONE: return ended_item(stamp, JOB_DONE);
    case SAID_ENDED_OTHERWISE: return ended_item(stamp, n == 0 ? JOB_KILLED : JOB_FAILED);
    case SAID_EVICTED:
    case SAIDS: break;
    }
    return evicted_item(stamp, n == 0 ? 2 : 0, 1, have);
}

static unsigned long try_evictions(enum said of_a, enum said of_b, unsigned held_of_a,
                                   bool has_returned, bool is_c_first)
{
    static struct world world;
    uint8_t path[FEEDS * FEED_MAX];
    unsigned held[FEEDS] = {0};
    const uint64_t haves[HELDS] = {0, 2, ALL};
    struct msg_stamp claim_a = stamp_at(0, 1, 2), claim_b = stamp_at(1, 1, 2);
    struct msg_stamp eviction = stamp_at(2, 1, is_c_first ? 4 : 7);
    struct msg_stamp evictions[2] = {eviction, stamp_at(1, 1, 6)};
    world_init(&world);
    world.items[0][0] = claim_item(claim_a, 1, CAUSE_FIRST, 0, 1);
    world.items[0][1] = said_item(of_a, 0, stamp_at(0, 1, 5), claim_a, 1);
    world.items[1][0] = opened_item(0, 2, 8);
    world.items[1][1] = returned_item(stamp_at(0, 2, 9), evictions, of_b == SAID_EVICTED ? 2 : 1);
    world.items[1][has_returned ? 2 : 1] = ended_item(stamp_at(0, 2, 10), JOB_DONE);
    world.items[2][0] = claim_item(claim_b, 1, CAUSE_FIRST, 0, 1);
    world.items[2][1] = said_item(of_b, 1, stamp_at(1, 1, 6), claim_b, haves[held_of_a]);
    world.items[3][0] = job_item(stamp_at(2, 1, 1), 0, 1, 0);
    world.items[3][1] = evicted_item(eviction, 0, 1, haves[held_of_a]);
    world.lengths[0] = world.lengths[2] = world.lengths[3] = 2;
    world.lengths[1] = has_returned ? 3 : 2;
    fold_all(&world, path, 0, held);
    return world.paths;
}

static void every_interleaving_with_evictions_says_the_same(void **state)
{
    (void)state;
    unsigned long worlds = 0, paths = 0;
    for (unsigned of_a = 0; of_a < SAIDS; of_a++)
        for (unsigned of_b = 0; of_b < SAIDS; of_b++)
            for (unsigned held = 0; held < HELDS; held++)
                for (unsigned more = 0; more < 4; more++, worlds++)
                    paths += try_evictions(of_a, of_b, held, more & 1, more & 2);
    print_message("%lu worlds, %lu interleavings\n", worlds, paths);
    assert_int_equal(worlds, 4 * 4 * 3 * 4);
}

/* ---- all worlds with a newcomer ---- */

enum first_words {
    NEVER_IN_STEP,
    IN_STEP_AT_ONCE,
    IN_STEP_LATER,
    FIRST_WORDS,
};

/* A has said its part in its first boot: the second one, which says that it is in step or not, and
 * all that B and C say. */
static unsigned long try_back(struct world *world, bool is_in_step, enum said of_b, unsigned last)
{
    uint8_t path[FEEDS * FEED_MAX];
    unsigned held[FEEDS] = {0};
    struct msg_stamp claim_a = stamp_at(0, 1, 2), claim_b = stamp_at(1, 1, 2);
    struct msg_stamp last_of_c = stamp_at(2, 1, 7);
    world->items[1][0] = opened_item(0, 2, 8);
    world->items[1][1] = returned_item(stamp_at(0, 2, 9), &last_of_c, last == LAST_WORDS);
    world->items[1][is_in_step ? 2 : 1] = ended_item(stamp_at(0, 2, 10), JOB_DONE);
    world->items[2][0] = claim_item(claim_b, 1, CAUSE_FIRST, 0, 1);
    world->items[2][1] = said_item(of_b, 1, stamp_at(1, 1, 6), claim_b, 1);
    world->items[3][0] = job_item(stamp_at(2, 1, 1), 0, 1, 0);
    world->items[3][1] = last == LAST_WORDS ? evicted_item(last_of_c, 0, 1, 2)
                                            : last_word(last, last_of_c, claim_a, claim_b);
    world->lengths[0] = world->lengths[2] = world->lengths[3] = 2;
    world->lengths[1] = is_in_step ? 3 : 2;
    fold_all(world, path, 0, held);
    return world->paths;
}

static unsigned long try_newcomer(enum said of_a, enum said of_b, enum first_words when,
                                  unsigned last)
{
    static struct world world;
    struct msg_stamp claim = stamp_at(0, 1, 2);
    world_init(&world);
    world.is_a_new = true;
    world.items[0][0] = when == IN_STEP_AT_ONCE ? returned_item(claim, NULL, 0)
                                                : claim_item(claim, 1, CAUSE_FIRST, 0, 1);
    world.items[0][1] = said_item(of_a, 0, stamp_at(0, 1, 5), claim, 1);
    return try_back(&world, when == IN_STEP_LATER, of_b, last);
}

static void every_interleaving_with_a_newcomer_says_the_same(void **state)
{
    (void)state;
    unsigned long worlds = 0, paths = 0;
    for (unsigned of_a = 0; of_a < SAID_EVICTED; of_a++)
        for (unsigned of_b = 0; of_b < SAID_EVICTED; of_b++)
            for (unsigned when = 0; when < FIRST_WORDS; when++)
                for (unsigned last = 4; last <= LAST_WORDS; last++, worlds++)
                    paths += try_newcomer(of_a, of_b, when, last);
    print_message("%lu worlds, %lu interleavings\n", worlds, paths);
    assert_int_equal(worlds, 3 * 3 * 3 * 4);
}

/* ---- all worlds with a departure ---- */

static unsigned long try_departure(enum said of_a, enum said of_b, bool is_in_step, unsigned last)
{
    static struct world world;
    world_init(&world);
    world.items[0][0] = said_item(of_a, 0, stamp_at(0, 1, 5), stamp_at(0, 1, 2), 1);
    world.items[0][1] = left_item(0, 1, 6);
    return try_back(&world, is_in_step, of_b, last);
}

static void every_interleaving_with_a_departure_says_the_same(void **state)
{
    (void)state;
    unsigned long worlds = 0, paths = 0;
    for (unsigned of_a = SAID_ENDED_DONE; of_a < SAID_EVICTED; of_a++)
        for (unsigned of_b = 0; of_b < SAID_EVICTED; of_b++)
            for (unsigned is_in_step = 0; is_in_step < 2; is_in_step++)
                for (unsigned last = 4; last <= LAST_WORDS; last++, worlds++)
                    paths += try_departure(of_a, of_b, is_in_step, last);
    print_message("%lu worlds, %lu interleavings\n", worlds, paths);
    assert_int_equal(worlds, 2 * 3 * 2 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_of_a_small_world_says_the_same),
        cmocka_unit_test(every_interleaving_with_evictions_says_the_same),
        cmocka_unit_test(every_interleaving_with_a_newcomer_says_the_same),
        cmocka_unit_test(every_interleaving_with_a_departure_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
