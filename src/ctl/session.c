/* Requests, replies and fail-over. Any member can answer any request, so the death of the one we
 * talk to is a detail: the same packed bytes go to the next one that we know of. Members are asked
 * for at the start and every few seconds of a long wait, so that a flock may be replaced machine by
 * machine under a waiting mrctl. A reply repeats its request's number; what carries another number
 * is of a request that we no longer wait for. */
#include "ctl/session.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/peers.h"
#include "wire/kinds.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    RETRY_LIMIT = 30 * SECOND, /* a flock that lost a node answers again well before */
    RETRY_PAUSE = SECOND / 4,
    REFRESH_PERIOD = 5 * SECOND,    /* of the member list, in a long wait */
    REFUSALS_MAX = 8,               /* peers that are leaving, one after the other */
    START_LIMIT = 15 * SECOND,      /* for one pass over all remembered peers */
    CANDIDATES_MAX = PEERS_MAX + 2, /* and -n, and the default */
    REQUEST_SIZE_MAX = 512 << 10,   /* a job_spec with all its lists full */
    ERROR_SIZE = 8192 + 64,         /* say_error's text */
};

#define DEFAULT_NODE "127.0.0.1:7437"

struct session {
    const struct options *options;
    struct crypto_key keys[KEYS_MAX];
    struct connection_config config;
    struct connection *connection;      /* NULL: none now */
    char peer[CONNECTION_ADDRESS_SIZE]; /* the one we talk to, or talked to last */
    struct peers peers;                 /* known now */
    struct peers learning;              /* the list that is arriving */
    uint64_t slots, learning_slots;
    uint64_t numbers;       /* of requests: the last one */
    uint64_t asked;         /* number of the request we wait for */
    const char *asked_for;  /* its name; static */
    uint64_t asked_members; /* of the member list; 0: none under way */
    instant refreshed;
    uint8_t *request; /* packed: to be sent again */
    size_t request_size;
    duration patience;
    bool is_broken; /* the connection: found while sending */
    bool is_moving; /* on purpose, from a peer that lives */
    bool is_silent; /* without a word */
    unsigned moves;
    int interrupts_fd; /* -1 unless caught */
    char error[ERROR_SIZE];
};

static void set_error(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_error(struct session *session, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(session->error, sizeof session->error, format, arguments);
    va_end(arguments);
}

/* ---- members ---- */

static void request_members(struct session *session)
{
    struct msg_ask_members ask = {.request = ++session->numbers};
    session->asked_members = ask.request;
    session->refreshed = clock_now();
    peers_clear(&session->learning);
    session->learning_slots = 0;
    if (connection_send(session->connection, &wire_ask_members, &ask) != ARRIVAL_OK)
        session->is_broken = true;
}

static void learn_members(struct session *session, const struct msg_say_members *say)
{
    const struct msg_member_row *rows = say->members.at;
    char text[ADDRESS_TEXT_SIZE];
    for (uint32_t i = 0; i < say->members.count; i++) {
        const struct msg_member_claim *claim = &rows[i].claim;
        if (claim->state != MEMBER_ALIVE && claim->state != MEMBER_SUSPECT) continue;
        session->learning_slots += claim->slots;
        if (address_is_none(&claim->address) || claim->address.port == 0) continue;
        /* Another machine's loopback is not its address for us. */
        bool is_ours =
            !address_is_loopback(&claim->address) || connection_is_local(session->connection);
        if (is_ours) peers_learn(&session->learning, address_text(&claim->address, text));
    }
    if (say->more) return;
    session->asked_members = 0;
    session->slots = session->learning_slots;
    bool is_same = session->learning.count == session->peers.count;
    for (size_t i = 0; is_same && i < session->peers.count; i++)
        is_same = strcmp(session->peers.items[i], session->learning.items[i]) == 0;
    if (is_same || session->learning.count == 0) return;
    session->peers.count = session->learning.count;
    memcpy(session->peers.items, session->learning.items, sizeof session->peers.items);
    if (!session->options->is_alone) peers_save(&session->peers);
}

/* ---- finding a peer ---- */

/* Whom to try, in order: -n, then the known ones (from behind the last one on), then this machine;
 * but the one that has just died comes last. Who moves on goes round: each is tried once before any
 * comes again. */
static size_t candidates(const struct session *session, const char *list[CANDIDATES_MAX])
{
    size_t count = 0, start = 0;
    const struct peers *peers = &session->peers;
    const char *node = session->options->node;
    if (session->options->is_alone) {
        list[count++] = node;
        return count;
    }
    bool is_last = node != NULL && strcmp(node, session->peer) == 0;
    bool is_in_ring = false;
    for (size_t i = 0; session->is_moving && node != NULL && i < peers->count; i++)
        is_in_ring = is_in_ring || strcmp(peers->items[i], node) == 0;
    if (node != NULL && !is_last && !is_in_ring) list[count++] = node;
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->items[i], session->peer) == 0) start = i + 1;
    for (size_t i = 0; i < peers->count; i++) {
        const char *item = peers->items[(start + i) % peers->count];
        if (node == NULL || is_in_ring || strcmp(item, node) != 0) list[count++] = item;
    }
    if (is_in_ring) return count;
    if (node == NULL || is_last) list[count++] = node == NULL ? DEFAULT_NODE : node;
    return count;
}

