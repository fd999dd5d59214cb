/* A probe (SWIM, section 3.1, with Lifeguard's nacks and local health):
 *
 *              ours                                         for another
 *
 *    ping -> target                                  ping -> target
 *       |                                               |
 *    DIRECT --ack--> ended                           RELAY --ack--> ack to the asker, ended
 *       |  timeout: ping_request to 3 others            |  timeout: nack to the asker
 *    INDIRECT --ack, a helper's too--> ended         NACKED --ack--> ack to the asker, ended
 *       |  end of the period                            |  end of a period
 *    ended: accuse                                   ended
 *
 * An answer counts only with our sequence and from the one we asked: the target by its id, or a
 * helper that we asked about it. Who else lives at the target's address is not the target.
 *
 * Timeouts: a multiple of the measured round trip, but a fifth of the period at least (a
 * scheduler's hiccup is no failure) and half of it at most (the other half is for the indirect
 * probes). All are stretched by our own health: who fails probes, misses nacks or is accused
 * himself has reason to doubt himself (Lifeguard: "Local Health Aware Probe").
 *
 * With evidence (a stream ended, a port refused) the direct and the indirect probes go out
 * together, the ping is repeated once, and it is over within half a period. If it fails, and we are
 * not the one who is cut off, the suspicion is as short as any gets. Not cut off: a helper said
 * nack or was heard meanwhile, or there is nobody to ask; a port that refused twice is the word of
 * the other machine's kernel, and needs no such proof. When the pings of two helpers are refused
 * twice as well, there is no suspicion at all: the member is dead.
 *
 * Beside the helpers the target is asked over a stream: datagrams may be lost for a while, or for
 * good behind a bad firewall; what streams say still arrives.
 *
 * A member that was heard in an authenticated datagram since the probe began lives, ack or no ack.
 * That does not hold with evidence: its last words may have been under way when it died. */
#include "gossip/probe.h"

#include "gossip/exchange.h"
#include "gossip/suspects.h"

#include <assert.h>

enum {
    HELPERS_MAX = 3,  /* SWIM's k: at 20 % loss, 3 of 4 packets each miss a living one in 1 of 5 */
    PROBES_MAX = 512, /* at once; a stranger with the key can make us relay, not without bound */
    REFUSERS = 2,     /* others who must find the port closed as well */
    REFUSED_APART = 200 * MILLISECOND, /* two refusals are so far apart: a restart takes less */
    RTT_FACTOR = 4, /* smoothed round trips to wait: SRTT + 4 RTTVAR (RFC 6298) if RTTVAR is 3/4 */
};

enum probe_state {
    PROBE_NONE = 0,
    PROBE_DIRECT,
    PROBE_INDIRECT,
    PROBE_RELAY,
    PROBE_NACKED,
    PROBE_ENDED,
    PROBE_STATES,
};

struct probe {
    enum probe_state state; /* moved by move() alone */
    enum cause evidence;
    uint64_t sequence;
    struct id target;
    instant sent;
    instant deadline; /* of the present state */
    instant end;
    bool is_repeated;       /* the ping was sent twice: an ack measures nothing (Karn) */
    bool is_graced;         /* we were late once, and waited for what may lie in the socket */
    struct address address; /* where the ping went */
    uint64_t log_digest, view_digest; /* as the ping said them */
    instant refused;                  /* when its port first refused; 0 = it did not */
    instant again;   /* when the ping is repeated to see whether it still does; 0 = no */
    bool is_refused; /* it did */
    uint32_t helpers_count, nacks_count, refusers_count;
    struct id helpers[HELPERS_MAX];
    struct id nackers[HELPERS_MAX];
    struct id refusers[HELPERS_MAX]; /* helpers whose pings were refused, too */
    /* for another */
    struct id asker;
    struct address asker_address;
    uint64_t asker_sequence;
};

