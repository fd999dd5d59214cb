/* Cutting (making.h): bytes of files and pipes become blocks. Before a block it is found out where
 * there is room for it (rooms.h), so that what can't be read again need not be. */
#include "ctl/making.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/ranges.h"
#include "wire/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    QUIET_MS = 15 * 1000,    /* of a pipe: then the peer is told that we are still here */
    FILES_MAX = 65536,       /* as msg_manifest allows */
    ASK_ABOVE = 1 << 20,     /* what can be read again and is smaller is sent without a question */
    ASK_FOR = 256 << 20,     /* at once: an answer takes as long as what is under way to the peer */
    ASK_FOR_PIPE = 16 << 20, /* of what may end at any moment */
    LEAST_ROOM = 64 << 10,   /* a node with less than that is full */
    LEND_ABOVE = 4 << 20,    /* what is smaller is sent sooner than handed in */
    LENT_MAX = 64 << 20,     /* a block: there is no sign of life before it is stored */
    MOVES_MAX = 5,           /* to peers that are gone when we come */
};

/* ---- blocks ---- */

int making_add_block(struct making *making, const struct msg_manifest_block *block, size_t at)
{
    const struct dataset_plan *plan = making->plan;
    if (plan->visit != NULL) {
        struct dataset_split split = {.input = &plan->inputs->items[making->named],
                                      .block = *block};
        plan->visit(plan->context, &split);
    }
    size_t blocks_max = plan->is_shuffled ? JOB_MAPS_SHUFFLED_MAX : JOB_MAPS_MAX;
    if (making->count == blocks_max) {
        notice_line("more than %zu blocks%s; choose a larger --split", blocks_max,
                    plan->is_shuffled ? ", the most that a job with reduces takes" : "");
        return EXIT_USAGE;
    }
    if (making->count == making->capacity) {
        making->capacity = making->capacity == 0 ? 64 : 2 * making->capacity;
        making->blocks = realloc(making->blocks, making->capacity * sizeof *making->blocks);
        making->sent = realloc(making->sent, making->capacity * sizeof *making->sent);
        if (making->blocks == NULL || making->sent == NULL) notice_no_memory();
    }
    making->sent[making->count] =
        (struct sending){.at = at, .input = making->named, .check = making->upload.checked};
    making->blocks[making->count++] = *block;
    making->size += block->block.size;
    return EXIT_OK;
}

/* A block begins in this input: its name is needed. */
int making_name_file(struct making *making, size_t input)
{
    if (making->named == input) return EXIT_OK;
    if (making->files_count == FILES_MAX) {
        notice_line("more than %d files with blocks of their own; join some of them, or leave out "
                    "--records file",
                    (int)FILES_MAX);
        return EXIT_USAGE;
    }
    making->named = input;
    making->files[making->files_count++].text =
        slice_string(making->plan->inputs->items[input].name);
    return EXIT_OK;
}

int making_end_block(struct making *making)
{
    struct msg_manifest_block block = {.file = making->file, .offset = making->offset};
    int code = upload_end(&making->upload, &block.block);
    return code == EXIT_OK ? making_add_block(making, &block, making->upload.count - 1) : code;
}

/* ---- room ---- */

int making_find_room(struct making *making)
{
    return rooms_next(&making->rooms, making->session, making->upload.why, making->has_consumed);
}

int making_go_on_elsewhere(struct making *making)
{
    int code = upload_finish(&making->upload);
    for (unsigned i = 0; i < MOVES_MAX; i++) {
        if (code == EXIT_OK) code = making_find_room(making);
        if (code != EXIT_OK || making->upload.is_kept) return code;
        code = upload_move(&making->upload, making->session);
        if (code != UPLOAD_GONE) return code;
        code = EXIT_OK;
    }
    return UPLOAD_GONE;
}

/* The least that is worth a block: a record that can't be cut. */
static uint64_t least_room(const struct making *making, uint64_t size, bool is_known)
{
    uint64_t least = LEAST_ROOM;
    if (making->records == RECORDS_FIXED) least = making->record_size;
    if (making->records == RECORDS_FILE && is_known) least = size;
    return least < size ? least : size;
}

/* For how many bytes room is asked, for a block of this size and those behind it. */
static uint64_t ask_for(const struct making *making, uint64_t size, uint64_t rest)
{
    uint64_t sent = making->upload.size;
    uint64_t all = making->total > sent ? making->total - sent : 0; /* of other inputs, too */
    uint64_t most = rest == UINT64_MAX ? ASK_FOR_PIPE : all < ASK_FOR ? all : ASK_FOR;
    return most > size ? most : size;
}

