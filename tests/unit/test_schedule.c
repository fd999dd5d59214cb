/* Which tasks a node claims: nobody collides while all hear each other, nobody waits for ever, and
 * the instants given are the right ones. A crew here is one fold, and a schedule_job per node. */
#include "fold.h"

#include "tasks/straggler.h"

enum {
    NODES_MAX = 12,
    TASKS_MANY = 100000,
    STEP = 25 * MILLISECOND,
};

#define START ((instant)(10 * SECOND))

struct crew {
    struct fold fold;
    struct schedule_node nodes[NODES_MAX];
    size_t nodes_count;
    struct schedule_job states[NODES_MAX];
    struct digest *blocks;
    uint32_t maps;
    instant (*objects)(void *context, const struct job *job, enum task_kind kind, uint32_t index,
                       const struct attempt *attempt);
    uint32_t asked;  /* how often somebody might have objected */
    uint32_t spared; /* objected to, until: */
    instant spared_until;
};

static void crew_init(struct crew *crew, size_t nodes_count, uint32_t maps, uint32_t reduces)
{
    crew->objects = NULL;
    fold_init(&crew->fold);
    fold_apply(&crew->fold, job_item(stamp_at(2, 1, 5), 0, maps, reduces));
    crew->nodes_count = nodes_count;
    crew->maps = maps;
    crew->blocks = memory_take(&crew->fold.memory, maps * sizeof *crew->blocks);
    assert_non_null(crew->blocks);
    for (uint32_t i = 0; i < maps; i++) memcpy(crew->blocks[i].bytes, &(uint32_t){i + 1}, 4);
    for (unsigned n = 0; n < nodes_count; n++) {
        crew->nodes[n] = (struct schedule_node){.id = node_of(n)};
        assert_int_equal(
            schedule_job_init(&crew->states[n], job_in(&crew->fold), &crew->fold.memory, START),
            ERROR_NONE);
        crew->states[n].blocks = crew->blocks;
    }
}

static void crew_deinit(struct crew *crew)
{
    struct memory *memory = &crew->fold.memory;
    for (size_t n = 0; n < crew->nodes_count; n++)
        schedule_job_deinit(&crew->states[n], job_in(&crew->fold), memory);
    memory_put(memory, crew->blocks, crew->maps * sizeof *crew->blocks);
    fold_deinit(&crew->fold);
}

static size_t pick(struct crew *crew, unsigned n, instant now, struct schedule_pick *picks,
                   size_t picks_max, instant *wake)
{
    struct id self = node_of(n);
    return schedule_pick(job_in(&crew->fold), &crew->states[n], &self, crew->nodes,
                         crew->nodes_count, now, picks, picks_max, wake);
}

/* When node n would claim map `index`, following the wakes; everything else is left alone. */
static instant claims_at(struct crew *crew, unsigned n, uint32_t index)
{
    static struct schedule_pick picks[TASKS_MANY];
    for (instant now = START, wake; now != INSTANT_NEVER; now = wake) {
        size_t count = pick(crew, n, now, picks, TASKS_MANY, &wake);
        assert_true(wake > now);
        for (size_t i = 0; i < count; i++)
            if (picks[i].index == index) return now;
    }
    return INSTANT_NEVER;
}

static size_t rank_by_block(struct crew *crew, unsigned n, uint32_t index)
{
    struct id id = node_of(n);
    return placement_rank(&crew->blocks[index], sizeof *crew->blocks, crew->nodes,
                          crew->nodes_count, &id);
}

/* Node n claims the tasks at that time and ends each as said: 0 keeps running. */
static struct msg_stamp run(struct crew *crew, unsigned n, uint64_t time, uint32_t first,
                            uint32_t count, unsigned kind)
{
    struct msg_stamp claim = stamp_at(n, 1, time);
    struct task *task = map_in(&crew->fold, first);
    uint32_t number = task->highest + 1;
    fold_apply(&crew->fold, claim_item(claim, number, task_next_cause(task), first, count));
    for (uint32_t i = first; i < first + count; i++) {
        struct msg_stamp end = stamp_at(n, 1, time + 1 + i);
        if (kind == MSG_done) fold_apply(&crew->fold, done_item(end, claim, i));
        if (kind == MSG_failed) fold_apply(&crew->fold, failed_item(end, claim, i, true));
        if (kind == MSG_released) fold_apply(&crew->fold, failed_item(end, claim, i, false));
    }
    return claim;
}

