/* One suite over all disks: LMDB in a directory made for it, the same behind a journal, and the
 * laboratory's. Then what is particular: a real file damaged, cut short or of another version; a
 * journal that a crash left, torn, damaged or with leftovers; a disk in memory that loses what was
 * not synced, fails when told, and is copied. */
#include "base/prng.h"
#include "store/storage.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    KEYS = 64,
    VALUE_MAX = 300,
};

/* A disk under test. */
struct disk {
    struct storage *storage;
    char directory[64]; /* empty: in memory */
    bool has_journal;
};

static void disk_open(struct disk *disk)
{
    if (disk->directory[0] == '\0')
        assert_int_equal(storage_memory_open(&disk->storage), ERROR_NONE);
    else if (disk->has_journal)
        assert_int_equal(storage_journal_open(disk->directory, &disk->storage), ERROR_NONE);
    else assert_int_equal(storage_lmdb_open(disk->directory, &disk->storage), ERROR_NONE);
}

static int memory_setup(void **state)
{
    struct disk *disk = calloc(1, sizeof *disk);
    disk_open(disk);
    *state = disk;
    return 0;
}

static int directory_setup(void **state, bool has_journal)
{
    struct disk *disk = calloc(1, sizeof *disk);
    disk->has_journal = has_journal;
    bool is_shared = access("/dev/shm", W_OK) == 0; /* quicker; nobody cuts the power */
    (void)snprintf(disk->directory, sizeof disk->directory, "%s/test-storage-XXXXXX",
                   is_shared ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(disk->directory));
    disk_open(disk);
    *state = disk;
    return 0;
}

static int lmdb_setup(void **state) { return directory_setup(state, false); }

static int journal_setup(void **state) { return directory_setup(state, true); }

static void path_of(const struct disk *disk, const char *file, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", disk->directory, file);
}

static int teardown(void **state)
{
    struct disk *disk = *state;
    if (disk->storage != NULL) storage_close(disk->storage);
    if (disk->directory[0] != '\0') {
        char path[128];
        path_of(disk, "data.mdb", path);
        (void)unlink(path);
        path_of(disk, "lock.mdb", path);
        (void)unlink(path);
        path_of(disk, "journal", path);
        (void)unlink(path);
        (void)rmdir(disk->directory);
    }
    free(disk);
    return 0;
}

/* Closes and opens again: the disk's own way to come back. */
static void reopen(struct disk *disk)
{
    if (disk->directory[0] == '\0') {
        storage_memory_crash(disk->storage, 0);
        return;
    }
    storage_close(disk->storage);
    disk_open(disk);
}

static void put(struct disk *disk, const char *key, const char *value)
{
    struct slice bytes = value == NULL ? slice_of(NULL, 0) : slice_string(value);
    struct storage_put one = {slice_string(key), bytes};
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
}

/* ---- "key=value " of all that starts with prefix ---- */

struct text {
    char at[512];
    size_t count;
};

static enum error print_pair(void *context, struct slice key, struct slice value)
{
    struct text *text = context;
    int written =
        snprintf(text->at + text->count, sizeof text->at - text->count, "%.*s=%.*s ",
                 (int)key.count, (const char *)key.at, (int)value.count, (const char *)value.at);
    text->count += (size_t)written;
    return ERROR_NONE;
}

static void check(const struct disk *disk, const char *prefix, const char *expected)
{
    struct text text = {.count = 0};
    enum error error = storage_each(disk->storage, slice_string(prefix), print_pair, &text);
    assert_int_equal(error, ERROR_NONE);
    assert_string_equal(text.at, expected);
}

/* ---- both ---- */

static void pairs_come_back_in_key_order(void **state)
{
    struct disk *disk = *state;
    check(disk, "", "");
    put(disk, "b", "2");
    put(disk, "a", "1");
    put(disk, "b2", "");
    put(disk, "c", "3");
    check(disk, "", "a=1 b=2 b2= c=3 ");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    check(disk, "", "a=1 b=2 b2= c=3 ");
    check(disk, "b", "b=2 b2= ");
    check(disk, "b3", "");
    check(disk, "d", "");
    put(disk, "b", "two");
    put(disk, "a", NULL);
    put(disk, "nothing", NULL);
    check(disk, "", "b=two b2= c=3 ");
}

