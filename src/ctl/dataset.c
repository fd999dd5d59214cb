/* From inputs to a manifest. Blocks of several inputs follow each other in the order given; a file
 * begins a new block, so that no task reads two files. An empty file has no block; no bytes at all
 * are one empty block, because a job runs at least one map. Cuts depend on bytes and split size
 * alone, and the split size is fixed before the first try: a second upload at another peer makes
 * the same digests, hence the same job. */
#include "ctl/dataset.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/progress.h"
#include "ctl/ranges.h"
#include "ctl/rooms.h"
#include "ctl/splitter.h"
#include "ctl/upload.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 * 1024, /* read, hashed and sealed while it is in the processor's cache */
    TRIES_MAX = 5,         /* uploads of the same bytes, each after the loss of a peer */
    QUIET_MS = 15 * 1000,  /* of a pipe: then the peer is told that we are still here */
    FILES_MAX = 65536,     /* as msg_manifest allows */
    PACKED_ABOVE = 1000,   /* files: with more, a task each would cost more than its work */
    TREE_MAX = 1048576,    /* files of a directory, as msg_tree_manifest */
    TREE_FILE_SIZE = 12,   /* in that list, beside its path: the size, and the length of the path */
    ASK_ABOVE = 1 << 20,   /* what can be read again and is smaller is sent without a question */
    ASK_FOR = 256 << 20,   /* at once: an answer takes as long as what is under way to the peer */
    ASK_FOR_PIPE = 16 << 20, /* of what may end at any moment */
    LEAST_ROOM = 64 << 10,   /* a node with less than that is full */
    MOVES_MAX = 5,         /* to peers that are gone when we come */
};

/* One try. */
struct making {
    struct session *session;
    const struct dataset_plan *plan;
    struct upload upload;
    struct splitter splitter;
    uint64_t target; /* the splitter's, where there is room */
    struct progress progress;
    uint64_t total;
    uint8_t *buffer; /* READ_SIZE */
    struct msg_manifest_block *blocks;
    size_t *sent; /* of each block: which of the upload's it is; SIZE_MAX: none of them */
    size_t count;
    size_t capacity;
    struct msg_text *files; /* names of inputs in which a block begins */
    uint32_t files_count;
    struct msg_shared_file *shared; /* those of them that all nodes share */
    uint32_t shared_count;
    struct msg_tree_file *tree; /* of plan.tree: of each input; NULL: none */
    size_t named;               /* the input of the last of them; SIZE_MAX: none */
    enum records records;
    uint64_t record_size;
    bool is_packing; /* a block may go on into the next file */
    bool ends_line;  /* the last byte sent was a newline */
    uint32_t file;   /* where the open block began: of files */
    uint64_t offset;
    uint64_t size;
    bool has_consumed; /* bytes were read that can't be read again */
    struct rooms rooms;
};

/* ---- blocks ---- */

static int add_block(struct making *making, const struct msg_manifest_block *block, size_t sent)
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
    making->sent[making->count] = sent;
    making->blocks[making->count++] = *block;
    making->size += block->block.size;
    return EXIT_OK;
}

/* A block begins in this input: its name is needed. */
static int name_file(struct making *making, size_t input)
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

static int end_block(struct making *making)
{
    struct msg_manifest_block block = {.file = making->file, .offset = making->offset};
    int code = upload_end(&making->upload, &block.block);
    return code == EXIT_OK ? add_block(making, &block, making->upload.count - 1) : code;
}

/* ---- room ---- */

static int find_room(struct making *making)
{
    return rooms_next(&making->rooms, making->session, making->upload.why, making->has_consumed);
}

