/* The block directory (blocks.h). Files come and go by renames and unlinks that are made one at a
 * time, in order, each on a worker thread: so the table and the directory agree although the same
 * digest may be dropped and stored again at the same moment. The fsync of the bytes, the slow part,
 * is made before, in parallel.
 *
 * An output that is not durable is not fsynced (a map's output can be computed again). Its mode
 * says so, and when the machine, not just this process, has started anew since, such files are
 * deleted unread: their bytes may be holes. DIR/machine-boot keeps the kernel's boot id to tell. */
#include "io/blocks.h"

#include "base/map.h"
#include "io/loop.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DIRECTORY_MODE = 0700,
    /* Leaves room in FILE_PATH_MAX for all names below it. */
    DIRECTORY_LENGTH_MAX = FILE_PATH_MAX - 256,
};

struct blocks {
    struct loop *loop;
    const char *directory;
    struct map map;     /* of struct block by digest */
    uint64_t temporary; /* last name in tmp */
    struct block_place *first, *last;
    bool is_placing;
};

/* ---- names ---- */

static char *block_path(const char *directory, const struct digest *digest, bool is_partitioned,
                        char path[FILE_PATH_MAX])
{
    char name[DIGEST_TEXT_SIZE];
    bool fits = file_path(path, "%s/blocks/%.2s/%s%s", directory, digest_text(digest, name), name,
                          is_partitioned ? ".p" : "");
    assert(fits); /* DIRECTORY_LENGTH_MAX */
    (void)fits;
    return path;
}

char *blocks_path(const struct blocks *blocks, const struct block *block, char path[FILE_PATH_MAX])
{
    return block_path(blocks->directory, &block->digest, block->is_partitioned, path);
}

char *blocks_temporary(struct blocks *blocks, char path[FILE_PATH_MAX])
{
    bool fits = file_path(path, "%s/tmp/%" PRIu64, blocks->directory, ++blocks->temporary);
    assert(fits);
    (void)fits;
    return path;
}

const char *blocks_directory(const struct blocks *blocks) { return blocks->directory; }

/* What a file name says; false when it is not one of ours. */
static bool parse_name(const char *name, struct block *block)
{
    char hex[DIGEST_TEXT_SIZE];
    *block = (struct block){.size = 0};
    if (strlen(name) < DIGEST_TEXT_SIZE - 1) return false;
    memcpy(hex, name, DIGEST_TEXT_SIZE - 1);
    hex[DIGEST_TEXT_SIZE - 1] = '\0';
    const char *suffix = name + DIGEST_TEXT_SIZE - 1;
    block->is_partitioned = strcmp(suffix, ".p") == 0;
    return (*suffix == '\0' || block->is_partitioned) && digest_parse(hex, &block->digest);
}

/* ---- the table ---- */

struct block *blocks_find(const struct blocks *blocks, const struct digest *digest)
{
    struct block *block = map_get(&blocks->map, digest);
    return block != NULL && !block->is_dropped ? block : NULL;
}

const struct block *blocks_next(const struct blocks *blocks, size_t *cursor)
{
    return map_next(&blocks->map, cursor);
}

static enum error table_put(struct blocks *blocks, const struct block *from)
{
    struct block *block = map_get(&blocks->map, &from->digest);
    if (block != NULL) {
        uint32_t pins = block->pins;
        *block = *from;
        block->pins = pins;
        return ERROR_NONE;
    }
    block = malloc(sizeof *block);
    if (block == NULL) return ERROR_MEMORY;
    *block = *from;
    enum error error = map_add(&blocks->map, block);
    if (error != ERROR_NONE) free(block);
    return error;
}

static void table_remove(struct blocks *blocks, struct block *block)
{
    (void)map_remove(&blocks->map, &block->digest);
    free(block);
}

/* ---- changes to the directory, one at a time ---- */

static void next_change(struct blocks *blocks);

