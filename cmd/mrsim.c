/* mrsim: runs seeds and scenario files of the laboratory, and makes failing runs small. */
#include "mrsim_membership.h"
#include "mrsim_parse.h"
#include "mrsim_sums.h"
#include "sim/child.h"
#include "sim/plan.h"
#include "sim/scn.h"
#include "sim/shrink.h"
#include "wire/seal.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REPEAT_EVERY = 50, /* one seed in so many runs twice: its digests must agree */
    PARALLEL_MAX = 64,
    SHRINK_SECONDS = 300, /* without a person, while he fetches a coffee */
};

enum command {
    COMMAND_SEEDS,
    COMMAND_RUN,
    COMMAND_SHRINK,
    COMMAND_PRINT,
};

struct settings {
    enum command command;
    struct sim_options sim;
    struct plan plan; /* of the file */
    const char *file;
    const char *output; /* of shrink; NULL: stdout */
    bool has_seed;
    bool wants_marks, wants_heals, wants_speed;
    uint64_t seeds;
    unsigned parallel;
};

static const char help[] =
    "Runs a whole flock in virtual time from one seed, with faults, and checks the invariants.\n"
    "\n"
    "  mrsim --seed 42                     one run; prints its line, or what was violated\n"
    "  mrsim --seed 1 --seeds 1000         seeds 1 to 1000\n"
    "  mrsim --seed 42 --verbose           every trace line, with the virtual time\n"
    "  mrsim run FILE.scn --seed 7         a scenario file (docs/EXPERIMENTS.md)\n"
    "  mrsim shrink --seed 42 -o FILE.scn  the smallest scenario that fails as this seed does\n"
    "  mrsim print --seed 42               the seed's plan, as a scenario file\n"
    "  mrsim --canary reuse-sequence --seeds 20   with a planted bug: must be violated\n"
    "  mrsim membership --help             thousands of nodes, of their membership alone\n"
    "\n"
    "  --seed N            the (first) seed (1, or the file's)\n"
    "  --seeds COUNT       so many seeds; every 50th runs twice, and its digests must agree.\n"
    "                      shrink: takes the first of them that fails\n"
    "  --histories         of datasets instead of jobs: puts, removals, deaths, rot\n"
    "  --nodes N           nodes of the flock (5, or the file's); 5-9: the seed chooses\n"
    "  --only KIND,...     these faults and no others, in each run: partition,one-way\n"
    "  --jobs N            jobs (the seed chooses)\n"
    "  --duration DUR      how long faults go on: 90s, 2m (the seed chooses, 60 to 120 s)\n"
    "  --canary NAME       plant a bug; --list-canaries lists them\n"
    "  --digest-every DUR  print the run's digest so often: two runs part where these do\n"
    "  --marks             at the end: how often rare branches were reached, and which never\n"
    "  --heals             at the end: how long after partitions until all states were equal\n"
    "  --speed             at the end: seeds a minute, and node-hours a CPU-hour\n"
    "  --parallel N        runs at once (the processors)\n"
    "  --output FILE       where shrink writes (stdout); also -o\n"
    "  --verbose           trace lines; twice: debug lines, too\n"
    "\n"
    "Exit status: 0 all held (shrink: it is smaller), 1 an invariant was violated (shrink: none\n"
    "was), 2 usage.\n";

/* ---- options ---- */

static void list_canaries(void)
{
    for (int i = CANARY_NONE + 1; i < CANARY_COUNT; i++)
        printf("%-20s %s\n", canary_text((enum canary)i), canary_about((enum canary)i));
}

enum option_number {
    OPTION_SEED = 1000,
    OPTION_SEEDS,
    OPTION_NODES,
    OPTION_JOBS,
    OPTION_DURATION,
    OPTION_CANARY,
    OPTION_DIGEST_EVERY,
    OPTION_PARALLEL,
    OPTION_LIST_CANARIES,
    OPTION_HISTORIES,
    OPTION_MARKS,
    OPTION_HEALS,
    OPTION_SPEED,
    OPTION_ONLY,
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPTION_SEED},
    {"seeds", required_argument, NULL, OPTION_SEEDS},
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"canary", required_argument, NULL, OPTION_CANARY},
    {"digest-every", required_argument, NULL, OPTION_DIGEST_EVERY},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"output", required_argument, NULL, 'o'},
    {"histories", no_argument, NULL, OPTION_HISTORIES},
    {"marks", no_argument, NULL, OPTION_MARKS},
    {"heals", no_argument, NULL, OPTION_HEALS},
    {"speed", no_argument, NULL, OPTION_SPEED},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"list-canaries", no_argument, NULL, OPTION_LIST_CANARIES},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* N or N-M. */
