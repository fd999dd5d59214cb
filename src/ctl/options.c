/* One table describes every option: its names, what follows it, where its value goes and what it
 * says in the help. The parser (getopt_long) and the help are made from that table, so neither can
 * forget an option that the other knows.
 *
 *   mrctl [common options] COMMAND [common options and the command's] [arguments]
 *
 * Two passes: the first stops at the command word and knows the common options alone, the second
 * reads the rest with those of the command, because one letter may mean different things (-f of run
 * takes a file, -f of logs takes nothing). */
#include "ctl/options.h"

#include "ctl/config.h"
#include "ctl/exits.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/suggest.h"
#include "wire/kinds.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char * */
    OPTION_WORDS,    /* struct words: may be repeated */
    OPTION_COUNT,    /* uint32_t, min to max */
    OPTION_SIZE,     /* uint64_t bytes */
    OPTION_DURATION, /* uint64_t milliseconds */
    OPTION_CHOICE,   /* uint32_t: which of the words in `argument` (a|b|c) */
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    unsigned groups;
    size_t at;            /* of its value in struct options */
    const char *argument; /* as the help shows it */
    uint32_t min, max;
    const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct option_row rows[] = {
    {"node", 'n', OPTION_TEXT, GROUP_COMMON, AT(node), "HOST:PORT", 0, 0,
     "the peer to ask (MR_NODE; else the last known ones, else 127.0.0.1:7437)"},
    {"key-file", 0, OPTION_TEXT, GROUP_COMMON, AT(key_file), "FILE", 0, 0,
     "the cluster key (MR_KEY_FILE; else ~/.config/mr/cluster.key)"},
    {"output-format", 'o', OPTION_CHOICE, GROUP_COMMON, AT(output), "table|wide|json|name", 0, 0,
     "how to print"},
    {"json", 0, OPTION_FLAG, GROUP_COMMON, AT(is_json), NULL, 0, 0, "the same as -o json"},
    {"watch", 'w', OPTION_FLAG, GROUP_COMMON, AT(is_watch), NULL, 0, 0,
     "print again and again; with submit: wait for the job's end"},
    {"timeout", 0, OPTION_DURATION, GROUP_COMMON, AT(timeout_ms), "DUR", 0, 0,
     "give up after so long (exit 124)"},
    {"quiet", 'q', OPTION_FLAG, GROUP_COMMON, AT(is_quiet), NULL, 0, 0, "no progress, no notes"},
    {"verbose", 'v', OPTION_FLAG, GROUP_COMMON, AT(is_verbose), NULL, 0, 0, "say more"},
    {"no-input", 0, OPTION_FLAG, GROUP_COMMON, AT(is_no_input), NULL, 0, 0,
     "never read standard input"},
    {"help", 'h', OPTION_FLAG, GROUP_COMMON, AT(is_help), NULL, 0, 0, "this text"},
    {"version", 0, OPTION_FLAG, GROUP_COMMON, AT(is_version), NULL, 0, 0, "print the version"},

    {"mapper", 'm', OPTION_TEXT, GROUP_JOB, AT(mapper), "CMD", 0, 0,
     "shell command, or @cat, @sort, @wordcount; a split on its stdin"},
    {"combiner", 'c', OPTION_TEXT, GROUP_JOB, AT(combiner), "CMD", 0, 0,
     "a reducer run on each map's own output"},
    {"reducer", 'r', OPTION_TEXT, GROUP_JOB, AT(reducer), "CMD", 0, 0,
     "gets the lines sorted by key; without it the job is map only"},
    {"input", 'i', OPTION_WORDS, GROUP_JOB, AT(inputs), "PATH|NAME", 0, 0,
     "file, directory, dataset or - (repeat it; default: standard input)"},
    {"reduces", 'R', OPTION_COUNT, GROUP_JOB, AT(reduces), "N", 0, JOB_REDUCES_MAX,
     "partitions (default 1 with -r, else 0)"},
    {"file", 'f', OPTION_WORDS, GROUP_JOB, AT(files), "FILE", 0, 0,
     "put it into each task's directory (repeat it)"},
    {"env", 'e', OPTION_WORDS, GROUP_JOB, AT(environment), "K=V", 0, 0,
     "set it in each task's environment (repeat it)"},
    {"output", 'O', OPTION_TEXT, GROUP_JOB, AT(output_name), "NAME", 0, 0,
     "keep the result as this dataset (default: the job's name)"},
    {"output", 'O', OPTION_TEXT, GROUP_DEBUG, AT(output_name), "FILE", 0, 0,
     "where the archive goes (default: standard output)"},
    {"name", 0, OPTION_TEXT, GROUP_JOB, AT(job_name), "NAME", 0, 0,
     "what the job's name begins with"},
    {"split", 0, OPTION_SIZE, GROUP_JOB | GROUP_PUT, AT(split_size), "SIZE", 0, 0,
     "bytes a block, cut at line ends (default: by size and slots, 1M to 32M)"},
    {"records", 0, OPTION_TEXT, GROUP_JOB | GROUP_PUT, AT(records), "lines|fixed:N|file", 0, 0,
     "what must not be cut: lines (default), records of N bytes, whole files"},
    {"retries", 0, OPTION_COUNT, GROUP_JOB, AT(retries), "N", 1, 255,
     "failed attempts of one task that end the job (default 4); -t: tries of each command (1)"},
    {"task-timeout", 0, OPTION_DURATION, GROUP_JOB, AT(task_timeout_ms), "DUR", 0, 0,
     "stop an attempt that runs longer"},
    {"ok-exit", 0, OPTION_TEXT, GROUP_JOB, AT(ok_exits), "N[,N...]", 0, 0,
     "exit codes that count as done (default 0)"},
    {"replicas", 0, OPTION_COUNT, GROUP_JOB | GROUP_PUT, AT(replicas), "N", 1, 8,
     "nodes that keep each block (default 3)"},
    {"sort", 0, OPTION_TEXT, GROUP_JOB, AT(sort), "ORDER[,ORDER...]", 0, 0,
     "what a reducer sees, by field: key, numeric, line or none; :reverse (default key)"},
    {"partition", 0, OPTION_TEXT, GROUP_JOB, AT(partition), "hash|range|CMD", 0, 0,
     "which reduce a record goes to; CMD prints a number for each (default hash; @sort: range)"},
    {"partition-fields", 0, OPTION_COUNT, GROUP_JOB, AT(partition_fields), "N", 1, 8,
     "the first fields decide which reduce (default 1)"},
    {"priority", 0, OPTION_COUNT, GROUP_JOB, AT(weight), "N", 1, 1000,
     "weight in the lottery for slots (default 1)"},
    {"speculate", 0, OPTION_TEXT, GROUP_JOB, AT(speculate), "auto|off|N", 0, 0,
     "second copies of slow tasks: as slots allow, none, at most N at once (default auto)"},
    {"verify", 0, OPTION_COUNT, GROUP_JOB, AT(verify), "K", 1, 16,
     "run each task K times and compare the outputs"},
    {"cpus", 0, OPTION_COUNT, GROUP_JOB, AT(cpus), "N", 1, 1024,
     "slots that a task takes (default 1; at most those of the node)"},
    {"overwrite", 0, OPTION_FLAG, GROUP_JOB | GROUP_PUT, AT(is_overwrite), NULL, 0, 0,
     "replace a dataset of that name"},
    {"pending", 0, OPTION_FLAG, GROUP_EXPLAIN, AT(is_pending), NULL, 0, 0,
     "what a job, or a task, waits for now"},
    {"origin", 0, OPTION_FLAG, GROUP_CONFIG, AT(is_origin), NULL, 0, 0,
     "where each value came from"},
    {"now", 0, OPTION_FLAG, GROUP_LEAVE, AT(is_now), NULL, 0, 0,
     "do not wait for copies of what only it has"},
    {"deadline", 0, OPTION_DURATION, GROUP_DRAIN, AT(deadline_ms), "DUR", 0, 0,
     "give back what still runs then"},
    {"ack", 0, OPTION_COUNT, GROUP_JOB | GROUP_ACK, AT(ack), "N", 1, 16,
     "nodes that must have the job on disk (default 2)"},
    {"mem", 0, OPTION_SIZE, GROUP_JOB, AT(memory_size), "SIZE", 0, 0, "memory for sorting, a task"},

    {"local", 0, OPTION_FLAG, GROUP_JOB, AT(is_local), NULL, 0, 0,
     "run: on this machine alone, by a node of its own; no daemon is needed"},
    {"hadoop-env", 0, OPTION_FLAG, GROUP_JOB, AT(is_hadoop_env), NULL, 0, 0,
     "tasks see Hadoop's names, too: mapreduce_job_id, map_input_file, ..."},

    {"spec", 0, OPTION_TEXT, GROUP_JOB, AT(spec), "FILE", 0, 0,
     "a chain of jobs, as FILE says: see mrctl(1)"},
    {"task", 't', OPTION_TEXT, GROUP_JOB, AT(task), "CMD", 0, 0,
     "a bag of tasks: CMD once for each word behind ::: (or line of stdin or -i), put in for {}"},
    {"tag", 0, OPTION_FLAG, GROUP_JOB, AT(is_tag), NULL, 0, 0,
     "-t: each line of output behind its argument"},
    {"bar", 0, OPTION_FLAG, GROUP_JOB, AT(is_bar), NULL, 0, 0, "a bar even when not on a terminal"},
    {"joblog", 0, OPTION_TEXT, GROUP_JOB, AT(joblog), "FILE", 0, 0,
     "-t: a line for each command, as GNU parallel writes them"},
    {"keep-order", 'k', OPTION_FLAG, GROUP_JOB, AT(is_keep_order), NULL, 0, 0,
     "-t: output in the order of the arguments (it always is)"},
    {"resume", 0, OPTION_FLAG, GROUP_JOB, AT(is_resume), NULL, 0, 0,
     "-t: leave out what is in the joblog"},
    {"retry-failed", 0, OPTION_FLAG, GROUP_JOB, AT(is_retry_failed), NULL, 0, 0,
     "run again what failed according to the joblog"},
    {"bunch", 0, OPTION_COUNT, GROUP_JOB, AT(bunch), "N", 1, 100000,
     "-t: commands that one attempt runs (default: by number and slots, 1 to 256)"},

    {"follow", 'f', OPTION_FLAG, GROUP_LOGS, AT(is_follow), NULL, 0, 0, "go on until the job ends"},
    {"follow", 'f', OPTION_FLAG, GROUP_LOG, AT(is_follow), NULL, 0, 0, "go on with what comes"},
    {"job", 0, OPTION_TEXT, GROUP_LOG, AT(job), "JOB", 0, 0, "entries of this job alone"},
    {"previous", 'p', OPTION_FLAG, GROUP_LOGS, AT(is_previous), NULL, 0, 0,
     "only attempts before each task's last"},
    {"tail", 0, OPTION_COUNT, GROUP_LOGS, AT(tail), "N", 0, 1000000,
     "the last lines of each alone"},

    {"lines", 0, OPTION_COUNT, GROUP_HEAD, AT(lines), "N", 1, UINT32_MAX, "so many (default 10)"},

};