static void what_was_synced_is_there_after_a_reopen(void **state)
{
    struct disk *disk = *state;
    reopen(disk);
    check(disk, "", "");
    put(disk, "a", "1");
    put(disk, "b", "2");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    put(disk, "a", "later");
    put(disk, "b", NULL);
    put(disk, "c", "3");
    reopen(disk); /* none of the last three was synced */
    check(disk, "", "a=1 b=2 ");
    put(disk, "b", NULL);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    reopen(disk);
    check(disk, "", "a=1 ");
}

static void a_write_is_applied_in_order(void **state)
{
    struct disk *disk = *state;
    struct slice a = slice_string("a"), b = slice_string("b"), none = slice_of(NULL, 0);
    struct storage_put puts[] = {
        {a, slice_string("1")},
        {a, slice_string("2")},
        {b, slice_string("3")},
        {b, none},
        {a, none},
        {a, slice_string("4")},
    };
    assert_int_equal(storage_write(disk->storage, puts, 6), ERROR_NONE);
    assert_int_equal(storage_write(disk->storage, puts, 0), ERROR_NONE);
    check(disk, "", "a=4 ");
}

static enum error stop_at_once(void *context, struct slice key, struct slice value)
{
    unsigned *calls = context;
    (void)key;
    (void)value;
    (*calls)++;
    return ERROR_EXISTS;
}

static void a_visitor_ends_the_walk(void **state)
{
    struct disk *disk = *state;
    unsigned calls = 0;
    put(disk, "a", "1");
    put(disk, "b", "2");
    enum error error = storage_each(disk->storage, slice_string(""), stop_at_once, &calls);
    assert_int_equal(error, ERROR_EXISTS);
    assert_int_equal(calls, 1);
    check(disk, "", "a=1 b=2 ");
}

/* The model: for each of KEYS keys what is there, and what would be after a power cut. */
struct model {
    uint32_t now[KEYS];
    uint32_t synced[KEYS];
};

struct walk {
    const struct model *model;
    unsigned at;
};

static size_t value_make(uint32_t number, uint8_t value[VALUE_MAX])
{
    size_t size = 4 + number % (VALUE_MAX - 4);
    memset(value, (int)(number & 0xff), size);
    memcpy(value, &number, 4);
    return size;
}

static enum error compare_pair(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;
    uint8_t expected[VALUE_MAX];
    while (walk->at < KEYS && walk->model->now[walk->at] == 0) walk->at++;
    assert_true(walk->at < KEYS);
    assert_int_equal(key.count, 2);
    assert_int_equal(key.at[1], walk->at);
    size_t size = value_make(walk->model->now[walk->at++], expected);
    assert_true(slice_equal(value, slice_of(expected, size)));
    return ERROR_NONE;
}

static void any_history_agrees_with_the_model(void **state)
{
    struct disk *disk = *state;
    struct model model = {{0}, {0}};
    struct prng prng;
    prng_init(&prng, 5);
    for (uint32_t step = 1; step <= 3000; step++) {
        uint8_t key[2] = {'k', (uint8_t)prng_below(&prng, KEYS)}, value[VALUE_MAX];
        bool is_deletion = prng_chance(&prng, 300000);
        struct storage_put one = {slice_of(key, 2), slice_of(NULL, 0)};
        if (!is_deletion) one.value = slice_of(value, value_make(step, value));
        assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
        model.now[key[1]] = is_deletion ? 0 : step;
        if (prng_chance(&prng, 50000)) {
            assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
            model.synced[0] = 0;
            memcpy(model.synced, model.now, sizeof model.now);
        }
        if (prng_chance(&prng, 10000)) {
            reopen(disk);
            memcpy(model.now, model.synced, sizeof model.now);
        }
        if (step % 100 != 0) continue;
        struct walk walk = {&model, 0};
        enum error error = storage_each(disk->storage, slice_string("k"), compare_pair, &walk);
        assert_int_equal(error, ERROR_NONE);
        while (walk.at < KEYS && model.now[walk.at] == 0) walk.at++;
        assert_int_equal(walk.at, KEYS);
        /* LMDB commits what a walk shows. */
        if (disk->directory[0] != '\0') memcpy(model.synced, model.now, sizeof model.now);
    }
}

/* ---- LMDB ---- */