static bool take_nodes(struct sim_options *sim, const char *value)
{
    char least[16] = "";
    uint64_t number = 0, most = 0;
    size_t size = strcspn(value, "-");
    if (size >= sizeof least) return false;
    memcpy(least, value, size);
    if (!parse_number(least, 1, NODES_MAX, &number)) return false;
    sim->nodes = (uint32_t)number;
    if (value[size] == '\0') return true;
    if (!parse_number(value + size + 1, number, NODES_MAX, &most)) return false;
    sim->nodes_most = (uint32_t)most;
    return true;
}

/* Names of faults with commas between them. */
static bool take_kinds(const char *value, uint64_t *kinds)
{
    for (*kinds = 0; *value != '\0'; value += *value == ',') {
        size_t size = strcspn(value, ",");
        int fault = 0;
        while (fault < FAULT_COUNT && (strlen(fault_kind((enum fault)fault)->text) != size ||
                                       memcmp(fault_kind((enum fault)fault)->text, value, size)))
            fault++;
        if (fault == FAULT_COUNT) return false;
        *kinds |= UINT64_C(1) << fault;
        value += size;
    }
    return *kinds != 0;
}

static bool take_option(struct settings *settings, int option, const char *value)
{
    struct sim_options *sim = &settings->sim;
    uint64_t number = 0;
    bool is_right = true;
    switch (option) {
    case OPTION_SEED:
        settings->has_seed = true;
        return parse_number(value, 0, UINT64_MAX, &sim->seed);
    case OPTION_SEEDS: return parse_number(value, 1, UINT32_MAX, &settings->seeds);
    case OPTION_NODES: return take_nodes(sim, value);
    case OPTION_ONLY: return take_kinds(value, &sim->only);
    case OPTION_JOBS:
        is_right = parse_number(value, 1, JOBS_MAX, &number);
        sim->jobs = (uint32_t)number;
        return is_right;
    case OPTION_PARALLEL:
        is_right = parse_number(value, 1, PARALLEL_MAX, &number);
        settings->parallel = (unsigned)number;
        return is_right;
    case OPTION_DURATION: return parse_duration(value, &sim->safety);
    case OPTION_DIGEST_EVERY: return parse_duration(value, &sim->digest_every);
    case OPTION_CANARY: return scn_canary(value, &sim->canary);
    case 'o': settings->output = value; return true;
    default: return false;
    }
}

/* Whole lists and help are done here. Returns -1 to go on, else the exit status. */
static int take_command(struct settings *settings, int option)
{
    switch (option) {
    case 'h': fputs(help, stdout); return EXIT_SUCCESS;
    case 'V': printf("mrsim %s\n", MR_VERSION); return EXIT_SUCCESS;
    case OPTION_LIST_CANARIES: list_canaries(); return EXIT_SUCCESS;
    case OPTION_HISTORIES: settings->sim.is_history = true; break;
    case OPTION_MARKS: settings->wants_marks = true; break;
    case OPTION_HEALS: settings->wants_heals = true; break;
    case OPTION_SPEED: settings->wants_speed = true; break;
    case 'v':
        settings->sim.trace_level = settings->sim.is_verbose ? TRACE_DEBUG : TRACE_INFO;
        settings->sim.is_verbose = true;
        break;
    default: break;
    }
    return -1;
}

/* The file of run, or of shrink. Returns -1 to go on. */
static int load(struct settings *settings, const char *path)
{
    char reason[SCN_REASON_SIZE];
    settings->file = path;
    if (!scn_load(&settings->plan, path, reason)) {
        fprintf(stderr, "mrsim: %s: %s\n", path, reason);
        return EXIT_USAGE;
    }
    settings->sim.plan = &settings->plan;
    if (!settings->has_seed && settings->plan.has_seed) settings->sim.seed = settings->plan.seed;
    return -1;
}

static int parse(int count, char **arguments, struct settings *settings)
{
    static const char *const commands[] = {"", "run", "shrink", "print"};
    int option;
    while ((option = getopt_long(count, arguments, "vho:", options, NULL)) != -1) {
        if (option == '?')
            return usage("unknown option, or its value is missing", arguments[optind - 1]);
        int status = take_command(settings, option);
        if (status >= 0) return status;
        if (optarg != NULL && !take_option(settings, option, optarg))
            return usage("not a value that this option takes", optarg);
    }
    for (int i = COMMAND_RUN; optind < count && i <= COMMAND_PRINT; i++)
        if (strcmp(arguments[optind], commands[i]) == 0) settings->command = (enum command)i;
    if (settings->command != COMMAND_SEEDS) optind++;
    if (settings->command == COMMAND_RUN && optind == count) return usage("takes a file", "run");
    int status = -1;
    if (settings->command != COMMAND_SEEDS && optind < count)
        status = load(settings, arguments[optind++]);
    if (status < 0 && optind < count) return usage("takes no such argument", arguments[optind]);
    return status;
}