static void at_first_each_task_has_one_taker(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, 5, 200, 1);
    uint8_t takers[200] = {0};
    for (unsigned n = 0; n < 5; n++) {
        struct schedule_pick picks[200];
        instant wake;
        size_t count = pick(&crew, n, START, picks, 200, &wake);
        assert_in_range(count, 20, 60);
        assert_int_equal(wake, START + STEP);
        for (size_t i = 0; i < count; i++) {
            assert_true(picks[i].kind == TASK_MAP && picks[i].cause == CAUSE_FIRST);
            takers[picks[i].index]++;
        }
    }
    for (size_t i = 0; i < 200; i++) assert_int_equal(takers[i], 1);
    crew_deinit(&crew);
}

static void who_is_kth_for_the_block_waits_k_steps(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, 6, 20, 1);
    for (unsigned n = 0; n < 6; n++)
        for (uint32_t i = 0; i < 20; i++) {
            instant expected = START + (instant)rank_by_block(&crew, n, i) * STEP;
            crew.states[n].ready[TASK_MAP] = 0;
            assert_int_equal(claims_at(&crew, n, i), expected);
        }
    crew_deinit(&crew);
}

static void nobody_waits_more_than_eight_steps(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, NODES_MAX, 30, 1);
    for (unsigned n = 0; n < NODES_MAX; n++)
        for (uint32_t i = 0; i < 30; i++) {
            crew.states[n].ready[TASK_MAP] = 0;
            assert_in_range(claims_at(&crew, n, i), START, START + 8 * STEP);
        }
    crew_deinit(&crew);
}

static void maps_without_a_block_are_spread(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, 4, 100, 1);
    memset(crew.blocks, 0, 100 * sizeof *crew.blocks);
    for (unsigned n = 0; n < 4; n++) {
        struct schedule_pick picks[100];
        instant wake;
        assert_in_range(pick(&crew, n, START, picks, 100, &wake), 10, 45);
    }
    crew_deinit(&crew);
}

static void suspects_are_not_waited_for(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[40];
    instant wake;
    crew_init(&crew, 2, 40, 1);
    size_t before = pick(&crew, 0, START, picks, 40, &wake);
    assert_in_range(before, 1, 39);
    crew.nodes[1].is_suspect = true;
    assert_int_equal(pick(&crew, 0, START, picks, 40, &wake), 40);
    assert_int_equal(wake, INSTANT_NEVER);
    crew.nodes[1].is_suspect = false;
    crew.nodes[0].is_suspect = true;
    assert_int_equal(pick(&crew, 0, START, picks, 40, &wake), before);
    crew_deinit(&crew);
}

static void few_slots_take_the_preferred_tasks_first(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[50], few[3];
    instant wake, late = START + SECOND;
    crew_init(&crew, 3, 50, 1);
    assert_in_range(pick(&crew, 0, START, picks, 50, &wake), 3, 49);
    assert_int_equal(pick(&crew, 0, late, picks, 50, &wake), 50);
    for (size_t i = 1; i < 50; i++) {
        assert_true(picks[i - 1].rank <= picks[i].rank);
        assert_true(picks[i - 1].rank < picks[i].rank || picks[i - 1].index < picks[i].index);
    }
    assert_int_equal(pick(&crew, 0, late, few, 3, &wake), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(few[i].index, picks[i].index);
        assert_int_equal(few[i].rank, 0);
    }
    crew_deinit(&crew);
}

static void what_runs_or_is_done_is_not_taken(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[4];
    instant wake;
    crew_init(&crew, 1, 4, 1);
    (void)run(&crew, 0, 10, 0, 2, 0);
    (void)run(&crew, 0, 20, 2, 1, MSG_done);
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 1);
    assert_int_equal(picks[0].index, 3);
    fold_apply(&crew.fold, ended_item(stamp_at(0, 1, 50), JOB_KILLED));
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 0);
    assert_int_equal(wake, INSTANT_NEVER);
    crew_deinit(&crew);
}

