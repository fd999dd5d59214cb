/* Reading spec files (chain_file.h). libinih cuts lines into section, name and value; our reader
 * hands it line by line, so that every complaint has a line number. Two of its habits would change
 * commands without a word, and are refused instead: it cuts a line that is too long for its buffer
 * in two, and a ';' behind a blank begins a comment for it. */
#include "ctl/chain_file.h"

#include "ctl/notice.h"
#include "ctl/quantity.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct chain_file *file;
    FILE *stream;
    unsigned line;
    bool is_bad;               /* said; nothing more is looked at */
    struct chain_stage *stage; /* whose options come; NULL before any section */
    bool is_indented;          /* the line at hand */
    unsigned heading;          /* the last [section]'s line */
    bool is_heading_new;       /* and no option of it has come yet */
};

__attribute__((format(printf, 2, 3))) static int complain(struct reading *reading,
                                                          const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!reading->is_bad && reading->line > 0)
        notice_line("%s:%u: %s", reading->file->path, reading->line, text);
    else if (!reading->is_bad) notice_line("%s: %s", reading->file->path, text); /* no line of it */
    reading->is_bad = true;
    return 0;
}

/* ---- lines ---- */

/* libinih's reader: the next line; NULL at the end, or when it would be misread. */
static char *next_line(char *to, int size, void *context)
{
    struct reading *reading = context;
    if (reading->is_bad || fgets(to, size, reading->stream) == NULL) return NULL;
    reading->line++;
    size_t count = strlen(to);
    bool is_whole = count > 0 && to[count - 1] == '\n';
    const char *start = to + strspn(to, " \t");
    reading->is_indented = start > to;
    if (*start == '[' && reading->is_heading_new) {
        reading->line = reading->heading;
        complain(reading, "a section without options");
    } else if (*start == '[' && strchr(start, ']') == NULL) {
        complain(reading, "a section's name ends with a ']': [job], [stage NAME], [repeat NAME]");
    } else if (*start == '[') {
        reading->heading = reading->line;
        reading->is_heading_new = true;
    }
    if (!is_whole && !feof(reading->stream)) {
        complain(reading, "a line has at most %d bytes; go on in the next one, indented", size - 2);
    } else if (*start != ';' && *start != '#' && *start != '[') {
        for (const char *at = start; (at = strchr(at, ';')) != NULL; at++)
            if (at > to && (at[-1] == ' ' || at[-1] == '\t'))
                complain(reading, "a ';' behind a blank begins a comment: write 'a; b', and "
                                  "comments on lines of their own");
    }
    return reading->is_bad ? NULL : to;
}

/* ---- sections ---- */

static bool is_name(const char *text)
{
    size_t count = strlen(text);
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return count > 0 && good == count && count <= CHAIN_NAME_MAX;
}

static bool begin_stage(struct reading *reading, const char *name, bool is_repeat)
{
    struct chain_file *file = reading->file;
    name += strspn(name, " ");
    if (!is_name(name))
        return complain(reading,
                        "a stage's name has 1 to %d letters, digits, '-' and '_', not '%s'",
                        CHAIN_NAME_MAX, name);
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->stages[i].name, name) == 0)
            return complain(reading, "stage %s is there already (line %u)", name,
                            file->stages[i].line);
    if (file->count == CHAIN_STAGES_MAX)
        return complain(reading, "a chain has at most %d stages", CHAIN_STAGES_MAX);
    reading->stage = &file->stages[file->count++];
    snprintf(reading->stage->name, sizeof reading->stage->name, "%s", name);
    reading->stage->line = reading->heading;
    reading->stage->is_repeat = is_repeat;
    reading->stage->times = is_repeat ? 0 : 1;
    return true;
}

static bool begin_section(struct reading *reading, const char *section)
{
    unsigned line = reading->line;
    if (!reading->is_heading_new && reading->stage != NULL) return true;
    reading->is_heading_new = false;
    if (*section == '\0')
        return complain(reading,
                        "an option before any [section]: begin with [job] or [stage NAME]");
    reading->line = reading->heading;
    if (strncmp(section, "stage ", 6) == 0) begin_stage(reading, section + 6, false);
    else if (strncmp(section, "repeat ", 7) == 0) begin_stage(reading, section + 7, true);
    else if (strcmp(section, "job") == 0) reading->stage = &reading->file->defaults;
    else
        complain(reading, "[%s] is unknown: sections are [job], [stage NAME], [repeat NAME]",
                 section);
    reading->line = line;
    return !reading->is_bad;
}

/* ---- options ---- */

static void *grown(void *at, size_t count, size_t size)
{
    at = realloc(at, count * size);
    if (at == NULL) notice_no_memory();
    return at;
}

static void add_word(struct chain_stage *stage, char *word, unsigned line)
{
    stage->words = grown(stage->words, stage->words_count + 1, sizeof *stage->words);
    stage->lines = grown(stage->lines, stage->words_count + 1, sizeof *stage->lines);
    stage->words[stage->words_count] = word;
    stage->lines[stage->words_count++] = line;
}

static bool add_option(struct reading *reading, const char *name, const char *value)
{
    struct chain_stage *stage = reading->stage;
    char *dashed = NULL, *copy = strdup(value);
    if (stage->words_count + 2 > CHAIN_WORDS_MAX) {
        free(copy);
        return complain(reading, "a stage has at most %d options", CHAIN_WORDS_MAX / 2);
    }
    if (copy == NULL || asprintf(&dashed, "--%s", name) < 0) notice_no_memory();
    add_word(stage, dashed, reading->line);
    add_word(stage, copy, reading->line);
    return true;
}

