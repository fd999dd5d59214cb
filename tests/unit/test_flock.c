/* The roster, as a fold: every order of a handful of entries, each said twice, ends in one state;
 * who is on it, whose word is late, which of mutual evictions stands. And which `ended` of a job
 * counts by that. */
#include "store/flock.h"
#include "tasks/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum {
    ENTRIES_MAX = 6,
};

struct item {
    struct msg_stamp stamp;
    unsigned kind;
    union {
        struct msg_opened opened;
        struct msg_joined joined;
        struct msg_left left;
        struct msg_evicted evicted;
        struct msg_returned returned;
        struct msg_ended ended;
    } as;
    struct msg_feed_end feeds[2];
    struct msg_stamp evictions[2];
};

static struct id node_of(unsigned n) { return (struct id){{(uint8_t)(0xa0 + n)}}; }

/* Of node n at boot b. */
static struct msg_stamp stamp_at(unsigned n, unsigned b, uint64_t time, uint64_t sequence)
{
    return (struct msg_stamp){time, node_of(n), {.counter = b, .random = 7}, sequence};
}

static struct item opened(unsigned n, unsigned b, uint64_t time)
{
    return (struct item){.stamp = stamp_at(n, b, time, 1), .kind = MSG_opened};
}

static struct item left(unsigned n, unsigned b, uint64_t time, uint64_t sequence)
{
    return (struct item){.stamp = stamp_at(n, b, time, sequence), .kind = MSG_left};
}

/* By `author`, who holds so much of whom's boot b. */
static struct item evicted(unsigned author, uint64_t time, uint64_t sequence, unsigned whom,
                           unsigned b, uint64_t have)
{
    struct item item = {.stamp = stamp_at(author, 1, time, sequence), .kind = MSG_evicted};
    item.as.evicted.node = node_of(whom);
    item.feeds[0] = (struct msg_feed_end){{.counter = b, .random = 7}, have};
    item.as.evicted.feeds.count = 1;
    return item;
}

static struct item returned(unsigned n, unsigned b, uint64_t time, uint64_t sequence,
                            const struct item *eviction)
{
    struct item item = {.stamp = stamp_at(n, b, time, sequence), .kind = MSG_returned};
    item.evictions[0] = eviction->stamp;
    item.as.returned.evictions.count = 1;
    return item;
}

/* Its first word when it is in step. */
static struct item in_step(unsigned n, unsigned b, uint64_t time, uint64_t sequence)
{
    return (struct item){.stamp = stamp_at(n, b, time, sequence), .kind = MSG_returned};
}

static struct item ended(unsigned n, unsigned b, uint64_t time, uint64_t sequence,
                         enum job_outcome outcome)
{
    struct item item = {.stamp = stamp_at(n, b, time, sequence), .kind = MSG_ended};
    item.as.ended.job = (struct id){{0x11}};
    item.as.ended.outcome = (uint8_t)outcome;
    return item;
}

struct fold {
    struct memory memory;
    struct flock flock;
    struct jobs jobs;
};

static void fold_open(struct fold *fold)
{
    memory_init(&fold->memory, 1 << 20);
    flock_init(&fold->flock, &fold->memory);
    jobs_init(&fold->jobs, &fold->memory);
    fold->jobs.flock = &fold->flock;
}

static void fold_close(struct fold *fold)
{
    jobs_deinit(&fold->jobs);
    flock_deinit(&fold->flock);
    assert_int_equal(fold->memory.used, 0);
}

/* As the node does. */
static void apply(struct fold *fold, struct item *item)
{
    if (item->kind == MSG_evicted) item->as.evicted.feeds.at = item->feeds;
    if (item->kind == MSG_returned) item->as.returned.evictions.at = item->evictions;
    struct stamped entry = {item->stamp, item->kind, &item->as};
    uint64_t before = fold->flock.lateness_revision;
    assert_int_equal(flock_apply(&fold->flock, &entry), ERROR_NONE);
    if (before != fold->flock.lateness_revision) jobs_reconsider(&fold->jobs);
    assert_int_equal(jobs_apply(&fold->jobs, &entry), ERROR_NONE);
}

