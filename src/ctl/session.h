/* A conversation with the flock: requests and replies with some living member; with another one
 * when it dies. */
#ifndef CTL_SESSION_H
#define CTL_SESSION_H

#include "ctl/connection.h"
#include "ctl/options.h"

#include <stddef.h>

struct peers;
struct session;

/* What a wait for replies is like. */
enum {
    SESSION_PATIENCE = 10 * SECOND,      /* a request without any answer: its peer is dead */
    SESSION_WATCH_PATIENCE = 5 * SECOND, /* ask_wait is answered every second */
    SESSION_COPY_PATIENCE = 60 * SECOND, /* blocks are being replicated before the answer */
};

/* Reads the key, finds a living peer (one pass over -n, the remembered members, and without -n this
 * machine), and learns the members from it. Borrows options until session_close. EXIT_OK; else said
 * on stderr: EXIT_DENIED without a key, EXIT_NO_PEER, EXIT_TIMED_OUT. */
int session_open(struct session **session, const struct options *options);
/* NULL is fine. */
void session_close(struct session *session);

/* Sends a request; fields is a struct msg_ask_*, whose first field (its number) is filled in. A
 * dead peer is found out by session_reply. Any earlier request is forgotten. */
void session_ask(struct session *session, const struct wire_schema *schema, void *fields,
                 duration patience);

/* The next reply of type `expects` to the last request; borrowed until the next session_* call.
 * say_ok without a text is a sign of life. When the peer dies, another member is asked the same
 * (requests are idempotent: they carry the id of what they change), for up to 30 s; so too when the
 * peer says that it can't serve now (it leaves). EXIT_OK; EXIT_NO_PEER, EXIT_TIMED_OUT,
 * EXIT_INTERRUPTED: the conversation is over; any other: the peer's refusal, in session_error. Says
 * nothing on stderr but "peer X gone, asking Y". */
int session_reply(struct session *session, unsigned expects, struct wire_message *reply);

/* Sends a request whose answer nobody waits for. False: the peer is gone, as
 * far as we know; then it is to be asked for like any other. */
bool session_tell(struct session *session, const struct wire_schema *schema, void *fields);

/* Both, and says on stderr what went wrong. */
int session_call(struct session *session, const struct wire_schema *schema, void *fields,
                 unsigned expects, struct wire_message *reply);
/* Says session_error on stderr, unless there is none to say (^C), and returns code. */
int session_complain(const struct session *session, int code);

/* Why the last session_reply was not EXIT_OK. Valid until the next one. */
const char *session_error(const struct session *session);
/* Goes on with another peer than this one, if there is one (this one comes last). is_said: a line
 * tells so. EXIT_OK, or as session_open. */
int session_move(struct session *session, bool is_said);
/* How often another peer had to be asked: what one peer alone knew (blocks just stored) may be gone
 * when it grows, and a list in several replies begins again. */
unsigned session_moves(const struct session *session);
/* The peer that answers: for bulk streams to it. Borrowed until the next session_* call. */
const char *session_peer(const struct session *session);
/* The living members, as far as the peers have told. Borrowed until the next session_* call. */
const struct peers *session_peers(const struct session *session);
/* Is it on this machine? */
bool session_is_local(const struct session *session);
/* Task slots of the living members. */
uint64_t session_slots(const struct session *session);
/* For connections of our own beside this one. */
const struct connection_config *session_connections(const struct session *session);
const struct options *session_options(const struct session *session);

/* From now on ^C and SIGTERM end the waits with EXIT_INTERRUPTED instead of the program; and
 * back. */
void session_catch_interrupts(struct session *session);
void session_release_interrupts(struct session *session);

#endif
