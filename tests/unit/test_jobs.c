/* The fold, a rule in a sentence. That the order of entries leaves no trace is tested in
 * test_jobs_order.c; here they come in the order that tells the story best. */
#include "fold.h"

#include "tasks/logged.h"
#include "tasks/owners.h"
#include "tasks/poison.h"

#include <string.h>

/* Claims of map 0 at node 0 (twice) and node 1, first boots; stamps in total order. */
static struct msg_stamp claim_a(void) { return stamp_at(0, 1, 10); }
static struct msg_stamp claim_b(void) { return stamp_at(1, 1, 11); }
static struct msg_stamp claim_c(void) { return stamp_at(0, 1, 12); }

/* A job of 4 maps and 2 reduces. */
static void begin(struct fold *fold)
{
    fold_init(fold);
    fold_apply(fold, job_item(stamp_at(2, 1, 5), 0, 4, 2));
}

static void claim_map_0(struct fold *fold, struct msg_stamp claim, uint32_t number)
{
    fold_apply(fold, claim_item(claim, number, CAUSE_FIRST, 0, 1));
}

static void is_owner(struct fold *fold, const struct msg_stamp *claim)
{
    const struct attempt *owner = task_owner(map_in(fold, 0));
    assert_int_equal(owner != NULL, claim != NULL);
    if (claim != NULL) assert_true(stamp_equal(&owner->claim, claim));
}

static const struct attempt *attempt_in(struct fold *fold, struct msg_stamp claim)
{
    const struct attempt *attempt = task_attempt(map_in(fold, 0), &claim);
    assert_non_null(attempt);
    return attempt;
}

static void the_least_of_rival_claims_owns_the_task(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp a = claim_a(), b = claim_b();
    begin(&fold);
    is_owner(&fold, NULL);
    claim_map_0(&fold, b, 1);
    is_owner(&fold, &b);
    assert_false(task_is_rival_lost(map_in(&fold, 0), &b));
    claim_map_0(&fold, a, 1);
    is_owner(&fold, &a);
    assert_true(task_is_rival_lost(map_in(&fold, 0), &b));
    assert_false(task_is_rival_lost(map_in(&fold, 0), &a));
    assert_int_equal(job_in(&fold)->claims_count, 2);
    assert_int_equal(job_in(&fold)->running_count, 2);
    fold_deinit(&fold);
}

static void a_higher_attempt_owns_and_is_no_rival(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp a = claim_a(), b = claim_b();
    begin(&fold);
    claim_map_0(&fold, a, 1);
    fold_apply(&fold, claim_item(b, 2, CAUSE_STRAGGLER, 0, 1));
    is_owner(&fold, &b);
    assert_false(task_is_rival_lost(map_in(&fold, 0), &b));
    assert_int_equal(map_in(&fold, 0)->highest, 2);
    assert_int_equal(job_in(&fold)->speculated_count, 1);
    assert_int_equal(job_in(&fold)->reexecuted_count, 0);
    fold_deinit(&fold);
}

static void the_least_done_is_committed(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    claim_map_0(&fold, claim_b(), 1);
    assert_null(task_committed(map_in(&fold, 0)));
    fold_apply(&fold, done_item(stamp_at(0, 1, 30), claim_a(), 0));
    assert_ptr_equal(task_committed(map_in(&fold, 0)), attempt_in(&fold, claim_a()));
    fold_apply(&fold, done_item(stamp_at(1, 1, 20), claim_b(), 0));
    assert_ptr_equal(task_committed(map_in(&fold, 0)), attempt_in(&fold, claim_b()));
    assert_int_equal(attempt_in(&fold, claim_b())->output.size, 120);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 1);
    fold_deinit(&fold);
}

static void a_lost_done_gives_way_to_the_next(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    claim_map_0(&fold, claim_b(), 1);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    fold_apply(&fold, done_item(stamp_at(1, 1, 30), claim_b(), 0));
    fold_apply(&fold, lost_item(stamp_at(2, 1, 40), stamp_at(0, 1, 20), 0));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_LOST);
    assert_ptr_equal(task_committed(map_in(&fold, 0)), attempt_in(&fold, claim_b()));
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 1);
    fold_apply(&fold, lost_item(stamp_at(2, 1, 41), stamp_at(1, 1, 30), 0));
    assert_null(task_committed(map_in(&fold, 0)));
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 0);
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_OUTPUT_LOST);
    assert_int_equal(map_in(&fold, 0)->frees, 1);
    fold_deinit(&fold);
}

