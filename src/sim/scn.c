/* A line at a time, a function a section:
 *
 *   # words for people
 *   [flock]              nodes, seed, heal, evict, profile, crypto, canary
 *   [jobs]               TIME [node=N] [draw=N] [maps=N] [reduces=N] [command=NAME]
 *   [faults]             TIME KIND [host=N] [for=DUR] [VALUE=N] [group=N+N] [chance=N]
 *   [expect]             violates, done, evictions, returns, vain
 */
#include "sim/scn.h"

#include "sim/network.h"
#include "store/storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_SIZE_MAX = 4 << 20,
    MAPS_MOST = 1000,
    REDUCES_MOST = 64,
    GROUP_NODES = 64,
};

enum section {
    SECTION_NONE,
    SECTION_FLOCK,
    SECTION_JOBS,
    SECTION_FAULTS,
    SECTION_EXPECT,
    SECTION_COUNT
};

static const char *const sections[SECTION_COUNT] = {"", "[flock]", "[jobs]", "[faults]",
                                                    "[expect]"};

/* ---- values ---- */

bool scn_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number >= least && *number <= most;
}

bool scn_duration(const char *text, duration *result)
{
    static const struct {
        const char *unit;
        duration size;
    } units[] = {{"", SECOND},  {"us", 1},          {"ms", MILLISECOND},
                 {"s", SECOND}, {"m", 60 * SECOND}, {"h", 3600 * (duration)SECOND}};
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0 && number <= 100000000000ull) {
            *result = (duration)number * units[i].size;
            return true;
        }
    return false;
}

static void print_duration(FILE *file, duration time)
{
    if (time % SECOND == 0) fprintf(file, "%llds", (long long)(time / SECOND));
    else if (time % MILLISECOND == 0) fprintf(file, "%lldms", (long long)(time / MILLISECOND));
    else fprintf(file, "%lldus", (long long)time);
}

bool scn_canary(const char *text, enum canary *canary)
{
    for (int i = CANARY_NONE; i < CANARY_COUNT; i++)
        if (strcmp(text, canary_text((enum canary)i)) == 0) {
            *canary = (enum canary)i;
            return true;
        }
    return false;
}

static bool read_choice(const char *text, const char *first, const char *second,
                        enum choice *choice)
{
    if (strcmp(text, first) == 0) *choice = CHOICE_FIRST;
    else if (strcmp(text, second) == 0) *choice = CHOICE_SECOND;
    else return false;
    return true;
}

static bool read_count(const char *text, uint64_t least, uint64_t most, uint32_t *count)
{
    uint64_t number;
    if (!scn_number(text, least, most, &number)) return false;
    *count = (uint32_t)number;
    return true;
}

/* "0+3+4": nodes. */
static bool read_group(const char *text, uint64_t *group)
{
    for (;;) {
        char *end;
        if (*text < '0' || *text > '9') return false;
        unsigned long long node = strtoull(text, &end, 10);
        if (node >= GROUP_NODES) return false;
        *group |= UINT64_C(1) << node;
        if (*end == '\0') return true;
        if (*end != '+') return false;
        text = end + 1;
    }
}

static const char *const cuts[STORAGE_CUTS] = {"lost", "torn", "reordered"};

static bool read_cut(const char *text, uint64_t *value)
{
    for (*value = 0; *value < STORAGE_CUTS; (*value)++)
        if (strcmp(text, cuts[*value]) == 0) return true;
    return false;
}

static bool read_layout(const char *text, uint64_t *value)
{
    for (int layout = 0; layout < LAYOUT_COUNT; layout++)
        if (strcmp(text, layout_text((enum layout)layout)) == 0) {
            *value = (uint64_t)layout;
            return true;
        }
    return false;
}

/* The next word of a line, cut out of it; NULL behind the last. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    if (*word == '\0') return NULL;
    char *end = word + strcspn(word, " \t");
    *line = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* Cuts "key=value" in two; NULL when there is no '='. Blanks around it are dropped. */
