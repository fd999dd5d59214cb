/* A job's specification. The id is drawn here, once: the same id is the same job, so the submission
 * may be repeated at any peer. The name is for people: what runs, and four digits of the id to tell
 * today's from yesterday's. */
#include "ctl/job_spec.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "wire/sorting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STEM_MAX = 48, /* with "-3f7a" well within a name */
    RETRIES = 4,   /* as Hadoop has it: enough for a bad machine, few enough for a bad program */
};

void job_name_stem(const char *command, char stem[JOB_NAME_SIZE])
{
    size_t count = 0, word, used = 0;
    do { /* settings before the command are not its name */
        command += strspn(command + count, " \t\n") + count;
        count = word = strcspn(command, " \t\n;|&<>()");
        if (memchr(command, '=', word) == NULL) break;
    } while (word > 0);
    const char *slash = memrchr(command, '/', word);
    const char *at = slash == NULL ? command : slash + 1, *end = command + word;
    for (; at < end && used < STEM_MAX; at++) {
        char c = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
        bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && used > 0);
        if (is_kept) stem[used++] = c;
        if ((c == '.' || c == ':') && used > 0) break;
    }
    stem[used] = '\0';
    if (used == 0) snprintf(stem, JOB_NAME_SIZE, "job");
}

bool job_parse_exits(const char *text, uint8_t exits[64], size_t *count)
{
    for (*count = 0; *count < 64; ++*count) {
        char word[8];
        uint64_t value;
        size_t length = strcspn(text, ",");
        if (length == 0 || length >= sizeof word) return false;
        memcpy(word, text, length);
        word[length] = '\0';
        if (!quantity_parse_count(word, 0, 255, &value)) return false;
        exits[*count] = (uint8_t)value;
        text += length;
        if (*text++ == ',') continue;
        ++*count;
        return true;
    }
    return false;
}

bool job_is_dataset_name(const char *name)
{
    size_t count = strlen(name);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '@') return false;
    return count > 0 && count <= 255;
}

static int refuse(const char *text, const char *word)
{
    notice_line("%s%s%s; see: mrctl run -h", text, *word == '\0' ? "" : " ", word);
    return EXIT_USAGE;
}

static bool is_job_name(const char *name)
{
    size_t count = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return count > 0 && good == count && count <= STEM_MAX;
}

static int set_name(struct job_draft *draft, const struct options *options)
{
    char stem[JOB_NAME_SIZE], id[ID_TEXT_SIZE];
    if (options->job_name != NULL && !is_job_name(options->job_name))
        return refuse("--name takes letters, digits, '-', '_' and '.', at most 48, not",
                      options->job_name);
    if (options->job_name != NULL) snprintf(stem, sizeof stem, "%s", options->job_name);
    else job_name_stem(options->mapper, stem);
    id_text(&draft->id, id);
    snprintf(draft->stem, sizeof draft->stem, "%.*s", STEM_MAX, stem);
    snprintf(draft->name, sizeof draft->name, "%.*s-%.4s", STEM_MAX, stem, id);
    draft->spec.name = slice_string(draft->stem); /* the flock adds the digits */
    return EXIT_OK;
}

/* Mapper, combiner, reducer, and how many reduces. @sort and @wordcount alone are whole jobs: their
 * reduce is implied. */
static int set_commands(struct job_draft *draft, const struct options *options)
{
    const char *mapper = options->mapper, *reducer = options->reducer,
               *combiner = options->combiner;
    uint32_t reduces = options->reduces;
    if (mapper == NULL) return refuse("-m CMD is needed", "");
    bool is_sort = strcmp(mapper, "@sort") == 0, is_count = strcmp(mapper, "@wordcount") == 0;
    if (reducer == NULL && reduces != 0 && (is_sort || is_count)) {
        reducer = mapper;
        if (is_count && combiner == NULL) combiner = mapper;
    }
    if (reducer != NULL && reduces == 0)
        return refuse("-r CMD needs at least one reduce; drop -R 0 or -r", "");
    if (reducer == NULL && reduces != OPTION_NONE && reduces > 0)
        return refuse("-R needs a reducer (-r CMD)", "");
    if (reducer == NULL && combiner != NULL) return refuse("-c needs a reducer (-r CMD)", "");
    const char *commands[] = {mapper, combiner == NULL ? "" : combiner,
                              reducer == NULL ? "" : reducer};
    for (size_t i = 0; i < 3; i++)
        if (strlen(commands[i]) > JOB_COMMAND_MAX)
            return refuse("a command has at most 4096 bytes; put it into a file and use -f", "");
    draft->spec.mapper = slice_string(commands[0]);
    draft->spec.combiner = slice_string(commands[1]);
    draft->spec.reducer = slice_string(commands[2]);
    draft->spec.reduces = reducer == NULL ? 0 : reduces == OPTION_NONE ? 1 : reduces;
    draft->chooses_reduces = is_sort && reduces == OPTION_NONE;
    return EXIT_OK;
}

