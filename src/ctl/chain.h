/* run and submit with --spec FILE: the stages of a chain (chain_file.h), one after the other. */
#ifndef CTL_CHAIN_H
#define CTL_CHAIN_H

#include "ctl/options.h"

/* Runs all stages to their ends, each on the output of the one before. prints_result (run): prints
 * the last one's output; else (submit) the name of the dataset that holds it. -i of the options is
 * the first stage's input, -O the last one's output. Returns an exit code; all is said. */
int chain_command(const struct options *options, bool prints_result);

/* A stage as chain_command would run it. Borrowed. */
struct chain_step {
    const char *name;
    const struct options *options;
    uint32_t times;     /* at most */
    const char *output; /* the dataset that stays; NULL: none of its own */
    bool is_first;
};

/* Each stage, in order; nothing runs. An exit code: that of the first visit that is not EXIT_OK;
 * what is wrong with the file is said. */
int chain_visit(const struct options *options, void *context,
                int (*visit)(void *context, const struct chain_step *step));

#endif
