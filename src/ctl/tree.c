/* Directories out of the flock (tree.h). Who put the dataset chose the names of its files, and need
 * not be a friend: a name with "..", an absolute one, one that leads through a symbolic link would
 * write where nobody wanted it. So names are checked, and each component is opened from the one
 * above without following links. The directory grows beside its place, and is moved there at the
 * end. */
#include "ctl/tree.h"

#include "ctl/clock.h"
#include "ctl/dataset.h"
#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/roster.h"
#include "wire/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXPANSION = 16, /* of a packed list when it is decoded */
    COMPONENT_MAX = 255,
    DESCRIPTORS = 16,          /* of nftw */
    RETRY_LIMIT = 30 * SECOND, /* as for a block of the bytes (download.c) */
    RETRY_PAUSE = SECOND / 2,
};

/* ---- which files ---- */

/* Every living member may have it, and the peer is asked anyhow. An exit code, said. */
static int fetch_elsewhere(struct session *session, struct download *download,
                           const struct msg_block_ref *block, struct slice *bytes, bool *is_had)
{
    struct roster roster;
    int code = roster_init(&roster, session);
    struct msg_block_holder *holders = calloc(roster.count + 1, sizeof *holders);
    if (holders == NULL) notice_no_memory();
    struct msg_dataset_block list = {.block = {.block = *block}, .holders = {holders, 0}};
    for (size_t i = 0; i < roster.count && code == EXIT_OK; i++) {
        const struct msg_member_claim *claim = &roster.rows[i].claim;
        if (claim->state != MEMBER_ALIVE) continue;
        holders[list.holders.count++] = (struct msg_block_holder){claim->node, claim->address};
    }
    *is_had = code == EXIT_OK && download_block(download, &list, bytes);
    free(holders);
    roster_deinit(&roster);
    return code;
}

/* Whose name is it now? An exit code, said; EXIT_PARTIAL, not said: another version's. */
static int check_name(struct session *session, const char *name, const struct digest *list)
{
    struct msg_name_row row;
    int code = dataset_find(session, name, &row);
    if (code == EXIT_NOT_FOUND) return dataset_removed(name);
    if (code != EXIT_OK) return code;
    return digest_equal(&row.manifest.digest, list) ? EXIT_OK : EXIT_PARTIAL;
}

/* Without its list nobody knows whether it was a directory. An exit code, said; EXIT_PARTIAL: as
 * check_name. */
static int fetch_list(struct session *session, const char *name, struct download *download,
                      const struct msg_block_ref *block, struct slice *bytes)
{
    const struct msg_dataset_block list = {.block = {.block = *block}};
    instant limit = clock_now() + RETRY_LIMIT;
    bool is_had = download_block(download, &list, bytes);
    while (!is_had) {
        int code = fetch_elsewhere(session, download, block, bytes, &is_had);
        if (code != EXIT_OK) return code;
        if (is_had) break;
        code = check_name(session, name, &block->digest);
        if (code != EXIT_OK) return code;
        if (clock_now() >= limit) {
            notice_line("the list of its files cannot be had; see: mrctl members");
            return EXIT_NO_PEER;
        }
        clock_sleep(RETRY_PAUSE);
    }
    return EXIT_OK;
}

static void decode(struct tree *tree, struct slice bytes)
{
    struct wire_message message;
    size_t size = bytes.count * EXPANSION + 65536;
    uint8_t *memory = malloc(bytes.count + size + 16);
    if (memory == NULL) notice_no_memory();
    size_t start = (bytes.count + 15) & ~(size_t)15;
    if (bytes.count > 0) memcpy(memory, bytes.at, bytes.count);
    struct slice input = slice_of(memory, bytes.count);
    struct arena arena;
    arena_init(&arena, memory + start, size);
    tree->memory = memory;
    if (wire_unpack(&input, &message, &arena) == NULL && message.type == MSG_tree_manifest) {
        const struct msg_tree_manifest *fields = message.fields;
        tree->files = fields->tree.at;
        tree->count = fields->tree.count;
    }
}

