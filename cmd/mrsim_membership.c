/* Options of `mrsim membership`. One process, one core: runs follow each other. */
#include "mrsim_membership.h"

#include "mrsim_parse.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    NODES_DEFAULT = 100,
    SCALE_EVENTS = 3, /* kills, and as many pauses, a row of --scale */
};

struct settings {
    struct crowd_options crowd;
    const char *csv_path;
    bool is_json;
    bool is_scale;
};

static const char help[] =
    "Runs the membership of a large flock in virtual time, and prints how fast news spreads, who\n"
    "was given up wrongly, and what each node sends. All nodes know each other at the start.\n"
    "\n"
    "  mrsim membership --nodes 1000 --kill 5 --pause 5\n"
    "  mrsim membership --nodes 10000 --loss 5% --duration 10m --json\n"
    "  mrsim membership --nodes 64 --partition 60 --csv spread.csv\n"
    "  mrsim membership --scale              a row for each size from 16 to 10,000\n"
    "\n"
    "  --nodes N          2 to 10,000 (100); with --scale, the last row\n"
    "  --seed N           one seed, one run (1)\n"
    "  --loss P           of datagrams: 5%, or 0.05 (0); streams are whole\n"
    "  --kill N           so many processes are killed, one after another (0)\n"
    "  --pause N          so many fall silent, for a quarter of the time (0)\n"
    "  --join N           so many newcomers (0)\n"
    "  --partition DUR    even and odd nodes apart for so long (not)\n"
    "  --duration DUR     of virtual time, behind a warm-up: 90s, 10m, 1h (2m; --scale 4m).\n"
    "                     A quarter of it is calm, then events for one half\n"
    "  --period MS        between two probes of a node (1000)\n"
    "  --json             one line of JSON instead of the table\n"
    "  --csv FILE         a row each time a node learns of an event, and a row a node's load\n"
    "\n"
    "Exit status: 0, 1 somebody was given up wrongly, 2 usage.\n";

enum option_number {
    OPTION_NODES = 1000,
    OPTION_SEED,
    OPTION_LOSS,
    OPTION_KILL,
    OPTION_PAUSE,
    OPTION_JOIN,
    OPTION_PARTITION,
    OPTION_DURATION,
    OPTION_PERIOD,
    OPTION_CSV,
    OPTION_JSON,
    OPTION_SCALE,
};

