/* A journal before a tree (storage.h). A commit of LMDB's costs two flushes of the disk one after
 * the other, and a third where its file grows. Here a sync is one write over bytes that the file
 * has already, and one flush (write-ahead logging: Gray and Reuter 1993, chapter 9). The tree gets
 * the same puts at once, but commits them later, many syncs in one transaction: when nobody waits
 * (storage_settle), or when the journal is full.
 *
 *   write  -> pending ------------------ sync -------> the journal file
 *        \--> the tree's queue --------- settle -----> the tree, and the journal is empty again
 *
 *   journal   [record][record]...  each at a multiple of RECORD_ALIGN, so no flush touches a block
 *                                  that was acknowledged before
 *   record    [magic 8][generation 8][sequence 4][size 4][checksum 8][puts: size bytes][zeros]
 *   put       [key size 4][value size 4, -1: a deletion][key][value]
 *
 * A generation is what lies between two settlings. Its number goes into the tree in the same
 * transaction as its puts. So at open the records of the generation after the tree's are what the
 * tree has not got; records of older ones are leftovers, however a cut has mixed them with newer
 * ones. They are played whole or, where the tree has them, not at all. What users wrote is in
 * there, too, and a block of it must not pass for a record: checksums begin with a salt that is the
 * tree's.
 *
 * A record is begun when the one before it is on the disk. So a bad one is the end, torn by a cut,
 * unless a good one of the same generation lies behind it: then the file was damaged.
 *
 * What does not fit, and what the file has no room for (a file system that copies on write, when
 * the disk is full), is settled instead: then the tree's errors count. A failed fsync ends the
 * storage, as it does for the tree. */
#include "store/storage.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    JOURNAL_SIZE = 1 << 20, /* some 200 syncs of brief jobs; a start plays it within milliseconds */
    RECORD_ALIGN = 4096,    /* blocks of file systems, pages, most disks' sectors */
    RECORD_HEAD_SIZE = 32,
    PUT_HEAD_SIZE = 8,
    OWED_MAX = 8 << 20, /* what the tree may have queued: it commits by itself above 16 MiB */
    OWN_SIZE = 16,      /* of what the tree has of ours: the last generation, the salt */
    PATH_SIZE_MAX = 4096,
};

static const char magic[] = "mrjrnl\1";
static const char own_key[] = "journal";

struct journal {
    struct storage storage;
    struct storage *tree;
    int file;
    size_t capacity; /* JOURNAL_SIZE; 0: the disk has no room for it, every sync settles */
    uint64_t salt;
    uint64_t generation; /* of the records that are written now */
    uint32_t sequence;   /* of the next one */
    size_t at;           /* where it goes */
    uint8_t *pending;    /* JOURNAL_SIZE: it, being made; pending_size 0: nothing to sync */
    size_t pending_size;
    size_t owed;    /* bytes that the tree was given since it was settled */
    bool is_direct; /* some of them are in no record: the next sync settles */
    bool is_marked; /* the tree's queue has this generation's number */
    enum error failed;
};

static struct journal *journal_of(struct storage *storage)
{
    return (struct journal *)(void *)storage;
}

static enum error error_of(int code) { return error_of_errno(code, ERROR_SYSTEM); }

/* ---- numbers, little endian ---- */

static void put_number(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number |= (uint64_t)at[i] << (8 * i);
    return number;
}

/* ---- a record ---- */

struct record {
    uint64_t generation;
    uint32_t sequence;
    size_t size; /* of its puts */
};

static uint64_t checksum_of(const uint8_t *record, size_t size, uint64_t salt)
{
    uint64_t head = hash64(record, RECORD_HEAD_SIZE - 8, salt);
    return hash64(record + RECORD_HEAD_SIZE, size, head);
}

static void record_seal(uint8_t *at, const struct record *record, uint64_t salt)
{
    memcpy(at, magic, sizeof magic);
    put_number(at + 8, record->generation, 8);
    put_number(at + 16, record->sequence, 4);
    put_number(at + 20, record->size, 4);
    put_number(at + 24, checksum_of(at, record->size, salt), 8);
}

/* False: there is none, whole, in these `left` bytes. */
static bool record_read(const uint8_t *at, size_t left, uint64_t salt, struct record *record)
{
    if (left < RECORD_HEAD_SIZE || memcmp(at, magic, sizeof magic) != 0) return false;
    record->generation = get_number(at + 8, 8);
    record->sequence = (uint32_t)get_number(at + 16, 4);
    record->size = (size_t)get_number(at + 20, 4);
    if (record->size > left - RECORD_HEAD_SIZE) return false;
    return get_number(at + 24, 8) == checksum_of(at, record->size, salt);
}

