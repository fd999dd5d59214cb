/* UDP (udp.h). recvmmsg takes up to 16 datagrams in one system call; libuv wants 64 KiB of room for
 * each, whose pages are touched only as far as datagrams are long. */
#include "io/udp.h"

#include "io/loop.h"
#include "io/sockaddr.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { UDP_BUFFER_SIZE = 16 * (64 << 10) };

struct udp {
    struct loop *loop;
    uv_udp_t socket;
    int family;
    void *buffer;
    uint64_t unsent; /* datagrams that the kernel would not take */
};

enum error udp_open(struct loop *loop, int descriptor, int family, struct udp **out)
{
    struct udp *udp = calloc(1, sizeof *udp);
    if (udp == NULL) return ERROR_MEMORY;
    *udp = (struct udp){.loop = loop, .family = family};
    udp->buffer = mmap(NULL, UDP_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (udp->buffer == MAP_FAILED ||
        uv_udp_init_ex(&loop->uv, &udp->socket, AF_UNSPEC | UV_UDP_RECVMMSG) != 0) {
        if (udp->buffer != MAP_FAILED) munmap(udp->buffer, UDP_BUFFER_SIZE);
        free(udp);
        return ERROR_MEMORY;
    }
    udp->socket.data = udp;
    *out = udp;
    return uv_udp_open(&udp->socket, descriptor) == 0 ? ERROR_NONE : ERROR_SYSTEM;
}

static void on_allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    struct udp *udp = handle->data;
    (void)size;
    *buffer = uv_buf_init(udp->buffer, UDP_BUFFER_SIZE);
}

static void on_datagram(uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct udp *udp = socket->data;
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
    if (uv_udp_try_send(&udp->socket, &buffer, 1, (struct sockaddr *)&name) < 0) udp->unsent++;
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
