/* The laboratory's disk. Pairs in an array sorted by key (a new key moves pointers: cheap for
 * the tens of thousands of batches that a simulated node has), and an undo journal of what was
 * not synced: for each put, what stood there before.
 *
 *   pairs    what a read sees
 *   journal  [write: undo undo] [write: undo] ...   since the last sync, oldest first
 *
 * A power cut. What was not synced is laid out as it lies on its way to the platter, in order:
 *
 *   [checksum: 8][size: 4] [key size: 4][value size: 4][value's checksum: 8][key][value] ...
 *    one write, all of its puts                                     -1: the key is deleted
 *
 * Of these bytes the cut leaves a part, and elsewhere what stood there before: all up to some
 * write (lost), all up to some byte (torn), or any subset of the sectors (reordered). Then the
 * disk is opened as any that keeps a journal: the writes are played one after the other, up to
 * the first that does not match its checksum. So after each kind of cut there is what was written
 * up to some point, and no half of anything: the contract that LMDB has by copy on write (its own
 * file is torn in tests/unit/test_crash_points.c). A disk told to trust (storage_memory_trust)
 * skips the check, to prove that it is needed. */
#include "store/storage.h"

#include "base/hash.h"
#include "base/prng.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SECTOR_SIZE = 512,
    FRAME_HEAD_SIZE = 12,
    PUT_HEAD_SIZE = 16,
};

#define VALUE_DELETED UINT32_MAX

struct pair {
    size_t key_size;
    size_t value_size;
    uint64_t checksum; /* of the value, seeded by that of the key */
    uint8_t bytes[];   /* key, then value */
};

/* One put: what it displaced and what it left. One of the two is NULL when it made or deleted the
 * key, never both. */
struct undo {
    struct pair *former;  /* owned */
    struct pair *written; /* owned by pairs, or by the undo that displaced it later */
    uint64_t write;       /* number of the write it was part of: 1, 2, ... since the last sync */
};

struct storage_memory {
    struct storage storage;
    struct pair **pairs; /* sorted by key */
    size_t count;
    size_t capacity;
    struct undo *journal;
    size_t journal_count;
    size_t journal_capacity;
    uint64_t writes; /* in the journal */
    uint64_t countdown;
    enum error error;  /* what the countdown brings */
    enum error failed; /* what it has brought, when that is for good */
    bool is_trusting;  /* after a cut what is half there is taken, too */
};

static struct storage_memory *memory_of(struct storage *storage)
{
    return (struct storage_memory *)(void *)storage;
}

static struct slice key_of(const struct pair *pair)
{
    return slice_of(pair->bytes, pair->key_size);
}

static struct slice value_of(const struct pair *pair)
{
    return slice_of(pair->bytes + pair->key_size, pair->value_size);
}