static void maps_wait_for_the_manifest_and_reduces_for_the_maps(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[4];
    instant wake;
    crew_init(&crew, 1, 2, 3);
    crew.states[0].blocks = NULL;
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 0);
    crew.states[0].blocks = crew.blocks;
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 2);
    (void)run(&crew, 0, 10, 0, 1, MSG_done);
    struct msg_stamp claim = run(&crew, 0, 20, 1, 1, 0);
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 0);
    fold_apply(&crew.fold, done_item(stamp_at(0, 1, 30), claim, 1));
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(picks[i].kind == TASK_REDUCE && picks[i].index == i);
    fold_apply(&crew.fold, lost_item(stamp_at(0, 1, 40), stamp_at(0, 1, 30), 1));
    assert_int_equal(pick(&crew, 0, START, picks, 4, &wake), 1);
    assert_true(picks[0].kind == TASK_MAP && picks[0].cause == CAUSE_OUTPUT_LOST);
    crew_deinit(&crew);
}

static void a_node_foretells_which_reduces_it_will_take(void **state)
{
    (void)state;
    enum {
        SLOTS = 4
    };
    struct crew crew;
    crew_init(&crew, 5, 3, 60);
    uint32_t foretold[5][SLOTS];
    size_t counts[5];
    for (unsigned n = 0; n < 5; n++) {
        struct id self = node_of(n);
        counts[n] = schedule_prefers(job_in(&crew.fold), &crew.states[n], &self, crew.nodes, 5,
                                     foretold[n], SLOTS);
        assert_true(counts[n] > 0);
    }
    (void)run(&crew, 0, 10, 0, 3, MSG_done);
    for (unsigned n = 0; n < 5; n++) {
        struct schedule_pick picks[SLOTS];
        instant wake;
        assert_int_equal(pick(&crew, n, START + SECOND, picks, counts[n], &wake), counts[n]);
        for (size_t i = 0; i < counts[n]; i++) {
            assert_int_equal(picks[i].kind, TASK_REDUCE);
            assert_int_equal(picks[i].index, foretold[n][i]);
        }
    }
    crew_deinit(&crew);
}

static void a_failed_task_waits_longer_each_time(void **state)
{
    (void)state;
    static const instant backoff_ms[] = {200, 400, 800, 800};
    struct crew crew;
    crew_init(&crew, 1, 1, 1);
    for (uint64_t i = 0; i < 4; i++) {
        (void)run(&crew, 0, 10 + 10 * i, 0, 1, MSG_failed);
        assert_int_equal(claims_at(&crew, 0, 0), START + backoff_ms[i] * MILLISECOND);
    }
    crew_deinit(&crew);
}

static void what_hindered_a_task_may_last(void **state)
{
    (void)state;
    static const instant backoff_ms[] = {500, 1000, 2000, 4000, 8000, 8000};
    struct crew crew;
    crew_init(&crew, 1, 1, 1);
    for (uint64_t i = 0; i < 6; i++) {
        (void)run(&crew, 0, 10 + 10 * i, 0, 1, MSG_released); /* an uncharged failure */
        assert_int_equal(claims_at(&crew, 0, 0), START + backoff_ms[i] * MILLISECOND);
    }
    assert_int_equal(map_in(&crew.fold, 0)->failures, 0);
    crew_deinit(&crew);
}

static void where_it_failed_it_is_tried_last(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, 2, 1, 1);
    unsigned first = rank_by_block(&crew, 0, 0) == 0 ? 0 : 1, second = 1 - first;
    instant after = START + 200 * MILLISECOND;
    (void)run(&crew, first, 10, 0, 1, MSG_failed);
    assert_int_equal(claims_at(&crew, first, 0), after + 4 * STEP);
    assert_int_equal(claims_at(&crew, second, 0), after + STEP);
    (void)run(&crew, second, 20, 0, 1, MSG_failed);
    after = START + 400 * MILLISECOND;
    assert_int_equal(claims_at(&crew, first, 0), after); /* it failed everywhere */
    crew_deinit(&crew);
}

