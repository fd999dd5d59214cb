/* Power cuts at every storage operation. An author commits COMMITS batches, each synced before it
 * counts as acknowledged, with a new boot now and then; every file operation that the storage makes
 * on the way is recorded (this program's pwrite, fdatasync, ... stand before the library's): of
 * LMDB alone, and of LMDB behind a journal, which is another file. Then, for every point between
 * two operations, the files are made as a power cut there may leave them:
 *
 *   lost       nothing since the last sync reached the disk
 *   torn       all of it did, and a part of the operation that was under way
 *   reordered  any subset of it did
 *
 * They must open, hold every acknowledged entry and nothing else than a prefix of what was
 * written, and no feed at a boot above the stored counter (S4, S5); and it must go on from there.
 * The disk in memory is cut the same three ways, by its own means (storage.h). Then the author
 * comes back from old copies of its directory, to a peer that has seen all: no number of a feed
 * is used twice.
 *
 * STRIDE: every how many points (default 10; make check-all says 1). */
#include "base/prng.h"
#include "store/log.h"
#include "wire/plain.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    COMMITS = 1000,
    BOOT_EVERY = 125,
    OPERATIONS_MAX = 20000,
    SCRATCH_SIZE = 8 << 20,
    MEMORY_BUDGET = 64 << 20,
};

/* ---- what a storage does to its files ---- */

enum {
    FILES = 2
};
static const char *const file_names[FILES] = {"data.mdb", "journal"};

struct operation {
    unsigned file;
    uint64_t offset;
    size_t size; /* 0: a sync */
    uint8_t *bytes;
    bool is_synced;     /* written through a descriptor that syncs */
    bool is_durable;    /* while the points are gone through: it is on the disk for sure */
    uint32_t committed; /* acknowledged commits when it began */
};

static struct operation *operations;
static size_t operations_count;
static bool is_recording;
static ino_t recorded[FILES];
static unsigned found; /* the file that is_recorded was about */
static uint32_t committed;

static bool is_recorded(int file)
{
    struct stat stat;
    if (!is_recording || fstat(file, &stat) != 0) return false;
    for (found = 0; found < FILES; found++)
        if (stat.st_ino == recorded[found]) return true;
    return false;
}

static void record(int file, const void *bytes, size_t size, uint64_t offset)
{
    assert_true(operations_count < OPERATIONS_MAX);
    struct operation *operation = &operations[operations_count++];
    *operation =
        (struct operation){.file = found, .offset = offset, .size = size, .committed = committed};
    operation->is_synced = size == 0 || (fcntl(file, F_GETFL) & O_DSYNC) != 0;
    if (size == 0) return;
    operation->bytes = malloc(size);
    assert_non_null(operation->bytes);
    memcpy(operation->bytes, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    if (is_recorded(file)) record(file, bytes, size, (uint64_t)offset);
    return syscall(SYS_pwrite64, file, bytes, size, offset);
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    uint64_t offset = (uint64_t)lseek(file, 0, SEEK_CUR);
    for (int i = 0; is_recorded(file) && i < count; i++) {
        record(file, parts[i].iov_base, parts[i].iov_len, offset);
        offset += parts[i].iov_len;
    }
    return syscall(SYS_writev, file, parts, count);
}

ssize_t write(int file, const void *bytes, size_t size)
{
    if (is_recorded(file)) record(file, bytes, size, (uint64_t)lseek(file, 0, SEEK_CUR));
    return syscall(SYS_write, file, bytes, size);
}

/* The disk is a file in memory here: a sync is only a mark. */
int fdatasync(int file)
{
    if (is_recorded(file)) record(file, NULL, 0, 0);
    return 0;
}

int fsync(int file) { return fdatasync(file); }

/* ---- the author ---- */

struct author {
    struct crypto_pair pair;
    struct id id;
    struct boot boot;
    struct memory memory;
    struct log *log;
    struct storage *disk;
    uint64_t token;
    struct author *peer; /* what is committed goes there; NULL */
    uint64_t usurper;    /* a boot of ours that others hold and we have not written; 0 */
};

static uint8_t scratch_bytes[SCRATCH_SIZE] __attribute__((aligned(16)));
static struct arena scratch;

static void on_entry(void *context, const struct stamped *entry)
{
    (void)context;
    (void)entry;
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct author *author = context;
    author->token = token;
    assert_int_equal(storage_write(author->disk, puts, count), ERROR_NONE);
}

static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    static uint8_t bytes[1 << 20] __attribute__((aligned(16)));
    struct author *self = context;
    struct arena arena;
    (void)from;
    if (self->peer == NULL || !id_equal(author, &self->id)) return;
    arena_init(&arena, bytes, sizeof bytes);
    assert_null(log_receive(self->peer->log, batch, author, &arena));
}

