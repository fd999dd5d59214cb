/* Which of two claims about a member wins. A pure, total order, so that taking the greater one is a
 * join: commutative, associative, idempotent. Everyone who has seen the same claims, in whatever
 * order and however often, holds the same. */
#ifndef MEMBERSHIP_PRECEDENCE_H
#define MEMBERSHIP_PRECEDENCE_H

#include "wire/kinds.h"
#include "wire/types.h"

#include <stdint.h>

/* What of a claim decides. */
struct precedence {
    struct boot boot;
    uint32_t refutations;
    enum member_state state;
};

/* < 0, 0, > 0: a loses to, equals, beats b. 0 only when they are equal in every field. */
int precedence_compare(const struct precedence *a, const struct precedence *b);
/* The one that wins. */
struct precedence precedence_join(const struct precedence *a, const struct precedence *b);

#endif