static void a_lost_that_comes_before_its_done_counts(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    fold_apply(&fold, lost_item(stamp_at(2, 1, 40), stamp_at(0, 1, 20), 0));
    claim_map_0(&fold, claim_a(), 1);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_LOST);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 0);
    fold_deinit(&fold);
}

static void dead_frees_claims_up_to_its_sequence_early_and_late(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp c = claim_c();
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    fold_apply(&fold, dead_item(stamp_at(2, 1, 20), 0, 1, 11));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_DEAD);
    assert_int_equal(attempt_in(&fold, claim_a())->end_cause, CAUSE_OWNER_DEAD);
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_OWNER_DEAD);
    claim_map_0(&fold, c, 2);
    is_owner(&fold, &c);
    fold_apply(&fold, claim_item(stamp_at(0, 1, 9), 1, CAUSE_FIRST, 1, 1));
    assert_null(task_owner(map_in(&fold, 1)));
    fold_apply(&fold, dead_item(stamp_at(2, 1, 21), 0, 1, 12));
    is_owner(&fold, NULL);
    fold_deinit(&fold);
}

static void a_later_boot_frees_what_the_former_claimed(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp again = stamp_at(0, 2, 31);
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    fold_apply(&fold, opened_item(0, 2, 30));
    assert_int_equal(attempt_in(&fold, claim_a())->end_cause, CAUSE_OWNER_RESTARTED);
    claim_map_0(&fold, claim_c(), 1);
    is_owner(&fold, NULL);
    claim_map_0(&fold, again, 2);
    fold_apply(&fold, opened_item(0, 1, 1));
    is_owner(&fold, &again);
    fold_deinit(&fold);
}

static void who_left_owns_nothing(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_b(), 1);
    fold_apply(&fold, left_item(1, 1, 50));
    is_owner(&fold, NULL);
    assert_int_equal(attempt_in(&fold, claim_b())->end_cause, CAUSE_OWNER_LEFT);
    fold_deinit(&fold);
}

static void done_over_failed_over_released_over_dead(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    fold_apply(&fold, dead_item(stamp_at(2, 1, 20), 0, 1, 11));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_DEAD);
    fold_apply(&fold, released_item(stamp_at(0, 1, 21), claim_a(), CAUSE_LEAVING, 0, 1));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_RELEASED);
    fold_apply(&fold, failed_item(stamp_at(0, 1, 22), claim_a(), 0, true));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_FAILED);
    assert_int_equal(map_in(&fold, 0)->failures, 1);
    fold_apply(&fold, done_item(stamp_at(0, 1, 23), claim_a(), 0));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_DONE);
    assert_int_equal(map_in(&fold, 0)->failures, 0);
    assert_int_equal(job_in(&fold)->failed_count, 0);
    fold_apply(&fold, failed_item(stamp_at(0, 1, 1), claim_a(), 0, true));
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_DONE);
    fold_deinit(&fold);
}

static void only_charged_failures_count(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    claim_map_0(&fold, claim_c(), 2);
    fold_apply(&fold, failed_item(stamp_at(0, 1, 20), claim_a(), 0, false));
    fold_apply(&fold, failed_item(stamp_at(0, 1, 21), claim_c(), 0, true));
    assert_int_equal(map_in(&fold, 0)->failures, 1);
    assert_int_equal(job_in(&fold)->failed_count, 2);
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_ATTEMPT_FAILED);
    assert_memory_equal(attempt_in(&fold, claim_c())->log.at, "alas", 4);
    fold_deinit(&fold);
}

static void a_copy_that_yielded_is_no_cause(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    claim_map_0(&fold, claim_b(), 1);
    fold_apply(&fold, released_item(stamp_at(1, 1, 20), claim_b(), CAUSE_RIVAL, 0, 1));
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_STRAGGLER);
    fold_apply(&fold, dead_item(stamp_at(2, 1, 21), 0, 1, 15));
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_OWNER_DEAD);
    assert_int_equal(task_next_cause(map_in(&fold, 1)), CAUSE_FIRST);
    fold_deinit(&fold);
}

static void an_end_makes_a_placeholder_that_its_claim_completes(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    assert_int_equal(attempt_in(&fold, claim_a())->number, 0);
    assert_int_equal(job_in(&fold)->claims_count, 0);
    claim_map_0(&fold, claim_a(), 3);
    assert_int_equal(attempt_in(&fold, claim_a())->number, 3);
    assert_int_equal(attempt_in(&fold, claim_a())->state, ATTEMPT_DONE);
    assert_int_equal(job_in(&fold)->claims_count, 1);
    fold_deinit(&fold);
}