int making_ask_room(struct making *making, uint64_t wanted, uint64_t least)
{
    int code = upload_ask(&making->upload, wanted, least);
    while (code == UPLOAD_FULL) {
        code = making_go_on_elsewhere(making);
        if (code == EXIT_OK) code = upload_ask(&making->upload, wanted, least);
    }
    if (code == EXIT_OK) making->rooms.roomless_since = 0;
    return code;
}

/* Asks until somebody has room; a block is no larger than that. rest: bytes of the input that are
 * still to be sent; UINT64_MAX: not known. */
static int find_place(struct making *making, uint64_t rest)
{
    bool is_whole = making->records == RECORDS_FILE && rest != UINT64_MAX;
    uint64_t size = rest < making->target || is_whole ? rest : making->target;
    uint64_t least = least_room(making, size, rest != UINT64_MAX);
    uint64_t wanted = ask_for(making, size, rest);
    making->splitter.target = making->target;
    if (rest != UINT64_MAX && size < ASK_ABOVE && !making->upload.is_full) return EXIT_OK;
    if (making->upload.granted >= size) return EXIT_OK;
    int code = making_ask_room(making, wanted, least);
    uint64_t granted = making->upload.granted;
    if (code != EXIT_OK || granted >= size) return code;
    if (making->records == RECORDS_FIXED) granted -= granted % making->record_size;
    making->splitter.target = granted > 0 ? granted : 1;
    return EXIT_OK;
}

/* Bytes of the open block. A kept one may find now that there is no room for it. */
static int send_bytes(struct making *making, struct slice bytes)
{
    int code = upload_bytes(&making->upload, bytes);
    while (code == UPLOAD_FULL && making->upload.is_kept) {
        code = making_go_on_elsewhere(making);
        if (code == EXIT_OK) code = upload_bytes(&making->upload, bytes);
    }
    return code;
}

/* ---- bytes ---- */

void making_go_on_from(struct making *making, size_t input, uint64_t offset)
{
    making->next_input = input;
    making->next_offset = offset;
}

/* *offset: of these bytes in their input. */
static int take_bytes(struct making *making, struct slice bytes, size_t input, uint64_t *offset)
{
    const struct input *from = &making->plan->inputs->items[input];
    int code = EXIT_OK;
    making->upload.may_lose = from->is_rereadable;
    while (bytes.count > 0 && code == EXIT_OK) {
        bool ends;
        if (!making->upload.is_open) {
            uint64_t rest = from->size > *offset ? from->size - *offset : bytes.count;
            code = find_place(making, from->is_rereadable ? rest : UINT64_MAX);
            if (code != EXIT_OK) break;
        }
        size_t count = splitter_take(&making->splitter, bytes, &ends);
        if (!making->upload.is_open || making->upload.block_size == 0) {
            code = making_name_file(making, input);
            if (code != EXIT_OK) break;
            making->file = making->files_count - 1;
            making->offset = *offset;
        }
        code = send_bytes(making, slice_of(bytes.at, count));
        making->ends_line = bytes.at[count - 1] == '\n';
        if (code == EXIT_OK && ends) code = making_end_block(making);
        *offset += count;
        if (code == EXIT_OK && ends) making_go_on_from(making, input, *offset);
        bytes = slice_of(bytes.at + count, bytes.count - count);
    }
    progress_upload(&making->progress, making->upload.size, making->total);
    return code;
}

/* Waits until a pipe has something to read, for as long as it takes. The peer is listened to:
 * should it die meanwhile, those who have copies would not wait for long. */
static int await_input(struct making *making, int fd)
{
    instant deadline = session_connections(making->session)->deadline;
    instant quiet = clock_now() + QUIET_MS * MILLISECOND;
    for (;;) {
        int code = upload_hear(&making->upload);
        if (code != EXIT_OK) return code;
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = upload_descriptor(&making->upload), .events = POLLIN}};
        instant now = clock_now(), until = instant_min(quiet, deadline);
        int ready = poll(fds, 2, until > now ? (int)((until - now) / MILLISECOND + 1) : 0);
        if (ready > 0 && fds[0].revents != 0) return EXIT_OK;
        now = clock_now();
        if (now >= deadline) {
            notice_line("timed out (--timeout) while reading the input");
            return EXIT_TIMED_OUT;
        }
        if (now < quiet) continue;
        quiet = now + QUIET_MS * MILLISECOND;
        code = upload_keep_alive(&making->upload);
        if (code != EXIT_OK) return code;
    }
}