static void note_move(const struct session *session, const char *from, const char *to)
{
    if (session->options->is_quiet || session->is_silent || *from == '\0' || strcmp(from, to) == 0)
        return;
    notice_line(session->is_moving ? "peer %s cannot take it, asking %s"
                                   : "peer %s gone, asking %s",
                from, to);
}

/* One pass over the candidates until `limit`. ARRIVAL_OK: connected, the members asked for. Else
 * the worst that happened: a refused handshake says more than a refused connection. */
static enum arrival connect_any(struct session *session, instant limit,
                                char why[CONNECTION_WHY_SIZE])
{
    const char *list[CANDIDATES_MAX];
    enum arrival worst = ARRIVAL_UNREACHABLE;
    char failed[CONNECTION_ADDRESS_SIZE], what[CONNECTION_WHY_SIZE];
    size_t count = candidates(session, list);
    snprintf(failed, sizeof failed, "%s", session->peer);
    for (size_t i = 0; i < count && (i == 0 || clock_now() < limit); i++) {
        enum arrival arrival =
            connection_open(&session->config, list[i], CHANNEL_CLIENT, &session->connection, what);
        if (arrival == ARRIVAL_OK) {
            note_move(session, failed, list[i]);
            snprintf(session->peer, sizeof session->peer, "%s", list[i]);
            session->is_broken = false;
            request_members(session);
            return ARRIVAL_OK;
        }
        if (arrival == ARRIVAL_EXPIRED || arrival == ARRIVAL_CANCELLED) return arrival;
        if (i == 0 || (arrival == ARRIVAL_REFUSED && worst != ARRIVAL_REFUSED)) {
            worst = arrival;
            snprintf(why, CONNECTION_WHY_SIZE, "%.40s: %.110s", list[i], what);
        }
        if (session->peer[0] == '\0') snprintf(failed, sizeof failed, "%s", list[0]);
    }
    return worst;
}

static int give_up(struct session *session, enum arrival arrival, const char *why)
{
    switch (arrival) {
    case ARRIVAL_EXPIRED: set_error(session, "timed out (--timeout)"); return EXIT_TIMED_OUT;
    case ARRIVAL_CANCELLED: session->error[0] = '\0'; return EXIT_INTERRUPTED;
    case ARRIVAL_REFUSED:
        set_error(session, "no peer reachable: %s; is the cluster key the right one (--key-file)?",
                  why);
        return EXIT_NO_PEER;
    case ARRIVAL_UNREACHABLE:
    case ARRIVAL_CLOSED:
    case ARRIVAL_SILENT: break;
    case ARRIVAL_OK: assert(false);
    }
    set_error(session, "no peer reachable: %s; start one (mrnode) or name one (-n HOST:PORT)", why);
    return EXIT_NO_PEER;
}

static void drop_connection(struct session *session)
{
    connection_close(session->connection);
    session->connection = NULL;
    session->asked_members = 0;
}

