/* The command line, read once by one table. Common options stand before or after the command
 * word. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum output_format {
    OUTPUT_TABLE,
    OUTPUT_WIDE,
    OUTPUT_JSON,
    OUTPUT_NAME,
};

/* Which commands know an option. */
enum option_group {
    GROUP_COMMON = 1,
    GROUP_JOB = 2, /* run and submit */
    GROUP_PUT = 4,
    GROUP_LOGS = 8,
    GROUP_LOG = 16, /* log and events */
    GROUP_ACK = 32, /* retry and resume */
    GROUP_DRAIN = 64,
    GROUP_EXPLAIN = 128,
    GROUP_HEAD = 256,
    GROUP_CONFIG = 1 << 12,
    GROUP_DEBUG = 1 << 13,
    GROUP_LEAVE = 1 << 14,
};

/* Words in the order given. Borrowed from argv. */
struct words {
    const char **items;
    size_t count;
};

enum {
    OPTIONS_ROWS_MAX = 96
};

struct config;

struct options {
    const struct command *command; /* NULL: none was given */
    /* common */
    const char *node; /* NULL: not given */
    const char *key_file;
    uint32_t output; /* enum output_format */
    bool is_json;
    bool is_watch;
    bool is_quiet;
    bool is_verbose;
    bool is_no_input;
    bool is_help;
    bool is_version;
    uint64_t timeout_ms; /* 0: none */
    /* of a job */
    const char *mapper;
    const char *combiner;
    const char *reducer;
    const char *job_name;
    const char *output_name;
    bool is_local; /* of run */
    bool is_hadoop_env;
    const char *spec;
    const char *ok_exits;
    struct words inputs;
    struct words files;
    struct words environment;
    uint32_t reduces; /* OPTION_NONE: not given */
    uint32_t retries; /* 0: not given */
    uint32_t ack;
    uint32_t weight;
    const char *sort; /* NULL: not given */
    const char *partition;
    uint32_t partition_fields; /* 0: not given */
    const char *speculate;     /* auto, off or a number; NULL: not given */
    uint32_t verify;           /* 0: not given */
    uint32_t cpus;
    uint64_t task_timeout_ms;
    uint64_t memory_size;
    /* of a bag of tasks */
    const char *task;
    const char *joblog;
    bool is_tag;
    bool is_bar;
    bool is_keep_order;
    bool is_resume;
    bool is_retry_failed;
    bool has_task_arguments;     /* ":::" was given */
    uint32_t bunch;              /* 0: chosen */
    struct words task_arguments; /* the words behind ":::" */
    const struct bag *bag;       /* not an option: what command_bag.c made of them */
    /* of a job and put */
    uint32_t replicas;
    uint64_t split_size; /* 0: chosen */
    const char *records; /* NULL: lines */
    uint32_t lines;      /* of head; 0: 10 */
    bool is_overwrite;
    /* of log and events */
    const char *job; /* NULL: all */
    /* of logs (and -f of log and events) */
    bool is_follow;
    bool is_previous;
    uint32_t tail; /* OPTION_NONE: all */
    /* of explain */
    bool is_pending;
    /* of drain */
    uint64_t deadline_ms; /* 0: none */
    /* behind the command word */
    struct words arguments;
    struct config *config;                   /* what files say; owned */
    unsigned char origins[OPTIONS_ROWS_MAX]; /* options.c's own */
    bool is_origin;
    bool is_now;
    bool is_alone; /* not an option: no other peer is asked when this one (node) does not answer */
};

#define OPTION_NONE UINT32_MAX

struct command {
    const char *name;
    const char *arguments; /* as the help shows them: "JOB", "PATH NAME" */
    unsigned groups;       /* of options, GROUP_COMMON apart */
    unsigned arguments_min;
    unsigned arguments_max;
    const char *summary;  /* one line; NULL: named in the interface, not in this version */
    const char *examples; /* lines for `mrctl CMD -h` */
    int (*run)(const struct options *options);
};

/* Reads argv against the table of commands (ends with a NULL name) and the environment (MR_NODE,
 * MR_KEY_FILE). options borrows argv until options_deinit. EXIT_OK or EXIT_USAGE (said on
 * stderr). */
int options_parse(struct options *options, int argc, char **argv, const struct command *commands);
void options_deinit(struct options *options);

/* The options that may stand in a file: their names, values, and where those came from. Borrowed
 * for the call. */
void options_each_habit(const struct options *options, void *context,
                        void (*visit)(void *context, const char *name, const char *value,
                                      const char *origin));

/* The options that a command takes, long and short, a blank behind each: for completion. */
void options_names(const struct command *command, FILE *file);
/* The help of one command, or of all (command NULL). */
void options_help(const struct command *command, const struct command *commands, FILE *file);

#endif