int tree_read(struct tree *tree, struct session *session, const char *name)
{
    struct download *download = download_open(session);
    int code = EXIT_PARTIAL;
    *tree = (struct tree){0};
    while (code == EXIT_PARTIAL) {
        struct msg_name_row row;
        struct slice bytes = {0};
        code = dataset_find(session, name, &row);
        if (code == EXIT_NOT_FOUND) code = dataset_missing(name);
        if (code != EXIT_OK) break;
        const struct msg_block_ref list = row.manifest; /* row is of the reply */
        code = fetch_list(session, name, download, &list, &bytes);
        if (code == EXIT_OK) decode(tree, bytes);
        tree->list = list.digest;
    }
    download_close(download);
    return code;
}

int tree_nothing_left(const struct tree *tree, struct session *session, const char *name, int code)
{
    struct msg_name_row row;
    if (code != EXIT_PARTIAL) return code;
    code = dataset_find(session, name, &row);
    if (code == EXIT_NOT_FOUND) return code;
    bool is_same = code != EXIT_OK || digest_equal(&row.manifest.digest, &tree->list);
    return is_same ? EXIT_NO_PEER : EXIT_JOB_FAILED;
}

void tree_free(struct tree *tree)
{
    free(tree->memory);
    *tree = (struct tree){0};
}

/* "a/b/": an empty directory. */
static bool is_directory(struct slice path)
{
    return path.count > 1 && path.at[path.count - 1] == '/';
}

bool tree_is_safe(struct slice path)
{
    if (is_directory(path)) path.count--;
    if (path.count == 0 || path.count > 4096) return false;
    for (size_t at = 0; at <= path.count;) {
        const uint8_t *start = path.at + at;
        const uint8_t *slash = memchr(start, '/', path.count - at);
        size_t count = slash == NULL ? path.count - at : (size_t)(slash - start);
        if (count == 0 || count > COMPONENT_MAX || memchr(start, '\0', count) != NULL) return false;
        if (start[0] == '.' && (count == 1 || (count == 2 && start[1] == '.'))) return false;
        at += count + 1;
    }
    return true;
}

/* ---- writing them ---- */

struct unpacking {
    const struct tree *tree;
    const char *target; /* for people */
    int root;
    int directory;      /* of the file before; -1 */
    struct slice above; /* its path */
    size_t next;
    int fd; /* of the file before; -1 */
    uint64_t left;
};

static int cannot(const struct unpacking *unpacking, struct slice path)
{
    notice_line("%s/%.*s: %s", unpacking->target, (int)path.count, (const char *)path.at,
                strerror(errno));
    return EXIT_JOB_FAILED;
}

