/* The lattice of claims, exhaustively: every law on every triple of a small domain that holds every
 * way in which two claims can differ. */
#include "membership/precedence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum {
    COUNTERS = 2,
    RANDOMS = 2,
    REFUTATIONS = 3,
    STATES = 4
};
enum {
    DOMAIN = COUNTERS * RANDOMS * REFUTATIONS * STATES
};

static struct precedence nth(unsigned n)
{
    struct precedence p = {.state = (enum member_state)(1 + n % STATES)};
    n /= STATES;
    p.refutations = n % REFUTATIONS;
    n /= REFUTATIONS;
    p.boot.random = n % RANDOMS;
    p.boot.counter = n / RANDOMS;
    return p;
}

static bool is_same(struct precedence a, struct precedence b)
{
    return boot_equal(&a.boot, &b.boot) && a.refutations == b.refutations && a.state == b.state;
}

static struct precedence join(struct precedence a, struct precedence b)
{
    return precedence_join(&a, &b);
}

static void join_is_commutative_and_takes_one_of_two(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++)
        for (unsigned k = 0; k < DOMAIN; k++) {
            struct precedence a = nth(i), b = nth(k), c = join(a, b);
            assert_true(is_same(c, join(b, a)));
            assert_true(is_same(c, a) || is_same(c, b));
        }
}

static void join_is_associative(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++)
        for (unsigned k = 0; k < DOMAIN; k++)
            for (unsigned m = 0; m < DOMAIN; m++) {
                struct precedence a = nth(i), b = nth(k), c = nth(m);
                assert_true(is_same(join(a, join(b, c)), join(join(a, b), c)));
            }
}

static void join_is_idempotent(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++) assert_true(is_same(join(nth(i), nth(i)), nth(i)));
}

static void order_is_total_and_antisymmetric(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++)
        for (unsigned k = 0; k < DOMAIN; k++) {
            struct precedence a = nth(i), b = nth(k);
            int forth = precedence_compare(&a, &b), back = precedence_compare(&b, &a);
            assert_true((forth < 0) == (back > 0));
            assert_true((forth == 0) == (i == k));
        }
}

static void newer_boot_beats_everything_of_the_older(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++)
        for (unsigned k = 0; k < DOMAIN; k++) {
            struct precedence a = nth(i), b = nth(k);
            int boots = boot_compare(&a.boot, &b.boot);
            if (boots != 0) assert_true((precedence_compare(&a, &b) < 0) == (boots < 0));
        }
}

static void goodbye_is_final_within_a_boot(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++)
        for (unsigned k = 0; k < DOMAIN; k++) {
            struct precedence a = nth(i), b = nth(k);
            if (!boot_equal(&a.boot, &b.boot) || a.state != MEMBER_LEFT) continue;
            assert_int_equal(join(a, b).state, MEMBER_LEFT);
        }
}

static void refutation_beats_every_older_accusation(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOMAIN; i++) {
        struct precedence accusation = nth(i);
        if (accusation.state == MEMBER_LEFT) continue;
        struct precedence answer = accusation;
        answer.refutations++;
        answer.state = MEMBER_ALIVE;
        assert_true(precedence_compare(&answer, &accusation) > 0);
    }
}

static void worse_news_win_at_equal_incarnation(void **state)
{
    (void)state;
    struct precedence a = {.boot = {1, 1}, .refutations = 3};
    for (unsigned worse = MEMBER_SUSPECT; worse <= MEMBER_LEFT; worse++) {
        struct precedence b = a;
        a.state = (enum member_state)(worse - 1);
        b.state = (enum member_state)worse;
        assert_true(precedence_compare(&b, &a) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_is_commutative_and_takes_one_of_two),
        cmocka_unit_test(join_is_associative),
        cmocka_unit_test(join_is_idempotent),
        cmocka_unit_test(order_is_total_and_antisymmetric),
        cmocka_unit_test(newer_boot_beats_everything_of_the_older),
        cmocka_unit_test(goodbye_is_final_within_a_boot),
        cmocka_unit_test(refutation_beats_every_older_accusation),
        cmocka_unit_test(worse_news_win_at_equal_incarnation),
    };
    return cmocka_run_group_tests_name("precedence", tests, NULL, NULL);
}
