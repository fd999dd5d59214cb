/* Drawing a plan: swarm testing (Groce et al. 2012). Half of the kinds of faults are off in each
 * run, the others strike at wildly different rates, so that runs differ from each other. Rates and
 * lengths are log-uniform: a run with a crash every two seconds and one with a single crash are
 * equally likely. No floating point, whose last bit may differ from one machine to the next. */
#include "sim/plan.h"

#include "base/hash.h"
#include "base/prng.h"
#include "sim/grow.h"
#include "sim/history.h"
#include "store/storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ON_CHANCE = 500000, /* per million: half of the kinds are off */
    JOBS_CHOSEN_MAX = 6,
    HEAL_MIN = 60 * SECOND,
    HEAL_SPREAD = 60 * SECOND,
    FIRST_JOB_AFTER = SECOND,
    SODIUM_SHARE = 10,     /* one seed in so many runs with real cryptography */
    EVICT_CHANCE = 400000, /* who is long dead is evicted: so soon that it happens to the living */
    EVICT_MIN = 5 * SECOND,
    EVICT_SPREAD = 20 * SECOND,
    HERD_CHANCE = 100000, /* all jobs come at once */
};

/* Sources of chance, each from the seed and its number. */
enum source {
    SOURCE_KNOBS = 10,
    SOURCE_JOBS = 11,
    SOURCE_EVICT = 12,
    SOURCE_FAULTS = 100, /* + kind */
};