static enum error count_bytes(void *context, struct slice key, struct slice value)
{
    size_t *bytes = context;
    assert_int_equal(key.count, 1);
    for (size_t i = 0; i < value.count; i += 4096) assert_int_equal(value.at[i], key.at[0]);
    *bytes += value.count;
    return ERROR_NONE;
}

static void the_map_grows_past_its_first_size(void **state)
{
    enum {
        PIECE = 1 << 20,
        PIECES = 150
    };
    struct disk *disk = *state;
    uint8_t *piece = malloc(PIECE);
    for (unsigned i = 1; i <= PIECES; i++) {
        uint8_t key = (uint8_t)i;
        if (key == '!') key = 200; /* the storage's own */
        memset(piece, key, PIECE);
        struct storage_put one = {slice_of(&key, 1), slice_of(piece, PIECE)};
        assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
    }
    free(piece);
    size_t bytes = 0;
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    reopen(disk);
    struct slice all = slice_of(NULL, 0);
    assert_int_equal(storage_each(disk->storage, all, count_bytes, &bytes), ERROR_NONE);
    assert_int_equal(bytes, (size_t)PIECE * PIECES);
    put(disk, "z", "and is written to"); /* a file larger than the map was at first */
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
}

/* Replaces a text by one of the same length wherever it is in the file; how often. */
static unsigned patch_file(const struct disk *disk, const char *from, const char *to)
{
    char path[128];
    struct stat status;
    unsigned count = 0;
    path_of(disk, "data.mdb", path);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    size_t size = (size_t)status.st_size, length = strlen(from);
    char *bytes = malloc(size);
    assert_int_equal(pread(file, bytes, size, 0), size);
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(bytes + i, from, length) != 0) continue;
        assert_int_equal(pwrite(file, to, length, (off_t)i), length);
        count++;
    }
    free(bytes);
    close(file);
    return count;
}

static void close_disk(struct disk *disk)
{
    storage_close(disk->storage);
    disk->storage = NULL;
}

static void another_version_is_refused(void **state)
{
    struct disk *disk = *state;
    close_disk(disk);
    assert_true(patch_file(disk, "murmuration-log 1", "murmuration-log 2") > 0);
    assert_int_equal(storage_lmdb_open(disk->directory, &disk->storage), ERROR_VERSION);
    assert_null(disk->storage);
}

static void a_damaged_value_is_found(void **state)
{
    struct disk *disk = *state;
    struct text text = {.count = 0};
    put(disk, "a", "sound");
    put(disk, "b", "value to be damaged");
    put(disk, "c", "sound");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    close_disk(disk);
    assert_true(patch_file(disk, "to be damaged", "to be DAMAGED") > 0);
    disk_open(disk);
    enum error error = storage_each(disk->storage, slice_string(""), print_pair, &text);
    assert_int_equal(error, ERROR_CORRUPT);
    assert_string_equal(text.at, "a=sound ");
    check(disk, "c", "c=sound ");
}

static void values_under_exchanged_keys_are_found(void **state)
{
    struct disk *disk = *state;
    struct text text = {.count = 0};
    put(disk, "key-of-one", "one");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    close_disk(disk);
    assert_true(patch_file(disk, "key-of-one", "key-of-two") > 0);
    disk_open(disk);
    enum error error = storage_each(disk->storage, slice_string(""), print_pair, &text);
    assert_int_equal(error, ERROR_CORRUPT);
}

/* At every page: refused, or damage found, or (free pages cut off) all there. Never a signal. */
static void a_file_cut_short_is_survived(void **state)
{
    enum {
        PAGE = 4096,
        SIZE = 40 * PAGE
    };
    struct disk *disk = *state;
    static uint8_t value[SIZE];
    struct storage_put one = {slice_string("k"), slice_of(value, SIZE)};
    memset(value, 'k', SIZE);
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    close_disk(disk);
    char path[128];
    struct stat status;
    path_of(disk, "data.mdb", path);
    assert_int_equal(stat(path, &status), 0);
    unsigned found = 0;
    for (off_t size = status.st_size - PAGE; size > 0; size -= PAGE) {
        assert_int_equal(truncate(path, size), 0);
        enum error error = storage_lmdb_open(disk->directory, &disk->storage);
        size_t bytes = 0;
        struct slice all = slice_of(NULL, 0);
        if (error == ERROR_NONE) error = storage_each(disk->storage, all, count_bytes, &bytes);
        found += error == ERROR_CORRUPT;
        assert_true(error == ERROR_CORRUPT || (error == ERROR_NONE && bytes == SIZE));
        if (disk->storage != NULL) close_disk(disk);
    }
    assert_true(found > SIZE / PAGE / 2);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct disk *disk = *state;
    char path[128];
    static const char text[8192] = "this is not a database";
    close_disk(disk);
    path_of(disk, "data.mdb", path);
    int file = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(file, text, sizeof text), sizeof text);
    close(file);
    assert_int_equal(storage_lmdb_open(disk->directory, &disk->storage), ERROR_CORRUPT);
}

