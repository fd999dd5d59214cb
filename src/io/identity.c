/* A node's identity (identity.h). A key file is written whole under another name and linked to its
 * own, so it is never seen half written, and of two processes that make one at the same time both
 * use the first. */
#include "io/identity.h"

#include "wire/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    KEY_TEXT_SIZE = 2 * CRYPTO_KEY_SIZE + 1,                  /* 64 hex digits and a newline */
    KEYS_TEXT_MAX = IDENTITY_KEYS_MAX * (KEY_TEXT_SIZE + 64), /* with room for blanks */
    BOOT_SIZE = 16, /* counter and random, little endian */
};

static const char boot_key[] = "meta.boot";

static bool fail(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return false;
}

enum {
    LOCK_TRIES = 50, /* half a second */
    LOCK_PAUSE_US = 10000,
};

int identity_lock(const char *directory, struct why *why)
{
    char path[FILE_PATH_MAX];
    enum error error = file_make_directories(directory, 0700);
    if (error != ERROR_NONE || !file_path(path, "%s/lock", directory)) {
        fail(why, "directory %s: %s; choose another with -d", directory, error_text(error));
        return -1;
    }
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        fail(why, "directory %s: %s; choose another with -d", directory, strerror(errno));
        return -1;
    }
    /* A node that was killed a moment ago may have left a child between fork and exec, which holds
     * all that the node held until it comes to its exec. */
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
        (void)usleep(LOCK_PAUSE_US);
    }
    fail(why, "directory %s is in use by another mrnode; stop that one or choose another with -d",
         directory);
    close(file);
    return -1;
}

/* ---- keys ---- */

/* Writes 32 fresh random bytes as hex, unless the file is there already. */
static enum error make_key_file(const char *path)
{
    uint8_t key[CRYPTO_KEY_SIZE];
    char text[KEY_TEXT_SIZE + 1], fresh[FILE_PATH_MAX];
    randombytes_buf(key, sizeof key);
    sodium_bin2hex(text, sizeof text, key, sizeof key);
    text[KEY_TEXT_SIZE - 1] = '\n';
    if (!file_path(fresh, "%s.new%d", path, (int)getpid())) return ERROR_INVALID;
    enum error error = file_put(fresh, slice_of(text, KEY_TEXT_SIZE), 0600);
    if (error == ERROR_NONE && link(fresh, path) != 0 && errno != EEXIST) error = file_error(errno);
    (void)unlink(fresh);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return error;
}

/* One line of hex at *text, moved behind it and blanks. */
static bool parse_key(const char **text, uint8_t key[CRYPTO_KEY_SIZE])
{
    size_t size;
    const char *end;
    if (sodium_hex2bin(key, CRYPTO_KEY_SIZE, *text, strlen(*text), NULL, &size, &end) != 0)
        return false;
    if (size != CRYPTO_KEY_SIZE || end - *text != 2 * CRYPTO_KEY_SIZE) return false;
    *text = end + strspn(end, " \t\r\n");
    return *end == '\0' || *text > end;
}

/* The file's text, when nobody else may read it. */
static enum identity_found read_key_file(const char *path, char text[KEYS_TEXT_MAX + 1],
                                         struct why *why)
{
    struct stat status;
    size_t count;
    if (stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) return IDENTITY_ABSENT;
    enum error error = file_get(path, text, KEYS_TEXT_MAX, &count);
    text[count] = '\0';
    if (error != ERROR_NONE) {
        fail(why, "key file %s: %s", path, error_text(error));
        return IDENTITY_BAD;
    }
    if ((status.st_mode & 077) == 0) return IDENTITY_FOUND;
    fail(why, "key file %s can be read by others than its owner; run: chmod 600 %s", path, path);
    return IDENTITY_BAD;
}

bool identity_pair(const char *directory, struct crypto_pair *pair, struct why *why)
{
    char path[FILE_PATH_MAX], text[KEYS_TEXT_MAX + 1];
    uint8_t seed[CRYPTO_KEY_SIZE];
    const char *at = text;
    if (!file_path(path, "%s/node.key", directory))
        return fail(why, "the path of the directory is too long");
    enum identity_found found = read_key_file(path, text, why);
    if (found == IDENTITY_ABSENT) {
        enum error error = make_key_file(path);
        if (error == ERROR_NONE) error = file_sync(directory);
        if (error != ERROR_NONE) return fail(why, "%s can't be made: %s", path, error_text(error));
        found = read_key_file(path, text, why);
    }
    if (found == IDENTITY_BAD) return false;
    if (found == IDENTITY_ABSENT || !parse_key(&at, seed) || *at != '\0')
        return fail(
            why, "%s is damaged: 64 hex digits expected; restore it, or start with a new directory",
            path);
    seal_pair_from_seed(seed, pair);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    return true;
}