static void entries_wait_for_their_job(void **state)
{
    (void)state;
    struct fold fold;
    fold_init(&fold);
    claim_map_0(&fold, claim_a(), 1);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    assert_false(job_in(&fold)->is_known);
    assert_int_equal(fold.jobs.pending.count, 2);
    assert_int_equal(job_tasks_count(job_in(&fold), TASK_MAP), 0);
    fold_apply(&fold, job_item(stamp_at(2, 1, 5), 0, 4, 2));
    assert_int_equal(fold.jobs.pending.count, 0);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 1);
    fold_deinit(&fold);
}

static void the_least_job_entry_counts(void **state)
{
    (void)state;
    struct fold fold;
    fold_init(&fold);
    fold_apply(&fold, job_item(stamp_at(2, 1, 7), 0, 4, 2));
    fold_apply(&fold, claim_item(claim_a(), 1, CAUSE_FIRST, 0, 6));
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), 3));
    assert_int_equal(fold.jobs.pending.count, 1);
    assert_int_equal(job_in(&fold)->claims_count, 4);
    fold_apply(&fold, job_item(stamp_at(1, 1, 6), 0, 2, 2));
    assert_int_equal(job_in(&fold)->claims_count, 2);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 0);
    fold_apply(&fold, job_item(stamp_at(1, 1, 5), 0, 6, 2));
    assert_int_equal(job_in(&fold)->claims_count, 6);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 1);
    assert_int_equal(fold.jobs.pending.count, 0);
    fold_apply(&fold, job_item(stamp_at(1, 1, 8), 0, 1, 1));
    assert_int_equal(job_in(&fold)->spec.maps, 6);
    fold_deinit(&fold);
}

static void what_names_no_task_is_ignored(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    struct item claim = claim_item(claim_a(), 0, CAUSE_FIRST, 3, UINT32_MAX);
    claim.ranges[1] = (struct msg_task_range){2, 0, 4};
    claim.ranges_count = 2;
    fold_apply(&fold, claim);
    assert_int_equal(job_in(&fold)->claims_count, 1);
    assert_int_equal(map_in(&fold, 3)->highest, 1);
    struct item endless = claim_item(claim_b(), 1, CAUSE_FIRST, 0, 1);
    endless.ranges[1] = endless.ranges[0];
    endless.ranges[0] = (struct msg_task_range){2, 0, 2 * TASKS_MAX};
    endless.ranges_count = 2;
    fold_apply(&fold, endless);
    assert_int_equal(job_in(&fold)->claims_count, 1);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_a(), TASKS_MAX));
    struct item done = done_item(stamp_at(0, 1, 21), claim_a(), 0);
    done.as.done.kind = 2;
    fold_apply(&fold, done);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 0);
    struct stamped unknown = {stamp_at(0, 1, 22), 127, NULL};
    assert_int_equal(jobs_apply(&fold.jobs, &unknown), ERROR_NONE);
    fold_deinit(&fold);
}

static void a_job_that_is_too_large_is_ignored(void **state)
{
    (void)state;
    struct fold fold;
    fold_init(&fold);
    fold_apply(&fold, job_item(stamp_at(2, 1, 5), 0, TASKS_MAX + 1, 1));
    fold_apply(&fold, job_item(stamp_at(2, 1, 6), 0, 1, UINT32_MAX));
    assert_null(job_in(&fold));
    fold_apply(&fold, job_item(stamp_at(2, 1, 7), 0, TASKS_MAX, 0));
    assert_int_equal(job_in(&fold)->spec.maps, TASKS_MAX);
    fold_deinit(&fold);
}

static void done_over_failed_over_killed_then_the_least_end(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    fold_apply(&fold, ended_item(stamp_at(0, 1, 50), (enum job_outcome)4));
    fold_apply(&fold, ended_item(stamp_at(0, 1, 51), JOB_RUNNING));
    assert_int_equal(job_in(&fold)->outcome, JOB_RUNNING);
    fold_apply(&fold, ended_item(stamp_at(0, 1, 52), JOB_KILLED));
    assert_int_equal(job_in(&fold)->outcome, JOB_KILLED);
    fold_apply(&fold, ended_item(stamp_at(0, 1, 53), JOB_DONE));
    assert_int_equal(job_in(&fold)->outcome, JOB_DONE);
    fold_apply(&fold, ended_item(stamp_at(0, 1, 40), JOB_FAILED));
    assert_int_equal(job_in(&fold)->outcome, JOB_DONE);
    fold_apply(&fold, ended_item(stamp_at(0, 1, 45), JOB_DONE));
    assert_int_equal(job_in(&fold)->output_size, 45);
    assert_memory_equal(job_in(&fold)->error.at, "that is all", 11);
    fold_deinit(&fold);
}

