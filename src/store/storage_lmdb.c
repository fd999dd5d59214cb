/* The world's disk: LMDB, a copy-on-write B+tree in a memory-mapped file (Chu 2011, "MDB: A
 * Memory-Mapped Database").
 *
 * What a crash leaves. LMDB's way to commit cheaply and sync later (MDB_NOSYNC) may leave a
 * damaged tree after a power cut, for the kernel writes pages in any order. MDB_NOMETASYNC is
 * safe, yet each commit still costs an fdatasync. So `write` touches no page: it queues its puts
 * in memory, and `sync` plays the queue into one transaction that is committed with everything
 * LMDB has (data pages, fdatasync, then the meta page, synchronously). A group of writes costs
 * one sync; after a crash there are all of them or none; and a transaction never outlives the
 * call, so it does not matter which thread calls.
 *
 * The queue is kept until the commit succeeded. A full disk therefore loses nothing: pages of a
 * failed transaction are referenced by nobody, and the next sync writes all of them anew. The
 * same queue is played again after the map grew, and when a disk was read-only for a while. Any
 * other error ends the storage: after a
 * failed fsync the kernel may have dropped pages and called them clean (Rebello et al. 2020,
 * "Can Applications Recover from fsync Failures?").
 *
 *   key     as given; "!format" is ours, and hidden
 *   value   [XXH3 of the value, seeded by that of the key: 8 bytes][value]
 *
 * A file cut short would kill us by SIGBUS when a page behind its end is read; it is made long
 * again with zeros at open, which the tree's page flags and the checksums then find. The
 * directory's entry is synced at open, since LMDB only syncs the file; and it is locked (flock),
 * since two nodes on one log would be each other's old disk image. */
#include "store/storage.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAP_SIZE_FIRST = 64 << 20, /* doubles when full; only address space, so generous */
    QUEUE_SIZE_MAX = 16 << 20, /* then write commits by itself; far below LMDB's own limit */
    QUEUE_SIZE_KEPT = 256 << 10,
    CHECKSUM_SIZE = 8,
    DELETED = -1, /* value size of a deletion in the queue */
};

/* What precedes each put in the queue; key and value follow. */
struct queued {
    uint32_t key_size;
    int32_t value_size;
};

struct storage_lmdb {
    struct storage storage;
    MDB_env *env;
    MDB_dbi database;
    int directory;  /* held open for its lock; -1 = none */
    uint8_t *queue; /* queued puts not committed, one behind the other */
    size_t queue_size;
    size_t queue_capacity;
    enum error failed; /* why this storage is of no use any more; NONE */
};

static const char format_key[] = "!format";
static const char format_text[] = "murmuration-log ";

static struct storage_lmdb *lmdb_of(struct storage *storage)
{
    return (struct storage_lmdb *)(void *)storage;
}

static enum error error_of(int code)
{
    switch (code) {
    case MDB_VERSION_MISMATCH: return ERROR_VERSION;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE: return ERROR_CORRUPT;
    case MDB_PANIC: return ERROR_IO; /* its meta page could not be written */
    case MDB_MAP_FULL: return ERROR_FULL;
    case EAGAIN:
    case EBUSY: return ERROR_BUSY;
    }
    return error_of_errno(code, ERROR_SYSTEM);
}

static uint64_t checksum_of(struct slice key, struct slice value)
{
    return hash64(value.at, value.count, hash64(key.at, key.count, 0));
}

static void put_checksum(uint8_t *at, uint64_t checksum)
{
    for (size_t i = 0; i < CHECKSUM_SIZE; i++) at[i] = (uint8_t)(checksum >> (8 * i));
}

/* The value behind its checksum; false when it is damaged. */
static bool value_of(struct slice key, const MDB_val *stored, struct slice *value)
{
    uint8_t expected[CHECKSUM_SIZE];
    if (stored->mv_size < CHECKSUM_SIZE) return false;
    const uint8_t *bytes = stored->mv_data;
    *value = slice_of(bytes + CHECKSUM_SIZE, stored->mv_size - CHECKSUM_SIZE);
    put_checksum(expected, checksum_of(key, *value));
    return memcmp(expected, bytes, CHECKSUM_SIZE) == 0;
}

/* ---- the queue ---- */

