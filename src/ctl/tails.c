/* Connections to the nodes that run something (tails.h). One that fails is left alone for a while:
 * the flock will find out what is wrong with it, and who else runs what it ran. */
#include "ctl/tails.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/roster.h"

#include <stdlib.h>

enum {
    PEERS_MAX = 64,           /* nodes followed at once: more than a screen has room for */
    AGAIN_AFTER = 3 * SECOND, /* a node that failed */
    SILENCE = 3 * SECOND,
};

struct tail_peer {
    struct id node;
    struct connection *connection; /* NULL: not open */
    instant retry;
};

struct tails {
    struct session *session;
    struct tail_peer peers[PEERS_MAX];
    size_t peers_count;
    uint64_t request;
};

struct tails *tails_open(struct session *session)
{
    struct tails *tails = calloc(1, sizeof *tails);
    if (tails == NULL) notice_no_memory();
    tails->session = session;
    return tails;
}

void tails_close(struct tails *tails)
{
    if (tails == NULL) return;
    for (size_t i = 0; i < tails->peers_count; i++) connection_close(tails->peers[i].connection);
    free(tails);
}

static struct tail_peer *find(struct tails *tails, const struct id *node)
{
    for (size_t i = 0; i < tails->peers_count; i++)
        if (id_equal(&tails->peers[i].node, node)) return &tails->peers[i];
    if (tails->peers_count == PEERS_MAX) return NULL;
    struct tail_peer *peer = &tails->peers[tails->peers_count++];
    *peer = (struct tail_peer){.node = *node};
    return peer;
}

/* Where the node is now, by the session's peer. */
static bool find_address(struct session *session, const struct id *node,
                         char text[ADDRESS_TEXT_SIZE])
{
    struct roster roster;
    bool is_found = false;
    int code = roster_init(&roster, session);
    for (size_t i = 0; code == EXIT_OK && i < roster.count && !is_found; i++) {
        const struct msg_member_claim *claim = &roster.rows[i].claim;
        is_found = id_equal(&claim->node, node);
        if (is_found) (void)address_text(&claim->address, text);
    }
    roster_deinit(&roster);
    return is_found;
}

static void fail(struct tail_peer *peer)
{
    connection_close(peer->connection);
    peer->connection = NULL;
    peer->retry = clock_now() + AGAIN_AFTER;
}

static bool is_open(struct tails *tails, struct tail_peer *peer)
{
    char address[ADDRESS_TEXT_SIZE], why[CONNECTION_WHY_SIZE];
    if (peer->connection != NULL) return true;
    if (clock_now() < peer->retry) return false;
    if (find_address(tails->session, &peer->node, address) &&
        connection_open(session_connections(tails->session), address, CHANNEL_CLIENT,
                        &peer->connection, why) == ARRIVAL_OK)
        return true;
    fail(peer);
    return false;
}

const struct msg_say_tail *tails_ask(struct tails *tails, const struct id *node,
                                     const char *attempt, uint64_t behind)
{
    struct tail_peer *peer = find(tails, node);
    if (peer == NULL || !is_open(tails, peer)) return NULL;
    struct msg_ask_tail ask = {
        .request = ++tails->request, .attempt = slice_string(attempt), .behind = behind};
    struct wire_message reply;
    enum arrival arrival = connection_send(peer->connection, &wire_ask_tail, &ask);
    while (arrival == ARRIVAL_OK) {
        arrival = connection_receive(peer->connection, SILENCE, &reply);
        if (arrival != ARRIVAL_OK) break;
        /* An older version, or a job that it has not heard of. */
        if (reply.type == MSG_say_error) return NULL;
        const struct msg_say_tail *say = reply.fields;
        if (reply.type != MSG_say_tail || say->request != ask.request) continue;
        return say->is_running ? say : NULL;
    }
    fail(peer);
    return NULL;
}