static char *split(char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL) return NULL;
    char *value = equals + 1 + strspn(equals + 1, " \t");
    while (equals > text && (equals[-1] == ' ' || equals[-1] == '\t')) equals--;
    *equals = '\0';
    return value;
}

/* ---- sections: NULL, or what is wrong ---- */

static const char *read_flock(struct plan *plan, char *line)
{
    char *value = split(line);
    bool is_right = false;
    if (value == NULL) return "not key = value";
    if (strcmp(line, "nodes") == 0) is_right = read_count(value, 1, NODES_MAX, &plan->nodes);
    else if (strcmp(line, "heal") == 0) is_right = scn_duration(value, &plan->heal);
    else if (strcmp(line, "evict") == 0)
        is_right = strcmp(value, "never") == 0 ? (plan->evict = INSTANT_NEVER, true)
                                               : scn_duration(value, &plan->evict);
    else if (strcmp(line, "canary") == 0) is_right = scn_canary(value, &plan->canary);
    else if (strcmp(line, "seed") == 0)
        is_right = plan->has_seed = scn_number(value, 0, UINT64_MAX, &plan->seed);
    else if (strcmp(line, "profile") == 0)
        is_right = read_choice(value, "local", "lan", &plan->profile);
    else if (strcmp(line, "crypto") == 0)
        is_right = read_choice(value, "plain", "sodium", &plan->crypto);
    else return "no key of [flock]";
    return is_right ? NULL : "not a value of this key";
}

static bool read_job_word(struct job_plan *job, const char *key, const char *value)
{
    if (strcmp(key, "node") == 0) return read_count(value, 0, NODES_MAX - 1, &job->node);
    if (strcmp(key, "draw") == 0) return read_count(value, 0, UINT32_MAX, &job->draw);
    if (strcmp(key, "maps") == 0) return read_count(value, 1, MAPS_MOST, &job->maps);
    if (strcmp(key, "reduces") == 0) return read_count(value, 0, REDUCES_MOST, &job->reduces);
    if (strcmp(key, "command") != 0 || strlen(value) >= sizeof job->command) return false;
    memcpy(job->command, value, strlen(value) + 1);
    return true;
}

static const char *read_job(struct plan *plan, char *line)
{
    struct job_plan job = {.node = NODE_ANY,
                           .draw = (uint32_t)plan->jobs_count,
                           .maps = COUNT_DRAWN,
                           .reduces = COUNT_DRAWN};
    char *word = next_word(&line);
    if (word == NULL || !scn_duration(word, &job.at)) return "a job begins with a time";
    while ((word = next_word(&line)) != NULL) {
        char *value = split(word);
        if (value == NULL || !read_job_word(&job, word, value)) return "not a word of a job";
    }
    if (plan->jobs_count == JOBS_MAX) return "too many jobs";
    plan_add_job(plan, &job);
    return NULL;
}

static bool read_fault_word(struct strike *strike, const char *key, const char *value)
{
    const struct fault_kind *kind = fault_kind(strike->fault);
    if (strcmp(key, "host") == 0) return read_count(value, 0, NODES_MAX - 1, &strike->host);
    if (strcmp(key, "for") == 0) return scn_duration(value, &strike->lasts);
    if (strcmp(key, "group") == 0) return read_group(value, &strike->group);
    if (strcmp(key, "chance") == 0) return scn_number(value, 0, UINT64_MAX, &strike->chance);
    if (strcmp(key, kind->value) != 0) return false;
    if (strcmp(key, "layout") == 0) return read_layout(value, &strike->value);
    if (strcmp(key, "cut") == 0) return read_cut(value, &strike->value);
    if (strcmp(key, "most") != 0) return scn_number(value, 1, 1000000000, &strike->value);
    duration most;
    if (!scn_duration(value, &most) || most == 0) return false;
    strike->value = (uint64_t)most;
    return true;
}