static void a_second_owner_is_refused(void **state)
{
    struct disk *disk = *state;
    struct storage *second;
    assert_int_equal(storage_lmdb_open(disk->directory, &second), ERROR_BUSY);
    assert_null(second);
}

static void a_directory_without_parent_is_refused(void **state)
{
    const struct disk *disk = *state;
    struct storage *storage;
    char path[128];
    path_of(disk, "no/such", path);
    assert_int_equal(storage_lmdb_open(path, &storage), ERROR_NOT_FOUND);
    assert_null(storage);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No space for the file: nothing is lost, all is written once there is. */
static void a_full_disk_is_told_and_recovered_from(void **state)
{
    enum {
        PIECE = 1 << 18,
        PIECES = 8
    };
    struct disk *disk = *state;
    static uint8_t piece[PIECE];
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 256 << 10; limit < PIECE * PIECES; limit += 100 << 10) {
        for (uint8_t key = 'a'; key < 'a' + PIECES; key++) {
            memset(piece, key, PIECE);
            struct storage_put one = {slice_of(&key, 1), slice_of(piece, PIECE)};
            assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
        }
        limit_files(limit);
        assert_int_equal(storage_sync(disk->storage), ERROR_FULL);
        put(disk, "z", "zzz");
        assert_int_equal(storage_sync(disk->storage), ERROR_FULL);
        limit_files(RLIM_INFINITY);
        size_t bytes = 0;
        struct slice all = slice_of(NULL, 0);
        assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
        assert_int_equal(storage_each(disk->storage, all, count_bytes, &bytes), ERROR_NONE);
        assert_int_equal(bytes, PIECE * PIECES + 3);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(lmdb_setup(state), 0);
        disk = *state;
    }
}

/* ---- the journal ---- */

static void copy_file(const struct disk *from, const struct disk *to, const char *name)
{
    char path[128];
    static uint8_t bytes[16 << 20];
    path_of(from, name, path);
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    ssize_t size = read(file, bytes, sizeof bytes);
    assert_in_range(size, 0, sizeof bytes - 1);
    close(file);
    path_of(to, name, path);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(file, bytes, (size_t)size), size);
    close(file);
}

/* What a kill -9 now would leave: another directory with the files as they are. */
static struct disk *after_a_kill(const struct disk *disk)
{
    void *state;
    assert_int_equal(journal_setup(&state), 0);
    struct disk *copy = state;
    close_disk(copy);
    copy_file(disk, copy, "data.mdb");
    copy_file(disk, copy, "journal");
    return copy;
}

static void leave(struct disk *disk)
{
    void *state = disk;
    assert_int_equal(teardown(&state), 0);
}

static void check_after_a_kill(const struct disk *disk, const char *expected)
{
    struct disk *copy = after_a_kill(disk);
    disk_open(copy);
    check(copy, "", expected);
    leave(copy);
}

static void put_synced(struct disk *disk, const char *key, const char *value)
{
    put(disk, key, value);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
}