enum {
    ROWS_COUNT = sizeof rows / sizeof *rows,
    /* Of options.origins: where a value came from. */
    ORIGIN_ENVIRONMENT = 1,
    ORIGIN_FLAG = 2,
    ORIGIN_FILE = 3, /* and the number of the file */
    LONG_BASE = 256, /* getopt_long's value of row i: apart from every letter */
};

/* getopt's two descriptions of the rows of these groups. */
struct getopt_tables {
    struct option names[ROWS_COUNT + 1];
    char letters[2 * ROWS_COUNT + 3];
};

static void make_tables(struct getopt_tables *tables, unsigned groups, bool stops_at_word)
{
    char *letter = tables->letters;
    struct option *name = tables->names;
    /* '+': stop at the first word; ':': tell a missing argument from an unknown option. */
    if (stops_at_word) *letter++ = '+';
    *letter++ = ':';
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *row = &rows[i];
        if ((row->groups & groups) == 0) continue;
        int has_argument = row->argument != NULL ? required_argument : no_argument;
        *name++ = (struct option){row->name, has_argument, NULL, LONG_BASE + i};
        if (row->letter == 0) continue;
        *letter++ = row->letter;
        if (row->argument != NULL) *letter++ = ':';
    }
    *letter = '\0';
    *name = (struct option){0};
}