static uint64_t digest(struct fold *fold)
{
    return flock_digest(&fold->flock) + 3 * jobs_digest(&fold->jobs);
}

/* All permutations (Heap's algorithm); each entry comes twice in every second one. */
static void permute(struct item *items, unsigned count, unsigned left_count, uint64_t *expected,
                    unsigned *runs)
{
    if (left_count > 1) {
        for (unsigned i = 0; i < left_count; i++) {
            permute(items, count, left_count - 1, expected, runs);
            unsigned other = left_count % 2 == 0 ? i : 0;
            struct item moved = items[other];
            items[other] = items[left_count - 1];
            items[left_count - 1] = moved;
        }
        return;
    }
    struct fold fold;
    fold_open(&fold);
    for (unsigned i = 0; i < count; i++) {
        apply(&fold, &items[i]);
        if (*runs % 2 == 1) apply(&fold, &items[i]);
    }
    if ((*runs)++ == 0) *expected = digest(&fold);
    assert_true(*expected == digest(&fold));
    fold_close(&fold);
}

static void every_order_ends_in_one_state(void **state)
{
    (void)state;
    struct item one = evicted(0, 10, 5, 1, 1, 3), two = evicted(1, 11, 5, 0, 1, 4);
    struct item sets[][ENTRIES_MAX] = {
        {opened(0, 1, 1), opened(1, 1, 2), one, ended(1, 1, 9, 4, JOB_DONE),
         ended(0, 1, 8, 3, JOB_KILLED), returned(1, 1, 20, 6, &one)},
        {one, two, ended(0, 1, 12, 6, JOB_FAILED), ended(1, 1, 13, 6, JOB_DONE),
         returned(0, 1, 21, 7, &two), returned(1, 1, 22, 7, &one)},
        {opened(2, 1, 1), left(2, 1, 5, 2), opened(2, 2, 6), left(2, 2, 7, 2), one, two},
        {opened(0, 1, 1), in_step(0, 1, 2, 2), ended(1, 1, 8, 3, JOB_DONE), in_step(1, 2, 9, 2),
         in_step(1, 1, 10, 4), ended(0, 1, 9, 3, JOB_KILLED)},
        {in_step(0, 1, 2, 2), ended(0, 1, 9, 3, JOB_KILLED), in_step(1, 1, 3, 2), left(1, 1, 4, 3),
         ended(1, 2, 8, 2, JOB_DONE), in_step(1, 2, 10, 3)},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uint64_t expected = 0;
        unsigned runs = 0;
        permute(sets[i], ENTRIES_MAX, ENTRIES_MAX, &expected, &runs);
        assert_int_equal(runs, 720);
    }
}

static void who_left_is_off_until_a_later_boot(void **state)
{
    (void)state;
    struct fold fold;
    const struct id id = node_of(0);
    struct item items[] = {opened(0, 1, 1), left(0, 1, 2, 2), opened(0, 2, 3)};
    fold_open(&fold);
    apply(&fold, &items[0]);
    assert_true(flock_has(&fold.flock, &id));
    apply(&fold, &items[1]);
    assert_false(flock_has(&fold.flock, &id));
    assert_int_equal(flock_count(&fold.flock), 0);
    apply(&fold, &items[2]);
    assert_true(flock_has(&fold.flock, &id));
    fold_close(&fold);
}

static void who_is_evicted_is_off_until_it_says_that_it_knows(void **state)
{
    (void)state;
    struct fold fold;
    const struct id id = node_of(1);
    struct item first = evicted(0, 10, 5, 1, 1, 3), second = evicted(2, 12, 5, 1, 1, 9);
    struct item items[] = {opened(1, 1, 1), opened(1, 2, 15), returned(1, 2, 16, 2, &first),
                           returned(1, 2, 18, 4, &second)};
    fold_open(&fold);
    apply(&fold, &items[0]);
    apply(&fold, &first);
    apply(&fold, &second);
    assert_false(flock_has(&fold.flock, &id));
    apply(&fold, &items[1]); /* a new boot alone is no return: it may not know */
    assert_false(flock_has(&fold.flock, &id));
    apply(&fold, &items[2]); /* of one of the two */
    assert_false(flock_has(&fold.flock, &id));
    apply(&fold, &items[3]);
    assert_true(flock_has(&fold.flock, &id));
    fold_close(&fold);
}

