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
    PROBERS = 8,         /* hearers who probe at once, on average: K witnesses, and some to spare */
    PROBERS_SHARE = 400, /* and one of so many: in a flock of thousands a rumour has reached only
                            some of the 8 when their answers are wanted (mrsim, 10,000 nodes) */
    PATIENCE_LOSS = 3,   /* found by trial: tests/bench/membership at 80 % loss */
    REMINDED_MAX = 8,    /* reminders a period: a flock may just have lost half of itself */
};

/* Lifeguard's least timeout, 4 of these, is 1.5 periods where nothing is lost: the accused is told
 * at once by several, over a stream as well, and its answer goes to each of them. Where much is
 * lost it takes as many more tries: at 60 % one way 5 periods. */
duration suspects_patience(const struct gossip *gossip)
{
    return gossip->config.period * (duration)(1000 + PATIENCE_LOSS * gossip->loss) * 3 / 8000;
}

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
    suspicion_start(member->suspicion, now, suspects_patience(gossip), living_count);
    if (prng_below(gossip->prng, living_count) < PROBERS + living_count / PROBERS_SHARE)
        member->suspicion->probe_now = now;
    due(gossip, member->suspicion->probe_now != 0 ? member->suspicion->probe_now
                                                  : member->suspicion->deadline);
}

void suspects_testify(struct gossip *gossip, struct member *member, const struct id *witness)
{
    assert(member->state == MEMBER_SUSPECT);
    size_t living_count = members_living_count(&gossip->members);
    duration patience = suspects_patience(gossip);
    if (!suspicion_confirm(member->suspicion, witness, patience, living_count)) return;
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
    if (was_witness) return;
    rumors_add(&gossip->rumors, member); /* testimony is news */
    rumors_hasten(gossip, now);
    probe_stream(gossip, member, ++gossip->sequence); /* a ping says how the pinged is held */
}

void suspects_hasten(struct gossip *gossip, struct member *member, instant deadline)
{
    assert(member->state == MEMBER_SUSPECT);
    suspicion_hasten(member->suspicion, deadline);
    due(gossip, member->suspicion->deadline);
}

void suspects_condemn(struct gossip *gossip, instant now, struct member *member, enum cause cause)
{
    struct msg_member_claim claim = member_claim(member);
    claim.state = MEMBER_DEAD;
    claim.cause = (uint8_t)cause;
    (void)members_apply(&gossip->members, now, &claim, false, gossip->prng);
}

/* Its time seems to be over. It gets more when more is lost on the way than we knew when the
 * suspicion began, and when it was heard since: then it only did not answer yet. True when it has
 * more. */
static bool reprieve(struct gossip *gossip, struct member *member)
{
    struct suspicion *suspicion = member->suspicion;
    bool is_heard = member->heard > suspicion->since;
    bool is_evidence = member->cause == CAUSE_STREAM_ENDED || member->cause == CAUSE_REFUSED;
    if (is_evidence && !is_heard) return false;
    size_t living_count = members_living_count(&gossip->members);
    instant since = is_heard ? member->heard : suspicion->since;
    duration timeout =
        suspicion_timeout(suspects_patience(gossip), living_count, suspicion->confirmations);
    if (since + timeout <= gossip->now) return false;
    suspicion->deadline = since + timeout;
    return true;
}

/* It had its time. Evidence stays the cause: it says more than that time went by. */
static void condemn(struct gossip *gossip, instant now, struct member *member)
{
    bool is_evidence = member->cause == CAUSE_STREAM_ENDED || member->cause == CAUSE_REFUSED;
    suspects_condemn(gossip, now, member, is_evidence ? member->cause : CAUSE_SUSPICION_OVER);
    if (member->state == MEMBER_SUSPECT) /* no memory now */
        suspicion_delay(member->suspicion, gossip->config.period);
}

void suspects_tick(struct gossip *gossip, instant now)
{
    if (now < gossip->suspects_next) return;
    gossip->suspects_next = INSTANT_NEVER;
    struct member *next;
    for (struct member *member = gossip->suspects; member != NULL; member = next) {
        next = member->suspicion->next;
        bool is_over = now >= member->suspicion->deadline && !reprieve(gossip, member);
        if (is_over) {
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
