/* A bag of tasks on the asking side: which commands there are to run. */
#ifndef CTL_BAG_H
#define CTL_BAG_H

#include "ctl/options.h"

struct bag_line {
    uint64_t sequence; /* from 1, of all arguments given: what --resume skips keeps its number */
    char *command;     /* owned */
    char *argument;    /* owned; for --tag */
};

struct bag {
    struct bag_line *lines; /* by sequence */
    size_t count, capacity;
    uint64_t size;   /* bytes of the list that is sent */
    size_t finished; /* left out, because the joblog has them */
};

/* Arguments from behind ":::", else the lines of -i files, else of standard input; commands made of
 * them. With --resume those that the joblog has are left out; with --retry-failed only those are
 * taken that failed last, with the commands of the joblog. EXIT_OK; EXIT_USAGE (said). bag_deinit
 * is due either way. */
int bag_read(struct bag *bag, const struct options *options);
void bag_deinit(struct bag *bag);

/* The line of this number; NULL. */
const struct bag_line *bag_find(const struct bag *bag, uint64_t sequence);

/* The list as a descriptor of a file without a name: SEQUENCE TAB COMMAND, a line each. EXIT_OK;
 * EXIT_JOB_FAILED (said). */
int bag_write(const struct bag *bag, int *fd);

/* Bytes a block, so that each slot of the flock gets some sixteen blocks, none of more than 256
 * commands (4 and 4,096 when they are built-ins); bunch: commands a block, 0 = so chosen. */
uint64_t bag_split_size(const struct bag *bag, uint64_t slots, uint32_t bunch);

#endif
