/* Streams between nodes, and with mrctl: who is connected to whom.
 *
 *   small flock (up to 16):  everyone to everyone; of a pair the smaller id connects
 *   larger:                  each to its 4 successors on the ring of ids: everyone has about 8
 *
 * What was opened while the flock was small, or to join, and is no neighbour's, ends soon after:
 * else whom all join through would keep a stream to everyone.
 *
 * The log flows over these streams; their end without goodbye is evidence against a peer
 * (gossip_evidence). Joining is a stream to an address whose owner is not known yet; it is tried
 * with back-off until a living member has that address. */
#include "node/state.h"

#include <assert.h>
#include <string.h>

enum {
    MESH_MAX = 16, /* 16 * 15 / 2 = 120 idle streams in the flock, 15 a node */
    RING_SUCCESSORS = LINKS_NEAR_MAX / 2,
    MESH_EVERY = SECOND, /* missing streams are looked for so often */
    CONNECT_PATIENCE =
        3 * SECOND,         /* the larger id connects, too, when the smaller one did not by then */
    IDLE_MAX = 30 * SECOND, /* an extra stream that nobody needs: copies of blocks come in bursts */
    LEFT_MAX = 5 * SECOND,  /* one that a join left behind: it has told all by then */
    DEAD_MAX = 60 * SECOND, /* a stream to the dead: who was only cut off has used it by then */
    JOIN_FIRST = 200 * MILLISECOND,
    JOIN_LAST = 5 * SECOND, /* a flock that starts all at once finds itself within this */
};

struct link *links_find(const struct node *node, uint64_t stream)
{
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->stream == stream) return link;
    return NULL;
}

struct link *links_to(const struct node *node, const struct id *peer)
{
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && link->purpose == CHANNEL_PEER &&
            id_equal(&link->peer, peer))
            return link;
    return NULL;
}

static bool is_connecting(const struct node *node, const struct address *address)
{
    for (const struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_CONNECTING && address_equal(&link->address, address)) return true;
    return false;
}

static struct link *link_add(struct node *node, uint64_t stream)
{
    struct link *link = memory_take(&node->memory, sizeof *link);
    if (link == NULL) return NULL;
    link->stream = stream;
    link->next = node->links;
    node->links = link;
    return link;
}

static void link_remove(struct node *node, struct link *link)
{
    for (struct link **at = &node->links; *at != NULL; at = &(*at)->next) {
        if (*at != link) continue;
        *at = link->next;
        break;
    }
    memory_put(&node->memory, link, sizeof *link);
}

static void close_stream(struct node *node, uint64_t stream)
{
    struct action *action = actions_push(node->actions, ACTION_STREAM_CLOSE);
    action->stream_close.stream = stream;
}

static struct link *connect_to(struct node *node, const struct address *address,
                               const struct id *peer)
{
    if (is_connecting(node, address)) return NULL;
    struct link *link = link_add(node, node->stream_next);
    if (link == NULL) return NULL;
    node->stream_next += 2;
    link->state = LINK_CONNECTING;
    link->purpose = CHANNEL_PEER;
    link->used = node->now;
    link->is_ours = true;
    link->address = *address;
    if (peer != NULL) link->peer = *peer;
    struct action *action = actions_push(node->actions, ACTION_STREAM_OPEN);
    action->stream_open.stream = link->stream;
    action->stream_open.to = *address;
    return link;
}

struct link *links_need(struct node *node, const struct id *peer)
{
    struct link *link = links_to(node, peer);
    if (link == NULL) {
        const struct member *member = members_find(&node->gossip.members, peer);
        if (member == NULL || !member_is_living(member) || address_is_none(&member->fact->address))
            return NULL;
        struct link *asked = connect_to(node, &member->fact->address, peer);
        if (asked != NULL) asked->is_extra = true;
        return NULL;
    }
    link->used = node->now;
    return link;
}

void links_gossip(void *context, const struct id *to, struct slice payload)
{
    struct node *node = context;
    if (node->actions == NULL) return;
    struct link *link = links_need(node, to);
    if (link == NULL) return;
    uint8_t *copy = arena_take(&node->actions->arena, payload.count);
    if (copy == NULL) return;
    memcpy(copy, payload.at, payload.count);
    struct action *action = actions_push(node->actions, ACTION_STREAM_SEND);
    action->stream_send.stream = link->stream;
    action->stream_send.bytes = slice_of(copy, payload.count);
}

bool links_send(struct node *node, uint64_t stream, const struct wire_schema *schema,
                const void *message)
{
    struct slice bytes = wire_pack_arena(schema, message, &node->actions->arena);
    if (bytes.at == NULL || bytes.count > CHANNEL_RECORD_MAX) return false;
    struct action *action = actions_push(node->actions, ACTION_STREAM_SEND);
    action->stream_send.stream = stream;
    action->stream_send.bytes = bytes;
    return true;
}

/* A newcomer comes to us: we are its sponsor. Whom we come to, and whom others have told us of, is
 * no newcomer of ours, and puts itself on the roster by its first entry. So the start of a flock of
 * n writes n of these, not n for each stream. */