static bool is_late(const struct fold *fold, unsigned n, unsigned b, uint64_t sequence)
{
    struct msg_stamp stamp = stamp_at(n, b, 100, sequence);
    return flock_is_late(&fold->flock, &stamp);
}

static void late_is_what_lies_behind_the_eviction_and_before_the_return(void **state)
{
    (void)state;
    struct fold fold;
    struct item eviction = evicted(0, 10, 5, 1, 2, 3);
    struct item back = returned(1, 3, 20, 4, &eviction);
    struct item false_return = returned(2, 1, 11, 6, &eviction);
    struct item steps[] = {in_step(0, 1, 1, 2), in_step(1, 0, 1, 2)};
    fold_open(&fold);
    apply(&fold, &steps[0]);
    apply(&fold, &steps[1]);
    apply(&fold, &eviction);
    apply(&fold, &false_return); /* of another node: says nothing */
    assert_false(is_late(&fold, 1, 2, 3));
    assert_true(is_late(&fold, 1, 2, 4));
    assert_true(is_late(&fold, 1, 1, 1)); /* a feed that its author held nothing of */
    assert_true(is_late(&fold, 1, 3, 9));
    assert_false(is_late(&fold, 0, 1, 9));
    apply(&fold, &back);
    assert_true(is_late(&fold, 1, 2, 4));
    assert_true(is_late(&fold, 1, 3, 3));
    assert_false(is_late(&fold, 1, 3, 4));
    assert_false(is_late(&fold, 1, 4, 1));
    fold_close(&fold);
}

static void what_a_newcomer_wrote_is_late_until_it_is_in_step(void **state)
{
    (void)state;
    struct fold fold;
    const struct id id = {{0x11}};
    struct item steps[] = {in_step(0, 1, 1, 2), in_step(1, 2, 9, 3), in_step(1, 1, 8, 5)};
    struct item of_newcomer = ended(1, 1, 5, 4, JOB_DONE), other = ended(0, 1, 9, 4, JOB_KILLED);
    fold_open(&fold);
    assert_true(is_late(&fold, 1, 1, 1));
    apply(&fold, &of_newcomer); /* the only one: the job has ended */
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_DONE);
    apply(&fold, &steps[0]);
    apply(&fold, &other);
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    apply(&fold, &steps[1]);
    assert_true(is_late(&fold, 1, 2, 2));
    assert_false(is_late(&fold, 1, 2, 3));
    assert_true(is_late(&fold, 1, 1, 9));
    apply(&fold, &steps[2]); /* heard of later: it had said so before */
    assert_true(is_late(&fold, 1, 1, 4));
    assert_false(is_late(&fold, 1, 1, 5));
    assert_false(is_late(&fold, 1, 2, 2));
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    fold_close(&fold);
}