/* ---- the way between map and reduce ---- */

/* One more variable for the tasks, of ours. */
static void add_variable(struct job_draft *draft, const char *text)
{
    draft->environment[draft->spec.environment.count++].text = slice_string(text);
}

/* @sort compares whole lines, whatever else is asked for. */
static int set_sort(struct job_draft *draft, const struct options *options)
{
    const char *text = options->sort == NULL ? "key" : options->sort;
    bool is_line = strcmp(options->mapper, "@sort") == 0;
    struct sorting sorting;
    const char *why = sorting_parse(slice_string(text), &sorting);
    if (why != NULL) {
        notice_line("--sort: %s, as in --sort key,numeric:reverse; not %s", why, text);
        return EXIT_USAGE;
    }
    if (is_line && sorting.count == 1) sorting.is_whole_line = sorting.fields[0].kind != SORT_NONE;
    draft->spec.sort = (uint8_t)sorting_kind(&sorting);
    if (draft->spec.sort != SORT_FIELDS) return EXIT_OK;
    if (is_line && sorting.is_whole_line)
        snprintf(draft->sort, sizeof draft->sort, "MR_SORT=line%s%s",
                 sorting.fields[0].kind == SORT_NUMERIC ? ":numeric" : "",
                 sorting.fields[0].is_reverse ? ":reverse" : "");
    else if (snprintf(draft->sort, sizeof draft->sort, "MR_SORT=%s", text) >= SORT_TEXT_SIZE)
        return refuse("--sort is too long:", text);
    add_variable(draft, draft->sort);
    return EXIT_OK;
}

static int set_partition(struct job_draft *draft, const struct options *options)
{
    const char *text = options->partition;
    uint32_t fields = options->partition_fields;
    bool is_sort = strcmp(options->mapper, "@sort") == 0 && draft->spec.sort != SORT_NONE;
    if (text == NULL) text = is_sort ? "range" : "hash";
    if (fields > 1) {
        snprintf(draft->fields, sizeof draft->fields, "MR_PARTITION_FIELDS=%u", fields);
        add_variable(draft, draft->fields);
    }
    if (strcmp(text, "hash") == 0) return EXIT_OK;
    if (draft->spec.reduces == 0 && options->partition != NULL)
        return refuse("--partition needs a reducer (-r CMD)", "");
    if (strcmp(text, "range") == 0) {
        if (draft->spec.sort == SORT_NONE)
            return refuse("--partition range needs an order: not --sort none", "");
        bool is_one = draft->spec.reduces == 1 && !draft->chooses_reduces;
        draft->spec.partition = is_one ? PARTITION_HASH : PARTITION_RANGE;
        return EXIT_OK;
    }
    if (strlen(text) > JOB_COMMAND_MAX - 16)
        return refuse("--partition: the command is too long", "");
    draft->spec.partition = PARTITION_COMMAND;
    snprintf(draft->partitioner, sizeof draft->partitioner, "MR_PARTITIONER=%s", text);
    add_variable(draft, draft->partitioner);
    return EXIT_OK;
}

