/* The protocol period (SWIM, section 3 and 4.3), and the life of a node in it.
 *
 * Each period one member is probed, in the order of a list that is shuffled again at each end: so
 * between two probes of a member lie at most 2n - 1 periods, not only n on average. A node's load
 * is a constant in n.
 *
 *   tick -+- we slept            : probes are void, suspects get as much longer
 *         +- probes              : time-outs, indirect probes, accusations        (probe.c)
 *         +- suspects            : verdicts                                       (suspects.c)
 *         +- the period's turn   : the next probe; reminders; a ping to one of the dead; reaping
 *         `- news                : to a few at random, when there is any          (rumors.c)
 *
 * The dead are pinged, too, one every few periods: the ping says "you are held dead", so whoever
 * lives behind a partition that has healed refutes, and both sides find together with nobody's
 * help. For each that comes back another is pinged at once: more may wait behind the same
 * partition, and so all are back within a period.
 *
 * A node that was stopped (SIGSTOP, a virtual machine paused) wakes with all its time-outs in the
 * past, and would accuse everyone. It knows by its own tick coming late, and takes its sleep off
 * everybody's time. */
#include "gossip/gossip.h"

#include "gossip/claims.h"
#include "gossip/exchange.h"
#include "gossip/probe.h"
#include "gossip/suspects.h"

#include <assert.h>
#include <string.h>

enum {
    HEAL_PERIODS = 4,     /* between pings to the dead: a partition heals within some periods, for a
                             quarter of a datagram a period */
    REAP_PERIODS = 60,    /* between searches for who is to be forgotten */
    BLOCKED_PERIODS = 10, /* without a datagram, though members answer by stream, */
    BLOCKED_ANSWERS = 5,  /* so many */
    GOODBYE_FANOUT = 8,   /* told of our leaving directly; the rumour does the rest */
};

enum error gossip_init(struct gossip *gossip, const struct gossip_config *config, struct prng *prng,
                       struct memory *memory, instant now)
{
    assert(config->period >= RUMOR_HASTE && !id_is_zero(&config->id));
    assert(config->name != NULL && config->name[0] != '\0');
    *gossip = (struct gossip){.config = *config, .prng = prng, .memory = memory, .now = now};
    gossip->suspects_next = gossip->heal_soon = INSTANT_NEVER;
    gossip->heal_next = gossip->reap_next = gossip->datagram_heard = now;
    /* Nodes that are started together shall not tick together. */
    gossip->period_deadline = now + 1 + (instant)prng_below(prng, (uint64_t)config->period);
    members_init(&gossip->members, memory, config->facts);
    struct slice name = slice_string(config->name);
    if (name.count >= MEMBER_NAME_SIZE) name.count = MEMBER_NAME_SIZE - 1;
    struct msg_member_claim claim = {
        .node = config->id,
        .boot = config->boot,
        .state = MEMBER_ALIVE,
        .cause = CAUSE_JOINED,
        .address = config->address,
        .slots = config->slots,
        .name = name,
    };
    if (members_apply(&gossip->members, now, &claim, true, prng) != MEMBERS_WON) {
        gossip_deinit(gossip);
        return ERROR_MEMORY;
    }
    gossip->config.name = NULL; /* it was the caller's */
    rumors_add(&gossip->rumors, gossip->members.self);
    claims_listen(gossip);
    exchange_init(gossip);
    return ERROR_NONE;
}

void gossip_deinit(struct gossip *gossip)
{
    probe_deinit(gossip);
    rpc_deinit(&gossip->rpc);
    members_deinit(&gossip->members);
    gossip->rumors = (struct rumors){.count = 0};
    gossip->suspects = NULL;
}

enum error gossip_seed(struct gossip *gossip, instant now, const struct fact *const *facts,
                       size_t count)
{
    rumors_drop(&gossip->rumors, gossip->members.self);
    return members_seed(&gossip->members, now, facts, count, gossip->prng);
}

