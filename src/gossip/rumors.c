/* What to tell, and whom (SWIM, section 4.1; Lifeguard's "Buddy System").
 *
 *   queues[0]  never told        newest -> ... -> oldest
 *   queues[1]  told once            ...
 *   queues[k]  told k times         ...            k < lambda * log2(n): then it is no news
 *
 * Each datagram takes from the front, so the freshest news travels first however much there is, and
 * the work is that of the claims taken. A member has one rumour, its newest claim: what an older
 * one said is outranked anyhow.
 *
 * Every ping, ack and so on carries what fits behind it. When there is news, a few members at
 * random get it at once, five times a period, or one datagram a probe would be all: epidemic spread
 * by a fan-out of 3 reaches n members in log4(n) rounds. In a calm flock there is no news and no
 * such datagram.
 *
 * A datagram:
 *
 *   +------------------+---------------------------+------------------+
 *   | ping, ack, ...   | rumors: our testimony     | rumors: hearsay  |
 *   | (or nothing)     | (only with hearsay after) | (may be empty)   |
 *   +------------------+---------------------------+------------------+
 *
 * Testimony is what we accuse first hand, from a probe of our own that failed. The receiver counts
 * witnesses by it (suspicion.c); hearsay counts for nothing but the claim. So of two rumors
 * messages the first is testimony. */
#include "gossip/rumors.h"

#include "gossip/gossip.h"
#include "membership/suspicion.h"
#include "wire/frame.h"

#include <assert.h>

/* ---- queues ---- */

static void unlink_rumor(struct rumors *rumors, struct member *member)
{
    struct rumor_queue *queue = &rumors->queues[member->rumor_sends];
    if (member->rumor_previous != NULL) member->rumor_previous->rumor_next = member->rumor_next;
    else queue->first = member->rumor_next;
    if (member->rumor_next != NULL) member->rumor_next->rumor_previous = member->rumor_previous;
    else queue->last = member->rumor_previous;
    member->rumor_next = member->rumor_previous = NULL;
}

static void push_front(struct rumor_queue *queue, struct member *member)
{
    member->rumor_previous = NULL;
    member->rumor_next = queue->first;
    if (queue->first != NULL) queue->first->rumor_previous = member;
    else queue->last = member;
    queue->first = member;
}

static void push_back(struct rumor_queue *queue, struct member *member)
{
    member->rumor_next = NULL;
    member->rumor_previous = queue->last;
    if (queue->last != NULL) queue->last->rumor_next = member;
    else queue->first = member;
    queue->last = member;
}

void rumors_drop(struct rumors *rumors, struct member *member)
{
    if (!member->is_rumor) return;
    assert(rumors->count > 0);
    unlink_rumor(rumors, member);
    member->is_rumor = false;
    rumors->count--;
}

void rumors_add(struct rumors *rumors, struct member *member)
{
    rumors_drop(rumors, member);
    member->rumor_sends = 0;
    member->is_rumor = true;
    push_front(&rumors->queues[0], member);
    rumors->count++;
}

/* It was told once more. */
static void told(struct rumors *rumors, struct member *member, uint32_t limit)
{
    uint32_t sends = member->rumor_sends + 1;
    if (sends >= limit) {
        rumors_drop(rumors, member);
        return;
    }
    unlink_rumor(rumors, member);
    member->rumor_sends = (uint8_t)sends;
    push_back(&rumors->queues[sends], member);
}

uint32_t rumors_limit(size_t known_count)
{
    if (known_count <= RUMOR_SIZE_MIN) return RUMOR_LAMBDA * RUMOR_SIZE_LOG2; /* as most flocks */
    uint32_t limit = (RUMOR_LAMBDA * suspicion_log2_milli(known_count) + 999) / 1000;
    return limit < RUMOR_QUEUES ? limit : RUMOR_QUEUES - 1;
}

/* ---- a datagram ---- */

enum {
    /* Claims of one rumors message: a datagram holds no more, a claim has 40 bytes at least. */
    CLAIMS_MAX = 32,
    LOAD_MAX = 2 * CLAIMS_MAX,
    CLAIM_SIZE_MAX = 128, /* an encoded one: 16 + 18 + 5 + 2 + 19 + 3 + 65 */
    /* Type and count of a rumors message, each one byte: both messages are always accounted for. */
    RUMORS_HEADS_SIZE = 4,
};

/* Claims on their way into a datagram. */
struct load {
    struct msg_member_claim testimony[CLAIMS_MAX];
    struct msg_member_claim hearsay[CLAIMS_MAX];
    uint32_t testimony_count, hearsay_count;
    struct member *told[LOAD_MAX];
    size_t told_count;
    size_t room; /* bytes */
};

static size_t size_of(const struct msg_member_claim *claims, size_t count)
{
    struct writer measure = writer_of(NULL, 0);
    for (size_t i = 0; i < count; i++) (void)wire_encode(&wire_member_claim, &claims[i], &measure);
    return measure.written;
}

/* One more claim fits. It is measured only when it may be that it does not. */
static bool is_room(const struct load *load, const struct msg_member_claim *claim)
{
    size_t count = load->testimony_count + load->hearsay_count + 1;
    if (count * CLAIM_SIZE_MAX <= load->room) return true;
    return size_of(load->testimony, load->testimony_count) +
               size_of(load->hearsay, load->hearsay_count) + size_of(claim, 1) <=
           load->room;
}