/* The first pair whose key is not before this one. */
static size_t lower_bound(const struct storage_memory *memory, struct slice key)
{
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(key_of(memory->pairs[middle]), key) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static uint64_t checksum_of(struct slice key, struct slice value)
{
    return hash64(value.at, value.count, hash64(key.at, key.count, 0));
}

static struct pair *pair_new(struct slice key, struct slice value, uint64_t checksum)
{
    struct pair *pair = malloc(sizeof *pair + key.count + value.count);
    if (pair == NULL) return NULL;
    pair->key_size = key.count;
    pair->value_size = value.count;
    pair->checksum = checksum;
    memcpy(pair->bytes, key.at, key.count);
    if (value.count > 0) memcpy(pair->bytes + key.count, value.at, value.count);
    return pair;
}

/* Puts `pair` (NULL: nothing) in the place of this key; returns what stood there, or NULL. There
 * must be room. */
static struct pair *exchange(struct storage_memory *memory, struct slice key, struct pair *pair)
{
    size_t at = lower_bound(memory, key);
    struct pair **place = memory->pairs + at;
    size_t behind = (memory->count - at) * sizeof *place;
    bool is_there = behind > 0 && slice_equal(key_of(*place), key);
    struct pair *former = is_there ? *place : NULL;
    if (is_there && pair == NULL) {
        memmove(place, place + 1, behind - sizeof *place);
        memory->count--;
    } else if (!is_there && pair != NULL) {
        assert(memory->count < memory->capacity);
        if (behind > 0) memmove(place + 1, place, behind);
        memory->count++;
    }
    if (pair != NULL) *place = pair;
    return former;
}

/* An array with room for `more` items behind count; false, and the array untouched, when there
 * is no memory. */
static bool reserve(void **items, size_t *capacity, size_t count, size_t more, size_t item_size)
{
    size_t wanted = *capacity == 0 ? 16 : *capacity;
    while (wanted - count < more) wanted *= 2;
    if (wanted == *capacity) return true;
    void *moved = realloc(*items, wanted * item_size);
    if (moved == NULL) return false;
    *items = moved;
    *capacity = wanted;
    return true;
}

/* The countdown: what this operation fails with, or NONE. */
static enum error begin(struct storage_memory *memory)
{
    if (memory->failed != ERROR_NONE) return memory->failed;
    if (memory->countdown == 0 || --memory->countdown > 0) return ERROR_NONE;
    enum error error = memory->error;
    if (error != ERROR_FULL && error != ERROR_MEMORY && error != ERROR_DENIED)
        memory->failed = error;
    return error;
}

/* Makes the new pairs of a write in the journal, not yet applied; false, nothing left, without
 * memory. */
static bool prepare(struct storage_memory *memory, const struct storage_put *puts, size_t count)
{
    void *pairs = memory->pairs, *journal = memory->journal;
    bool fits = reserve(&pairs, &memory->capacity, memory->count, count, sizeof *memory->pairs);
    memory->pairs = pairs;
    fits = fits && reserve(&journal, &memory->journal_capacity, memory->journal_count, count,
                           sizeof *memory->journal);
    memory->journal = journal;
    if (!fits) return false;
    struct undo *undo = memory->journal + memory->journal_count;
    for (size_t i = 0; i < count; i++) {
        assert(puts[i].key.count > 0 && puts[i].key.count <= STORAGE_KEY_MAX);
        bool is_delete = puts[i].value.at == NULL;
        undo[i] = (struct undo){.write = memory->writes + 1};
        undo[i].written = is_delete ? NULL
                                    : pair_new(puts[i].key, puts[i].value,
                                               checksum_of(puts[i].key, puts[i].value));
        if (is_delete || undo[i].written != NULL) continue;
        while (i > 0) free(undo[--i].written);
        return false;
    }
    return true;
}

static enum error memory_write(struct storage *storage, const struct storage_put *puts,
                               size_t count)
{
    struct storage_memory *memory = memory_of(storage);
    enum error error = begin(memory);
    if (error != ERROR_NONE) return error;
    if (!prepare(memory, puts, count)) return ERROR_MEMORY;
    memory->writes++;
    struct undo *undo = memory->journal + memory->journal_count;
    for (size_t i = 0; i < count; i++) {
        undo[i].former = exchange(memory, puts[i].key, undo[i].written);
        bool is_nothing = undo[i].former == NULL && undo[i].written == NULL;
        if (!is_nothing) memory->journal[memory->journal_count++] = undo[i];
    }
    return ERROR_NONE;
}

static void forget_journal(struct storage_memory *memory)
{
    for (size_t i = 0; i < memory->journal_count; i++) free(memory->journal[i].former);
    memory->journal_count = 0;
    memory->writes = 0;
}

static enum error memory_sync(struct storage *storage)
{
    struct storage_memory *memory = memory_of(storage);
    enum error error = begin(memory);
    if (error == ERROR_NONE) forget_journal(memory);
    return error;
}

typedef enum error visitor(void *context, struct slice key, struct slice value);

static enum error memory_each(struct storage *storage, struct slice prefix, visitor *visit,
                              void *context)
{
    const struct storage_memory *memory = memory_of(storage);
    enum error error = memory->failed;
    for (size_t at = lower_bound(memory, prefix); at < memory->count && error == ERROR_NONE; at++) {
        const struct pair *pair = memory->pairs[at];
        struct slice key = key_of(pair), value = value_of(pair);
        if (key.count < prefix.count || !slice_equal(slice_of(key.at, prefix.count), prefix)) break;
        bool is_sound = checksum_of(key, value) == pair->checksum;
        error = is_sound ? visit(context, key, value) : ERROR_CORRUPT;
    }
    return error;
}

static void memory_close(struct storage *storage)
{
    struct storage_memory *memory = memory_of(storage);
    forget_journal(memory);
    for (size_t i = 0; i < memory->count; i++) free(memory->pairs[i]);
    free(memory->pairs);
    free(memory->journal);
    free(memory);
}

static const struct storage_methods methods = {
    .write = memory_write,
    .sync = memory_sync,
    .each = memory_each,
    .close = memory_close,
};

enum error storage_memory_open(struct storage **storage)
{
    struct storage_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL) return ERROR_MEMORY;
    memory->storage.methods = &methods;
    *storage = &memory->storage;
    return ERROR_NONE;
}