static void an_ended_job_is_its_end_in_the_digest(void **state)
{
    (void)state;
    struct fold whole, summary;
    begin(&whole);
    claim_map_0(&whole, claim_a(), 1);
    fold_apply(&whole, done_item(stamp_at(0, 1, 20), claim_a(), 0));
    fold_init(&summary);
    assert_int_not_equal(jobs_digest(&whole.jobs), jobs_digest(&summary.jobs));
    fold_apply(&whole, ended_item(stamp_at(0, 1, 50), JOB_DONE));
    fold_apply(&summary, ended_item(stamp_at(0, 1, 50), JOB_DONE));
    assert_int_equal(jobs_digest(&whole.jobs), jobs_digest(&summary.jobs));
    assert_int_equal(job_in(&whole)->done_count[TASK_MAP], 1);
    fold_apply(&summary, ended_item(stamp_at(0, 1, 49), JOB_DONE));
    assert_int_not_equal(jobs_digest(&whole.jobs), jobs_digest(&summary.jobs));
    fold_deinit(&whole);
    fold_deinit(&summary);
}

static void nothing_runs_in_an_ended_job(void **state)
{
    (void)state;
    struct fold fold;
    struct id node = node_of(0);
    struct boot boot = claim_a().boot;
    begin(&fold);
    claim_map_0(&fold, claim_a(), 1);
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &boot), 10);
    fold_apply(&fold, ended_item(stamp_at(1, 1, 50), JOB_KILLED));
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &boot), 0);
    claim_map_0(&fold, claim_c(), 2);
    is_owner(&fold, NULL);
    assert_int_equal(attempt_in(&fold, claim_c())->end_cause, CAUSE_JOB_ENDED);
    assert_int_equal(job_in(&fold)->running_count, 0);
    fold_deinit(&fold);
}

static void what_a_boot_owns_is_its_highest_live_claim(void **state)
{
    (void)state;
    struct fold fold;
    struct id node = node_of(0);
    struct boot boot = claim_a().boot, other = {.counter = 9};
    begin(&fold);
    fold_apply(&fold, claim_item(claim_a(), 1, CAUSE_FIRST, 0, 2));
    fold_apply(&fold, claim_item(claim_c(), 1, CAUSE_FIRST, 2, 1));
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &boot), 12);
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &other), 0);
    fold_apply(&fold, done_item(stamp_at(0, 1, 20), claim_c(), 2));
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &boot), 10);
    fold_apply(&fold, dead_item(stamp_at(2, 1, 21), 0, 1, 10));
    assert_int_equal(jobs_owned_by(&fold.jobs, &node, &boot), 0);
    fold_deinit(&fold);
}

static void every_change_moves_the_revisions(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    uint64_t revision = job_in(&fold)->revision, all = fold.jobs.revision;
    claim_map_0(&fold, claim_a(), 1);
    assert_true(job_in(&fold)->revision > revision && fold.jobs.revision > all);
    revision = job_in(&fold)->revision;
    claim_map_0(&fold, claim_a(), 1);
    assert_int_equal(job_in(&fold)->revision, revision);
    fold_apply(&fold, opened_item(0, 2, 30));
    assert_true(job_in(&fold)->revision > revision);
    fold_deinit(&fold);
}

static struct job *named(struct fold *fold, const char *text, size_t *matches)
{
    return jobs_find_name(&fold->jobs, slice_string(text), matches);
}

static void jobs_are_found_by_name_and_unique_prefix(void **state)
{
    (void)state;
    struct fold fold;
    size_t matches;
    begin(&fold);
    fold_apply(&fold, job_item(stamp_at(2, 1, 6), 1, 1, 1));
    assert_ptr_equal(named(&fold, "wc-3f7a", &matches), job_in(&fold));
    assert_ptr_equal(named(&fold, "wc-3f7", &matches), job_in(&fold));
    assert_int_equal(matches, 1);
    assert_null(named(&fold, "wc-3f", &matches));
    assert_int_equal(matches, 2);
    assert_null(named(&fold, "wc-3f7ab", &matches));
    assert_int_equal(matches, 0);
    struct item same = job_item(stamp_at(2, 1, 7), 2, 1, 1);
    same.as.job.spec.name = slice_string("wc-3f");
    fold_apply(&fold, same);
    assert_non_null(named(&fold, "wc-3f", &matches));
    assert_int_equal(matches, 1);
    fold_deinit(&fold);
}