/* ---- runs ---- */

static void print_options(const struct settings *settings)
{
    const struct sim_options *sim = &settings->sim;
    if (sim->nodes > 0) printf(" --nodes %u", sim->nodes);
    if (sim->nodes_most > 0) printf("-%u", sim->nodes_most);
    char sign = ' ';
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        if ((sim->only >> fault & 1) == 0) continue;
        printf("%s%c%s", sign == ' ' ? " --only" : "", sign, fault_kind((enum fault)fault)->text);
        sign = ',';
    }
    if (sim->jobs > 0) printf(" --jobs %u", sim->jobs);
    if (sim->safety > 0) printf(" --duration %lldms", (long long)(sim->safety / MILLISECOND));
    if (sim->is_history) printf(" --histories");
    if (sim->canary != CANARY_NONE) printf(" --canary %s", canary_text(sim->canary));
}

static void print_violation(const struct settings *settings, uint64_t seed, const char *text)
{
    const char *file = settings->file;
    printf("%s\n  again: mrsim %s%s%s--seed %llu", text, file == NULL ? "" : "run ",
           file == NULL ? "" : file, file == NULL ? "" : " ", (unsigned long long)seed);
    print_options(settings);
    printf("\n");
}

static void print_history(uint64_t seed, const struct sim_result *result)
{
    printf("seed=%llu nodes=%u steps=%llu virtual=%llds puts=%llu removals=%llu deaths=%llu "
           "disks_lost=%llu rotten=%llu departures=%llu digest=%016llx ok\n",
           (unsigned long long)seed, result->nodes, (unsigned long long)result->steps,
           (long long)(result->end / SECOND), (unsigned long long)result->puts,
           (unsigned long long)result->removals,
           (unsigned long long)(result->faults - result->rotten),
           (unsigned long long)result->disks_lost, (unsigned long long)result->rotten,
           (unsigned long long)result->departures, (unsigned long long)result->digest);
}

static void print_result(uint64_t seed, const struct sim_result *result)
{
    printf("seed=%llu nodes=%u steps=%llu virtual=%llds jobs=%u done=%u failed=%u killed=%u "
           "faults=%llu lost=%llu/%llu programs=%llu vain=%llu digest=%016llx ok\n",
           (unsigned long long)seed, result->nodes, (unsigned long long)result->steps,
           (long long)(result->end / SECOND), result->jobs, result->jobs_done, result->jobs_failed,
           result->jobs_killed, (unsigned long long)result->faults,
           (unsigned long long)result->datagrams_lost, (unsigned long long)result->datagrams,
           (unsigned long long)result->executions, (unsigned long long)result->vain,
           (unsigned long long)result->digest);
}

/* Prints what came of it; true when it is what was expected. */
static bool judge(const struct settings *settings, uint64_t seed, const struct sim_result *result)
{
    const struct expectation *expects = &settings->plan.expects;
    char name[INVARIANT_SIZE];
    child_invariant(result, name);
    if (!result->is_ok && strcmp(name, expects->violates) == 0) {
        printf("seed=%llu violates %s, as expected ok\n", (unsigned long long)seed, name);
        return true;
    }
    if (!result->is_ok) {
        print_violation(settings, seed, result->violation);
        return false;
    }
    char text[128] = "";
    if (expects->violates[0] != '\0')
        snprintf(text, sizeof text, "violated expectation: %s is not violated", expects->violates);
    else if (result->jobs_done < expects->done_min)
        snprintf(text, sizeof text, "violated expectation: %u jobs done, %llu expected",
                 result->jobs_done, (unsigned long long)expects->done_min);
    else if (result->evictions < expects->evictions_min || result->returns < expects->returns_min)
        snprintf(text, sizeof text, "violated expectation: %u evictions and %u returns",
                 result->evictions, result->returns);
    else if (result->vain > expects->vain_max)
        snprintf(text, sizeof text, "violated expectation: %llu programs in vain, at most %llu",
                 (unsigned long long)result->vain, (unsigned long long)expects->vain_max);
    if (*text == '\0' && settings->sim.is_history) print_history(seed, result);
    else if (*text == '\0') print_result(seed, result);
    else print_violation(settings, seed, text);
    return *text == '\0';
}

