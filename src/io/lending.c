/* Taking in what is lent (lending.h). A datagram is a token and one descriptor. It is here before
 * the client says so on its stream, because a datagram between two processes of one machine is in
 * the socket's queue when sendmsg returns: so nobody waits for anybody. The client has chosen the
 * token at random and says it on a sealed stream: so what comes under it is the client's.
 *
 * What nobody comes for within some seconds is closed again: its client is dead, and its file may
 * have been deleted to make room. */
#include "io/lending.h"

#include "io/loop.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LOANS_MAX = 64, /* of clients that have died before they named theirs, mostly */
    LOAN_LIFE = 5 * SECOND,
    SWEEP_MS = 1000,
};

struct loan {
    struct id token;
    int file;
    instant end;
};

struct lending {
    int socket;
    uv_poll_t arrival;
    uv_timer_t sweep;             /* while there are loans */
    struct loan loans[LOANS_MAX]; /* the oldest first */
    size_t count;
    const char *directory; /* absolute; borrowed */
};

/* A socket's path has but 108 bytes: it goes through the descriptor of its directory. */
static bool bind_in(int listener, const char *directory)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place < 0) return false;
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/" LENDING_SOCKET, place);
    bool is_free = unlinkat(place, LENDING_SOCKET, 0) == 0 || errno == ENOENT;
    /* The mode of the socket becomes that of its file (unix(7)): nobody else can write to it, from
     * its first moment on. */
    bool is_bound = is_free && fchmod(listener, S_IRUSR | S_IWUSR) == 0 &&
                    bind(listener, (struct sockaddr *)&name, sizeof name) == 0;
    close(place);
    return is_bound;
}

/* Reading it never waits for somebody: it is no pipe, no terminal, no socket. */
static bool is_readable_file(int file)
{
    struct stat status;
    int flags = fcntl(file, F_GETFL);
    if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) return false;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

/* Its descriptor is somebody else's now, or closed. */
static void remove_loan(struct lending *lending, size_t i)
{
    lending->count--;
    memmove(&lending->loans[i], &lending->loans[i + 1],
            (lending->count - i) * sizeof lending->loans[0]);
}

static void on_sweep(uv_timer_t *timer)
{
    struct lending *lending = timer->data;
    while (lending->count > 0 && lending->loans[0].end <= loop_now()) {
        close(lending->loans[0].file);
        remove_loan(lending, 0);
    }
    if (lending->count == 0) uv_timer_stop(timer);
}

static void add_loan(struct lending *lending, const struct loan *loan)
{
    if (lending->count == LOANS_MAX) {
        close(lending->loans[0].file);
        remove_loan(lending, 0);
    }
    lending->loans[lending->count++] = *loan;
    if (lending->count == 1) uv_timer_start(&lending->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

/* The descriptor that came with a message; -1: none did. There was room for one: the kernel has
 * closed further ones itself. */
static int passed_file(struct msghdr *message)
{
    int file = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        bool is_file = part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
                       part->cmsg_len >= CMSG_LEN(sizeof file);
        if (is_file) memcpy(&file, CMSG_DATA(part), sizeof file);
    }
    return file;
}

/* Takes one datagram in, if there is one. */
static bool receive_loan(struct lending *lending)
{
    struct loan loan = {.end = loop_now() + LOAN_LIFE};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&loan.token, sizeof loan.token};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_LEN(sizeof(int))}; /* no further ones */
    ssize_t got = recvmsg(lending->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) return errno == EINTR;
    loan.file = passed_file(&message);
    bool is_whole = got == sizeof loan.token && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    if (loan.file >= 0 && is_whole && is_readable_file(loan.file)) add_loan(lending, &loan);
    else if (loan.file >= 0) close(loan.file);
    return true;
}

static void on_arrival(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0) (void)receive_loan(poll->data); /* for the next one it is called again */
}

struct lending *lending_open(struct loop *loop, const char *directory)
{
    struct lending *lending = calloc(1, sizeof *lending);
    if (lending == NULL) return NULL;
    lending->directory = directory;
    lending->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_open = lending->socket >= 0 && bind_in(lending->socket, directory) &&
                   uv_poll_init(&loop->uv, &lending->arrival, lending->socket) == 0;
    if (!is_open) {
        lending_free(lending);
        return NULL;
    }
    int status = uv_timer_init(&loop->uv, &lending->sweep); /* it only fills in a struct */
    assert(status == 0);
    lending->arrival.data = lending->sweep.data = lending;
    status = uv_poll_start(&lending->arrival, UV_READABLE, on_arrival);
    assert(status == 0); /* it was initialized */
    (void)status;
    return lending;
}

void lending_close(struct lending *lending)
{
    uv_close((uv_handle_t *)&lending->arrival, NULL);
    uv_close((uv_handle_t *)&lending->sweep, NULL);
}

void lending_free(struct lending *lending)
{
    if (lending == NULL) return;
    for (size_t i = 0; i < lending->count; i++) close(lending->loans[i].file);
    if (lending->socket >= 0) close(lending->socket);
    free(lending);
}

/* The queue is short (net.unix.max_dgram_qlen), and might be full of what nobody comes for. */
const char *lending_offer(struct lending *lending)
{
    if (lending == NULL) return "";
    while (receive_loan(lending)) continue;
    return lending->directory;
}

int lending_take(struct lending *lending, const struct id *token)
{
    if (lending == NULL) return -1;
    while (receive_loan(lending)) continue;
    for (size_t i = 0; i < lending->count; i++) {
        if (!id_equal(&lending->loans[i].token, token)) continue;
        int file = lending->loans[i].file;
        remove_loan(lending, i);
        return file;
    }
    return -1;
}
