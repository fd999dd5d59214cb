/* UDP (udp.h). recvmmsg takes up to 16 datagrams in one system call; libuv wants 64 KiB of room for
 * each, whose pages are touched only as far as datagrams are long.
 *
 * A datagram to a closed port comes back as an ICMP message. With IP_RECVERR the kernel keeps it in
 * the socket's error queue, with the address it was sent to and what it quotes; the next call on
 * the socket fails once, whatever it is for. The queue is emptied whenever a call failed: while
 * anything is in it, poll says POLLERR, and the loop would spin. */
#include "io/udp.h"

#include "io/loop.h"
#include "io/sockaddr.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    UDP_BUFFER_SIZE = 16 * (64 << 10),
    UDP_QUOTED_MAX = 1500, /* a datagram of ours, and room */
    UDP_ERRORS_MAX = 256,  /* read at a time: a storm of them must not starve the datagrams */
    UDP_SEND_TRIES = 3,    /* a failed one may have told of an earlier datagram's fate only */
};

struct udp {
    struct loop *loop;
    uv_udp_t socket;
    int family;
    void *buffer;
    uint64_t unsent; /* datagrams that the kernel would not take */
};

static void tell_errors(int descriptor)
{
    int yes = 1; /* a kernel that can't is one without such news */
    (void)setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes);
    (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &yes, sizeof yes);
}

enum error udp_open(struct loop *loop, int descriptor, int family, struct udp **out)
{
    struct udp *udp = calloc(1, sizeof *udp);
    if (udp == NULL) return ERROR_MEMORY;
    *udp = (struct udp){.loop = loop, .family = family};
    udp->buffer =
        mmap(NULL, UDP_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (udp->buffer == MAP_FAILED ||
        uv_udp_init_ex(&loop->uv, &udp->socket, AF_UNSPEC | UV_UDP_RECVMMSG) != 0) {
        if (udp->buffer != MAP_FAILED) munmap(udp->buffer, UDP_BUFFER_SIZE);
        free(udp);
        return ERROR_MEMORY;
    }
    udp->socket.data = udp;
    *out = udp;
    tell_errors(descriptor);
    return uv_udp_open(&udp->socket, descriptor) == 0 ? ERROR_NONE : ERROR_SYSTEM;
}

static void on_allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    struct udp *udp = handle->data;
    (void)size;
    *buffer = uv_buf_init(udp->buffer, UDP_BUFFER_SIZE);
}

/* Does this item of the error queue say that a port was closed? */
static bool is_refusal(struct msghdr *message)
{
    struct sock_extended_err error;
    struct cmsghdr *item = CMSG_FIRSTHDR(message);
    for (; item != NULL; item = CMSG_NXTHDR(message, item)) {
        bool is_four = item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR;
        bool is_six = item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR;
        if (!is_four && !is_six) continue;
        memcpy(&error, CMSG_DATA(item), sizeof error);
        bool is_icmp =
            error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6;
        return is_icmp && error.ee_errno == ECONNREFUSED;
    }
    return false;
}

/* One item of the error queue; false when it is empty. */
static bool take_error(struct udp *udp)
{
    uint8_t quoted[UDP_QUOTED_MAX];
    uint8_t control[512] __attribute__((aligned(16)));
    struct sockaddr_storage to;
    struct iovec part = {quoted, sizeof quoted};
    struct msghdr message = {.msg_name = &to,
                             .msg_namelen = sizeof to,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    uv_os_fd_t descriptor;
    if (uv_fileno((uv_handle_t *)&udp->socket, &descriptor) != 0) return false;
    ssize_t count = recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (count < 0) return false;
    if (!is_refusal(&message) || message.msg_namelen == 0) return true;
    struct event event = {.kind = EVENT_REFUSED};
    event.refused.address = sockaddr_address((struct sockaddr *)&to);
    event.refused.quoted = slice_of(quoted, (size_t)count);
    loop_feed(udp->loop, &event);
    return true;
}

static void take_errors(struct udp *udp)
{
    for (unsigned i = 0; i < UDP_ERRORS_MAX && take_error(udp); i++) continue;
}

static void on_datagram(uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct udp *udp = socket->data;
    if (count <= 0) take_errors(udp);
    if (count <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0)
        return; /* cut: longer than any of ours */
    struct event event = {.kind = EVENT_DATAGRAM};
    event.datagram.from = sockaddr_address(from);
    event.datagram.bytes = slice_of(buffer->base, (size_t)count);
    loop_feed(udp->loop, &event);
}

enum error udp_start(struct udp *udp)
{
    return uv_udp_recv_start(&udp->socket, on_allocate, on_datagram) == 0 ? ERROR_NONE
                                                                          : ERROR_SYSTEM;
}

void udp_send(struct udp *udp, const struct address *to, struct slice bytes)
{
    struct sockaddr_storage name;
    if (!sockaddr_from(to, udp->family, &name)) {
        udp->unsent++;
        return;
    }
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.at, (unsigned)bytes.count);
    for (unsigned i = 0; i < UDP_SEND_TRIES; i++) {
        int sent = uv_udp_try_send(&udp->socket, &buffer, 1, (struct sockaddr *)&name);
        if (sent >= 0) return;
        if (sent == UV_EAGAIN) break;
    }
    udp->unsent++;
}

void udp_close(struct udp *udp)
{
    if (!uv_is_closing((uv_handle_t *)&udp->socket)) uv_close((uv_handle_t *)&udp->socket, NULL);
}

void udp_free(struct udp *udp)
{
    if (udp == NULL) return;
    munmap(udp->buffer, UDP_BUFFER_SIZE);
    free(udp);
}