/* Records of a fixed size: an input holds whole ones. */
static int check_end(const struct making *making, const struct input *input, uint64_t size)
{
    uint64_t rest = making->records == RECORDS_FIXED ? size % making->record_size : 0;
    if (rest == 0) return EXIT_OK;
    notice_line("%s: the %llu bytes from offset %llu on are less than a record of %llu; cut "
                "them off, or choose another --records",
                input->name, (unsigned long long)rest, (unsigned long long)(size - rest),
                (unsigned long long)making->record_size);
    return EXIT_USAGE;
}

/* The input's bytes are all sent: does its last block end with it? */
static int end_input(struct making *making, const struct input *input, size_t index, uint64_t size)
{
    int code = check_end(making, input, size);
    if (code != EXIT_OK) return code;
    if (!making->upload.is_open) return EXIT_OK;
    if (making->is_packing && making->ends_line) return EXIT_OK; /* no line is glued to another */
    making->splitter.block_size = 0;
    code = making_end_block(making);
    if (code == EXIT_OK) making_go_on_from(making, index, size);
    return code;
}

/* Not what others may go on in, nor what is only rehearsed. */
static bool may_lend(const struct making *making, const struct input *input)
{
    const struct upload *upload = &making->upload;
    return input->is_rereadable && input->size >= LEND_ABOVE && !making->is_packing &&
           !upload->is_open && !upload->is_dry && !upload->is_unread && !making->is_plain;
}

/* Lends the file to a node on this machine, as far as that goes: its blocks are cut here and read
 * there. *offset: how far that was. */
static int lend_blocks(struct making *making, int fd, size_t input, uint64_t *offset)
{
    uint64_t size = making->plan->inputs->items[input].size;
    struct msg_store_lent lent = {.offset = *offset};
    size_t leg = 0; /* on which it was lent: a token is good for one stream */
    int code = upload_send(&making->upload);
    making->upload.may_lose = true;
    while (code == EXIT_OK && lent.offset < size && !making->upload.is_unread) {
        code = find_place(making, size - lent.offset);
        if (code != EXIT_OK) break;
        bool is_lent = leg == making->upload.legs_count;
        leg = making->upload.legs_count;
        if (!is_lent && !lending_lend(&making->lending, making->session, fd, &lent.token)) break;
        int64_t count = ranges_next(fd, &making->splitter, lent.offset, size);
        if (count <= 0 || count > LENT_MAX) break; /* reading it will tell what is wrong */
        lent.size = (uint64_t)count;
        code = making_name_file(making, input);
        struct msg_manifest_block block = {.file = making->files_count - 1, .offset = lent.offset};
        if (code == EXIT_OK) code = upload_lent(&making->upload, &lent, &block.block);
        if (code == EXIT_OK) code = making_add_block(making, &block, making->upload.count - 1);
        lent.offset += lent.size;
        if (code == EXIT_OK) making_go_on_from(making, input, lent.offset);
        progress_upload(&making->progress, making->upload.size, making->total);
    }
    *offset = lent.offset;
    return code;
}

/* The next bytes of a pipe: those that are kept first, when some are to be read once more. */
static ssize_t read_pipe(struct making *making, size_t index, uint64_t offset, int *code)
{
    struct piped *piped = &making->piped[index];
    if (piped->size != UINT64_MAX || piped->base + offset < making->spool.to)
        return making_read(making, index, -1, offset, making->buffer, MAKING_READ_SIZE);
    *code = await_input(making, piped->file);
    if (*code != EXIT_OK) return 0;
    ssize_t got = read(piped->file, making->buffer, MAKING_READ_SIZE);
    if (got > 0) spool_add(&making->spool, slice_of(making->buffer, (size_t)got));
    if (got > 0) making->has_consumed = true;
    if (got == 0) piped->size = offset;
    return got;
}

ssize_t making_read(const struct making *making, size_t index, int fd, uint64_t offset,
                    uint8_t *bytes, size_t size)
{
    const struct piped *piped = &making->piped[index];
    if (making->plan->inputs->items[index].is_rereadable)
        return pread(fd, bytes, size, (off_t)offset);
    if (offset >= piped->size) return 0;
    if (size > piped->size - offset) size = (size_t)(piped->size - offset);
    size_t got = spool_read(&making->spool, piped->base + offset, bytes, size);
    errno = ENODATA;
    return got == 0 ? -1 : (ssize_t)got;
}

void making_list(struct making *making, size_t index, uint64_t size)
{
    if (making->tree == NULL) return;
    const char *path = making->plan->inputs->items[index].name + strlen(making->plan->tree);
    making->tree[index] = (struct msg_tree_file){slice_string(path + strspn(path, "/")), size};
}