/* A state may follow these. */
static void move(struct probe *probe, enum probe_state state)
{
    static const bool allowed[PROBE_STATES][PROBE_STATES] = {
        [PROBE_NONE] = {[PROBE_DIRECT] = true, [PROBE_RELAY] = true},
        [PROBE_DIRECT] = {[PROBE_INDIRECT] = true, [PROBE_ENDED] = true},
        [PROBE_INDIRECT] = {[PROBE_ENDED] = true},
        [PROBE_RELAY] = {[PROBE_NACKED] = true, [PROBE_ENDED] = true},
        [PROBE_NACKED] = {[PROBE_ENDED] = true},
    };
    assert(allowed[probe->state][state]);
    probe->state = state;
}

static bool is_ours(const struct probe *probe)
{
    return probe->state == PROBE_DIRECT || probe->state == PROBE_INDIRECT;
}

/* ---- the table ---- */

/* A new probe of this target with a sequence of its own; NULL when there is no room. */
static struct probe *add(struct gossip *gossip, instant now, const struct id *target)
{
    struct probe *probes = NULL;
    if (gossip->probes_count < PROBES_MAX)
        probes = memory_grow(gossip->memory, gossip->probes, &gossip->probes_capacity,
                             gossip->probes_count, sizeof *probes);
    if (probes == NULL) {
        gossip->counters.probes_dropped++;
        return NULL;
    }
    gossip->probes = probes;
    struct probe *probe = &probes[gossip->probes_count++];
    *probe = (struct probe){.target = *target, .sent = now, .sequence = ++gossip->sequence};
    return probe;
}

static struct probe *find_sequence(struct gossip *gossip, uint64_t sequence)
{
    for (size_t i = 0; i < gossip->probes_count; i++)
        if (gossip->probes[i].sequence == sequence) return &gossip->probes[i];
    return NULL;
}

static struct probe *find_ours(struct gossip *gossip, const struct id *target)
{
    for (size_t i = 0; i < gossip->probes_count; i++)
        if (is_ours(&gossip->probes[i]) && id_equal(&gossip->probes[i].target, target))
            return &gossip->probes[i];
    return NULL;
}

/* The last one takes its place. */
static void end(struct gossip *gossip, struct probe *probe)
{
    move(probe, PROBE_ENDED);
    *probe = gossip->probes[--gossip->probes_count];
}

void probe_drop_before(struct gossip *gossip, instant before)
{
    for (size_t i = gossip->probes_count; i > 0; i--)
        if (gossip->probes[i - 1].sent <= before) end(gossip, &gossip->probes[i - 1]);
}

void probe_deinit(struct gossip *gossip)
{
    memory_put(gossip->memory, gossip->probes, gossip->probes_capacity * sizeof *gossip->probes);
    gossip->probes = NULL;
    gossip->probes_count = gossip->probes_capacity = 0;
}

instant probe_deadline(const struct gossip *gossip)
{
    instant next = INSTANT_NEVER;
    for (size_t i = 0; i < gossip->probes_count; i++) {
        const struct probe *probe = &gossip->probes[i];
        next = instant_min(next, probe->deadline);
        if (probe->again != 0) next = instant_min(next, probe->again);
    }
    return next;
}

/* ---- sending ---- */