static void the_work_of_the_dead_is_free_at_once(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[1];
    instant wake;
    crew_init(&crew, 1, 1, 1);
    (void)run(&crew, 1, 10, 0, 1, 0);
    assert_int_equal(pick(&crew, 0, START, picks, 1, &wake), 0);
    fold_apply(&crew.fold, dead_item(stamp_at(0, 1, 20), 1, 1, 10));
    assert_int_equal(pick(&crew, 0, START, picks, 1, &wake), 1);
    assert_int_equal(picks[0].cause, CAUSE_OWNER_DEAD);
    crew_deinit(&crew);
}

static void a_task_freed_again_is_waited_for_again(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[1];
    instant wake, later = START + 10 * SECOND;
    crew_init(&crew, 2, 1, 1);
    unsigned second = rank_by_block(&crew, 0, 0) == 0 ? 1 : 0;
    assert_int_equal(claims_at(&crew, second, 0), START + STEP);
    (void)run(&crew, 2, 10, 0, 1, 0);
    fold_apply(&crew.fold, dead_item(stamp_at(0, 1, 20), 2, 1, 10));
    assert_int_equal(pick(&crew, second, later, picks, 0, &wake), 0);
    assert_int_equal(wake, later + STEP);
    assert_int_equal(pick(&crew, second, later + STEP - 1, picks, 1, &wake), 0);
    assert_int_equal(pick(&crew, second, later + STEP, picks, 1, &wake), 1);
    crew_deinit(&crew);
}

static void a_straggling_first_task_does_not_hide_the_rest(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[32];
    uint32_t taken = 1;
    uint64_t time = 100;
    instant wake;
    crew_init(&crew, 2, TASKS_MANY, 1);
    (void)run(&crew, 0, time, 0, 1, 0);
    for (unsigned call = 0; taken < TASKS_MANY; call++) {
        unsigned n = call % 2;
        instant now = START + SECOND + (instant)call * MILLISECOND;
        size_t count = pick(&crew, n, now, picks, 32, &wake);
        assert_true(count > 0);
        taken += (uint32_t)count;
        time += TASKS_MANY;
        for (size_t i = 0; i < count; i++)
            (void)run(&crew, n, time + i, picks[i].index, 1, MSG_done);
    }
    assert_int_equal(job_in(&crew.fold)->done_count[TASK_MAP], TASKS_MANY - 1);
    assert_int_equal(pick(&crew, 1, START + 60 * SECOND, picks, 32, &wake), 0);
    crew_deinit(&crew);
}

static void the_order_of_nodes_is_total_and_stable(void **state)
{
    (void)state;
    struct schedule_node nodes[NODES_MAX];
    struct id firsts[64];
    for (unsigned n = 0; n < NODES_MAX; n++) nodes[n] = (struct schedule_node){.id = node_of(n)};
    for (uint32_t key = 0; key < 64; key++) {
        placement_order(&key, sizeof key, nodes, NODES_MAX);
        for (size_t n = 0; n < NODES_MAX; n++) {
            const struct id *id = &nodes[n].id;
            assert_int_equal(placement_rank(&key, sizeof key, nodes, NODES_MAX, id), n);
            assert_int_equal(placement_rank_below(&key, sizeof key, nodes, NODES_MAX, id, 5),
                             n < 5 ? n : 5);
        }
        firsts[key] = nodes[0].id;
    }
    struct id gone = nodes[NODES_MAX - 1].id;
    assert_int_equal(placement_rank(&gone, 4, nodes, NODES_MAX - 1, &gone), NODES_MAX - 1);
    for (uint32_t key = 0; key < 64; key++) {
        struct schedule_node rest[NODES_MAX];
        memcpy(rest, nodes, sizeof rest);
        placement_order(&key, sizeof key, rest, NODES_MAX - 1);
        if (!id_equal(&firsts[key], &gone)) assert_true(id_equal(&rest[0].id, &firsts[key]));
    }
}

static void a_state_that_cannot_be_made_takes_nothing(void **state)
{
    (void)state;
    struct fold fold;
    fold_init(&fold);
    fold_apply(&fold, job_item(stamp_at(2, 1, 5), 0, 10, 10));
    size_t used = fold.memory.used;
    for (uint64_t n = 1; n <= 6; n++) {
        struct schedule_job job;
        fold.memory.fail_after = n;
        assert_int_equal(schedule_job_init(&job, job_in(&fold), &fold.memory, START), ERROR_MEMORY);
        assert_int_equal(fold.memory.used, used);
    }
    fold_deinit(&fold);
}

