/* The crowd: its queue and its clocks, and that what it shows of small flocks is what it must. */
#include "sim/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void timers_come_in_order_however_they_move(void **state)
{
    (void)state;
    enum {
        COUNT = 300
    };
    struct timers timers;
    struct prng prng;
    instant wanted[COUNT];
    prng_init(&prng, 3);
    timers_init(&timers, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) wanted[i] = INSTANT_NEVER;
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t owner = (uint32_t)prng_below(&prng, COUNT);
        wanted[owner] = (instant)prng_below(&prng, 1000);
        timers_set(&timers, owner, wanted[owner]);
        const struct timer *first = timers_first(&timers);
        assert_true(first->at == wanted[first->owner]);
        if (round % 50 != 0) continue;
        for (uint32_t i = 0; i < COUNT; i++) assert_true(first->at <= wanted[i]);
    }
    timers_deinit(&timers);
}

static void letters_arrive_by_time_then_by_sending(void **state)
{
    (void)state;
    struct post post;
    struct prng prng;
    prng_init(&prng, 4);
    post_init(&post);
    for (uint32_t i = 0; i < 1000; i++)
        post_send(&post, (instant)prng_below(&prng, 50), LETTER_DATAGRAM, i, 0, slice_of("x", 1));
    instant at = 0;
    uint32_t from = 0;
    for (unsigned i = 0; i < 1000; i++) {
        instant next = post_next(&post);
        struct letter *letter = post_take(&post);
        assert_true(next > at || (next == at && (i == 0 || letter->from > from)));
        at = next;
        from = letter->from;
        post_put(&post, letter);
    }
    assert_true(post_next(&post) == INSTANT_NEVER);
    post_deinit(&post);
}

static void spread_is_that_of_the_sorted_values(void **state)
{
    (void)state;
    double odd[] = {5, 1, 3}, even[] = {4, 1, 2, 8};
    struct spread spread = spread_of(odd, 3);
    assert_true(spread.least == 1 && spread.median == 3 && spread.most == 5 && spread.mean == 3);
    assert_true(spread_of(even, 4).median == 3);
    assert_int_equal(spread_of(even, 0).count, 0);
}

static void run(struct crowd *crowd, const struct crowd_options *options)
{
    memset(crowd, 0, sizeof *crowd);
    crowd_open(crowd, options);
    crowd_run(crowd);
}

static void calm_crowd_sends_two_datagrams_a_second_and_accuses_nobody(void **state)
{
    (void)state;
    struct crowd crowd;
    struct crowd_options options = {.nodes = 20, .seed = 1, .time = 60 * SECOND, .period = SECOND};
    run(&crowd, &options);
    for (uint32_t i = 0; i < 20; i++) {
        const struct crowd_node *node = &crowd.nodes[i];
        assert_int_equal(node->gossip.counters.suspicions, 0);
        assert_in_range(node->load.messages, 110, 130);
        assert_true(node->is_right);
    }
    assert_int_equal(crowd.census.right_count, 20);
    crowd_close(&crowd);
}

static void same_seed_gives_the_same_run(void **state)
{
    (void)state;
    uint64_t events[3], bytes[3];
    for (unsigned i = 0; i < 3; i++) {
        struct crowd crowd;
        struct crowd_options options = {.nodes = 30,
                                        .seed = 5 + i / 2,
                                        .loss = 100000,
                                        .kills = 2,
                                        .pauses = 2,
                                        .joins = 2,
                                        .partition = 10 * SECOND,
                                        .time = 60 * SECOND,
                                        .period = SECOND};
        run(&crowd, &options);
        events[i] = crowd.events;
        bytes[i] = crowd.nodes[0].load.bytes;
        crowd_close(&crowd);
    }
    assert_true(events[0] == events[1] && bytes[0] == bytes[1]);
    assert_true(events[0] != events[2]);
}