/* The peer is gone: finds another one and asks it the same. */
static int fail_over(struct session *session)
{
    char why[CONNECTION_WHY_SIZE] = "";
    instant limit = clock_now() + RETRY_LIMIT;
    drop_connection(session);
    if (session->options->is_alone) {
        snprintf(why, sizeof why, "%.40s: the connection ended, or nothing came", session->peer);
        return give_up(session, ARRIVAL_CLOSED, why);
    }
    for (;;) {
        enum arrival arrival = connect_any(session, limit, why);
        if (arrival == ARRIVAL_OK) break;
        bool is_over = arrival == ARRIVAL_EXPIRED || arrival == ARRIVAL_CANCELLED;
        if (is_over || clock_now() >= limit) return give_up(session, arrival, why);
        clock_sleep(RETRY_PAUSE);
    }
    session->moves++;
    struct slice packed = slice_of(session->request, session->request_size);
    if (packed.count > 0 && connection_send_packed(session->connection, packed) != ARRIVAL_OK)
        session->is_broken = true;
    return EXIT_OK;
}

int session_move(struct session *session, bool is_said)
{
    session->request_size = 0; /* nothing is under way */
    session->is_moving = true;
    session->is_silent = !is_said;
    int code = fail_over(session);
    session->is_moving = session->is_silent = false;
    return code;
}

/* ---- requests ---- */

void session_ask(struct session *session, const struct wire_schema *schema, void *fields,
                 duration patience)
{
    assert(wire_type(schema) >= MSG_ask_members && wire_type(schema) < MSG_say_ok);
    *(uint64_t *)fields = session->asked = ++session->numbers;
    session->asked_for = wire_name(schema);
    struct writer writer = writer_of(session->request, REQUEST_SIZE_MAX);
    bool fits = wire_pack(schema, fields, &writer);
    assert(fits);
    session->request_size = writer.written;
    session->patience = patience;
    if (session->connection == NULL) {
        session->is_broken = true;
        return;
    }
    struct slice packed = slice_of(session->request, session->request_size);
    if (connection_send_packed(session->connection, packed) != ARRIVAL_OK)
        session->is_broken = true;
}

bool session_tell(struct session *session, const struct wire_schema *schema, void *fields)
{
    session_ask(session, schema, fields, SESSION_PATIENCE);
    return !session->is_broken;
}

/* The peer says no. Its code is an exit code of ours. */
static int refusal(struct session *session, const struct msg_say_error *say)
{
    if (say->code == UNKNOWN_CODE) {
        const struct command *command = session->options->command;
        set_error(session,
                  "node %s is older than this mrctl and does not know what %s asks for (%s); "
                  "update it, or ask a newer one (-n HOST:PORT)",
                  session->peer, command == NULL ? "it" : command->name, session->asked_for);
        return EXIT_JOB_FAILED;
    }
    bool has_text = say->text.count > 0;
    set_error(session, "%.*s", has_text ? (int)say->text.count : 10,
              has_text ? (const char *)say->text.at : "it refuses");
    bool is_known = say->code >= EXIT_JOB_FAILED && say->code <= EXIT_PARTIAL;
    return is_known || say->code == EXIT_TIMED_OUT ? say->code : EXIT_JOB_FAILED;
}

/* say_ok without a text: the answer takes time, and the peer is alive. */
static bool is_sign_of_life(const struct wire_message *message)
{
    return message->type == MSG_say_ok &&
           ((const struct msg_say_ok *)message->fields)->text.count == 0;
}

/* One message that has come; EXIT_OK with *is_reply false: it was not for the caller. */
static int judge(struct session *session, unsigned expects, const struct wire_message *message,
                 bool *is_reply)
{
    *is_reply = false;
    if (message->type < MSG_say_ok) return EXIT_OK;
    uint64_t number = *(const uint64_t *)message->fields;
    if (number == session->asked_members && message->type == MSG_say_members) {
        learn_members(session, message->fields);
        return EXIT_OK;
    }
    if (number != session->asked) return EXIT_OK;
    if (message->type == MSG_say_error) return refusal(session, message->fields);
    if (is_sign_of_life(message)) return EXIT_OK;
    *is_reply = message->type == expects;
    if (*is_reply) return EXIT_OK;
    set_error(session, "peer %s gave an answer that this version does not know", session->peer);
    return EXIT_JOB_FAILED;
}

