/* Going on after the death of the peer that blocks were sent to. Some of them are on other disks:
 * of each so many copies are made while the next ones come (node/early.c), and who leaves hands
 * over what it has. Blocks have their names, so the living are asked one after the other whether
 * they have them, and those that nobody has are sent again; what is there counts from then on as
 * sent there, and is not let go.
 *
 *   confirmed by the dead  --> found at a living node   kept
 *                          \-> not found                read again, sent again
 *   not confirmed          --------------------------> read again, sent again
 *   not read yet           --------------------------> as if nothing had been
 *
 * A pipe is read again out of the spool, as far as that goes back. A node of an earlier version
 * does not know the question, and ends the stream: then it has nothing. */
#include "ctl/exits.h"
#include "base/plural.h"
#include "ctl/making.h"
#include "ctl/notice.h"
#include "ctl/peers.h"
#include "ctl/quantity.h"

#include <string.h>

/* Who confirmed the upload's block at this place. */
static const char *holder_of(const struct upload *upload, size_t at)
{
    size_t leg = upload->legs_count;
    while (leg > 1 && upload->legs[leg - 1].first > at) leg--;
    return leg == 0 ? "" : upload->legs[leg - 1].address;
}

/* What is lost, and what may be. */
static void look_back(struct making *making, const char *gone)
{
    struct upload *upload = &making->upload;
    upload_lose(upload);
    /* So many that the oldest were forgotten: nobody knows any more who had which. */
    if (upload->legs_count == UPLOAD_LEGS_MAX) gone = NULL;
    for (size_t i = 0; i < making->count; i++) {
        struct sending *sent = &making->sent[i];
        if (sent->at == SENT_NOT || sent->at == SENT_LOST) continue;
        bool is_lost =
            sent->at >= upload->count || digest_is_zero(&upload->blocks[sent->at].digest);
        if (is_lost) sent->at = SENT_LOST;
        else if (gone == NULL || strcmp(holder_of(upload, sent->at), gone) == 0)
            sent->is_doubtful = true;
    }
}

static size_t doubtful_count(const struct making *making)
{
    size_t count = 0;
    for (size_t i = 0; i < making->count; i++) count += making->sent[i].is_doubtful;
    return count;
}

/* Asks this one for all that are doubtful. Trouble with it is an answer, too: it has nothing. */
static int ask_at(struct making *making, const char *address)
{
    struct upload *upload = &making->upload;
    size_t legs = upload->legs_count;
    int code = upload_move_to(upload, making->session, address);
    upload->may_lose = true;
    for (size_t i = 0; i < making->count; i++) making->sent[i].asked = SIZE_MAX;
    for (size_t i = 0; i < making->count && code == EXIT_OK; i++) {
        struct sending *sent = &making->sent[i];
        if (!sent->is_doubtful) continue;
        sent->asked = upload->count;
        code = upload_known(upload, &upload->blocks[sent->at]);
    }
    if (code == EXIT_OK) code = upload_finish(upload);
    if (code == UPLOAD_GONE) upload_lose(upload);
    bool is_found = false;
    for (size_t i = 0; i < making->count; i++) {
        struct sending *sent = &making->sent[i];
        if (!sent->is_doubtful || sent->asked == SIZE_MAX) continue;
        const struct msg_block_ref *told = &upload->blocks[sent->asked];
        if (!digest_equal(&told->digest, &upload->blocks[sent->at].digest)) continue;
        sent->at = sent->asked;
        sent->is_doubtful = false;
        is_found = true;
    }
    if (!is_found && legs < upload->legs_count) upload->legs_count = legs;
    return code == UPLOAD_GONE ? EXIT_OK : code;
}

/* The session's peer first: most should end there. */
static int find_elsewhere(struct making *making, const char *gone)
{
    const struct peers *peers = session_peers(making->session);
    char own[CONNECTION_ADDRESS_SIZE];
    snprintf(own, sizeof own, "%s", session_peer(making->session));
    size_t left = doubtful_count(making);
    int code = left == 0 ? EXIT_OK : ask_at(making, own);
    for (size_t i = 0; i < peers->count && code == EXIT_OK; i++) {
        const char *peer = peers->items[i];
        bool is_own = strcmp(peer, own) == 0, is_gone = gone != NULL && strcmp(peer, gone) == 0;
        if (is_own || is_gone || doubtful_count(making) == 0) continue;
        code = ask_at(making, peer);
    }
    return code;
}

/* What nobody has is lost. */
static void give_up_doubtful(struct making *making)
{
    struct upload *upload = &making->upload;
    upload->size = 0;
    upload->lost_count = 0;
    for (size_t i = 0; i < making->count; i++) {
        struct sending *sent = &making->sent[i];
        if (sent->is_doubtful) sent->at = SENT_LOST;
        sent->is_doubtful = false;
        upload->lost_count += sent->at == SENT_LOST;
        if (sent->at != SENT_NOT && sent->at != SENT_LOST)
            upload->size += making->blocks[i].block.size;
    }
}

static void tell(const struct making *making, size_t found, size_t lost)
{
    char size[QUANTITY_TEXT_SIZE];
    if (found == 0 || session_options(making->session)->is_quiet) return;
    notice_line("of what was sent the living have %s (%s); to be sent again: %zu",
                plural(found, "block").text, quantity_size_text(making->upload.size, size), lost);
}

int making_resume(struct making *making, const char *gone)
{
    struct upload *upload = &making->upload;
    upload->copies = making->is_plain ? 0 : making->plan->copies;
    look_back(making, gone);
    size_t found = doubtful_count(making);
    int code = find_elsewhere(making, gone);
    if (code != EXIT_OK) return code;
    found -= doubtful_count(making);
    give_up_doubtful(making);
    tell(making, found, upload->lost_count);
    code = upload_move(upload, making->session);
    return code == EXIT_OK ? making_resend(making) : code;
}