static void on_usurped(void *context, const struct boot *boot)
{
    struct author *author = context;
    if (boot->counter > author->usurper) author->usurper = boot->counter;
}

static const char boot_key[] = "meta-boot";

static enum error load_pair(void *context, struct slice key, struct slice value)
{
    struct author *author = context;
    arena_reset(&scratch);
    assert_null(log_load(author->log, key, value, &scratch));
    return ERROR_NONE;
}

static enum error load_boot(void *context, struct slice key, struct slice value)
{
    (void)key;
    assert_int_equal(value.count, sizeof(uint64_t));
    memcpy(context, value.at, sizeof(uint64_t));
    return ERROR_NONE;
}

static uint64_t stored_boot(struct storage *disk)
{
    uint64_t counter = 0;
    assert_int_equal(storage_each(disk, slice_string(boot_key), load_boot, &counter), ERROR_NONE);
    return counter;
}

static void open_log(struct author *author)
{
    struct log_config config = {.crypto = &crypto_plain,
                                .pair = &author->pair,
                                .id = author->id,
                                .boot = author->boot,
                                .ports = {author, on_entry, on_persist, on_spread, on_usurped}};
    memory_init(&author->memory, MEMORY_BUDGET);
    author->log = log_open(&config, &author->memory);
    assert_non_null(author->log);
    assert_int_equal(storage_each(author->disk, slice_string("batch"), load_pair, author),
                     ERROR_NONE);
}

/* A new boot, durable before it is used. */
static void next_boot(struct author *author)
{
    uint64_t counter = stored_boot(author->disk) + 1;
    struct storage_put put = {slice_string(boot_key), slice_of(&counter, sizeof counter)};
    assert_int_equal(storage_write(author->disk, &put, 1), ERROR_NONE);
    assert_int_equal(storage_sync(author->disk), ERROR_NONE);
    author->boot = (struct boot){counter, counter * 77};
    open_log(author);
}

static void close_log(struct author *author)
{
    log_close(author->log);
    assert_int_equal(author->memory.used, 0);
}

static void author_init(struct author *author, struct storage *disk)
{
    *author = (struct author){.disk = disk};
    plain_pair(1, &author->pair);
    author->id = crypto_node_id(&crypto_plain, &author->pair.public);
}

static void commit_unsynced(struct author *author, uint64_t value)
{
    struct msg_stamp stamp;
    struct msg_dead dead = {.node = author->id, .boot = author->boot, .sequence = value};
    assert_int_equal(log_append(author->log, &wire_dead, &dead, &stamp), ERROR_NONE);
    arena_reset(&scratch);
    assert_int_equal(log_commit(author->log, &scratch), ERROR_NONE);
}

static bool commit_one(struct author *author, uint64_t value)
{
    commit_unsynced(author, value);
    return storage_sync(author->disk) == ERROR_NONE;
}

static void write_history(struct author *author)
{
    for (committed = 0; committed < COMMITS;) {
        if (committed % BOOT_EVERY == 0) {
            if (committed > 0) close_log(author);
            next_boot(author);
        }
        assert_true(commit_one(author, committed));
        committed++;
    }
    close_log(author);
}

/* What is on a disk that comes out of a cut: entries held in all; asserts the rest. Who comes
 * back writes again, and what it writes then is there the next time. */
static uint64_t check_disk(struct storage *disk)
{
    struct author author;
    author_init(&author, disk);
    uint64_t counter = stored_boot(disk), held = 0;
    next_boot(&author);
    size_t cursor = 0;
    struct msg_feed_position position;
    for (uint64_t boot = 1; log_feeds_next(author.log, &cursor, &position); boot++) {
        assert_int_equal(position.boot.counter, boot); /* in order, none missing between */
        assert_true(boot <= counter);                  /* so the next boot is a new one */
        assert_true(boot == counter || position.have == BOOT_EVERY);
        held += position.have;
    }
    assert_true(commit_one(&author, held));
    close_log(&author);
    author.boot.counter++;
    open_log(&author);
    assert_int_equal(log_counters(author.log)->entries, held + 1);
    close_log(&author);
    return held;
}

/* ---- the file ---- */

struct image {
    uint8_t *bytes;
    size_t size, capacity;
};

