/* Datagrams: sealed on the way out, believed on the way in only after proof (docs/PROTOCOL.md).
 *
 *   unknown (sender, boot)  --seal ok-->  challenged   --reply ok-->  proven
 *                                         its payload is held         it is delivered
 *
 * A recording of something said earlier can't answer a challenge; a repeat within a boot falls to
 * the replay window; a former boot is refused. A stranger (no key) costs one derived key and a
 * counter: no memory, no answer. */
#include "node/state.h"

#include <assert.h>
#include <string.h>

enum {
    CONTACTS_MAX = 16384, /* as many as members */
    CHALLENGE_EVERY =
        200 * MILLISECOND,    /* a lost challenge is repeated at the next datagram after this */
    REFUSAL_AGE = 5 * SECOND, /* older news of a closed port says little of now */
    REMIND_EVERY = SECOND,    /* so often a former boot hears, at most, that it is one */
};

/* Bytes that only we and those with the key can know, and they don't guess them. */
static uint64_t sealed_bytes(struct slice datagram)
{
    uint64_t bytes;
    memcpy(&bytes, datagram.at + FRAME_HEADER_SIZE, sizeof bytes);
    return bytes;
}

static void remember(struct node *node, const struct address *to, uint64_t counter,
                     struct slice datagram)
{
    node->sents[counter % SENTS_MAX] = (struct sent){
        .when = node->now, .to = *to, .counter = counter, .sealed = sealed_bytes(datagram)};
}

static bool is_sent(const struct node *node, const struct address *to, struct slice quoted)
{
    struct frame_header header;
    if (quoted.count < FRAME_HEADER_SIZE + CRYPTO_TAG_SIZE || frame_peek(quoted, &header) != NULL)
        return false;
    const struct sent *sent = &node->sents[header.counter % SENTS_MAX];
    return sent->counter == header.counter && address_equal(&sent->to, to) &&
           sent->sealed == sealed_bytes(quoted) && node->now - sent->when <= REFUSAL_AGE;
}

void datagrams_refused(struct node *node, const struct address *address, struct slice quoted)
{
    bool is_ours = is_sent(node, address, quoted);
    node_count(node, is_ours ? METRIC_ports_refused : METRIC_ports_refused_forged);
    if (is_ours) gossip_refused(&node->gossip, node->now, address);
}

static void seal_and_send(struct node *node, const struct address *to, struct slice payload)
{
    uint8_t *out = arena_take(&node->actions->arena, FRAME_SIZE_MAX);
    if (out == NULL) return; /* a lost datagram */
    const struct frame_key *key = keyring_for(node, to);
    struct crypto_key subkey = node->own_subkey;
    if (key != &node->keys[0]) frame_subkey(node->crypto, key, &node->id, &node->boot, &subkey);
    struct frame_header header = {.key_id = key->key_id,
                                  .sender = node->id,
                                  .boot = node->boot,
                                  .counter = ++node->datagram_counter};
    size_t size = frame_seal(node->crypto, &subkey, &header, payload, out);
    struct action *action = actions_push(node->actions, ACTION_SEND);
    action->send.to = *to;
    action->send.bytes = slice_of(out, size);
    remember(node, to, header.counter, action->send.bytes);
    node_count(node, METRIC_datagrams_sent);
}

void datagrams_send(void *context, const struct address *to, struct slice payload)
{
    struct node *node = context;
    assert(payload.count <= FRAME_PAYLOAD_MAX);
    if (node->actions == NULL || address_is_none(to)) return;
    seal_and_send(node, to, payload);
}

static void send_message(struct node *node, const struct address *to,
                         const struct wire_schema *schema, const void *message)
{
    struct slice payload = wire_pack_arena(schema, message, &node->actions->arena);
    if (payload.at != NULL) seal_and_send(node, to, payload);
}

static void drop_held(struct node *node, struct contact *contact)
{
    memory_put(&node->memory, contact->held, contact->held_size);
    contact->held = NULL;
    contact->held_size = 0;
}

static void contact_close(struct node *node, struct contact *contact)
{
    drop_held(node, contact);
    memory_put(&node->memory, contact->window, sizeof *contact->window);
    memory_put(&node->memory, contact, sizeof *contact);
}

/* The contact of this id, made anew when its boot is a later one; `contact` is what the table has
 * for it. NULL: no memory or table full. */
