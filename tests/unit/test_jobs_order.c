/* The fold and order. What matters is that the order of arrival leaves no trace (S1): all
 * permutations of small sets of entries, many shuffles of larger ones, with duplicates, must give
 * one digest and one picture (every fact of every attempt, the counts counted anew). A model that
 * looks at the whole set at once, as the rules in jobs.h are written, says what owner and committed
 * must be. */
#include "fold.h"

#include "base/prng.h"
#include "tasks/counts.h"
#include "tasks/logged.h"

#include <stdio.h>

/* ---- the picture of a fold ---- */

struct picture {
    char text[16384];
    size_t count;
};

static void draw(struct picture *picture, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof picture->text - picture->count;
    int count = vsnprintf(picture->text + picture->count, left, format, arguments);
    va_end(arguments);
    assert_true(count >= 0 && (size_t)count < left);
    picture->count += (size_t)count;
}

static void draw_stamp(struct picture *picture, const struct msg_stamp *stamp)
{
    draw(picture, "%u@%x.%u ", (unsigned)stamp->time, stamp->node.bytes[0],
         (unsigned)stamp->boot.counter);
}

static void draw_attempt(struct picture *picture, const struct attempt *attempt)
{
    draw(picture, "  ");
    draw_stamp(picture, &attempt->claim);
    draw(picture, "#%u cause %d state %d end %d ", attempt->number, attempt->cause, attempt->state,
         attempt->end_cause);
    draw_stamp(picture, &attempt->end);
    draw_stamp(picture, &attempt->done);
    draw(picture, "charged %d status %u size %u records %u log %.*s\n", attempt->charged,
         attempt->status, (unsigned)attempt->output.size, (unsigned)attempt->records,
         (int)attempt->log.count, (const char *)attempt->log.at);
}

/* One task; its stored answers must be those of its attempts. */
static void draw_task(struct picture *picture, const struct job *job, enum task_kind kind,
                      uint32_t i)
{
    const struct task *task = &job->tasks[kind][i];
    uint32_t failures = 0;
    draw(picture, " task %d %u failures %u highest %u\n", kind, i, task->failures, task->highest);
    for (const struct attempt *at = task->attempts; at != NULL; at = at->next) {
        draw_attempt(picture, at);
        failures += at->state == ATTEMPT_FAILED && at->charged;
        assert_true(at->next == NULL || stamp_compare(&at->claim, &at->next->claim) < 0);
    }
    for (const struct logged *at = task->logged; at != NULL; at = at->next)
        draw(picture, "logged %u ", (unsigned)at->log.size);
    assert_int_equal(task->is_done, task_committed(task) != NULL);
    assert_int_equal(task->failures, failures);
    if (task_committed(task) != NULL) draw_stamp(picture, &task_committed(task)->done);
    if (task_owner(task) != NULL) draw_stamp(picture, &task_owner(task)->claim);
}

/* The counts, counted anew. */
static void check_counts(const struct job *job)
{
    uint32_t done[2] = {0}, verified[2] = {0}, differing = 0, running = 0, failed = 0, claims = 0,
             again = 0, copies = 0;
    for (unsigned kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < job_tasks_count(job, kind); i++) {
            const struct task *task = &job->tasks[kind][i];
            bool is_done = task_committed(task) != NULL, is_owned = task_owner(task) != NULL;
            bool is_verified = is_done && task_dones(task) >= job_dones_wanted(job);
            done[kind] += is_done;
            verified[kind] += is_verified;
            differing += task_different(task) != NULL;
            assert_int_equal(job->free[kind][i / 64] >> (i % 64) & 1, !is_verified && !is_owned);
            assert_int_equal(job->busy[kind][i / 64] >> (i % 64) & 1, !is_done && is_owned);
            const struct attempt *at = job->tasks[kind][i].attempts;
            for (; at != NULL; at = at->next) {
                running += at->state == ATTEMPT_RUNNING;
                failed += at->state == ATTEMPT_FAILED;
                claims += at->number > 0;
                copies += at->number > 0 && at->cause == CAUSE_STRAGGLER;
                again += at->number > 0 && at->cause != CAUSE_FIRST && at->cause != CAUSE_STRAGGLER;
            }
        }
    assert_int_equal(job->done_count[TASK_MAP], done[TASK_MAP]);
    assert_int_equal(job->done_count[TASK_REDUCE], done[TASK_REDUCE]);
    assert_int_equal(job->verified_count[TASK_MAP], verified[TASK_MAP]);
    assert_int_equal(job->verified_count[TASK_REDUCE], verified[TASK_REDUCE]);
    assert_int_equal(job->differing_count, differing);
    assert_int_equal(job->running_count, running);
    assert_int_equal(job->failed_count, failed);
    assert_int_equal(job->claims_count, claims);
    assert_int_equal(job->speculated_count, copies);
    assert_int_equal(job->reexecuted_count, again);
}

