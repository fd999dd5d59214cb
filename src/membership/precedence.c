/* The lattice of claims. SWIM (Das, Gupta, Motivala 2002, section 4.2) orders what is said of a
 * member by its incarnation, which only the member itself may raise, and at equal incarnation lets
 * the worse news win. Here an incarnation has two parts, (boot, refutations): a restarted node
 * outranks all rumours of its former life at once, without having heard any of them.
 *
 *   1. the higher boot                      a new life ends all talk about the old one
 *   2. within a boot, LEFT                  a goodbye is final: nobody takes it back
 *   3. the higher refutations               the member's own answer to an accusation
 *   4. DEAD over SUSPECT over ALIVE         at equal incarnation the worse news
 *
 * The rule it guards: this is a total order on (boot, refutations, state), thus its maximum a join.
 * tests/unit/test_precedence.c walks all triples of a small domain. Address, slots, name and cause
 * are not compared: they come along with the claim that wins. */
#include "membership/precedence.h"

#include <assert.h>

/* How bad the news is, by state. */
static int rank(enum member_state state)
{
    switch (state) {
    case MEMBER_ALIVE: return 1;
    case MEMBER_SUSPECT: return 2;
    case MEMBER_DEAD: return 3;
    case MEMBER_LEFT: return 4;
    }
    return 0;
}

int precedence_compare(const struct precedence *a, const struct precedence *b)
{
    assert(rank(a->state) > 0 && rank(b->state) > 0);
    int order = boot_compare(&a->boot, &b->boot);
    if (order != 0) return order;
    bool is_a_left = a->state == MEMBER_LEFT;
    bool is_b_left = b->state == MEMBER_LEFT;
    if (is_a_left != is_b_left) return is_a_left ? 1 : -1;
    if (a->refutations != b->refutations) return a->refutations < b->refutations ? -1 : 1;
    return rank(a->state) - rank(b->state);
}

struct precedence precedence_join(const struct precedence *a, const struct precedence *b)
{
    return precedence_compare(a, b) < 0 ? *b : *a;
}