/* The directory of that path below root, made where it is not; -1 with errno. */
static int open_directory(int root, struct slice path)
{
    int above = dup(root);
    char component[COMPONENT_MAX + 1];
    for (size_t at = 0; above >= 0 && at < path.count;) {
        const uint8_t *slash = memchr(path.at + at, '/', path.count - at);
        size_t count = slash == NULL ? path.count - at : (size_t)(slash - (path.at + at));
        memcpy(component, path.at + at, count);
        component[count] = '\0';
        bool is_there = mkdirat(above, component, 0777) == 0 || errno == EEXIST;
        int inner = !is_there
                        ? -1
                        : openat(above, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int number = errno;
        close(above);
        errno = number;
        above = inner;
        at += count + 1;
    }
    return above;
}

/* A new file, all directories above it made; -1 with errno. The next one is often beside it. */
static int open_below(struct unpacking *unpacking, struct slice path)
{
    char name[COMPONENT_MAX + 1];
    const uint8_t *slash = memrchr(path.at, '/', path.count);
    struct slice above = slice_of(path.at, slash == NULL ? 0 : (size_t)(slash - path.at));
    size_t start = slash == NULL ? 0 : above.count + 1;
    memcpy(name, path.at + start, path.count - start);
    name[path.count - start] = '\0';
    if (unpacking->directory < 0 || !slice_equal(above, unpacking->above)) {
        if (unpacking->directory >= 0) close(unpacking->directory);
        unpacking->directory = open_directory(unpacking->root, above);
        unpacking->above = above;
    }
    if (unpacking->directory < 0) return -1;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return openat(unpacking->directory, name, flags, 0666);
}

static int close_file(struct unpacking *unpacking)
{
    int fd = unpacking->fd;
    unpacking->fd = -1;
    if (fd < 0 || close(fd) == 0) return EXIT_OK;
    return cannot(unpacking, unpacking->tree->files[unpacking->next - 1].path);
}

/* Files whose bytes have all come are closed; then the next one with any is open. */
static int go_on(struct unpacking *unpacking)
{
    int code = EXIT_OK;
    while (code == EXIT_OK && unpacking->left == 0) {
        code = close_file(unpacking);
        if (code != EXIT_OK || unpacking->next == unpacking->tree->count) return code;
        const struct msg_tree_file *file = &unpacking->tree->files[unpacking->next++];
        if (is_directory(file->path)) {
            unpacking->fd =
                open_directory(unpacking->root, slice_of(file->path.at, file->path.count - 1));
            if (unpacking->fd < 0) return cannot(unpacking, file->path);
            continue; /* it has no bytes, whatever its size */
        }
        unpacking->fd = open_below(unpacking, file->path);
        if (unpacking->fd < 0) return cannot(unpacking, file->path);
        unpacking->left = file->size;
    }
    return code;
}

static int take(void *context, struct slice bytes)
{
    struct unpacking *unpacking = context;
    int code = EXIT_OK;
    while (bytes.count > 0 && code == EXIT_OK) {
        code = go_on(unpacking);
        if (code != EXIT_OK || unpacking->left == 0) break; /* more than its files say */
        size_t count = bytes.count < unpacking->left ? bytes.count : (size_t)unpacking->left;
        ssize_t done = write(unpacking->fd, bytes.at, count);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return cannot(unpacking, unpacking->tree->files[unpacking->next - 1].path);
        unpacking->left -= (uint64_t)done;
        bytes = slice_of(bytes.at + done, bytes.count - (size_t)done);
    }
    return code;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0;
}

static int check_names(const struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree_is_safe(tree->files[i].path)) continue;
        notice_line("%s: a file in it has the name \"%.*s\", which leads elsewhere; see: mrctl cat",
                    name, (int)tree->files[i].path.count, (const char *)tree->files[i].path.at);
        return EXIT_JOB_FAILED;
    }
    return EXIT_OK;
}

int tree_get(const struct tree *tree, struct session *session, const char *name, const char *target)
{
    char *temporary = NULL;
    mode_t mask = umask(0);
    (void)umask(mask);
    struct unpacking unpacking = {.tree = tree, .target = target, .directory = -1, .fd = -1};
    int code = check_names(tree, name);
    if (code != EXIT_OK) return code;
    session_catch_interrupts(session); /* what is beside it is to go then */
    if (asprintf(&temporary, "%s.tmp-XXXXXX", target) < 0) notice_no_memory();
    if (mkdtemp(temporary) == NULL || chmod(temporary, 0777 & ~mask) != 0 ||
        (unpacking.root = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        notice_line("%s: %s", target, strerror(errno));
        free(temporary);
        return EXIT_JOB_FAILED;
    }
    code = download_to(session, name, &tree->list, &unpacking, take);
    if (code == EXIT_OK) code = go_on(&unpacking); /* the empty ones at the end */
    if (code == EXIT_OK && unpacking.left > 0) {
        notice_line("%s: its bytes end before its files do", name);
        code = EXIT_JOB_FAILED;
    }
    if (unpacking.fd >= 0) close(unpacking.fd);
    if (unpacking.directory >= 0) close(unpacking.directory);
    close(unpacking.root);
    if (code == EXIT_OK && rename(temporary, target) != 0) {
        notice_line("%s: %s", target, strerror(errno));
        code = EXIT_JOB_FAILED;
    }
    if (code != EXIT_OK) (void)nftw(temporary, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
    free(temporary);
    return tree_nothing_left(tree, session, name, code);
}