/* Cuts and sends all that the descriptor gives, from there on. */
static int send_descriptor(struct making *making, int fd, const struct input *input, size_t index,
                           uint64_t offset)
{
    int code = EXIT_OK;
    if (!making->upload.is_open) making->splitter.block_size = 0;
    if (may_lend(making, input)) code = lend_blocks(making, fd, index, &offset);
    while (code == EXIT_OK) {
        ssize_t got = input->is_rereadable
                          ? making_read(making, index, fd, offset, making->buffer, MAKING_READ_SIZE)
                          : read_pipe(making, index, offset, &code);
        if (code != EXIT_OK) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            notice_line("%s: at offset %llu: %s", input->name, (unsigned long long)offset,
                        strerror(errno));
            return EXIT_USAGE;
        }
        if (got == 0) break;
        code = take_bytes(making, slice_of(making->buffer, (size_t)got), index, &offset);
    }
    making_list(making, index, offset);
    return code == EXIT_OK ? end_input(making, input, index, offset) : code;
}

/* ---- files that all nodes share: nothing is sent ---- */

static int cut_shared(struct making *making, int fd, const struct msg_shared_file *file,
                      const struct input *input)
{
    struct msg_manifest_block range = {.file = file->file};
    int code = check_end(making, input, file->size);
    while (range.offset < file->size && code == EXIT_OK) {
        int64_t size = ranges_next(fd, &making->splitter, range.offset, file->size);
        if (size < 0) {
            notice_line("path:%s: at offset %llu: %s", input->name,
                        (unsigned long long)range.offset, strerror(errno));
            return EXIT_USAGE;
        }
        range.block.size = (uint64_t)size;
        code = making_add_block(making, &range, SENT_NOT);
        range.offset += (uint64_t)size;
    }
    return code;
}

int making_add_shared(struct making *making, size_t index)
{
    const struct input *input = &making->plan->inputs->items[index];
    struct msg_shared_file *file = &making->shared[making->shared_count], after = {0};
    int code = EXIT_OK, fd = inputs_descriptor(input);
    bool is_seen = fd >= 0 && ranges_look(fd, file);
    if (making->upload.is_open && making->upload.block_size > 0) code = making_end_block(making);
    if (code == EXIT_OK && is_seen && file->size > 0) code = making_name_file(making, index);
    if (code == EXIT_OK && is_seen && file->size > 0) {
        file->file = making->files_count - 1;
        making->shared_count++;
        code = cut_shared(making, fd, file, input);
    }
    is_seen = is_seen && ranges_look(fd, &after);
    if (code == EXIT_OK && !is_seen) {
        notice_line("path:%s: %s", input->name, strerror(errno));
        code = EXIT_USAGE;
    } else if (code == EXIT_OK &&
               (after.size != file->size || after.modified_ns != file->modified_ns)) {
        notice_line("path:%s: it changes while it is looked at: wait until it is written",
                    input->name);
        code = EXIT_USAGE;
    }
    if (fd >= 0) close(fd);
    return code;
}

/* -1 with errno. */
static int begin_pipe(struct making *making, const struct input *input, struct piped *piped)
{
    if (piped->is_begun) return 0;
    piped->file = inputs_descriptor(input);
    if (piped->file < 0) return -1;
    if (making->spool.file < 0 && making->spool.to == 0) spool_open(&making->spool);
    piped->is_begun = true;
    piped->base = making->spool.to;
    piped->size = UINT64_MAX;
    return 0;
}

static void end_pipe(struct piped *piped)
{
    if (piped->is_begun && piped->file > STDIN_FILENO) close(piped->file);
    piped->file = -1;
}

/* A pipe stays open until it has ended, or nobody wants more of it: its writer would not live
 * through another. */
int making_send_input(struct making *making, size_t index)
{
    const struct input *input = &making->plan->inputs->items[index];
    struct piped *piped = &making->piped[index];
    uint64_t from = making->next_input == index ? making->next_offset : 0;
    int fd = input->is_rereadable ? inputs_descriptor(input) : begin_pipe(making, input, piped);
    if (fd < 0) {
        notice_line("%s: %s", input->name, strerror(errno));
        return EXIT_USAGE;
    }
    int code = send_descriptor(making, fd, input, index, from);
    if (!input->is_rereadable && piped->size != UINT64_MAX) end_pipe(piped);
    if (input->is_rereadable && fd != STDIN_FILENO) close(fd);
    return code;
}

void making_close_pipes(struct making *making)
{
    for (size_t i = 0; i < making->plan->inputs->count; i++) end_pipe(&making->piped[i]);
    spool_close(&making->spool);
}
