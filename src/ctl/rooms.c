/* Room for blocks (rooms.h). Who had none is remembered, so that it is known when all have been
 * asked; then all are asked again every few seconds for half a minute, without a word about each.
 */
#include "ctl/rooms.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE (30 * SECOND) /* when nobody has room: somebody may make some */
#define PAUSE (3 * SECOND)

static bool is_full(const struct rooms *rooms, const char *peer)
{
    for (size_t i = 0; i < rooms->fulls_count; i++)
        if (strcmp(rooms->fulls[i], peer) == 0) return true;
    return false;
}

static int give_up(const struct rooms *rooms, bool is_once)
{
    notice_line("no node has room for a block%s", rooms->fulls_count > 1 ? ":" : "");
    for (size_t i = 0; i < rooms->fulls_count; i++)
        notice_line("  %s has no space left", rooms->fulls[i]);
    notice_line("free some space there, or add a node%s",
                is_once ? "; what was read of standard input is not kept" : "");
    return EXIT_JOB_FAILED;
}

int rooms_next(struct rooms *rooms, struct session *session, const char *why, bool is_once)
{
    const char *peer = session_peer(session);
    if (!is_full(rooms, peer) && rooms->fulls_count < ROOMS_FULL_MAX)
        snprintf(rooms->fulls[rooms->fulls_count++], CONNECTION_ADDRESS_SIZE, "%s", peer);
    int code = session_move(session, rooms->roomless_since == 0);
    if (code == EXIT_TIMED_OUT) notice_line("timed out (--timeout): %s", why);
    else if (code != EXIT_OK) session_complain(session, code);
    if (code != EXIT_OK) return code;
    if (!is_full(rooms, session_peer(session))) return EXIT_OK;
    instant now = clock_now();
    if (rooms->roomless_since == 0) rooms->roomless_since = now;
    if (now - rooms->roomless_since >= PATIENCE) return give_up(rooms, is_once);
    if (now >= session_connections(session)->deadline) {
        notice_line("timed out (--timeout): %s", why);
        return EXIT_TIMED_OUT;
    }
    if (now == rooms->roomless_since && !session_options(session)->is_quiet)
        notice_line("no node has room for a block now; waiting for some");
    rooms->fulls_count = 0;
    clock_sleep(PAUSE);
    return EXIT_OK;
}