/* All jobs; of ended ones, how they ended. */
static void draw_jobs(struct picture *picture, const struct jobs *jobs)
{
    picture->count = 0;
    for (unsigned n = 0; n < 2; n++) {
        struct id id = job_of(n);
        const struct job *job = jobs_find(jobs, &id);
        if (job == NULL) continue;
        check_counts(job);
        draw(picture, "job %u outcome %d ", n, job->outcome);
        if (job->outcome != JOB_RUNNING) {
            draw_stamp(picture, &job->ended);
            draw(picture, "size %u\n", (unsigned)job->output_size);
            continue;
        }
        draw(picture, "known %d maps %u reduces %u ", job->is_known, job->spec.maps,
             job->spec.reduces);
        draw_stamp(picture, &job->stamp);
        draw(picture, "logged %u ", (unsigned)job->logged_size);
        struct msg_counter sums[COUNTS_MAX];
        size_t sums_count = counts_sum(job, sums);
        for (size_t i = 0; i < sums_count; i++)
            draw(picture, "counted %.*s %u ", (int)sums[i].name.count,
                 (const char *)sums[i].name.at, (unsigned)sums[i].value);
        for (unsigned kind = 0; kind < 2; kind++)
            for (uint32_t i = 0; i < job_tasks_count(job, kind); i++)
                draw_task(picture, job, kind, i);
    }
    for (unsigned n = 0; n < 8; n++) {
        struct id id = node_of(n / 2);
        struct boot boot = {.counter = 1 + n % 2, .random = 7};
        draw(picture, "owned %u: %u\n", n, (unsigned)jobs_owned_by(jobs, &id, &boot));
    }
}

/* ---- the model: the rules, read off the whole set of entries ---- */

static bool model_is_lost(const struct item *items, size_t count, const struct msg_stamp *done)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].kind == MSG_lost && items[i].as.lost.task == 0 &&
            stamp_equal(&items[i].as.lost.done, done))
            return true;
    return false;
}

/* The least done of job 0's map 0 that no lost names, of the least dones of each claim. */
static const struct msg_stamp *model_committed(const struct item *items, size_t count)
{
    const struct msg_stamp *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != MSG_done || items[i].as.done.task != 0) continue;
        bool is_least = !model_is_lost(items, count, &items[i].stamp);
        for (size_t j = 0; j < count && is_least; j++)
            is_least = items[j].kind != MSG_done || items[j].as.done.task != 0 ||
                       !stamp_equal(&items[j].as.done.claim, &items[i].as.done.claim) ||
                       stamp_compare(&items[i].stamp, &items[j].stamp) <= 0;
        if (is_least && (best == NULL || stamp_compare(&items[i].stamp, best) < 0))
            best = &items[i].stamp;
    }
    return best;
}

static bool model_frees(const struct item *item, const struct msg_stamp *claim)
{
    bool same = id_equal(&item->stamp.node, &claim->node);
    int order = boot_compare(&item->stamp.boot, &claim->boot);
    switch (item->kind) {
    case MSG_done: return item->as.done.task == 0 && stamp_equal(&item->as.done.claim, claim);
    case MSG_failed: return item->as.failed.task == 0 && stamp_equal(&item->as.failed.claim, claim);
    case MSG_released:
        return item->ranges[0].first == 0 && item->ranges[0].count > 0 &&
               stamp_equal(&item->as.released.claim, claim);
    case MSG_dead:
        return id_equal(&item->as.dead.node, &claim->node) &&
               boot_equal(&item->as.dead.boot, &claim->boot) &&
               claim->sequence <= item->as.dead.sequence;
    case MSG_opened: return same && order > 0;
    case MSG_left: return same && order == 0 && claim->sequence <= item->stamp.sequence;
    }
    return false;
}