/* ---- second copies ---- */

static size_t copies(struct crew *crew, unsigned n, enum straggler_reason reason, instant now,
                     struct schedule_pick *picks, instant *wake)
{
    struct id self = node_of(n);
    struct straggler_judge judge = {.self = &self,
                                    .nodes = crew->nodes,
                                    .nodes_count = crew->nodes_count,
                                    .now = now,
                                    .objects = crew->objects,
                                    .context = crew};
    return straggler_pick(job_in(&crew->fold), &crew->states[n], reason, &judge, picks, 8, wake);
}

/* Who of the crew would make a copy at that time, a bit each. */
static unsigned copiers(struct crew *crew, enum straggler_reason reason, instant now)
{
    unsigned bits = 0;
    struct schedule_pick picks[8];
    instant wake;
    for (unsigned n = 0; n < crew->nodes_count; n++)
        if (copies(crew, n, reason, now, picks, &wake) > 0) bits |= 1u << n;
    return bits;
}

/* Three of four maps took a second each, the last has run on node 3 since START. */
static struct msg_stamp straggle(struct crew *crew, uint32_t maps)
{
    crew_init(crew, 4, maps, 0);
    crew->fold.jobs.now = START;
    struct msg_stamp slow = run(crew, 3, 10, maps - 1, 1, 0);
    for (uint32_t i = 0; i + 1 < maps; i++) {
        struct msg_stamp claim = stamp_at(i % 3, 1, 20 + 2 * i);
        fold_apply(&crew->fold, claim_item(claim, 1, CAUSE_FIRST, i, 1));
        struct item done = done_item(stamp_at(i % 3, 1, 21 + 2 * i), claim, i);
        done.as.done.elapsed_ms = 1000;
        fold_apply(&crew->fold, done);
    }
    return slow;
}

static void who_runs_half_as_long_again_gets_one_copy(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[8];
    instant wake, due = START + 1600 * MILLISECOND;
    struct msg_stamp slow = straggle(&crew, 4);
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, due - MILLISECOND), 0);
    unsigned first = copiers(&crew, STRAGGLER_SLOW, due + MILLISECOND);
    assert_int_equal(__builtin_popcount(first), 1); /* the others wait their steps */
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, due + 8 * STEP), 0x7); /* never its own node */
    unsigned n = (unsigned)__builtin_ctz(first);
    assert_int_equal(copies(&crew, n, STRAGGLER_SLOW, due + STEP, picks, &wake), 1);
    assert_true(picks[0].index == 3 && picks[0].cause == CAUSE_STRAGGLER);
    /* Claimed: there is no third one, for this reason or the other, and no second judgement. */
    struct msg_stamp copy = stamp_at(n, 1, 100);
    fold_apply(&crew.fold, claim_item(copy, 2, CAUSE_STRAGGLER, 3, 1));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, due + 60 * SECOND), 0);
    fold_apply(&crew.fold, failed_item(stamp_at(n, 1, 101), copy, 3, true));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, due + 60 * SECOND), 0);
    assert_ptr_equal(task_owner(map_in(&crew.fold, 3)), task_attempt(map_in(&crew.fold, 3), &slow));
    crew_deinit(&crew);
}

static void a_copy_that_died_or_yielded_was_none(void **state)
{
    (void)state;
    struct crew crew;
    straggle(&crew, 4);
    fold_apply(&crew.fold, claim_item(stamp_at(1, 1, 100), 2, CAUSE_STRAGGLER, 3, 1));
    fold_apply(&crew.fold, dead_item(stamp_at(0, 1, 101), 1, 1, 100));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0x7);
    struct msg_stamp copy = stamp_at(2, 1, 102);
    fold_apply(&crew.fold, claim_item(copy, 3, CAUSE_STRAGGLER, 3, 1));
    fold_apply(&crew.fold, released_item(stamp_at(2, 1, 103), copy, CAUSE_RIVAL, 3, 1));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0x7);
    /* It could not be started: trying again and again would help nobody. */
    copy = stamp_at(2, 1, 104);
    fold_apply(&crew.fold, claim_item(copy, 4, CAUSE_STRAGGLER, 3, 1));
    fold_apply(&crew.fold, released_item(stamp_at(2, 1, 105), copy, CAUSE_NOT_STARTED, 3, 1));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0);
    crew_deinit(&crew);
}

