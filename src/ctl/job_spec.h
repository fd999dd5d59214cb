/* From the options of run and submit to a job as the flock knows it. */
#ifndef CTL_JOB_SPEC_H
#define CTL_JOB_SPEC_H

#include "ctl/dataset.h"
#include "ctl/options.h"
#include "wire/wire.h"

enum {
    JOB_NAME_SIZE = 65,     /* as job_spec.name */
    JOB_LIST_MAX = 64,      /* files and environment: as job_spec */
    JOB_COMMAND_MAX = 4096, /* as job_spec */
    SORT_TEXT_SIZE = 256,   /* eight fields, spelt out */
    /* @sort without -R: so many bytes of input for each of its reduces, up to so many. */
    SORT_BYTES_A_REDUCE = 128 << 20,
    SORT_REDUCES_MAX = 64,
};

/* A job being made. */
struct job_draft {
    struct id id;
    struct msg_job_spec spec;
    struct msg_job_terms terms; /* borrows from the rest, the options and argv */
    char stem[JOB_NAME_SIZE];
    char name[JOB_NAME_SIZE]; /* stem and four digits of the id, as the flock will call it */
    uint8_t ok_exits[64];
    struct msg_text environment[JOB_LIST_MAX];
    struct msg_job_file files[JOB_LIST_MAX];
    char sort[SORT_TEXT_SIZE]; /* "MR_SORT=..." */
    char fields[32];           /* "MR_PARTITION_FIELDS=..." */
    char partitioner[JOB_COMMAND_MAX + 32];
    size_t own_files_count; /* those of -f; behind them may be the ranges (sampling.h) */
    bool has_ranges;
    bool chooses_reduces;                /* @sort without -R */
    char inputs_name[JOB_NAME_SIZE + 8]; /* while a sampling job runs; "" = none */
    char sample_name[JOB_NAME_SIZE];
};

/* All but inputs: checks the options, draws the id, composes the name. Borrows options. EXIT_OK;
 * EXIT_USAGE (said). */
int job_draft_init(struct job_draft *draft, const struct options *options);
/* The inputs and files that were stored; for @sort without -R, how many reduces. */
void job_draft_set_inputs(struct job_draft *draft, const struct dataset *dataset);

/* A job's name begins with this: the first word of the command, its directory and suffix cut off,
 * lower case letters, digits and '-' kept: "/usr/bin/wc -l" is "wc", "@sort" is "sort", "A=1
 * ./map.py" is "map"; "job" when nothing is left. */
void job_name_stem(const char *command, char stem[JOB_NAME_SIZE]);

/* "0,1,75" as a byte each; false when it is not a list of exit codes (0 to 255), at most 64. */
bool job_parse_exits(const char *text, uint8_t exits[64], size_t *count);

/* Dataset names: 1 to 255 bytes, no control characters, no '@' (it marks one of several
 * namings). */
bool job_is_dataset_name(const char *name);

#endif