static void names_are_fit_to_be_shown(void **state)
{
    (void)state;
    struct fold fold;
    char text[96];
    struct item odd = job_item(stamp_at(2, 1, 5), 0, 1, 1);
    fold_init(&fold);
    odd.as.job.spec.name = slice_string("a/b\033[2Jc");
    fold_apply(&fold, odd);
    assert_string_equal(task_name(job_in(&fold), TASK_MAP, 12, 0, text), "a_b_[2Jc/m12");
    odd.stamp = stamp_at(2, 1, 4);
    odd.as.job.spec.name = slice_of(NULL, 0);
    fold_apply(&fold, odd);
    assert_string_equal(task_name(job_in(&fold), TASK_REDUCE, 0, 3, text), "10000000/r0.3");
    fold_deinit(&fold);
}

/* A lesser job entry gives another name. */
static void jobs_of_one_name_are_told_apart_when_one_is_renamed(void **state)
{
    (void)state;
    for (int renamed = 0; renamed < 3; renamed++) {
        struct fold fold;
        size_t matches;
        fold_init(&fold);
        struct item item = job_item(stamp_at(2, 1, 9), 0, 1, 1);
        item.as.job.spec.name = slice_string("same");
        for (int i = 0; i < 3; i++) {
            item.as.job.job.bytes[5] = (uint8_t)i;
            fold_apply(&fold, item);
        }
        assert_null(named(&fold, "same", &matches));
        assert_int_equal(matches, 3);
        item.stamp = stamp_at(2, 1, 4);
        item.as.job.spec.name = slice_string("other");
        item.as.job.job.bytes[5] = (uint8_t)renamed;
        fold_apply(&fold, item);
        assert_null(named(&fold, "same", &matches));
        assert_int_equal(matches, 2);
        assert_int_equal(named(&fold, "other", &matches)->id.bytes[5], renamed);
        assert_int_equal(named(&fold, "o", &matches)->id.bytes[5], renamed);
        fold_deinit(&fold);
    }
}

static void task_names_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "wc",     "wc/",      "/m1",      "wc/m",           "wc/x1",
        "wc/1", "wc/m1.", "wc/m1.0",  "wc/m1.2x", "wc/m4294967296", "wc/m-1",
        "m1",   "wc/m1 ", "wc/m1..2",
    };
    struct slice job;
    enum task_kind kind;
    uint32_t index, attempt;
    assert_true(task_parse(slice_string("wc/m12"), &job, &kind, &index, &attempt));
    assert_true(slice_equal(job, slice_string("wc")));
    assert_true(kind == TASK_MAP && index == 12 && attempt == 0);
    assert_true(task_parse(slice_string("a/b/r0.7"), &job, &kind, &index, &attempt));
    assert_true(slice_equal(job, slice_string("a/b")));
    assert_true(kind == TASK_REDUCE && index == 0 && attempt == 7);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(task_parse(slice_string(bad[i]), &job, &kind, &index, &attempt));
}

static void the_spec_is_a_copy(void **state)
{
    (void)state;
    struct fold fold;
    char mapper[] = "cat";
    struct msg_text variables[64];
    struct item job = job_item(stamp_at(2, 1, 5), 0, 1, 1);
    for (size_t i = 0; i < 64; i++) variables[i].text = slice_string("A=1");
    job.as.job.spec.mapper = slice_string(mapper);
    job.as.job.spec.environment = (struct list){variables, 64};
    fold_init(&fold);
    fold_apply(&fold, job);
    memset(mapper, 'x', 3);
    memset(variables, 0, sizeof variables);
    const struct msg_text *copies = job_in(&fold)->spec.environment.at;
    assert_memory_equal(job_in(&fold)->spec.mapper.at, "cat", 3);
    assert_memory_equal(copies[63].text.at, "A=1", 3);
    fold_deinit(&fold);
}

/* Until one fails, or all are folded. */
static enum error apply_story(struct jobs *jobs)
{
    struct item items[] = {
        opened_item(0, 1, 1),
        claim_item(claim_b(), 1, CAUSE_FIRST, 0, 2),
        job_item(stamp_at(2, 1, 5), 0, 4, 2),
        claim_item(claim_a(), 1, CAUSE_FIRST, 0, 3),
        done_item(stamp_at(0, 1, 20), claim_a(), 0),
        failed_item(stamp_at(0, 1, 21), claim_a(), 1, true),
        released_item(stamp_at(0, 1, 22), claim_a(), CAUSE_LEAVING, 2, 1),
        lost_item(stamp_at(2, 1, 23), stamp_at(0, 1, 20), 0),
        logged_item(stamp_at(0, 1, 19), claim_a(), 0),
        dead_item(stamp_at(2, 1, 24), 3, 1, 15),
        left_item(4, 1, 60),
        job_item(stamp_at(2, 1, 4), 0, 8, 2),
        ended_item(stamp_at(2, 1, 70), JOB_DONE),
    };
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        struct stamped entry = entry_of(&items[i]);
        enum error error = jobs_apply(jobs, &entry);
        if (error != ERROR_NONE) return error;
    }
    return ERROR_NONE;
}