static instant spare_one(void *context, const struct job *job, enum task_kind kind, uint32_t index,
                         const struct attempt *attempt)
{
    struct crew *crew = context;
    assert_ptr_equal(job, job_in(&crew->fold));
    assert_ptr_equal(task_single(&job->tasks[kind][index]), attempt);
    crew->asked++;
    return index == crew->spared ? crew->spared_until : 0;
}

/* Two of six straggle; one of them, the first in line, has only more to do. */
static void an_objection_spares_one_and_hides_none(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[8];
    instant wake, late = START + 60 * SECOND;
    straggle(&crew, 6);
    fold_apply(&crew.fold, lost_item(stamp_at(0, 1, 99), stamp_at(0, 1, 21), 0));
    (void)run(&crew, 3, 200, 0, 1, 0);
    assert_int_equal(copies(&crew, 1, STRAGGLER_SLOW, late, picks, &wake), 2);
    crew.objects = spare_one;
    crew.spared = 0;
    crew.spared_until = late + SECOND;
    struct id self = node_of(1);
    struct straggler_judge judge = {&self, crew.nodes, crew.nodes_count, late, spare_one, &crew};
    assert_int_equal(straggler_pick(job_in(&crew.fold), &crew.states[1], STRAGGLER_SLOW, &judge,
                                    picks, 1, &wake),
                     1);
    assert_int_equal(picks[0].index, 5);
    crew.asked = 0;
    crew.spared = UINT32_MAX;
    assert_int_equal(straggler_pick(job_in(&crew.fold), &crew.states[1], STRAGGLER_SLOW, &judge,
                                    picks, 1, &wake),
                     1);
    assert_int_equal(crew.asked, 1); /* not about what there is no place for */
    crew.spared = 0;
    assert_int_equal(copies(&crew, 1, STRAGGLER_SLOW, late, picks, &wake), 1);
    assert_true(picks[0].index == 5 && wake == late + SECOND);
    assert_int_equal(copies(&crew, 1, STRAGGLER_SLOW, late + SECOND, picks, &wake), 2);
    crew_deinit(&crew);
}

/* A quarter is read in a second: three more to go. */
static void what_is_left_follows_from_what_is_read(void **state)
{
    (void)state;
    assert_int_equal(straggler_left(SECOND, 25, 100), 3 * SECOND);
    assert_int_equal(straggler_left(SECOND, 0, 100), 0);
    assert_int_equal(straggler_left(SECOND, 100, 100), 0);
    assert_int_equal(straggler_left(SECOND, 101, 100), 0);
    assert_int_equal(straggler_left(0, 1, 100), 0);
    assert_true(straggler_left(INSTANT_NEVER, 1, UINT64_MAX) > 0);
    assert_true(straggler_left(INSTANT_NEVER, 1, UINT64_MAX) <= INSTANT_NEVER / 4);
    assert_true(straggler_left(1, UINT64_MAX - 1, UINT64_MAX) > 0);
}

static void nobody_is_slow_while_tasks_are_free_or_few_are_done(void **state)
{
    (void)state;
    struct crew crew;
    straggle(&crew, 4);
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0x7);
    fold_apply(&crew.fold, lost_item(stamp_at(0, 1, 99), stamp_at(0, 1, 21), 0)); /* free again */
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0);
    crew_deinit(&crew);
    crew_init(&crew, 4, 4, 0);
    crew.fold.jobs.now = START;
    run(&crew, 0, 10, 0, 1, MSG_done);
    run(&crew, 1, 20, 1, 1, 0);
    run(&crew, 2, 30, 2, 2, 0);
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0);
    crew_deinit(&crew);
}