/* ---- power cuts ---- */

/* What is on its way to the platter. */
struct frames {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    uint64_t count;
};

static void frames_add(struct frames *frames, const void *bytes, size_t size)
{
    void *items = frames->bytes;
    bool fits = reserve(&items, &frames->capacity, frames->size, size, 1);
    assert(fits); /* the laboratory's own memory has no limit */
    frames->bytes = items;
    if (size > 0) memcpy(frames->bytes + frames->size, bytes, size);
    frames->size += size;
}

static void frames_put(struct frames *frames, const struct undo *undo)
{
    const struct pair *pair = undo->written != NULL ? undo->written : undo->former;
    bool is_delete = undo->written == NULL;
    uint32_t sizes[2] = {(uint32_t)pair->key_size,
                         is_delete ? VALUE_DELETED : (uint32_t)pair->value_size};
    frames_add(frames, sizes, sizeof sizes);
    frames_add(frames, &pair->checksum, sizeof pair->checksum);
    frames_add(frames, pair->bytes, pair->key_size + (is_delete ? 0 : pair->value_size));
}

/* A frame's checksum knows its place: what stood there before is never taken for it. */
static uint64_t frame_checksum(const uint8_t *frame, size_t size, uint64_t number)
{
    return hash64(frame + sizeof(uint64_t), size - sizeof(uint64_t), number);
}

/* ends[i]: the byte behind write i; ends[0] = 0. As many as there are writes, and one. */
static void frames_make(struct frames *frames, const struct storage_memory *memory, size_t *ends)
{
    static const uint8_t nothing[FRAME_HEAD_SIZE];
    size_t at = 0;
    ends[0] = 0;
    for (uint64_t write = 1; write <= memory->writes; write++) {
        size_t begin = frames->size;
        frames_add(frames, nothing, sizeof nothing);
        for (; at < memory->journal_count && memory->journal[at].write == write; at++)
            frames_put(frames, &memory->journal[at]);
        uint32_t size = (uint32_t)(frames->size - begin);
        memcpy(frames->bytes + begin + sizeof(uint64_t), &size, sizeof size);
        uint64_t checksum = frame_checksum(frames->bytes + begin, size, frames->count++);
        memcpy(frames->bytes + begin, &checksum, sizeof checksum);
        ends[write] = frames->size;
    }
}

/* Leaves of the frames what reached the platter. */
static void frames_cut(struct frames *frames, const size_t *ends, enum storage_cut cut,
                       uint64_t choice)
{
    struct prng prng;
    prng_init(&prng, choice);
    bool was_empty = choice % 2 == 0; /* the platter there: zeros, or what was once written */
    uint64_t point =
        cut == STORAGE_LOST ? ends[choice % (frames->count + 1)] : choice % (frames->size + 1);
    if (choice == UINT64_MAX) return;
    for (size_t at = 0; at < frames->size; at += SECTOR_SIZE) {
        size_t size = frames->size - at < SECTOR_SIZE ? frames->size - at : SECTOR_SIZE;
        size_t kept = point <= at ? 0 : point - at < size ? (size_t)(point - at) : size;
        if (cut == STORAGE_REORDERED) kept = prng_below(&prng, 2) == 0 ? 0 : size;
        memset(frames->bytes + at + kept, 0, size - kept);
        if (!was_empty) prng_fill(&prng, frames->bytes + at + kept, size - kept);
    }
}

/* Sets or deletes one key as the frame says; the size of what it read, 0 when that is no put. */
static size_t replay_put(struct storage_memory *memory, const uint8_t *at, size_t left)
{
    uint32_t sizes[2];
    uint64_t checksum;
    if (left < PUT_HEAD_SIZE) return 0;
    memcpy(sizes, at, sizeof sizes);
    memcpy(&checksum, at + sizeof sizes, sizeof checksum);
    bool is_delete = sizes[1] == VALUE_DELETED;
    size_t value_size = is_delete ? 0 : sizes[1];
    left -= PUT_HEAD_SIZE;
    if (sizes[0] == 0 || sizes[0] > STORAGE_KEY_MAX || sizes[0] > left) return 0;
    if (value_size > left - sizes[0]) return 0;
    struct slice key = slice_of(at + PUT_HEAD_SIZE, sizes[0]);
    struct slice value = slice_of(key.at + key.count, value_size);
    void *pairs = memory->pairs;
    bool fits = reserve(&pairs, &memory->capacity, memory->count, 1, sizeof *memory->pairs);
    memory->pairs = pairs;
    struct pair *pair = is_delete ? NULL : pair_new(key, value, checksum);
    assert(fits && (is_delete || pair != NULL));
    free(exchange(memory, key, pair));
    return PUT_HEAD_SIZE + key.count + value_size;
}