static void image_write(struct image *image, uint64_t offset, const uint8_t *bytes, size_t size)
{
    assert_true(offset + size <= image->capacity);
    if (size > 0) memcpy(image->bytes + offset, bytes, size);
    if (offset + size > image->size) image->size = offset + size;
}

static void image_copy(struct image *to, const struct image *from)
{
    if (from->size > 0) memcpy(to->bytes, from->bytes, from->size);
    to->size = from->size;
}

static struct image image_new(void)
{
    enum {
        CAPACITY = 32 << 20
    };
    struct image image = {calloc(1, CAPACITY), 0, CAPACITY};
    assert_non_null(image.bytes);
    return image;
}

static void image_load(struct image *image, const char *path)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    ssize_t size = read(file, image->bytes, image->capacity);
    assert_true(size > 0);
    image->size = (size_t)size;
    close(file);
}

static void image_store(const struct image *image, const char *path)
{
    int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, image->bytes, image->size), (ssize_t)image->size);
    close(file);
}

enum variant {
    LOST,
    TORN,
    REORDERED,
    VARIANTS
};

/* The files as they are after a cut just when operation `at` began. durable: with what is sure to
 * be on the disk. */
static void image_cut(struct image images[FILES], const struct image durable[FILES], size_t from,
                      size_t at, enum variant variant, struct prng *prng)
{
    for (unsigned i = 0; i < FILES; i++) image_copy(&images[i], &durable[i]);
    for (size_t i = from; i < at && variant != LOST; i++) {
        const struct operation *operation = &operations[i];
        if (operation->is_durable || operation->size == 0) continue;
        if (variant == REORDERED && prng_below(prng, 2) == 0) continue;
        image_write(&images[operation->file], operation->offset, operation->bytes, operation->size);
    }
    const struct operation *last = &operations[at];
    if (variant == TORN && last->size > 0)
        image_write(&images[last->file], last->offset, last->bytes,
                    (size_t)prng_below(prng, last->size));
}

/* A sync of a file, or a write that syncs: what was written to it is on the disk. */
static void image_settle(struct image durable[FILES], size_t *from, size_t at)
{
    const struct operation *sync = &operations[at];
    for (size_t i = *from; i <= at; i++) {
        struct operation *operation = &operations[i];
        if (operation->file != sync->file || operation->is_durable) continue;
        assert_true(sync->size == 0 || i == at); /* a meta page goes out only over synced data */
        image_write(&durable[operation->file], operation->offset, operation->bytes,
                    operation->size);
        operation->is_durable = true;
    }
    while (*from <= at && operations[*from].is_durable) ++*from;
}

typedef enum error opener(const char *directory, struct storage **storage);

static void check_image(opener *open_storage, const char *directory,
                        const struct image images[FILES], uint32_t acknowledged)
{
    char path[128];
    struct storage *disk;
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, file_names[i]);
        if (images[i].size > 0) image_store(&images[i], path);
    }
    assert_int_equal(open_storage(directory, &disk), ERROR_NONE);
    uint64_t held = check_disk(disk);
    assert_true(held >= acknowledged);
    assert_true(held <= acknowledged + 1u);
    storage_close(disk);
}

static size_t stride(void)
{
    const char *text = getenv("STRIDE");
    size_t stride = text == NULL ? 10 : strtoul(text, NULL, 10);
    return stride == 0 ? 1 : stride;
}

static void remove_directory(const char *directory)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "journal"};
    char path[128];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void make_directory(char directory[64])
{
    bool is_shared = access("/dev/shm", W_OK) == 0;
    snprintf(directory, 64, "%s/crash-points-XXXXXX", is_shared ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(directory));
}

/* Records the history; before: the files as they were when the recording began. */
static void record_history(opener *open_storage, const char *directory, struct image before[FILES])
{
    char path[128];
    struct author author;
    struct storage *disk;
    struct stat stat_of;
    assert_int_equal(open_storage(directory, &disk), ERROR_NONE);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, file_names[i]);
        recorded[i] = 0;
        if (stat(path, &stat_of) != 0) continue;
        image_load(&before[i], path);
        recorded[i] = stat_of.st_ino;
    }
    author_init(&author, disk);
    operations_count = 0;
    is_recording = true;
    write_history(&author);
    is_recording = false;
    storage_close(disk);
}

