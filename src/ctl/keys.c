/* The cluster key: who holds it is in. It is never taken from a flag or the
 * environment, where other users of the machine could read it, and never shown on a terminal. */
#include "ctl/keys.h"

#include "base/id.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void keys_random(void *bytes, size_t count)
{
    uint8_t *at = bytes;
    while (count > 0) {
        ssize_t got = getrandom(at, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort();
        at += got;
        count -= (size_t)got;
    }
}

static bool default_path(char path[KEYS_PATH_SIZE])
{
    const char *home = getenv("HOME");
    if (home == NULL || *home == '\0') return false;
    int size = snprintf(path, KEYS_PATH_SIZE, "%s/.config/mr/cluster.key", home);
    return size > 0 && size < KEYS_PATH_SIZE;
}

static int no_key(const char *path, const char *why)
{
    notice_line("no cluster key: %s: %s", path, why);
    notice_line("copy it from a machine that runs mrnode and name it with --key-file FILE, "
                "or make a new flock's: mrctl keygen FILE");
    return EXIT_DENIED;
}

/* One line of the file. False when it is neither a key nor empty nor a comment. */
static bool parse_line(char *line, struct crypto_key *key, bool *is_key)
{
    struct digest digest; /* 256 bits in hex: the same text form */
    line[strcspn(line, "\r\n \t")] = '\0';
    *is_key = false;
    if (*line == '\0' || *line == '#') return true;
    if (!digest_parse(line, &digest)) return false;
    memcpy(key->bytes, digest.bytes, sizeof key->bytes);
    *is_key = true;
    return true;
}

int keys_read(const char *path, struct crypto_key keys[KEYS_MAX], size_t *count)
{
    char default_name[KEYS_PATH_SIZE], line[256];
    bool is_good = true;
    if (path == NULL) {
        if (!default_path(default_name))
            return no_key("~/.config/mr/cluster.key", "HOME is not set");
        path = default_name;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) return no_key(path, strerror(errno));
    *count = 0;
    while (is_good && *count < KEYS_MAX && fgets(line, sizeof line, file) != NULL) {
        bool is_key;
        is_good = parse_line(line, &keys[*count], &is_key);
        *count += is_good && is_key;
    }
    explicit_bzero(line, sizeof line);
    bool is_readable = ferror(file) == 0;
    int error = errno;
    fclose(file);
    if (!is_readable) return no_key(path, strerror(error));
    if (!is_good || *count == 0) return no_key(path, "not 64 hex digits a line");
    return EXIT_OK;
}

bool keys_make_parents(const char *path)
{
    char parent[KEYS_PATH_SIZE];
    if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0700) != 0 && errno != EEXIST) return false;
        *slash = '/';
    }
    return true;
}

static bool write_all(int fd, const char *text, size_t count)
{
    while (count > 0) {
        ssize_t put = write(fd, text, count);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        text += put;
        count -= (size_t)put;
    }
    return true;
}

static int open_new(const char *path)
{
    if (!keys_make_parents(path)) return -1;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

int keys_generate(const char *path)
{
    struct digest secret;
    char text[DIGEST_TEXT_SIZE];
    if (path == NULL && isatty(STDOUT_FILENO)) {
        notice_line("a key is not for the screen: mrctl keygen FILE, or mrctl keygen > FILE");
        return EXIT_USAGE;
    }
    int fd = path == NULL ? STDOUT_FILENO : open_new(path);
    if (fd < 0 && errno == EEXIST) {
        notice_line("%s exists already; a key is never overwritten", path);
        return EXIT_CONFLICT;
    }
    if (fd < 0) {
        notice_line("%s: %s", path, strerror(errno));
        return EXIT_JOB_FAILED;
    }
    keys_random(secret.bytes, sizeof secret.bytes);
    digest_text(&secret, text);
    text[DIGEST_TEXT_SIZE - 1] = '\n';
    bool is_written = write_all(fd, text, DIGEST_TEXT_SIZE);
    if (path != NULL && is_written) is_written = fsync(fd) == 0;
    int error = errno;
    if (path != NULL) close(fd);
    explicit_bzero(text, sizeof text);
    explicit_bzero(&secret, sizeof secret);
    if (is_written) return EXIT_OK;
    notice_line("cannot write the key: %s", strerror(error));
    if (path != NULL) unlink(path);
    return EXIT_JOB_FAILED;
}

static bool put_text(const char *fresh, const char *path, const char *text, size_t size)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool is_written = write_all(fd, text, size) && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (is_written && rename(fresh, path) == 0) return true;
    if (!is_written) errno = error;
    error = errno;
    unlink(fresh);
    errno = error;
    return false;
}

int keys_put(const char *path, const struct crypto_key *keys, size_t count)
{
    char name[KEYS_PATH_SIZE], fresh[KEYS_PATH_SIZE + 32], text[KEYS_MAX * DIGEST_TEXT_SIZE];
    size_t used = 0;
    if (path == NULL && !default_path(name)) return no_key("~/.config/mr/cluster.key", "no HOME");
    if (path != NULL) snprintf(name, sizeof name, "%s", path);
    snprintf(fresh, sizeof fresh, "%s.new%d", name, (int)getpid());
    for (size_t i = 0; i < count; i++, used += DIGEST_TEXT_SIZE) {
        struct digest secret;
        memcpy(secret.bytes, keys[i].bytes, sizeof secret.bytes);
        digest_text(&secret, text + used);
        text[used + DIGEST_TEXT_SIZE - 1] = '\n';
        explicit_bzero(&secret, sizeof secret);
    }
    bool is_put = put_text(fresh, name, text, used);
    int error = errno;
    explicit_bzero(text, sizeof text);
    if (is_put) return EXIT_OK;
    notice_line("%s: %s", name, strerror(error));
    return EXIT_JOB_FAILED;
}

void keys_fingerprint(const struct crypto_key *key, char text[KEYS_FINGERPRINT_SIZE])
{
    struct digest digest;
    char whole[DIGEST_TEXT_SIZE];
    crypto_sodium.digest(slice_of(key->bytes, sizeof key->bytes), &digest);
    (void)digest_text(&digest, whole);
    snprintf(text, KEYS_FINGERPRINT_SIZE, "%.16s", whole);
}
