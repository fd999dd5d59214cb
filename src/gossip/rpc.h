/* Questions and answers over datagrams, which may be lost, doubled and come in any order: each
 * question is handled at most once, and its asker hears the answer or that there is none. For small
 * things alone: both fit into one datagram. Pure. */
#ifndef GOSSIP_RPC_H
#define GOSSIP_RPC_H

#include "base/error.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/time.h"
#include "wire/wire.h"

enum {
    RPC_BODY_MAX = 1200,  /* beside it the envelope, and what gossip piggybacks */
    RPC_CALLS_MAX = 16,   /* at once; a small pull a period needs one */
    RPC_PEERS_MAX = 16,   /* round trips remembered, the least lately used forgotten */
    RPC_REPLIES_MAX = 16, /* kept for who asks again; far more than come in RPC_KEPT */
};

struct rpc_ports {
    void *context;
    /* One datagram with this message to this node. Borrows. */
    void (*send)(void *context, const struct id *to, const struct address *address,
                 const struct wire_schema *schema, const void *message);
    /* A question, told once however often it came. Writes the answer and returns true; or false:
     * it will be given to rpc_reply with this ticket, later. */
    bool (*handle)(void *context, const struct id *from, struct slice body, uint64_t ticket,
                   struct writer *answer);
    /* The end of a call: its answer, or is_answered false: none came. Borrows. */
    void (*ended)(void *context, const struct id *to, struct slice answer, bool is_answered);
};

enum rpc_call_state {
    RPC_FREE = 0,
    RPC_ASKED, /* the question was sent; again at deadline */
    RPC_TAKEN, /* the other side has it and works on it; asked again only seldom */
};

struct rpc_call {
    enum rpc_call_state state;
    uint64_t request;
    struct id to;
    struct address address;
    instant sent, deadline;
    duration timeout;
    unsigned tries;
    struct slice body; /* ours */
};

/* What RFC 6298 keeps of a connection. */
struct rpc_peer {
    struct id id;
    instant used; /* 0 = this place is free */
    duration srtt, rttvar;
};

struct rpc_reply {
    struct id from;
    struct address address;
    uint64_t request; /* 0 = this place is free */
    uint64_t ticket;
    instant since;
    bool is_ready;
    struct slice body; /* ours */
};

/* What is kept at both sides; made at the first call or question, for most nodes need it seldom. */
struct rpc_tables {
    struct rpc_call calls[RPC_CALLS_MAX];
    struct rpc_peer peers[RPC_PEERS_MAX];
    struct rpc_reply replies[RPC_REPLIES_MAX];
};

struct rpc {
    struct rpc_ports ports;
    struct prng *prng;
    struct memory *memory;
    duration timeout_first; /* before anything was measured */
    struct rpc_tables *tables;
    uint64_t ticket_last;
    instant deadline; /* nothing is due before */
    uint64_t repeats_count, duplicates_count;
};

/* Borrows prng and memory. timeout_first: RFC 6298's initial one. */
void rpc_init(struct rpc *rpc, const struct rpc_ports *ports, duration timeout_first,
              struct prng *prng, struct memory *memory);
void rpc_deinit(struct rpc *rpc);

/* Asks. The end comes through ports.ended, never during this call. Copies body (at most
 * RPC_BODY_MAX bytes: asserted). ERROR_BUSY: too many calls are under way; ERROR_MEMORY. */
enum error rpc_call(struct rpc *rpc, instant now, const struct id *to,
                    const struct address *address, struct slice body) MUST_USE;
/* A late answer to the question of this ticket; nothing happens when its asker gave up. */
void rpc_reply(struct rpc *rpc, instant now, uint64_t ticket, struct slice body);

/* Authenticated messages, as they come. */
void rpc_on_request(struct rpc *rpc, instant now, const struct id *from,
                    const struct address *address, const struct msg_request *request);
void rpc_on_response(struct rpc *rpc, instant now, const struct id *from,
                     const struct msg_response *response);
void rpc_on_taken(struct rpc *rpc, instant now, const struct id *from,
                  const struct msg_request_taken *taken);

void rpc_tick(struct rpc *rpc, instant now);
instant rpc_deadline(const struct rpc *rpc);
/* How long a question to this node would wait before it is repeated. */
duration rpc_timeout(const struct rpc *rpc, const struct id *to);

#endif
