/* Reading a bag's arguments (bag.h). A newline ends a command, for the list is lines; an argument
 * that holds one can only come from the command line, and is refused. */
#include "ctl/bag.h"

#include "ctl/exits.h"
#include "ctl/expand.h"
#include "ctl/joblog.h"
#include "ctl/notice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    COMMAND_MAX = 65536,  /* as line_begun */
    SHARES = 16,          /* blocks a slot: the last ones end within a sixteenth of the whole */
    BUNCH_MAX = 256,      /* commands a block: more would be done again after a death for nothing */
    OWN_SHARES = 4,       /* of @true and @echo: a few blocks a slot, */
    OWN_BUNCH_MAX = 4096, /* and some milliseconds each */
};

static int add(struct bag *bag, uint64_t sequence, char *command, const char *argument)
{
    if (strlen(command) > COMMAND_MAX || strchr(command, '\n') != NULL) {
        notice_line("command %llu is longer than 64 KiB or holds a newline",
                    (unsigned long long)sequence);
        free(command);
        return EXIT_USAGE;
    }
    if (bag->count == bag->capacity) {
        bag->capacity = bag->capacity == 0 ? 256 : 2 * bag->capacity;
        bag->lines = realloc(bag->lines, bag->capacity * sizeof *bag->lines);
        if (bag->lines == NULL) notice_no_memory();
    }
    struct bag_line *line = &bag->lines[bag->count++];
    *line = (struct bag_line){sequence, command, strdup(argument)};
    if (line->argument == NULL) notice_no_memory();
    return EXIT_OK;
}

/* ---- arguments ---- */

struct reading {
    struct bag *bag;
    const struct options *options;
    const struct joblog *joblog;
    uint64_t sequence;
};

static int take_argument(struct reading *reading, const char *argument)
{
    uint64_t sequence = ++reading->sequence;
    if (joblog_has(reading->joblog, sequence)) {
        reading->bag->finished++;
        return EXIT_OK;
    }
    char *command = expand_command(reading->options->task, argument, sequence);
    return add(reading->bag, sequence, command, argument);
}

static int take_file(struct reading *reading, FILE *file, const char *name)
{
    char *line = NULL;
    size_t capacity = 0;
    int code = EXIT_OK;
    uint64_t number = 0;
    for (ssize_t size; code == EXIT_OK && (size = getline(&line, &capacity, file)) >= 0;) {
        number++;
        if (size > 0 && line[size - 1] == '\n') line[--size] = '\0';
        if (strlen(line) == (size_t)size) {
            code = take_argument(reading, line);
            continue;
        }
        notice_line("%s: line %llu holds a NUL byte, which no command can be given", name,
                    (unsigned long long)number);
        code = EXIT_USAGE;
    }
    if (ferror(file)) {
        notice_line("%s: %s", name, strerror(errno));
        code = EXIT_USAGE;
    }
    free(line);
    return code;
}

static int take_lists(struct reading *reading)
{
    const struct words *inputs = &reading->options->inputs;
    if (inputs->count == 0) {
        if (reading->options->is_no_input) return EXIT_OK;
        if (isatty(STDIN_FILENO))
            notice_line("reading arguments from standard input, a line each (end with ^D)");
        return take_file(reading, stdin, "standard input");
    }
    int code = EXIT_OK;
    for (size_t i = 0; i < inputs->count && code == EXIT_OK; i++) {
        const char *name = inputs->items[i];
        FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
        if (file == NULL) {
            notice_line("%s: %s", name, strerror(errno));
            return EXIT_USAGE;
        }
        code = take_file(reading, file, name);
        if (file != stdin) fclose(file);
    }
    return code;
}

static int take_all(struct reading *reading)
{
    const struct options *options = reading->options;
    const struct words *words = &options->task_arguments;
    int code = EXIT_OK;
    if (!options->has_task_arguments) return take_lists(reading);
    for (size_t i = 0; i < words->count && code == EXIT_OK; i++)
        code = take_argument(reading, words->items[i]);
    return code;
}

