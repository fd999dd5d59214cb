/* Looking at a block's bytes (verify.h). Reading a block through costs as much as a small task, so
 * a good verdict holds for a while: as long as the file is the same one, unchanged as the kernel
 * tells (inode, size, times), and for ten minutes at most, because a disk changes bytes without
 * telling. A task's input is compared once more when the task has ended: bytes that changed while
 * it read them are none that it should have seen (rundir.c). What was just written counts as looked
 * at: its writer has hashed it. The scrub always reads.
 *
 * A plain block is one piece. A partitioned one is its index, which has the block's name, and the
 * segments, whose checksums are in the index behind what its name covers. */
#include "io/verify.h"

#include "base/hash.h"
#include "io/loop.h"
#include "io/partitioned.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GOOD_FOR = 600 * SECOND,
    READ_SIZE = 256 << 10, /* as a serving reads */
};

static struct block_state state_of(const struct stat *status, instant now)
{
    return (struct block_state){
        .inode = (uint64_t)status->st_ino,
        .size = (uint64_t)status->st_size,
        .modified = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec,
        .changed = (int64_t)status->st_ctim.tv_sec * 1000000000 + status->st_ctim.tv_nsec,
        .verified = now,
    };
}

void block_state_of(struct block_state *state, int file, instant now)
{
    struct stat status;
    *state = fstat(file, &status) == 0 ? state_of(&status, now) : (struct block_state){0};
}

static bool is_same(const struct block_state *before, const struct block_state *now)
{
    return before->verified != 0 && before->inode == now->inode && before->size == now->size &&
           before->modified == now->modified && before->changed == now->changed;
}

static bool is_unchanged(const struct block_state *before, const struct block_state *now)
{
    return is_same(before, now) && now->verified - before->verified < GOOD_FOR;
}

bool verify_is_unchanged(const char *path, const struct block_state *state)
{
    struct stat status;
    if (stat(path, &status) != 0) return false;
    const struct block_state now = state_of(&status, state->verified);
    return is_same(state, &now);
}

/* The digest of `size` bytes at `offset`. */
static enum error check_piece(int file, uint64_t offset, uint64_t size, const struct digest *wanted,
                              uint8_t *buffer)
{
    struct seal_hasher hasher;
    struct digest digest;
    seal_hasher_init(&hasher);
    while (size > 0) {
        size_t count = size < READ_SIZE ? (size_t)size : READ_SIZE;
        enum error error = file_read(file, buffer, count, offset);
        if (error != ERROR_NONE) return error;
        seal_hasher_update(&hasher, slice_of(buffer, count));
        offset += count;
        size -= count;
    }
    seal_hasher_final(&hasher, &digest);
    return digest_equal(&digest, wanted) ? ERROR_NONE : ERROR_CORRUPT;
}

/* The checksum of a segment as it is stored. */
static enum error check_segment(int file, const struct segment *segment, uint8_t *buffer)
{
    struct hash_stream check;
    uint64_t offset = segment->offset, left = segment->size;
    hash_stream_init(&check);
    while (left > 0) {
        size_t count = left < READ_SIZE ? (size_t)left : READ_SIZE;
        enum error error = file_read(file, buffer, count, offset);
        if (error != ERROR_NONE) return error;
        hash_stream_update(&check, buffer, count);
        offset += count;
        left -= count;
    }
    return hash_stream_final(&check) == segment->check ? ERROR_NONE : ERROR_CORRUPT;
}

/* Is this the index of the block of this name, and of so many bytes? */
static enum error check_index(struct slice index, const struct digest *wanted, uint64_t size)
{
    struct digest digest;
    uint64_t told;
    if (partitioned_check(index, &told) != NULL || told != size) return ERROR_CORRUPT;
    crypto_sodium.digest(partitioned_name(index), &digest);
    return digest_equal(&digest, wanted) ? ERROR_NONE : ERROR_CORRUPT;
}