static bool is_ours(const char *variable)
{
    static const char *const names[] = {
        "MR_SORT=", "MR_PARTITION_FIELDS=", "MR_PARTITIONER=", "MR_HADOOP_ENV="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
    return false;
}

static int set_environment(struct job_draft *draft, const struct words *words)
{
    enum {
        OURS_MAX = 4
    };
    if (words->count > JOB_LIST_MAX - OURS_MAX) return refuse("at most 60 times -e", "");
    for (size_t i = 0; i < words->count; i++) {
        const char *equals = strchr(words->items[i], '=');
        if (equals == NULL || equals == words->items[i])
            return refuse("-e takes K=V, not", words->items[i]);
        if (is_ours(words->items[i]))
            return refuse("--sort, --partition and --hadoop-env set that variable; drop -e",
                          words->items[i]);
        if (strlen(words->items[i]) > 4096) return refuse("-e takes at most 4096 bytes", "");
        draft->environment[i].text = slice_string(words->items[i]);
    }
    draft->spec.environment = (struct list){draft->environment, (uint32_t)words->count};
    return EXIT_OK;
}

static int set_files(struct job_draft *draft, const struct words *words)
{
    if (words->count >= JOB_LIST_MAX) return refuse("at most 63 times -f", "");
    for (size_t i = 0; i < words->count; i++) {
        const char *path = words->items[i], *slash = strrchr(path, '/');
        struct msg_job_file *file = &draft->files[i];
        file->name = slice_string(slash == NULL ? path : slash + 1);
        if (file->name.count == 0 || file->name.count > 255)
            return refuse("-f takes a file, not", path);
        if (slice_equal(file->name, slice_string(RANGES_FILE)))
            return refuse("--partition range uses that name; call the file another:", path);
        if (access(path, R_OK) != 0) {
            notice_line("%s: %s", path, strerror(errno));
            return EXIT_USAGE;
        }
        file->is_executable = access(path, X_OK) == 0;
        for (size_t j = 0; j < i; j++)
            if (slice_equal(draft->files[j].name, file->name))
                return refuse("-f twice with the name", path);
    }
    draft->spec.files = (struct list){draft->files, (uint32_t)words->count};
    draft->own_files_count = words->count;
    return EXIT_OK;
}

static int set_terms(struct msg_job_terms *terms, const struct options *options)
{
    const char *speculate = options->speculate == NULL ? "auto" : options->speculate;
    uint64_t most = 0;
    *terms =
        (struct msg_job_terms){.verify = (uint8_t)options->verify, .cpus = (uint16_t)options->cpus};
    if (strcmp(speculate, "off") == 0) terms->speculate = UINT32_MAX;
    else if (strcmp(speculate, "auto") != 0) {
        if (!quantity_parse_count(speculate, 0, 1000000, &most))
            return refuse("--speculate takes auto, off or a number, not", speculate);
        terms->speculate = most == 0 ? UINT32_MAX : (uint32_t)most;
    }
    return EXIT_OK;
}

int job_draft_init(struct job_draft *draft, const struct options *options)
{
    size_t exits_count = 1;
    *draft = (struct job_draft){0}; /* ok_exits: 0 alone */
    keys_random(&draft->id, sizeof draft->id);
    struct msg_job_spec *spec = &draft->spec;
    int code = set_commands(draft, options);
    if (code == EXIT_OK) code = set_name(draft, options);
    if (code == EXIT_OK) code = set_environment(draft, &options->environment);
    if (code == EXIT_OK && options->is_hadoop_env) add_variable(draft, "MR_HADOOP_ENV=1");
    if (code == EXIT_OK) code = set_files(draft, &options->files);
    if (code == EXIT_OK) code = set_sort(draft, options);
    if (code == EXIT_OK) code = set_partition(draft, options);
    if (code != EXIT_OK) return code;
    if (options->ok_exits != NULL &&
        !job_parse_exits(options->ok_exits, draft->ok_exits, &exits_count))
        return refuse("--ok-exit takes exit codes as 0,1, not", options->ok_exits);
    spec->ok_exits = slice_of(draft->ok_exits, exits_count);
    if (options->output_name != NULL) {
        if (!job_is_dataset_name(options->output_name))
            return refuse("-O takes a name without '@', at most 255 bytes, not",
                          options->output_name);
        spec->output = slice_string(options->output_name); /* else the job's name */
    }
    spec->overwrite = options->is_overwrite;
    spec->retries = (uint8_t)(options->retries == 0 ? RETRIES : options->retries);
    spec->task_timeout_ms = options->task_timeout_ms;
    spec->replicas = (uint8_t)options->replicas;
    spec->memory_size = options->memory_size;
    spec->weight = options->weight;
    spec->submitted_wall_ms = clock_wall_ms();
    return set_terms(&draft->terms, options);
}

void job_draft_set_inputs(struct job_draft *draft, const struct dataset *dataset)
{
    draft->spec.manifest = dataset->manifest;
    draft->spec.maps = dataset->blocks_count;
    draft->spec.inputs_owned = dataset->is_owned;
    for (size_t i = 0; i < draft->own_files_count; i++) draft->files[i].block = dataset->files[i];
    if (!draft->chooses_reduces) return;
    uint64_t reduces = dataset->size / SORT_BYTES_A_REDUCE + 1;
    draft->spec.reduces = (uint32_t)(reduces < SORT_REDUCES_MAX ? reduces : SORT_REDUCES_MAX);
    if (draft->spec.reduces == 1 && draft->spec.partition == PARTITION_RANGE)
        draft->spec.partition = PARTITION_HASH; /* one range: no need to look for cuts */
}
