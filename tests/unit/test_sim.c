/* The laboratory itself: a seed gives the same run twice, the fixed stories end well, and each
 * planted bug is found within few seeds, so that a quiet night run means something. */
#include "sim/scenarios.h"
#include "sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum {
    NODES = 5,
    SEEDS = 10,        /* a run takes some 10 ms */
    CANARY_SEEDS = 40, /* within which a planted bug must show */
};

static struct sim_options options_of(uint64_t seed)
{
    return (struct sim_options){.seed = seed, .nodes = NODES};
}

static bool holds(const struct sim_options *options, struct sim_result *result)
{
    sim_run(options, result);
    if (!result->is_ok)
        print_message("seed %llu: %s\n", (unsigned long long)options->seed, result->violation);
    return result->is_ok;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_options options = options_of(seed);
        struct sim_result one, two;
        assert_true(holds(&options, &one));
        assert_true(holds(&options, &two));
        assert_int_equal(one.digest, two.digest);
        assert_int_equal(one.steps, two.steps);
    }
}

static void other_seeds_give_other_runs(void **state)
{
    (void)state;
    struct sim_options first = options_of(1), second = options_of(2);
    struct sim_result one, two;
    assert_true(holds(&first, &one));
    assert_true(holds(&second, &two));
    assert_int_not_equal(one.digest, two.digest);
}

static void every_story_ends_well(void **state)
{
    (void)state;
    const struct scenario *scenario;
    for (unsigned i = 0; (scenario = scenario_each(i)) != NULL; i++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct sim_options options = options_of(seed);
            struct sim_result result;
            options.scenario = scenario;
            options.nodes = scenario->nodes;
            options.jobs = scenario->jobs;
            if (!holds(&options, &result)) fail_msg("scenario %s", scenario->name);
            assert_int_equal(result.jobs, scenario->jobs);
        }
}

static void nothing_is_run_in_vain_when_all_is_calm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_options options = options_of(seed);
        struct sim_result result;
        options.scenario = scenario_find("calm");
        options.jobs = options.scenario->jobs;
        assert_true(holds(&options, &result));
        assert_int_equal(result.vain, 0);
    }
}

static void flocks_of_many_sizes_hold(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 9, 17, 25};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sim_options options = options_of(100 + i);
        struct sim_result result;
        options.nodes = sizes[i];
        if (!holds(&options, &result)) fail_msg("%u nodes", sizes[i]);
    }
}

/* The canary of false determinism is for mrsim, which runs seeds twice. */
static bool finds(enum canary canary)
{
    for (uint64_t seed = 1; seed <= CANARY_SEEDS; seed++) {
        struct sim_options options = options_of(seed);
        struct sim_result result, again;
        options.canary = canary;
        sim_run(&options, &result);
        if (!result.is_ok) return true;
        if (canary != CANARY_RANDOM_CLOCK) continue;
        sim_run(&options, &again);
        if (again.digest != result.digest) return true;
    }
    return false;
}

static void every_planted_bug_is_found(void **state)
{
    (void)state;
    for (int canary = CANARY_NONE + 1; canary < CANARY_COUNT; canary++)
        if (!finds((enum canary)canary))
            fail_msg("canary %s lives on", canary_text((enum canary)canary));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(other_seeds_give_other_runs),
        cmocka_unit_test(every_story_ends_well),
        cmocka_unit_test(nothing_is_run_in_vain_when_all_is_calm),
        cmocka_unit_test(flocks_of_many_sizes_hold),
        cmocka_unit_test(every_planted_bug_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