/* The byte at this place of the journal, changed. */
static void spoil(const struct disk *disk, off_t at)
{
    char path[128], byte;
    path_of(disk, "journal", path);
    int file = open(path, O_RDWR);
    assert_int_equal(pread(file, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(file, &byte, 1, at), 1);
    close(file);
}

static void what_was_synced_survives_a_kill(void **state)
{
    struct disk *disk = *state;
    put_synced(disk, "a", "1");
    check_after_a_kill(disk, "a=1 ");
    put_synced(disk, "b", "2");
    put_synced(disk, "a", NULL);
    put(disk, "c", "not synced");
    check_after_a_kill(disk, "b=2 ");
    put_synced(disk, "d", "");
    check_after_a_kill(disk, "b=2 c=not synced d= ");
    assert_int_equal(storage_settle(disk->storage), ERROR_NONE);
    assert_int_equal(storage_owes(disk->storage), 0);
    check_after_a_kill(disk, "b=2 c=not synced d= ");
    put_synced(disk, "b", "3");
    assert_true(storage_owes(disk->storage) > 0);
    check_after_a_kill(disk, "b=3 c=not synced d= ");
}

static enum error add_size(void *context, struct slice key, struct slice value)
{
    (void)key;
    *(size_t *)context += value.count;
    return ERROR_NONE;
}

/* Values of many sizes, some larger than the journal; it becomes full a few times. */
static void a_full_journal_is_settled(void **state)
{
    enum {
        ROUNDS = 600,
        SIZE_MAX_ = 3 << 20
    };
    static const size_t sizes[] = {10, 5000, 100, 60000, 4064, 4096, 3, 1000, 30000, 1};
    static char value[SIZE_MAX_ + 1];
    struct disk *disk = *state;
    unsigned settled = 0, owed = 0;
    memset(value, 'v', sizeof value);
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t size = i % 97 == 50 ? SIZE_MAX_ : sizes[i % 10];
        struct storage_put pair[] = {{slice_string("big"), slice_of(value, size)},
                                     {slice_string("round"), slice_of(&i, sizeof i)}};
        assert_int_equal(storage_write(disk->storage, pair, 2), ERROR_NONE);
        assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
        settled += storage_owes(disk->storage) < owed;
        owed = storage_owes(disk->storage);
        if (i % 13 != 0 && i % 97 != 50) continue;
        struct disk *copy = after_a_kill(disk);
        disk_open(copy);
        size_t bytes = 0;
        struct slice all = slice_of(NULL, 0);
        assert_int_equal(storage_each(copy->storage, all, add_size, &bytes), ERROR_NONE);
        assert_int_equal(bytes, size + sizeof i);
        leave(copy);
    }
    assert_true(settled > 4);
}

static void a_torn_record_was_never_acknowledged(void **state)
{
    enum {
        BLOCK = 4096
    };
    static char value[3 * BLOCK];
    struct disk *disk = *state;
    put_synced(disk, "a", "1");
    memset(value, 'v', sizeof value - 1);
    put_synced(disk, "b", value);
    for (off_t at = BLOCK; at < 4 * BLOCK; at += 700) {
        struct disk *copy = after_a_kill(disk);
        spoil(copy, at);
        disk_open(copy);
        check(copy, "", "a=1 ");
        put_synced(copy, "c", "3");
        check_after_a_kill(copy, "a=1 c=3 ");
        leave(copy);
    }
}

static void a_damaged_record_is_found(void **state)
{
    struct disk *disk = *state;
    put_synced(disk, "a", "1");
    put_synced(disk, "b", "2");
    put_synced(disk, "c", "3");
    for (off_t at = 0; at < 40; at += 3) {
        struct disk *copy = after_a_kill(disk);
        spoil(copy, 4096 + at);
        assert_int_equal(storage_journal_open(copy->directory, &copy->storage), ERROR_CORRUPT);
        assert_null(copy->storage);
        leave(copy);
    }
}

/* Behind a new generation's records lie an older one's: where the new one is torn they show. */
static void leftovers_are_not_played(void **state)
{
    struct disk *disk = *state;
    put_synced(disk, "a", "old");
    put_synced(disk, "b", "old");
    assert_int_equal(storage_settle(disk->storage), ERROR_NONE);
    put_synced(disk, "b", "new");
    assert_int_equal(storage_settle(disk->storage), ERROR_NONE);
    check_after_a_kill(disk, "a=old b=new ");
    put_synced(disk, "a", "new");
    check_after_a_kill(disk, "a=new b=new ");
    struct disk *copy = after_a_kill(disk);
    spoil(copy, 0);
    disk_open(copy);
    check(copy, "", "a=old b=new ");
    leave(copy);
}

/* A record that another journal wrote, with the right number at the right place: as a user's
 * bytes would be, who knows all but the salt. */
static void a_record_of_another_journal_is_none(void **state)
{
    struct disk *disk = *state;
    void *other_state;
    assert_int_equal(journal_setup(&other_state), 0);
    struct disk *other = other_state;
    put_synced(disk, "a", "1");
    put_synced(other, "a", "forged");
    copy_file(other, disk, "journal");
    check_after_a_kill(disk, "");
    leave(other);
}