static bool is_twice(const struct settings *settings, uint64_t seed)
{
    return settings->seeds > 1 && (seed - settings->sim.seed) % REPEAT_EVERY == 0;
}

/* Seeds in order of their start; a slow one holds up at most `parallel` others. */
static uint64_t run_all(const struct settings *settings)
{
    struct child children[PARALLEL_MAX] = {{0}};
    struct sums sums;
    uint64_t failed = 0;
    sums_init(&sums);
    for (uint64_t i = 0; i < settings->seeds + settings->parallel; i++) {
        struct child *child = &children[i % settings->parallel];
        if (child->is_busy) {
            struct sim_result result;
            child_end(child, &result);
            uint64_t seed = child->order.options.seed;
            failed += !judge(settings, seed, &result);
            sums_add(&sums, seed, &result, is_twice(settings, seed) ? 2 : 1);
        }
        if (i >= settings->seeds) continue;
        struct sim_options sim = settings->sim;
        sim.seed += i;
        if (!child_start(child, &sim, is_twice(settings, sim.seed))) {
            perror("mrsim: cannot start a run");
            exit(EXIT_VIOLATED);
        }
    }
    for (unsigned i = 0; i < settings->parallel; i++) child_stop(&children[i]);
    if (settings->wants_marks) sums_print_marks(&sums);
    if (settings->wants_heals) sums_print_heals(&sums);
    if (settings->wants_speed) sums_print_speed(&sums);
    sums_deinit(&sums);
    return failed;
}

/* ---- plans ---- */

static int write_plan(const struct settings *settings, const struct plan *plan, const char *comment)
{
    FILE *file = settings->output == NULL ? stdout : fopen(settings->output, "w");
    if (file == NULL) {
        perror(settings->output);
        return EXIT_USAGE;
    }
    scn_write(plan, comment, file);
    if (file != stdout) fclose(file);
    return EXIT_SUCCESS;
}

static int print_plan(const struct settings *settings)
{
    struct plan plan;
    plan_make(&plan, &settings->sim);
    int status = write_plan(settings, &plan, NULL);
    plan_deinit(&plan);
    return status;
}

static int shrink(const struct settings *settings)
{
    for (uint64_t i = 0; i < settings->seeds; i++) {
        struct sim_options sim = settings->sim;
        struct plan plan;
        struct shrunk shrunk;
        sim.seed += i;
        plan_make(&plan, &sim);
        if (!shrink_plan(&plan, SHRINK_SECONDS, &shrunk)) {
            plan_deinit(&plan);
            continue;
        }
        fprintf(stderr,
                "seed=%llu %s\n%llu runs: faults %llu -> %zu, jobs %llu -> %zu, "
                "nodes %u -> %u\n",
                (unsigned long long)sim.seed, shrunk.violation, (unsigned long long)shrunk.runs,
                (unsigned long long)shrunk.strikes_before, plan.strikes_count,
                (unsigned long long)shrunk.jobs_before, plan.jobs_count, shrunk.nodes_before,
                plan.nodes);
        int status = write_plan(settings, &plan, shrunk.violation);
        plan_deinit(&plan);
        return status;
    }
    fprintf(stderr, "mrsim: all held: there is nothing to shrink\n");
    return EXIT_VIOLATED;
}

static int run(const struct settings *settings)
{
    if (settings->command == COMMAND_PRINT) return print_plan(settings);
    if (settings->command == COMMAND_SHRINK) return shrink(settings);
    uint64_t failed = run_all(settings);
    if (settings->seeds > 1)
        printf("%llu seeds, %llu failed\n", (unsigned long long)settings->seeds,
               (unsigned long long)failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_VIOLATED;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "membership") == 0)
        return membership_main(count - 1, arguments + 1);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct settings settings = {.sim = {.seed = 1}, .seeds = 1};
    plan_init(&settings.plan);
    settings.parallel = processors < 1              ? 1
                        : processors > PARALLEL_MAX ? PARALLEL_MAX
                                                    : (unsigned)processors;
    int status = parse(count, arguments, &settings);
    if (status < 0 && !seal_init()) {
        fprintf(stderr, "mrsim: libsodium cannot start: this system gives no random bytes\n");
        status = EXIT_VIOLATED;
    }
    if (status < 0) status = run(&settings);
    plan_deinit(&settings.plan);
    return status;
}