static const struct option_row *row_of(int value, unsigned groups)
{
    if (value >= LONG_BASE) return &rows[value - LONG_BASE];
    for (int i = 0; i < ROWS_COUNT; i++)
        if (rows[i].letter == value && (rows[i].groups & groups) != 0) return &rows[i];
    return NULL;
}

static int usage(const struct options *options, const char *text, const char *word)
{
    const char *command = options->command == NULL ? "" : options->command->name;
    notice_line("%s%s%s; see: mrctl %s%s-h", text, *word == '\0' ? "" : " ", word, command,
                *command == '\0' ? "" : " ");
    return EXIT_USAGE;
}

/* Which of a|b|c text is; false when none. */
static bool choose(const char *choices, const char *text, uint32_t *choice)
{
    size_t count = strlen(text);
    for (*choice = 0; *choices != '\0' && count > 0; ++*choice) {
        size_t word = strcspn(choices, "|");
        if (word == count && strncmp(choices, text, count) == 0) return true;
        choices += word + (choices[word] == '|');
    }
    return false;
}

/* Puts the value where the row says. False when text is not of its kind. */
static bool apply(struct options *options, const struct option_row *row, const char *text)
{
    void *at = (char *)options + row->at;
    uint64_t count;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)at = true; return true;
    case OPTION_TEXT: *(const char **)at = text; return *text != '\0';
    case OPTION_WORDS: {
        struct words *words = at;
        words->items[words->count++] = text;
        return *text != '\0';
    }
    case OPTION_COUNT:
        if (!quantity_parse_count(text, row->min, row->max, &count)) return false;
        *(uint32_t *)at = (uint32_t)count;
        return true;
    case OPTION_SIZE: return quantity_parse_size(text, at) && *(uint64_t *)at > 0;
    case OPTION_DURATION: return quantity_parse_duration(text, at) && *(uint64_t *)at > 0;
    case OPTION_CHOICE: return choose(row->argument, text, at);
    }
    assert(false);
    return false;
}

