/* What a crowd showed, as a table and as JSON: the same figures, from the same functions. */
#include "mrsim_membership.h"

#include "membership/suspicion.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const moments[] = {"first", "half", "all"};

/* ---- figures ---- */

/* What SWIM promises on average, in seconds (Das, Gupta, Motivala 2002, sections 3.1 and 4):
 * somebody probes the failed one within e / (e - 1) periods, the probe takes one, the suspicion
 * its time; then the news needs log2(n) periods. */
struct bound {
    double first, all;
};

static struct bound bound_of(const struct crowd *crowd)
{
    size_t n = crowd->options.nodes;
    double period = (double)crowd->options.period / SECOND;
    uint32_t enough = suspicion_confirmations_max(n);
    double suspicion = (double)suspicion_timeout(crowd->options.period, n, enough) / SECOND;
    struct bound bound = {.first = 1.582 * period + period + suspicion};
    bound.all = bound.first + (double)suspicion_log2_milli(n) / 1000 * period;
    return bound;
}

enum figure {
    FIGURE_MESSAGES,
    FIGURE_BYTES,
    FIGURE_RECORD_BYTES,
};

static double figure_of(const struct load *load, enum figure figure)
{
    switch (figure) {
    case FIGURE_MESSAGES: return (double)load->messages;
    case FIGURE_BYTES: return (double)load->bytes;
    case FIGURE_RECORD_BYTES: return (double)load->record_bytes;
    }
    return 0;
}

/* A second, over the nodes that run at the end. */
static struct spread load_spread(const struct crowd *crowd, bool is_calm, enum figure figure)
{
    double *values = malloc(crowd->nodes_count * sizeof *values);
    assert(values != NULL);
    size_t count = 0;
    duration time = is_calm ? crowd->census.calm_time : crowd->now - crowd->census.measured_since;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (crowd->nodes[i].state != CROWD_RUNNING || i >= crowd->options.nodes) continue;
        const struct load *load = is_calm ? &crowd->census.calm[i] : &crowd->nodes[i].load;
        values[count++] = figure_of(load, figure) * SECOND / (double)time;
    }
    struct spread spread = spread_of(values, count);
    free(values);
    return spread;
}

static size_t stories_of(const struct crowd *crowd, enum story_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < crowd->census.stories_count; i++)
        count += crowd->census.stories[i].kind == kind;
    return count;
}

struct sums {
    uint64_t suspicions, refutations, probes, probes_failed;
};

static struct sums sums_of(const struct crowd *crowd)
{
    struct sums sums = {0};
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        const struct gossip_counters *counters = &crowd->nodes[i].gossip.counters;
        sums.suspicions += counters->suspicions;
        sums.refutations += counters->refutations;
        sums.probes += counters->probes;
        sums.probes_failed += counters->probes_failed;
    }
    return sums;
}

static double pair_bytes(const struct crowd *crowd, const struct run_cost *cost)
{
    return (double)cost->core_bytes / ((double)crowd->nodes_count * crowd->nodes_count);
}

/* ---- for people ---- */

static void table_story(const struct crowd *crowd, enum story_kind kind)
{
    static const char *const titles[STORY_KINDS] = {
        "killed, until held dead", "silent, until held dead", "back, until held alive",
        "new, until held alive", "healed, until all is well"};
    size_t count = stories_of(crowd, kind);
    if (count == 0) return;
    printf("\n%-28s %10s %10s %10s   (%zu of them, seconds)\n", titles[kind], "least", "median",
           "most", count);
    for (int which = 0; which < 3; which++) {
        struct spread spread = census_spread(&crowd->census, kind, which);
        printf("  by %-23s %10.3f %10.3f %10.3f", moments[which], spread.least, spread.median,
               spread.most);
        if (spread.count < count) printf("   %zu never", count - spread.count);
        printf("\n");
    }
}

static void table_load(const struct crowd *crowd, const char *title, bool is_calm)
{
    static const char *const names[] = {"datagrams", "bytes", "bytes over streams"};
    printf("\n%-28s %10s %10s %10s   (a node and second)\n", title, "least", "median", "most");
    for (enum figure figure = FIGURE_MESSAGES; figure <= FIGURE_RECORD_BYTES; figure++) {
        struct spread spread = load_spread(crowd, is_calm, figure);
        if (figure == FIGURE_RECORD_BYTES && spread.most == 0) continue;
        printf("  %-26s %10.2f %10.2f %10.2f\n", names[figure], spread.least, spread.median,
               spread.most);
    }
}

void report_table(const struct crowd *crowd, const struct run_cost *cost)
{
    const struct crowd_options *o = &crowd->options;
    const struct census *census = &crowd->census;
    printf("%u nodes, seed %" PRIu64 ", %.0f s, a probe each %.3f s, %.2f %% of datagrams lost\n",
           o->nodes, o->seed, (double)o->time / SECOND, (double)o->period / SECOND,
           (double)o->loss / 10000);
    for (enum story_kind kind = STORY_KILL; kind < STORY_KINDS; kind++) table_story(crowd, kind);
    struct bound bound = bound_of(crowd);
    printf("\nSWIM's bound on a silent one: first %.1f s, all %.1f s\n", bound.first, bound.all);
    table_load(crowd, "load while nothing happens", true);
    table_load(crowd, "load over all the time", false);
    struct sums sums = sums_of(crowd);
    printf("\nwrong failures %" PRIu64 ", of %u members; probes %" PRIu64 ", failed %" PRIu64
           "; suspicions %" PRIu64 ", refutations %" PRIu64 "\n",
           census->wrong_failures, census->wrong_victims, sums.probes, sums.probes_failed,
           sums.suspicions, sums.refutations);
    printf("%.1f s, %.1f s of one core; %.1f million steps; memory %.2f GiB, of it cores %.2f GiB, "
           "%.0f bytes a pair\n",
           cost->wall_seconds, cost->cpu_seconds, (double)crowd->events / 1e6,
           (double)cost->resident_bytes / (1 << 30), (double)cost->core_bytes / (1 << 30),
           pair_bytes(crowd, cost));
}