/* The journal of a younger image of the directory: what lies between is missing. */
static void a_journal_from_the_future_is_refused(void **state)
{
    struct disk *disk = *state;
    put_synced(disk, "a", "1");
    assert_int_equal(storage_settle(disk->storage), ERROR_NONE);
    struct disk *old = after_a_kill(disk);
    put_synced(disk, "a", "2");
    assert_int_equal(storage_settle(disk->storage), ERROR_NONE);
    put_synced(disk, "b", "1");
    copy_file(disk, old, "journal");
    assert_int_equal(storage_journal_open(old->directory, &old->storage), ERROR_CORRUPT);
    leave(old);
}

/* No room for it: every sync settles, and a full disk is told and recovered from. */
static void without_room_for_a_journal_there_is_none(void **state)
{
    enum {
        PIECE = 1 << 18
    };
    struct disk *disk = *state;
    char path[128];
    static uint8_t piece[PIECE];
    struct storage_put one = {slice_string("piece"), slice_of(piece, PIECE)};
    (void)signal(SIGXFSZ, SIG_IGN);
    close_disk(disk);
    path_of(disk, "journal", path);
    assert_int_equal(unlink(path), 0);
    limit_files(200 << 10);
    disk_open(disk);
    put_synced(disk, "a", "1");
    assert_int_equal(storage_owes(disk->storage), 0);
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
    assert_int_equal(storage_sync(disk->storage), ERROR_FULL);
    limit_files(RLIM_INFINITY);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    assert_int_equal(storage_write(disk->storage, &(struct storage_put){one.key, {NULL, 0}}, 1),
                     ERROR_NONE);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    check_after_a_kill(disk, "a=1 ");
}

static void check_sum_after_a_kill(const struct disk *disk, size_t expected)
{
    struct disk *copy = after_a_kill(disk);
    size_t bytes = 0;
    struct slice all = slice_of(NULL, 0);
    limit_files(RLIM_INFINITY);
    disk_open(copy);
    assert_int_equal(storage_each(copy->storage, all, add_size, &bytes), ERROR_NONE);
    assert_int_equal(bytes, expected);
    leave(copy);
}

/* The tree's disk is full: the journal goes on until it is full itself; nothing is lost. */
static void a_full_journal_on_a_full_disk_waits(void **state)
{
    enum {
        SIZE = 50000
    };
    struct disk *disk = *state;
    static uint8_t value[SIZE];
    char key[16];
    unsigned count = 0;
    enum error error = ERROR_NONE;
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(1 << 20); /* all of the journal's file */
    for (; error == ERROR_NONE && count < 100; count++) {
        struct storage_put one = {slice_of(key, (size_t)snprintf(key, sizeof key, "%u", count)),
                                  slice_of(value, SIZE)};
        assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
        error = storage_sync(disk->storage);
    }
    assert_int_equal(error, ERROR_FULL);
    assert_true(count > 10);
    check_sum_after_a_kill(disk, (count - 1) * SIZE); /* the last one was not acknowledged */
    limit_files(1 << 20);
    put(disk, "z", "zzz");
    assert_int_equal(storage_sync(disk->storage), ERROR_FULL);
    limit_files(RLIM_INFINITY);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    check_sum_after_a_kill(disk, count * SIZE + 3);
}

/* Settling found no room: so says each sync, though the journal has some, until there is. */
static void a_full_disk_is_told_before_the_journal_is_full(void **state)
{
    enum {
        SIZE = 50000
    };
    struct disk *disk = *state;
    static uint8_t value[SIZE];
    struct storage_put one = {slice_string("a"), slice_of(value, SIZE)};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    limit_files(16 << 10);
    assert_int_equal(storage_settle(disk->storage), ERROR_FULL);
    put(disk, "z", "zzz");
    assert_int_equal(storage_sync(disk->storage), ERROR_FULL);
    limit_files(RLIM_INFINITY);
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    check_sum_after_a_kill(disk, SIZE + 3);
}

/* ---- memory ---- */