static struct contact *contact_for(struct node *node, struct contact *contact, const struct id *id,
                                   const struct boot *boot)
{
    if (contact != NULL && boot_compare(&contact->boot, boot) < 0) {
        map_remove(&node->contacts, id);
        contact_close(node, contact);
        contact = NULL;
    }
    if (contact != NULL) return contact;
    if (node->contacts.count >= CONTACTS_MAX) return NULL;
    contact = memory_take(&node->memory, sizeof *contact);
    if (contact == NULL) return NULL;
    contact->window = memory_take(&node->memory, sizeof *contact->window);
    contact->id = *id;
    contact->boot = *boot;
    frame_subkey(node->crypto, &node->keys[0], id, boot, &contact->subkey);
    if (contact->window == NULL || map_add(&node->contacts, contact) != ERROR_NONE) {
        contact_close(node, contact);
        return NULL;
    }
    return contact;
}

static void hold(struct node *node, struct contact *contact, const struct address *from,
                 struct slice payload)
{
    drop_held(node, contact);
    contact->held = memory_take(&node->memory, payload.count);
    if (contact->held == NULL) return;
    memcpy(contact->held, payload.at, payload.count);
    contact->held_size = payload.count;
    contact->held_from = *from;
}

/* Not too soon after the last; then contact->token is what to ask for. */
static bool may_challenge(struct node *node, struct contact *contact)
{
    if (contact->token != 0 && node->now - contact->challenged < CHALLENGE_EVERY) return false;
    if (contact->token == 0) contact->token = prng_next(&node->prng) | 1;
    contact->challenged = node->now;
    node_count(node, METRIC_challenges_sent);
    return true;
}

static void challenge(struct node *node, struct contact *contact, const struct address *from)
{
    if (!may_challenge(node, contact)) return;
    struct msg_challenge ask = {.token = contact->token};
    send_message(node, from, &wire_challenge, &ask);
}

static void deliver(struct node *node, struct contact *contact, const struct address *from,
                    struct slice payload)
{
    const char *reason = gossip_receive(&node->gossip, node->now, &contact->id, &contact->boot,
                                        from, payload, &node->actions->arena);
    if (reason == NULL) return;
    node_count(node, METRIC_datagrams_refused_payload);
    trace_line(&node->trace, TRACE_DEBUG, "event=datagram-refused reason=\"%s\"", reason);
}

/* Proves ourselves; who is not proven here either is challenged by the same datagram. */
static void answer_challenge(struct node *node, struct contact *contact, const struct address *from,
                             const struct msg_challenge *challenge)
{
    enum {
        SIZE_MAX_OF_BOTH = 32
    };
    uint8_t bytes[SIZE_MAX_OF_BOTH];
    struct writer writer = writer_of(bytes, sizeof bytes);
    struct msg_challenge_reply reply = {.token = challenge->token};
    bool fits = wire_pack(&wire_challenge_reply, &reply, &writer);
    if (!contact->is_proven && may_challenge(node, contact)) {
        struct msg_challenge ask = {.token = contact->token};
        fits = wire_pack(&wire_challenge, &ask, &writer) && fits;
    }
    assert(fits);
    seal_and_send(node, from, slice_of(bytes, writer.written));
}

/* The answer to our challenge. A challenge behind it is answered before what waited here is: then
 * what we say is believed at once. */
static void take_proof(struct node *node, struct contact *contact, const struct address *from,
                       uint64_t token, struct slice rest)
{
    struct wire_message message;
    if (contact->is_proven || contact->token == 0 || token != contact->token) return;
    contact->is_proven = true;
    contact->token = 0;
    if (rest.count > 0 && wire_unpack(&rest, &message, &node->actions->arena) == NULL &&
        message.type == MSG_challenge)
        answer_challenge(node, contact, from, message.fields);
    if (contact->held == NULL) return;
    deliver(node, contact, &contact->held_from, slice_of(contact->held, contact->held_size));
    drop_held(node, contact);
}

/* A payload that is a challenge or its answer is handled here; everything else is gossip's, and its
 * first byte, the type, says so. */
static bool take_handshake(struct node *node, struct contact *contact, const struct address *from,
                           struct slice payload)
{
    struct wire_message message;
    _Static_assert(MSG_challenge < 0x80 && MSG_challenge_reply < 0x80, "a type of one byte");
    if (payload.count == 0) return false;
    if (payload.at[0] != MSG_challenge && payload.at[0] != MSG_challenge_reply) return false;
    if (wire_unpack(&payload, &message, &node->actions->arena) != NULL) return false;
    if (message.type == MSG_challenge) answer_challenge(node, contact, from, message.fields);
    if (message.type == MSG_challenge_reply) {
        const struct msg_challenge_reply *reply = message.fields;
        take_proof(node, contact, from, reply->token, payload);
    }
    return message.type == MSG_challenge || message.type == MSG_challenge_reply;
}