static void every_failing_allocation_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    struct fold fold;
    uint64_t fail_after = 0;
    enum error error;
    do {
        fold_init(&fold);
        fold.memory.fail_after = ++fail_after;
        error = apply_story(&fold.jobs);
        assert_true(error == ERROR_NONE || error == ERROR_MEMORY);
        fold_deinit(&fold);
    } while (error != ERROR_NONE);
    assert_true(fail_after > 20);
}

static bool is_free(struct fold *fold, uint32_t i)
{
    return (job_in(fold)->free[TASK_MAP][i / 64] >> (i % 64) & 1) != 0;
}

static void a_task_to_verify_is_free_until_enough_copies_are_done(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp a = stamp_at(0, 1, 10), b = stamp_at(1, 1, 20);
    fold_init(&fold);
    fold_apply(&fold, job_with_item(stamp_at(2, 1, 5), 2, 1, 2));
    fold_apply(&fold, claim_item(a, 1, CAUSE_FIRST, 0, 1));
    fold_apply(&fold, done_item(stamp_at(0, 1, 11), a, 0));
    const struct job *job = job_in(&fold);
    assert_int_equal(job->done_count[TASK_MAP], 1);
    assert_int_equal(job->verified_count[TASK_MAP], 0);
    assert_true(is_free(&fold, 0));
    assert_int_equal(task_next_cause(map_in(&fold, 0)), CAUSE_VERIFY);
    fold_apply(&fold, claim_item(b, 2, CAUSE_VERIFY, 0, 1));
    assert_false(is_free(&fold, 0));
    fold_apply(&fold, done_item(stamp_at(1, 1, 21), b, 0));
    assert_false(is_free(&fold, 0));
    assert_int_equal(job->verified_count[TASK_MAP], 1);
    assert_int_equal(job->reexecuted_count, 0);
    /* A copy that is lost has to be made again. */
    fold_apply(&fold, lost_item(stamp_at(2, 1, 30), stamp_at(1, 1, 21), 0));
    assert_true(is_free(&fold, 0));
    assert_int_equal(job->verified_count[TASK_MAP], 0);
    fold_deinit(&fold);
}

static void copies_with_other_outputs_are_noticed(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp a = stamp_at(0, 1, 10), b = stamp_at(1, 1, 20);
    begin(&fold);
    claim_map_0(&fold, a, 1);
    fold_apply(&fold, claim_item(b, 2, CAUSE_STRAGGLER, 0, 1));
    struct item one = done_item(stamp_at(0, 1, 11), a, 0);
    struct item other = done_item(stamp_at(1, 1, 21), b, 0);
    fold_apply(&fold, one);
    assert_null(task_different(map_in(&fold, 0)));
    fold_apply(&fold, other);
    assert_int_equal(job_in(&fold)->differing_count, 1);
    assert_ptr_equal(task_different(map_in(&fold, 0)), task_attempt(map_in(&fold, 0), &b));
    fold_deinit(&fold);
    begin(&fold);
    claim_map_0(&fold, a, 1);
    fold_apply(&fold, claim_item(b, 2, CAUSE_STRAGGLER, 0, 1));
    other.as.done.output = one.as.done.output;
    fold_apply(&fold, other);
    fold_apply(&fold, one);
    assert_int_equal(job_in(&fold)->differing_count, 0);
    fold_deinit(&fold);
}

static void a_lesser_job_entry_brings_its_terms(void **state)
{
    (void)state;
    struct fold fold;
    struct msg_stamp a = stamp_at(0, 1, 10);
    fold_init(&fold);
    fold_apply(&fold, job_item(stamp_at(2, 1, 5), 0, 2, 0));
    fold_apply(&fold, claim_item(a, 1, CAUSE_FIRST, 0, 1));
    fold_apply(&fold, done_item(stamp_at(0, 1, 11), a, 0));
    assert_int_equal(job_in(&fold)->verified_count[TASK_MAP], 1);
    fold_apply(&fold, job_with_item(stamp_at(1, 1, 4), 2, 0, 3));
    assert_int_equal(job_in(&fold)->verified_count[TASK_MAP], 0);
    assert_int_equal(job_in(&fold)->done_count[TASK_MAP], 1);
    assert_true(is_free(&fold, 0));
    fold_deinit(&fold);
}

