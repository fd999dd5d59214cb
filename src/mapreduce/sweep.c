/* A task can make a tree that is deeper than paths may be long, deeper than we may have
 * descriptors, or closed to its owner. So nothing here descends: a directory that is not empty is
 * moved up, beside its parent's parent's entries, right below the top; there its own entries are
 * deleted or moved up in turn. Each directory is moved once, so this ends.
 *
 *   top/a/b/c     ->  top/a, top/.swept-1 (was b)/c  ->  top/.swept-1, top/.swept-2 (was c)  -> */
#include "mapreduce/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROUNDS_MAX = 1000000, /* directories deep: each round frees one level at least */
    CLASHES_MAX = 1000,   /* names of ours that are taken by directories which are not empty */
};

struct sweep {
    int top;
    unsigned long moved;
    bool has_progress; /* in this round */
};

static DIR *open_at(int at, const char *name)
{
    int file = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
        file = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = file < 0 ? NULL : fdopendir(file);
    if (file >= 0 && list == NULL) close(file);
    return list;
}

static void move_up(struct sweep *sweep, int at, const char *name)
{
    char fresh[48];
    for (int i = 0; i < CLASHES_MAX; i++) {
        snprintf(fresh, sizeof fresh, ".swept-%lu", ++sweep->moved);
        if (renameat(at, name, sweep->top, fresh) == 0) {
            sweep->has_progress = true;
            return;
        }
        if (errno == EACCES) (void)fchmodat(at, name, 0700, 0); /* its ".." is to be rewritten */
    }
}

static bool is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* An entry of a directory below the top. */
static void take_away(struct sweep *sweep, int at, const char *name)
{
    if (unlinkat(at, name, 0) == 0 || unlinkat(at, name, AT_REMOVEDIR) == 0)
        sweep->has_progress = true;
    else if (errno == ENOTEMPTY || errno == EEXIST || errno == EACCES) move_up(sweep, at, name);
}

/* Empties top/name, and deletes it. */
static void empty(struct sweep *sweep, const char *name)
{
    DIR *list = open_at(sweep->top, name);
    if (list == NULL) return;
    (void)fchmod(dirfd(list), 0700);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (!is_dots(entry->d_name)) take_away(sweep, dirfd(list), entry->d_name);
    closedir(list);
    if (unlinkat(sweep->top, name, AT_REMOVEDIR) == 0) sweep->has_progress = true;
}

void sweep_tree(const char *path)
{
    DIR *top = open_at(AT_FDCWD, path);
    if (top == NULL) return;
    struct sweep sweep = {.top = dirfd(top), .has_progress = true};
    (void)fchmod(sweep.top, 0700);
    for (int i = 0; i < ROUNDS_MAX && sweep.has_progress; i++) {
        sweep.has_progress = false;
        rewinddir(top);
        for (struct dirent *entry; (entry = readdir(top)) != NULL;) {
            if (is_dots(entry->d_name)) continue;
            if (unlinkat(sweep.top, entry->d_name, 0) == 0) sweep.has_progress = true;
            else empty(&sweep, entry->d_name);
        }
    }
    closedir(top);
    (void)rmdir(path);
}