static void a_power_cut_loses_unsynced_writes_from_a_point_on(void **state)
{
    static const char *const expected[] = {"a=0 ", "a=1 b=1 ", "b=1 c=2 ", "b=3 c=2 "};
    struct disk *disk = *state;
    for (uint64_t choice = 0; choice <= 4; choice++) {
        put(disk, "a", "0");
        put(disk, "b", NULL);
        put(disk, "c", NULL);
        assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
        struct storage_put first[] = {{slice_string("a"), slice_string("1")},
                                      {slice_string("b"), slice_string("1")}};
        struct storage_put second[] = {{slice_string("a"), slice_of(NULL, 0)},
                                       {slice_string("c"), slice_string("2")}};
        assert_int_equal(storage_write(disk->storage, first, 2), ERROR_NONE);
        assert_int_equal(storage_write(disk->storage, second, 2), ERROR_NONE);
        put(disk, "b", "3");
        storage_memory_crash(disk->storage, choice == 4 ? UINT64_MAX : choice);
        check(disk, "", expected[choice == 4 ? 3 : choice]);
        storage_memory_crash(disk->storage, 0); /* what survived is on the disk */
        check(disk, "", expected[choice == 4 ? 3 : choice]);
    }
}

/* A history of writes to keys that they share, of many sizes; as[n]: what is there after the
 * first n of them. */
enum {
    HISTORY = 12
};

static void write_history(struct disk *disk, struct text as[HISTORY + 1], unsigned seed)
{
    char name[2] = "a", value[96];
    for (unsigned n = 0;; n++) {
        as[n] = (struct text){.count = 0};
        struct slice all = slice_of(NULL, 0);
        assert_int_equal(storage_each(disk->storage, all, print_pair, &as[n]), ERROR_NONE);
        if (n == HISTORY) return;
        name[0] = (char)('a' + (n * 5 + seed) % 7);
        (void)snprintf(value, sizeof value, "%u.%0*u", seed, 1 + (int)(n * 7 % 50), n);
        put(disk, name, n % 5 == 4 ? NULL : value);
    }
}

/* How many of the writes are there; -1: it is no state that ever was. */
static int state_of(const struct disk *disk, const struct text as[HISTORY + 1])
{
    struct text now = {.count = 0};
    struct slice all = slice_of(NULL, 0);
    if (storage_each(disk->storage, all, print_pair, &now) != ERROR_NONE) return -1;
    for (int n = 0; n <= HISTORY; n++)
        if (strcmp(now.at, as[n].at) == 0) return n;
    return -1;
}

/* Whatever a cut does below, above it a state is there that was, and each of them is seen. */
static void no_cut_leaves_half_of_anything(void **state)
{
    struct disk *disk = *state;
    struct text as[HISTORY + 1];
    struct prng prng;
    prng_init(&prng, 9);
    for (unsigned cut = 0; cut < STORAGE_CUTS; cut++) {
        unsigned seen[HISTORY + 1] = {0};
        for (unsigned round = 0; round < 2000; round++) {
            write_history(disk, as, round);
            storage_memory_cut(disk->storage, (enum storage_cut)cut, prng_next(&prng));
            int n = state_of(disk, as);
            assert_in_range(n, 0, HISTORY);
            seen[n]++;
            assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
            storage_memory_cut(disk->storage, (enum storage_cut)cut, prng_next(&prng));
            assert_int_equal(state_of(disk, as), n); /* what survived is on the disk */
        }
        if (cut == STORAGE_REORDERED) assert_true(seen[0] > 0 && seen[HISTORY] > 0);
        for (int n = 0; n <= HISTORY && cut != STORAGE_REORDERED; n++) assert_true(seen[n] > 0);
    }
}

/* The same without the checksums of writes: halves are there, and the values' own find them. */
static void without_checksums_a_cut_leaves_halves(void **state)
{
    for (unsigned cut = STORAGE_TORN; cut < STORAGE_CUTS; cut++) {
        struct disk *disk = *state;
        struct text as[HISTORY + 1];
        struct prng prng;
        unsigned halves = 0;
        prng_init(&prng, 10);
        for (unsigned round = 0; round < 500; round++) {
            struct disk one = {.directory = ""};
            assert_int_equal(storage_memory_copy(disk->storage, &one.storage), ERROR_NONE);
            storage_memory_trust(one.storage);
            write_history(&one, as, round);
            storage_memory_cut(one.storage, (enum storage_cut)cut, prng_next(&prng));
            halves += state_of(&one, as) < 0;
            storage_close(one.storage);
        }
        assert_true(halves > 0);
    }
}

