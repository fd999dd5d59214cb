/* A job spec file: stages of a chain, one behind the other, in INI (libinih reads it).
 *
 *   [job]                      what is not of one stage alone; all of it optional
 *   name = ranks               what the names of its jobs begin with
 *   output = ranks             the last stage's result is kept as this dataset
 *   retries = 2                any option of a stage: the stages' default
 *
 *   [stage NAME]               a job: long options of `mrctl run`, without the dashes
 *   input = links              the first stage's; every other one's is the former's output
 *   mapper = ./links.py
 *   reducer = ./gather.py
 *   file = links.py            options that may be repeated are repeated
 *   file = gather.py
 *
 *   [repeat NAME]              a stage again and again, each time on its own output
 *   times = 30                 at most
 *   until = rank,moved < 10    a counter of the stage's job (GROUP,NAME): stop when it is so
 *
 * A comment begins a line with '#' or ';'. A value may go on in the next line, if that is indented:
 * a newline is between. */
#ifndef CTL_CHAIN_FILE_H
#define CTL_CHAIN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHAIN_STAGES_MAX = 64,
    CHAIN_WORDS_MAX = 256, /* of one stage's options */
    CHAIN_NAME_MAX = 32,
    CHAIN_TIMES_MAX = 10000,
};

/* `until`: a counter compared with a number. */
struct chain_test {
    char group[129];
    char name[129];
    char sign; /* '<', '>', '=', 'l' (<=), 'g' (>=), '!' (!=) */
    uint64_t value;
};

struct chain_stage {
    char name[CHAIN_NAME_MAX + 1];
    unsigned line; /* of its heading */
    bool is_repeat;
    uint32_t times; /* 1 but for a repeat */
    bool has_test;
    struct chain_test test;
    char **words;    /* "--mapper", "./links.py", ...; owned */
    unsigned *lines; /* of each word */
    size_t words_count;
};

struct chain_file {
    const char *path; /* borrowed */
    char name[CHAIN_NAME_MAX + 1];
    char output[256];
    struct chain_stage defaults; /* options in [job] */
    struct chain_stage stages[CHAIN_STAGES_MAX];
    size_t count;
};

/* Reads it. False: said on stderr, with the line. chain_file_free is due either way. */
bool chain_file_read(struct chain_file *file, const char *path);
void chain_file_free(struct chain_file *file);

bool chain_test_holds(const struct chain_test *test, uint64_t value);

#endif