static bool queue_reserve(struct storage_lmdb *lmdb, size_t more)
{
    size_t capacity = lmdb->queue_capacity == 0 ? 64 * 1024 : lmdb->queue_capacity;
    while (capacity - lmdb->queue_size < more) capacity *= 2;
    if (capacity == lmdb->queue_capacity) return true;
    uint8_t *moved = realloc(lmdb->queue, capacity);
    if (moved == NULL) return false;
    lmdb->queue = moved;
    lmdb->queue_capacity = capacity;
    return true;
}

static void queue_bytes(struct storage_lmdb *lmdb, const void *bytes, size_t count)
{
    if (count > 0) memcpy(lmdb->queue + lmdb->queue_size, bytes, count);
    lmdb->queue_size += count;
}

static void queue_put(struct storage_lmdb *lmdb, const struct storage_put *put)
{
    bool is_deletion = put->value.at == NULL;
    int32_t value_size = is_deletion ? DELETED : (int32_t)put->value.count;
    struct queued head = {(uint32_t)put->key.count, value_size};
    queue_bytes(lmdb, &head, sizeof head);
    queue_bytes(lmdb, put->key.at, put->key.count);
    if (!is_deletion) queue_bytes(lmdb, put->value.at, put->value.count);
}

/* What a burst took goes back. */
static void queue_clear(struct storage_lmdb *lmdb)
{
    lmdb->queue_size = 0;
    if (lmdb->queue_capacity <= QUEUE_SIZE_KEPT) return;
    free(lmdb->queue);
    lmdb->queue = NULL;
    lmdb->queue_capacity = 0;
}

/* Takes the put at *at and moves behind it. */
static struct storage_put queue_take(const struct storage_lmdb *lmdb, size_t *at)
{
    struct queued head;
    memcpy(&head, lmdb->queue + *at, sizeof head);
    const uint8_t *key = lmdb->queue + *at + sizeof head;
    const uint8_t *value = key + head.key_size;
    bool is_deletion = head.value_size == DELETED;
    size_t value_size = is_deletion ? 0 : (size_t)head.value_size;
    *at += sizeof head + head.key_size + value_size;
    return (struct storage_put){
        slice_of(key, head.key_size),
        is_deletion ? slice_of(NULL, 0) : slice_of(value, value_size),
    };
}

/* ---- the transaction ---- */

static int apply(struct storage_lmdb *lmdb, MDB_txn *txn, const struct storage_put *put)
{
    MDB_val key = {put->key.count, (void *)(uintptr_t)put->key.at};
    if (put->value.at == NULL) {
        int code = mdb_del(txn, lmdb->database, &key, NULL);
        return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
    }
    MDB_val value = {CHECKSUM_SIZE + put->value.count, NULL};
    int code = mdb_put(txn, lmdb->database, &key, &value, MDB_RESERVE);
    if (code != MDB_SUCCESS) return code;
    uint8_t *bytes = value.mv_data;
    put_checksum(bytes, checksum_of(put->key, put->value));
    if (put->value.count > 0) memcpy(bytes + CHECKSUM_SIZE, put->value.at, put->value.count);
    return MDB_SUCCESS;
}

/* All of the queue in one transaction, on the disk when it returns 0. */
static int commit(struct storage_lmdb *lmdb)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) return code;
    for (size_t at = 0; at < lmdb->queue_size && code == MDB_SUCCESS;) {
        struct storage_put put = queue_take(lmdb, &at);
        code = apply(lmdb, txn, &put);
    }
    if (code == MDB_SUCCESS) return mdb_txn_commit(txn); /* frees txn in any case */
    mdb_txn_abort(txn);
    return code;
}

static int grow_map(struct storage_lmdb *lmdb)
{
    MDB_envinfo info;
    int code = mdb_env_info(lmdb->env, &info);
    if (code != MDB_SUCCESS) return code;
    if (info.me_mapsize > SIZE_MAX / 2) return ENOMEM;
    return mdb_env_set_mapsize(lmdb->env, 2 * info.me_mapsize);
}

/* LMDB calls a write that was cut short EIO, and that is how a disk (quota, file size limit)
 * gets full: such an EIO is ENOSPC, EDQUOT or EFBIG when the system does not give the file what
 * it wanted. */
