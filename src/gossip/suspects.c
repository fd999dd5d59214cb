/* Suspicion as gossip lives it (SWIM, section 4.2; Lifeguard).
 *
 *   a probe of ours fails  --> accuse: state SUSPECT, we are the first witness
 *   a rumour says SUSPECT  --> the same without a witness; some of the hearers probe at once
 *   a probe of ours fails  --> we testify; the deadline comes nearer (suspicion.c)
 *   the deadline passes    --> state DEAD
 *   a refutation comes     --> state ALIVE (claims.c)
 *
 * Of those who hear of a suspicion about 8 probe the suspect out of turn, whatever the size of the
 * flock. In SWIM the round robin would bring the confirmations, n periods long; so they come within
 * one. The suspect hears of its accusation from each of them (a ping says how the pinged is held),
 * and answers.
 *
 * Those under suspicion stand in a list of their own; suspects_next is not later than what is due
 * first among them. It may be earlier; then a walk finds nothing and sets it right. */
#include "gossip/suspects.h"

#include "gossip/probe.h"
#include "membership/suspicion.h"

#include <assert.h>

enum {
    PROBERS = 8,      /* hearers who probe at once, on average: K witnesses, and some to spare */
    REMINDED_MAX = 8, /* reminders a period: a flock may just have lost half of itself */
};

static void due(struct gossip *gossip, instant when)
{
    gossip->suspects_next = instant_min(gossip->suspects_next, when);
}

static void link_suspect(struct gossip *gossip, struct member *member)
{
    member->suspicion->previous = NULL;
    member->suspicion->next = gossip->suspects;
    if (gossip->suspects != NULL) gossip->suspects->suspicion->previous = member;
    gossip->suspects = member;
}

static void unlink_suspect(struct gossip *gossip, struct member *member)
{
    if (member->suspicion->previous != NULL)
        member->suspicion->previous->suspicion->next = member->suspicion->next;
    else gossip->suspects = member->suspicion->next;
    if (member->suspicion->next != NULL)
        member->suspicion->next->suspicion->previous = member->suspicion->previous;
    member->suspicion->next = member->suspicion->previous = NULL;
    member->suspicion->probe_now = 0;
}

void suspects_follow(struct gossip *gossip, instant now, struct member *member, unsigned before)
{
    if (before == MEMBER_SUSPECT) unlink_suspect(gossip, member);
    if (member->state != MEMBER_SUSPECT) return;
    size_t living_count = members_living_count(&gossip->members);
    link_suspect(gossip, member);
    suspicion_start(member->suspicion, now, gossip->config.period, living_count);
    if (prng_below(gossip->prng, living_count) < PROBERS) member->suspicion->probe_now = now;
    due(gossip, member->suspicion->probe_now != 0 ? member->suspicion->probe_now
                                                  : member->suspicion->deadline);
}

void suspects_testify(struct gossip *gossip, struct member *member, const struct id *witness)
{
    assert(member->state == MEMBER_SUSPECT);
    size_t living_count = members_living_count(&gossip->members);
    if (!suspicion_confirm(member->suspicion, witness, gossip->config.period, living_count)) return;
    due(gossip, member->suspicion->deadline);
}

void suspects_accuse(struct gossip *gossip, instant now, struct member *member, enum cause cause)
{
    assert(member_is_living(member) && member != gossip->members.self);
    if (member->state == MEMBER_ALIVE) {
        struct msg_member_claim claim = member_claim(member);
        claim.state = MEMBER_SUSPECT;
        claim.cause = (uint8_t)cause;
        if (members_apply(&gossip->members, now, &claim, false, gossip->prng) != MEMBERS_WON)
            return;                       /* no memory; the next probe will fail, too */
        member->suspicion->probe_now = 0; /* we just did */
        gossip->counters.suspicions++;
    }
    bool was_witness = suspicion_is_witness(member->suspicion, &gossip->config.id);
    suspects_testify(gossip, member, &gossip->config.id);
    if (!was_witness) rumors_add(&gossip->rumors, member); /* testimony is news */
}

void suspects_hasten(struct gossip *gossip, struct member *member, instant deadline)
{
    assert(member->state == MEMBER_SUSPECT);
    suspicion_hasten(member->suspicion, deadline);
    due(gossip, member->suspicion->deadline);
}

/* It had its time. Evidence stays the cause: it says more than that time went by. */
static void condemn(struct gossip *gossip, instant now, struct member *member)
{
    struct msg_member_claim claim = member_claim(member);
    bool is_evidence = member->cause == CAUSE_STREAM_ENDED || member->cause == CAUSE_REFUSED;
    claim.state = MEMBER_DEAD;
    claim.cause = is_evidence ? (uint8_t)member->cause : CAUSE_SUSPICION_OVER;
    if (members_apply(&gossip->members, now, &claim, false, gossip->prng) == MEMBERS_WON) return;
    suspicion_delay(member->suspicion, gossip->config.period); /* no memory now */
}

void suspects_tick(struct gossip *gossip, instant now)
{
    if (now < gossip->suspects_next) return;
    gossip->suspects_next = INSTANT_NEVER;
    struct member *next;
    for (struct member *member = gossip->suspects; member != NULL; member = next) {
        next = member->suspicion->next;
        if (now >= member->suspicion->deadline) {
            condemn(gossip, now, member);
            if (member->state != MEMBER_SUSPECT) continue;
        }
        if (member->suspicion->probe_now != 0 && now >= member->suspicion->probe_now) {
            member->suspicion->probe_now = 0;
            probe_start(gossip, now, member, CAUSE_NONE);
        }
        due(gossip, member->suspicion->deadline);
    }
}

void suspects_remind(struct gossip *gossip)
{
    unsigned reminded = 0;
    struct member *member = gossip->suspects;
    for (; member != NULL && reminded < REMINDED_MAX; member = member->suspicion->next) {
        if (!suspicion_is_witness(member->suspicion, &gossip->config.id)) continue;
        probe_ping(gossip, member);
        reminded++;
    }
}

void suspects_delay(struct gossip *gossip, instant before, duration slept)
{
    for (struct member *member = gossip->suspects; member != NULL; member = member->suspicion->next)
        if (member->suspicion->since <= before) suspicion_delay(member->suspicion, slept);
}