static void append_joined(struct node *node, const struct link *link,
                          const struct channel_party *party)
{
    if (map_get(&node->roster, &party->node) != NULL || !node->may_author) return;
    if (link->is_ours || members_find(&node->gossip.members, &party->node) != NULL) return;
    struct msg_joined joined = {
        .node = party->node, .name = slice_string(party->name), .cause = CAUSE_JOINED};
    (void)!node_append(node, &wire_joined, &joined, NULL);
}

static void send_exchange(struct node *node, struct link *link)
{
    struct msg_exchange exchange = {.wants_reply = false};
    if (gossip_exchange_fill(&node->gossip, &exchange, &node->actions->arena))
        links_send(node, link->stream, &wire_exchange, &exchange);
}

static void link_close(struct node *node, struct link *link)
{
    uint64_t stream = link->stream;
    link_remove(node, link);
    close_stream(node, stream);
}

/* Both connected to each other at once: the smaller id's stream stays, at both ends. True when this
 * one is to go. */
static bool is_superfluous(struct node *node, const struct link *link, const struct id *peer)
{
    struct link *other = links_to(node, peer);
    if (!link->is_ours || other == NULL) return false;
    if (other->is_ours || id_compare(&node->id, peer) > 0) return true;
    link_close(node, other);
    return false;
}

void links_opened(struct node *node, const struct event *event)
{
    const struct channel_party *party = event->stream_opened.party;
    struct link *link = links_find(node, event->stream_opened.stream);
    if (link == NULL) link = link_add(node, event->stream_opened.stream);
    if (link == NULL) {
        close_stream(node, event->stream_opened.stream);
        return;
    }
    node_count(node, METRIC_streams_opened);
    bool is_second =
        is_superfluous(node, link, &party->node); /* asked before it counts as open itself */
    link->state = LINK_OPEN;
    link->purpose = event->stream_opened.purpose;
    if (link->purpose == CHANNEL_CLIENT) return;
    /* Ourselves through a seed address, or a second stream to the same peer. */
    bool is_vain = id_equal(&party->node, &node->id) || id_is_zero(&party->node);
    if (is_vain || is_second) {
        link_close(node, link);
        return;
    }
    link->peer = party->node;
    link->boot = party->boot;
    link->address = party->address;
    datagrams_proven(node, &party->node, &party->boot);
    gossip_alive(&node->gossip, node->now, &party->node, &party->boot);
    append_joined(node, link, party);
    send_exchange(node, link);
    room_say(node, link);
    replicas_hello(node, link);
}

/* Joining is what people wait for: a seed that can't be reached is said once each, with the reason.
 */
static void tell_refused(struct node *node, const struct link *link, const char *reason)
{
    char text[ADDRESS_TEXT_SIZE];
    for (size_t i = 0; i < node->seeds_count; i++) {
        struct seed *seed = &node->seeds[i];
        if (!address_equal(&seed->address, &link->address) || seed->is_told) continue;
        seed->is_told = true;
        trace_line(&node->trace, TRACE_WARN, "event=join-failed address=%s reason=\"%s\"",
                   address_text(&seed->address, text), reason);
    }
}

void links_closed(struct node *node, const struct event *event)
{
    struct link *link = links_find(node, event->stream_closed.stream);
    if (link == NULL) return;
    node_count(node, METRIC_streams_closed);
    struct link gone = *link;
    link_remove(node, link);
    if (gone.purpose == CHANNEL_CLIENT) {
        pending_drop_stream(node, gone.stream);
        return;
    }
    if (gone.state == LINK_CONNECTING) tell_refused(node, &gone, event->stream_closed.reason);
    bool is_goodbye = event->stream_closed.error == ERROR_NONE;
    if (gone.state == LINK_OPEN && !is_goodbye && links_to(node, &gone.peer) == NULL)
        gossip_evidence(&node->gossip, node->now, &gone.peer, CAUSE_STREAM_ENDED);
    links_look(node, JOIN_FIRST);
}

void links_doubt(struct node *node, const struct id *id)
{
    for (struct link *link = node->links; link != NULL; link = link->next)
        if (link->state == LINK_OPEN && id_equal(&link->peer, id)) link->is_doubtful = true;
}

void links_renew(struct node *node, const struct member *member)
{
    for (struct link *link = node->links, *next; link != NULL; link = next) {
        next = link->next;
        bool is_stuck = link->state == LINK_CONNECTING
                            ? address_equal(&link->address, &member->fact->address)
                            : link->is_doubtful && id_equal(&link->peer, &member->fact->id);
        if (!is_stuck) continue;
        node_count(node, METRIC_streams_renewed);
        link_close(node, link);
    }
    links_look(node, 0);
}

void links_look(struct node *node, duration within)
{
    node->is_mesh_wanted = true;
    node->mesh_next = instant_min(node->mesh_next, node->now + within);
}

void links_join(struct node *node, const struct address *address, bool is_saved)
{
    if (address_equal(address, &node->address)) return;
    for (size_t i = 0; i < node->seeds_count; i++)
        if (address_equal(&node->seeds[i].address, address)) return;
    if (node->seeds_count == JOIN_MAX) return;
    node->seeds[node->seeds_count++] = (struct seed){
        .address = *address, .next_try = node->now, .backoff = JOIN_FIRST, .is_saved = is_saved};
    links_look(node, 0);
}

