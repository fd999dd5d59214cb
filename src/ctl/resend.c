/* Blocks that were sent and lost: the disk filled amid one, it came as other bytes than were sent,
 * or who had it is gone (resume.c). What else was sent is where it was sent to; so these alone are
 * read once more, and sent again: where the bytes came as others to the same peer, where there was
 * no room to another.
 *
 * An input that has changed since would become a dataset that never was: its XXH3 is compared. What
 * was lent and could not be read (ctl/lending.h) has none: nobody had read it. */
#include "ctl/exits.h"
#include "ctl/making.h"
#include "ctl/notice.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    ROUNDS_MAX = 5, /* each after more losses */
};

static int has_changed(const struct input *input)
{
    notice_line("%s: it has changed while it was sent: put it once it is written", input->name);
    return EXIT_USAGE;
}

/* Bytes from there on, as many as there are; *left: of the block. */
static int send_range(struct making *making, size_t index, uint64_t offset, uint64_t *left)
{
    const struct input *input = &making->plan->inputs->items[index];
    int code = EXIT_OK, fd = input->is_rereadable ? inputs_descriptor(input) : -1;
    ssize_t got = input->is_rereadable && fd < 0 ? -1 : 1;
    if (input->kind == INPUT_DIRECTORY) got = 0;
    while (code == EXIT_OK && *left > 0 && got > 0) {
        size_t wanted = *left < MAKING_READ_SIZE ? (size_t)*left : MAKING_READ_SIZE;
        do got = making_read(making, index, fd, offset, making->buffer, wanted);
        while (got < 0 && errno == EINTR);
        if (got <= 0) break;
        code = upload_bytes(&making->upload, slice_of(making->buffer, (size_t)got));
        offset += (uint64_t)got;
        *left -= (uint64_t)got;
    }
    if (got < 0 && !input->is_rereadable) {
        notice_line("%s: no living node has its bytes from %llu on, and they can't be read again: "
                    "save it to a file, and take that",
                    input->kind == INPUT_STDIN ? "standard input" : input->name,
                    (unsigned long long)offset);
        code = EXIT_NO_PEER;
    } else if (got < 0) {
        notice_line("%s: at offset %llu: %s", input->name, (unsigned long long)offset,
                    strerror(errno));
        code = EXIT_USAGE;
    }
    if (fd >= 0 && fd != STDIN_FILENO) close(fd);
    return code;
}

/* Its cut is made: who has not as much room has none. */
static int find_room(struct making *making, uint64_t size)
{
    bool is_promised = making->upload.granted >= size && !making->upload.is_full;
    return is_promised ? EXIT_OK : making_ask_room(making, size, size);
}

/* It may go on into inputs behind the one in which it begins (making.is_packing). */
static int resend(struct making *making, size_t index)
{
    const struct inputs *inputs = making->plan->inputs;
    struct sending *sending = &making->sent[index];
    struct msg_block_ref block;
    uint64_t offset = making->blocks[index].offset, left = making->blocks[index].block.size;
    size_t at = sending->input;
    int code = find_room(making, left);
    while (code == EXIT_OK && left > 0 && at < inputs->count) {
        code = send_range(making, at++, offset, &left);
        offset = 0;
    }
    if (code != EXIT_OK) return code;
    code = upload_end(&making->upload, &block);
    sending->at = making->upload.count - 1;
    bool is_same = sending->check == 0 || making->upload.checked == sending->check;
    is_same = is_same && left == 0;
    return code != EXIT_OK || is_same ? code : has_changed(&inputs->items[sending->input]);
}

int making_resend(struct making *making)
{
    struct upload *upload = &making->upload;
    int code = EXIT_OK;
    upload->may_lose = true;
    for (unsigned round = 0; upload->lost_count > 0 && round < ROUNDS_MAX; round++) {
        upload->lost_count = 0;
        for (size_t i = 0; i < making->count && code == EXIT_OK; i++) {
            size_t at = making->sent[i].at;
            if (at == SENT_NOT || (at != SENT_LOST && at >= upload->confirmed)) continue;
            if (at == SENT_LOST || digest_is_zero(&upload->blocks[at].digest))
                code = resend(making, i);
        }
        if (code == EXIT_OK) code = upload_finish(upload);
        if (code != EXIT_OK) return code;
    }
    return upload->lost_count == 0 ? EXIT_OK : UPLOAD_LOST;
}

int making_send_whole(struct making *making, struct slice bytes, struct msg_block_ref *block)
{
    struct upload *upload = &making->upload;
    upload->may_lose = true;
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        int code = upload->is_full ? making_go_on_elsewhere(making) : EXIT_OK;
        upload->lost_count = 0;
        if (code == EXIT_OK) code = upload_block(upload, bytes, block);
        if (code == EXIT_OK && !upload->is_kept) code = upload_finish(upload);
        if (code != EXIT_OK || upload->lost_count == 0) return code;
    }
    return UPLOAD_LOST;
}
