/* A suspicion's deadline against Lifeguard's formula. */
#include "membership/suspicion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct id witnesses[] = {{{1}}, {{2}}, {{3}}, {{4}}, {{5}}};

static void logarithm_is_right_to_a_hundredth(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint32_t milli;
    } known[] = {{1, 0},      {2, 1000},    {3, 1585},     {8, 3000},      {10, 3322},
                 {100, 6644}, {1000, 9966}, {1024, 10000}, {16384, 14000}, {1000000, 19932}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_in_range(suspicion_log2_milli(known[i].n) + 10, known[i].milli, known[i].milli + 20);
}

static void logarithm_never_falls(void **state)
{
    (void)state;
    uint32_t before = 0;
    for (size_t n = 1; n < 20000; n++) {
        assert_true(suspicion_log2_milli(n) >= before);
        before = suspicion_log2_milli(n);
    }
}

static void each_confirmation_shortens_the_timeout_down_to_its_least(void **state)
{
    (void)state;
    for (size_t n = 2; n <= 16384; n = n * 3 / 2 + 1) {
        uint32_t enough = suspicion_confirmations_max(n);
        duration before = suspicion_timeout(SECOND, n, 0);
        for (uint32_t c = 1; c <= enough; c++) {
            assert_true(suspicion_timeout(SECOND, n, c) < before);
            before = suspicion_timeout(SECOND, n, c);
        }
        assert_true(suspicion_timeout(SECOND, n, enough + 1) == before);
    }
}

static void timeouts_are_those_of_the_paper(void **state)
{
    (void)state;
    assert_int_equal(suspicion_timeout(SECOND, 8, 0), 24 * SECOND);
    assert_int_equal(suspicion_timeout(SECOND, 8, 1), 14 * SECOND);
    assert_int_equal(suspicion_timeout(SECOND, 8, 3), 4 * SECOND);
    assert_int_equal(suspicion_timeout(SECOND, 2, 0), 4 * SECOND); /* nobody could confirm */
    assert_int_equal(suspicion_timeout(SECOND, 3, 0), 24 * SECOND);
    assert_int_equal(suspicion_timeout(SECOND, 3, 1), 4 * SECOND);
    assert_int_equal(suspicion_timeout(SECOND, 64, 3), 4 * SECOND); /* log100: suspicion.c */
    assert_in_range(suspicion_timeout(SECOND, 1000, 3), 59 * SECOND / 10, 6 * SECOND);
}

static void witness_counts_once_and_the_accuser_not_as_confirmation(void **state)
{
    (void)state;
    struct suspicion suspicion = {.since = 0};
    suspicion_start(&suspicion, 100 * SECOND, SECOND, 8);
    assert_int_equal(suspicion.deadline, 124 * SECOND);
    assert_true(suspicion_confirm(&suspicion, &witnesses[0], SECOND, 8));
    assert_false(suspicion_confirm(&suspicion, &witnesses[0], SECOND, 8));
    assert_int_equal(suspicion.deadline, 124 * SECOND);
    for (unsigned i = 1; i < 4; i++) {
        assert_true(suspicion_confirm(&suspicion, &witnesses[i], SECOND, 8));
        assert_int_equal(suspicion.confirmations, i);
    }
    assert_int_equal(suspicion.deadline, 104 * SECOND);
    assert_false(suspicion_confirm(&suspicion, &witnesses[4], SECOND, 8));
    assert_true(suspicion_is_witness(&suspicion, &witnesses[3]));
    assert_false(suspicion_is_witness(&suspicion, &witnesses[4]));
}

static void haste_only_brings_nearer_and_sleep_moves_away(void **state)
{
    (void)state;
    struct suspicion suspicion = {.since = 0};
    suspicion_start(&suspicion, 0, SECOND, 8);
    suspicion_hasten(&suspicion, 30 * SECOND);
    assert_int_equal(suspicion.deadline, 24 * SECOND);
    suspicion_hasten(&suspicion, 2 * SECOND);
    assert_int_equal(suspicion.deadline, 2 * SECOND);
    suspicion_delay(&suspicion, 10 * SECOND);
    assert_int_equal(suspicion.deadline, 12 * SECOND);
    /* A late witness never moves it away again. */
    (void)suspicion_confirm(&suspicion, &witnesses[0], SECOND, 8);
    assert_int_equal(suspicion.deadline, 12 * SECOND);
}

static void new_suspicion_forgets_the_witnesses_of_the_former(void **state)
{
    (void)state;
    struct suspicion suspicion = {.since = 0};
    suspicion_start(&suspicion, 0, SECOND, 8);
    (void)suspicion_confirm(&suspicion, &witnesses[0], SECOND, 8);
    suspicion_start(&suspicion, SECOND, SECOND, 8);
    assert_false(suspicion_is_witness(&suspicion, &witnesses[0]));
    assert_int_equal(suspicion.deadline, 25 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithm_is_right_to_a_hundredth),
        cmocka_unit_test(logarithm_never_falls),
        cmocka_unit_test(each_confirmation_shortens_the_timeout_down_to_its_least),
        cmocka_unit_test(timeouts_are_those_of_the_paper),
        cmocka_unit_test(witness_counts_once_and_the_accuser_not_as_confirmation),
        cmocka_unit_test(haste_only_brings_nearer_and_sleep_moves_away),
        cmocka_unit_test(new_suspicion_forgets_the_witnesses_of_the_former),
    };
    return cmocka_run_group_tests_name("suspicion", tests, NULL, NULL);
}