void report_scale_row(const struct crowd *crowd, const struct run_cost *cost)
{
    if (crowd == NULL) {
        printf(
            "       |  calm, a node and second   |     killed, s     |     silent, s     | bound |"
            "  wrong |   core | memory\n"
            " nodes | datagr.  bytes  most bytes |  first  half   all |  first  half   all |"
            "   all | failed |      s |    GiB\n");
        return;
    }
    const struct census *census = &crowd->census;
    struct spread bytes = load_spread(crowd, true, FIGURE_BYTES);
    printf("%6u | %7.2f %6.1f %11.1f |", crowd->options.nodes,
           load_spread(crowd, true, FIGURE_MESSAGES).median, bytes.median, bytes.most);
    for (enum story_kind kind = STORY_KILL; kind <= STORY_PAUSE; kind++) {
        for (int which = 0; which < 3; which++)
            printf(" %5.2f", census_spread(census, kind, which).median);
        printf(" |");
    }
    printf(" %5.1f | %6" PRIu64 " | %6.1f | %6.2f\n", bound_of(crowd).all, census->wrong_failures,
           cost->cpu_seconds, (double)cost->core_bytes / (1 << 30));
}

/* ---- for programs ---- */

static void json_spread(const char *name, const struct spread *spread)
{
    printf("\"%s\":{\"least\":%.6f,\"median\":%.6f,\"most\":%.6f,\"mean\":%.6f,\"count\":%zu}",
           name, spread->least, spread->median, spread->most, spread->mean, spread->count);
}

static void json_story(const struct crowd *crowd, enum story_kind kind)
{
    printf(",\"%s\":{\"count\":%zu", story_text(kind), stories_of(crowd, kind));
    for (int which = 0; which < 3; which++) {
        char name[16];
        struct spread spread = census_spread(&crowd->census, kind, which);
        snprintf(name, sizeof name, "%s_s", moments[which]);
        printf(",");
        json_spread(name, &spread);
    }
    printf("}");
}

static void json_load(const struct crowd *crowd, const char *title, bool is_calm)
{
    static const char *const names[] = {"messages", "bytes", "stream_bytes"};
    printf(",\"%s\":{", title);
    for (enum figure figure = FIGURE_MESSAGES; figure <= FIGURE_RECORD_BYTES; figure++) {
        struct spread spread = load_spread(crowd, is_calm, figure);
        if (figure != FIGURE_MESSAGES) printf(",");
        json_spread(names[figure], &spread);
    }
    printf("}");
}

void report_json(const struct crowd *crowd, const struct run_cost *cost)
{
    const struct crowd_options *o = &crowd->options;
    const struct census *census = &crowd->census;
    printf("{\"nodes\":%u,\"seed\":%" PRIu64 ",\"duration_s\":%.3f,\"period_s\":%.3f,"
           "\"loss\":%.6f,\"partition_s\":%.3f",
           o->nodes, o->seed, (double)o->time / SECOND, (double)o->period / SECOND,
           (double)o->loss / 1e6, (double)o->partition / SECOND);
    for (enum story_kind kind = STORY_KILL; kind < STORY_KINDS; kind++) json_story(crowd, kind);
    struct bound bound = bound_of(crowd);
    printf(",\"bound\":{\"first_s\":%.3f,\"all_s\":%.3f}", bound.first, bound.all);
    json_load(crowd, "calm_per_s", true);
    json_load(crowd, "whole_per_s", false);
    struct sums sums = sums_of(crowd);
    printf(",\"wrong_failures\":%" PRIu64 ",\"wrong_victims\":%u,\"probes\":%" PRIu64
           ",\"probes_failed\":%" PRIu64 ",\"suspicions\":%" PRIu64 ",\"refutations\":%" PRIu64,
           census->wrong_failures, census->wrong_victims, sums.probes, sums.probes_failed,
           sums.suspicions, sums.refutations);
    printf(",\"cost\":{\"wall_s\":%.3f,\"cpu_s\":%.3f,\"steps\":%" PRIu64
           ",\"resident_bytes\":%" PRIu64 ",\"core_bytes\":%" PRIu64 ",\"bytes_per_pair\":%.1f}}\n",
           cost->wall_seconds, cost->cpu_seconds, crowd->events, cost->resident_bytes,
           cost->core_bytes, pair_bytes(crowd, cost));
}

void report_csv_loads(const struct crowd *crowd, FILE *csv)
{
    double seconds = (double)(crowd->now - crowd->census.measured_since) / SECOND;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        const struct load *load = &crowd->nodes[i].load;
        fprintf(csv, "datagrams,%u,,%.6f\n", i, (double)load->messages / seconds);
        fprintf(csv, "bytes,%u,,%.6f\n", i, (double)load->bytes / seconds);
    }
}
