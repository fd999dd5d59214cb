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
 * who has not yet.
 *
 * The exception. What repairs single misses is the small pull, by datagrams: each ping and ack says
 * what the sender's view is in 8 bytes, the sum of a hash of each living (id, boot). Equal sums,
 * equal views. When none of those heard from within two periods agrees with us, and we have no news
 * that explains it, one of them is asked, at most one a period:
 *
 *   asker                                                            asked
 *     view_ask: the sums of 2^bits parts of the members, 4 bytes each  -->
 *               <--  rumors: its claims about the members of those parts whose sums differ
 *                                        (it may be the one who lacks something, and asks back)
 */
#include "gossip/exchange.h"

#include "gossip/claims.h"

#include <assert.h>

enum {
    PULL_PARTS_MAX = 256,  /* view_ask holds no more */
    PULL_PART_MEMBERS = 4, /* on average: one miss is answered by some 200 bytes */
    PULL_CLAIMS_MAX = 24,  /* of 50 bytes; what does not fit comes with the next pull */
    PULL_AFTER = 2,        /* periods that views may differ: what is under way has come by then */
};
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

/* ---- the small pull ---- */

/* Which of 2^bits parts the member belongs to. */
static unsigned part_of(const struct member *member, unsigned bits)
{
    const uint8_t *id = member->fact->id.bytes;
    return (((unsigned)id[0] << 8 | id[1]) >> (16 - bits)) & ((1u << bits) - 1);
}

static void sum_parts(const struct gossip *gossip, unsigned bits, uint32_t sums[PULL_PARTS_MAX])
{
    uint64_t whole[PULL_PARTS_MAX] = {0};
    size_t cursor = 0;
    for (const struct member *member; (member = members_next(&gossip->members, &cursor)) != NULL;)
        if (member_is_living(member)) whole[part_of(member, bits)] += member->fact->view_part;
    for (size_t i = 0; i < PULL_PARTS_MAX; i++) sums[i] = (uint32_t)(whole[i] ^ whole[i] >> 32);
}

static void pull(struct gossip *gossip, instant now, const struct id *id,
                 const struct address *address)
{
    if (gossip->is_pulling || now < gossip->pull_next || gossip->is_leaving) return;
    unsigned bits = 4;
    while ((PULL_PART_MEMBERS << bits) < (int)members_living_count(&gossip->members) &&
           (1 << bits) < PULL_PARTS_MAX)
        bits++;
    uint32_t sums[PULL_PARTS_MAX];
    uint8_t text[4 * PULL_PARTS_MAX], body[RPC_BODY_MAX];
    size_t count = (size_t)1 << bits;
    sum_parts(gossip, bits, sums);
    for (size_t i = 0; i < 4 * count; i++) text[i] = (uint8_t)(sums[i / 4] >> (8 * (i % 4)));
    struct msg_view_ask ask = {.bits = (uint8_t)bits, .sums = slice_of(text, 4 * count)};
    struct writer writer = writer_of(body, sizeof body);
    bool fits = wire_pack(&wire_view_ask, &ask, &writer);
    assert(fits);
    struct slice bytes = slice_of(body, writer.written);
    if (rpc_call(&gossip->rpc, now, id, address, bytes) != ERROR_NONE) return;
    gossip->pull_next = now + gossip->config.period;
    gossip->is_pulling = true;
    gossip->counters.pulls++;
}

void exchange_compare(struct gossip *gossip, instant now, const struct member *member)
{
    if (member->view_digest == gossip->members.view_digest) {
        gossip->differs_since = INSTANT_NEVER;
        return;
    }
    if (gossip->rumors.count > 0 || member->state != MEMBER_ALIVE) return;
    gossip->differs_since = instant_min(gossip->differs_since, now);
    if (now - gossip->differs_since >= PULL_AFTER * gossip->config.period)
        pull(gossip, now, &member->fact->id, &member->fact->address);
}

/* Our claims about the members of the parts that differ; when they are too many, some of them. */
static uint32_t fill_claims(struct gossip *gossip, const struct msg_view_ask *ask,
                            struct msg_member_claim claims[PULL_CLAIMS_MAX])
{
    struct member *found = NULL;
    uint32_t sums[PULL_PARTS_MAX], filled = 0, seen = 0;
    sum_parts(gossip, ask->bits, sums);
    size_t cursor = 0;
    while ((found = members_next(&gossip->members, &cursor)) != NULL) {
        unsigned part = part_of(found, ask->bits);
        const uint8_t *at = ask->sums.at + 4 * (size_t)part;
        uint32_t theirs =
            at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        if (theirs == sums[part] || !is_told(gossip, found)) continue;
        /* Each equally likely (Vitter's reservoir). */
        uint32_t place =
            seen < PULL_CLAIMS_MAX ? seen : (uint32_t)prng_below(gossip->prng, seen + 1);
        seen++;
        if (place >= PULL_CLAIMS_MAX) continue;
        claims[place] = member_claim(found);
        if (filled <= place) filled = place + 1;
    }
    return filled;
}

static bool on_question(void *context, const struct id *from, struct slice body, uint64_t ticket,
                        struct writer *answer)
{
    struct gossip *gossip = context;
    uint8_t room[256] __attribute__((aligned(16)));
    struct arena scratch;
    struct wire_message message;
    struct msg_member_claim claims[PULL_CLAIMS_MAX];
    (void)ticket;
    arena_init(&scratch, room, sizeof room);
    if (wire_unpack(&body, &message, &scratch) != NULL || message.type != MSG_view_ask)
        return true; /* an empty answer */
    const struct msg_view_ask *ask = message.fields;
    if (ask->bits > 8 || ask->sums.count != (size_t)4 << ask->bits) return true;
    struct msg_rumors rumors = {.claims = {claims, fill_claims(gossip, ask, claims)}};
    while (wire_packed_size(&wire_rumors, &rumors) > answer->left) rumors.claims.count--;
    if (rumors.claims.count > 0) (void)wire_pack(&wire_rumors, &rumors, answer);
    const struct member *asker = members_find(&gossip->members, from);
    if (asker != NULL && asker->state == MEMBER_ALIVE && gossip->rumors.count == 0)
        pull(gossip, gossip->now, from, &asker->fact->address);
    return true;
}

static void on_pulled(void *context, const struct id *to, struct slice answer, bool is_answered)
{
    struct gossip *gossip = context;
    uint8_t room[16384] __attribute__((aligned(16)));
    struct arena scratch;
    struct wire_message message;
    const struct claims_source source = {.sender = NULL};
    (void)to;
    gossip->is_pulling = false;
    arena_init(&scratch, room, sizeof room);
    if (!is_answered || wire_unpack(&answer, &message, &scratch) != NULL) return;
    if (message.type != MSG_rumors) return;
    const struct msg_rumors *rumors = message.fields;
    const struct msg_member_claim *claims = rumors->claims.at;
    for (uint32_t i = 0; i < rumors->claims.count; i++)
        (void)claims_take(gossip, gossip->now, &claims[i], &source);
}

static void on_send(void *context, const struct id *to, const struct address *address,
                    const struct wire_schema *schema, const void *message)
{
    struct rumors_head head = {.schema = schema, .message = message, .to = to};
    rumors_send(context, address, &head);
}

void exchange_init(struct gossip *gossip)
{
    struct rpc_ports ports = {gossip, on_send, on_question, on_pulled};
    rpc_init(&gossip->rpc, &ports, gossip->config.period / 2, gossip->prng, gossip->memory);
    gossip->differs_since = INSTANT_NEVER;
}