static const char *read_fault(struct plan *plan, char *line)
{
    struct strike strike = {.lasts = INSTANT_NEVER};
    char *word = next_word(&line);
    if (word == NULL || !scn_duration(word, &strike.at)) return "a fault begins with a time";
    word = next_word(&line);
    int fault = 0;
    while (word != NULL && fault < FAULT_COUNT &&
           strcmp(word, fault_kind((enum fault)fault)->text) != 0)
        fault++;
    if (word == NULL || fault == FAULT_COUNT) return "no such fault";
    strike.fault = (enum fault)fault;
    const struct fault_kind *kind = fault_kind(strike.fault);
    strike.value = kind->value_min;
    while ((word = next_word(&line)) != NULL) {
        char *value = split(word);
        if (value == NULL || !read_fault_word(&strike, word, value))
            return "not a word of this fault";
    }
    plan_add_strike(plan, &strike);
    return NULL;
}

static const char *read_expectation(struct plan *plan, char *line)
{
    struct expectation *expects = &plan->expects;
    char *value = split(line);
    bool is_right = false;
    if (value == NULL) return "not key = value";
    if (strcmp(line, "done") == 0) is_right = scn_number(value, 0, JOBS_MAX, &expects->done_min);
    else if (strcmp(line, "evictions") == 0)
        is_right = scn_number(value, 0, UINT32_MAX, &expects->evictions_min);
    else if (strcmp(line, "returns") == 0)
        is_right = scn_number(value, 0, UINT32_MAX, &expects->returns_min);
    else if (strcmp(line, "vain") == 0)
        is_right = scn_number(value, 0, UINT64_MAX, &expects->vain_max);
    else if (strcmp(line, "violates") == 0) {
        is_right = strlen(value) < sizeof expects->violates;
        if (is_right) memcpy(expects->violates, value, strlen(value) + 1);
    } else return "no key of [expect]";
    return is_right ? NULL : "not a value of this key";
}

/* ---- files ---- */

