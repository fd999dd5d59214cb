/* What became of a bag's commands: the dataset that its job made, read frame by frame. */
#ifndef CTL_RESULTS_H
#define CTL_RESULTS_H

#include "ctl/session.h"
#include "wire/wire.h"

/* One command. Borrowed for the visit. */
struct result {
    struct msg_line_begun begun;
    struct msg_line_ended ended;
    struct slice frames; /* line_bytes messages of its last try */
    uint64_t size;       /* of its stdout */
};

/* Every command in order of the list; parts: the output, when it is here (msg_small_block), or
 * NULL. EXIT_OK; EXIT_USAGE (said) when the dataset is no bag's; else as download_dataset. */
int results_each(struct session *session, const char *dataset, const struct list *parts,
                 void *context, void (*visit)(void *context, const struct result *result));

/* What it printed on stdout (1) or stderr (2); tag, unless NULL, and a TAB before each line. */
void results_print(const struct result *result, uint8_t descriptor, const char *tag, FILE *file);

#endif
