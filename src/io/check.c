/* Unlike a start (log.c), this verifies every signature: who asks suspects the disk, and has time.
 * Nothing is changed, but that what the journal has goes into the tree, as at a start; the
 * storage's lock keeps it from a directory that a node runs on. */
#include "io/check.h"

#include "io/file.h"
#include "store/batch.h"
#include "store/log.h"
#include "wire/seal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHECK_SCRATCH_SIZE = 32 << 20,
    CHECK_SHOWN_MAX = 20, /* damages that are listed one by one */
};

struct check {
    struct log *log;
    struct arena scratch;
    uint64_t batches, kept, entries, others, bytes, damaged;
};

static void on_entry(void *context, const struct stamped *entry)
{
    (void)entry;
    ((struct check *)context)->entries++;
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    (void)context, (void)token, (void)puts, (void)count;
}

static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    (void)context, (void)batch, (void)author, (void)from;
}

static void on_usurped(void *context, const struct boot *boot) { (void)context, (void)boot; }

static const char *check_signature(struct check *check, struct slice value)
{
    struct wire_message message;
    struct content content;
    const char *reason = wire_unpack(&value, &message, &check->scratch);
    if (reason == NULL && message.type != MSG_log_batch) reason = "not a batch";
    if (reason == NULL)
        reason = batch_read(&content, message.fields, &crypto_sodium, &check->scratch);
    if (reason != NULL) return reason;
    return batch_is_signed(&crypto_sodium, &content, message.fields) ? NULL : "signature is wrong";
}

static bool has_prefix(struct slice key, const char *prefix)
{
    size_t size = strlen(prefix);
    return key.count > size && memcmp(key.at, prefix, size) == 0;
}

static enum error visit(void *context, struct slice key, struct slice value)
{
    struct check *check = context;
    bool is_batch = has_prefix(key, "batch"), is_kept = has_prefix(key, "kept");
    check->bytes += key.count + value.count;
    check->batches += is_batch;
    check->kept += is_kept;
    if (!is_batch && !is_kept) check->others++;
    if (!is_batch && !is_kept && !has_prefix(key, "base")) return ERROR_NONE;
    arena_reset(&check->scratch);
    const char *reason = is_batch ? check_signature(check, value) : NULL;
    arena_reset(&check->scratch);
    if (reason == NULL) reason = log_load(check->log, key, value, &check->scratch);
    if (reason != NULL && ++check->damaged <= CHECK_SHOWN_MAX) {
        char hex[65];
        size_t count = key.count - 4 < 32 ? key.count - 4 : 32;
        printf("damaged %s %s: %s\n",
               is_batch  ? "batch"
               : is_kept ? "entry"
                         : "base",
               sodium_bin2hex(hex, sizeof hex, key.at + 4, count), reason);
    }
    return ERROR_NONE;
}

static void print_feeds(const struct check *check)
{
    char id[ID_TEXT_SIZE];
    size_t cursor = 0;
    struct msg_feed_position feed;
    while (log_feeds_next(check->log, &cursor, &feed))
        printf("feed %s boot %llu: %llu entries\n", id_text(&feed.node, id),
               (unsigned long long)feed.boot.counter, (unsigned long long)feed.have);
}

static enum error read_all(struct check *check, struct storage *storage)
{
    struct crypto_pair pair = {.public = {{0}}};
    struct memory memory;
    struct log_config config = {.crypto = &crypto_sodium, .pair = &pair};
    config.ports = (struct log_ports){check, on_entry, on_persist, on_spread, on_usurped};
    memory_init(&memory, SIZE_MAX / 2);
    check->log = log_open(&config, &memory);
    if (check->log == NULL) return ERROR_MEMORY;
    enum error error = storage_each(storage, slice_string(""), visit, check);
    print_feeds(check);
    log_close(check->log);
    return error;
}

int check_store(const char *directory)
{
    char path[FILE_PATH_MAX];
    struct storage *storage;
    struct check check = {.log = NULL};
    void *memory = malloc(CHECK_SCRATCH_SIZE);
    if (memory == NULL || sodium_init() < 0 || !file_path(path, "%s/log", directory)) {
        fprintf(stderr, "mrnode: the store in %.900s can't be checked: no memory\n", directory);
        return 1;
    }
    arena_init(&check.scratch, memory, CHECK_SCRATCH_SIZE);
    enum error error = storage_journal_open(path, &storage);
    if (error == ERROR_NONE) {
        error = read_all(&check, storage);
        storage_close(storage);
    }
    free(memory);
    if (error != ERROR_NONE) {
        fprintf(stderr, "mrnode: the store in %.900s: %s; %s\n", path, error_text(error),
                error_hint(error));
        return 1;
    }
    printf("%s entries=%llu batches=%llu kept=%llu others=%llu bytes=%llu damaged=%llu\n",
           check.damaged == 0 ? "ok" : "damaged", (unsigned long long)check.entries,
           (unsigned long long)check.batches, (unsigned long long)check.kept,
           (unsigned long long)check.others, (unsigned long long)check.bytes,
           (unsigned long long)check.damaged);
    return check.damaged == 0 ? 0 : 1;
}
