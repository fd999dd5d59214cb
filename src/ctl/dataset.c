/* From inputs to a manifest. Blocks of several inputs follow each other in the order given; a file
 * begins a new block, so that no task reads two files. An empty file has no block; no bytes at all
 * are one empty block, because a job runs at least one map. Cuts depend on bytes and split size
 * alone, and the split size is fixed before the first try: a second upload at another peer makes
 * the same digests, hence the same job. */
#include "ctl/dataset.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/listing.h"
#include "ctl/making.h"
#include "ctl/notice.h"
#include "wire/kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TRIES_MAX = 5,       /* uploads of the same bytes, each after the loss of a peer */
    PACKED_ABOVE = 1000, /* files: with more, a task each would cost more than its work */
    TREE_MAX = 1048576,  /* files of a directory, as msg_tree_manifest */
    TREE_FILE_SIZE = 12, /* in that list, beside its path: the size, and the length of the path */
};

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

int dataset_missing(const char *name)
{
    notice_line("no dataset is named %s; see: mrctl ls", name);
    return EXIT_NOT_FOUND;
}

int dataset_removed(const char *name)
{
    notice_line("%s: it was removed while it was read", name);
    return EXIT_NOT_FOUND;
}

static int missing(const struct input *input)
{
    if (input->is_guess) {
        notice_line("%s: no such file, and no dataset has this name; see: mrctl ls", input->name);
        return EXIT_USAGE;
    }
    return dataset_missing(input->name);
}