int session_reply(struct session *session, unsigned expects, struct wire_message *reply)
{
    for (unsigned refusals = 0;;) {
        bool is_reply = false;
        int code = session->is_broken ? fail_over(session) : EXIT_OK;
        if (code != EXIT_OK) return code;
        if (session->is_broken) continue;
        if (session->asked_members == 0 && clock_now() - session->refreshed > REFRESH_PERIOD)
            request_members(session);
        enum arrival arrival = connection_receive(session->connection, session->patience, reply);
        if (arrival == ARRIVAL_EXPIRED || arrival == ARRIVAL_CANCELLED)
            return give_up(session, arrival, "");
        if (arrival != ARRIVAL_OK) {
            session->is_broken = true;
            continue;
        }
        code = judge(session, expects, reply, &is_reply);
        if (code == EXIT_NO_PEER && refusals++ < REFUSALS_MAX) {
            /* It says so itself: it can't serve now, it leaves. Another one can. */
            session->is_broken = true;
            clock_sleep(RETRY_PAUSE);
            continue;
        }
        if (code != EXIT_OK || is_reply) return code;
    }
}

int session_complain(const struct session *session, int code)
{
    if (code != EXIT_OK && session->error[0] != '\0') notice_line("%s", session->error);
    return code;
}

int session_call(struct session *session, const struct wire_schema *schema, void *fields,
                 unsigned expects, struct wire_message *reply)
{
    session_ask(session, schema, fields, SESSION_PATIENCE);
    return session_complain(session, session_reply(session, expects, reply));
}

/* ---- beginning and end ---- */

/* The first answer: waits until the whole member list is here. */
static int first_members(struct session *session)
{
    struct msg_ask_info ask = {0};
    struct wire_message reply;
    session_ask(session, &wire_ask_info, &ask, SESSION_PATIENCE);
    int code = session_reply(session, MSG_say_info, &reply);
    session->request_size = 0; /* not to be asked again */
    return code;
}

int session_open(struct session **result, const struct options *options)
{
    char why[CONNECTION_WHY_SIZE] = "";
    size_t keys_count = 0;
    *result = NULL;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) notice_no_memory();
    session->options = options;
    session->interrupts_fd = -1;
    session->request = malloc(REQUEST_SIZE_MAX);
    if (session->request == NULL) notice_no_memory();
    int code = keys_read(options->key_file, session->keys, &keys_count);
    if (code == EXIT_OK) {
        instant now = clock_now();
        instant deadline =
            options->timeout_ms == 0 || options->timeout_ms > INT64_MAX / (2 * MILLISECOND)
                ? INSTANT_NEVER
                : now + (instant)options->timeout_ms * MILLISECOND;
        session->config = (struct connection_config){
            .keys = session->keys, .keys_count = keys_count, .deadline = deadline, .cancel_fd = -1};
        if (!options->is_alone) peers_load(&session->peers, &session->keys[0], options->node);
        enum arrival arrival = connect_any(session, now + START_LIMIT, why);
        code = arrival == ARRIVAL_OK ? first_members(session) : give_up(session, arrival, why);
        session_complain(session, code);
    }
    if (code == EXIT_OK) *result = session;
    else session_close(session);
    return code;
}

void session_close(struct session *session)
{
    if (session == NULL) return;
    session_release_interrupts(session);
    connection_close(session->connection);
    free(session->request);
    explicit_bzero(session->keys, sizeof session->keys);
    free(session);
}

void session_catch_interrupts(struct session *session)
{
    sigset_t set;
    if (session->interrupts_fd >= 0) return;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    session->interrupts_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    session->config.cancel_fd = session->interrupts_fd;
}

void session_release_interrupts(struct session *session)
{
    sigset_t set;
    struct signalfd_siginfo taken;
    if (session->interrupts_fd < 0) return;
    session->config.cancel_fd = -1;
    /* One that has ended a wait must not end the program as well. */
    while (read(session->interrupts_fd, &taken, sizeof taken) > 0) continue;
    close(session->interrupts_fd);
    session->interrupts_fd = -1;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

const char *session_error(const struct session *session) { return session->error; }

unsigned session_moves(const struct session *session) { return session->moves; }

const char *session_peer(const struct session *session) { return session->peer; }

const struct peers *session_peers(const struct session *session) { return &session->peers; }

bool session_is_local(const struct session *session)
{
    return session->connection != NULL && connection_is_local(session->connection);
}

uint64_t session_slots(const struct session *session) { return session->slots; }

const struct connection_config *session_connections(const struct session *session)
{
    return &session->config;
}

const struct options *session_options(const struct session *session) { return session->options; }