static const char *read_line(struct plan *plan, enum section *section, char *line)
{
    line[strcspn(line, "#;\r")] = '\0';
    for (size_t end = strlen(line); end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t');)
        line[--end] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0') return NULL;
    if (*line == '[') {
        *section = SECTION_NONE;
        for (int i = 1; i < SECTION_COUNT; i++)
            if (strcmp(line, sections[i]) == 0) *section = (enum section)i;
        if (*section == SECTION_JOBS) plan->has_jobs = true;
        if (*section == SECTION_FAULTS) plan->has_strikes = true;
        return *section == SECTION_NONE ? "no such section" : NULL;
    }
    switch (*section) {
    case SECTION_FLOCK: return read_flock(plan, line);
    case SECTION_JOBS: return read_job(plan, line);
    case SECTION_FAULTS: return read_fault(plan, line);
    case SECTION_EXPECT: return read_expectation(plan, line);
    case SECTION_NONE:
    case SECTION_COUNT: break;
    }
    return "stands before the first section";
}

bool scn_read(struct plan *plan, char *text, char reason[SCN_REASON_SIZE])
{
    enum section section = SECTION_NONE;
    unsigned number = 0;
    while (text != NULL) {
        char *line = text;
        text = strchr(text, '\n');
        if (text != NULL) *text++ = '\0';
        const char *wrong = read_line(plan, &section, line);
        number++;
        if (wrong == NULL) continue;
        snprintf(reason, SCN_REASON_SIZE, "line %u: %s: '%.60s'", number, wrong, line);
        return false;
    }
    return true;
}

bool scn_load(struct plan *plan, const char *path, char reason[SCN_REASON_SIZE])
{
    FILE *file = fopen(path, "r");
    char *text = malloc(FILE_SIZE_MAX);
    assert(text != NULL);
    size_t size = file == NULL ? 0 : fread(text, 1, FILE_SIZE_MAX - 1, file);
    text[size] = '\0';
    bool is_read = file != NULL && ferror(file) == 0;
    if (file != NULL) fclose(file);
    if (!is_read) snprintf(reason, SCN_REASON_SIZE, "it can't be read");
    is_read = is_read && scn_read(plan, text, reason);
    free(text);
    return is_read;
}

/* ---- writing ---- */

static void write_jobs(const struct plan *plan, FILE *file)
{
    fprintf(file, "\n[jobs]\n");
    for (size_t i = 0; i < plan->jobs_count; i++) {
        const struct job_plan *job = &plan->jobs[i];
        print_duration(file, job->at);
        if (job->node != NODE_ANY) fprintf(file, " node=%u", job->node);
        fprintf(file, " draw=%u", job->draw);
        if (job->maps != COUNT_DRAWN) fprintf(file, " maps=%u", job->maps);
        if (job->reduces != COUNT_DRAWN) fprintf(file, " reduces=%u", job->reduces);
        if (job->command[0] != '\0') fprintf(file, " command=%s", job->command);
        fprintf(file, "\n");
    }
}

static void write_value(const struct strike *strike, FILE *file)
{
    const char *key = fault_kind(strike->fault)->value;
    if (*key == '\0') return;
    fprintf(file, " %s=", key);
    if (strcmp(key, "layout") == 0) fputs(layout_text((enum layout)strike->value), file);
    else if (strcmp(key, "cut") == 0) fputs(cuts[strike->value], file);
    else if (strcmp(key, "most") == 0) print_duration(file, (duration)strike->value);
    else fprintf(file, "%llu", (unsigned long long)strike->value);
}

static void write_faults(const struct plan *plan, FILE *file)
{
    fprintf(file, "\n[faults]\n");
    for (size_t i = 0; i < plan->strikes_count; i++) {
        const struct strike *strike = &plan->strikes[i];
        const struct fault_kind *kind = fault_kind(strike->fault);
        print_duration(file, strike->at);
        fprintf(file, " %s", kind->text);
        if (kind->whom == WHOM_HOST) fprintf(file, " host=%u", strike->host);
        if (strike->lasts != INSTANT_NEVER) fprintf(file, " for=");
        if (strike->lasts != INSTANT_NEVER) print_duration(file, strike->lasts);
        write_value(strike, file);
        char sign = '=';
        for (unsigned node = 0; node < GROUP_NODES; node++) {
            if ((strike->group >> node & 1) == 0) continue;
            fprintf(file, "%s%c%u", sign == '=' ? " group" : "", sign, node);
            sign = '+';
        }
        if (strike->chance != 0) fprintf(file, " chance=%llu", (unsigned long long)strike->chance);
        fprintf(file, "\n");
    }
}

void scn_write(const struct plan *plan, const char *comment, FILE *file)
{
    const struct expectation *expects = &plan->expects;
    if (comment != NULL) fprintf(file, "# ");
    for (; comment != NULL && *comment != '\0'; comment++)
        fputc(*comment == '\n' ? ' ' : *comment, file);
    if (comment != NULL) fprintf(file, "\n");
    fprintf(file, "[flock]\nseed = %llu\nnodes = %u\nheal = ", (unsigned long long)plan->seed,
            plan->nodes);
    print_duration(file, plan->heal);
    if (plan->evict == INSTANT_NEVER) fprintf(file, "\nevict = never");
    else if (plan->evict != 0) fprintf(file, "\nevict = ");
    if (plan->evict != INSTANT_NEVER && plan->evict != 0) print_duration(file, plan->evict);
    fprintf(file, "\nprofile = %s\n", plan->profile == CHOICE_SECOND ? "lan" : "local");
    fprintf(file, "crypto = %s\n", plan->crypto == CHOICE_SECOND ? "sodium" : "plain");
    if (plan->canary != CANARY_NONE) fprintf(file, "canary = %s\n", canary_text(plan->canary));
    write_jobs(plan, file);
    write_faults(plan, file);
    fprintf(file, "\n[expect]\n");
    if (expects->violates[0] != '\0') fprintf(file, "violates = %s\n", expects->violates);
    if (expects->done_min > 0)
        fprintf(file, "done = %llu\n", (unsigned long long)expects->done_min);
    if (expects->evictions_min > 0)
        fprintf(file, "evictions = %llu\n", (unsigned long long)expects->evictions_min);
    if (expects->returns_min > 0)
        fprintf(file, "returns = %llu\n", (unsigned long long)expects->returns_min);
    if (expects->vain_max != UINT64_MAX)
        fprintf(file, "vain = %llu\n", (unsigned long long)expects->vain_max);
}