static const struct msg_stamp *model_owner(const struct item *items, size_t count)
{
    const struct item *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != MSG_claim || items[i].ranges[0].first > 0) continue;
        if (items[i].ranges[0].count == 0) continue;
        bool is_free = false;
        for (size_t j = 0; j < count && !is_free; j++)
            is_free = model_frees(&items[j], &items[i].stamp);
        if (is_free) continue;
        if (best == NULL || items[i].as.claim.number > best->as.claim.number ||
            (items[i].as.claim.number == best->as.claim.number &&
             stamp_compare(&items[i].stamp, &best->stamp) < 0))
            best = &items[i];
    }
    return best == NULL ? NULL : &best->stamp;
}

static void check_model(struct fold *fold, const struct item *items, size_t count)
{
    const struct job *job = job_in(fold);
    if (job == NULL || !job->is_known || job->outcome != JOB_RUNNING) return;
    const struct attempt *committed = task_committed(&job->tasks[TASK_MAP][0]);
    const struct attempt *owner = task_owner(&job->tasks[TASK_MAP][0]);
    const struct msg_stamp *done = model_committed(items, count);
    const struct msg_stamp *claim = model_owner(items, count);
    assert_int_equal(committed != NULL, done != NULL);
    assert_int_equal(owner != NULL, claim != NULL);
    if (done != NULL) assert_true(stamp_equal(&committed->done, done));
    if (claim != NULL) assert_true(stamp_equal(&owner->claim, claim));
}

/* ---- order ---- */

struct outcome {
    uint64_t digest;
    struct picture picture;
};

/* Folds the items in the order of `order`, `times` times each; when more than once the digest is
 * asked for after each, so that no change may escape it. */
static void fold_in_order(struct item *items, const uint8_t *order, size_t count, unsigned times,
                          struct outcome *outcome)
{
    struct fold fold;
    fold_init(&fold);
    for (size_t i = 0; i < count; i++)
        for (unsigned time = 0; time < times; time++) {
            fold_apply(&fold, items[order[i]]);
            if (times > 1) (void)jobs_digest(&fold.jobs);
        }
    outcome->digest = jobs_digest(&fold.jobs);
    draw_jobs(&outcome->picture, &fold.jobs);
    check_model(&fold, items, count);
    fold_deinit(&fold);
}

static bool next_permutation(uint8_t *order, size_t count)
{
    size_t i = count;
    while (i > 1 && order[i - 2] >= order[i - 1]) i--;
    if (i <= 1) return false;
    size_t j = count;
    while (order[j - 1] <= order[i - 2]) j--;
    uint8_t swapped = order[i - 2];
    order[i - 2] = order[j - 1];
    order[j - 1] = swapped;
    for (size_t a = i - 1, b = count - 1; a < b; a++, b--) {
        swapped = order[a];
        order[a] = order[b];
        order[b] = swapped;
    }
    return true;
}

static void check_all_orders(struct item *items, size_t count)
{
    static struct outcome first, other;
    uint8_t order[8];
    for (size_t i = 0; i < count; i++) order[i] = (uint8_t)i;
    fold_in_order(items, order, count, 2, &first);
    while (next_permutation(order, count)) {
        fold_in_order(items, order, count, 1, &other);
        assert_int_equal(first.digest, other.digest);
        assert_string_equal(first.picture.text, other.picture.text);
    }
}