/* Seeds are tried until each is a living member's address (or the flock has been found and it was
 * only saved). */
static void join_tick(struct node *node)
{
    bool is_alone = members_living_count(&node->gossip.members) <= 1;
    for (size_t i = 0; i < node->seeds_count; i++) {
        struct seed *seed = &node->seeds[i];
        bool is_met = !is_alone && seed->is_saved;
        size_t cursor = 0;
        for (struct member *m;
             !is_met && (m = members_next(&node->gossip.members, &cursor)) != NULL;)
            is_met = member_is_living(m) && address_equal(&m->fact->address, &seed->address);
        if (is_met) {
            node->seeds[i--] = node->seeds[--node->seeds_count];
            continue;
        }
        if (node->now < seed->next_try) {
            node->mesh_next = instant_min(node->mesh_next, seed->next_try);
            continue;
        }
        (void)connect_to(node, &seed->address, NULL);
        duration jitter = (duration)prng_below(&node->prng, (uint64_t)seed->backoff);
        seed->next_try = node->now + seed->backoff + jitter / 2;
        seed->backoff = 2 * seed->backoff < JOIN_LAST ? 2 * seed->backoff : JOIN_LAST;
        node->mesh_next = instant_min(node->mesh_next, seed->next_try);
    }
}

/* This node's place among the sorted living; count when it is not there. */
static size_t place_of_self(const struct node *node, const struct schedule_node *living,
                            size_t count)
{
    size_t at = 0;
    while (at < count && !id_equal(&living[at].id, &node->id)) at++;
    return at;
}

size_t links_near(struct node *node, struct id near[LINKS_NEAR_MAX])
{
    size_t count, filled = 0;
    const struct schedule_node *living = living_nodes(node, &count);
    size_t self_at = place_of_self(node, living, count);
    if (self_at == count) return 0;
    bool is_small = count <= LINKS_NEAR_MAX + 1;
    for (size_t far = 1; far <= RING_SUCCESSORS && !is_small; far++) {
        near[filled++] = living[(self_at + far) % count].id;
        near[filled++] = living[(self_at + count - far) % count].id;
    }
    for (size_t at = 0; at < count && is_small; at++)
        if (at != self_at) near[filled++] = living[at].id;
    return filled;
}

bool links_is_near(const struct id *near, size_t count, const struct id *peer)
{
    for (size_t i = 0; i < count; i++)
        if (id_equal(&near[i], peer)) return true;
    return false;
}

/* Should this node be the one that connects to the member at this place of the sorted living? */
static bool is_ours_to_connect(struct node *node, size_t self_at, size_t at, size_t count,
                               const struct member *member)
{
    if (count > MESH_MAX) {
        size_t distance = (at + count - self_at) % count;
        return distance >= 1 && distance <= RING_SUCCESSORS;
    }
    if (id_compare(&node->id, &member->fact->id) < 0) return true;
    return node->now - member->since > CONNECT_PATIENCE;
}

static void mesh_tick(struct node *node)
{
    size_t count;
    const struct schedule_node *living = living_nodes(node, &count);
    size_t self_at = place_of_self(node, living, count);
    for (size_t at = 0; at < count; at++) {
        if (at == self_at || links_to(node, &living[at].id) != NULL) continue;
        const struct member *member = members_find(&node->gossip.members, &living[at].id);
        if (member == NULL || address_is_none(&member->fact->address)) continue;
        bool is_ours = is_ours_to_connect(node, self_at, at, count, member);
        if (is_ours || count <= MESH_MAX) node->is_mesh_wanted = true;
        if (is_ours) (void)connect_to(node, &member->fact->address, &member->fact->id);
    }
}

static void idle_tick(struct node *node)
{
    struct id near[LINKS_NEAR_MAX];
    size_t near_count = links_near(node, near);
    bool is_ring = members_living_count(&node->gossip.members) > MESH_MAX;
    for (struct link *link = node->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->state != LINK_OPEN || link->purpose != CHANNEL_PEER) continue;
        const struct member *peer = members_find(&node->gossip.members, &link->peer);
        bool is_left = is_ring && link->is_ours && !links_is_near(near, near_count, &link->peer);
        duration idle_max = link->is_extra ? IDLE_MAX : LEFT_MAX;
        bool is_idle = (link->is_extra || is_left) && node->now - link->used > idle_max;
        bool is_gone = peer != NULL && !member_is_living(peer);
        if (is_idle || (is_gone && node->now - peer->since > DEAD_MAX)) link_close(node, link);
    }
}

void links_tick(struct node *node)
{
    if (node->now < node->mesh_next) return;
    node->mesh_next = node->now + MESH_EVERY;
    node->is_mesh_wanted = node->seeds_count > 0;
    if (node_is_leaving(node)) return;
    join_tick(node);
    mesh_tick(node);
    idle_tick(node);
}

void links_close_all(struct node *node)
{
    while (node->links != NULL) link_remove(node, node->links);
}
