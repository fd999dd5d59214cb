/* A dataset's bytes, block by block from whoever holds them, verified before they are given out. */
#ifndef CTL_DOWNLOAD_H
#define CTL_DOWNLOAD_H

#include "ctl/session.h"

struct download;

enum {
    DOWNLOAD_BLOCK_MAX = 8 << 20, /* a larger block is spooled to a file */
};

/* Writes the dataset's bytes in order to fd. A reader who hangs up (EPIPE) ends it with EXIT_OK.
 * EXIT_NOT_FOUND: there is no such dataset. EXIT_NO_PEER: a block could not be had, nothing was
 * written yet; EXIT_PARTIAL: something was. EXIT_JOB_FAILED: fd can't be written. Anything but
 * EXIT_OK is said. */
int download_dataset(struct session *session, const char *name, int fd);
/* The same of bytes that are here (msg_small_block). */
int download_parts(struct session *session, const struct list *parts, int fd);
/* The same of its first lines alone; 0: all. */
int download_lines(struct session *session, const char *name, int fd, uint64_t lines);

/* To take (which says what goes wrong, and returns an exit code) instead of a file. list: of the
 * version that is meant. */
int download_to(struct session *session, const char *name, const struct digest *list, void *context,
                int (*take)(void *context, struct slice bytes));

/* Single blocks of at most LIST_SIZE_MAX, in memory: for what is no dataset. */
struct download *download_open(struct session *session);
void download_close(struct download *download);
/* Its bytes, verified; borrowed until the next call. False: nobody gives it, now. */
bool download_block(struct download *download, const struct msg_dataset_block *item,
                    struct slice *bytes);

#endif
