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
    PROBERS = 8,       /* hearers who probe at once, on average: K witnesses, and some to spare */
    REMINDED_MAX = 8,  /* reminders a period: a flock may just have lost half of itself */
};

static void due(struct gossip *gossip, instant when)
{
    gossip->suspects_next = instant_min(gossip->suspects_next, when);
}

static void link_suspect(struct gossip *gossip, struct member *member)
{
    member->suspect_previous = NULL;
    member->suspect_next = gossip->suspects;
    if (gossip->suspects != NULL) gossip->suspects->suspect_previous = member;
    gossip->suspects = member;
}

static void unlink_suspect(struct gossip *gossip, struct member *member)
{
    if (member->suspect_previous != NULL)
        member->suspect_previous->suspect_next = member->suspect_next;
    else gossip->suspects = member->suspect_next;
    if (member->suspect_next != NULL)
        member->suspect_next->suspect_previous = member->suspect_previous;
    member->suspect_next = member->suspect_previous = NULL;
    member->probe_now = 0;
}

void suspects_follow(struct gossip *gossip, instant now, struct member *member, unsigned before)
{
    if (before == MEMBER_SUSPECT) unlink_suspect(gossip, member);
    if (member->state != MEMBER_SUSPECT) return;
    size_t living_count = members_living_count(&gossip->members);
    link_suspect(gossip, member);
    suspicion_start(member, now, gossip->config.period, living_count);
    if (prng_below(gossip->prng, living_count) < PROBERS) member->probe_now = now;
    due(gossip, member->probe_now != 0 ? member->probe_now : member->suspicion_deadline);
}

void suspects_testify(struct gossip *gossip, struct member *member, const struct id *witness)
{
    assert(member->state == MEMBER_SUSPECT);
    size_t living_count = members_living_count(&gossip->members);
    if (!suspicion_confirm(member, witness, gossip->config.period, living_count)) return;
    due(gossip, member->suspicion_deadline);
}

void suspects_accuse(struct gossip *gossip, instant now, struct member *member, enum cause cause)
{
    assert(member_is_living(member) && member != gossip->members.self);
    if (member->state == MEMBER_ALIVE) {
        struct msg_member_claim claim = member_claim(member);
        claim.state = MEMBER_SUSPECT;
        claim.cause = (uint8_t)cause;
        (void)members_apply(&gossip->members, now, &claim, false, gossip->prng);
        member->probe_now = 0; /* we just did */
        gossip->counters.suspicions++;
    }
    bool was_witness = suspicion_is_witness(member, &gossip->config.id);
    suspects_testify(gossip, member, &gossip->config.id);
    if (!was_witness) rumors_add(&gossip->rumors, member); /* testimony is news */
}

void suspects_hasten(struct gossip *gossip, struct member *member, instant deadline)
{
    assert(member->state == MEMBER_SUSPECT);
    suspicion_hasten(member, deadline);
    due(gossip, member->suspicion_deadline);
}

/* It had its time. Evidence stays the cause: it says more than that time went by. */
static void condemn(struct gossip *gossip, instant now, struct member *member)
{
    struct msg_member_claim claim = member_claim(member);
    bool is_evidence = member->cause == CAUSE_STREAM_ENDED || member->cause == CAUSE_REFUSED;
    claim.state = MEMBER_DEAD;
    claim.cause = is_evidence ? (uint8_t)member->cause : CAUSE_SUSPICION_OVER;
    (void)members_apply(&gossip->members, now, &claim, false, gossip->prng);
    assert(member->state == MEMBER_DEAD);
}

void suspects_tick(struct gossip *gossip, instant now)
{
    if (now < gossip->suspects_next) return;
    gossip->suspects_next = INSTANT_NEVER;
    struct member *next;
    for (struct member *member = gossip->suspects; member != NULL; member = next) {
        next = member->suspect_next;
        if (now >= member->suspicion_deadline) {
            condemn(gossip, now, member);
            continue;
        }
        if (member->probe_now != 0 && now >= member->probe_now) {
            member->probe_now = 0;
            probe_start(gossip, now, member, CAUSE_NONE);
        }
        due(gossip, member->suspicion_deadline);
    }
}

void suspects_remind(struct gossip *gossip)
{
    unsigned reminded = 0;
    struct member *member = gossip->suspects;
    for (; member != NULL && reminded < REMINDED_MAX; member = member->suspect_next) {
        if (!suspicion_is_witness(member, &gossip->config.id)) continue;
        probe_ping(gossip, member);
        reminded++;
    }
}

void suspects_delay(struct gossip *gossip, instant before, duration slept)
{
    for (struct member *member = gossip->suspects; member != NULL; member = member->suspect_next)
        if (member->suspicion_since <= before) suspicion_delay(member, slept);
}
