/* The crowd's network.
 *
 *   datagram:  lost, apart, or delayed; a killed process's kernel refuses it (ICMP); a silent one
 *              keeps some in its socket, and reads them when it goes on
 *   stream:    each node has one to its neighbours on the ring of ids, and for a while to whom
 *              gossip asked for one (as src/node/links.c). What it carries is delayed, never lost.
 *              It ends at once when a process is killed, and never when one falls silent
 *
 * What an opened stream says beside gossip's own records is not modelled: the full exchange of
 * src/node/links.c would be half a megabyte at ten thousand nodes. */
#include "sim/crowd.h"

#include <assert.h>

enum {
    DELAY = 200, /* microseconds, and up to so much more: one rack (network.c) */
    JITTER = 300,
    IP_SIZE = 28,              /* IPv4 and UDP headers, counted as an interface does */
    RECORD_SIZE = 22 + 2 * 52, /* a record's head and tag; TCP and IP headers, of the ACK, too */
    WAITING_MAX = 256,         /* letters in a socket: 212,992 bytes of Linux's buffers, 832 each */
    MESH_MAX = 16,             /* up to so many nodes each has a stream to each, */
    SUCCESSORS = 4,            /* above to its next ones on the ring; as in links.c */
    EXTRA_IDLE = 30 * SECOND,  /* an extra stream lives so long without use; as in links.c */
};

static instant arrival(struct crowd *crowd)
{
    return crowd->now + DELAY + (instant)prng_below(&crowd->prng, JITTER + 1);
}

static void send_bare(struct crowd *crowd, enum letter_kind kind, uint32_t from, uint32_t to)
{
    post_send(&crowd->post, arrival(crowd), kind, from, to, slice_of(NULL, 0));
}

/* ---- ports ---- */

static uint32_t number_at(const struct address *address)
{
    return (uint32_t)address->ip[13] << 16 | (uint32_t)address->ip[14] << 8 | address->ip[15];
}

static void on_send(void *context, const struct address *to, struct slice payload)
{
    struct crowd_node *node = context;
    struct crowd *crowd = node->crowd;
    uint32_t number = number_at(to);
    node->load.messages++;
    node->load.bytes += payload.count + FRAME_OVERHEAD_MAX + IP_SIZE;
    if (crowd->options.loss > 0 && prng_chance(&crowd->prng, crowd->options.loss)) return;
    if (number >= crowd->nodes_count || crowd_is_apart(crowd, node->number, number)) return;
    post_send(&crowd->post, arrival(crowd), LETTER_DATAGRAM, node->number, number, payload);
}

static struct crowd_extra *find_extra(struct crowd_node *node, uint32_t peer)
{
    for (unsigned i = 0; i < CROWD_EXTRAS; i++) {
        struct crowd_extra *extra = &node->extras[i];
        bool is_open = extra->used != 0 && node->crowd->now - extra->used <= EXTRA_IDLE;
        if (is_open && extra->peer == peer) return extra;
    }
    return NULL;
}

static bool is_linked(struct crowd_node *node, uint32_t peer)
{
    uint32_t count = node->crowd->nodes_count;
    uint32_t far = (peer + count - node->number) % count;
    if (count <= MESH_MAX || far <= SUCCESSORS || count - far <= SUCCESSORS) return true;
    struct crowd_extra *extra = find_extra(node, peer);
    if (extra == NULL) return false;
    extra->used = node->crowd->now;
    return true;
}

/* The longest unused one makes room. */
static void link_extra(struct crowd_node *node, uint32_t peer)
{
    if (is_linked(node, peer)) return;
    struct crowd_extra *oldest = &node->extras[0];
    for (unsigned i = 1; i < CROWD_EXTRAS; i++)
        if (node->extras[i].used < oldest->used) oldest = &node->extras[i];
    *oldest = (struct crowd_extra){.peer = peer, .used = node->crowd->now};
}

static void on_stream(void *context, const struct id *to, struct slice payload)
{
    struct crowd_node *node = context;
    struct crowd *crowd = node->crowd;
    uint32_t number = crowd_number(to);
    bool is_there = number < crowd->nodes_count && crowd->nodes[number].state != CROWD_ABSENT;
    if (!is_there || crowd_is_apart(crowd, node->number, number)) return;
    if (crowd->nodes[number].state == CROWD_KILLED) return;
    node->load.records++;
    if (is_linked(node, number)) {
        node->load.record_bytes += payload.count + RECORD_SIZE;
        post_send(&crowd->post, arrival(crowd), LETTER_RECORD, node->number, number, payload);
        return;
    }
    node->load.record_bytes += RECORD_SIZE;
    send_bare(crowd, LETTER_HELLO, node->number, number);
}