static void run_move(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    char path[FILE_PATH_MAX];
    block_path(place->blocks->directory, &place->digest, place->is_partitioned, path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    place->error = file_make_directory(path, DIRECTORY_MODE);
    *slash = '/';
    if (place->error == ERROR_NONE && rename(place->from, path) != 0)
        place->error = file_error(errno);
    if (place->error != ERROR_NONE) {
        (void)unlink(place->from);
        return;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) block_state_of(&place->state, file, loop_now());
    if (file >= 0) close(file);
    *slash = '\0';
    if (place->is_durable) place->error = file_sync(path);
}

static void run_delete(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    (void)unlink(place->from);
}

static void finish_change(struct blocks *blocks)
{
    blocks->is_placing = false;
    next_change(blocks);
}

static void done_move(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    struct blocks *blocks = place->blocks;
    struct block block = {.digest = place->digest,
                          .size = place->size,
                          .is_partitioned = place->is_partitioned,
                          .is_durable = place->is_durable,
                          .state = place->state};
    enum error error = place->error;
    if (error == ERROR_NONE) error = table_put(blocks, &block);
    place->done(place, error);
    finish_change(blocks);
}

static void done_delete(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    struct blocks *blocks = place->blocks;
    free(place);
    finish_change(blocks);
}

/* A block that is here durably needs no lesser copy of the same bytes in its place. */
static bool is_here_already(const struct block_place *place)
{
    const struct block *block = blocks_find(place->blocks, &place->digest);
    return block != NULL && block->is_durable && !place->is_durable;
}

static void done_discard(struct chore *chore)
{
    struct block_place *place = (struct block_place *)chore;
    struct blocks *blocks = place->blocks;
    place->done(place, ERROR_NONE);
    finish_change(blocks);
}

static void start_move(struct block_place *place)
{
    uv_loop_t *uv = &place->blocks->loop->uv;
    if (is_here_already(place)) chore_start(uv, &place->chore, run_delete, done_discard);
    else chore_start(uv, &place->chore, run_move, done_move);
}

static void start_delete(struct block_place *place)
{
    struct blocks *blocks = place->blocks;
    struct block *block = map_get(&blocks->map, &place->digest);
    if (block == NULL || !block->is_dropped || block->pins > 0) { /* stored again, or read again */
        free(place);
        finish_change(blocks);
        return;
    }
    blocks_path(blocks, block, place->from);
    table_remove(blocks, block);
    chore_start(&blocks->loop->uv, &place->chore, run_delete, done_delete);
}

static void next_change(struct blocks *blocks)
{
    struct block_place *place = blocks->first;
    if (blocks->is_placing || place == NULL) return;
    blocks->first = place->next;
    blocks->is_placing = true;
    if (place->kind == PLACE_MOVE) start_move(place);
    else start_delete(place);
}

static void push_change(struct blocks *blocks, struct block_place *place,
                        enum block_place_kind kind)
{
    place->blocks = blocks;
    place->kind = kind;
    place->next = NULL;
    if (blocks->first == NULL) blocks->first = place;
    else blocks->last->next = place;
    blocks->last = place;
    next_change(blocks);
}

void blocks_place(struct blocks *blocks, struct block_place *place)
{
    assert(place->done != NULL);
    push_change(blocks, place, PLACE_MOVE);
}

/* ---- reading and dropping ---- */

static void delete_when_unread(struct blocks *blocks, struct block *block)
{
    if (!block->is_dropped || block->pins > 0) return;
    struct block_place *place = calloc(1, sizeof *place);
    if (place == NULL) return; /* stays on the disk until the next start lists it again */
    place->digest = block->digest;
    push_change(blocks, place, PLACE_DELETE);
}

void blocks_pin(struct block *block) { block->pins++; }

void blocks_unpin(struct blocks *blocks, struct block *block)
{
    assert(block->pins > 0);
    block->pins--;
    delete_when_unread(blocks, block);
}

void blocks_drop(struct blocks *blocks, const struct digest *digest)
{
    struct block *block = blocks_find(blocks, digest);
    if (block == NULL) return;
    block->is_dropped = true;
    delete_when_unread(blocks, block);
}

/* ---- start ---- */

/* True when the machine has not started anew since this directory was last opened. Remembers this
 * start. */
static bool is_same_machine_boot(const char *directory)
{
    char path[FILE_PATH_MAX], now[64] = "", before[64] = "";
    if (!file_path(path, "%s/machine-boot", directory)) return false;
    size_t count = 0;
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC); /* size 0 for stat */
    if (file >= 0) {
        ssize_t got = read(file, now, sizeof now - 1);
        close(file);
        if (got <= 0) return false;
    }
    bool is_same = file_get(path, before, sizeof before - 1, &count) == ERROR_NONE && count > 0 &&
                   strcmp(now, before) == 0;
    if (!is_same && file_put(path, slice_string(now), 0600) != ERROR_NONE) return false;
    return is_same;
}

