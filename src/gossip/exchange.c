/* Full state over a stream: for joining, and for repair when a rumour was missed for good (SWIM
 * leaves this to chance; memberlist calls it push-pull). Both sides tell all they hold, and each
 * joins what it hears: after it both hold the same.
 *
 * Each claim that wins is news, for a newcomer too, to whom all is new: of several who join at once
 * by the same member each knows a few that the others do not (told otherwise, some pairs never met
 * in the tests).
 *
 * Of the dead and the left only those are told that became so within the last hour: everyone
 * forgets them after a day, each by his own clock, and who has forgotten must not be reminded by
 * who has not yet. */
#include "gossip/claims.h"

#include <assert.h>

static bool is_told(const struct gossip *gossip, const struct member *member)
{
    return member_is_living(member) ||
           gossip->now - member->since < (instant)GOSSIP_TOLD_S * SECOND;
}

bool gossip_exchange_fill(const struct gossip *gossip, struct msg_exchange *exchange,
                          struct arena *arena)
{
    size_t count = gossip->members.by_id.count;
    assert(count > 0 && count <= MEMBERS_MAX);
    struct msg_member_claim *claims = arena_take(arena, count * sizeof *claims);
    if (claims == NULL) return false;
    uint32_t filled = 0;
    claims[filled++] = gossip_self_claim(gossip);
    size_t cursor = 0;
    for (const struct member *member; (member = members_next(&gossip->members, &cursor)) != NULL;)
        if (member != gossip->members.self && is_told(gossip, member))
            claims[filled++] = member_claim(member);
    exchange->members = (struct list){.at = claims, .count = filled};
    return true;
}

void gossip_exchange_take(struct gossip *gossip, instant now, const struct msg_exchange *exchange)
{
    gossip->now = now;
    const struct msg_member_claim *claims = exchange->members.at;
    const struct claims_source source = {.sender = NULL};
    for (uint32_t i = 0; i < exchange->members.count; i++) {
        const char *reason = claims_take(gossip, now, &claims[i], &source);
        if (reason != NULL)
            trace_line(&gossip->config.trace, TRACE_DEBUG, "event=claim-refused reason=\"%s\"",
                       reason);
    }
}
