/* Where in its input a command was when it failed: the file, the byte, the line, or the key. */
#ifndef MAPREDUCE_PLACE_H
#define MAPREDUCE_PLACE_H

#include "mapreduce/command.h"

struct attempt;

struct place {
    bool is_known;      /* a command has run, and this is of the one that ran last */
    bool is_input;      /* it read the attempt's own input; else (combiner) sorted records */
    uint64_t read_size; /* as command_end */
    struct command_mark mark;
};

/* ", when it had read up to byte 1288895 of /data/nums; the line there begins at byte 1288889"
 * behind what is in text; nothing when nothing is known. */
void place_text(const struct attempt *attempt, char *text, size_t size);

#endif
