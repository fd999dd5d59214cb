/* The laboratory's disk. Pairs in an array sorted by key (a new key moves pointers: cheap for
 * the tens of thousands of batches that a simulated node has), and an undo journal of what was
 * not synced: for each put, what stood there before.
 *
 *   pairs    what a read sees
 *   journal  [write: undo undo] [write: undo] ...   since the last sync, oldest first
 *
 * A power cut takes the journal back to the end of one of its writes. That is all a disk behind
 * storage_lmdb.c can do to us, too: writes are atomic and ordered there, so nothing is torn and
 * nothing reordered. */
#include "store/storage.h"

#include <assert.h>
#include <stdlib.h>

struct pair {
    size_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* key, then value */
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
    uint64_t writes;     /* in the journal */
    uint64_t countdown;
    enum error error;    /* what the countdown brings */
    enum error failed;   /* what it has brought, when that is for good */
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

static struct pair *pair_new(struct slice key, struct slice value)
{
    struct pair *pair = malloc(sizeof *pair + key.count + value.count);
    if (pair == NULL) return NULL;
    pair->key_size = key.count;
    pair->value_size = value.count;
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
        undo[i].written = is_delete ? NULL : pair_new(puts[i].key, puts[i].value);
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
        struct slice key = key_of(memory->pairs[at]);
        if (key.count < prefix.count || !slice_equal(slice_of(key.at, prefix.count), prefix)) break;
        error = visit(context, key, value_of(memory->pairs[at]));
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

void storage_memory_crash(struct storage *storage, uint64_t choice)
{
    struct storage_memory *memory = memory_of(storage);
    assert(storage->methods == &methods);
    uint64_t kept = choice == UINT64_MAX ? memory->writes : choice % (memory->writes + 1);
    while (memory->journal_count > 0) {
        struct undo *undo = &memory->journal[memory->journal_count - 1];
        if (undo->write <= kept) break;
        struct slice key = key_of(undo->written != NULL ? undo->written : undo->former);
        struct pair *written = exchange(memory, key, undo->former);
        assert(written == undo->written);
        free(written);
        memory->journal_count--;
    }
    forget_journal(memory);
    memory->failed = ERROR_NONE;
    memory->countdown = 0;
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
        to->pairs[to->count] = pair_new(key_of(pair), value_of(pair));
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