static size_t aligned(size_t size)
{
    return (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

/* ---- writing ---- */

static size_t size_of(const struct storage_put *puts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += PUT_HEAD_SIZE + puts[i].key.count + puts[i].value.count;
    return size;
}

static void pending_add(struct journal *journal, const struct storage_put *put)
{
    uint8_t *at = journal->pending + journal->pending_size;
    bool is_deletion = put->value.at == NULL;
    put_number(at, put->key.count, 4);
    put_number(at + 4, is_deletion ? UINT32_MAX : put->value.count, 4);
    memcpy(at + PUT_HEAD_SIZE, put->key.at, put->key.count);
    at += PUT_HEAD_SIZE + put->key.count;
    if (put->value.count > 0) memcpy(at, put->value.at, put->value.count);
    journal->pending_size += size_of(put, 1);
}

/* The tree has all of it: the journal begins anew, over what is in it. */
static void begin_generation(struct journal *journal)
{
    journal->generation++;
    journal->sequence = 0;
    journal->at = journal->pending_size = journal->owed = 0;
    journal->is_direct = journal->is_marked = false;
}

/* The tree's queue gets this generation's number, once. */
static enum error mark(struct journal *journal)
{
    uint8_t own[OWN_SIZE];
    if (journal->is_marked) return ERROR_NONE;
    put_number(own, journal->generation, 8);
    put_number(own + 8, journal->salt, 8);
    struct storage_put put = {slice_string(own_key), slice_of(own, sizeof own)};
    enum error error = storage_write(journal->tree, &put, 1);
    journal->is_marked = error == ERROR_NONE;
    return error;
}

/* One of those after which nothing is lost (storage.h). */
static bool may_pass(enum error error)
{
    return error == ERROR_FULL || error == ERROR_MEMORY || error == ERROR_DENIED;
}

/* A full disk is told by all syncs until there is room: none finds some in the journal meanwhile.
 */
static enum error settle(struct journal *journal)
{
    enum error error = mark(journal);
    if (error == ERROR_NONE) error = storage_sync(journal->tree);
    if (error == ERROR_NONE) begin_generation(journal);
    else if (may_pass(error)) journal->is_direct = true;
    else journal->failed = error;
    return error;
}

static enum error journal_settle(struct storage *storage)
{
    struct journal *journal = journal_of(storage);
    if (journal->failed != ERROR_NONE || journal->owed == 0) return journal->failed;
    return settle(journal);
}

static bool fits(const struct journal *journal, size_t size)
{
    size_t used = journal->pending_size == 0 ? RECORD_HEAD_SIZE : journal->pending_size;
    size_t left = journal->capacity - journal->at;
    return !journal->is_direct && used <= left && size <= left - used;
}

static enum error journal_write(struct storage *storage, const struct storage_put *puts,
                                size_t count)
{
    struct journal *journal = journal_of(storage);
    size_t size = size_of(puts, count);
    if (journal->failed != ERROR_NONE || count == 0) return journal->failed;
    enum error error = ERROR_NONE;
    if (journal->owed + size > OWED_MAX) error = journal_settle(storage);
    if (error == ERROR_NONE) error = storage_write(journal->tree, puts, count);
    if (error != ERROR_NONE) return error;
    journal->owed += size;
    journal->is_direct = !fits(journal, size);
    if (journal->is_direct) return ERROR_NONE;
    if (journal->pending_size == 0) journal->pending_size = RECORD_HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        assert(!slice_equal(puts[i].key, slice_string(own_key)));
        pending_add(journal, &puts[i]);
    }
    return ERROR_NONE;
}

/* errno or 0. */
static int write_all(int file, const uint8_t *bytes, size_t size, size_t at)
{
    while (size > 0) {
        ssize_t written = pwrite(file, bytes, size, (off_t)at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        bytes += written;
        size -= (size_t)written;
        at += (size_t)written;
    }
    return 0;
}

/* What is pending becomes a record, and is on the disk. FULL and others that may pass: it is not.
 */
static enum error append_record(struct journal *journal)
{
    size_t size = aligned(journal->pending_size);
    const struct record record = {journal->generation, journal->sequence,
                                  journal->pending_size - RECORD_HEAD_SIZE};
    memset(journal->pending + journal->pending_size, 0, size - journal->pending_size);
    record_seal(journal->pending, &record, journal->salt);
    enum error error = error_of(write_all(journal->file, journal->pending, size, journal->at));
    if (may_pass(error)) return error;
    if (error == ERROR_NONE && fdatasync(journal->file) != 0) error = ERROR_IO;
    if (error != ERROR_NONE) {
        journal->failed = error;
        return error;
    }
    journal->at += size;
    journal->sequence++;
    journal->pending_size = 0;
    return ERROR_NONE;
}

static enum error journal_sync(struct storage *storage)
{
    struct journal *journal = journal_of(storage);
    if (journal->failed != ERROR_NONE) return journal->failed;
    if (journal->is_direct) return settle(journal);
    if (journal->pending_size == 0) return ERROR_NONE;
    enum error error = append_record(journal);
    return may_pass(error) ? settle(journal) : error;
}

static unsigned journal_owes(const struct storage *storage)
{
    const struct journal *journal = (const struct journal *)(const void *)storage;
    size_t most = journal->owed > journal->at ? journal->owed : journal->at;
    if (journal->failed != ERROR_NONE || most == 0) return 0;
    return most >= JOURNAL_SIZE ? 100 : 1 + (unsigned)(most * 99 / JOURNAL_SIZE);
}

/* ---- reading ---- */

struct walk {
    enum error (*visit)(void *context, struct slice key, struct slice value);
    void *context;
};

static enum error visit_but_own(void *context, struct slice key, struct slice value)
{
    const struct walk *walk = context;
    if (slice_equal(key, slice_string(own_key))) return ERROR_NONE;
    return walk->visit(walk->context, key, value);
}

/* The tree sees what it has queued, and commits it first: so the number has to go along. */
static enum error journal_each(struct storage *storage, struct slice prefix,
                               enum error (*visit)(void *context, struct slice key,
                                                   struct slice value),
                               void *context)
{
    struct journal *journal = journal_of(storage);
    struct walk walk = {visit, context};
    enum error error = journal_settle(storage);
    if (error != ERROR_NONE) return error;
    return storage_each(journal->tree, prefix, visit_but_own, &walk);
}

/* ---- opening ---- */

static enum error visit_own(void *context, struct slice key, struct slice value)
{
    struct journal *journal = context;
    if (!slice_equal(key, slice_string(own_key))) return ERROR_NONE;
    if (value.count != OWN_SIZE) return ERROR_CORRUPT;
    journal->generation = get_number(value.at, 8);
    journal->salt = get_number(value.at + 8, 8);
    return ERROR_NONE;
}

/* From the tree; a new one gets a salt, before anything is written with it. */
static enum error open_generation(struct journal *journal)
{
    uint8_t salt[8];
    enum error error = storage_each(journal->tree, slice_string(own_key), visit_own, journal);
    if (error != ERROR_NONE) return error;
    if (journal->generation > 0) {
        journal->generation++;
        return ERROR_NONE;
    }
    if (getrandom(salt, sizeof salt, 0) != sizeof salt) return ERROR_SYSTEM;
    journal->salt = get_number(salt, sizeof salt);
    journal->generation = 1;
    return settle(journal);
}

/* Gives the tree the puts of a record. CORRUPT: they are none, behind a right checksum. */
static enum error play_record(struct journal *journal, const uint8_t *at, size_t size)
{
    while (size > 0) {
        if (size < PUT_HEAD_SIZE) return ERROR_CORRUPT;
        size_t key_size = (size_t)get_number(at, 4), value_size = (size_t)get_number(at + 4, 4);
        bool is_deletion = value_size == UINT32_MAX;
        if (is_deletion) value_size = 0;
        size -= PUT_HEAD_SIZE;
        if (key_size == 0 || key_size > STORAGE_KEY_MAX || key_size > size) return ERROR_CORRUPT;
        if (value_size > size - key_size) return ERROR_CORRUPT;
        const uint8_t *key = at + PUT_HEAD_SIZE, *value = key + key_size;
        struct storage_put put = {slice_of(key, key_size),
                                  is_deletion ? slice_of(NULL, 0) : slice_of(value, value_size)};
        enum error error = storage_write(journal->tree, &put, 1);
        if (error != ERROR_NONE) return error;
        journal->owed += PUT_HEAD_SIZE + key_size + value_size;
        size -= key_size + value_size;
        at = value + value_size;
    }
    return ERROR_NONE;
}

/* Something of this generation, or of a later one, that should be behind a record that is. */
static bool has_more(const struct journal *journal, const uint8_t *bytes, size_t size)
{
    struct record record;
    for (size_t at = journal->at; at < size; at += RECORD_ALIGN)
        if (record_read(bytes + at, size - at, journal->salt, &record) &&
            record.generation >= journal->generation)
            return true;
    return false;
}

/* Gives the tree what it has not got, and settles. */
static enum error play(struct journal *journal, const uint8_t *bytes, size_t size)
{
    struct record record;
    enum error error = ERROR_NONE;
    while (error == ERROR_NONE && journal->at < size &&
           record_read(bytes + journal->at, size - journal->at, journal->salt, &record) &&
           record.generation == journal->generation && record.sequence == journal->sequence) {
        error = play_record(journal, bytes + journal->at + RECORD_HEAD_SIZE, record.size);
        journal->at += aligned(RECORD_HEAD_SIZE + record.size);
        journal->sequence++;
    }
    if (error == ERROR_NONE && has_more(journal, bytes, size)) error = ERROR_CORRUPT;
    return error == ERROR_NONE && journal->at > 0 ? settle(journal) : error;
}

/* errno or 0. */
static int read_all(int file, uint8_t *bytes, size_t *size)
{
    for (*size = 0; *size < JOURNAL_SIZE;) {
        ssize_t count = pread(file, bytes + *size, JOURNAL_SIZE - *size, (off_t)*size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        if (count == 0) return 0;
        *size += (size_t)count;
    }
    return 0;
}

/* Zeros, of which only those that are touched are memory. NULL: there is none. */
static uint8_t *reserve(void)
{
    void *at = mmap(NULL, JOURNAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static enum error read_and_play(struct journal *journal, size_t *size)
{
    uint8_t *bytes = reserve();
    if (bytes == NULL) return ERROR_MEMORY;
    enum error error = error_of(read_all(journal->file, bytes, size));
    if (error == ERROR_NONE) error = play(journal, bytes, *size);
    (void)munmap(bytes, JOURNAL_SIZE);
    return error;
}

/* All of the file is written once: a sync then changes bytes, and no list of blocks. errno or 0. */
static int fill(const struct journal *journal, const char *directory, size_t size)
{
    if (size == JOURNAL_SIZE) return 0;
    int code = write_all(journal->file, journal->pending, JOURNAL_SIZE - size, size);
    if (code != 0) return ftruncate(journal->file, (off_t)size) != 0 ? errno : code;
    if (fsync(journal->file) != 0) return EIO;
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return errno;
    code = fsync(parent) != 0 && errno != EINVAL ? EIO : 0;
    close(parent);
    return code;
}

static enum error open_file(struct journal *journal, const char *directory)
{
    char path[PATH_SIZE_MAX];
    size_t size = 0;
    int count = snprintf(path, sizeof path, "%s/journal", directory);
    if (count < 0 || (size_t)count >= sizeof path) return ERROR_INVALID;
    journal->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (journal->file < 0) return error_of(errno);
    enum error error = read_and_play(journal, &size);
    if (error != ERROR_NONE) return error;
    error = error_of(fill(journal, directory, size));
    journal->capacity = error == ERROR_NONE ? JOURNAL_SIZE : 0;
    return error == ERROR_FULL ? ERROR_NONE : error;
}

static void release(struct journal *journal)
{
    if (journal->tree != NULL) storage_close(journal->tree);
    if (journal->file >= 0) close(journal->file);
    if (journal->pending != NULL) (void)munmap(journal->pending, JOURNAL_SIZE);
    free(journal);
}

/* What a clean end leaves is in the tree. What was not synced is not made so. */
static void journal_close(struct storage *storage)
{
    struct journal *journal = journal_of(storage);
    if (journal->pending_size == 0 && !journal->is_direct) (void)!journal_settle(storage);
    release(journal);
}

static const struct storage_methods methods = {
    .write = journal_write,
    .sync = journal_sync,
    .each = journal_each,
    .close = journal_close,
    .settle = journal_settle,
    .owes = journal_owes,
};

enum error storage_journal_open(const char *directory, struct storage **storage)
{
    struct journal *journal = calloc(1, sizeof *journal);
    *storage = NULL;
    if (journal == NULL) return ERROR_MEMORY;
    journal->storage.methods = &methods;
    journal->file = -1;
    journal->pending = reserve();
    enum error error = journal->pending == NULL ? ERROR_MEMORY : ERROR_NONE;
    if (error == ERROR_NONE) error = storage_lmdb_open(directory, &journal->tree);
    if (error == ERROR_NONE) error = open_generation(journal);
    if (error == ERROR_NONE) error = open_file(journal, directory);
    if (error == ERROR_NONE) *storage = &journal->storage;
    else release(journal);
    return error;
}
