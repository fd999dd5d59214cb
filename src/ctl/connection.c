/* mrctl's side of a stream: a socket, and the channel state machine (wire/channel.h) over it.
 * Blocking in the small (one poll for one wait) because mrctl does one thing at a time; every wait
 * has a limit, ends with the command's deadline and with ^C. Nagle is off: requests are single
 * small records. */
#include "ctl/connection.h"

#include "base/memory.h"
#include "ctl/clock.h"
#include "ctl/keys.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT_LIMIT = 2 * SECOND,   /* a living host answers within a round trip or three */
    HANDSHAKE_LIMIT = 5 * SECOND, /* a loaded node still signs within it */
    SEND_LIMIT = 30 * SECOND,     /* no byte taken for so long: that is no slow disk */
    READ_SIZE = 128 * 1024,
    ARENA_SIZE = 16 << 20, /* the lists of the largest record; untouched pages cost nothing */
};

struct connection {
    const struct connection_config *config;
    struct memory memory;
    struct channel *channel;
    int fd;
    bool is_local;
    char address[CONNECTION_ADDRESS_SIZE];
    uint8_t *input;    /* READ_SIZE */
    uint8_t *plain;    /* CHANNEL_RECORD_MAX: a message to send */
    uint8_t *sealed;   /* the same, sealed */
    struct slice rest; /* of the last record: messages not yet taken */
    struct arena arena;
};

bool connection_parse(const char *text, char host[CONNECTION_ADDRESS_SIZE], char port[8])
{
    const char *end, *colon;
    snprintf(port, 8, "%d", CONNECTION_PORT);
    if (*text == '[') {
        end = strchr(++text, ']');
        if (end == NULL) return false;
        colon = end[1] == '\0' ? NULL : end + 1;
        if (colon != NULL && *colon != ':') return false;
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL) colon = NULL; /* bare IPv6 */
        end = colon != NULL ? colon : text + strlen(text);
    }
    size_t count = (size_t)(end - text);
    if (count == 0 || count >= CONNECTION_ADDRESS_SIZE) return false;
    memcpy(host, text, count);
    host[count] = '\0';
    if (colon == NULL) return true;
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0') return false;
    long number = strtol(colon + 1, NULL, 10);
    if (number < 1 || number > 65535) return false;
    snprintf(port, 8, "%ld", number);
    return true;
}

/* Waits until the socket is ready for events, up to limit. */
static enum arrival await(const struct connection_config *config, int fd, short events,
                          instant limit)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events},
                                {.fd = config->cancel_fd, .events = POLLIN}};
        instant now = clock_now(), until = instant_min(limit, config->deadline);
        int timeout = until <= now ? 0 : (int)instant_min((until - now) / MILLISECOND + 1, 3600000);
        int ready = poll(fds, 2, timeout);
        if (ready < 0 && errno != EINTR) return ARRIVAL_CLOSED;
        if (ready > 0 && fds[1].revents != 0) return ARRIVAL_CANCELLED;
        if (ready > 0 && fds[0].revents != 0) return ARRIVAL_OK;
        now = clock_now();
        if (now >= config->deadline) return ARRIVAL_EXPIRED;
        if (now >= limit) return ARRIVAL_SILENT;
    }
}

/* Connects one socket address. *fd is open only when ARRIVAL_OK. */
static enum arrival connect_one(const struct connection_config *config, const struct addrinfo *info,
                                int *fd, char why[CONNECTION_WHY_SIZE])
{
    int error = 0, one = 1;
    socklen_t error_size = sizeof error;
    int flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    *fd = socket(info->ai_family, flags, 0);
    if (*fd < 0) {
        snprintf(why, CONNECTION_WHY_SIZE, "%s", strerror(errno));
        return ARRIVAL_UNREACHABLE;
    }
    enum arrival arrival = ARRIVAL_OK;
    if (connect(*fd, info->ai_addr, info->ai_addrlen) != 0) error = errno;
    if (error == EINPROGRESS) {
        arrival = await(config, *fd, POLLOUT, clock_now() + CONNECT_LIMIT);
        error = 0;
        if (arrival == ARRIVAL_SILENT) error = ETIMEDOUT;
        if (arrival == ARRIVAL_OK) getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    }
    if (error != 0) arrival = ARRIVAL_UNREACHABLE;
    if (arrival == ARRIVAL_OK) {
        setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return ARRIVAL_OK;
    }
    snprintf(why, CONNECTION_WHY_SIZE, "%s", strerror(error));
    close(*fd);
    return arrival;
}

