/* run and submit with --spec FILE: the stages of a chain (chain_file.h), one after the other. */
#ifndef CTL_CHAIN_H
#define CTL_CHAIN_H

#include "ctl/options.h"

/* Runs all stages to their ends, each on the output of the one before. prints_result (run): prints
 * the last one's output; else (submit) the name of the dataset that holds it. -i of the options is
 * the first stage's input, -O the last one's output. Returns an exit code; all is said. */
int chain_command(const struct options *options, bool prints_result);

#endif