static int bad_value(const struct options *options, const struct option_row *row, const char *text)
{
    char message[160];
    snprintf(message, sizeof message, "--%s takes %s, not", row->name, row->argument);
    if (row->kind == OPTION_COUNT)
        snprintf(message, sizeof message, "--%s takes a number from %u to %u, not", row->name,
                 row->min, row->max);
    if (row->kind == OPTION_DURATION)
        snprintf(message, sizeof message, "--%s takes a duration as 500ms, 5s or 2m, not",
                 row->name);
    if (row->kind == OPTION_SIZE)
        snprintf(message, sizeof message, "--%s takes a size as 64K, 16M or 1G, not", row->name);
    return usage(options, message, *text == '\0' ? "an empty word" : text);
}

/* An option nobody knows: word as typed, with the nearest that these groups have. */
static int unknown_option(const struct options *options, unsigned groups, const char *word)
{
    if (strncmp(word, "--", 2) != 0) {
        char letter[3] = {'-', (char)optopt, '\0'};
        return usage(options, "unknown option", letter);
    }
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    struct suggest suggest = {.typed = typed};
    for (int i = 0; i < ROWS_COUNT; i++)
        if ((rows[i].groups & groups) != 0) suggest_offer(&suggest, rows[i].name);
    if (suggest.best == NULL) return usage(options, "unknown option", word);
    notice_line("unknown option --%s; did you mean --%s?", typed, suggest.best);
    return EXIT_USAGE;
}

