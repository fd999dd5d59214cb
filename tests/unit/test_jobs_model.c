/* The fold over a small world, exhaustively: three nodes, one task, two attempts, two entries an
 * author, and one crash (of A: it comes back with a new boot, whose first entry frees what the
 * former one owned; what it had said may have reached the others, or not).
 *
 *   A boot 1   claim, then done, failed (charged or not), released or nothing
 *   A boot 2   opened
 *   B          a rival claim or a later one, then done, failed, released, lost (A's output) or
 * nothing C          the job, then dead (A or B), lost (A's or B's output) or ended (in three ways)
 *
 * A replica holds a prefix of each feed. For each such world all interleavings of the four feeds
 * are folded; wherever two of them hold the same, they must say the same (S1), and what they say of
 * the task's output and of the job's end must be what the rules say of the set of entries (S2). */
#include "fold.h"

#include <string.h>

enum {
    FEEDS = 4,
    FEED_MAX = 2,
    VECTORS = (FEED_MAX + 1) * (FEED_MAX + 1) * (FEED_MAX + 1) * (FEED_MAX + 1),
};

struct world {
    struct item items[FEEDS][FEED_MAX];
    unsigned lengths[FEEDS];
    bool is_known[VECTORS];
    uint64_t digests[VECTORS];
    unsigned long paths;
};

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

static const struct item *find_kind(const struct world *world, const unsigned held[FEEDS],
                                    unsigned kind)
{
    unsigned cursor = 0;
    for (const struct item *item; (item = held_item(world, held, &cursor)) != NULL;)
        if (item->kind == kind) return item;
    return NULL;
}

static void check(struct world *world, struct fold *fold, const unsigned held[FEEDS])
{
    unsigned number = number_of(held);
    uint64_t digest = jobs_digest(&fold->jobs);
    if (!world->is_known[number]) world->digests[number] = digest;
    world->is_known[number] = true;
    assert_true(world->digests[number] == digest);
    const struct job *job = job_in(fold);
    const struct item *ended = find_kind(world, held, MSG_ended);
    if (job == NULL) return;
    assert_int_equal(job->outcome, ended == NULL ? JOB_RUNNING : ended->as.ended.outcome);
    if (find_kind(world, held, MSG_job) == NULL) return;
    assert_true(job->is_known);
    if (ended != NULL) return; /* its other entries no longer count */
    const struct msg_stamp *wanted = committed(world, held);
    const struct attempt *found = task_committed(&job->tasks[TASK_MAP][0]);
    assert_true((wanted == NULL) == (found == NULL));
    if (wanted != NULL) assert_true(stamp_equal(wanted, &found->done));
    assert_int_equal(job->done_count[TASK_MAP], wanted != NULL);
}

/* ---- all interleavings ---- */

/* One path, each entry twice. */
static void fold_path(struct world *world, const uint8_t *path, unsigned count)
{
    struct fold fold;
    unsigned held[FEEDS] = {0};
    fold_init(&fold);
    for (unsigned i = 0; i < count; i++) {
        const struct item *item = &world->items[path[i]][held[path[i]]++];
        fold_apply(&fold, *item);
        if (i % 2 == 0) fold_apply(&fold, *item);
        check(world, &fold, held);
    }
    fold_deinit(&fold);
    world->paths++;
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
    memset(&world, 0, sizeof world);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_of_a_small_world_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