static enum error list_one(struct blocks *blocks, const char *path, const char *name,
                           bool keeps_loose)
{
    struct block block;
    struct stat status;
    if (name[0] == '.' || !parse_name(name, &block)) return ERROR_NONE;
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode)) return ERROR_NONE;
    block.size = (uint64_t)status.st_size;
    block.is_durable = (status.st_mode & 0200) == 0;
    if (block.is_durable || keeps_loose) return table_put(blocks, &block);
    (void)unlink(path);
    return ERROR_NONE;
}

static enum error list_directory(struct blocks *blocks, const char *directory, bool keeps_loose)
{
    char path[FILE_PATH_MAX];
    enum error error = ERROR_NONE;
    DIR *list = opendir(directory);
    if (list == NULL) return ERROR_NONE; /* not one of ours, or not there */
    for (struct dirent *entry; error == ERROR_NONE && (entry = readdir(list)) != NULL;)
        if (file_path(path, "%s/%s", directory, entry->d_name))
            error = list_one(blocks, path, entry->d_name, keeps_loose);
    closedir(list);
    return error;
}

static enum error list_all(struct blocks *blocks)
{
    char path[FILE_PATH_MAX];
    bool keeps_loose = is_same_machine_boot(blocks->directory);
    enum error error = ERROR_NONE;
    for (unsigned i = 0; i < 256 && error == ERROR_NONE; i++) {
        if (!file_path(path, "%s/blocks/%02x", blocks->directory, i)) return ERROR_INVALID;
        error = list_directory(blocks, path, keeps_loose);
    }
    return error;
}

static enum error make_directories(const char *directory)
{
    static const char *const names[] = {"blocks", "tmp", "scratch"};
    char path[FILE_PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!file_path(path, "%s/%s", directory, names[i])) return ERROR_INVALID;
        if (i > 0) file_remove_tree(path);
        enum error error = file_make_directory(path, DIRECTORY_MODE);
        if (error != ERROR_NONE) return error;
    }
    return ERROR_NONE;
}

void blocks_feed_failed(struct loop *loop, uint64_t token, const struct digest *digest,
                        enum error error)
{
    struct event event = {.kind = EVENT_BLOCK_FAILED};
    event.block_failed.token = token;
    event.block_failed.digest = *digest;
    event.block_failed.error = error;
    loop_feed(loop, &event);
}

void blocks_feed_full(struct loop *loop, uint64_t size)
{
    struct event event = {.kind = EVENT_BLOCK_FAILED};
    event.block_failed.size = size;
    event.block_failed.error = ERROR_FULL;
    loop_feed(loop, &event);
}

enum error blocks_open(struct loop *loop, const char *directory, struct blocks **out)
{
    if (strlen(directory) > DIRECTORY_LENGTH_MAX) return ERROR_INVALID;
    struct blocks *blocks = calloc(1, sizeof *blocks);
    if (blocks == NULL) return ERROR_MEMORY;
    blocks->loop = loop;
    blocks->directory = directory;
    map_init(&blocks->map, &loop->memory, offsetof(struct block, digest), sizeof(struct digest));
    *out = blocks;
    enum error error = make_directories(directory);
    return error == ERROR_NONE ? list_all(blocks) : error;
}

void blocks_free(struct blocks *blocks)
{
    size_t cursor = 0;
    struct block *block;
    if (blocks == NULL) return;
    assert(!blocks->is_placing && blocks->first == NULL);
    while ((block = map_next(&blocks->map, &cursor)) != NULL) free(block);
    map_deinit(&blocks->map);
    free(blocks);
}