/* Reads options of these groups from argv, from argv[1] on; *first: the first word that is none. */
static int read_options(struct options *options, int argc, char **argv, unsigned groups, int *first)
{
    struct getopt_tables tables;
    make_tables(&tables, groups, options->command == NULL);
    optind = 0; /* glibc: start anew */
    opterr = 0;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int value = getopt_long(argc, argv, tables.letters, tables.names, NULL);
        if (value == -1) break;
        const char *word = argv[optind > at ? optind - 1 : at];
        if (value == '?') return unknown_option(options, groups, word);
        const struct option_row *row = row_of(value == ':' ? optopt : value, groups);
        assert(row != NULL);
        if (value == ':') {
            char message[64];
            snprintf(message, sizeof message, "--%s needs", row->name);
            return usage(options, message, row->argument);
        }
        if (!apply(options, row, optarg)) return bad_value(options, row, optarg);
        options->origins[row - rows] = ORIGIN_FLAG;
    }
    *first = optind;
    return EXIT_OK;
}

static int find_command(struct options *options, const char *word, const struct command *commands)
{
    struct suggest suggest = {.typed = word};
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (command->summary != NULL) suggest_offer(&suggest, command->name);
        if (strcmp(command->name, word) != 0) continue;
        if (command->summary == NULL) return usage(options, "not in this version: command", word);
        options->command = command;
        return EXIT_OK;
    }
    if (suggest.best == NULL) return usage(options, "unknown command", word);
    notice_line("unknown command %s; did you mean %s?", word, suggest.best);
    return EXIT_USAGE;
}

static int check_arguments(const struct options *options)
{
    const struct command *command = options->command;
    size_t count = options->arguments.count;
    if (count >= command->arguments_min && count <= command->arguments_max) return EXIT_OK;
    if (count < command->arguments_min)
        notice_line("%s needs %s; see: mrctl %s -h", command->name, command->arguments,
                    command->name);
    else if (command->arguments_max == 0)
        notice_line("%s takes no arguments; see: mrctl %s -h", command->name, command->name);
    else
        notice_line("too many words: %s takes %s; see: mrctl %s -h", command->name,
                    command->arguments, command->name);
    return EXIT_USAGE;
}

_Static_assert((int)ROWS_COUNT <= (int)OPTIONS_ROWS_MAX, "options.origins has a place for each");

static void set_defaults(struct options *options, int argc)
{
    const char *node = getenv("MR_NODE"), *key_file = getenv("MR_KEY_FILE");
    *options = (struct options){
        .reduces = OPTION_NONE,
        .ack = 2,
        .replicas = 3,
        .weight = 1,
        .tail = OPTION_NONE,
        .node = node != NULL && *node != '\0' ? node : NULL,
        .key_file = key_file != NULL && *key_file != '\0' ? key_file : NULL,
    };
    /* No list can hold more words than there are. */
    struct words *lists[] = {&options->inputs, &options->files, &options->environment,
                             &options->arguments, &options->task_arguments};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        lists[i]->items = calloc((size_t)argc + 1, sizeof *lists[i]->items);
        if (lists[i]->items == NULL) notice_no_memory();
    }
}

/* What may stand in a file: a habit, and not what one command is about. */
static bool is_habit(const struct option_row *row)
{
    static const char *const names[] = {
        "node",     "key-file", "output-format", "timeout", "quiet",
        "verbose",  "no-input", "split",         "retries", "task-timeout",
        "replicas", "priority", "speculate",     "ack",     "mem"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(row->name, names[i]) == 0) return true;
    return false;
}

