#include "mrsim_sums.h"

#include "sim/marks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void sums_init(struct sums *sums) { *sums = (struct sums){.begun = now_s()}; }

void sums_deinit(struct sums *sums) { free(sums->heals); }

static void add_heal(struct sums *sums, uint64_t seed, uint32_t took)
{
    if (sums->heals_count == sums->heals_capacity) {
        sums->heals_capacity = 2 * sums->heals_capacity + 64;
        sums->heals = realloc(sums->heals, sums->heals_capacity * sizeof *sums->heals);
        assert(sums->heals != NULL);
    }
    sums->heals[sums->heals_count++] = took;
    if (took < sums->worst) return;
    sums->worst = took;
    sums->worst_seed = seed;
}

void sums_add(struct sums *sums, uint64_t seed, const struct sim_result *result, unsigned times)
{
    for (size_t i = 0; i < SIM_MARKS_MAX; i++) sums->marks[i] += result->marks[i];
    for (uint32_t i = 0; i < result->heals_count; i++) add_heal(sums, seed, result->heals[i]);
    sums->heals_same += result->heals_same;
    sums->heals_broken += result->heals_broken;
    sums->runs += times;
    sums->node_seconds += (double)result->nodes * (double)result->end / SECOND * times;
}

void sums_print_marks(const struct sums *sums)
{
    const char *name;
    for (size_t i = 0; (name = marks_name(i)) != NULL; i++)
        if (sums->marks[i] > 0) printf("mark %s %llu\n", name, (unsigned long long)sums->marks[i]);
    for (size_t i = 0; (name = marks_name(i)) != NULL; i++)
        if (sums->marks[i] == 0) printf("never %s\n", name);
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The time within which this share of them was over. */
static double quantile(const struct sums *sums, unsigned percent)
{
    return sums->heals[(sums->heals_count - 1) * percent / 100] / 1000.0;
}

void sums_print_heals(struct sums *sums)
{
    static const uint32_t within[] = {100, 250, 500, 1000, 2000, 5000};
    size_t count = sums->heals_count, behind = 0;
    printf("heals %zu, and %llu of flocks that were equal, %llu cut off by the next partition\n",
           count, (unsigned long long)sums->heals_same, (unsigned long long)sums->heals_broken);
    if (count == 0) return;
    qsort(sums->heals, count, sizeof *sums->heals, compare);
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        while (behind < count && sums->heals[behind] <= within[i]) behind++;
        printf("  all equal within %4.2f s: %6.2f %% (%zu)\n", within[i] / 1000.0,
               100.0 * (double)behind / (double)count, behind);
    }
    printf("  median %.3f s, 90 %% %.3f s, 99 %% %.3f s, worst %.3f s (seed %llu)\n",
           quantile(sums, 50), quantile(sums, 90), quantile(sums, 99), quantile(sums, 100),
           (unsigned long long)sums->worst_seed);
}

void sums_print_speed(const struct sums *sums)
{
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) != 0) return;
    double took = now_s() - sums->begun, cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    printf("speed: %.0f seeds a minute (%.1f s), %.0f node-hours a CPU-hour (%.2f node-hours, "
           "%.2f s of CPU)\n",
           (double)sums->runs * 60 / took, took, sums->node_seconds / cpu,
           sums->node_seconds / 3600, cpu);
}