/* Node n claims map 0 as attempt `number`, and is heard to die at that second. */
static void claims_and_dies(struct fold *fold, unsigned n, uint32_t number, int64_t second)
{
    struct msg_stamp claim = stamp_at(n, 1, 10 * number);
    enum cause cause = number == 1 ? CAUSE_FIRST : CAUSE_OWNER_DEAD;
    fold_apply(fold, claim_item(claim, number, cause, 0, 1));
    fold->jobs.now = second * SECOND;
    fold_apply(fold, dead_item(stamp_at(7, 1, 10 * number + 5), n, 1, 10 * number));
}

static void three_nodes_that_die_alone_of_a_task_make_it_poison(void **state)
{
    (void)state;
    struct fold fold;
    struct id nodes[POISON_DEATHS];
    begin(&fold);
    claims_and_dies(&fold, 0, 1, 100);
    assert_false(poison_is_doubted(map_in(&fold, 0)));
    claims_and_dies(&fold, 1, 2, 102);
    assert_true(poison_is_doubted(map_in(&fold, 0)));
    claims_and_dies(&fold, 2, 3, 104);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    claims_and_dies(&fold, 3, 4, 106);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 3);
    assert_int_equal(job_in(&fold)->doubted_count, 3);
    assert_true(id_equal(&nodes[0], &(struct id){{0xa1}}));
    fold_deinit(&fold);
}

/* A copy of what a suspect ran: if the suspect lives, what killed the copy's owner is not known. */
static void a_suspect_that_died_is_a_death_before(void **state)
{
    (void)state;
    struct fold fold;
    struct id nodes[POISON_DEATHS];
    begin(&fold);
    fold_apply(&fold, claim_item(stamp_at(0, 1, 10), 1, CAUSE_FIRST, 0, 1));
    fold_apply(&fold, claim_item(stamp_at(1, 1, 20), 2, CAUSE_OWNER_SILENT, 0, 1));
    fold.jobs.now = 100 * SECOND;
    fold_apply(&fold, dead_item(stamp_at(7, 1, 25), 1, 1, 20));
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 0);
    assert_false(poison_is_doubted(map_in(&fold, 0)));
    fold_apply(&fold, dead_item(stamp_at(7, 1, 26), 0, 1, 10));
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 1);
    assert_true(poison_is_doubted(map_in(&fold, 0)));
    assert_int_equal(job_in(&fold)->doubted_count, 1);
    fold_deinit(&fold);
}

static void a_node_that_dies_twice_is_one_and_who_dies_with_others_is_none(void **state)
{
    (void)state;
    struct fold fold;
    struct id nodes[POISON_DEATHS];
    begin(&fold);
    claims_and_dies(&fold, 0, 1, 100);
    claims_and_dies(&fold, 1, 2, 200);
    struct msg_stamp again = stamp_at(1, 2, 30);
    fold_apply(&fold, claim_item(again, 3, CAUSE_OWNER_DEAD, 0, 1));
    fold_apply(&fold, dead_item(stamp_at(7, 1, 35), 1, 2, 30));
    claims_and_dies(&fold, 2, 4, 300);
    claims_and_dies(&fold, 3, 5, 400);
    /* Node 4 ran another task, and went within 10 s of node 3: the power, it seems. */
    fold_apply(&fold, claim_item(stamp_at(4, 1, 60), 1, CAUSE_FIRST, 1, 1));
    fold.jobs.now = 409 * SECOND;
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 3);
    fold_apply(&fold, dead_item(stamp_at(7, 1, 65), 4, 1, 60));
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    /* It is back and claims the task itself: it did not die of that then. */
    fold_apply(&fold, claim_item(stamp_at(4, 2, 70), 6, CAUSE_OWNER_DEAD, 0, 1));
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    fold_deinit(&fold);
}

static void of_rivals_that_die_one_counts(void **state)
{
    (void)state;
    struct fold fold;
    struct id nodes[POISON_DEATHS];
    begin(&fold);
    claims_and_dies(&fold, 0, 1, 100);
    claims_and_dies(&fold, 1, 2, 102);
    fold_apply(&fold, claim_item(stamp_at(2, 1, 30), 3, CAUSE_OWNER_DEAD, 0, 1));
    claims_and_dies(&fold, 3, 3, 104);
    fold_apply(&fold, dead_item(stamp_at(7, 1, 37), 2, 1, 30));
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    claims_and_dies(&fold, 4, 4, 106);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 3);
    fold_deinit(&fold);
}