static int take_failed(struct bag *bag, const struct joblog *joblog)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < joblog->count && code == EXIT_OK; i++) {
        const struct joblog_line *line = &joblog->lines[i];
        if (!line->is_last || (line->status == 0 && line->signal == 0)) continue;
        char *command = strdup(line->command);
        if (command == NULL) notice_no_memory();
        code = add(bag, line->sequence, command, line->command);
    }
    return code;
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t left = ((const struct bag_line *)a)->sequence;
    uint64_t right = ((const struct bag_line *)b)->sequence;
    return left < right ? -1 : left > right;
}

int bag_read(struct bag *bag, const struct options *options)
{
    struct joblog joblog = {0};
    *bag = (struct bag){0};
    bool wants_joblog = options->is_resume || options->is_retry_failed;
    if (wants_joblog && options->joblog == NULL) {
        notice_line("--resume and --retry-failed need --joblog FILE");
        return EXIT_USAGE;
    }
    if (options->arguments.count > 0) {
        notice_line("put ::: before the arguments: mrctl run -t 'CMD {}' ::: %s ...",
                    options->arguments.items[0]);
        return EXIT_USAGE;
    }
    int code = wants_joblog ? joblog_read(&joblog, options->joblog) : EXIT_OK;
    struct reading reading = {bag, options, &joblog, 0};
    if (code == EXIT_OK)
        code = options->is_retry_failed ? take_failed(bag, &joblog) : take_all(&reading);
    joblog_deinit(&joblog);
    if (bag->count > 0) qsort(bag->lines, bag->count, sizeof *bag->lines, by_sequence);
    return code;
}

void bag_deinit(struct bag *bag)
{
    for (size_t i = 0; i < bag->count; i++) {
        free(bag->lines[i].command);
        free(bag->lines[i].argument);
    }
    free(bag->lines);
    *bag = (struct bag){0};
}

const struct bag_line *bag_find(const struct bag *bag, uint64_t sequence)
{
    struct bag_line key = {.sequence = sequence};
    if (bag->count == 0) return NULL;
    return bsearch(&key, bag->lines, bag->count, sizeof *bag->lines, by_sequence);
}

/* ---- what is sent ---- */

int bag_write(const struct bag *bag, int *fd)
{
    *fd = memfd_create("mrctl-bag", MFD_CLOEXEC);
    int copy = *fd < 0 ? -1 : dup(*fd);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "w");
    bool is_good = file != NULL;
    for (size_t i = 0; i < bag->count && is_good; i++)
        is_good = fprintf(file, "%llu\t%s\n", (unsigned long long)bag->lines[i].sequence,
                          bag->lines[i].command) > 0;
    if (file != NULL && fclose(file) != 0) is_good = false;
    if (is_good) return EXIT_OK;
    notice_line("the list of commands can't be kept: %s", strerror(errno));
    return EXIT_JOB_FAILED;
}

/* Commands that mrtask does itself take microseconds: a batch is sized by time, not by number. */
static bool is_own(const struct bag *bag)
{
    return bag->count > 0 && bag->lines[0].command[0] == '@';
}

uint64_t bag_split_size(const struct bag *bag, uint64_t slots, uint32_t bunch)
{
    uint64_t size = 0, count = bag->count > 0 ? bag->count : 1;
    for (size_t i = 0; i < bag->count; i++) size += strlen(bag->lines[i].command) + 8;
    uint64_t wanted = bunch;
    if (wanted == 0) wanted = count / ((slots == 0 ? 1 : slots) * SHARES);
    uint64_t most = is_own(bag) ? OWN_BUNCH_MAX : BUNCH_MAX;
    if (is_own(bag)) wanted *= SHARES / OWN_SHARES;
    if (bunch == 0 && wanted > most) wanted = most;
    /* A block ends at the first newline from this size on: 1 is a line a block. */
    return wanted <= 1 ? 1 : size * wanted / count;
}