static const struct option_row *habit(const char *name)
{
    for (int i = 0; i < ROWS_COUNT; i++)
        if (is_habit(&rows[i]) && strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

static bool is_habit_name(const char *name) { return habit(name) != NULL; }

static const char *origin_of(const struct options *options, const struct option_row *row)
{
    unsigned origin = options->origins[row - rows];
    if (origin == ORIGIN_FLAG) return "flag";
    if (origin == ORIGIN_ENVIRONMENT) return row->at == AT(node) ? "MR_NODE" : "MR_KEY_FILE";
    if (origin >= ORIGIN_FILE) return options->config->files[origin - ORIGIN_FILE];
    return "default";
}

/* As one would write it. */
static void value_text(const struct options *options, const struct option_row *row, char *text,
                       size_t size)
{
    const void *at = (const char *)options + row->at;
    char quantity[QUANTITY_TEXT_SIZE];
    text[0] = '\0';
    switch (row->kind) {
    case OPTION_FLAG: snprintf(text, size, "%s", *(const bool *)at ? "yes" : "no"); return;
    case OPTION_TEXT: {
        const char *word = *(const char *const *)at;
        snprintf(text, size, "%s", word == NULL ? "" : word);
        return;
    }
    case OPTION_COUNT:
        if (*(const uint32_t *)at > 0) snprintf(text, size, "%u", *(const uint32_t *)at);
        return;
    case OPTION_SIZE:
        if (*(const uint64_t *)at > 0)
            snprintf(text, size, "%s", quantity_size_text(*(const uint64_t *)at, quantity));
        return;
    case OPTION_DURATION:
        if (*(const uint64_t *)at > 0)
            snprintf(text, size, "%s", quantity_duration_text(*(const uint64_t *)at, quantity));
        return;
    case OPTION_CHOICE: {
        const char *words = row->argument;
        for (uint32_t i = *(const uint32_t *)at; i > 0; i--) words += strcspn(words, "|") + 1;
        snprintf(text, size, "%.*s", (int)strcspn(words, "|"), words);
        return;
    }
    case OPTION_WORDS: return;
    }
}

void options_each_habit(const struct options *options, void *context,
                        void (*visit)(void *context, const char *name, const char *value,
                                      const char *origin))
{
    char text[1100];
    for (int i = 0; i < ROWS_COUNT; i++) {
        if (!is_habit(&rows[i])) continue;
        value_text(options, &rows[i], text, sizeof text);
        visit(context, rows[i].name, text, origin_of(options, &rows[i]));
    }
}

static bool is_yes(const char *text)
{
    return strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

/* A file's value for an option that a command of these groups knows, unless the environment has
 * one. */
static int take_config(struct options *options, unsigned groups)
{
    const struct config *config = options->config;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_value *value = &config->values[i];
        const struct option_row *row = habit(value->name);
        unsigned char *origin = &options->origins[row - rows];
        bool is_last = value == config_get(config, value->name);
        if ((row->groups & groups) == 0 || *origin == ORIGIN_ENVIRONMENT || !is_last) continue;
        bool is_good = true;
        if (row->kind != OPTION_FLAG) is_good = apply(options, row, value->value);
        else *(bool *)((char *)options + row->at) = is_yes(value->value);
        *origin = (unsigned char)(ORIGIN_FILE + value->file);
        if (is_good) continue;
        notice_line("in %s:", config->files[value->file]);
        return bad_value(options, row, value->value);
    }
    return EXIT_OK;
}

static void note_environment(struct options *options)
{
    for (int i = 0; i < ROWS_COUNT; i++) {
        bool is_node = rows[i].at == AT(node) && options->node != NULL;
        bool is_key = rows[i].at == AT(key_file) && options->key_file != NULL;
        if (is_node || is_key) options->origins[i] = ORIGIN_ENVIRONMENT;
    }
}

/* Before the flags of the command line, which overrule it. */
static int read_config(struct options *options)
{
    options->config = malloc(sizeof *options->config);
    if (options->config == NULL) notice_no_memory();
    note_environment(options);
    if (!config_read(options->config, "mrctl", is_habit_name)) {
        notice_line("%s", options->config->why);
        return EXIT_USAGE;
    }
    return take_config(options, GROUP_COMMON);
}

/* Words behind ":::" are a bag's arguments, whatever they look like. Returns what is left. */
static int take_task_arguments(struct options *options, int argc, char **argv)
{
    int at = 1;
    while (at < argc && strcmp(argv[at], ":::") != 0) at++;
    options->has_task_arguments = at < argc;
    struct words *words = &options->task_arguments;
    for (int i = at + 1; i < argc; i++) words->items[words->count++] = argv[i];
    return at;
}

int options_parse(struct options *options, int argc, char **argv, const struct command *commands)
{
    int first;
    set_defaults(options, argc);
    argc = take_task_arguments(options, argc, argv);
    int config_code = read_config(options);
    int code = read_options(options, argc, argv, GROUP_COMMON, &first);
    if (code != EXIT_OK || options->is_help || options->is_version) return code;
    if (config_code != EXIT_OK) return config_code;
    if (first >= argc) {
        notice_line("a command is missing; see: mrctl -h");
        return EXIT_USAGE;
    }
    code = find_command(options, argv[first], commands);
    if (code != EXIT_OK) return code;
    bool is_about_all = (options->command->groups & (GROUP_CONFIG | GROUP_DEBUG)) != 0;
    code = take_config(options, is_about_all ? ~(unsigned)GROUP_COMMON : options->command->groups);
    if (code != EXIT_OK) return code;
    int rest = first;
    argv += rest;
    argc -= rest;
    code = read_options(options, argc, argv, GROUP_COMMON | options->command->groups, &first);
    if (code != EXIT_OK) return code;
    while (first < argc) options->arguments.items[options->arguments.count++] = argv[first++];
    if (options->is_json) options->output = OUTPUT_JSON;
    return options->is_help || options->is_version ? EXIT_OK : check_arguments(options);
}

void options_deinit(struct options *options)
{
    free(options->config);
    free(options->inputs.items);
    free(options->files.items);
    free(options->environment.items);
    free(options->arguments.items);
    free(options->task_arguments.items);
    *options = (struct options){0};
}

static void help_options(unsigned groups, FILE *file)
{
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *row = &rows[i];
        if ((row->groups & groups) == 0) continue;
        char left[64], letter[5] = "    ";
        if (row->letter != 0) snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name,
                 row->argument == NULL ? "" : " ", row->argument == NULL ? "" : row->argument);
        fprintf(file, "  %-36s %s\n", left, row->help);
    }
}

