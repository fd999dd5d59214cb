/* mrsim: runs seeds of the laboratory. Each run is a child process of its own, so that an assertion
 * that fails in the core, or a run that never ends, is a result with a seed like any other
 * violation, and several run at once. */
#include "mrsim_membership.h"
#include "mrsim_parse.h"
#include "sim/scenarios.h"
#include "sim/sim.h"
#include "wire/seal.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NODES_DEFAULT = 5,
    REPEAT_EVERY = 50, /* one seed in so many runs twice: its digests must agree */
    PARALLEL_MAX = 64,
    HANG_AFTER_S = 300, /* of real time: far above what any run takes */
};

struct settings {
    struct sim_options sim;
    uint64_t seeds;
    unsigned parallel;
};

/* One seed in flight. */
struct child {
    pid_t pid; /* 0: this place is free */
    int pipe;
    uint64_t seed;
};

static const char help[] =
    "Runs a whole flock in virtual time from one seed, with faults, and checks the invariants.\n"
    "\n"
    "  mrsim --seed 42                     one run; prints its line, or what was violated\n"
    "  mrsim --seed 1 --seeds 1000         seeds 1 to 1000\n"
    "  mrsim --seed 42 --verbose           every trace line, with the virtual time\n"
    "  mrsim --scenario kill-two --seed 7  a fixed story\n"
    "  mrsim --canary reuse-sequence --seeds 20   with a planted bug: must be violated\n"
    "  mrsim membership --help             thousands of nodes, of their membership alone\n"
    "\n"
    "  --seed N            the (first) seed (1)\n"
    "  --seeds COUNT       so many seeds; every 50th runs twice, and its digests must agree\n"
    "  --nodes N           nodes of the flock (5)\n"
    "  --jobs N            jobs (the seed chooses)\n"
    "  --duration DUR      how long faults go on: 90s, 2m (the seed chooses, 60 to 120 s)\n"
    "  --scenario NAME     a fixed story instead of random faults; --list-scenarios lists them\n"
    "  --canary NAME       plant a bug; --list-canaries lists them\n"
    "  --digest-every DUR  print the run's digest so often: two runs part where these do\n"
    "  --parallel N        runs at once (the processors)\n"
    "  --verbose           trace lines; twice: debug lines, too\n"
    "\n"
    "Exit status: 0 all held, 1 an invariant was violated, 2 usage.\n";

/* ---- options ---- */

static bool parse_canary(const char *text, enum canary *canary)
{
    for (int i = CANARY_NONE + 1; i < CANARY_COUNT; i++)
        if (strcmp(text, canary_text((enum canary)i)) == 0) {
            *canary = (enum canary)i;
            return true;
        }
    return false;
}

static void list_scenarios(void)
{
    const struct scenario *scenario;
    for (unsigned i = 0; (scenario = scenario_each(i)) != NULL; i++)
        printf("%-20s %s\n", scenario->name, scenario->about);
}

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
    OPTION_SCENARIO,
    OPTION_CANARY,
    OPTION_DIGEST_EVERY,
    OPTION_PARALLEL,
    OPTION_LIST_SCENARIOS,
    OPTION_LIST_CANARIES,
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPTION_SEED},
    {"seeds", required_argument, NULL, OPTION_SEEDS},
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"jobs", required_argument, NULL, OPTION_JOBS},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"scenario", required_argument, NULL, OPTION_SCENARIO},
    {"canary", required_argument, NULL, OPTION_CANARY},
    {"digest-every", required_argument, NULL, OPTION_DIGEST_EVERY},
    {"parallel", required_argument, NULL, OPTION_PARALLEL},
    {"list-scenarios", no_argument, NULL, OPTION_LIST_SCENARIOS},
    {"list-canaries", no_argument, NULL, OPTION_LIST_CANARIES},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static bool take_option(struct settings *settings, int option, const char *value)
{
    struct sim_options *sim = &settings->sim;
    uint64_t number = 0;
    bool is_right = true;
    switch (option) {
    case OPTION_SEED: return parse_number(value, 0, UINT64_MAX, &sim->seed);
    case OPTION_SEEDS: return parse_number(value, 1, UINT32_MAX, &settings->seeds);
    case OPTION_NODES:
        is_right = parse_number(value, 1, NODES_MAX, &number);
        sim->nodes = (uint32_t)number;
        return is_right;
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
    case OPTION_CANARY: return parse_canary(value, &sim->canary);
    case OPTION_SCENARIO: sim->scenario = scenario_find(value); return sim->scenario != NULL;
    default: return false;
    }
}

/* Whole lists and help are done here. Returns -1 to go on, else the exit status. */
static int take_command(struct settings *settings, int option)
{
    switch (option) {
    case 'h': fputs(help, stdout); return EXIT_SUCCESS;
    case 'V': printf("mrsim %s\n", MR_VERSION); return EXIT_SUCCESS;
    case OPTION_LIST_SCENARIOS: list_scenarios(); return EXIT_SUCCESS;
    case OPTION_LIST_CANARIES: list_canaries(); return EXIT_SUCCESS;
    case 'v':
        settings->sim.trace_level = settings->sim.is_verbose ? TRACE_DEBUG : TRACE_INFO;
        settings->sim.is_verbose = true;
        break;
    default: break;
    }
    return -1;
}

static int parse(int count, char **arguments, struct settings *settings)
{
    int option;
    while ((option = getopt_long(count, arguments, "vh", options, NULL)) != -1) {
        if (option == '?')
            return usage("unknown option, or its value is missing", arguments[optind - 1]);
        int status = take_command(settings, option);
        if (status >= 0) return status;
        if (optarg != NULL && !take_option(settings, option, optarg))
            return usage("not a value that this option takes", optarg);
    }
    if (optind < count) return usage("takes no such argument", arguments[optind]);
    struct sim_options *sim = &settings->sim;
    const struct scenario *scenario = sim->scenario;
    if (sim->nodes == 0) sim->nodes = scenario != NULL ? scenario->nodes : NODES_DEFAULT;
    if (sim->jobs == 0 && scenario != NULL) sim->jobs = scenario->jobs;
    return -1;
}