/* Who still speaks at a former boot is told of the newer one: a copy of a data directory then finds
 * out, on either side. */
static void remind(struct node *node, struct contact *contact, const struct address *from)
{
    const struct member *member = members_find(&node->gossip.members, &contact->id);
    if (member == NULL || node->now - contact->reminded < REMIND_EVERY) return;
    contact->reminded = node->now;
    struct msg_member_claim claim = member_claim(member);
    struct msg_rumors rumors = {.claims = {&claim, 1}};
    send_message(node, from, &wire_rumors, &rumors);
}

static const struct frame_key *key_by_id(const struct node *node, uint32_t key_id)
{
    for (size_t i = 0; i < node->keys_count; i++)
        if (node->keys[i].key_id == key_id) return &node->keys[i];
    return NULL;
}

/* Opens the seal. Returns the counter to raise, or -1; *payload borrows from the step's arena,
 * *known is the sender's contact, if there is one. */
static int open_datagram(struct node *node, const struct address *from, struct slice bytes,
                         struct frame_header *header, struct slice *payload, struct contact **known)
{
    if (frame_peek(bytes, header) != NULL) return METRIC_datagrams_refused_form;
    const struct frame_key *key = key_by_id(node, header->key_id);
    if (key == NULL) return METRIC_datagrams_refused_key;
    if (id_equal(&header->sender, &node->id) && boot_equal(&header->boot, &node->boot))
        return METRIC_datagrams_own;
    struct contact *contact = *known = map_get(&node->contacts, &header->sender);
    struct crypto_key subkey;
    bool is_same =
        contact != NULL && boot_equal(&header->boot, &contact->boot) && key == &node->keys[0];
    if (is_same) subkey = contact->subkey;
    else frame_subkey(node->crypto, key, &header->sender, &header->boot, &subkey);
    uint8_t *out = arena_take(&node->actions->arena, FRAME_SIZE_MAX);
    if (out == NULL || frame_open(node->crypto, &subkey, bytes, out, payload) != NULL)
        return METRIC_datagrams_refused_seal;
    keyring_heard(node, from, key);
    if (contact == NULL || boot_compare(&header->boot, &contact->boot) >= 0) return -1;
    remind(node, contact, from);
    return METRIC_datagrams_refused_boot;
}

void datagrams_receive(struct node *node, const struct address *from, struct slice bytes)
{
    node_count(node, METRIC_datagrams_received);
    struct frame_header header;
    struct slice payload;
    struct contact *contact = NULL;
    int refused = open_datagram(node, from, bytes, &header, &payload, &contact);
    if (refused >= 0) {
        node_count(node, (enum metric)refused);
        return;
    }
    contact = contact_for(node, contact, &header.sender, &header.boot);
    if (contact == NULL) {
        node_count(node, METRIC_contacts_refused);
        return;
    }
    if (!frame_window_take(contact->window, header.counter)) {
        node_count(node, METRIC_datagrams_refused_replay);
        return;
    }
    if (take_handshake(node, contact, from, payload)) return;
    if (contact->is_proven) {
        deliver(node, contact, from, payload);
        return;
    }
    hold(node, contact, from, payload);
    challenge(node, contact, from);
}

void datagrams_proven(struct node *node, const struct id *id, const struct boot *boot)
{
    struct contact *contact = contact_for(node, map_get(&node->contacts, id), id, boot);
    if (contact == NULL || !boot_equal(&contact->boot, boot)) return;
    contact->is_proven = true;
    contact->token = 0;
}

void datagrams_rekey(struct node *node)
{
    size_t cursor = 0;
    for (struct contact *contact; (contact = map_next(&node->contacts, &cursor)) != NULL;)
        frame_subkey(node->crypto, &node->keys[0], &contact->id, &contact->boot, &contact->subkey);
}

void datagrams_close(struct node *node)
{
    size_t cursor = 0;
    for (struct contact *contact; (contact = map_next(&node->contacts, &cursor)) != NULL;)
        contact_close(node, contact);
    map_deinit(&node->contacts);
}