/* A dramatic task: two rivals, each kind of end, and the fates of node 0. */
static size_t drama(struct item *items)
{
    struct msg_stamp a = stamp_at(0, 1, 10), b = stamp_at(1, 1, 11), late = stamp_at(0, 2, 30);
    size_t count = 0;
    items[count++] = job_item(stamp_at(2, 1, 5), 0, 2, 1);
    items[count++] = claim_item(a, 1, CAUSE_FIRST, 0, 1);
    items[count++] = claim_item(b, 1, CAUSE_FIRST, 0, 2);
    items[count++] = done_item(stamp_at(0, 1, 20), a, 0);
    items[count++] = done_item(stamp_at(1, 1, 21), b, 0);
    items[count++] = failed_item(stamp_at(0, 1, 19), a, 0, true);
    items[count++] = released_item(stamp_at(0, 1, 18), a, CAUSE_RIVAL, 0, 1);
    items[count++] = dead_item(stamp_at(1, 1, 25), 0, 1, 15);
    items[count++] = opened_item(0, 2, 29);
    items[count++] = lost_item(stamp_at(2, 1, 40), stamp_at(0, 1, 20), 0);
    items[count++] = ended_item(stamp_at(2, 1, 50), JOB_DONE);
    items[count++] = ended_item(stamp_at(1, 1, 49), JOB_FAILED);
    items[count++] = job_item(stamp_at(1, 1, 6), 0, 1, 3);
    items[count++] = claim_item(late, 2, CAUSE_OWNER_RESTARTED, 0, 1);
    items[count++] = left_item(1, 1, 60);
    items[count++] = counted_item(stamp_at(0, 1, 17), a, 0);
    items[count++] = logged_item(stamp_at(0, 1, 16), a, 0);
    return count;
}

static void every_order_of_every_small_set_gives_one_state(void **state)
{
    (void)state;
    struct item all[17], some[8];
    size_t count = drama(all);
    for (uint32_t set = 0; set < 1u << count; set++) {
        size_t size = 0;
        if (__builtin_popcount(set) > 5) continue;
        for (size_t i = 0; i < count; i++)
            if (set >> i & 1) some[size++] = all[i];
        check_all_orders(some, size);
    }
}

static void every_order_of_seven_entries_gives_one_state(void **state)
{
    (void)state;
    static const uint8_t sets[][7] = {
        {0, 1, 2, 3, 5, 7, 9},   /* rivals, done and failed, dead, lost */
        {0, 1, 3, 4, 6, 8, 9},   /* two dones, released, restarted, lost */
        {0, 1, 2, 3, 9, 10, 11}, /* ended twice */
        {0, 12, 1, 2, 4, 9, 14}, /* submitted twice, with different sizes */
        {0, 1, 13, 5, 6, 7, 8},  /* all ends of one claim, and the next one */
        {0, 1, 3, 9, 15, 12, 2}, /* counted, done, lost, submitted twice */
    };
    struct item all[17], some[7];
    (void)drama(all);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        for (size_t i = 0; i < 7; i++) some[i] = all[sets[s][i]];
        check_all_orders(some, 7);
    }
}

/* What is said by hand (node/steer.c) is said by a third node, of claims that may never come: a new
 * run inherits dones of claims made in the run before. */
static void steering_by_hand_leaves_no_trace_of_order(void **state)
{
    (void)state;
    struct msg_stamp claim = stamp_at(0, 1, 10), before = stamp_at(1, 1, 3);
    struct msg_stamp inherited = stamp_at(2, 1, 11), next = stamp_at(1, 1, 30);
    struct item all[] = {
        job_item(stamp_at(2, 1, 9), 0, 2, 1),
        done_item(inherited, before, 0),             /* of the run before */
        dead_item(stamp_at(2, 1, 12), 1, 1, 8),      /* and its owner died since */
        lost_item(stamp_at(2, 1, 13), inherited, 0), /* retry of what was done */
        claim_item(next, 1, CAUSE_ASKED, 0, 1),
        claim_item(claim, 1, CAUSE_FIRST, 1, 1),
        released_item(stamp_at(2, 1, 20), claim, CAUSE_ASKED, 1, 1), /* retry of what runs */
        failed_item(stamp_at(2, 1, 21), claim, 1, true),             /* fail */
        failed_item(stamp_at(0, 1, 22), claim, 1, true),             /* what its node says */
        done_item(stamp_at(1, 1, 31), next, 0),
    };
    static const uint8_t sets[][7] = {
        {0, 1, 2, 3, 4, 9, 5}, {0, 5, 6, 7, 8, 1, 2}, {1, 2, 3, 4, 9, 6, 7}};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        struct item some[7];
        for (size_t i = 0; i < 7; i++) some[i] = all[sets[s][i]];
        check_all_orders(some, 7);
    }
}

/* ---- larger histories ---- */

