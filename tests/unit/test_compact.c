/* Compaction: an ended job is its summary, nothing that counts is lost, whatever is cut where and
 * when; and a start from any disk that a crash leaves has the same state. Snapshots that come from
 * others, and those of liars: test_snapshot.c. */
#include "cut_lab.h"

static enum error count_pair(void *context, struct slice key, struct slice value)
{
    (void)key, (void)value;
    ++*(size_t *)context;
    return ERROR_NONE;
}

static size_t stored(struct replica *replica, const char *prefix)
{
    size_t count = 0;
    struct slice start = slice_string(prefix);
    assert_int_equal(storage_each(replica->disk, start, count_pair, &count), ERROR_NONE);
    return count;
}

static void an_ended_job_becomes_its_summary(void **state)
{
    (void)state;
    struct replica *a = replica_open(1);
    say_whole_job(a, 1, 20);
    uint64_t before = replica_state(a), log = log_digest(a->log);
    size_t memory = a->memory.used;
    assert_int_equal(replica_cut(a), 0); /* nothing is on the disk yet */
    assert_int_equal(replica_cut_now(a), 41);
    const struct log_counters *counters = log_counters(a->log);
    assert_int_equal(counters->cut, 41);
    assert_int_equal(counters->kept, 1); /* the job; its end is the anchor */
    assert_true(replica_state(a) == before && log_digest(a->log) == log);
    assert_true(a->memory.used < memory / 2);
    replica_sweep(a, 7);
    assert_int_equal(stored(a, "batch"), 1);
    assert_int_equal(stored(a, "kept"), 1);
    replica_restart(a);
    assert_true(replica_state(a) == before && log_digest(a->log) == log);
    replica_close(a);
}

static void what_is_young_or_still_counts_stays(void **state)
{
    (void)state;
    struct replica *a = replica_open(1);
    say_job(a, 1, 50);
    for (uint32_t i = 0; i < 50; i++) (void)say_claim(a, 1, i);
    assert_int_equal(replica_cut_now(a), 0); /* it runs */
    say_ended(a, 1);
    replica_sync(a);
    assert_int_equal(replica_cut(a), 51); /* what was marked before; the end itself is too young */
    say_whole_job(a, 2, 5);
    replica_sync(a);
    assert_int_equal(replica_cut(a), 0); /* since the last pass */
    assert_int_equal(replica_cut(a), 12);
    replica_close(a);
}

static void a_pass_looks_at_no_more_than_it_may(void **state)
{
    (void)state;
    struct replica *a = replica_open(1);
    say_whole_job(a, 1, 100);
    replica_sync(a);
    struct log_judge judge = {a, lab_judge, 1 + a->jobs.revision};
    struct log_pass pass = {.entries_max = 0, .is_new = true};
    assert_int_equal(log_cut(a->log, &judge, &pass, &a->scratch), 0);
    pass.entries_max = 30;
    size_t cut = 0, passes = 0;
    for (size_t now; (now = log_cut(a->log, &judge, &pass, &a->scratch)) > 0; passes++) {
        assert_true(now <= 30 && pass.looked_at <= 30);
        cut += now;
        arena_reset(&a->scratch);
    }
    assert_int_equal(cut, 201);
    assert_int_equal(passes, 7);
    replica_close(a);
}