static const struct option options[] = {
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"loss", required_argument, NULL, OPTION_LOSS},
    {"kill", required_argument, NULL, OPTION_KILL},
    {"pause", required_argument, NULL, OPTION_PAUSE},
    {"join", required_argument, NULL, OPTION_JOIN},
    {"partition", required_argument, NULL, OPTION_PARTITION},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"period", required_argument, NULL, OPTION_PERIOD},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"json", no_argument, NULL, OPTION_JSON},
    {"scale", no_argument, NULL, OPTION_SCALE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool take_count(const char *text, uint64_t least, uint64_t most, uint32_t *count)
{
    uint64_t number;
    if (!parse_number(text, least, most, &number)) return false;
    *count = (uint32_t)number;
    return true;
}

static bool take_option(struct settings *settings, int option, const char *value)
{
    struct crowd_options *crowd = &settings->crowd;
    uint64_t number;
    switch (option) {
    case OPTION_NODES: return take_count(value, 2, CROWD_NODES_MAX, &crowd->nodes);
    case OPTION_SEED: return parse_number(value, 0, UINT64_MAX, &crowd->seed);
    case OPTION_LOSS: return parse_share(value, &crowd->loss);
    case OPTION_KILL: return take_count(value, 0, CROWD_EVENTS_MAX, &crowd->kills);
    case OPTION_PAUSE: return take_count(value, 0, CROWD_EVENTS_MAX, &crowd->pauses);
    case OPTION_JOIN: return take_count(value, 0, CROWD_EVENTS_MAX, &crowd->joins);
    case OPTION_PARTITION: return parse_duration(value, &crowd->partition);
    case OPTION_DURATION: return parse_duration(value, &crowd->time);
    case OPTION_PERIOD:
        if (!parse_number(value, 50, 60000, &number)) return false;
        crowd->period = (duration)number * MILLISECOND;
        return true;
    case OPTION_CSV: settings->csv_path = value; return true;
    case OPTION_JSON: settings->is_json = true; return true;
    case OPTION_SCALE: settings->is_scale = true; return true;
    default: return false;
    }
}

/* -1 to go on, else the exit status. */
static int parse(int count, char **arguments, struct settings *settings)
{
    int option;
    while ((option = getopt_long(count, arguments, "h", options, NULL)) != -1) {
        if (option == '?')
            return usage("unknown option, or its value is missing", arguments[optind - 1]);
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (!take_option(settings, option, optarg))
            return usage("not a value that this option takes", optarg);
    }
    if (optind < count) return usage("takes no such argument", arguments[optind]);
    struct crowd_options *crowd = &settings->crowd;
    if (crowd->nodes == 0) crowd->nodes = settings->is_scale ? CROWD_NODES_MAX : NODES_DEFAULT;
    if (crowd->time == 0) crowd->time = (settings->is_scale ? 240 : 120) * (duration)SECOND;
    if (crowd->kills + crowd->pauses > crowd->nodes / 2)
        return usage("more to kill and pause than half of the nodes", "--kill");
    if (crowd->partition > crowd->time / 2)
        return usage("longer than half of --duration", "--partition");
    return -1;
}

static double wall_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(const struct rusage *used)
{
    return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
           (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1e6;
}

static void run(struct crowd *crowd, const struct crowd_options *crowd_options,
                struct run_cost *cost)
{
    struct rusage before, after;
    double begin = wall_seconds();
    getrusage(RUSAGE_SELF, &before);
    crowd_open(crowd, crowd_options);
    crowd_run(crowd);
    getrusage(RUSAGE_SELF, &after);
    *cost = (struct run_cost){
        .wall_seconds = wall_seconds() - begin,
        .cpu_seconds = cpu_seconds(&after) - cpu_seconds(&before),
        .core_bytes = crowd_memory_used(crowd),
        .resident_bytes = (uint64_t)after.ru_maxrss * 1024,
    };
}

/* Each row alone: calm, then kills and pauses. */
static int run_scale(const struct settings *settings)
{
    static const uint32_t sizes[] = {16, 32, 64, 128, 256, 512, 1000, 2000, 5000, 10000};
    uint64_t wrong = 0;
    report_scale_row(NULL, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] > settings->crowd.nodes) break;
        struct crowd_options crowd_options = settings->crowd;
        crowd_options.nodes = sizes[i];
        if (crowd_options.kills + crowd_options.pauses == 0)
            crowd_options.kills = crowd_options.pauses = SCALE_EVENTS;
        struct crowd crowd = {.now = 0};
        struct run_cost cost;
        run(&crowd, &crowd_options, &cost);
        if (settings->is_json) report_json(&crowd, &cost);
        else report_scale_row(&crowd, &cost);
        fflush(stdout);
        wrong += crowd.census.wrong_failures;
        crowd_close(&crowd);
    }
    return wrong == 0 ? EXIT_SUCCESS : EXIT_VIOLATED;
}

static int run_once(const struct settings *settings)
{
    struct crowd crowd = {.now = 0};
    struct run_cost cost;
    FILE *csv = settings->csv_path == NULL ? NULL : fopen(settings->csv_path, "w");
    if (settings->csv_path != NULL && csv == NULL) {
        perror(settings->csv_path);
        return EXIT_VIOLATED;
    }
    if (csv != NULL) fputs("what,subject,observer,value\n", csv);
    crowd.census.csv = csv;
    run(&crowd, &settings->crowd, &cost);
    if (settings->is_json) report_json(&crowd, &cost);
    else report_table(&crowd, &cost);
    if (csv != NULL) report_csv_loads(&crowd, csv);
    bool is_written = csv == NULL || fclose(csv) == 0;
    if (!is_written) perror(settings->csv_path);
    uint64_t wrong = crowd.census.wrong_failures;
    crowd_close(&crowd);
    return wrong == 0 && is_written ? EXIT_SUCCESS : EXIT_VIOLATED;
}

int membership_main(int count, char **arguments)
{
    struct settings settings = {.crowd = {.seed = 1, .period = SECOND}};
    int status = parse(count, arguments, &settings);
    if (status >= 0) return status;
    return settings.is_scale ? run_scale(&settings) : run_once(&settings);
}