static struct item arbitrary_item(struct prng *prng, uint64_t time)
{
    unsigned node = (unsigned)prng_below(prng, 3), boot = 1 + (unsigned)prng_below(prng, 2);
    struct msg_stamp stamp = stamp_at(node, boot, time);
    struct msg_stamp claim = stamp_at(node, boot, 1 + prng_below(prng, 60));
    uint32_t task = (uint32_t)prng_below(prng, 4);
    uint32_t count = (uint32_t)prng_below(prng, 4);
    enum cause cause = prng_below(prng, 2) == 0 ? CAUSE_FIRST : CAUSE_STRAGGLER;
    switch (prng_below(prng, 16)) {
    case 0:
        if (prng_below(prng, 2) == 0)
            return job_with_item(stamp, 1 + (uint32_t)prng_below(prng, 3), 1,
                                 (uint8_t)prng_below(prng, 4));
        return job_item(stamp, 0, 1 + (uint32_t)prng_below(prng, 3), 1);
    case 1: return dead_item(stamp, (unsigned)prng_below(prng, 3), 1, prng_below(prng, 60));
    case 2: return prng_below(prng, 4) == 0 ? left_item(1, 1, time) : opened_item(2, 2, time);
    case 3:
        if (prng_below(prng, 8) > 0) return opened_item(0, boot, time);
        return ended_item(stamp, (enum job_outcome)prng_below(prng, 5));
    case 4:
        if (prng_below(prng, 2) == 0) return counted_item(stamp, claim, task);
        return failed_item(stamp, claim, task, prng_below(prng, 2) == 0);
    case 5: return failed_item(stamp, claim, task, prng_below(prng, 2) == 0);
    case 6: return released_item(stamp, claim, CAUSE_LEAVING, task, count);
    case 7:
    case 8: return lost_item(stamp, claim, task);
    case 9:
    case 10:
    case 11: return done_item(stamp, claim, task);
    default: return claim_item(stamp, (uint32_t)prng_below(prng, 4), cause, task, count);
    }
}

/* Makes entries refer to each other: ends to claims, losts to dones. */
static void connect(struct prng *prng, struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct item *other = &items[prng_below(prng, count)];
        if (other->kind == MSG_claim && items[i].kind == MSG_done)
            items[i].as.done.claim = other->stamp;
        if (other->kind == MSG_claim && items[i].kind == MSG_failed)
            items[i].as.failed.claim = other->stamp;
        if (other->kind == MSG_claim && items[i].kind == MSG_released)
            items[i].as.released.claim = other->stamp;
        if (other->kind == MSG_done && items[i].kind == MSG_lost) {
            items[i].as.lost.done = other->stamp;
            items[i].as.lost.task = other->as.done.task;
        }
    }
}

static void shuffle(struct prng *prng, uint8_t *order, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)prng_below(prng, i);
        uint8_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}

static void shuffled_histories_give_one_state(void **state)
{
    (void)state;
    static struct outcome first, other;
    static struct item items[60];
    struct prng prng;
    prng_init(&prng, 42);
    for (unsigned history = 0; history < 4000; history++) {
        size_t count = 8 + (size_t)prng_below(&prng, 53);
        uint8_t order[60];
        for (size_t i = 0; i < count; i++) {
            items[i] = arbitrary_item(&prng, 1 + i);
            if (items[i].as.claim.number == 0 && items[i].kind == MSG_claim)
                items[i].as.claim.number = 1;
            order[i] = (uint8_t)i;
        }
        connect(&prng, items, count);
        fold_in_order(items, order, count, 1, &first);
        for (unsigned times = 1; times <= 4; times++) {
            shuffle(&prng, order, count);
            fold_in_order(items, order, count, 1 + times % 2, &other);
            assert_int_equal(first.digest, other.digest);
            assert_string_equal(first.picture.text, other.picture.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_every_small_set_gives_one_state),
        cmocka_unit_test(every_order_of_seven_entries_gives_one_state),
        cmocka_unit_test(steering_by_hand_leaves_no_trace_of_order),
        cmocka_unit_test(shuffled_histories_give_one_state),
    };
    return cmocka_run_group_tests_name("jobs, order", tests, NULL, NULL);
}