static void survive_every_cut(opener *open_storage, const char *name)
{
    char directory[64];
    struct prng prng;
    struct image durable[FILES], cut[FILES];
    for (unsigned i = 0; i < FILES; i++) durable[i] = image_new(), cut[i] = image_new();
    operations = calloc(OPERATIONS_MAX, sizeof *operations);
    assert_non_null(operations);
    make_directory(directory);
    prng_init(&prng, 1);
    record_history(open_storage, directory, durable);
    size_t from = 0, points[VARIANTS] = {0};
    for (size_t at = 0; at < operations_count; at++) {
        const struct operation *operation = &operations[at];
        for (unsigned variant = 0; variant < VARIANTS; variant++) {
            if ((at + variant) % stride() != 0) continue;
            image_cut(cut, durable, from, at, (enum variant)variant, &prng);
            check_image(open_storage, directory, cut, operation->committed);
            points[variant]++;
        }
        if (operation->size == 0 || operation->is_synced) image_settle(durable, &from, at);
    }
    print_message("%s: %zu operations of %d commits; cuts: %zu lost, %zu torn, %zu reordered\n",
                  name, operations_count, COMMITS, points[LOST], points[TORN], points[REORDERED]);
    assert_true(operations_count >= 2 * COMMITS);
    for (size_t i = 0; i < operations_count; i++) free(operations[i].bytes);
    free(operations);
    for (unsigned i = 0; i < FILES; i++) free(durable[i].bytes), free(cut[i].bytes);
    remove_directory(directory);
}

static void every_cut_of_the_file_is_survived(void **state)
{
    (void)state;
    survive_every_cut(storage_lmdb_open, "LMDB");
}

static void every_cut_of_a_journal_and_its_tree_is_survived(void **state)
{
    (void)state;
    survive_every_cut(storage_journal_open, "a journal and LMDB");
}

/* ---- the disk in memory ---- */

/* One boot of the author's history, up to an operation of its disk. */
struct course {
    size_t made, limit;
    unsigned written, acknowledged; /* commits */
};

static bool may_go_on(struct course *course)
{
    if (course->made == course->limit) return false;
    course->made++;
    return true;
}

/* Commits come in groups of one to three to a sync, as they do where a disk is slow. */
static bool is_sync_due(unsigned commit)
{
    return commit % 3 == 2 || commit % 7 == 0 || commit == BOOT_EVERY - 1;
}

static void run_course(struct storage *disk, struct course *course)
{
    struct author author;
    author_init(&author, disk);
    uint64_t counter = stored_boot(disk) + 1;
    struct storage_put put = {slice_string(boot_key), slice_of(&counter, sizeof counter)};
    if (!may_go_on(course)) return;
    assert_int_equal(storage_write(disk, &put, 1), ERROR_NONE);
    if (!may_go_on(course)) return;
    assert_int_equal(storage_sync(disk), ERROR_NONE);
    author.boot = (struct boot){counter, counter * 77};
    open_log(&author);
    for (unsigned i = 0; i < BOOT_EVERY; i++) {
        if (!may_go_on(course)) break;
        commit_unsynced(&author, i);
        course->written++;
        if (!is_sync_due(i)) continue;
        if (!may_go_on(course)) break;
        assert_int_equal(storage_sync(disk), ERROR_NONE);
        course->acknowledged = course->written;
    }
    close_log(&author);
}

/* The course on a copy of this disk, cut before operation `at`; commits of before: held by it. */
static void cut_course(const struct storage *base, uint64_t before, size_t at, enum storage_cut cut,
                       uint64_t choice)
{
    struct storage *disk;
    struct course course = {.limit = at};
    assert_int_equal(storage_memory_copy(base, &disk), ERROR_NONE);
    run_course(disk, &course);
    storage_memory_cut(disk, cut, choice);
    uint64_t held = check_disk(disk);
    assert_in_range(held, before + course.acknowledged, before + course.written);
    storage_close(disk);
}

static void every_cut_of_the_disk_in_memory_is_survived(void **state)
{
    (void)state;
    enum {
        CHOICES = 4
    };
    struct prng prng;
    struct storage *base;
    size_t points[STORAGE_CUTS] = {0}, number = 0, operations_made = 0;
    prng_init(&prng, 2);
    assert_int_equal(storage_memory_open(&base), ERROR_NONE);
    for (uint64_t before = 0; before < COMMITS; before += BOOT_EVERY) {
        struct storage *whole;
        struct course all = {.limit = SIZE_MAX};
        assert_int_equal(storage_memory_copy(base, &whole), ERROR_NONE);
        run_course(whole, &all);
        operations_made += all.made;
        for (size_t at = 0; at <= all.made; at++) {
            for (unsigned cut = 0; cut < STORAGE_CUTS; cut++) {
                for (unsigned i = 0; i < CHOICES; i++, number++) {
                    uint64_t choice = prng_next(&prng);
                    if (number % stride() != 0) continue;
                    cut_course(base, before, at, (enum storage_cut)cut, choice);
                    points[cut]++;
                }
            }
        }
        storage_close(base);
        base = whole;
    }
    print_message("in memory: %zu operations of %d commits; cuts: %zu lost, %zu torn, "
                  "%zu reordered\n",
                  operations_made, COMMITS, points[0], points[1], points[2]);
    assert_true(operations_made > COMMITS);
    storage_close(base);
}

