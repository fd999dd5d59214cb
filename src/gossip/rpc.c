/* Calls over datagrams (Birrell and Nelson, "Implementing Remote Procedure Calls", 1984; timers of
 * RFC 6298).
 *
 *   asker                                          answerer
 *     |--- request 7 ------------ lost                |
 *     |  timeout: again                               |
 *     |--- request 7 -------------------------------->| handled once; the answer is kept
 *     |          lost ----------- response 7 ---------|
 *     |  timeout, twice as long: again                |
 *     |--- request 7 -------------------------------->| a repeat: the kept answer again
 *     |<------------------------- response 7 ---------|
 *
 * The response acknowledges the request. Where the answer takes its time, the repeat is answered by
 * `request_taken`, and the asker waits without pressing.
 *
 * Numbers of requests are random in 64 bits: a node that started anew is not mistaken for the one
 * before. A round trip is measured only on calls that were not repeated (Karn), and the timeout of
 * a call doubles with each repeat.
 *
 * An answer is kept longer than its asker can go on asking, so no question is handled twice, unless
 * more than RPC_REPLIES_MAX come within that time: then the oldest goes. What is asked this way
 * must bear that (a pull does). */
#include "gossip/rpc.h"

#include <assert.h>
#include <string.h>

enum {
    RPC_TRIES_MAX = 6,                    /* 1 + 2 + 4 + ... first timeouts: 63 of them */
    RPC_TIMEOUT_LEAST = 50 * MILLISECOND, /* not RFC 6298's second: a busy machine's hiccup */
    RPC_TIMEOUT_MOST = 5 * SECOND,
    RPC_TAKEN_PATIENCE = 5 * SECOND, /* then it is asked again whether it is still taken */
    RPC_KEPT = 60 * SECOND,          /* more than 6 tries of at most 5 s take */
};

void rpc_init(struct rpc *rpc, const struct rpc_ports *ports, duration timeout_first,
              struct prng *prng, struct memory *memory)
{
    *rpc = (struct rpc){.ports = *ports,
                        .prng = prng,
                        .memory = memory,
                        .timeout_first = timeout_first,
                        .deadline = INSTANT_NEVER};
}

static void drop_body(struct rpc *rpc, struct slice *body)
{
    memory_put(rpc->memory, (void *)(uintptr_t)body->at, body->count);
    *body = slice_of(NULL, 0);
}

void rpc_deinit(struct rpc *rpc)
{
    if (rpc->tables == NULL) return;
    for (size_t i = 0; i < RPC_CALLS_MAX; i++) drop_body(rpc, &rpc->tables->calls[i].body);
    for (size_t i = 0; i < RPC_REPLIES_MAX; i++) drop_body(rpc, &rpc->tables->replies[i].body);
    memory_put(rpc->memory, rpc->tables, sizeof *rpc->tables);
    rpc->tables = NULL;
}

static bool have_tables(struct rpc *rpc)
{
    if (rpc->tables == NULL) rpc->tables = memory_take(rpc->memory, sizeof *rpc->tables);
    return rpc->tables != NULL;
}

static bool copy_body(struct rpc *rpc, struct slice body, struct slice *copy)
{
    *copy = slice_of(NULL, 0);
    if (body.count == 0) return true;
    uint8_t *at = memory_take(rpc->memory, body.count);
    if (at == NULL) return false;
    memcpy(at, body.at, body.count);
    *copy = slice_of(at, body.count);
    return true;
}

/* ---- round trips ---- */

static struct rpc_peer *find_peer(const struct rpc *rpc, const struct id *id)
{
    if (rpc->tables == NULL) return NULL;
    for (size_t i = 0; i < RPC_PEERS_MAX; i++) {
        struct rpc_peer *peer = &rpc->tables->peers[i];
        if (peer->used != 0 && id_equal(&peer->id, id)) return peer;
    }
    return NULL;
}

static struct rpc_peer *peer_of(struct rpc *rpc, const struct id *id)
{
    struct rpc_peer *peer = find_peer(rpc, id);
    if (peer != NULL) return peer;
    peer = &rpc->tables->peers[0];
    for (size_t i = 1; i < RPC_PEERS_MAX; i++)
        if (rpc->tables->peers[i].used < peer->used) peer = &rpc->tables->peers[i];
    *peer = (struct rpc_peer){.id = *id};
    return peer;
}