/* A job's tasks are in one feed, its end in another, of which the end is not behind the anchor. */
static void an_entry_goes_only_where_the_end_that_voids_it_is_covered(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *b = replica_open(2), *c = replica_open(3);
    say_job(a, 1, 10);
    for (uint32_t i = 0; i < 10; i++) (void)say_claim(a, 1, i);
    say_job(a, 7, 1); /* the last batch stays, and is none of job 1 */
    replica_catch_up(b, a);
    say_job(b, 9, 1); /* b's first batch is no end: it stays as b's anchor */
    for (uint32_t i = 0; i < 3; i++) (void)say_claim(b, 9, 0);
    say_ended(b, 1);
    replica_catch_up(a, b);
    assert_int_equal(replica_cut_now(a), 11);         /* of a's feed; b's has too little to drop */
    assert_int_equal(log_counters(a->log)->kept, 11); /* all of them: the end is not covered */
    (void)replica_snapshot(c, a);                     /* has a's feed, and of b's the first batch */
    assert_true(log_have(c->log, &b->id, &b->boot) == 1);
    struct id job = lab_job(1);
    assert_int_equal(jobs_find(&c->jobs, &job)->outcome, JOB_RUNNING);
    assert_int_equal(jobs_find(&c->jobs, &job)->claims_count,
                     10); /* as everyone who knows so much */
    assert_int_equal(replica_prune(a), 0);
    say_ended(b, 9);
    say_job(b, 10, 1);
    replica_catch_up(a, b);
    assert_true(replica_cut_now(a) > 0); /* b's feed: now the end is among what is kept */
    assert_int_equal(replica_prune(a), 10);
    replica_sweep(a, 100);
    replica_restart(a);
    replica_catch_up(c, a);
    replica_catch_up(c, b);
    replica_catch_up(b, a);
    replica_catch_up(b, c);
    assert_same(b, c);
    replica_close(a);
    replica_close(b);
    replica_close(c);
}

struct seen {
    struct msg_stamp last;
    unsigned count, jobs, ends;
};

static bool see(void *context, const struct stamped *entry)
{
    struct seen *seen = context;
    assert_true(seen->count == 0 || stamp_compare(&seen->last, &entry->stamp) < 0);
    seen->last = entry->stamp;
    seen->count++;
    seen->jobs += entry->kind == MSG_job;
    seen->ends += entry->kind == MSG_ended;
    return true;
}

static void the_walk_shows_what_is_kept(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *b = replica_open(2);
    for (unsigned n = 0; n < 5; n++) {
        say_whole_job(n % 2 == 0 ? a : b, n, 3);
        replica_catch_up(a, b);
        replica_catch_up(b, a);
    }
    assert_true(replica_cut_now(a) > 0);
    struct seen seen = {.count = 0};
    struct msg_log_vector nothing = {.complete = true};
    arena_reset(&a->scratch);
    assert_true(log_walk(a->log, &nothing, &a->scratch, see, &seen));
    assert_int_equal(seen.jobs, 5);
    assert_int_equal(seen.ends, 5);
    assert_int_equal(seen.count, 10);
    /* From behind the second one kept of a's feed. */
    struct msg_feed_position at = {a->id, a->boot, 8, 0};
    struct msg_log_vector vector = {.feeds = {&at, 1}};
    seen = (struct seen){.count = 0};
    arena_reset(&a->scratch);
    assert_true(log_walk(a->log, &vector, &a->scratch, see, &seen));
    assert_int_equal(seen.count, 8);
    replica_close(a);
    replica_close(b);
}

/* ---- crashes ---- */

static void a_crash_at_any_write_of_a_cut_leaves_the_same_state(void **state)
{
    (void)state;
    for (uint64_t choice = 0; choice <= 16; choice++) {
        struct replica *a = replica_open(1);
        say_whole_job(a, 1, 10);
        say_job(a, 2, 4);
        struct msg_stamp claim = say_claim(a, 2, 0);
        say_done(a, 2, 0, claim);
        uint64_t before = replica_state(a), log = log_digest(a->log);
        assert_true(replica_cut_now(a) > 0);
        replica_sweep(a, 3);
        (void)replica_prune(a);
        storage_memory_crash(a->disk, choice == 16 ? UINT64_MAX : choice << 60);
        replica_restart(a);
        assert_true(replica_state(a) == before && log_digest(a->log) == log);
        replica_sweep(a, 3); /* what the crash left */
        replica_sync(a);
        replica_restart(a);
        assert_true(replica_state(a) == before && log_digest(a->log) == log);
        replica_close(a);
    }
}

/* ---- out of memory ---- */

