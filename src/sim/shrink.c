/* What is dropped first is what is most: faults behind the violation, then faults in halves,
 * quarters, singles, then jobs, nodes, tasks, time. Over again until nothing more can go. A smaller
 * flock is another run, which may need another seed to fail: a few are tried. */
#include "sim/shrink.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    SEEDS_TRIED = 4, /* for each change of the flock or its jobs */
    CLOCK_TRIES = 8, /* a run that is not deterministic may happen to agree with itself */
    HEAL_LEAST = SECOND,
};

struct shrinking {
    struct plan plan; /* the smallest so far */
    struct shrunk *shrunk;
    instant violated_at;
    time_t until;
    bool is_over;
};

/* True when the plan violates what it should; "" = anything, which is then what it should. */
static bool fails(struct shrinking *shrinking, const struct plan *plan)
{
    struct shrunk *shrunk = shrinking->shrunk;
    bool is_clock = strcmp(shrunk->invariant, "determinism") == 0;
    bool is_twice = is_clock || *shrunk->invariant == '\0';
    for (int i = 0; i < (is_clock ? CLOCK_TRIES : 1); i++) {
        struct sim_options options = {.seed = plan->seed, .plan = plan};
        struct child child = {0}; /* a new one each time: the plan is another */
        struct sim_result result;
        char name[INVARIANT_SIZE];
        if (!child_start(&child, &options, is_twice)) return false;
        child_end(&child, &result);
        child_stop(&child);
        shrunk->runs++;
        child_invariant(&result, name);
        if (*shrunk->invariant == '\0') memcpy(shrunk->invariant, name, sizeof name);
        if (*name == '\0' || strcmp(name, shrunk->invariant) != 0) continue;
        memcpy(shrunk->violation, result.violation, sizeof result.violation);
        shrinking->violated_at = result.end;
        return true;
    }
    return false;
}

/* Takes the candidate: it becomes the smallest when it fails, too. */
static bool attempt(struct shrinking *shrinking, struct plan *candidate, unsigned seeds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec >= shrinking->until) shrinking->is_over = true;
    for (unsigned i = 0; i < seeds && !shrinking->is_over; i++) {
        if (fails(shrinking, candidate)) {
            plan_deinit(&shrinking->plan);
            shrinking->plan = *candidate;
            return true;
        }
        candidate->seed++;
    }
    plan_deinit(candidate);
    return false;
}

/* ---- lists ---- */

struct list {
    size_t (*count)(const struct plan *plan);
    void (*drop)(struct plan *plan, size_t at, size_t count);
};

static size_t strikes_count(const struct plan *plan) { return plan->strikes_count; }

static void strikes_drop(struct plan *plan, size_t at, size_t count)
{
    plan->strikes_count -= count;
    memmove(plan->strikes + at, plan->strikes + at + count,
            (plan->strikes_count - at) * sizeof *plan->strikes);
}

static size_t jobs_count(const struct plan *plan) { return plan->jobs_count; }

static void jobs_drop(struct plan *plan, size_t at, size_t count)
{
    plan->jobs_count -= count;
    memmove(plan->jobs + at, plan->jobs + at + count, (plan->jobs_count - at) * sizeof *plan->jobs);
}

static const struct list strikes = {strikes_count, strikes_drop};
static const struct list jobs = {jobs_count, jobs_drop};

/* Leaves out all, then halves, then quarters, at last singles. */
static bool drop_some(struct shrinking *shrinking, const struct list *list, unsigned seeds)
{
    bool is_smaller = false;
    for (size_t chunk = list->count(&shrinking->plan); chunk > 0; chunk /= 2)
        for (size_t at = 0; at < list->count(&shrinking->plan) && !shrinking->is_over;) {
            struct plan candidate;
            size_t left = list->count(&shrinking->plan) - at;
            size_t count = chunk < left ? chunk : left;
            plan_copy(&candidate, &shrinking->plan);
            list->drop(&candidate, at, count);
            if (attempt(shrinking, &candidate, seeds)) is_smaller = true;
            else at += count;
        }
    return is_smaller;
}