static void who_lives_on_did_not_die_of_it(void **state)
{
    (void)state;
    struct fold fold;
    struct id nodes[POISON_DEATHS], paused = node_of(2);
    struct boot same = {.counter = 1, .random = 7}, next = {.counter = 2, .random = 7};
    begin(&fold);
    owners_live(&fold.jobs, &paused, &same);
    for (unsigned n = 0; n < 4; n++) claims_and_dies(&fold, n, n + 1, 100 + 20 * n);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    owners_live(&fold.jobs, &paused, NULL);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 3);
    owners_live(&fold.jobs, &paused, &same);
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 2);
    owners_live(&fold.jobs, &paused, &next); /* back after all */
    assert_int_equal(poison_victims(&fold.jobs, map_in(&fold, 0), nodes, POISON_DEATHS), 3);
    fold_deinit(&fold);
}

static void logs_have_so_much_room_and_failures_twice_that(void **state)
{
    (void)state;
    struct fold fold;
    begin(&fold);
    assert_true(logged_has_room(job_in(&fold), 65536, false));
    struct item item = logged_item(stamp_at(0, 1, 19), claim_a(), 0);
    item.as.logged.log.size = 32 << 20;
    fold_apply(&fold, item);
    assert_int_equal(logged_of(map_in(&fold, 0), &item.as.logged.claim)->size, 32 << 20);
    assert_false(logged_has_room(job_in(&fold), 1, false));
    assert_true(logged_has_room(job_in(&fold), 65536, true));
    item.stamp = stamp_at(0, 1, 18); /* the least counts, and instead of the other */
    item.as.logged.log.size = UINT64_MAX;
    fold_apply(&fold, item);
    assert_false(logged_has_room(job_in(&fold), 1, true));
    item.stamp = stamp_at(0, 1, 20);
    item.as.logged.log.size = 7;
    fold_apply(&fold, item);
    assert_int_equal(job_in(&fold)->logged_size, UINT64_MAX);
    fold_apply(&fold, ended_item(stamp_at(2, 1, 70), JOB_DONE));
    jobs_trim(&fold.jobs, job_in(&fold));
    assert_int_equal(job_in(&fold)->logged_size, 0);
    fold_deinit(&fold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_of_rival_claims_owns_the_task),
        cmocka_unit_test(a_higher_attempt_owns_and_is_no_rival),
        cmocka_unit_test(the_least_done_is_committed),
        cmocka_unit_test(a_lost_done_gives_way_to_the_next),
        cmocka_unit_test(a_lost_that_comes_before_its_done_counts),
        cmocka_unit_test(dead_frees_claims_up_to_its_sequence_early_and_late),
        cmocka_unit_test(a_later_boot_frees_what_the_former_claimed),
        cmocka_unit_test(who_left_owns_nothing),
        cmocka_unit_test(done_over_failed_over_released_over_dead),
        cmocka_unit_test(only_charged_failures_count),
        cmocka_unit_test(a_copy_that_yielded_is_no_cause),
        cmocka_unit_test(an_end_makes_a_placeholder_that_its_claim_completes),
        cmocka_unit_test(entries_wait_for_their_job),
        cmocka_unit_test(the_least_job_entry_counts),
        cmocka_unit_test(what_names_no_task_is_ignored),
        cmocka_unit_test(a_job_that_is_too_large_is_ignored),
        cmocka_unit_test(done_over_failed_over_killed_then_the_least_end),
        cmocka_unit_test(an_ended_job_is_its_end_in_the_digest),
        cmocka_unit_test(nothing_runs_in_an_ended_job),
        cmocka_unit_test(what_a_boot_owns_is_its_highest_live_claim),
        cmocka_unit_test(every_change_moves_the_revisions),
        cmocka_unit_test(jobs_are_found_by_name_and_unique_prefix),
        cmocka_unit_test(names_are_fit_to_be_shown),
        cmocka_unit_test(jobs_of_one_name_are_told_apart_when_one_is_renamed),
        cmocka_unit_test(task_names_parse),
        cmocka_unit_test(the_spec_is_a_copy),
        cmocka_unit_test(every_failing_allocation_is_an_error_and_leaks_nothing),
        cmocka_unit_test(a_lesser_job_entry_brings_its_terms),
        cmocka_unit_test(copies_with_other_outputs_are_noticed),
        cmocka_unit_test(a_task_to_verify_is_free_until_enough_copies_are_done),
        cmocka_unit_test(a_node_that_dies_twice_is_one_and_who_dies_with_others_is_none),
        cmocka_unit_test(logs_have_so_much_room_and_failures_twice_that),
        cmocka_unit_test(three_nodes_that_die_alone_of_a_task_make_it_poison),
        cmocka_unit_test(of_rivals_that_die_one_counts),
        cmocka_unit_test(who_lives_on_did_not_die_of_it),
        cmocka_unit_test(a_suspect_that_died_is_a_death_before),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