struct msg_member_claim gossip_self_claim(const struct gossip *gossip)
{
    return member_claim(gossip->members.self);
}

/* ---- the period ---- */

/* Whose turn it is; NULL when nobody else lives. */
static struct member *next_in_turn(struct gossip *gossip)
{
    struct members *members = &gossip->members;
    /* Newcomers and the forgotten shift the list: two rounds surely meet everyone. */
    for (size_t tries = 2 * members->order_count; tries > 0; tries--) {
        if (gossip->order_next >= members->order_count) {
            members_shuffle(members, gossip->prng);
            gossip->order_next = 0;
        }
        struct member *member = members->order[gossip->order_next++];
        if (member_is_living(member)) return member;
    }
    return NULL;
}

/* One of the dead at random. Left ones stay in peace. */
static void heal(struct gossip *gossip, instant now)
{
    gossip->heal_soon = INSTANT_NEVER;
    gossip->heal_next = now + HEAL_PERIODS * gossip->config.period;
    struct member *dead = members_pick_dead(&gossip->members, gossip->prng);
    if (dead != NULL) probe_ping(gossip, dead);
}

/* Forgets who has been gone for a day. */
static void reap(struct gossip *gossip, instant now)
{
    if (now < gossip->reap_next) return;
    gossip->reap_next = now + REAP_PERIODS * gossip->config.period;
    struct members *members = &gossip->members;
    for (size_t i = members->gone_count; i > 0; i--) {
        struct member *member = members->gone[i - 1];
        if (now - member->since < (instant)GOSSIP_REMEMBERED_S * SECOND) continue;
        rumors_drop(&gossip->rumors, member);
        members_remove(members, member);
    }
}

/* We were away for longer than a period: what we did not hear says nothing. */
static void wake(struct gossip *gossip, instant now)
{
    duration slept = now - gossip->period_deadline;
    if (slept <= gossip->config.period) return;
    gossip->counters.oversleeps++;
    trace_line(&gossip->config.trace, TRACE_WARN, "event=overslept ms=%lld",
               (long long)(slept / MILLISECOND));
    probe_drop_before(gossip, gossip->period_deadline);
    suspects_delay(gossip, gossip->period_deadline, slept);
}

/* Firewalls that forget UDP are common: flocks live with it, slowly, and somebody should know. */
static void tell_blocked(struct gossip *gossip, instant now)
{
    bool is_long = now - gossip->datagram_heard >= BLOCKED_PERIODS * gossip->config.period;
    if (gossip->is_blocked_told || !is_long || gossip->stream_answers < BLOCKED_ANSWERS) return;
    gossip->is_blocked_told = true;
    trace_line(&gossip->config.trace, TRACE_WARN,
               "event=udp-blocked port=%u text=\"members answer over TCP, but no datagram comes"
               " through: let UDP pass on the same port, both ways\"",
               gossip->config.address.port);
}

static void begin_period(struct gossip *gossip, instant now)
{
    if (now < gossip->period_deadline) return;
    /* Lifeguard's local health: who doubts himself probes less often. */
    gossip->period_deadline = now + gossip->config.period * (1 + gossip->health);
    gossip->replies_count = 0;
    struct member *member = next_in_turn(gossip);
    if (member != NULL) probe_start(gossip, now, member, CAUSE_NONE);
    suspects_remind(gossip);
    tell_blocked(gossip, now);
    if (now >= gossip->heal_next) heal(gossip, now);
    reap(gossip, now);
}

void gossip_tick(struct gossip *gossip, instant now)
{
    assert(now >= gossip->now);
    gossip->now = now;
    if (gossip->is_leaving) {
        if (now >= gossip->goodbye_deadline) gossip->goodbye_deadline = INSTANT_NEVER;
        rumors_tick(gossip, now);
        return;
    }
    wake(gossip, now);
    probe_tick(gossip, now);
    suspects_tick(gossip, now);
    begin_period(gossip, now);
    if (now >= gossip->heal_soon) heal(gossip, now);
    rpc_tick(&gossip->rpc, now);
    rumors_tick(gossip, now);
}

