/* A dataset that was a directory becomes one again: `get`. */
#ifndef CTL_TREE_H
#define CTL_TREE_H

#include "ctl/session.h"

/* The files of a dataset, in the order of their bytes. */
struct tree {
    const struct msg_tree_file *files; /* borrow from memory */
    size_t count;
    struct digest list; /* of the blocks */
    void *memory;
};

/* Reads what the dataset's list of blocks says of its files. EXIT_OK: count 0: it is no directory.
 * EXIT_NOT_FOUND, EXIT_NO_PEER, ... (said). tree_free is due either way. */
int tree_read(struct tree *tree, struct session *session, const char *name);
void tree_free(struct tree *tree);

/* A dataset was to be written whole, and ended with this code: of EXIT_PARTIAL nothing was left to
 * have. It was removed: EXIT_NOT_FOUND; replaced: EXIT_JOB_FAILED; else nobody has some of it:
 * EXIT_NO_PEER. */
int tree_nothing_left(const struct tree *tree, struct session *session, const char *name, int code);

/* A path that stays within the directory: relative, of plain components; of an empty directory
 * there is a slash behind it. */
bool tree_is_safe(struct slice path);

/* Writes all of it below target, a directory that must not exist or be empty; whoever looks sees
 * nothing of it or all. EXIT_OK, or as download_dataset (said). */
int tree_get(const struct tree *tree, struct session *session, const char *name,
             const char *target);

#endif