static void on_changed(void *context, const struct member *member, unsigned before)
{
    struct crowd_node *node = context;
    census_changed(node->crowd, node->number, member, before);
}

static void on_usurped(void *context, const struct boot *boot)
{
    (void)context, (void)boot; /* ids and boots are ours to give: only a core's bug ends here */
    assert(false);
}

struct gossip_ports crowd_ports(struct crowd_node *node)
{
    return (struct gossip_ports){
        .context = node,
        .send = on_send,
        .stream = on_stream,
        .changed = on_changed,
        .usurped = on_usurped,
    };
}

/* ---- arrival ---- */

/* A stream to this peer has come to be, at both ends. */
static void opened(struct crowd *crowd, struct crowd_node *node, const struct letter *letter)
{
    const struct gossip_config *peer = &crowd->nodes[letter->from].gossip.config;
    link_extra(node, letter->from);
    gossip_alive(&node->gossip, crowd->now, &peer->id, &peer->boot);
    if (letter->kind != LETTER_HELLO) return;
    node->load.record_bytes += RECORD_SIZE;
    send_bare(crowd, LETTER_OPENED, node->number, letter->from);
}

static void hand_over(struct crowd *crowd, struct crowd_node *node, const struct letter *letter)
{
    struct gossip *gossip = &node->gossip;
    const struct gossip_config *sender = &crowd->nodes[letter->from].gossip.config;
    bool is_datagram = letter->kind == LETTER_DATAGRAM;
    struct slice payload = slice_of(letter->bytes, letter->size);
    struct arena arena;
    switch (letter->kind) {
    case LETTER_DATAGRAM:
    case LETTER_RECORD:
        arena_init(&arena, crowd->scratch, crowd->scratch_size);
        (void)!gossip_receive(gossip, crowd->now, &sender->id, &sender->boot,
                              is_datagram ? &sender->address : NULL, payload, &arena);
        break;
    case LETTER_HELLO:
    case LETTER_OPENED: opened(crowd, node, letter); break;
    case LETTER_REFUSED: gossip_refused(gossip, crowd->now, &sender->address); break;
    case LETTER_ENDED: gossip_evidence(gossip, crowd->now, &sender->id, CAUSE_STREAM_ENDED); break;
    }
    crowd_follow(crowd, node);
}

void crowd_deliver(struct crowd *crowd)
{
    struct letter *letter = post_take(&crowd->post);
    struct crowd_node *node = &crowd->nodes[letter->to];
    switch (node->state) {
    case CROWD_RUNNING: hand_over(crowd, node, letter); break;
    case CROWD_PAUSED:
        if (node->waiting == WAITING_MAX) break;
        node->waiting++;
        post_again(&crowd->post, node->paused_until, letter);
        return;
    case CROWD_KILLED:
        if (letter->kind == LETTER_DATAGRAM)
            send_bare(crowd, LETTER_REFUSED, letter->to, letter->from);
        break;
    case CROWD_ABSENT: break;
    }
    post_put(&crowd->post, letter);
}

/* ---- the end of a process ---- */

static bool is_there(const struct crowd *crowd, uint32_t number)
{
    enum crowd_state state = crowd->nodes[number].state;
    return state == CROWD_RUNNING || state == CROWD_PAUSED;
}

/* Its neighbours on the ring, and who had a stream for a while, hear that it ended. */
void crowd_end_streams(struct crowd *crowd, uint32_t number)
{
    uint32_t count = crowd->nodes_count;
    uint32_t side = count <= MESH_MAX ? count : SUCCESSORS;
    for (int sign = -1; sign <= 1; sign += 2) {
        uint32_t found = 0;
        for (uint32_t far = 1; far <= count / 2 && found < side; far++) {
            uint32_t peer = sign < 0 ? (number + count - far) % count : (number + far) % count;
            if (!is_there(crowd, peer)) continue;
            found++;
            if (sign > 0 && 2 * far == count) continue; /* met from the other side */
            send_bare(crowd, LETTER_ENDED, number, peer);
        }
    }
    struct crowd_node *node = &crowd->nodes[number];
    for (unsigned i = 0; i < CROWD_EXTRAS; i++) {
        uint32_t peer = node->extras[i].peer;
        if (find_extra(node, peer) == &node->extras[i] && is_there(crowd, peer))
            send_bare(crowd, LETTER_ENDED, number, peer);
    }
}