/* ---- an old copy of the directory ---- */

static void give_back(void *context, const struct msg_log_batch *batch)
{
    struct author *author = context;
    static const struct id from = {{7}};
    const char *reason = log_receive(author->log, batch, &from, &scratch);
    if (reason == log_usurped || reason == log_gap) return; /* gap: behind one of those */
    assert_null(reason);
}

/* All that the peer has and the author lacks. */
static void catch_up(struct author *author, struct author *peer)
{
    for (bool is_all = false; !is_all;) {
        struct msg_log_vector vector;
        arena_reset(&scratch);
        assert_true(log_vector_fill(author->log, false, &vector, &scratch));
        vector.complete = 1;
        is_all = log_missing(peer->log, &vector, give_back, author);
        if (author->usurper > 0) return;
    }
}

/* As the daemon does it: an author that finds a higher boot of its own starts anew above it. What
 * it writes before it hears of that is kept apart by a boot's random bits, which are new each time
 * and never on the disk. */
static void return_from(struct storage *copy, struct author *peer, struct prng *prng)
{
    struct author author;
    uint64_t counter = stored_boot(copy), entries = log_counters(peer->log)->entries;
    author_init(&author, copy);
    do {
        author.boot = (struct boot){counter + 1, prng_next(prng)};
        author.usurper = 0;
        open_log(&author);
        author.peer = peer;
        for (uint64_t i = 0; i < 2; i++) assert_true(commit_one(&author, i));
        entries += 2;
        catch_up(&author, peer);
        counter = author.usurper;
        if (counter > 0) close_log(&author);
    } while (counter > 0);
    assert_int_equal(log_counters(author.log)->entries, entries);
    for (uint64_t i = 0; i < 5; i++) assert_true(commit_one(&author, i));
    assert_int_equal(log_counters(peer->log)->entries, entries + 5);
    assert_true(log_digest(peer->log) == log_digest(author.log));
    close_log(&author);
}

static void an_old_copy_uses_no_number_again(void **state)
{
    (void)state;
    enum {
        COPY_EVERY = 25,
        COPIES = COMMITS / COPY_EVERY
    };
    struct storage *disk, *peers_disk, *copies[COPIES];
    struct author author, peer;
    struct prng prng;
    prng_init(&prng, 3);
    assert_int_equal(storage_memory_open(&disk), ERROR_NONE);
    assert_int_equal(storage_memory_open(&peers_disk), ERROR_NONE);
    author_init(&peer, peers_disk);
    plain_pair(2, &peer.pair);
    peer.id = crypto_node_id(&crypto_plain, &peer.pair.public);
    peer.boot = (struct boot){1, 1};
    open_log(&peer);
    author_init(&author, disk);
    for (unsigned i = 0; i < COMMITS; i++) {
        if (i % BOOT_EVERY == 0) {
            if (i > 0) close_log(&author);
            next_boot(&author);
            author.peer = &peer;
        }
        assert_true(commit_one(&author, i));
        if (i % COPY_EVERY == COPY_EVERY / 2)
            assert_int_equal(storage_memory_copy(disk, &copies[i / COPY_EVERY]), ERROR_NONE);
    }
    close_log(&author);
    storage_close(disk);
    for (unsigned i = 0; i < COPIES; i++) {
        return_from(copies[i], &peer, &prng);
        storage_close(copies[i]);
    }
    const struct log_counters *counters = log_counters(peer.log);
    print_message("%d old copies came back: %llu entries, %llu forks\n", COPIES,
                  (unsigned long long)counters->entries, (unsigned long long)counters->forks);
    assert_int_equal(counters->forks, 0);
    assert_int_equal(counters->refused, 0);
    close_log(&peer);
    storage_close(peers_disk);
}

int main(void)
{
    arena_init(&scratch, scratch_bytes, sizeof scratch_bytes);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_the_file_is_survived),
        cmocka_unit_test(every_cut_of_a_journal_and_its_tree_is_survived),
        cmocka_unit_test(every_cut_of_the_disk_in_memory_is_survived),
        cmocka_unit_test(an_old_copy_uses_no_number_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