/* The next block goes elsewhere; what is stored stays where it is. */
static int go_on_elsewhere(struct making *making)
{
    int code = upload_finish(&making->upload);
    for (unsigned i = 0; i < MOVES_MAX; i++) {
        if (code == EXIT_OK) code = find_room(making);
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

/* Asks for room until somebody has some; a block is no larger than that. rest: bytes of the input
 * that are still to be sent; UINT64_MAX: not known. */
static int find_place(struct making *making, uint64_t rest)
{
    bool is_whole = making->records == RECORDS_FILE && rest != UINT64_MAX;
    uint64_t size = rest < making->target || is_whole ? rest : making->target;
    uint64_t least = least_room(making, size, rest != UINT64_MAX);
    uint64_t wanted = ask_for(making, size, rest);
    making->splitter.target = making->target;
    if (rest != UINT64_MAX && size < ASK_ABOVE) return EXIT_OK;
    if (making->upload.granted >= size) return EXIT_OK;
    int code = upload_ask(&making->upload, wanted, least);
    while (code == UPLOAD_FULL) {
        code = go_on_elsewhere(making);
        if (code == EXIT_OK) code = upload_ask(&making->upload, wanted, least);
    }
    uint64_t granted = making->upload.granted;
    if (code == EXIT_OK) making->rooms.roomless_since = 0;
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
        code = go_on_elsewhere(making);
        if (code == EXIT_OK) code = upload_bytes(&making->upload, bytes);
    }
    return code;
}

/* ---- bytes ---- */

/* *offset: of these bytes in their input. */
static int take_bytes(struct making *making, struct slice bytes, size_t input, uint64_t *offset)
{
    const struct input *from = &making->plan->inputs->items[input];
    int code = EXIT_OK;
    while (bytes.count > 0 && code == EXIT_OK) {
        bool ends;
        if (!making->upload.is_open) {
            uint64_t rest = from->size > *offset ? from->size - *offset : bytes.count;
            code = find_place(making, from->is_rereadable ? rest : UINT64_MAX);
            if (code != EXIT_OK) break;
        }
        size_t count = splitter_take(&making->splitter, bytes, &ends);
        if (!making->upload.is_open || making->upload.block_size == 0) {
            code = name_file(making, input);
            if (code != EXIT_OK) break;
            making->file = making->files_count - 1;
            making->offset = *offset;
        }
        code = send_bytes(making, slice_of(bytes.at, count));
        making->ends_line = bytes.at[count - 1] == '\n';
        if (code == EXIT_OK && ends) code = end_block(making);
        *offset += count;
        bytes = slice_of(bytes.at + count, bytes.count - count);
    }
    progress_upload(&making->progress, making->upload.size, making->total);
    return code;
}

/* Waits until a pipe has something to read, for as long as it takes. */
static int await_input(struct making *making, int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    instant deadline = session_connections(making->session)->deadline;
    for (;;) {
        instant now = clock_now();
        duration left = deadline > now ? (deadline - now) / MILLISECOND + 1 : 0;
        if (poll(&poll_fd, 1, left < QUIET_MS ? (int)left : QUIET_MS) != 0) return EXIT_OK;
        if (clock_now() >= deadline) {
            notice_line("timed out (--timeout) while reading the input");
            return EXIT_TIMED_OUT;
        }
        int code = upload_keep_alive(&making->upload);
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
static int end_input(struct making *making, const struct input *input, uint64_t size)
{
    int code = check_end(making, input, size);
    if (code != EXIT_OK) return code;
    if (!making->upload.is_open) return EXIT_OK;
    if (making->is_packing && making->ends_line) return EXIT_OK; /* no line is glued to another */
    making->splitter.block_size = 0;
    return end_block(making);
}

/* Cuts and sends all that the descriptor gives. */
static int send_descriptor(struct making *making, int fd, const struct input *input, size_t index)
{
    uint64_t offset = 0;
    int code = EXIT_OK;
    if (!making->upload.is_open) making->splitter.block_size = 0;
    while (code == EXIT_OK) {
        if (!input->is_rereadable) code = await_input(making, fd);
        if (code != EXIT_OK) break;
        ssize_t got = read(fd, making->buffer, READ_SIZE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            notice_line("%s: at offset %llu: %s", input->name, (unsigned long long)offset,
                        strerror(errno));
            return EXIT_USAGE;
        }
        if (got == 0) break;
        if (!input->is_rereadable) making->has_consumed = true;
        code = take_bytes(making, slice_of(making->buffer, (size_t)got), index, &offset);
    }
    if (making->tree != NULL) {
        const char *path = input->name + strlen(making->plan->tree);
        making->tree[index] =
            (struct msg_tree_file){slice_string(path + strspn(path, "/")), offset};
    }
    return code == EXIT_OK ? end_input(making, input, offset) : code;
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
        code = add_block(making, &range, SIZE_MAX);
        range.offset += (uint64_t)size;
    }
    return code;
}

static int add_shared(struct making *making, const struct input *input, size_t index)
{
    struct msg_shared_file *file = &making->shared[making->shared_count], after = {0};
    int code = EXIT_OK, fd = inputs_descriptor(input);
    bool is_seen = fd >= 0 && ranges_look(fd, file);
    if (making->upload.is_open && making->upload.block_size > 0) code = end_block(making);
    if (code == EXIT_OK && is_seen && file->size > 0) code = name_file(making, index);
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

static int send_input(struct making *making, const struct input *input, size_t index)
{
    int fd = inputs_descriptor(input);
    if (fd < 0) {
        notice_line("%s: %s", input->name, strerror(errno));
        return EXIT_USAGE;
    }
    int code = send_descriptor(making, fd, input, index);
    if (fd != STDIN_FILENO) close(fd);
    return code;
}

/* ---- datasets among the inputs ---- */

int dataset_find(struct session *session, const char *name, struct msg_name_row *row)
{
    size_t plain = strcspn(name, "@"); /* NAME@id is listed under NAME */
    struct msg_ask_names ask = {.prefix = slice_of(name, plain)};
    struct wire_message reply;
    int code = session_call(session, &wire_ask_names, &ask, MSG_say_names, &reply);
    if (code != EXIT_OK) return code;
    /* In order of names: the exact one is on the first page. */
    const struct msg_say_names *say = reply.fields;
    const struct msg_name_row *rows = say->names.at;
    for (uint32_t i = 0; i < say->names.count; i++) {
        *row = rows[i];
        if (slice_equal(row->name, slice_string(name))) return EXIT_OK;
    }
    return EXIT_NOT_FOUND;
}

static int missing(const struct input *input)
{
    if (input->is_guess) {
        notice_line("%s: no such file, and no dataset has this name; see: mrctl ls", input->name);
        return EXIT_USAGE;
    }
    notice_line("no dataset has the name %s; see: mrctl ls", input->name);
    return EXIT_NOT_FOUND;
}

/* Copies the blocks of a dataset into our manifest, as blocks of this file. */
static int add_dataset(struct making *making, const struct input *input, size_t index)
{
    int sent = upload_send(&making->upload);
    if (sent != EXIT_OK) return sent;
    if (making->upload.is_open && making->upload.block_size > 0) {
        int ended = end_block(making);
        if (ended != EXIT_OK) return ended;
    }
    int named = name_file(making, index);
    if (named != EXIT_OK) return named;
    uint32_t first = 0, count = 1;
    while (first < count) {
        struct msg_ask_dataset ask = {.name = slice_string(input->name), .first = first};
        struct wire_message reply;
        session_ask(making->session, &wire_ask_dataset, &ask, SESSION_PATIENCE);
        int code = session_reply(making->session, MSG_say_dataset, &reply);
        if (code == EXIT_NOT_FOUND) return missing(input);
        if (code != EXIT_OK) return session_complain(making->session, code);
        const struct msg_say_dataset *say = reply.fields;
        const struct msg_dataset_block *blocks = say->blocks.at;
        count = say->blocks_count;
        if (say->blocks.count == 0) break;
        for (uint32_t i = 0; i < say->blocks.count && code == EXIT_OK; i++) {
            struct msg_manifest_block block = blocks[i].block;
            block.file = making->files_count - 1;
            code = add_block(making, &block, SIZE_MAX);
        }
        if (code != EXIT_OK) return code;
        first += say->blocks.count;
    }
    return EXIT_OK;
}

/* One dataset alone is used as it is. */
static int use_dataset(struct dataset *dataset, struct session *session, const struct input *input)
{
    struct msg_name_row row;
    int code = dataset_find(session, input->name, &row);
    if (code == EXIT_NOT_FOUND) return missing(input);
    if (code != EXIT_OK) return code;
    dataset->manifest = row.manifest;
    dataset->size = row.size;
    dataset->is_owned = false;
    /* row.blocks is 0 at a peer that has not read the manifest yet; this answer waits for it. */
    struct msg_ask_dataset ask = {.name = slice_string(input->name)};
    struct wire_message reply;
    code = session_call(session, &wire_ask_dataset, &ask, MSG_say_dataset, &reply);
    if (code == EXIT_OK)
        dataset->blocks_count = ((const struct msg_say_dataset *)reply.fields)->blocks_count;
    return code;
}

/* ---- the whole ---- */

/* The peer has named what it stored. */
static int finish_blocks(struct making *making)
{
    int code = upload_finish(&making->upload);
    for (size_t i = 0; i < making->count && code == EXIT_OK; i++)
        if (making->sent[i] != SIZE_MAX)
            making->blocks[i].block = making->upload.blocks[making->sent[i]];
    return code;
}

static int send_manifest(struct making *making, struct dataset *dataset)
{
    int finished = finish_blocks(making);
    if (finished != EXIT_OK) return finished;
    struct msg_manifest manifest = {
        .files = {making->files, making->files_count},
        .blocks = {making->blocks, (uint32_t)making->count},
    };
    struct msg_shared_manifest shared = {manifest, {making->shared, making->shared_count}};
    struct msg_tree_manifest tree = {manifest,
                                     {making->tree, (uint32_t)making->plan->inputs->count}};
    const struct wire_schema *schema = making->shared_count > 0 ? &wire_shared_manifest
                                       : making->tree != NULL   ? &wire_tree_manifest
                                                                : &wire_manifest;
    const void *fields = making->shared_count > 0 ? (const void *)&shared
                         : making->tree != NULL   ? (const void *)&tree
                                                  : &manifest;
    size_t size = wire_packed_size(schema, fields);
    void *bytes = malloc(size);
    if (bytes == NULL) notice_no_memory();
    struct writer writer = writer_of(bytes, size);
    bool fits = wire_pack(schema, fields, &writer);
    assert(fits && writer.written == size);
    int code = upload_block(&making->upload, slice_of(bytes, size), &dataset->manifest);
    free(bytes);
    dataset->blocks_count = (uint32_t)making->count;
    dataset->size = making->size;
    dataset->is_owned = true;
    return code;
}

static int send_inputs(struct making *making, struct dataset *dataset)
{
    const struct inputs *inputs = making->plan->inputs;
    int code = EXIT_OK;
    if (making->plan->visit == NULL && inputs->count == 1 && inputs->items[0].kind == INPUT_DATASET)
        return use_dataset(dataset, making->session, &inputs->items[0]);
    for (size_t i = 0; i < inputs->count && code == EXIT_OK; i++) {
        const struct input *input = &inputs->items[i];
        code = input->kind == INPUT_DATASET  ? add_dataset(making, input, i)
               : input->kind == INPUT_SHARED ? add_shared(making, input, i)
                                             : send_input(making, input, i);
    }
    bool is_open = making->upload.is_open && making->upload.block_size > 0;
    if (code == EXIT_OK && making->count == 0 && !is_open) code = name_file(making, 0);
    if (code == EXIT_OK && (making->count == 0 || is_open)) code = end_block(making);
    return code == EXIT_OK ? send_manifest(making, dataset) : code;
}

/* A file of the job, whole. */
static int send_file(struct making *making, const char *path, struct msg_block_ref *block)
{
    int code = EXIT_OK, fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && code == EXIT_OK) {
        ssize_t got = read(fd, making->buffer, READ_SIZE);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) break;
        if (got < 0) code = EXIT_USAGE;
        if (got > 0) code = upload_bytes(&making->upload, slice_of(making->buffer, (size_t)got));
    }
    if (fd < 0 || code == EXIT_USAGE) {
        notice_line("%s: %s", path, strerror(errno));
        code = EXIT_USAGE;
    }
    if (fd >= 0) close(fd);
    return code == EXIT_OK ? upload_end(&making->upload, block) : code;
}

/* Bytes that all nodes share don't come with the job: only the list of their ranges would. */
static bool may_keep(const struct dataset_plan *plan)
{
    bool is_shared = false;
    for (size_t i = 0; i < plan->inputs->count; i++)
        is_shared = is_shared || plan->inputs->items[i].kind == INPUT_SHARED;
    return plan->may_keep && !is_shared && (plan->files == NULL || plan->files->count == 0);
}

/* What came behind the blocks of inputs: the manifest, when there is one of ours, and the files. */
static void name_stored(const struct making *making, struct dataset *dataset, size_t first)
{
    const struct words *files = making->plan->files;
    if (making->upload.is_kept) return; /* they have their names */
    if (dataset->is_owned) dataset->manifest = making->upload.blocks[first - 1];
    for (size_t i = 0; files != NULL && i < files->count; i++)
        dataset->files[i] = making->upload.blocks[first + i];
}

static int try_once(struct making *making, struct dataset *dataset)
{
    const struct words *files = making->plan->files;
    making->count = 0;
    making->size = 0;
    making->files_count = making->file = making->shared_count = 0;
    making->named = SIZE_MAX;
    making->offset = making->splitter.block_size = 0;
    int code = EXIT_OK;
    uint8_t copies = making->plan->copies;
    if (making->plan->visit != NULL) upload_start_dry(&making->upload);
    else if (may_keep(making->plan)) upload_keep(&making->upload, making->session, copies);
    else code = upload_start(&making->upload, making->session, copies);
    if (code == EXIT_OK) code = send_inputs(making, dataset);
    size_t first = making->upload.count;
    for (size_t i = 0; files != NULL && i < files->count && code == EXIT_OK; i++)
        code = send_file(making, files->items[i], &dataset->files[i]);
    if (code == EXIT_OK) code = upload_finish(&making->upload);
    if (code == EXIT_OK && making->plan->visit == NULL) name_stored(making, dataset, first);
    progress_clear(&making->progress);
    if (code != EXIT_OK) {
        if (code != UPLOAD_GONE) upload_forget(&making->upload, making->session);
        return code;
    }
    if (upload_take(&making->upload, &dataset->smalls, &dataset->smalls_count,
                    &dataset->smalls_bytes))
        return EXIT_OK;
    dataset->stored = making->upload.blocks;
    dataset->stored_count = making->upload.count;
    making->upload.blocks = NULL; /* the dataset's now */
    dataset->legs = calloc(UPLOAD_LEGS_MAX, sizeof *dataset->legs);
    if (dataset->legs == NULL) notice_no_memory();
    memcpy(dataset->legs, making->upload.legs, sizeof making->upload.legs);
    dataset->legs_count = making->upload.legs_count;
    snprintf(dataset->peer, sizeof dataset->peer, "%s", session_peer(making->session));
    return code;
}

/* The disk filled amid a block, although there was room before it: everything is sent once more. */
static int move_on(struct making *making)
{
    if (!making->has_consumed) return find_room(making);
    notice_line("%s; standard input can't be read again for another node: save it to a file",
                making->upload.why);
    return EXIT_JOB_FAILED;
}

/* The peer died during the upload: is there another one, and can we begin again? */
static int recover(struct making *making)
{
    struct msg_ask_info ask = {0};
    struct wire_message reply;
    if (making->has_consumed) {
        notice_line("peer %s gone during the upload (%s), and standard input can't be read again; "
                    "save it to a file and use -i FILE",
                    session_peer(making->session), making->upload.why);
        return EXIT_NO_PEER;
    }
    unsigned moves = session_moves(making->session);
    int code = session_call(making->session, &wire_ask_info, &ask, MSG_say_info, &reply);
    if (code == EXIT_OK && session_moves(making->session) == moves) clock_sleep(SECOND);
    return code;
}

/* What a dataset's list can't hold is told before anything is sent. */
static int check_tree(const struct dataset_plan *plan)
{
    const struct inputs *inputs = plan->inputs;
    uint64_t size = 0;
    if (plan->tree == NULL) return EXIT_OK;
    for (size_t i = 0; i < inputs->count; i++)
        size += strlen(inputs->items[i].name) - strlen(plan->tree) + TREE_FILE_SIZE;
    if (inputs->count <= TREE_MAX && size <= LIST_SIZE_MAX / 2) return EXIT_OK;
    notice_line("%s has %zu files, whose names take %llu bytes: a dataset lists %d files and %d "
                "MiB of names; put the directories in it one by one, or a tar of it",
                plan->tree, inputs->count, (unsigned long long)size, (int)TREE_MAX,
                (int)(LIST_SIZE_MAX / 2 >> 20));
    return EXIT_USAGE;
}

int dataset_make(struct dataset *dataset, struct session *session, const struct dataset_plan *plan)
{
    const struct inputs *inputs = plan->inputs;
    size_t files_count = plan->files == NULL ? 0 : plan->files->count;
    *dataset = (struct dataset){0};
    struct making making = {.session = session, .plan = plan, .total = inputs_upload_size(inputs)};
    const char *records = plan->records == NULL ? "lines" : plan->records;
    if (!splitter_parse_records(records, &making.records, &making.record_size)) {
        notice_line("--records takes lines, fixed:N or file, not %s", records);
        return EXIT_USAGE;
    }
    int fits = check_tree(plan);
    if (fits != EXIT_OK) return fits;
    making.is_packing = making.records == RECORDS_LINES && inputs->count > PACKED_ABOVE;
    if (making.is_packing && !session_options(session)->is_quiet)
        notice_line("%zu files: small ones share blocks, and MR_INPUT names the first; --records "
                    "file keeps each to itself",
                    inputs->count);
    making.buffer = malloc(READ_SIZE);
    making.files = calloc(inputs->count + 1, sizeof *making.files);
    making.shared = calloc(inputs->count + 1, sizeof *making.shared);
    if (plan->tree != NULL) making.tree = calloc(inputs->count + 1, sizeof *making.tree);
    if (plan->tree != NULL && making.tree == NULL) notice_no_memory();
    dataset->files = calloc(files_count + 1, sizeof *dataset->files);
    if (making.buffer == NULL || making.files == NULL || making.shared == NULL ||
        dataset->files == NULL)
        notice_no_memory();
    uint64_t target = splitter_target(inputs_size(inputs), session_slots(session));
    splitter_init(&making.splitter, plan->split_size != 0 ? plan->split_size : target);
    splitter_set_records(&making.splitter, making.records, making.record_size);
    making.target = making.splitter.target;
    progress_init(&making.progress, session_options(session)->is_quiet);
    int code = try_once(&making, dataset);
    upload_stop(&making.upload);
    for (unsigned losses = 0; code < 0 && losses < TRIES_MAX;) {
        losses += code == UPLOAD_GONE;
        code = code == UPLOAD_GONE ? recover(&making) : move_on(&making);
        if (code != EXIT_OK) break;
        code = try_once(&making, dataset);
        upload_stop(&making.upload);
    }
    if (code < 0) {
        notice_line("the upload to %s failed: %s", session_peer(session), making.upload.why);
        code = code == UPLOAD_GONE ? EXIT_NO_PEER : EXIT_JOB_FAILED;
    }
    free(making.buffer);
    free(making.files);
    free(making.shared);
    free(making.tree);
    free(making.blocks);
    free(making.sent);
    if (code != EXIT_OK) dataset_deinit(dataset);
    return code;
}

void dataset_forget(const struct dataset *dataset, const struct session *session)
{
    upload_forget_legs(session, dataset->legs, dataset->legs_count, dataset->stored,
                       dataset->stored_count);
}

void dataset_used(const struct dataset *dataset, const struct session *session)
{
    upload_used_legs(session, dataset->legs, dataset->legs_count, dataset->stored);
}

void dataset_deinit(struct dataset *dataset)
{
    free(dataset->stored);
    free(dataset->legs);
    free(dataset->files);
    free(dataset->smalls);
    free(dataset->smalls_bytes);
    *dataset = (struct dataset){0};
}
