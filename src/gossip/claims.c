/* Claims as they come in, and what follows from one that won.
 *
 *   claim -+- junk: refused, counted
 *          +- about another: joined into the member table (precedence.c)
 *          |                    `- won: on_changed() -- it is news (rumors), its suspicion begins
 *          |                            or ends (suspects), the node is told (ports.changed)
 *          `- about ourselves -+- a former boot of ours: nothing
 *                              +- another boot, not lower: usurped
 *                              +- SUSPECT or DEAD at our boot: refuted at once, by a claim of
 *                              |    our own one refutation above it (SWIM, section 4.2), to
 *                              |    whoever said so and as a rumour to all
 *                              `- LEFT at our boot, and we did not: final (precedence.c); only
 *                                   a new boot helps
 *
 * Who accuses us with an old accusation has missed the answer: it gets it again, and nothing is
 * raised. So a pair of members of whom one does not hear the other costs one refutation an
 * accusation, never more. */
#include "gossip/claims.h"

#include "gossip/probe.h"
#include "gossip/suspects.h"

#include <assert.h>

static void on_changed(void *context, instant now, struct member *member,
                       const struct member_change *change)
{
    struct gossip *gossip = context;
    if (!change->is_details_only) {
        rumors_add(&gossip->rumors, member);
        if (member->state == MEMBER_DEAD) rumors_hasten(gossip, now);
        suspects_follow(gossip, now, member, change->before);
    }
    if (member == gossip->members.self) return;
    if (change->is_boot_new) probe_void(gossip, member);
    bool was_dead = change->before == MEMBER_DEAD;
    if (member->state == MEMBER_DEAD && !was_dead) gossip->counters.deaths++;
    /* One came back from the dead: a partition heals, perhaps, and others wait behind it. */
    if (member_is_living(member) && was_dead) {
        rumors_hasten(gossip, now);
        instant soon = now + gossip->config.period / RUMOR_HASTE;
        gossip->heal_soon = instant_min(gossip->heal_soon, soon);
    }
    const struct gossip_ports *ports = &gossip->config.ports;
    /* A claim that won with the state it had says something else anew: its slots, perhaps. */
    if (!change->is_details_only || change->is_address_new)
        ports->changed(ports->context, member, change->before);
}

void claims_listen(struct gossip *gossip)
{
    struct members_listener listener = {.context = gossip, .changed = on_changed};
    members_listen(&gossip->members, &listener, &gossip->config.trace);
}

bool claims_own(struct gossip *gossip, instant now, const struct msg_member_claim *claim)
{
    assert(id_equal(&claim->node, &gossip->config.id));
    enum members_verdict verdict = members_apply(&gossip->members, now, claim, true, gossip->prng);
    assert(verdict == MEMBERS_WON || verdict == MEMBERS_DROPPED);
    return verdict == MEMBERS_WON;
}

bool claims_may_reply(struct gossip *gossip)
{
    if (gossip->replies_count >= GOSSIP_REPLIES_MAX) return false;
    gossip->replies_count++;
    return true;
}

/* Says now to the accuser what we say of ourselves. */
static void answer(struct gossip *gossip, const struct claims_source *source)
{
    if (source->from == NULL && !source->is_stream) return;
    if (!claims_may_reply(gossip)) return;
    struct rumors_head head = {
        .to = source->sender, .is_introduced = true, .is_stream = source->is_stream};
    rumors_send(gossip, source->from, &head);
}

bool claims_is_usurper(const struct gossip *gossip, const struct boot *boot)
{
    return !boot_equal(boot, &gossip->config.boot) && boot->counter >= gossip->config.boot.counter;
}

static void usurped(struct gossip *gossip, const struct boot *boot)
{
    const struct gossip_ports *ports = &gossip->config.ports;
    ports->usurped(ports->context, boot);
}

/* Raises our refutations above the claim's. */
static void refute(struct gossip *gossip, instant now, const struct msg_member_claim *claim)
{
    struct msg_member_claim own = gossip_self_claim(gossip);
    if (claim->refutations >= MEMBER_REFUTATIONS_MAX) {
        usurped(gossip, &gossip->config.boot);
        return;
    }
    own.refutations = claim->refutations + 1;
    own.state = MEMBER_ALIVE;
    own.cause = CAUSE_REFUTED;
    gossip->counters.refutations++;
    if (gossip->health < GOSSIP_HEALTH_MAX) gossip->health++; /* Lifeguard: others find us slow */
    trace_line(&gossip->config.trace, TRACE_INFO,
               "event=refuted state=%s refutations=%u cause=\"%s\"",
               member_state_text(claim->state), own.refutations, cause_text(claim->cause));
    if (!claims_own(gossip, now, &own)) return; /* the next accusation is answered */
    if (claim->state == MEMBER_DEAD) rumors_hasten(gossip, now);
}

static void take_about_self(struct gossip *gossip, instant now,
                            const struct msg_member_claim *claim,
                            const struct claims_source *source)
{
    const struct member *self = gossip->members.self;
    if (!boot_equal(&claim->boot, &self->fact->boot)) {
        if (claims_is_usurper(gossip, &claim->boot)) usurped(gossip, &claim->boot);
        return;
    }
    if (self->state == MEMBER_LEFT) return;
    if (claim->state == MEMBER_LEFT) {
        usurped(gossip, &self->fact->boot);
        return;
    }
    /* Alive with more refutations than ours is nobody's word but a forger's: outdone like an
     * accusation. */
    bool is_above = claim->refutations > self->refutations;
    if (claim->state == MEMBER_DEAD && claim->refutations >= gossip->death_next) {
        gossip->death_next = claim->refutations + 1;
        gossip->counters.deaths_refuted++;
    }
    bool is_accused = claim->state != MEMBER_ALIVE;
    if (is_above || (is_accused && claim->refutations == self->refutations))
        refute(gossip, now, claim);
    if (is_accused) answer(gossip, source);
}

const char *claims_take(struct gossip *gossip, instant now, const struct msg_member_claim *claim,
                        const struct claims_source *source)
{
    bool is_own = source->sender != NULL && id_equal(source->sender, &claim->node);
    struct msg_member_claim checked = *claim;
    if (is_own && source->from != NULL && address_is_none(&claim->address))
        checked.address = *source->from;
    bool is_about_self = id_equal(&claim->node, &gossip->config.id);
    const char *reason = members_check(&checked);
    if (reason != NULL) {
        gossip->counters.claims_refused++;
        return reason;
    }
    if (is_about_self) {
        take_about_self(gossip, now, &checked, source);
        return NULL;
    }
    enum members_verdict verdict =
        members_apply(&gossip->members, now, &checked, is_own, gossip->prng);
    bool is_held = verdict == MEMBERS_WON || verdict == MEMBERS_EQUAL;
    if (is_held && source->is_testimony && claim->state == MEMBER_SUSPECT)
        suspects_testify(gossip, members_find(&gossip->members, &claim->node), source->sender);
    return NULL;
}

void claims_restarted(struct gossip *gossip, instant now, const struct member *member,
                      const struct boot *boot, const struct address *address)
{
    struct msg_member_claim claim = member_claim(member);
    claim.boot = *boot;
    claim.refutations = 0;
    claim.state = MEMBER_ALIVE;
    claim.cause = CAUSE_RESTARTED;
    claim.address = *address;
    (void)members_apply(&gossip->members, now, &claim, true, gossip->prng);
}
