/* A node's directory on this machine (lending.h). Where it is, the node says on a stream of its
 * own: one of an earlier version ends a stream on which it is asked what it does not know. What
 * stands at that place on this machine may belong to another node, or to nobody. Then the node does
 * not find what was lent, and the bytes are sent after all; and no block is found, or it is the one
 * that was meant.
 *
 * The node's threads must not wait for a server of files, nor for somebody's program: only what is
 * on a disk, or in memory, is lent. */
#include "ctl/lending.h"

#include "ctl/keys.h"
#include "wire/kinds.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    LENDING_VERSION = 1,
    ANSWER_LIMIT = 2 * SECOND, /* of a node on this machine */
    XFS_MAGIC = 0x58465342,    /* as statfs(2) has it */
};

/* Opens the directory that the peer names; -1: it names none that is ours. */
static int find_directory(const struct session *session, const char *peer)
{
    const struct msg_ask_lending ask = {LENDING_VERSION};
    struct connection *connection = NULL;
    struct wire_message message;
    char why[CONNECTION_WHY_SIZE], path[4096 + 1];
    int directory = -1;
    if (!session_is_local(session)) return -1;
    enum arrival arrival =
        connection_open(session_connections(session), peer, CHANNEL_BULK, &connection, why);
    bool is_asked =
        arrival == ARRIVAL_OK && connection_send(connection, &wire_ask_lending, &ask) == ARRIVAL_OK;
    if (is_asked && connection_receive(connection, ANSWER_LIMIT, &message) == ARRIVAL_OK &&
        message.type == MSG_lending) {
        struct slice text = ((const struct msg_lending *)message.fields)->directory;
        bool is_path = text.count > 0 && text.count < sizeof path && text.at[0] == '/' &&
                       memchr(text.at, 0, text.count) == NULL;
        snprintf(path, sizeof path, "%.*s", is_path ? (int)text.count : 0, (const char *)text.at);
        if (is_path) directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    connection_close(connection);
    return directory;
}

static bool is_on_disk(int file)
{
    struct statfs system;
    if (fstatfs(file, &system) != 0) return false;
    switch ((unsigned long)system.f_type) {
    case EXT4_SUPER_MAGIC: /* and ext2, ext3 */
    case XFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case TMPFS_MAGIC: return true;
    default: return false;
    }
}

/* One datagram: the token and the descriptor. */
static bool hand_in(int directory, int file, const struct id *token)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct id bytes = *token;
    struct iovec part = {&bytes, sizeof bytes};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof file)] = {0};
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sizeof name,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof file);
    memcpy(CMSG_DATA(passed), &file, sizeof file);
    /* A socket's path has but 108 bytes: it goes through the descriptor of its directory. */
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/" LENDING_SOCKET, directory);
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_sent = sender >= 0 && sendmsg(sender, &message, MSG_NOSIGNAL) == sizeof bytes;
    if (sender >= 0) close(sender);
    return is_sent;
}

/* The peer's directory; -1: none that we know. */
static int directory_of(struct lending *lending, const struct session *session)
{
    const char *peer = session_peer(session);
    if (strcmp(lending->peer, peer) == 0) return lending->directory;
    lending_deinit(lending);
    snprintf(lending->peer, sizeof lending->peer, "%s", peer);
    lending->directory = find_directory(session, lending->peer);
    return lending->directory;
}

bool lending_lend(struct lending *lending, const struct session *session, int file,
                  struct id *token)
{
    int directory = is_on_disk(file) ? directory_of(lending, session) : -1;
    if (directory < 0) return false;
    keys_random(token, sizeof *token);
    return hand_in(directory, file, token);
}

int lending_borrow(struct lending *lending, const struct session *session,
                   const struct digest *block)
{
    char name[DIGEST_TEXT_SIZE], path[sizeof "blocks/xx/" + DIGEST_TEXT_SIZE];
    int directory = directory_of(lending, session);
    if (directory < 0) return -1;
    digest_text(block, name);
    snprintf(path, sizeof path, "blocks/%.2s/%s", name, name); /* as io/blocks.h says */
    return openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

void lending_deinit(struct lending *lending)
{
    if (lending->peer[0] != '\0' && lending->directory >= 0) close(lending->directory);
    *lending = (struct lending){0};
}