/* Plays the frames up to the first that is not whole. */
static void frames_replay(struct storage_memory *memory, const struct frames *frames)
{
    size_t at = 0;
    for (uint64_t number = 0; frames->size - at >= FRAME_HEAD_SIZE; number++) {
        uint64_t checksum;
        uint32_t size;
        memcpy(&checksum, frames->bytes + at, sizeof checksum);
        memcpy(&size, frames->bytes + at + sizeof checksum, sizeof size);
        if (size < FRAME_HEAD_SIZE || size > frames->size - at) return;
        bool is_whole = frame_checksum(frames->bytes + at, size, number) == checksum;
        if (!is_whole && !memory->is_trusting) return;
        for (size_t put = FRAME_HEAD_SIZE, read = 1; put < size && read > 0; put += read)
            read = replay_put(memory, frames->bytes + at + put, size - put);
        at += size;
    }
}

/* Back to what was synced. */
static void roll_back(struct storage_memory *memory)
{
    while (memory->journal_count > 0) {
        struct undo *undo = &memory->journal[--memory->journal_count];
        struct slice key = key_of(undo->written != NULL ? undo->written : undo->former);
        struct pair *written = exchange(memory, key, undo->former);
        assert(written == undo->written);
        free(written);
    }
    memory->writes = 0;
}

void storage_memory_cut(struct storage *storage, enum storage_cut cut, uint64_t choice)
{
    struct storage_memory *memory = memory_of(storage);
    struct frames frames = {NULL, 0, 0, 0};
    size_t *ends = calloc(memory->writes + 1, sizeof *ends);
    assert(storage->methods == &methods && ends != NULL);
    frames_make(&frames, memory, ends);
    frames_cut(&frames, ends, cut, choice);
    roll_back(memory);
    frames_replay(memory, &frames);
    free(frames.bytes);
    free(ends);
    memory->failed = ERROR_NONE;
    memory->countdown = 0;
}

void storage_memory_crash(struct storage *storage, uint64_t choice)
{
    storage_memory_cut(storage, STORAGE_LOST, choice);
}

void storage_memory_trust(struct storage *storage)
{
    struct storage_memory *memory = memory_of(storage);
    assert(storage->methods == &methods);
    memory->is_trusting = true;
}

bool storage_memory_rot(struct storage *storage, uint64_t choice)
{
    struct storage_memory *memory = memory_of(storage);
    assert(storage->methods == &methods);
    if (memory->count == 0) return false;
    struct pair *pair = memory->pairs[choice % memory->count];
    if (pair->value_size == 0) return false;
    pair->bytes[pair->key_size + choice % pair->value_size] ^= (uint8_t)(1u << choice % 8);
    return true;
}

enum error storage_memory_copy(const struct storage *storage, struct storage **copy)
{
    const struct storage_memory *from = (const struct storage_memory *)(const void *)storage;
    assert(storage->methods == &methods);
    enum error error = storage_memory_open(copy);
    if (error != ERROR_NONE) return error;
    struct storage_memory *to = memory_of(*copy);
    void *pairs = NULL;
    bool fits = reserve(&pairs, &to->capacity, 0, from->count, sizeof *to->pairs);
    to->pairs = pairs;
    for (; fits && to->count < from->count; to->count += fits) {
        struct pair *pair = from->pairs[to->count];
        to->pairs[to->count] = pair_new(key_of(pair), value_of(pair), pair->checksum);
        fits = to->pairs[to->count] != NULL;
    }
    if (fits) return ERROR_NONE;
    storage_close(*copy);
    *copy = NULL;
    return ERROR_MEMORY;
}

void storage_memory_fail(struct storage *storage, uint64_t countdown, enum error error)
{
    struct storage_memory *memory = memory_of(storage);
    assert(storage->methods == &methods && error != ERROR_NONE);
    memory->countdown = countdown;
    memory->error = error;
}