/* RFC 6298, section 2: (2.2) for the first sample, (2.3) for the others. */
static void measure(struct rpc *rpc, instant now, const struct id *id, duration sample)
{
    struct rpc_peer *peer = peer_of(rpc, id);
    bool is_first = peer->used == 0;
    duration apart = peer->srtt > sample ? peer->srtt - sample : sample - peer->srtt;
    peer->rttvar = is_first ? sample / 2 : (3 * peer->rttvar + apart) / 4;
    peer->srtt = is_first ? sample : (7 * peer->srtt + sample) / 8;
    peer->used = now > 0 ? now : 1;
}

static duration clamp(duration timeout)
{
    if (timeout < RPC_TIMEOUT_LEAST) return RPC_TIMEOUT_LEAST;
    return timeout < RPC_TIMEOUT_MOST ? timeout : RPC_TIMEOUT_MOST;
}

duration rpc_timeout(const struct rpc *rpc, const struct id *to)
{
    const struct rpc_peer *peer = find_peer(rpc, to);
    return clamp(peer == NULL ? rpc->timeout_first : peer->srtt + 4 * peer->rttvar);
}

/* ---- asking ---- */

static void due(struct rpc *rpc, instant when) { rpc->deadline = instant_min(rpc->deadline, when); }

static void ask(struct rpc *rpc, instant now, struct rpc_call *call)
{
    struct msg_request request = {.request = call->request, .body = call->body};
    call->sent = now;
    call->deadline = now + call->timeout;
    call->tries++;
    due(rpc, call->deadline);
    rpc->ports.send(rpc->ports.context, &call->to, &call->address, &wire_request, &request);
}

enum error rpc_call(struct rpc *rpc, instant now, const struct id *to,
                    const struct address *address, struct slice body)
{
    assert(body.count <= RPC_BODY_MAX);
    if (!have_tables(rpc)) return ERROR_MEMORY;
    struct rpc_call *call = rpc->tables->calls;
    while (call < rpc->tables->calls + RPC_CALLS_MAX && call->state != RPC_FREE) call++;
    if (call == rpc->tables->calls + RPC_CALLS_MAX) return ERROR_BUSY;
    struct slice copy;
    if (!copy_body(rpc, body, &copy)) return ERROR_MEMORY;
    *call = (struct rpc_call){.state = RPC_ASKED,
                              .request = prng_next(rpc->prng) | 1,
                              .to = *to,
                              .address = *address,
                              .timeout = rpc_timeout(rpc, to),
                              .body = copy};
    ask(rpc, now, call);
    return ERROR_NONE;
}

static struct rpc_call *find_call(const struct rpc *rpc, const struct id *from, uint64_t request)
{
    if (rpc->tables == NULL) return NULL;
    for (size_t i = 0; i < RPC_CALLS_MAX; i++) {
        struct rpc_call *call = &rpc->tables->calls[i];
        if (call->state != RPC_FREE && call->request == request && id_equal(&call->to, from))
            return call;
    }
    return NULL;
}

static void end_call(struct rpc *rpc, struct rpc_call *call, struct slice answer, bool is_answered)
{
    struct id to = call->to;
    drop_body(rpc, &call->body);
    call->state = RPC_FREE;
    rpc->ports.ended(rpc->ports.context, &to, answer, is_answered);
}

void rpc_on_response(struct rpc *rpc, instant now, const struct id *from,
                     const struct msg_response *response)
{
    struct rpc_call *call = find_call(rpc, from, response->request);
    if (call == NULL) return; /* the second copy of an answer, or too late */
    if (call->state == RPC_ASKED && call->tries == 1) measure(rpc, now, from, now - call->sent);
    end_call(rpc, call, response->body, true);
}

void rpc_on_taken(struct rpc *rpc, instant now, const struct id *from,
                  const struct msg_request_taken *taken)
{
    struct rpc_call *call = find_call(rpc, from, taken->request);
    if (call == NULL) return;
    if (call->state == RPC_ASKED && call->tries == 1) measure(rpc, now, from, now - call->sent);
    call->state = RPC_TAKEN;
    call->tries = 1; /* it lives: the count is of silence */
    call->deadline = now + RPC_TAKEN_PATIENCE;
    due(rpc, call->deadline);
}

