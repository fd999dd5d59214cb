/* Everything that a node asks of the world fails once, at the first, second, third, ... time: an
 * allocation, an operation of its disk, room on it. A small flock is the node's whole life: it
 * joins, is asked for jobs, claims, runs, fails and ends tasks, is killed and loads its log, loses
 * its disk and takes a snapshot, cuts its log. After each single failure all of the laboratory's
 * invariants must hold, and everything must come to its end; the node has stopped, saying why,
 * and started again, or has done without. That nothing leaks is asserted where a node closes.
 *
 * Modules by themselves have their own countdowns in their own tests, whole programs in
 * tests/e2e/countdown.sh. STRIDE: every how many points (default 1; make asan, which takes twenty
 * times as long, says 50). */
#include "sim/scn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
    SEED = 2,           /* even: the log is cut as often as may be */
    POINTS_MAX = 20000, /* far above what this life takes */
};

static unsigned stride(void)
{
    const char *text = getenv("STRIDE");
    unsigned long every = text == NULL ? 1 : strtoul(text, NULL, 10);
    return every < 1 || every > 100 ? 1 : (unsigned)every;
}

static const char life[] = "[flock]\nnodes = 3\nheal = 14s\ncrypto = plain\nprofile = local\n"
                           "[jobs]\n"
                           "1s maps=3 reduces=2 command=wordcount\n"
                           "2s node=1 maps=2 reduces=1 command=flaky:50\n"
                           "3s maps=2 reduces=1 command=wordcount\n"
                           "6s maps=2 reduces=1 command=wordcount\n"
                           "11s node=1 maps=1 reduces=0 command=wordcount\n"
                           "[faults]\n"
                           "3500ms kill host=0 for=2s\n"
                           "5s kill host=1 for=3s\n"
                           "9s disk-lost host=1 for=1s\n"
                           "0s %s host=%u nth=%u%s\n"
                           "[expect]\n";

/* This life with this fault; all holds. */
static void live(const char *fault, unsigned host, unsigned nth, const char *more,
                 struct sim_result *result)
{
    char text[2048], reason[SCN_REASON_SIZE];
    struct plan plan;
    snprintf(text, sizeof text, life, fault, host, nth, more);
    plan_init(&plan);
    if (!scn_read(&plan, text, reason)) fail_msg("%s", reason);
    struct sim_options options = {.seed = SEED, .plan = &plan};
    sim_run(&options, result);
    if (!result->is_ok) fail_msg("%s host=%u nth=%u: %s", fault, host, nth, result->violation);
    plan_deinit(&plan);
}

static void every_allocation_of_a_node_may_fail(void **state)
{
    (void)state;
    for (unsigned host = 0; host < 2; host++) {
        unsigned nth = 1;
        struct sim_result result = {.starved = 1};
        for (; result.starved > 0; nth += stride()) {
            assert_true(nth < POINTS_MAX);
            live("no-memory", host, nth, "", &result);
        }
        print_message("node %u: of %u allocations every %u. failed, one a run\n", host,
                      nth - 1 - stride(), stride());
        assert_true(nth > 500);
    }
}

static void every_operation_of_its_disk_may_fail(void **state)
{
    (void)state;
    unsigned nth = 1;
    struct sim_result result = {.disk_errors = 1};
    for (; result.disk_errors > 0; nth += stride()) {
        assert_true(nth < POINTS_MAX);
        live("disk-error", 1, nth, "", &result);
    }
    print_message("of %u writes and syncs every %u. failed, one a run\n", nth - 1 - stride(),
                  stride());
    assert_true(nth > 50); /* what is small needs few writes of its own */
}

static void its_disk_may_be_full_at_any_time(void **state)
{
    (void)state;
    unsigned nth = 1;
    struct sim_result result = {.disks_full = 1};
    for (; result.disks_full > 0; nth += stride()) {
        assert_true(nth < POINTS_MAX);
        live("disk-full", 1, nth, " for=13s", &result);
    }
    print_message("full at every %u. of %u syncs, and until the end\n", stride(),
                  nth - 1 - stride());
    assert_true(nth > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_node_may_fail),
        cmocka_unit_test(every_operation_of_its_disk_may_fail),
        cmocka_unit_test(its_disk_may_be_full_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
