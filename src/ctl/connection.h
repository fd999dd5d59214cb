/* One stream to one peer, from connect to close: blocking, with a limit on every wait. */
#ifndef CTL_CONNECTION_H
#define CTL_CONNECTION_H

#include "base/time.h"
#include "wire/channel.h"
#include "wire/wire.h"

enum {
    CONNECTION_PORT = 7437,        /* when an address names none */
    CONNECTION_ADDRESS_SIZE = 272, /* a host name (253), a port, brackets */
    CONNECTION_WHY_SIZE = 160,
};

/* How a wait ended. */
enum arrival {
    ARRIVAL_OK,
    ARRIVAL_UNREACHABLE, /* no such host, nobody listens, no answer to connect */
    ARRIVAL_REFUSED,     /* somebody listens, but the handshake did not succeed */
    ARRIVAL_CLOSED,      /* the stream ended or broke */
    ARRIVAL_SILENT,      /* nothing came for as long as the caller waits */
    ARRIVAL_EXPIRED,     /* --timeout is over */
    ARRIVAL_CANCELLED,   /* ^C */
};

/* What all connections of a command share. Borrowed until connection_close, so that ^C may be
 * caught from some point on. */
struct connection_config {
    const struct crypto_key *keys;
    size_t keys_count;
    instant deadline; /* of the whole command; INSTANT_NEVER */
    int cancel_fd;    /* readable: stop every wait; -1 */
};

struct connection;

/* Connects to address (HOST, HOST:PORT, [V6]:PORT, A.B.C.D:PORT), 2 s for each address of the host,
 * and shakes hands (5 s). ARRIVAL_OK: *connection is to be closed. Else why (for people) says what
 * happened. */
enum arrival connection_open(const struct connection_config *config, const char *address,
                             enum channel_purpose purpose, struct connection **connection,
                             char why[CONNECTION_WHY_SIZE]);
/* From now on other limits: for a last word when the command's time is over. */
void connection_limits(struct connection *connection, const struct connection_config *config);
/* NULL is fine. */
void connection_close(struct connection *connection);

/* Sends one message as one record; fields: struct msg_NAME of the schema. Waits up to 30 s for
 * room. */
enum arrival connection_send(struct connection *connection, const struct wire_schema *schema,
                             const void *fields);
/* The same for a message that is packed already. */
enum arrival connection_send_packed(struct connection *connection, struct slice packed);

/* The next message; borrowed until the next call of connection_receive. Waits up to `silence`. A
 * peer that sends what does not decode counts as ARRIVAL_CLOSED. */
enum arrival connection_receive(struct connection *connection, duration silence,
                                struct wire_message *message);

/* Readable when something may have come: for who waits for something else, too. */
int connection_descriptor(const struct connection *connection);
/* As given to connection_open. */
const char *connection_address(const struct connection *connection);
/* True when the peer itself is on this machine: loopback, or one of its own addresses. */
bool connection_is_local(const struct connection *connection);

/* Cuts HOST[:PORT] in two; host gets no brackets. False when text is no address. */
bool connection_parse(const char *text, char host[CONNECTION_ADDRESS_SIZE], char port[8]);

#endif