static enum error check_partitioned(int file, uint64_t size, const struct digest *digest,
                                    uint8_t *buffer)
{
    uint8_t head[PARTITIONED_HEAD];
    enum error error = file_read(file, head, sizeof head, 0);
    if (error != ERROR_NONE) return error;
    size_t index_size = partitioned_index_size(head);
    if (index_size == 0) return ERROR_CORRUPT;
    uint8_t *index = malloc(index_size);
    if (index == NULL) return ERROR_MEMORY;
    error = file_read(file, index, index_size, 0);
    struct slice bytes = slice_of(index, index_size);
    if (error == ERROR_NONE) error = check_index(bytes, digest, size);
    uint32_t count = error == ERROR_NONE ? partitioned_count(bytes) : 0;
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++) {
        struct segment segment = partitioned_segment(bytes, i);
        error = check_segment(file, &segment, buffer);
    }
    free(index);
    return error;
}

static enum error check_open(int file, const struct digest *digest, bool is_partitioned,
                             uint64_t size)
{
    uint8_t *buffer = malloc(READ_SIZE);
    if (buffer == NULL) return ERROR_MEMORY;
    enum error error = is_partitioned ? check_partitioned(file, size, digest, buffer)
                                      : check_piece(file, 0, size, digest, buffer);
    free(buffer);
    return error;
}

enum error verify_file(const char *path, const struct digest *digest, bool is_partitioned,
                       bool is_forced, struct block_state *state)
{
    struct block_state now;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return file_error(errno);
    block_state_of(&now, file, loop_now());
    enum error error = ERROR_NONE;
    if (!is_forced && is_unchanged(state, &now)) {
        close(file);
        return ERROR_NONE;
    }
    error = check_open(file, digest, is_partitioned, now.size);
    close(file);
    *state = error == ERROR_NONE ? now : (struct block_state){0};
    return error;
}

/* Not the disk's fault: nothing is known about the bytes. */
static bool is_verdict(enum error error)
{
    return error == ERROR_CORRUPT || error == ERROR_IO || error == ERROR_NOT_FOUND;
}

static void feed(struct loop *loop, const struct digest *digest, enum error error)
{
    struct event event = {.kind = EVENT_BLOCK_CHECKED};
    event.block_checked.digest = *digest;
    event.block_checked.error = error;
    loop_feed(loop, &event);
}

void verify_note(struct loop *loop, struct block *block, const struct block_state *state,
                 enum error error)
{
    struct digest digest = block->digest;
    block->state = *state;
    if (is_verdict(error)) feed(loop, &digest, error);
}

/* ---- on a worker thread of its own ---- */

static void run_verify(struct chore *chore)
{
    struct verify *verify = (struct verify *)chore;
    verify->error = verify_file(verify->path, &verify->digest, verify->is_partitioned,
                                verify->is_forced, &verify->state);
}

static void done_verify(struct chore *chore)
{
    struct verify *verify = (struct verify *)chore;
    struct loop *loop = verify->loop;
    struct block *block = verify->block;
    /* First the node, so that it is dropped when the asker goes on without it. */
    verify_note(loop, block, &verify->state, verify->error);
    verify->done(verify, verify->error); /* verify may be gone now */
    blocks_unpin(loop->blocks, block);
}

void verify_start(struct loop *loop, struct verify *verify, struct block *block)
{
    verify->loop = loop;
    verify->block = block;
    verify->state = block->state;
    verify->digest = block->digest;
    verify->is_partitioned = block->is_partitioned;
    blocks_path(loop->blocks, block, verify->path);
    blocks_pin(block);
    chore_start(&loop->uv, &verify->chore, run_verify, done_verify);
}

/* ---- by order of the core ---- */

static void on_checked(struct verify *verify, enum error error)
{
    if (!is_verdict(error)) feed(verify->loop, &verify->digest, error);
    free(verify);
}

void verify_doubt(struct loop *loop, const struct digest *digest)
{
    if (blocks_find(loop->blocks, digest) != NULL) blocks_feed_failed(loop, 0, digest, ERROR_IO);
}

void verify_block(struct loop *loop, const struct digest *digest)
{
    struct block *block = blocks_find(loop->blocks, digest);
    struct verify *verify = block == NULL ? NULL : calloc(1, sizeof *verify);
    if (verify == NULL) {
        feed(loop, digest, block == NULL ? ERROR_NOT_FOUND : ERROR_MEMORY);
        return;
    }
    verify->is_forced = true;
    verify->done = on_checked;
    verify_start(loop, verify, block);
}