const struct fault_kind *fault_kind(enum fault fault)
{
    static const struct fault_kind kinds[FAULT_COUNT] = {
#define FAULT(name, text, whom, i_min, i_max, l_min, l_max, value, v_min, v_max)                   \
    {text, WHOM_##whom, i_min, i_max, l_min, l_max, value, v_min, v_max},
#include "sim/faults.def"
#undef FAULT
    };
    assert(fault < FAULT_COUNT);
    return &kinds[fault];
}

/* ---- the plan as a thing ---- */

void plan_init(struct plan *plan)
{
    *plan = (struct plan){0};
    plan->expects.vain_max = UINT64_MAX;
}

void plan_deinit(struct plan *plan)
{
    free(plan->jobs);
    free(plan->strikes);
    plan_init(plan);
}

void plan_add_job(struct plan *plan, const struct job_plan *job)
{
    plan->jobs = sim_grow(plan->jobs, plan->jobs_count, &plan->jobs_capacity, sizeof *plan->jobs);
    plan->jobs[plan->jobs_count++] = *job;
}

void plan_add_strike(struct plan *plan, const struct strike *strike)
{
    plan->strikes = sim_grow(plan->strikes, plan->strikes_count, &plan->strikes_capacity,
                             sizeof *plan->strikes);
    plan->strikes[plan->strikes_count++] = *strike;
}

void plan_copy(struct plan *to, const struct plan *from)
{
    *to = *from;
    to->jobs = NULL;
    to->strikes = NULL;
    to->jobs_count = to->jobs_capacity = to->strikes_count = to->strikes_capacity = 0;
    for (size_t i = 0; i < from->jobs_count; i++) plan_add_job(to, &from->jobs[i]);
    for (size_t i = 0; i < from->strikes_count; i++) plan_add_strike(to, &from->strikes[i]);
}

/* ---- drawing ---- */

static void source(const struct plan *plan, struct prng *prng, uint64_t number)
{
    prng_init(prng, hash64(&plan->seed, sizeof plan->seed, number));
}

/* Between low and high, every power of two equally likely. */
static uint64_t log_uniform(struct prng *prng, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;
    while (low > 0 && low << (doublings + 1) <= high) doublings++;
    uint64_t floor = low << prng_below(prng, doublings + 1);
    uint64_t value = floor + prng_below(prng, floor + 1);
    return value > high ? high : value;
}

/* Which of the kinds of power cuts a run has: one, two or all three. */
static uint64_t draw_cut(struct prng *prng, uint64_t allowed)
{
    for (;;) {
        uint64_t cut = prng_below(prng, STORAGE_CUTS);
        if ((allowed >> cut & 1) != 0) return cut;
    }
}

static void draw_strike(struct plan *plan, struct prng *prng, enum fault fault, instant at,
                        duration lasts_max, uint64_t cuts)
{
    const struct fault_kind *kind = fault_kind(fault);
    struct strike strike = {.at = at, .fault = fault};
    bool is_layout = strcmp(kind->value, "layout") == 0;
    bool is_cut = strcmp(kind->value, "cut") == 0;
    uint64_t span = kind->value_max - kind->value_min + 1;
    strike.host = (uint32_t)prng_below(prng, plan->nodes);
    strike.lasts = 1 + (duration)prng_below(prng, (uint64_t)lasts_max + 1);
    strike.value = is_layout ? kind->value_min + prng_below(prng, span)
                   : is_cut  ? draw_cut(prng, cuts)
                             : log_uniform(prng, kind->value_min, kind->value_max);
    strike.chance = prng_below(prng, UINT32_MAX);
    if (kind->interval_min == 0) strike.lasts = INSTANT_NEVER;
    plan_add_strike(plan, &strike);
}

static void draw_kind(struct plan *plan, enum fault fault, uint64_t only)
{
    const struct fault_kind *kind = fault_kind(fault);
    struct prng prng;
    source(plan, &prng, SOURCE_FAULTS + fault);
    bool is_on = prng_chance(&prng, ON_CHANCE);
    if (only != 0) is_on = (only >> fault & 1) != 0;
    duration interval = (duration)log_uniform(&prng, (uint64_t)kind->interval_min * SECOND,
                                              (uint64_t)kind->interval_max * SECOND);
    duration lasts = (duration)log_uniform(&prng, (uint64_t)kind->lasts_min * MILLISECOND,
                                           (uint64_t)kind->lasts_max * MILLISECOND);
    bool is_cut = strcmp(kind->value, "cut") == 0;
    uint64_t cuts = is_cut ? 1 + prng_below(&prng, (1u << STORAGE_CUTS) - 1) : 0;
    if (!is_on) return;
    if (interval == 0) {
        draw_strike(plan, &prng, fault, 0, 0, cuts);
        return;
    }
    /* Uniform up to twice the mean. */
    for (instant at = 0;;) {
        at += 1 + (instant)prng_below(&prng, 2 * (uint64_t)interval);
        if (at >= plan->heal) return;
        draw_strike(plan, &prng, fault, at, lasts, cuts);
    }
}

static int compare_strikes(const void *left, const void *right)
{
    const struct strike *a = left, *b = right;
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    return (int)a->fault - (int)b->fault;
}

static void draw_jobs(struct plan *plan, uint32_t count)
{
    struct prng prng;
    source(plan, &prng, SOURCE_JOBS);
    bool is_herd = prng_chance(&prng, HERD_CHANCE);
    uint64_t span = (uint64_t)(plan->heal - plan->heal / 10);
    instant herd = FIRST_JOB_AFTER + (instant)prng_below(&prng, span);
    for (uint32_t i = 0; i < count; i++) {
        instant at = FIRST_JOB_AFTER + (instant)prng_below(&prng, span);
        struct job_plan job = {is_herd ? herd : at, NODE_ANY, i, COUNT_DRAWN, COUNT_DRAWN, ""};
        plan_add_job(plan, &job);
    }
}

static duration draw_evict(const struct plan *plan)
{
    struct prng prng;
    source(plan, &prng, SOURCE_EVICT);
    if (!prng_chance(&prng, EVICT_CHANCE)) return INSTANT_NEVER;
    return EVICT_MIN + (duration)prng_below(&prng, EVICT_SPREAD);
}

void plan_make(struct plan *plan, const struct sim_options *options)
{
    plan_init(plan);
    if (options->plan != NULL) plan_copy(plan, options->plan);
    plan->seed = options->seed;
    struct prng prng;
    source(plan, &prng, SOURCE_KNOBS);
    uint32_t jobs = 1 + (uint32_t)prng_below(&prng, JOBS_CHOSEN_MAX);
    duration heal = HEAL_MIN + (duration)prng_below(&prng, HEAL_SPREAD);
    bool is_lan = prng_chance(&prng, 500000);
    bool is_sodium = plan->seed % SODIUM_SHARE == 0;
    if (options->nodes > 0) plan->nodes = options->nodes;
    if (options->nodes_most > options->nodes)
        plan->nodes += (uint32_t)(plan->seed % (options->nodes_most - options->nodes + 1));
    if (options->is_history) history_plan(plan, &prng);
    if (plan->nodes == 0) plan->nodes = PLAN_NODES;
    if (options->safety > 0) plan->heal = options->safety;
    if (plan->heal == 0) plan->heal = heal;
    if (plan->evict == 0) plan->evict = draw_evict(plan);
    if (plan->profile == CHOICE_DRAWN) plan->profile = is_lan ? CHOICE_SECOND : CHOICE_FIRST;
    if (plan->crypto == CHOICE_DRAWN) plan->crypto = is_sodium ? CHOICE_SECOND : CHOICE_FIRST;
    if (options->canary != CANARY_NONE) plan->canary = options->canary;
    if (!plan->has_jobs) draw_jobs(plan, options->jobs > 0 ? options->jobs : jobs);
    for (int fault = 0; !plan->has_strikes && fault < FAULT_COUNT; fault++)
        draw_kind(plan, (enum fault)fault, options->only);
    if (plan->strikes_count > 1)
        qsort(plan->strikes, plan->strikes_count, sizeof *plan->strikes, compare_strikes);
    plan->has_seed = plan->has_jobs = plan->has_strikes = true;
    assert(plan->nodes <= NODES_MAX && plan->jobs_count <= JOBS_MAX);
}