/* What a ping calls its target. */
static uint32_t short_id(const struct id *id)
{
    const uint8_t *at = id->bytes;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* address: NULL = over a stream. Who holds the same view as we do knows us already, and is spared
 * our claim; so is who has not yet said what it holds: its ack will. */
static void send_ping(struct gossip *gossip, const struct id *id, const struct address *address,
                      uint64_t sequence)
{
    struct msg_ping ping = {
        .sequence = sequence,
        .target = short_id(id),
        .log_digest = gossip->log_digest,
        .view_digest = gossip->members.view_digest,
    };
    const struct member *known = members_find(&gossip->members, id);
    bool is_same = known != NULL && known->state == MEMBER_ALIVE &&
                   (known->view_digest == 0 || known->view_digest == ping.view_digest);
    struct rumors_head head = {
        .schema = &wire_ping,
        .message = &ping,
        .to = id,
        .is_introduced = !is_same,
        .is_stream = address == NULL,
    };
    rumors_send(gossip, address, &head);
}

static void send_probe(struct gossip *gossip, struct probe *probe, const struct address *to)
{
    probe->address = *to;
    probe->log_digest = gossip->log_digest;
    probe->view_digest = gossip->members.view_digest;
    send_ping(gossip, &probe->target, to, probe->sequence);
}

void probe_ping(struct gossip *gossip, struct member *member)
{
    send_ping(gossip, &member->fact->id, &member->fact->address, ++gossip->sequence);
}

void probe_stream(struct gossip *gossip, const struct member *member, uint64_t sequence)
{
    send_ping(gossip, &member->fact->id, NULL, sequence);
}

/* How long we wait for an ack of this member (NULL = not known), at full health. */
static duration ack_timeout(const struct gossip *gossip, const struct member *member)
{
    duration most = gossip->config.period / 2;
    duration least = gossip->config.period / 5;
    duration rtt = member == NULL ? 0 : member->rtt;
    duration timeout = RTT_FACTOR * rtt;
    if (rtt == 0 || timeout > most) return most;
    return timeout < least ? least : timeout;
}

/* Asks up to three others, and the target itself over a stream, if they were not asked yet. */
static void ask_helpers(struct gossip *gossip, struct probe *probe, const struct member *target)
{
    if (probe->helpers_count > 0) return;
    struct member *helpers[HELPERS_MAX];
    size_t count =
        members_pick(&gossip->members, gossip->prng, &target->fact->id, true, helpers, HELPERS_MAX);
    if (count > 0) gossip->counters.probes_indirect++;
    for (size_t i = 0; i < count; i++) {
        probe->helpers[probe->helpers_count++] = helpers[i]->fact->id;
        struct msg_ping_request request = {probe->sequence, target->fact->id,
                                           target->fact->address};
        struct rumors_head head = {
            .schema = &wire_ping_request, .message = &request, .to = &helpers[i]->fact->id};
        rumors_send(gossip, &helpers[i]->fact->address, &head);
    }
    probe_stream(gossip, target, probe->sequence);
}

/* Evidence came: the probe, new or under way, is over within half a period. */
static void hurry(struct gossip *gossip, instant now, struct probe *probe,
                  const struct member *member, enum cause evidence)
{
    duration stretch = 1 + gossip->health;
    duration timeout = ack_timeout(gossip, member);
    duration most = gossip->config.period / 2;
    duration whole = 2 * timeout < most ? 2 * timeout : most;
    probe->evidence = evidence;
    probe->end = now + whole * stretch;
    if (probe->state == PROBE_DIRECT) probe->deadline = now + whole * stretch / 2;
    else probe->deadline = probe->end;
    ask_helpers(gossip, probe, member);
}

void probe_start(struct gossip *gossip, instant now, struct member *member, enum cause evidence)
{
    assert(member != gossip->members.self && member_is_living(member));
    struct probe *probe = find_ours(gossip, &member->fact->id);
    if (probe != NULL) {
        if (evidence == CAUSE_NONE || probe->evidence != CAUSE_NONE) return;
        probe->is_repeated = true;
        probe->sent = now;
    } else {
        probe = add(gossip, now, &member->fact->id);
        if (probe == NULL) return;
        move(probe, PROBE_DIRECT);
        gossip->counters.probes++;
    }
    duration stretch = 1 + gossip->health;
    if (evidence != CAUSE_NONE) {
        hurry(gossip, now, probe, member, evidence);
    } else {
        probe->deadline = now + ack_timeout(gossip, member) * stretch;
        probe->end = now + gossip->config.period * stretch;
    }
    send_probe(gossip, probe, &member->fact->address);
}

/* ---- receiving ---- */

/* To this address; NULL: over the stream. */
static void answer(struct gossip *gossip, const struct id *to, const struct address *address,
                   const struct wire_schema *schema, const void *message)
{
    struct rumors_head head = {
        .schema = schema, .message = message, .to = to, .is_stream = address == NULL};
    rumors_send(gossip, address, &head);
}

static void send_ack(struct gossip *gossip, const struct id *to, const struct address *address,
                     uint64_t sequence)
{
    struct msg_ack ack = {sequence, gossip->log_digest, gossip->members.view_digest};
    answer(gossip, to, address, &wire_ack, &ack);
}

static void note_digests(struct gossip *gossip, instant now, struct member *member,
                         uint64_t log_digest, uint64_t view_digest)
{
    if (member == NULL) return;
    member->log_digest = log_digest;
    member->view_digest = view_digest;
    exchange_compare(gossip, now, member);
}

void probe_on_ping(struct gossip *gossip, const struct probe_mail *mail,
                   const struct msg_ping *ping)
{
    note_digests(gossip, mail->now, mail->member, ping->log_digest, ping->view_digest);
    if (ping->target != short_id(&gossip->config.id)) return; /* for who had our address */
    bool is_same =
        ping->log_digest == gossip->log_digest && ping->view_digest == gossip->members.view_digest;
    struct msg_ack_same same = {ping->sequence};
    if (is_same) answer(gossip, mail->sender, mail->from, &wire_ack_same, &same);
    else send_ack(gossip, mail->sender, mail->from, ping->sequence);
}

static void measure(struct member *member, duration sample)
{
    if (sample < 1) sample = 1;
    duration rtt = member->rtt == 0 ? sample : (7 * member->rtt + sample) / 8; /* RFC 6298's gain */
    member->rtt = rtt < UINT32_MAX ? (uint32_t)rtt : UINT32_MAX;
}

static bool is_among(const struct id *ids, uint32_t count, const struct id *id)
{
    for (uint32_t i = 0; i < count; i++)
        if (id_equal(&ids[i], id)) return true;
    return false;
}

/* How much is lost on the way, there and back: a mean over some 8 questions. Whoever is asked and
 * known to live by other means, but was not heard, counts as one lost. */
static void note_loss(struct gossip *gossip, bool is_lost)
{
    gossip->loss = (7 * gossip->loss + (is_lost ? 1000 : 0)) / 8;
}

static void take_answer(struct gossip *gossip, const struct probe_mail *mail, struct probe *probe)
{
    bool is_target = id_equal(&probe->target, mail->sender);
    if (is_ours(probe)) {
        if (!is_target && !is_among(probe->helpers, probe->helpers_count, mail->sender)) return;
        bool is_direct = is_target && mail->from != NULL;
        if (is_direct && mail->member != NULL && !probe->is_repeated)
            measure(mail->member, mail->now - probe->sent);
        note_loss(gossip, !is_direct);
        if (mail->from == NULL) gossip->stream_answers++;
        if (gossip->health > 0) gossip->health--;
    } else {
        if (!is_target) return;
        send_ack(gossip, &probe->asker, &probe->asker_address, probe->asker_sequence);
    }
    end(gossip, probe);
}

void probe_on_ack(struct gossip *gossip, const struct probe_mail *mail, const struct msg_ack *ack)
{
    note_digests(gossip, mail->now, mail->member, ack->log_digest, ack->view_digest);
    struct probe *probe = find_sequence(gossip, ack->sequence);
    if (probe != NULL) take_answer(gossip, mail, probe);
}

void probe_on_ack_same(struct gossip *gossip, const struct probe_mail *mail,
                       const struct msg_ack_same *ack)
{
    struct probe *probe = find_sequence(gossip, ack->sequence);
    if (probe == NULL) return;
    if (id_equal(&probe->target, mail->sender))
        note_digests(gossip, mail->now, mail->member, probe->log_digest, probe->view_digest);
    take_answer(gossip, mail, probe);
}

void probe_void(struct gossip *gossip, const struct member *member)
{
    struct probe *probe = find_ours(gossip, &member->fact->id);
    if (probe != NULL) end(gossip, probe);
}

void probe_answered(struct gossip *gossip, struct member *member)
{
    struct probe *probe = find_ours(gossip, &member->fact->id);
    if (probe == NULL) return;
    note_loss(gossip, true);
    end(gossip, probe);
}

void probe_on_request(struct gossip *gossip, const struct probe_mail *mail,
                      const struct msg_ping_request *request)
{
    if (id_equal(&request->target, &gossip->config.id)) { /* no need to ask further */
        send_ack(gossip, mail->sender, mail->from, request->sequence);
        return;
    }
    if (mail->from == NULL) return; /* helpers are asked in datagrams, and answer there */
    const struct member *known = members_find(&gossip->members, &request->target);
    struct probe *probe = add(gossip, mail->now, &request->target);
    if (probe == NULL) return;
    move(probe, PROBE_RELAY);
    probe->asker = *mail->sender;
    probe->asker_address = *mail->from;
    probe->asker_sequence = request->sequence;
    /* The nack must reach the asker before its probe ends: four fifths of a timeout (Lifeguard),
     * and soon enough for one with evidence. */
    duration patience = ack_timeout(gossip, known) * 4 / 5;
    duration most = gossip->config.period / 4;
    probe->deadline = mail->now + (patience < most ? patience : most);
    probe->end = mail->now + gossip->config.period;
    send_probe(gossip, probe, &request->address);
}

void probe_on_nack(struct gossip *gossip, const struct probe_mail *mail,
                   const struct msg_nack *nack)
{
    struct probe *probe = find_sequence(gossip, nack->sequence);
    if (probe == NULL || !is_ours(probe)) return;
    if (!is_among(probe->helpers, probe->helpers_count, mail->sender)) return;
    if (is_among(probe->nackers, probe->nacks_count, mail->sender)) return;
    probe->nackers[probe->nacks_count++] = *mail->sender;
    /* All we asked are there, and none hears the target: there is little left to wait for. */
    if (probe->state != PROBE_INDIRECT || probe->nacks_count < HELPERS_MAX) return;
    instant enough = probe->sent + gossip->config.period * 3 / 5 * (1 + gossip->health);
    probe->deadline = instant_min(probe->deadline, enough > mail->now ? enough : mail->now);
}

/* ---- refused ports ---- */

/* Our pings were refused twice, and those of two others (all others, when they are fewer): nobody
 * listens there any more. */
static void judge(struct gossip *gossip, instant now, struct probe *probe)
{
    size_t living_count = members_living_count(&gossip->members);
    size_t others = living_count > 2 ? living_count - 2 : 0;
    size_t needed = others < REFUSERS ? others : REFUSERS;
    if (!probe->is_refused || probe->refusers_count < needed) return;
    struct member *member = members_find(&gossip->members, &probe->target);
    end(gossip, probe);
    if (member == NULL || !member_is_living(member)) return;
    gossip->counters.probes_failed++;
    suspects_condemn(gossip, now, member, CAUSE_REFUSED);
}

static void take_refusal(struct gossip *gossip, instant now, struct probe *probe)
{
    struct member *member = members_find(&gossip->members, &probe->target);
    if (probe->refused == 0) {
        probe->refused = now;
        probe->again = now + REFUSED_APART;
        if (!is_ours(probe)) return;
        if (member != NULL && probe->evidence == CAUSE_NONE)
            hurry(gossip, now, probe, member, CAUSE_REFUSED);
        instant least = now + 2 * REFUSED_APART;
        if (probe->deadline < least) probe->deadline = least;
        if (probe->end < least) probe->end = least;
        return;
    }
    if (probe->is_refused || now - probe->refused < REFUSED_APART) return;
    probe->is_refused = true;
    struct msg_refusal refusal = {probe->asker_sequence};
    if (is_ours(probe)) judge(gossip, now, probe);
    else answer(gossip, &probe->asker, &probe->asker_address, &wire_refusal, &refusal);
}

void probe_refused(struct gossip *gossip, instant now, const struct address *address)
{
    /* Backwards: an ended one's place is taken by the last. */
    for (size_t i = gossip->probes_count; i > 0; i--) {
        if (i > gossip->probes_count) continue;
        struct probe *probe = &gossip->probes[i - 1];
        if (!address_equal(&probe->address, address)) continue;
        gossip->counters.refusals++;
        take_refusal(gossip, now, probe);
    }
}

void probe_on_refusal(struct gossip *gossip, const struct probe_mail *mail,
                      const struct msg_refusal *refusal)
{
    struct probe *probe = find_sequence(gossip, refusal->sequence);
    if (probe == NULL || !is_ours(probe)) return;
    if (!is_among(probe->helpers, probe->helpers_count, mail->sender)) return;
    if (is_among(probe->refusers, probe->refusers_count, mail->sender)) return;
    probe->refusers[probe->refusers_count++] = *mail->sender;
    judge(gossip, mail->now, probe);
}

static void ping_again(struct gossip *gossip, struct probe *probe)
{
    const struct address to = probe->address;
    probe->again = 0;
    probe->is_repeated = true;
    send_probe(gossip, probe, &to);
}

/* ---- time ---- */

/* Somebody else than the target was heard since the probe began, or there is nobody else in the
 * flock. */
static bool is_connected(const struct gossip *gossip, const struct probe *probe)
{
    if (members_living_count(&gossip->members) <= 2 || probe->nacks_count > 0) return true;
    if (probe->refusers_count > 0) return true;
    for (uint32_t i = 0; i < probe->helpers_count; i++) {
        const struct member *helper = members_find(&gossip->members, &probe->helpers[i]);
        if (helper != NULL && helper->heard > probe->sent) return true;
    }
    return false;
}

/* Lifeguard: a probe that failed although the helpers answered speaks against the target, each
 * missing nack against ourselves. */
static void doubt(struct gossip *gossip, const struct probe *probe)
{
    uint32_t more = probe->helpers_count > 0 ? probe->helpers_count - probe->nacks_count : 1;
    for (uint32_t i = 0; i < probe->helpers_count; i++)
        note_loss(gossip, !is_among(probe->nackers, probe->nacks_count, &probe->helpers[i]));
    gossip->health += more;
    if (gossip->health > GOSSIP_HEALTH_MAX) gossip->health = GOSSIP_HEALTH_MAX;
}

static void fail(struct gossip *gossip, instant now, struct probe *probe)
{
    const struct probe failed = *probe;
    end(gossip, probe);
    struct member *member = members_find(&gossip->members, &failed.target);
    if (member == NULL || !member_is_living(member)) return;
    if (failed.evidence == CAUSE_NONE && member->heard > failed.sent) return;
    gossip->counters.probes_failed++;
    doubt(gossip, &failed);
    enum cause cause = failed.evidence != CAUSE_NONE ? failed.evidence : CAUSE_PROBE_FAILED;
    suspects_accuse(gossip, now, member, cause);
    if (failed.evidence == CAUSE_NONE || member->state != MEMBER_SUSPECT) return;
    if (failed.is_refused || is_connected(gossip, &failed))
        suspects_hasten(gossip, member, now + suspects_patience(gossip) * 4);
}

/* We look at the clock late, for the machine was busy: the answer may have come in time and wait to
 * be read. */
static bool grant_grace(const struct gossip *gossip, instant now, struct probe *probe)
{
    if (probe->is_graced || now - probe->deadline < gossip->config.period / 5) return false;
    probe->is_graced = true;
    duration more = now - probe->deadline + gossip->config.period / 10;
    probe->deadline += more;
    probe->end += more;
    return true;
}

/* The present state's time is over. False when the probe ended. */
static bool expire(struct gossip *gossip, instant now, struct probe *probe)
{
    if (grant_grace(gossip, now, probe)) return true;
    struct member *member = members_find(&gossip->members, &probe->target);
    switch (probe->state) {
    case PROBE_DIRECT:
        if (member == NULL || !member_is_living(member)) break;
        move(probe, PROBE_INDIRECT);
        probe->deadline = probe->end;
        ask_helpers(gossip, probe, member);
        if (probe->evidence == CAUSE_NONE) return true;
        probe->is_repeated = true;
        send_probe(gossip, probe, &member->fact->address);
        return true;
    case PROBE_INDIRECT: fail(gossip, now, probe); return false;
    case PROBE_RELAY: {
        move(probe, PROBE_NACKED);
        probe->deadline = probe->end;
        struct msg_nack nack = {probe->asker_sequence};
        answer(gossip, &probe->asker, &probe->asker_address, &wire_nack, &nack);
        return true;
    }
    case PROBE_NACKED:
    case PROBE_NONE:
    case PROBE_ENDED:
    case PROBE_STATES: break;
    }
    end(gossip, probe);
    return false;
}

void probe_tick(struct gossip *gossip, instant now)
{
    for (size_t i = 0; i < gossip->probes_count;) {
        struct probe *probe = &gossip->probes[i];
        if (probe->again != 0 && now >= probe->again) ping_again(gossip, probe);
        bool is_kept = true; /* two states may have ended by now */
        while (is_kept && now >= probe->deadline) is_kept = expire(gossip, now, probe);
        if (is_kept) i++;
    }
}