static void a_cut_without_memory_changes_nothing(void **state)
{
    (void)state;
    bool is_through = false;
    for (uint64_t fail = 1; !is_through; fail++) {
        assert_true(fail < 1000);
        struct replica *a = replica_open(1);
        say_whole_job(a, 1, 10);
        say_whole_job(a, 2, 10);
        replica_sync(a);
        (void)replica_cut(a);
        uint64_t before = replica_state(a), log = log_digest(a->log), token = a->token;
        a->memory.fail_after = fail;
        size_t cut = replica_cut(a);
        is_through = a->memory.fail_after > 0;
        a->memory.fail_after = 0;
        assert_true(is_through || cut == 0);
        assert_int_equal(a->token, token + (cut > 0));
        assert_true(replica_state(a) == before && log_digest(a->log) == log);
        if (!is_through) assert_true(replica_cut(a) > 0);
        replica_restart(a);
        assert_true(replica_state(a) == before && log_digest(a->log) == log);
        replica_close(a);
    }
}

static void a_cut_without_scratch_changes_nothing(void **state)
{
    (void)state;
    struct replica *a = replica_open(1);
    say_whole_job(a, 1, 30);
    replica_sync(a);
    (void)replica_cut(a);
    uint64_t before = replica_state(a), log = log_digest(a->log);
    struct log_judge judge = {a, lab_judge, 1 + a->jobs.revision};
    size_t cut = 0;
    for (size_t size = 0; cut == 0; size += 64) {
        assert_true(size < 1 << 20);
        struct arena small;
        struct log_pass pass = {.entries_max = LAB_PASS_MAX, .is_new = true};
        arena_init(&small, a->scratch.base, size);
        cut = log_cut(a->log, &judge, &pass, &small);
        assert_true(replica_state(a) == before && log_digest(a->log) == log);
    }
    replica_restart(a);
    assert_true(replica_state(a) == before && log_digest(a->log) == log);
    replica_close(a);
}

/* What a pass found not worth a cut is looked at again when a job has ended, and not before. */
static void what_was_spared_is_not_looked_at_again(void **state)
{
    (void)state;
    struct replica *a = replica_open(1);
    say_job(a, 1, 10);
    for (unsigned i = 0; i < 10; i++) (void)say_claim(a, 1, i);
    replica_sync(a);
    (void)replica_cut(a);
    struct log_judge judge = {a, lab_judge, 1 + a->jobs.revision};
    struct log_pass first = {.entries_max = LAB_PASS_MAX}, second = first, third = first;
    assert_int_equal(log_cut(a->log, &judge, &first, &a->scratch), 0);
    assert_int_equal(log_cut(a->log, &judge, &second, &a->scratch), 0);
    assert_true(first.looked_at > 0);
    assert_int_equal(second.looked_at, 0);
    say_ended(a, 1);
    judge.revision++;
    assert_true(log_cut(a->log, &judge, &third, &a->scratch) > 0);
    replica_close(a);
}

/* ---- anything, anywhere ---- */

enum {
    LAB = 4
};

/* What the state must be: the fold of all that was ever written, as far as this replica's log goes.
 * The model holds everything, and never cuts. */
struct expected {
    const struct replica *replica;
    struct jobs jobs;
};

static bool expect(void *context, const struct stamped *entry)
{
    struct expected *expected = context;
    const struct msg_stamp *stamp = &entry->stamp;
    if (log_have(expected->replica->log, &stamp->node, &stamp->boot) >= stamp->sequence)
        assert_int_equal(jobs_apply(&expected->jobs, entry), ERROR_NONE);
    return true;
}

static void look(struct replica *model, struct replica *replica)
{
    struct expected expected = {.replica = replica};
    struct msg_log_vector nothing = {.complete = true};
    jobs_init(&expected.jobs, &model->jobs_memory);
    arena_reset(&model->scratch);
    assert_true(log_walk(model->log, &nothing, &model->scratch, expect, &expected));
    assert_true(jobs_digest(&expected.jobs) == replica_state(replica));
    jobs_deinit(&expected.jobs);
}