enum identity_found identity_keys(const char *path, struct crypto_key keys[IDENTITY_KEYS_MAX],
                                  size_t *count, struct why *why)
{
    char text[KEYS_TEXT_MAX + 1];
    const char *at = text;
    enum identity_found found = read_key_file(path, text, why);
    if (found != IDENTITY_FOUND) return found;
    for (*count = 0; *at != '\0' && *count < IDENTITY_KEYS_MAX; (*count)++)
        if (!parse_key(&at, keys[*count].bytes)) break;
    bool is_whole = *at == '\0' && *count > 0;
    sodium_memzero(text, sizeof text);
    if (is_whole) return IDENTITY_FOUND;
    fail(why,
         "key file %s: 1 to %d lines of 64 hex digits expected; make one with: mrctl keygen FILE",
         path, IDENTITY_KEYS_MAX);
    return IDENTITY_BAD;
}

enum error identity_put_keys(const char *path, const struct crypto_key *keys, size_t count)
{
    char text[KEYS_TEXT_MAX + 1], fresh[FILE_PATH_MAX], directory[FILE_PATH_MAX];
    size_t used = 0;
    assert(count > 0 && count <= IDENTITY_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        sodium_bin2hex(text + used, KEY_TEXT_SIZE, keys[i].bytes, sizeof keys[i].bytes);
        used += KEY_TEXT_SIZE;
        text[used - 1] = '\n';
    }
    if (!file_path(fresh, "%s.new%d", path, (int)getpid()) || !file_path(directory, "%s", path))
        return ERROR_INVALID;
    char *slash = strrchr(directory, '/');
    if (slash == directory) slash++;
    if (slash != NULL) *slash = '\0';
    enum error error = file_put(fresh, slice_of(text, used), 0600);
    if (error == ERROR_NONE && rename(fresh, path) != 0) error = file_error(errno);
    if (error == ERROR_NONE) error = file_sync(slash == NULL ? "." : directory);
    (void)unlink(fresh);
    sodium_memzero(text, sizeof text);
    return error;
}

bool identity_make_key(const char *path, struct why *why)
{
    char directory[FILE_PATH_MAX];
    if (!file_path(directory, "%s", path)) return fail(why, "the key file's path is too long");
    char *slash = strrchr(directory, '/');
    enum error error = ERROR_NONE;
    if (slash != NULL && slash != directory) {
        *slash = '\0';
        error = file_make_directories(directory, 0700);
    }
    if (error == ERROR_NONE) error = make_key_file(path);
    return error == ERROR_NONE ||
           fail(why, "key file %s can't be made: %s", path, error_text(error));
}

/* ---- boots ---- */

static uint64_t get_word(const uint8_t *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void put_word(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

bool identity_is_own(struct slice key) { return slice_equal(key, slice_string(boot_key)); }

static enum error visit_boot(void *context, struct slice key, struct slice value)
{
    struct boot *boot = context;
    if (!identity_is_own(key)) return ERROR_NONE;
    if (value.count != BOOT_SIZE) return ERROR_CORRUPT;
    boot->counter = get_word(value.at);
    boot->random = get_word(value.at + 8);
    return ERROR_NONE;
}

enum error identity_boot(struct storage *storage, uint64_t above, struct boot *boot)
{
    uint8_t value[BOOT_SIZE];
    *boot = (struct boot){.counter = 0};
    enum error error = storage_each(storage, slice_string(boot_key), visit_boot, boot);
    if (error != ERROR_NONE) return error;
    if (boot->counter < above) boot->counter = above;
    boot->counter++;
    randombytes_buf(&boot->random, sizeof boot->random);
    put_word(value, boot->counter);
    put_word(value + 8, boot->random);
    struct storage_put put = {slice_string(boot_key), slice_of(value, sizeof value)};
    error = storage_write(storage, &put, 1);
    return error == ERROR_NONE ? storage_sync(storage) : error;
}