static void check_by_a_walk(const struct crowd *crowd)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (crowd->nodes[i].state != CROWD_RUNNING) continue;
        running++;
        for (uint32_t k = 0; k < crowd->nodes_count; k++) {
            const struct id *id = &crowd->nodes[k].gossip.config.id;
            const struct member *member = members_find(&crowd->nodes[i].gossip.members, id);
            bool is_alive = crowd->nodes[k].state == CROWD_RUNNING;
            assert_non_null(member);
            assert_int_equal(member->state, is_alive ? MEMBER_ALIVE : MEMBER_DEAD);
        }
    }
    assert_int_equal(crowd->census.running_count, running);
    assert_int_equal(crowd->census.right_count, running);
}

/* Whatever happens, all know at the end, and the counts of the census are those of a walk. */
static void stories_end_and_their_counts_are_those_of_a_walk(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) { /* silence, then newcomers */
        struct crowd crowd;
        struct crowd_options options = {.nodes = 60,
                                        .seed = 2,
                                        .kills = 3,
                                        .pauses = 3 * (1 - turn),
                                        .joins = 3 * turn,
                                        .time = 160 * SECOND,
                                        .period = SECOND};
        run(&crowd, &options);
        unsigned seen[STORY_KINDS] = {0};
        for (size_t i = 0; i < crowd.census.stories_count; i++) {
            const struct story *story = &crowd.census.stories[i];
            seen[story->kind]++;
            assert_false(story->is_open);
            assert_true(story->first <= story->half && story->half <= story->all);
        }
        assert_int_equal(seen[STORY_KILL], 3);
        assert_int_equal(seen[STORY_PAUSE], options.pauses);
        assert_int_equal(seen[STORY_RETURN], options.pauses);
        assert_int_equal(seen[STORY_JOIN], options.joins);
        check_by_a_walk(&crowd);
        crowd_close(&crowd);
    }
}

static void halves_apart_heal(void **state)
{
    (void)state;
    struct crowd crowd;
    struct crowd_options options = {
        .nodes = 32, .seed = 3, .partition = 60 * SECOND, .time = 160 * SECOND, .period = SECOND};
    run(&crowd, &options);
    assert_int_equal(crowd.census.stories_count, 1);
    assert_true(crowd.census.stories[0].all < 30 * SECOND);
    assert_int_equal(crowd.census.wrong_failures, 0);
    crowd_close(&crowd);
}

/* The size at which something of order n would show: half a thousand, two minutes, five killed. */
static void five_hundred_lose_five_and_nobody_else(void **state)
{
    (void)state;
    struct crowd crowd;
    struct crowd_options options = {
        .nodes = 500, .seed = 1, .kills = 5, .time = 120 * SECOND, .period = SECOND};
    run(&crowd, &options);
    const struct census *census = &crowd.census;
    assert_int_equal(census->stories_count, 5);
    for (size_t i = 0; i < census->stories_count; i++) {
        assert_true(census->stories[i].first <= 5 * SECOND);
        assert_true(census->stories[i].all <= 6 * SECOND);
    }
    assert_int_equal(census->wrong_failures, 0);
    assert_int_equal(census->right_count, 495);
    for (uint32_t i = 0; i < 500; i++) { /* 30 s of calm: two datagrams a second */
        assert_true(census->calm[i].messages <= 4 * 30);
        assert_true(census->calm[i].bytes <= 400 * 30);
    }
    assert_true(crowd_memory_used(&crowd) / (500 * 500) <= 160);
    crowd_close(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_come_in_order_however_they_move),
        cmocka_unit_test(letters_arrive_by_time_then_by_sending),
        cmocka_unit_test(spread_is_that_of_the_sorted_values),
        cmocka_unit_test(calm_crowd_sends_two_datagrams_a_second_and_accuses_nobody),
        cmocka_unit_test(same_seed_gives_the_same_run),
        cmocka_unit_test(stories_end_and_their_counts_are_those_of_a_walk),
        cmocka_unit_test(halves_apart_heal),
        cmocka_unit_test(five_hundred_lose_five_and_nobody_else),
    };
    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