static enum arrival connect_host(const struct connection_config *config, const char *address,
                                 int *fd, char why[CONNECTION_WHY_SIZE])
{
    char host[CONNECTION_ADDRESS_SIZE], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *infos = NULL;
    if (!connection_parse(address, host, port)) {
        snprintf(why, CONNECTION_WHY_SIZE, "not HOST:PORT");
        return ARRIVAL_UNREACHABLE;
    }
    int error = getaddrinfo(host, port, &hints, &infos);
    if (error != 0) {
        snprintf(why, CONNECTION_WHY_SIZE, "%s", gai_strerror(error));
        return ARRIVAL_UNREACHABLE;
    }
    enum arrival arrival = ARRIVAL_UNREACHABLE;
    for (const struct addrinfo *info = infos; info != NULL; info = info->ai_next) {
        arrival = connect_one(config, info, fd, why);
        if (arrival != ARRIVAL_UNREACHABLE) break;
    }
    freeaddrinfo(infos);
    return arrival;
}

static enum arrival send_all(struct connection *connection, struct slice bytes)
{
    while (bytes.count > 0) {
        ssize_t sent = send(connection->fd, bytes.at, bytes.count, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = slice_of(bytes.at + sent, bytes.count - (size_t)sent);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return ARRIVAL_CLOSED;
        enum arrival arrival =
            await(connection->config, connection->fd, POLLOUT, clock_now() + SEND_LIMIT);
        if (arrival != ARRIVAL_OK) return arrival;
    }
    return ARRIVAL_OK;
}

/* Bytes that have come, into the channel. *refusal: why the channel does not like them; static. */
static enum arrival take_bytes(struct connection *connection, instant limit, const char **refusal)
{
    *refusal = NULL;
    for (;;) {
        ssize_t got = recv(connection->fd, connection->input, READ_SIZE, 0);
        if (got == 0) return ARRIVAL_CLOSED;
        if (got > 0) {
            *refusal =
                channel_receive(connection->channel, slice_of(connection->input, (size_t)got));
            return *refusal == NULL ? ARRIVAL_OK : ARRIVAL_CLOSED;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return ARRIVAL_CLOSED;
        enum arrival arrival = await(connection->config, connection->fd, POLLIN, limit);
        if (arrival != ARRIVAL_OK) return arrival;
    }
}

static enum arrival shake_hands(struct connection *connection, char why[CONNECTION_WHY_SIZE])
{
    instant limit = clock_now() + HANDSHAKE_LIMIT;
    const char *refusal = NULL;
    enum arrival arrival = send_all(connection, channel_output(connection->channel));
    while (arrival == ARRIVAL_OK && channel_state(connection->channel) != CHANNEL_OPEN) {
        arrival = take_bytes(connection, limit, &refusal);
        if (arrival == ARRIVAL_OK)
            arrival = send_all(connection, channel_output(connection->channel));
    }
    if (arrival != ARRIVAL_CLOSED && arrival != ARRIVAL_SILENT) return arrival;
    snprintf(why, CONNECTION_WHY_SIZE, "%s",
             refusal != NULL             ? refusal
             : arrival == ARRIVAL_CLOSED ? "it hung up on us"
                                         : "it did not answer our greeting");
    return ARRIVAL_REFUSED;
}

/* All memory of a connection, the fd taken over. NULL when out of memory. */
static struct connection *allocate(const struct connection_config *config, const char *address,
                                   enum channel_purpose purpose)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return NULL;
    connection->config = config;
    connection->fd = -1;
    snprintf(connection->address, sizeof connection->address, "%s", address);
    memory_init(&connection->memory, SIZE_MAX);
    connection->input = malloc(READ_SIZE);
    connection->plain = malloc(CHANNEL_RECORD_MAX);
    connection->sealed = malloc(channel_sealed_size(CHANNEL_RECORD_MAX));
    void *arena = malloc(ARENA_SIZE);
    if (arena != NULL) arena_init(&connection->arena, arena, ARENA_SIZE);
    struct channel_config channel = {.keys = config->keys, .keys_count = config->keys_count};
    keys_random(channel.seed, sizeof channel.seed);
    connection->channel = channel_open(&connection->memory, &channel, true, purpose);
    explicit_bzero(channel.seed, sizeof channel.seed);
    if (connection->input != NULL && connection->plain != NULL && connection->sealed != NULL &&
        arena != NULL && connection->channel != NULL)
        return connection;
    connection_close(connection);
    return NULL;
}

/* Over the loopback device: also when it goes to another address of this machine. */
static bool is_on_this_machine(int fd)
{
    struct sockaddr_storage peer = {0}, own = {0};
    socklen_t peer_size = sizeof peer, own_size = sizeof own;
    char host[64] = "", here[64] = "";
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_size) != 0 ||
        getnameinfo((struct sockaddr *)&peer, peer_size, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0 ||
        getnameinfo((struct sockaddr *)&own, own_size, here, sizeof here, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return false;
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, here) == 0;
}

enum arrival connection_open(const struct connection_config *config, const char *address,
                             enum channel_purpose purpose, struct connection **connection,
                             char why[CONNECTION_WHY_SIZE])
{
    int fd;
    *connection = NULL;
    *why = '\0';
    enum arrival arrival = connect_host(config, address, &fd, why);
    if (arrival != ARRIVAL_OK) return arrival;
    struct connection *made = allocate(config, address, purpose);
    if (made == NULL) {
        close(fd);
        snprintf(why, CONNECTION_WHY_SIZE, "out of memory");
        return ARRIVAL_UNREACHABLE;
    }
    made->fd = fd;
    made->is_local = is_on_this_machine(fd);
    arrival = shake_hands(made, why);
    if (arrival == ARRIVAL_OK) *connection = made;
    else connection_close(made);
    return arrival;
}

void connection_limits(struct connection *connection, const struct connection_config *config)
{
    connection->config = config;
}

void connection_close(struct connection *connection)
{
    if (connection == NULL) return;
    if (connection->channel != NULL) channel_close(connection->channel);
    if (connection->fd >= 0) close(connection->fd);
    free(connection->input);
    free(connection->plain);
    free(connection->sealed);
    free(connection->arena.base);
    free(connection);
}

enum arrival connection_send_packed(struct connection *connection, struct slice packed)
{
    assert(packed.count > 0 && packed.count <= CHANNEL_RECORD_MAX);
    channel_send(connection->channel, packed, connection->sealed);
    return send_all(connection, slice_of(connection->sealed, channel_sealed_size(packed.count)));
}

enum arrival connection_send(struct connection *connection, const struct wire_schema *schema,
                             const void *fields)
{
    struct writer writer = writer_of(connection->plain, CHANNEL_RECORD_MAX);
    bool fits = wire_pack(schema, fields, &writer);
    assert(fits);
    return connection_send_packed(connection, slice_of(connection->plain, writer.written));
}

enum arrival connection_receive(struct connection *connection, duration silence,
                                struct wire_message *message)
{
    instant limit = clock_now() + silence;
    const char *refusal;
    while (connection->rest.count == 0) {
        if (channel_next(connection->channel, &connection->rest)) continue;
        enum arrival arrival = take_bytes(connection, limit, &refusal);
        if (arrival != ARRIVAL_OK) return arrival;
    }
    arena_reset(&connection->arena);
    const char *reason = wire_unpack(&connection->rest, message, &connection->arena);
    return reason == NULL ? ARRIVAL_OK : ARRIVAL_CLOSED;
}

int connection_descriptor(const struct connection *connection) { return connection->fd; }

const char *connection_address(const struct connection *connection) { return connection->address; }

bool connection_is_local(const struct connection *connection) { return connection->is_local; }