/* False when it does not fit. */
static bool load_member(struct load *load, const struct gossip *gossip, struct member *member)
{
    bool is_testimony = member->state == MEMBER_SUSPECT &&
                        suspicion_is_witness(member->suspicion, &gossip->config.id);
    uint32_t *count = is_testimony ? &load->testimony_count : &load->hearsay_count;
    if (*count == CLAIMS_MAX || load->told_count == LOAD_MAX) return false;
    struct msg_member_claim claim = member_claim(member);
    if (!is_room(load, &claim)) return false;
    (is_testimony ? load->testimony : load->hearsay)[(*count)++] = claim;
    load->told[load->told_count++] = member;
    return true;
}

static void load_news(struct load *load, struct gossip *gossip, const struct member *receiver,
                      bool is_introduced, uint32_t limit)
{
    for (uint32_t sends = 0; sends < limit; sends++) {
        struct member *member = gossip->rumors.queues[sends].first;
        for (; member != NULL; member = member->rumor_next) {
            bool is_loaded = member == receiver && member->state != MEMBER_ALIVE;
            if (is_loaded || (is_introduced && member == gossip->members.self)) continue;
            if (load->told_count == LOAD_MAX) return;
            /* Nobody needs to hear that it lives itself: as good as told. */
            if (member == receiver) load->told[load->told_count++] = member;
            else if (!load_member(load, gossip, member)) return;
        }
    }
}

static void pack_load(struct load *load, struct writer *writer)
{
    struct msg_rumors testimony = {.claims = {load->testimony, load->testimony_count}};
    struct msg_rumors hearsay = {.claims = {load->hearsay, load->hearsay_count}};
    bool fits = true;
    if (testimony.claims.count > 0) fits = wire_pack(&wire_rumors, &testimony, writer);
    if (testimony.claims.count > 0 || hearsay.claims.count > 0)
        fits = wire_pack(&wire_rumors, &hearsay, writer) && fits;
    assert(fits);
}

void rumors_send(struct gossip *gossip, const struct address *address,
                 const struct rumors_head *head)
{
    const struct gossip_ports *ports = &gossip->config.ports;
    if (head->is_stream ? ports->stream == NULL : address_is_none(address) || address->port == 0)
        return;
    uint8_t bytes[FRAME_PAYLOAD_MAX];
    struct writer writer = writer_of(bytes, sizeof bytes);
    if (head->schema != NULL) {
        bool fits = wire_pack(head->schema, head->message, &writer);
        assert(fits);
    }
    assert(writer.left > RUMORS_HEADS_SIZE);
    struct load load;
    load.testimony_count = load.hearsay_count = 0;
    load.told_count = 0;
    load.room = writer.left - RUMORS_HEADS_SIZE;
    struct member *receiver = head->to == NULL ? NULL : members_find(&gossip->members, head->to);
    if (receiver != NULL && receiver->state != MEMBER_ALIVE)
        (void)load_member(&load, gossip, receiver);
    if (head->is_introduced) (void)load_member(&load, gossip, gossip->members.self);
    /* Mostly there is no news, and the limit, a logarithm, is not asked for. */
    bool has_news = gossip->rumors.count > 0;
    uint32_t limit = has_news ? rumors_limit(gossip->members.by_id.count) : 0;
    load_news(&load, gossip, receiver, head->is_introduced, limit);
    pack_load(&load, &writer);
    for (size_t i = 0; i < load.told_count; i++)
        if (load.told[i]->is_rumor) told(&gossip->rumors, load.told[i], limit);
    gossip->counters.rumors_sent += load.testimony_count + load.hearsay_count;
    if (writer.written == 0) return;
    struct slice payload = slice_of(bytes, writer.written);
    if (head->is_stream) ports->stream(ports->context, head->to, payload);
    else ports->send(ports->context, address, payload);
}

/* ---- spread ---- */

/* What is beyond the bound, because the flock became smaller since, is no news any more. */
static void drop_beyond(struct rumors *rumors, uint32_t limit)
{
    for (uint32_t sends = limit; sends < RUMOR_QUEUES; sends++)
        while (rumors->queues[sends].first != NULL)
            rumors_drop(rumors, rumors->queues[sends].first);
}

void rumors_spread(struct gossip *gossip, instant now, size_t count)
{
    enum {
        PICKED_MAX = 16
    };
    assert(count <= PICKED_MAX);
    struct member *picked[PICKED_MAX];
    size_t picked_count = members_pick(&gossip->members, gossip->prng, NULL, false, picked, count);
    for (size_t i = 0; i < picked_count; i++) {
        struct rumors_head head = {.to = &picked[i]->fact->id};
        rumors_send(gossip, &picked[i]->fact->address, &head);
    }
    gossip->rumors.spread_next = now + gossip->config.period / RUMOR_SPREADS;
}

void rumors_hasten(struct gossip *gossip, instant now)
{
    instant soon = now + gossip->config.period / RUMOR_HASTE;
    gossip->rumors.spread_next = instant_min(gossip->rumors.spread_next, soon);
}

instant rumors_deadline(const struct gossip *gossip)
{
    if (gossip->rumors.count == 0) return INSTANT_NEVER; /* as mostly */
    size_t living_count = members_living_count(&gossip->members);
    bool is_alone = living_count == (member_is_living(gossip->members.self) ? 1 : 0);
    return is_alone ? INSTANT_NEVER : gossip->rumors.spread_next;
}

void rumors_tick(struct gossip *gossip, instant now)
{
    if (now < rumors_deadline(gossip)) return;
    drop_beyond(&gossip->rumors, rumors_limit(gossip->members.by_id.count));
    rumors_spread(gossip, now, RUMOR_FANOUT);
}
