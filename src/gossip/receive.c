/* A datagram's payload: a sequence of packed messages, rumours last (rumors.c draws it).
 *
 * The rumours are taken before what they are piggybacked on is answered: an ack then carries
 * already the refutation of what its ping accused us of.
 *
 * The sender is authenticated, with its boot. At a former boot it is a recording or a straggler,
 * and refused. At a newer one it has started anew, whatever the rumours say. Who is not known stays
 * so: it is learnt by its own claim, which each ping carries. */
#include "gossip/claims.h"
#include "gossip/probe.h"

#include <assert.h>

enum {
    MESSAGES_MAX = 8, /* in one datagram; ours have three */
};

struct parcel {
    struct wire_message messages[MESSAGES_MAX];
    size_t count;
};

/* NULL, or why the rest was not taken. */
static const char *unpack(struct parcel *parcel, struct slice payload, struct arena *scratch)
{
    while (payload.count > 0) {
        if (parcel->count == MESSAGES_MAX) return "too many messages in a datagram";
        struct wire_message *message = &parcel->messages[parcel->count];
        const char *reason = wire_unpack(&payload, message, scratch);
        if (reason != NULL) return reason;
        if (message->type > MSG_request_taken) return "a message that is none of gossip's";
        parcel->count++;
    }
    return NULL;
}

/* Of two rumors messages the first is the sender's testimony. */
static bool is_testimony(const struct parcel *parcel, size_t place)
{
    for (size_t i = place + 1; i < parcel->count; i++)
        if (parcel->messages[i].type == MSG_rumors) return true;
    return false;
}

static const char *take_rumors(struct gossip *gossip, instant now, const struct parcel *parcel,
                               struct claims_source *source)
{
    const char *refused = NULL;
    for (size_t i = 0; i < parcel->count; i++) {
        if (parcel->messages[i].type != MSG_rumors) continue;
        const struct msg_rumors *rumors = parcel->messages[i].fields;
        const struct msg_member_claim *claims = rumors->claims.at;
        source->is_testimony = is_testimony(parcel, i);
        for (uint32_t k = 0; k < rumors->claims.count; k++) {
            const char *reason = claims_take(gossip, now, &claims[k], source);
            if (refused == NULL) refused = reason;
        }
    }
    return refused;
}

/* Calls are for members, in datagrams. */
static void take_call(struct gossip *gossip, const struct probe_mail *mail,
                      const struct wire_message *message)
{
    if (mail->member == NULL || mail->from == NULL) return;
    instant now = mail->now;
    struct rpc *rpc = &gossip->rpc;
    if (message->type == MSG_request)
        rpc_on_request(rpc, now, mail->sender, mail->from, message->fields);
    else if (message->type == MSG_response)
        rpc_on_response(rpc, now, mail->sender, message->fields);
    else rpc_on_taken(rpc, now, mail->sender, message->fields);
}

static void take_probes(struct gossip *gossip, const struct parcel *parcel,
                        const struct probe_mail *mail)
{
    for (size_t i = 0; i < parcel->count; i++) {
        const struct wire_message *message = &parcel->messages[i];
        switch (message->type) {
        case MSG_ping: probe_on_ping(gossip, mail, message->fields); break;
        case MSG_ack: probe_on_ack(gossip, mail, message->fields); break;
        case MSG_ping_request: probe_on_request(gossip, mail, message->fields); break;
        case MSG_nack: probe_on_nack(gossip, mail, message->fields); break;
        case MSG_ack_same: probe_on_ack_same(gossip, mail, message->fields); break;
        case MSG_refusal: probe_on_refusal(gossip, mail, message->fields); break;
        case MSG_request:
        case MSG_response:
        case MSG_request_taken: take_call(gossip, mail, message); break;
        default: break; /* rumors are taken, challenges are the node's */
        }
    }
}

static bool has(const struct parcel *parcel, unsigned type)
{
    for (size_t i = 0; i < parcel->count; i++)
        if (parcel->messages[i].type == type) return true;
    return false;
}

/* The dead one speaks. Unless the answer to its ping says so already, or it just answered ours, it
 * is told that it is held dead, and refutes. */
static void tell_the_dead(struct gossip *gossip, const struct parcel *parcel, struct member *member)
{
    if (member == NULL || member->state != MEMBER_DEAD || gossip->is_leaving) return;
    if (has(parcel, MSG_ping) || has(parcel, MSG_ack) || has(parcel, MSG_ack_same)) return;
    if (claims_may_reply(gossip)) probe_ping(gossip, member);
}

/* Whose datagram is it? NULL when it is to be read, else the reason. */
static const char *take_sender(struct gossip *gossip, instant now, const struct id *sender,
                               const struct boot *boot, const struct address *from)
{
    if (id_equal(sender, &gossip->config.id)) {
        if (!claims_is_usurper(gossip, boot)) return "a datagram of our own";
        gossip->config.ports.usurped(gossip->config.ports.context, boot);
        return "our identity, at another node";
    }
    struct member *member = members_find(&gossip->members, sender);
    if (member == NULL) return NULL;
    int order = boot_compare(boot, &member->fact->boot);
    if (order < 0) return "a datagram of a former boot";
    if (order > 0)
        claims_restarted(gossip, now, member, boot, from != NULL ? from : &member->fact->address);
    member->heard = now;
    if (from == NULL) return NULL;
    gossip->datagram_heard = now;
    gossip->stream_answers = 0;
    return NULL;
}

const char *gossip_receive(struct gossip *gossip, instant now, const struct id *sender,
                           const struct boot *boot, const struct address *from,
                           struct slice payload, struct arena *scratch)
{
    assert(gossip->members.self != NULL);
    gossip->now = now;
    if (id_is_zero(sender)) return "a datagram of nobody";
    if (payload.count == 0) return "an empty datagram";
    struct parcel parcel = {.count = 0};
    const char *cut = unpack(&parcel, payload, scratch);
    if (cut != NULL && parcel.count == 0) return cut;
    const char *reason = take_sender(gossip, now, sender, boot, from);
    if (reason != NULL) return reason;
    struct claims_source source = {.sender = sender, .from = from, .is_stream = from == NULL};
    const char *refused = take_rumors(gossip, now, &parcel, &source);
    struct probe_mail mail = {now, sender, from, members_find(&gossip->members, sender)};
    take_probes(gossip, &parcel, &mail);
    tell_the_dead(gossip, &parcel, mail.member);
    return cut != NULL ? cut : refused;
}