/* Some of what it lacks, or all. */
static void pull_some(struct replica *to, struct replica *from, struct prng *prng)
{
    struct msg_log_vector vector;
    arena_reset(&to->scratch);
    assert_true(log_vector_fill(to->log, false, &vector, &to->scratch));
    struct msg_feed_position *positions = (void *)(uintptr_t)vector.feeds.at;
    bool is_cut_off = log_is_cut_off(from->log, &vector);
    /* As if some feeds were held whole. */
    for (uint32_t i = 0; i < vector.feeds.count; i++)
        if (prng_below(prng, 3) == 0) positions[i].have = UINT64_MAX;
    (void)log_missing(from->log, &vector, lab_give, to);
    if (is_cut_off && prng_below(prng, 2) == 0) (void)replica_snapshot(to, from);
}

static void do_anything(struct replica **replicas, struct prng *prng, unsigned *jobs)
{
    struct replica *one = replicas[prng_below(prng, LAB)];
    struct replica *other = replicas[prng_below(prng, LAB)];
    unsigned job = *jobs - (unsigned)prng_below(prng, *jobs < 4 ? *jobs + 1 : 4);
    switch (prng_below(prng, 14)) {
    case 0: say_job(one, (*jobs)++, 4); break;
    case 1:
    case 2:
    case 3:
    case 4: (void)say_claim(one, job, (uint32_t)prng_below(prng, 4)); break;
    case 5: say_done(one, job, 0, say_claim(one, job, 0)); break;
    case 6: say_ended(one, job); break;
    case 7: replica_sync(one); break;
    case 8:
    case 9: (void)replica_cut(one); break;
    case 10: (void)replica_prune(one); break;
    case 11: replica_sweep(one, 5); break;
    case 12:
        if (prng_below(prng, 8) == 0) replica_restart(one);
        break;
    default:
        if (one != other) pull_some(one, other, prng);
    }
}

static void replicas_may_cut_when_and_where_they_like(void **state)
{
    (void)state;
    unsigned snapshots = 0, cuts = 0;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct replica *replicas[LAB], *model = replica_open(50), *newcomer = replica_open(100);
        struct prng prng;
        unsigned jobs = 0;
        prng_init(&prng, seed);
        for (size_t i = 0; i < LAB; i++) replicas[i] = replica_open(1 + i);
        for (unsigned step = 0; step < 400; step++) {
            do_anything(replicas, &prng, &jobs);
            for (size_t i = 0; i < LAB; i++) assert_true(replica_pull(model, replicas[i]));
            for (size_t i = 0; i < LAB; i++) look(model, replicas[i]);
        }
        for (size_t i = 0; i < LAB; i++) cuts += replica_cut_now(replicas[i]) > 0;
        for (size_t round = 0; round < 2; round++)
            for (size_t i = 0; i < LAB; i++)
                for (size_t j = 0; j < LAB; j++)
                    if (i != j) replica_catch_up(replicas[i], replicas[j]);
        replica_catch_up(newcomer, replicas[seed % LAB]);
        snapshots += log_counters(newcomer->log)->kept > 0;
        for (size_t i = 0; i < LAB; i++) assert_same(newcomer, replicas[i]);
        for (size_t i = 0; i < LAB; i++) replica_close(replicas[i]);
        replica_close(newcomer);
        replica_close(model);
    }
    assert_true(snapshots > 4 && cuts > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ended_job_becomes_its_summary),
        cmocka_unit_test(what_is_young_or_still_counts_stays),
        cmocka_unit_test(a_pass_looks_at_no_more_than_it_may),
        cmocka_unit_test(an_entry_goes_only_where_the_end_that_voids_it_is_covered),
        cmocka_unit_test(the_walk_shows_what_is_kept),
        cmocka_unit_test(a_crash_at_any_write_of_a_cut_leaves_the_same_state),
        cmocka_unit_test(a_cut_without_memory_changes_nothing),
        cmocka_unit_test(a_cut_without_scratch_changes_nothing),
        cmocka_unit_test(what_was_spared_is_not_looked_at_again),
        cmocka_unit_test(replicas_may_cut_when_and_where_they_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