/* Copies the blocks of a dataset into our manifest, as blocks of this file. */
static int add_dataset(struct making *making, const struct input *input, size_t index)
{
    int sent = upload_send(&making->upload);
    if (sent != EXIT_OK) return sent;
    if (making->upload.is_open && making->upload.block_size > 0) {
        int ended = making_end_block(making);
        if (ended != EXIT_OK) return ended;
    }
    int named = making_name_file(making, index);
    if (named != EXIT_OK) return named;
    struct listing listing;
    struct msg_name_row row;
    int code = dataset_find(making->session, input->name, &row);
    if (code == EXIT_NOT_FOUND) return missing(input);
    if (code != EXIT_OK) return code;
    listing_init(&listing, making->session, input->name);
    uint32_t first = 0, count = 1;
    while (first < count) {
        const struct msg_say_dataset *say;
        code = listing_page(&listing, first, &say);
        if (code != EXIT_OK) return code;
        const struct msg_dataset_block *blocks = say->blocks.at;
        count = say->blocks_count;
        if (say->blocks.count == 0) break;
        for (uint32_t i = 0; i < say->blocks.count && code == EXIT_OK; i++) {
            struct msg_manifest_block block = blocks[i].block;
            block.file = making->files_count - 1;
            code = making_add_block(making, &block, SENT_NOT);
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
    struct listing listing;
    const struct msg_say_dataset *page;
    listing_init_exact(&listing, session, input->name, &dataset->manifest.digest);
    code = listing_page(&listing, 0, &page);
    if (code == EXIT_OK) dataset->blocks_count = page->blocks_count;
    return code;
}

/* ---- the whole ---- */

/* The peer has named what it stored. */
static int finish_blocks(struct making *making)
{
    int code = upload_finish(&making->upload);
    if (code == EXIT_OK) code = making_resend(making);
    for (size_t i = 0; i < making->count && code == EXIT_OK; i++)
        if (making->sent[i].at != SENT_NOT)
            making->blocks[i].block = making->upload.blocks[making->sent[i].at];
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
    int code = making_send_whole(making, slice_of(bytes, size), &dataset->manifest);
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
    for (size_t i = making->next_input; i < inputs->count && code == EXIT_OK; i++) {
        const struct input *input = &inputs->items[i];
        bool is_between = !making->upload.is_open || making->upload.block_size == 0;
        if (i > making->next_input && is_between) making_go_on_from(making, i, 0);
        switch (input->kind) {
        case INPUT_DATASET: code = add_dataset(making, input, i); break;
        case INPUT_SHARED: code = making_add_shared(making, i); break;
        case INPUT_DIRECTORY: making_list(making, i, 0); break;
        case INPUT_FILE:
        case INPUT_STDIN: code = making_send_input(making, i); break;
        }
    }
    bool is_open = making->upload.is_open && making->upload.block_size > 0;
    if (code == EXIT_OK && !is_open) making_go_on_from(making, inputs->count, 0);
    if (code == EXIT_OK && making->count == 0 && !is_open) code = making_name_file(making, 0);
    if (code == EXIT_OK && (making->count == 0 || is_open)) code = making_end_block(making);
    return code == EXIT_OK ? send_manifest(making, dataset) : code;
}

/* A file of the job, whole. */
static int send_file(struct making *making, const char *path, struct msg_block_ref *block)
{
    int code = EXIT_OK, fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && code == EXIT_OK) {
        ssize_t got = read(fd, making->buffer, MAKING_READ_SIZE);
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

/* Those of them that were lost once more. */
static int resend_files(struct making *making, struct dataset *dataset, size_t first)
{
    struct upload *upload = &making->upload;
    int code = EXIT_OK;
    upload->lost_count = 0;
    for (size_t i = 0; i < making->plan->files->count && code == EXIT_OK; i++) {
        if (!digest_is_zero(&upload->blocks[first + i].digest)) continue;
        if (upload->is_full) code = making_go_on_elsewhere(making);
        if (code == EXIT_OK)
            code = send_file(making, making->plan->files->items[i], &dataset->files[i]);
        if (code == EXIT_OK) code = upload_finish(upload);
        if (code == EXIT_OK) upload->blocks[first + i] = upload->blocks[upload->count - 1];
    }
    return code;
}

static int send_files(struct making *making, struct dataset *dataset)
{
    const struct words *files = making->plan->files;
    struct upload *upload = &making->upload;
    size_t first = upload->count;
    int code = EXIT_OK;
    upload->may_lose = true;
    upload->lost_count = 0;
    for (size_t i = 0; files != NULL && i < files->count && code == EXIT_OK; i++)
        code = send_file(making, files->items[i], &dataset->files[i]);
    if (code == EXIT_OK) code = upload_finish(upload);
    for (unsigned i = 0; code == EXIT_OK && upload->lost_count > 0; i++)
        code = i < TRIES_MAX ? resend_files(making, dataset, first) : UPLOAD_LOST;
    return code;
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

/* From wherever it is to the end. */
static int go_on(struct making *making, struct dataset *dataset)
{
    int code = send_inputs(making, dataset);
    size_t first = making->upload.count;
    if (code == EXIT_OK) code = send_files(making, dataset);
    if (code == EXIT_OK && making->plan->visit == NULL) name_stored(making, dataset, first);
    progress_clear(&making->progress);
    if (code != EXIT_OK) return code;
    (void)upload_take(&making->upload, &dataset->smalls, &dataset->smalls_count,
                      &dataset->smalls_bytes);
    snprintf(dataset->peer, sizeof dataset->peer, "%s", session_peer(making->session));
    return EXIT_OK;
}

static int begin(struct making *making)
{
    uint8_t copies = making->plan->copies;
    making->named = SIZE_MAX;
    if (making->plan->visit != NULL) upload_start_dry(&making->upload);
    else if (may_keep(making->plan)) upload_keep(&making->upload, making->session, copies);
    else return upload_start(&making->upload, making->session, copies);
    return EXIT_OK;
}

/* The peer died during the upload: is there another one? One that lives and has ended the stream
 * without a word may be of an earlier version, which knows no store_for: that much can be done
 * without. gone: whose blocks are gone with it. */
static int recover(struct making *making, char gone[CONNECTION_ADDRESS_SIZE])
{
    struct msg_ask_info ask = {0};
    struct wire_message reply;
    const struct upload *upload = &making->upload;
    assert(upload->legs_count > 0);
    const struct upload_leg *leg = &upload->legs[upload->legs_count - 1];
    bool is_mute = upload->confirmed <= leg->first;
    unsigned moves = session_moves(making->session);
    snprintf(gone, CONNECTION_ADDRESS_SIZE, "%s", leg->address);
    int code = session_call(making->session, &wire_ask_info, &ask, MSG_say_info, &reply);
    bool is_there = session_moves(making->session) == moves;
    if (is_there && strcmp(gone, session_peer(making->session)) == 0) gone[0] = '\0';
    making->is_plain = is_there && is_mute;
    if (code == EXIT_OK && is_there) clock_sleep(SECOND);
    return code;
}

/* Until all is stored, at this peer or others. code: how it went so far. */
static int persist(struct making *making, struct dataset *dataset, int code)
{
    char gone[CONNECTION_ADDRESS_SIZE];
    for (unsigned losses = 0; code < 0 && losses < TRIES_MAX; losses++) {
        gone[0] = '\0';
        code = code == UPLOAD_GONE ? recover(making, gone) : making_find_room(making);
        if (code == EXIT_OK) code = making_resume(making, gone);
        if (code == EXIT_OK) code = go_on(making, dataset);
    }
    if (code >= 0) return code;
    notice_line("the upload to %s failed: %s", session_peer(making->session), making->upload.why);
    return code == UPLOAD_GONE ? EXIT_NO_PEER : EXIT_JOB_FAILED;
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

static struct making *making_open(struct session *session, const struct dataset_plan *plan)
{
    const struct inputs *inputs = plan->inputs;
    struct making *making = calloc(1, sizeof *making);
    if (making == NULL) notice_no_memory();
    making->session = session;
    making->plan = plan;
    making->total = inputs_upload_size(inputs);
    making->spool.file = -1;
    making->buffer = malloc(MAKING_READ_SIZE);
    making->files = calloc(inputs->count + 1, sizeof *making->files);
    making->shared = calloc(inputs->count + 1, sizeof *making->shared);
    making->piped = calloc(inputs->count + 1, sizeof *making->piped);
    if (plan->tree != NULL) making->tree = calloc(inputs->count + 1, sizeof *making->tree);
    if (making->buffer == NULL || making->files == NULL || making->shared == NULL ||
        making->piped == NULL || (plan->tree != NULL && making->tree == NULL))
        notice_no_memory();
    return making;
}

static void making_close(struct making *making)
{
    if (making == NULL) return;
    upload_stop(&making->upload);
    making_close_pipes(making);
    lending_deinit(&making->lending);
    free(making->buffer);
    free(making->files);
    free(making->shared);
    free(making->piped);
    free(making->tree);
    free(making->blocks);
    free(making->sent);
    free(making);
}

/* How it is to be cut. An exit code, said. */
static int choose_cuts(struct making *making)
{
    const struct dataset_plan *plan = making->plan;
    const struct inputs *inputs = plan->inputs;
    const struct options *options = session_options(making->session);
    const char *records = plan->records == NULL ? "lines" : plan->records;
    if (!splitter_parse_records(records, &making->records, &making->record_size)) {
        notice_line("--records takes lines, fixed:N or file, not %s", records);
        return EXIT_USAGE;
    }
    int fits = check_tree(plan);
    if (fits != EXIT_OK) return fits;
    size_t files = inputs->count - inputs->directories_count;
    making->is_packing = making->records == RECORDS_LINES && files > PACKED_ABOVE;
    if (making->is_packing && !options->is_quiet)
        notice_line("%zu files: small ones share blocks, and MR_INPUT names the first; --records "
                    "file keeps each to itself",
                    files);
    uint64_t target = splitter_target(inputs_size(inputs), session_slots(making->session));
    splitter_init(&making->splitter, plan->split_size != 0 ? plan->split_size : target);
    splitter_set_records(&making->splitter, making->records, making->record_size);
    making->target = making->splitter.target;
    progress_init(&making->progress, options->is_quiet);
    return EXIT_OK;
}

int dataset_make(struct dataset *dataset, struct session *session, const struct dataset_plan *plan)
{
    size_t files_count = plan->files == NULL ? 0 : plan->files->count;
    struct making *making = making_open(session, plan);
    *dataset = (struct dataset){.making = making};
    dataset->files = calloc(files_count + 1, sizeof *dataset->files);
    if (dataset->files == NULL) notice_no_memory();
    int code = choose_cuts(making);
    if (code == EXIT_OK) code = begin(making);
    if (code == EXIT_OK) code = go_on(making, dataset);
    if (code < 0) code = persist(making, dataset, code);
    if (code == EXIT_OK) return code;
    upload_forget(&making->upload, session);
    dataset_deinit(dataset);
    return code;
}

int dataset_mend(struct dataset *dataset)
{
    struct making *making = dataset->making;
    if (making->upload.is_kept) return EXIT_OK; /* all of it comes with the request */
    making->is_plain = false;
    int code = making_resume(making, NULL);
    if (code == EXIT_OK) code = go_on(making, dataset);
    return code < 0 ? persist(making, dataset, code) : code;
}

bool dataset_is_lost(const struct dataset *dataset, const struct session *session, int code)
{
    bool is_refused = code != EXIT_OK && code != EXIT_TIMED_OUT && code != EXIT_CONFLICT &&
                      code != EXIT_INTERRUPTED;
    return is_refused && strcmp(dataset->peer, session_peer(session)) != 0;
}

void dataset_forget(const struct dataset *dataset, const struct session *session)
{
    const struct upload *upload = &dataset->making->upload;
    upload_forget_legs(session, upload->legs, upload->legs_count, upload->blocks, upload->count);
}

void dataset_used(const struct dataset *dataset, const struct session *session)
{
    const struct upload *upload = &dataset->making->upload;
    upload_used_legs(session, upload->legs, upload->legs_count, upload->blocks);
}

void dataset_deinit(struct dataset *dataset)
{
    making_close(dataset->making);
    free(dataset->files);
    free(dataset->smalls);
    free(dataset->smalls_bytes);
    *dataset = (struct dataset){0};
}