static int disk_code(const struct storage_lmdb *lmdb, int code)
{
    enum {
        TREE_SIZE = 1 << 20
    }; /* the pages above the values, generously */
    struct stat file;
    int descriptor;
    if (code != EIO || mdb_env_get_fd(lmdb->env, &descriptor) != MDB_SUCCESS) return code;
    if (fstat(descriptor, &file) != 0) return code;
    off_t wanted = (off_t)(2 * lmdb->queue_size + TREE_SIZE);
    int probe = posix_fallocate(descriptor, file.st_size, wanted);
    if (ftruncate(descriptor, file.st_size) != 0) return code;
    return error_of(probe) == ERROR_FULL ? probe : code;
}

static enum error lmdb_sync(struct storage *storage)
{
    struct storage_lmdb *lmdb = lmdb_of(storage);
    if (lmdb->failed != ERROR_NONE || lmdb->queue_size == 0) return lmdb->failed;
    int code = commit(lmdb);
    while (code == MDB_MAP_FULL) {
        code = grow_map(lmdb);
        if (code == MDB_SUCCESS) code = commit(lmdb);
    }
    enum error error = error_of(disk_code(lmdb, code));
    if (error == ERROR_NONE) queue_clear(lmdb);
    else if (error != ERROR_FULL && error != ERROR_MEMORY && error != ERROR_DENIED)
        lmdb->failed = error;
    return error;
}

static enum error lmdb_write(struct storage *storage, const struct storage_put *puts, size_t count)
{
    struct storage_lmdb *lmdb = lmdb_of(storage);
    if (lmdb->failed != ERROR_NONE) return lmdb->failed;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        assert(puts[i].key.count > 0 && puts[i].key.count <= STORAGE_KEY_MAX);
        assert(puts[i].key.at[0] != (uint8_t)format_key[0]);
        assert(puts[i].value.count <= QUEUE_SIZE_MAX);
        size += sizeof(struct queued) + puts[i].key.count + puts[i].value.count;
    }
    if (lmdb->queue_size > 0 && lmdb->queue_size + size > QUEUE_SIZE_MAX) {
        enum error error = lmdb_sync(storage);
        if (error != ERROR_NONE) return error;
    }
    if (!queue_reserve(lmdb, size)) return ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) queue_put(lmdb, &puts[i]);
    return ERROR_NONE;
}

/* ---- reading ---- */

typedef enum error visitor(void *context, struct slice key, struct slice value);

static enum error walk(MDB_cursor *cursor, struct slice prefix, visitor *visit, void *context)
{
    MDB_val key = {prefix.count, (void *)(uintptr_t)prefix.at}, stored;
    int code = mdb_cursor_get(cursor, &key, &stored, prefix.count == 0 ? MDB_FIRST : MDB_SET_RANGE);
    enum error error = ERROR_NONE;
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT)) {
        struct slice found = slice_of(key.mv_data, key.mv_size), value;
        if (found.count < prefix.count || !slice_equal(slice_of(found.at, prefix.count), prefix))
            return ERROR_NONE;
        if (slice_equal(found, slice_string(format_key))) continue;
        if (!value_of(found, &stored, &value)) return ERROR_CORRUPT;
        error = visit(context, found, value);
        if (error != ERROR_NONE) return error;
    }
    return code == MDB_NOTFOUND ? ERROR_NONE : error_of(code);
}

static enum error lmdb_each(struct storage *storage, struct slice prefix, visitor *visit,
                            void *context)
{
    struct storage_lmdb *lmdb = lmdb_of(storage);
    enum error error = lmdb_sync(storage); /* what is queued is to be seen */
    if (error != ERROR_NONE) return error;
    MDB_txn *txn;
    MDB_cursor *cursor;
    int code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS) return error_of(code);
    code = mdb_cursor_open(txn, lmdb->database, &cursor);
    if (code == MDB_SUCCESS) {
        error = walk(cursor, prefix, visit, context);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return code == MDB_SUCCESS ? error : error_of(code);
}

/* ---- opening ---- */

static void lmdb_close(struct storage *storage)
{
    struct storage_lmdb *lmdb = lmdb_of(storage);
    if (lmdb->env != NULL) mdb_env_close(lmdb->env);
    if (lmdb->directory >= 0) close(lmdb->directory);
    free(lmdb->queue);
    free(lmdb);
}