static void a_suspects_task_gets_its_copy_at_once(void **state)
{
    (void)state;
    struct crew crew;
    struct schedule_pick picks[8];
    instant wake;
    crew_init(&crew, 4, 8, 0);
    crew.fold.jobs.now = START;
    run(&crew, 3, 10, 0, 2, 0);
    run(&crew, 0, 20, 2, 1, 0);
    assert_int_equal(copiers(&crew, STRAGGLER_SILENT, START + SECOND), 0);
    crew.nodes[3].is_suspect = true;
    crew.nodes[3].silent_since = START + SECOND;
    assert_int_not_equal(copiers(&crew, STRAGGLER_SILENT, START + SECOND), 0);
    assert_int_equal(copiers(&crew, STRAGGLER_SILENT, START + SECOND + 3 * STEP), 0x7);
    assert_int_equal(copies(&crew, 1, STRAGGLER_SILENT, START + 2 * SECOND, picks, &wake), 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(picks[i].index == i && picks[i].cause == CAUSE_OWNER_SILENT);
    /* Degraded is not silent. */
    crew.nodes[3].silent_since = 0;
    assert_int_equal(copiers(&crew, STRAGGLER_SILENT, START + 2 * SECOND), 0);
    crew_deinit(&crew);
}

static void a_reduce_is_not_copied_while_a_map_is_made_anew(void **state)
{
    (void)state;
    struct crew crew;
    crew_init(&crew, 3, 1, 2);
    crew.fold.jobs.now = START;
    run(&crew, 0, 10, 0, 1, MSG_done);
    struct msg_stamp ended = stamp_at(1, 1, 30), slow = stamp_at(2, 1, 31);
    struct item claim = claim_item(ended, 1, CAUSE_FIRST, 0, 1), done = done_item(ended, ended, 0);
    claim.ranges[0].kind = done.as.done.kind = TASK_REDUCE;
    done.stamp.time++;
    fold_apply(&crew.fold, claim);
    fold_apply(&crew.fold, done);
    claim.stamp = slow;
    claim.ranges[0].first = 1;
    fold_apply(&crew.fold, claim);
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0x3);
    fold_apply(&crew.fold, lost_item(stamp_at(1, 1, 40), stamp_at(0, 1, 11), 0));
    assert_int_equal(copiers(&crew, STRAGGLER_SLOW, START + 60 * SECOND), 0);
    crew_deinit(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_first_each_task_has_one_taker),
        cmocka_unit_test(who_is_kth_for_the_block_waits_k_steps),
        cmocka_unit_test(nobody_waits_more_than_eight_steps),
        cmocka_unit_test(maps_without_a_block_are_spread),
        cmocka_unit_test(suspects_are_not_waited_for),
        cmocka_unit_test(few_slots_take_the_preferred_tasks_first),
        cmocka_unit_test(what_runs_or_is_done_is_not_taken),
        cmocka_unit_test(maps_wait_for_the_manifest_and_reduces_for_the_maps),
        cmocka_unit_test(a_node_foretells_which_reduces_it_will_take),
        cmocka_unit_test(a_failed_task_waits_longer_each_time),
        cmocka_unit_test(what_hindered_a_task_may_last),
        cmocka_unit_test(where_it_failed_it_is_tried_last),
        cmocka_unit_test(the_work_of_the_dead_is_free_at_once),
        cmocka_unit_test(a_task_freed_again_is_waited_for_again),
        cmocka_unit_test(a_straggling_first_task_does_not_hide_the_rest),
        cmocka_unit_test(the_order_of_nodes_is_total_and_stable),
        cmocka_unit_test(a_state_that_cannot_be_made_takes_nothing),
        cmocka_unit_test(who_runs_half_as_long_again_gets_one_copy),
        cmocka_unit_test(a_copy_that_died_or_yielded_was_none),
        cmocka_unit_test(an_objection_spares_one_and_hides_none),
        cmocka_unit_test(what_is_left_follows_from_what_is_read),
        cmocka_unit_test(nobody_is_slow_while_tasks_are_free_or_few_are_done),
        cmocka_unit_test(a_suspects_task_gets_its_copy_at_once),
        cmocka_unit_test(a_reduce_is_not_copied_while_a_map_is_made_anew),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