/* What had not yet happened cannot have been the cause. */
static void drop_later(struct shrinking *shrinking)
{
    struct plan candidate;
    plan_copy(&candidate, &shrinking->plan);
    size_t before = 0;
    while (before < candidate.strikes_count &&
           candidate.strikes[before].at <= shrinking->violated_at)
        before++;
    strikes_drop(&candidate, before, candidate.strikes_count - before);
    (void)attempt(shrinking, &candidate, 1);
}

/* ---- numbers ---- */

static bool fewer_nodes(struct shrinking *shrinking)
{
    uint32_t nodes = shrinking->plan.nodes;
    for (uint32_t fewer = 1; fewer < nodes && !shrinking->is_over; fewer++) {
        struct plan candidate;
        plan_copy(&candidate, &shrinking->plan);
        candidate.nodes = fewer;
        if (attempt(shrinking, &candidate, SEEDS_TRIED)) return true;
    }
    return false;
}

static bool fewer_tasks(struct shrinking *shrinking)
{
    static const struct job_plan least[] = {{.maps = 1, .reduces = 0, .command = "wordcount"},
                                            {.maps = 1, .reduces = 1, .command = "wordcount"},
                                            {.maps = 1, .reduces = 1},
                                            {.maps = 2, .reduces = 1}};
    bool is_smaller = false;
    for (size_t i = 0; i < shrinking->plan.jobs_count; i++) {
        if (shrinking->plan.jobs[i].maps != COUNT_DRAWN) continue;
        for (size_t k = 0; k < sizeof least / sizeof *least; k++) {
            struct plan candidate;
            plan_copy(&candidate, &shrinking->plan);
            candidate.jobs[i].maps = least[k].maps;
            candidate.jobs[i].reduces = least[k].reduces;
            memcpy(candidate.jobs[i].command, least[k].command, sizeof least[k].command);
            if (!attempt(shrinking, &candidate, SEEDS_TRIED)) continue;
            is_smaller = true;
            break;
        }
    }
    return is_smaller;
}

static bool less_time(struct shrinking *shrinking)
{
    bool is_smaller = false;
    while (shrinking->plan.heal / 2 >= HEAL_LEAST && !shrinking->is_over) {
        struct plan candidate;
        plan_copy(&candidate, &shrinking->plan);
        candidate.heal = (candidate.heal / 2 + SECOND - 1) / SECOND * SECOND;
        if (candidate.heal >= shrinking->plan.heal || !attempt(shrinking, &candidate, 1)) {
            if (candidate.heal >= shrinking->plan.heal) plan_deinit(&candidate);
            break;
        }
        is_smaller = true;
    }
    return is_smaller;
}

bool shrink_plan(struct plan *plan, unsigned seconds, struct shrunk *shrunk)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *shrunk = (struct shrunk){.strikes_before = plan->strikes_count,
                              .jobs_before = plan->jobs_count,
                              .nodes_before = plan->nodes};
    struct shrinking shrinking = {.shrunk = shrunk, .until = now.tv_sec + (time_t)seconds};
    if (!fails(&shrinking, plan)) return false;
    plan_copy(&shrinking.plan, plan);
    drop_later(&shrinking);
    for (bool is_smaller = true; is_smaller && !shrinking.is_over;) {
        is_smaller = drop_some(&shrinking, &strikes, 1);
        is_smaller |= drop_some(&shrinking, &jobs, SEEDS_TRIED);
        is_smaller |= fewer_nodes(&shrinking);
        is_smaller |= fewer_tasks(&shrinking);
        is_smaller |= less_time(&shrinking);
    }
    plan_deinit(plan);
    *plan = shrinking.plan;
    memcpy(plan->expects.violates, shrunk->invariant, sizeof plan->expects.violates);
    return true;
}