void options_names(const struct command *command, FILE *file)
{
    for (int i = 0; i < ROWS_COUNT; i++) {
        const struct option_row *row = &rows[i];
        if ((row->groups & (command->groups | GROUP_COMMON)) == 0) continue;
        fprintf(file, "--%s ", row->name);
        if (row->letter != 0) fprintf(file, "-%c ", row->letter);
    }
}

void options_help(const struct command *command, const struct command *commands, FILE *file)
{
    if (command != NULL) {
        fprintf(file, "%s\n\nExamples:\n%s\nUsage: mrctl %s [OPTIONS]%s%s\n", command->summary,
                command->examples, command->name, *command->arguments == '\0' ? "" : " ",
                command->arguments);
        if (command->groups != 0) fprintf(file, "\nOptions:\n");
        help_options(command->groups, file);
        fprintf(file, "\nCommon options:\n");
        help_options(GROUP_COMMON, file);
        return;
    }
    fprintf(file,
            "Examples:\n"
            "  mrctl run -m @wordcount -i book.txt            count words, print the result\n"
            "  mrctl run -m 'grep -i flock' -i logs/          map only: lines in input order\n"
            "  mrctl submit -m @sort -i big.txt -O sorted -w  keep the result as a dataset\n"
            "  mrctl members                                  who is there\n"
            "\nUsage: mrctl [OPTIONS] COMMAND ...\n\nCommands:\n");
    for (; commands->name != NULL; commands++)
        if (commands->summary != NULL)
            fprintf(file, "  %-8s %-18s %s\n", commands->name, commands->arguments,
                    commands->summary);
    fprintf(file, "\nCommon options (before or after the command):\n");
    help_options(GROUP_COMMON, file);
    fprintf(file, "\nmrctl COMMAND -h says more of one command.\n");
}