static const struct storage_methods methods = {
    .write = lmdb_write,
    .sync = lmdb_sync,
    .each = lmdb_each,
    .close = lmdb_close,
};

/* Makes the directory and locks it. errno or 0. */
static int open_directory(struct storage_lmdb *lmdb, const char *directory)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) return errno;
    lmdb->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lmdb->directory < 0) return errno;
    return flock(lmdb->directory, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
}

/* Syncs the names of the files in the directory, and its own name in its parent. errno or 0. */
static int sync_directory(const struct storage_lmdb *lmdb)
{
    if (fsync(lmdb->directory) != 0 && errno != EINVAL) return errno; /* EINVAL: not needed there */
    int parent = openat(lmdb->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return errno == EACCES ? 0 : errno; /* not ours to sync, so not made by us */
    int code = fsync(parent) != 0 && errno != EINVAL ? errno : 0;
    close(parent);
    return code;
}

/* Makes the file at least as long as its tree. errno or 0. */
static int lengthen(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat pages;
    struct stat file;
    int descriptor;
    int code = mdb_env_info(env, &info);
    if (code == MDB_SUCCESS) code = mdb_env_stat(env, &pages);
    if (code == MDB_SUCCESS) code = mdb_env_get_fd(env, &descriptor);
    if (code != MDB_SUCCESS) return code;
    if (fstat(descriptor, &file) != 0) return errno;
    uint64_t wanted = ((uint64_t)info.me_last_pgno + 1) * pages.ms_psize;
    if ((uint64_t)file.st_size >= wanted) return 0;
    return ftruncate(descriptor, (off_t)wanted) != 0 ? errno : 0;
}

/* Checks "!format", or writes it into an empty database. */
static enum error check_format(MDB_txn *txn, MDB_dbi database)
{
    char text[sizeof format_text + 1];
    memcpy(text, format_text, sizeof format_text - 1);
    text[sizeof format_text - 1] = (char)('0' + STORAGE_VERSION);
    text[sizeof format_text] = 0;
    MDB_val key = {sizeof format_key - 1, (void *)(uintptr_t)format_key};
    MDB_val value;
    MDB_stat stat;
    int code = mdb_get(txn, database, &key, &value);
    if (code == MDB_SUCCESS) {
        bool is_ours = slice_equal(slice_of(value.mv_data, value.mv_size), slice_string(text));
        return is_ours ? ERROR_NONE : ERROR_VERSION;
    }
    if (code != MDB_NOTFOUND) return error_of(code);
    code = mdb_stat(txn, database, &stat);
    if (code != MDB_SUCCESS) return error_of(code);
    if (stat.ms_entries > 0) return ERROR_VERSION;
    value = (MDB_val){strlen(text), text};
    return error_of(mdb_put(txn, database, &key, &value, 0));
}

static enum error open_database(struct storage_lmdb *lmdb)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) return error_of(code);
    code = mdb_dbi_open(txn, NULL, 0, &lmdb->database);
    enum error error = code != MDB_SUCCESS ? error_of(code) : check_format(txn, lmdb->database);
    if (error == ERROR_NONE) return error_of(disk_code(lmdb, mdb_txn_commit(txn)));
    mdb_txn_abort(txn);
    return error;
}

static int open_environment(struct storage_lmdb *lmdb, const char *directory)
{
    int code = mdb_env_create(&lmdb->env);
    if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(lmdb->env, MAP_SIZE_FIRST);
    if (code == MDB_SUCCESS) code = mdb_env_open(lmdb->env, directory, MDB_NOTLS, 0600);
    return code == MDB_SUCCESS ? lengthen(lmdb->env) : code;
}

enum error storage_lmdb_open(const char *directory, struct storage **storage)
{
    struct storage_lmdb *lmdb = calloc(1, sizeof *lmdb);
    *storage = NULL;
    if (lmdb == NULL) return ERROR_MEMORY;
    lmdb->storage.methods = &methods;
    lmdb->directory = -1;
    int code = open_directory(lmdb, directory);
    if (code == 0) code = open_environment(lmdb, directory);
    enum error error = code == 0 ? open_database(lmdb) : error_of(disk_code(lmdb, code));
    if (error == ERROR_NONE) error = error_of(sync_directory(lmdb));
    if (error == ERROR_NONE) *storage = &lmdb->storage;
    else lmdb_close(&lmdb->storage);
    return error;
}