static void what_is_written_between_leaving_and_being_in_step_again_is_late(void **state)
{
    (void)state;
    struct fold fold;
    const struct id id = {{0x11}}, back = node_of(1);
    struct item steps[] = {in_step(0, 1, 1, 2), in_step(1, 1, 2, 2)};
    struct item leaves[] = {left(1, 1, 4, 5), left(1, 3, 14, 4)};
    struct item again[] = {in_step(1, 2, 10, 3), in_step(1, 4, 18, 2)};
    struct item alone = ended(1, 2, 8, 2, JOB_DONE), final = ended(0, 1, 9, 3, JOB_KILLED);
    fold_open(&fold);
    for (size_t i = 0; i < 2; i++) apply(&fold, &steps[i]);
    apply(&fold, &final);
    apply(&fold, &alone); /* that it had left is heard of later */
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_DONE);
    apply(&fold, &leaves[1]);
    assert_false(flock_is_in_step(&fold.flock, &back));
    assert_true(flock_was_in_step(&fold.flock, &back));
    apply(&fold, &leaves[0]);
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    for (size_t i = 0; i < 2; i++) apply(&fold, &again[i]);
    assert_true(flock_is_in_step(&fold.flock, &back));
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    static const struct {
        unsigned boot, sequence;
        bool is_late;
    } cases[] = {{1, 1, true}, {1, 2, false}, {1, 4, false}, {1, 6, true},
                 {2, 2, true}, {2, 3, false}, {3, 3, false}, {3, 5, true},
                 {4, 1, true}, {4, 2, false}, {5, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(is_late(&fold, 1, cases[i].boot, cases[i].sequence), cases[i].is_late);
    fold_close(&fold);
}

static void of_mutual_evictions_the_least_stands(void **state)
{
    (void)state;
    struct fold fold;
    const struct id a = node_of(0), b = node_of(1);
    struct item least = evicted(0, 10, 5, 1, 1, 3), other = evicted(1, 11, 5, 0, 1, 4);
    fold_open(&fold);
    apply(&fold, &other);
    assert_true(flock_is_evicted(&fold.flock, &a));
    apply(&fold, &least);
    assert_false(flock_is_evicted(&fold.flock, &a));
    assert_true(flock_is_evicted(&fold.flock, &b));
    fold_close(&fold);
}

static void a_late_end_weighs_less_than_any_other(void **state)
{
    (void)state;
    struct fold fold;
    const struct id id = {{0x11}};
    struct item late = ended(1, 1, 5, 4, JOB_DONE), timely = ended(0, 1, 9, 4, JOB_KILLED);
    struct item eviction = evicted(0, 10, 5, 1, 1, 3);
    struct item steps[] = {in_step(0, 1, 1, 2), in_step(1, 1, 1, 2)};
    fold_open(&fold);
    apply(&fold, &steps[0]);
    apply(&fold, &steps[1]);
    apply(&fold, &timely);
    apply(&fold, &late);
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_DONE);
    apply(&fold, &eviction); /* heard of later, it counts none the less */
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    fold_close(&fold);
    fold_open(&fold);
    apply(&fold, &steps[0]);
    apply(&fold, &steps[1]);
    apply(&fold, &eviction);
    apply(&fold, &late); /* the only one: the job has ended */
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_DONE);
    apply(&fold, &timely);
    assert_int_equal(jobs_find(&fold.jobs, &id)->outcome, JOB_KILLED);
    fold_close(&fold);
}

/* Every allocation fails once; what was taken is given back. */
static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    struct item eviction = evicted(0, 10, 5, 1, 1, 3);
    struct item items[] = {opened(0, 1, 1),
                           eviction,
                           ended(0, 1, 9, 4, JOB_KILLED),
                           ended(1, 1, 5, 4, JOB_DONE),
                           returned(1, 1, 20, 6, &eviction),
                           left(1, 1, 21, 7)};
    unsigned failures = 0;
    for (uint64_t after = 1; after < 40; after++) {
        struct fold fold;
        fold_open(&fold);
        fold.memory.fail_after = after;
        bool has_failed = false;
        for (size_t i = 0; i < sizeof items / sizeof *items && !has_failed; i++) {
            if (items[i].kind == MSG_evicted) items[i].as.evicted.feeds.at = items[i].feeds;
            if (items[i].kind == MSG_returned)
                items[i].as.returned.evictions.at = items[i].evictions;
            struct stamped entry = {items[i].stamp, items[i].kind, &items[i].as};
            has_failed = flock_apply(&fold.flock, &entry) != ERROR_NONE ||
                         jobs_apply(&fold.jobs, &entry) != ERROR_NONE;
        }
        failures += has_failed;
        fold_close(&fold);
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_ends_in_one_state),
        cmocka_unit_test(who_left_is_off_until_a_later_boot),
        cmocka_unit_test(who_is_evicted_is_off_until_it_says_that_it_knows),
        cmocka_unit_test(late_is_what_lies_behind_the_eviction_and_before_the_return),
        cmocka_unit_test(what_a_newcomer_wrote_is_late_until_it_is_in_step),
        cmocka_unit_test(what_is_written_between_leaving_and_being_in_step_again_is_late),
        cmocka_unit_test(of_mutual_evictions_the_least_stands),
        cmocka_unit_test(a_late_end_weighs_less_than_any_other),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