static void tick_call(struct rpc *rpc, instant now, struct rpc_call *call)
{
    if (call->state == RPC_FREE) return;
    if (now >= call->deadline) {
        if (call->tries == RPC_TRIES_MAX) {
            end_call(rpc, call, slice_of(NULL, 0), false);
            return;
        }
        rpc->repeats_count++;
        if (call->state == RPC_ASKED) call->timeout = clamp(2 * call->timeout);
        ask(rpc, now, call);
    }
    due(rpc, call->deadline);
}

/* ---- answering ---- */

static struct rpc_reply *find_reply(struct rpc *rpc, const struct id *from, uint64_t request)
{
    for (size_t i = 0; i < RPC_REPLIES_MAX; i++) {
        struct rpc_reply *reply = &rpc->tables->replies[i];
        if (reply->request == request && id_equal(&reply->from, from)) return reply;
    }
    return NULL;
}

static void send_reply(struct rpc *rpc, const struct rpc_reply *reply)
{
    struct msg_response response = {.request = reply->request, .body = reply->body};
    struct msg_request_taken taken = {.request = reply->request};
    const struct wire_schema *schema = reply->is_ready ? &wire_response : &wire_request_taken;
    const void *message = reply->is_ready ? (const void *)&response : (const void *)&taken;
    rpc->ports.send(rpc->ports.context, &reply->from, &reply->address, schema, message);
}

/* A place for another: a free one, else the oldest. */
static struct rpc_reply *place_reply(struct rpc *rpc)
{
    struct rpc_reply *oldest = &rpc->tables->replies[0];
    for (size_t i = 0; i < RPC_REPLIES_MAX; i++) {
        struct rpc_reply *reply = &rpc->tables->replies[i];
        if (reply->request == 0) return reply;
        if (reply->since < oldest->since) oldest = reply;
    }
    drop_body(rpc, &oldest->body);
    return oldest;
}

void rpc_on_request(struct rpc *rpc, instant now, const struct id *from,
                    const struct address *address, const struct msg_request *request)
{
    if (request->request == 0 || !have_tables(rpc)) return;
    struct rpc_reply *reply = find_reply(rpc, from, request->request);
    if (reply != NULL) {
        rpc->duplicates_count++;
        reply->address = *address;
        send_reply(rpc, reply);
        return;
    }
    uint8_t bytes[RPC_BODY_MAX];
    struct writer answer = writer_of(bytes, sizeof bytes);
    reply = place_reply(rpc);
    *reply = (struct rpc_reply){.from = *from,
                                .address = *address,
                                .request = request->request,
                                .ticket = ++rpc->ticket_last,
                                .since = now};
    due(rpc, now + RPC_KEPT);
    const struct rpc_ports *ports = &rpc->ports;
    if (!ports->handle(ports->context, from, request->body, reply->ticket, &answer)) return;
    assert(!answer.is_full);
    rpc_reply(rpc, now, reply->ticket, slice_of(bytes, answer.written));
}

void rpc_reply(struct rpc *rpc, instant now, uint64_t ticket, struct slice body)
{
    assert(body.count <= RPC_BODY_MAX);
    for (size_t i = 0; i < RPC_REPLIES_MAX && rpc->tables != NULL; i++) {
        struct rpc_reply *reply = &rpc->tables->replies[i];
        if (reply->request == 0 || reply->ticket != ticket || reply->is_ready) continue;
        if (!copy_body(rpc, body, &reply->body)) return; /* it will be asked again, in vain */
        reply->is_ready = true;
        reply->since = now;
        send_reply(rpc, reply);
    }
}

static void tick_reply(struct rpc *rpc, instant now, struct rpc_reply *reply)
{
    if (reply->request == 0) return;
    if (now - reply->since >= RPC_KEPT) {
        drop_body(rpc, &reply->body);
        reply->request = 0;
        return;
    }
    due(rpc, reply->since + RPC_KEPT);
}

/* ---- time ---- */

void rpc_tick(struct rpc *rpc, instant now)
{
    if (now < rpc->deadline || rpc->tables == NULL) return;
    rpc->deadline = INSTANT_NEVER;
    for (size_t i = 0; i < RPC_CALLS_MAX; i++) tick_call(rpc, now, &rpc->tables->calls[i]);
    for (size_t i = 0; i < RPC_REPLIES_MAX; i++) tick_reply(rpc, now, &rpc->tables->replies[i]);
}

instant rpc_deadline(const struct rpc *rpc) { return rpc->deadline; }