/* ---- runs ---- */

static void print_options(const struct settings *settings)
{
    const struct sim_options *sim = &settings->sim;
    printf(" --nodes %u", sim->nodes);
    if (sim->jobs > 0) printf(" --jobs %u", sim->jobs);
    if (sim->safety > 0) printf(" --duration %lldms", (long long)(sim->safety / MILLISECOND));
    if (sim->scenario != NULL) printf(" --scenario %s", sim->scenario->name);
    if (sim->canary != CANARY_NONE) printf(" --canary %s", canary_text(sim->canary));
}

static void print_violation(const struct settings *settings, uint64_t seed, const char *text)
{
    printf("%s\n  again: mrsim --seed %llu", text, (unsigned long long)seed);
    print_options(settings);
    printf("\n");
}

static void print_result(const struct settings *settings, uint64_t seed,
                         const struct sim_result *result)
{
    if (!result->is_ok) {
        print_violation(settings, seed, result->violation);
        return;
    }
    printf("seed=%llu nodes=%u steps=%llu virtual=%llds jobs=%u done=%u failed=%u killed=%u "
           "faults=%llu lost=%llu/%llu programs=%llu vain=%llu digest=%016llx ok\n",
           (unsigned long long)seed, settings->sim.nodes, (unsigned long long)result->steps,
           (long long)(result->end / SECOND), result->jobs, result->jobs_done, result->jobs_failed,
           result->jobs_killed, (unsigned long long)result->faults,
           (unsigned long long)result->datagrams_lost, (unsigned long long)result->datagrams,
           (unsigned long long)result->executions, (unsigned long long)result->vain,
           (unsigned long long)result->digest);
}

static void run_seed(const struct settings *settings, uint64_t seed, bool is_twice,
                     struct sim_result *result)
{
    struct sim_options sim = settings->sim;
    sim.seed = seed;
    sim_run(&sim, result);
    if (!is_twice || !result->is_ok) return;
    struct sim_result again;
    sim_run(&sim, &again);
    if (again.digest == result->digest) return;
    result->is_ok = false;
    snprintf(result->violation, sizeof result->violation,
             "violated determinism: digest %016llx, and %016llx when run again",
             (unsigned long long)result->digest, (unsigned long long)again.digest);
}

static void child_main(const struct settings *settings, uint64_t seed, bool is_twice, int to)
{
    struct sim_result result;
    alarm(HANG_AFTER_S);
    run_seed(settings, seed, is_twice, &result);
    fflush(stdout);
    ssize_t written = write(to, &result, sizeof result);
    _exit(written == (ssize_t)sizeof result ? 0 : EXIT_VIOLATED);
}

static bool child_start(const struct settings *settings, struct child *child, uint64_t seed,
                        bool is_twice)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    fflush(stdout);
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        child_main(settings, seed, is_twice, ends[1]);
    }
    close(ends[1]);
    child->pipe = ends[0];
    child->seed = seed;
    return child->pid > 0;
}

/* Reads what the child says; true when its run was good. */
static bool child_end(const struct settings *settings, struct child *child)
{
    struct sim_result result = {0};
    size_t have = 0;
    while (have < sizeof result) {
        ssize_t count = read(child->pipe, (char *)&result + have, sizeof result - have);
        if (count <= 0) break;
        have += (size_t)count;
    }
    close(child->pipe);
    int status = 0;
    waitpid(child->pid, &status, 0);
    child->pid = 0;
    if (have < sizeof result) {
        char text[128];
        int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        snprintf(text, sizeof text, "violated assertion: the run ended by signal %d (%s)",
                 signal_number, signal_number == SIGALRM ? "it hung" : strsignal(signal_number));
        print_violation(settings, child->seed, text);
        return false;
    }
    print_result(settings, child->seed, &result);
    return result.is_ok;
}

/* Seeds in order of their start; a slow one holds up at most `parallel` others. */
static uint64_t run_all(const struct settings *settings)
{
    struct child children[PARALLEL_MAX] = {{0}};
    uint64_t failed = 0;
    for (uint64_t i = 0; i < settings->seeds + settings->parallel; i++) {
        struct child *child = &children[i % settings->parallel];
        if (child->pid > 0 && !child_end(settings, child)) failed++;
        if (i >= settings->seeds) continue;
        bool is_twice = settings->seeds > 1 && i % REPEAT_EVERY == 0;
        if (!child_start(settings, child, settings->sim.seed + i, is_twice)) {
            perror("mrsim: cannot start a run");
            exit(EXIT_VIOLATED);
        }
    }
    return failed;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "membership") == 0)
        return membership_main(count - 1, arguments + 1);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct settings settings = {.sim = {.seed = 1}, .seeds = 1};
    settings.parallel = processors < 1              ? 1
                        : processors > PARALLEL_MAX ? PARALLEL_MAX
                                                    : (unsigned)processors;
    int status = parse(count, arguments, &settings);
    if (status >= 0) return status;
    if (!seal_init()) {
        fprintf(stderr, "mrsim: libsodium cannot start: this system gives no random bytes\n");
        return EXIT_VIOLATED;
    }
    uint64_t failed = run_all(&settings);
    if (settings.seeds > 1)
        printf("%llu seeds, %llu failed\n", (unsigned long long)settings.seeds,
               (unsigned long long)failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_VIOLATED;
}