/* An indented line: more of the last option's value. */
static bool go_on(struct reading *reading, const char *value)
{
    struct chain_stage *stage = reading->stage;
    char **last = stage->words_count == 0 ? NULL : &stage->words[stage->words_count - 1];
    char *longer = NULL;
    if (last == NULL || stage->lines[stage->words_count - 1] + 1 != reading->line)
        return complain(reading,
                        "an indented line goes on with the option above it: there is none");
    stage->lines[stage->words_count - 1] = reading->line;
    if (asprintf(&longer, "%s\n%s", *last, value) < 0) notice_no_memory();
    free(*last);
    *last = longer;
    return true;
}

static bool set_test(struct reading *reading, const char *value)
{
    struct chain_test *test = &reading->stage->test;
    static const struct {
        const char *text;
        char sign;
    } signs[] = {{"<=", 'l'}, {">=", 'g'}, {"!=", '!'}, {"<", '<'}, {">", '>'}, {"=", '='}};
    size_t at = strcspn(value, "<>=!"), i = 0;
    while (i < 6 && strncmp(value + at, signs[i].text, strlen(signs[i].text)) != 0) i++;
    const char *comma = memchr(value, ',', at);
    bool is_good = i < 6 && comma != NULL;
    if (is_good) {
        const char *number = value + at + strlen(signs[i].text);
        size_t name_size = at - (size_t)(comma + 1 - value);
        while (name_size > 0 && comma[name_size] == ' ') name_size--;
        number += strspn(number, " =");
        test->sign = signs[i].sign;
        is_good = comma > value && comma - value <= 128 && name_size > 0 && name_size <= 128 &&
                  quantity_parse_count(number, 0, UINT64_MAX / 2, &test->value);
        if (is_good) {
            snprintf(test->group, sizeof test->group, "%.*s", (int)(comma - value), value);
            snprintf(test->name, sizeof test->name, "%.*s", (int)name_size, comma + 1);
        }
    }
    reading->stage->has_test = is_good;
    if (is_good) return true;
    return complain(reading, "until is GROUP,NAME < NUMBER (or <= > >= = !=), not '%s'", value);
}

static bool set_times(struct reading *reading, const char *value)
{
    uint64_t times;
    if (!quantity_parse_count(value, 1, CHAIN_TIMES_MAX, &times))
        return complain(reading, "times is a number from 1 to %d, not '%s'", CHAIN_TIMES_MAX,
                        value);
    reading->stage->times = (uint32_t)times;
    return true;
}

static bool set_of_job(struct reading *reading, const char *name, const char *value)
{
    struct chain_file *file = reading->file;
    if (strcmp(name, "name") == 0 && !is_name(value))
        return complain(reading, "name has 1 to %d letters, digits, '-' and '_', not '%s'",
                        CHAIN_NAME_MAX, value);
    if (strcmp(name, "name") == 0) snprintf(file->name, sizeof file->name, "%s", value);
    else if (strcmp(name, "output") == 0) snprintf(file->output, sizeof file->output, "%s", value);
    else return add_option(reading, name, value);
    return true;
}

static int take(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    static const char *const of_no_stage[] = {"spec", "task", "output", "name"};
    if (reading->is_bad || !begin_section(reading, section)) return 0;
    struct chain_stage *stage = reading->stage;
    if (reading->is_indented) return go_on(reading, value);
    if (*value == '\0') return complain(reading, "%s has no value", name);
    bool is_default = stage == &reading->file->defaults;
    for (size_t i = 0; i < (is_default ? 2 : 4); i++)
        if (strcmp(name, of_no_stage[i]) == 0)
            return complain(reading, "%s does not belong here", name);
    if (is_default) return set_of_job(reading, name, value);
    if (stage->is_repeat && strcmp(name, "times") == 0) return set_times(reading, value);
    if (stage->is_repeat && strcmp(name, "until") == 0) return set_test(reading, value);
    return add_option(reading, name, value);
}

/* ---- the whole ---- */

static bool check(struct reading *reading)
{
    struct chain_file *file = reading->file;
    if (reading->is_heading_new) {
        reading->line = reading->heading;
        return complain(reading, "a section without options");
    }
    if (file->count == 0) return complain(reading, "there is no stage: add [stage NAME]");
    for (size_t i = 0; i < file->count; i++) {
        reading->line = file->stages[i].line;
        if (file->stages[i].times == 0)
            return complain(reading, "[repeat %s] needs times = N: how often at most",
                            file->stages[i].name);
    }
    return true;
}

bool chain_file_read(struct chain_file *file, const char *path)
{
    struct reading reading = {.file = file};
    *file = (struct chain_file){.path = path};
    reading.stream = fopen(path, "re");
    if (reading.stream == NULL) {
        notice_line("%s: %s", path, strerror(errno));
        return false;
    }
    int bad_line = ini_parse_stream(next_line, &reading, take, &reading);
    if (ferror(reading.stream)) complain(&reading, "%s", strerror(errno));
    if (bad_line != 0 && !reading.is_bad) {
        reading.line = (unsigned)bad_line;
        complain(&reading, "it is neither [section] nor NAME = VALUE");
    }
    fclose(reading.stream);
    return !reading.is_bad && check(&reading);
}

static void free_stage(struct chain_stage *stage)
{
    for (size_t i = 0; i < stage->words_count; i++) free(stage->words[i]);
    free(stage->words);
    free(stage->lines);
}

void chain_file_free(struct chain_file *file)
{
    free_stage(&file->defaults);
    for (size_t i = 0; i < file->count; i++) free_stage(&file->stages[i]);
    file->count = 0;
}

bool chain_test_holds(const struct chain_test *test, uint64_t value)
{
    switch (test->sign) {
    case '<': return value < test->value;
    case '>': return value > test->value;
    case 'l': return value <= test->value;
    case 'g': return value >= test->value;
    case '!': return value != test->value;
    default: return value == test->value;
    }
}