instant gossip_deadline(const struct gossip *gossip)
{
    instant next = rumors_deadline(gossip);
    if (gossip->is_leaving) return instant_min(next, gossip->goodbye_deadline);
    next = instant_min(next, gossip->period_deadline);
    next = instant_min(next, probe_deadline(gossip));
    next = instant_min(next, rpc_deadline(&gossip->rpc));
    next = instant_min(next, gossip->heal_soon);
    return instant_min(next, gossip->suspects_next);
}

/* ---- what the node knows ---- */

void gossip_alive(struct gossip *gossip, instant now, const struct id *id, const struct boot *boot)
{
    gossip->now = now;
    struct member *member = members_find(&gossip->members, id);
    if (member == NULL || member == gossip->members.self || gossip->is_leaving) return;
    if (!boot_equal(&member->fact->boot, boot)) return; /* the stream is of another life */
    member->heard = now;
    probe_answered(gossip, member);
    bool is_accused = member->state == MEMBER_SUSPECT || member->state == MEMBER_DEAD;
    if (is_accused) probe_stream(gossip, member, ++gossip->sequence);
}

void gossip_refused(struct gossip *gossip, instant now, const struct address *address)
{
    gossip->now = now;
    if (!gossip->is_leaving) probe_refused(gossip, now, address);
}

void gossip_evidence(struct gossip *gossip, instant now, const struct id *id, enum cause cause)
{
    assert(cause != CAUSE_NONE);
    gossip->now = now;
    struct member *member = members_find(&gossip->members, id);
    if (member == NULL || member == gossip->members.self || gossip->is_leaving) return;
    if (member_is_living(member)) probe_start(gossip, now, member, cause);
}

void gossip_reboot(struct gossip *gossip, instant now, const struct boot *boot)
{
    assert(boot_compare(boot, &gossip->config.boot) > 0);
    gossip->now = now;
    gossip->config.boot = *boot;
    struct msg_member_claim claim = gossip_self_claim(gossip);
    claim.boot = *boot;
    claim.refutations = 0;
    if (!gossip->is_leaving) {
        claim.state = MEMBER_ALIVE;
        claim.cause = CAUSE_RESTARTED;
    }
    bool is_held = claims_own(gossip, now, &claim);
    assert(is_held);
}

void gossip_forget(struct gossip *gossip, instant now, const struct id *id)
{
    gossip->now = now;
    const struct member *member = members_find(&gossip->members, id);
    assert(member != NULL && !member_is_living(member));
    struct msg_member_claim claim = member_claim(member);
    claim.state = MEMBER_LEFT;
    claim.cause = CAUSE_FORGOTTEN;
    (void)members_apply(&gossip->members, now, &claim, false, gossip->prng);
}

void gossip_slots(struct gossip *gossip, instant now, uint16_t slots)
{
    gossip->now = now;
    gossip->config.slots = slots;
    struct msg_member_claim claim = gossip_self_claim(gossip);
    if (claim.refutations >= MEMBER_REFUTATIONS_MAX) return; /* the next boot begins at 0 */
    claim.slots = slots;
    claim.refutations++;                   /* it outranks what we said before */
    (void)claims_own(gossip, now, &claim); /* untold: others think that it has those it had */
}

void gossip_leave(struct gossip *gossip, instant now)
{
    if (gossip->is_leaving) return;
    gossip->now = now;
    gossip->is_leaving = true;
    probe_drop_before(gossip, INSTANT_NEVER);
    gossip->period_deadline = gossip->goodbye_deadline = now + gossip->config.period;
    struct msg_member_claim claim = gossip_self_claim(gossip);
    claim.state = MEMBER_LEFT;
    claim.cause = CAUSE_SAID_GOODBYE;
    gossip->is_leaving = claims_own(gossip, now, &claim);
    if (!gossip->is_leaving) return;
    rumors_spread(gossip, now, GOODBYE_FANOUT);
}