static void a_rotten_value_is_found(void **state)
{
    struct disk *disk = *state;
    struct text text = {.count = 0};
    assert_false(storage_memory_rot(disk->storage, 0));
    put(disk, "a", "1");
    put(disk, "b", "sound until now");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    assert_true(storage_memory_rot(disk->storage, 11));
    enum error error = storage_each(disk->storage, slice_string(""), print_pair, &text);
    assert_int_equal(error, ERROR_CORRUPT);
    assert_string_equal(text.at, "a=1 ");
}

static void a_copy_is_an_old_image(void **state)
{
    struct disk *disk = *state;
    struct disk copy = {.directory = ""};
    put(disk, "a", "1");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
    put(disk, "b", "2");
    assert_int_equal(storage_memory_copy(disk->storage, &copy.storage), ERROR_NONE);
    put(disk, "a", "3");
    check(&copy, "", "a=1 b=2 ");
    storage_memory_crash(copy.storage, 0);
    put(&copy, "c", "4");
    check(&copy, "", "a=1 b=2 c=4 ");
    check(disk, "", "a=3 b=2 ");
    storage_close(copy.storage);
}

static void the_nth_operation_fails(void **state)
{
    struct disk *disk = *state;
    struct storage_put one = {slice_string("b"), slice_string("2")};
    storage_memory_fail(disk->storage, 2, ERROR_FULL);
    put(disk, "a", "1");
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_FULL);
    check(disk, "", "a=1 ");
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_NONE); /* there is space again */
    storage_memory_fail(disk->storage, 1, ERROR_IO);
    assert_int_equal(storage_sync(disk->storage), ERROR_IO);
    assert_int_equal(storage_sync(disk->storage), ERROR_IO); /* for good */
    assert_int_equal(storage_write(disk->storage, &one, 1), ERROR_IO);
    storage_memory_crash(disk->storage, 1);
    check(disk, "", "a=1 ");
    assert_int_equal(storage_sync(disk->storage), ERROR_NONE);
}

#define ON_MEMORY(test) cmocka_unit_test_setup_teardown(test, memory_setup, teardown)
#define ON_LMDB(test) cmocka_unit_test_setup_teardown(test, lmdb_setup, teardown)
#define ON_JOURNAL(test) cmocka_unit_test_setup_teardown(test, journal_setup, teardown)
#define ON_ALL(test) ON_MEMORY(test), ON_LMDB(test), ON_JOURNAL(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(pairs_come_back_in_key_order),
        ON_ALL(what_was_synced_is_there_after_a_reopen),
        ON_ALL(a_write_is_applied_in_order),
        ON_ALL(a_visitor_ends_the_walk),
        ON_ALL(any_history_agrees_with_the_model),
        ON_MEMORY(no_cut_leaves_half_of_anything),
        ON_MEMORY(without_checksums_a_cut_leaves_halves),
        ON_MEMORY(a_rotten_value_is_found),
        ON_LMDB(the_map_grows_past_its_first_size),
        ON_LMDB(another_version_is_refused),
        ON_LMDB(a_damaged_value_is_found),
        ON_LMDB(values_under_exchanged_keys_are_found),
        ON_LMDB(a_file_cut_short_is_survived),
        ON_LMDB(a_file_that_is_no_database_is_refused),
        ON_LMDB(a_second_owner_is_refused),
        ON_LMDB(a_full_disk_is_told_and_recovered_from),
        ON_LMDB(a_directory_without_parent_is_refused),
        ON_JOURNAL(the_map_grows_past_its_first_size),
        ON_JOURNAL(what_was_synced_survives_a_kill),
        ON_JOURNAL(a_full_journal_is_settled),
        ON_JOURNAL(a_torn_record_was_never_acknowledged),
        ON_JOURNAL(a_damaged_record_is_found),
        ON_JOURNAL(leftovers_are_not_played),
        ON_JOURNAL(a_record_of_another_journal_is_none),
        ON_JOURNAL(a_journal_from_the_future_is_refused),
        ON_JOURNAL(without_room_for_a_journal_there_is_none),
        ON_JOURNAL(a_full_journal_on_a_full_disk_waits),
        ON_JOURNAL(a_full_disk_is_told_before_the_journal_is_full),
        ON_MEMORY(a_power_cut_loses_unsynced_writes_from_a_point_on),
        ON_MEMORY(a_copy_is_an_old_image),
        ON_MEMORY(the_nth_operation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
