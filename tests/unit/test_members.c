/* The member table: who wins, who is told, who fits, who is forgotten. */
#include "membership/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct memory memory;
    struct prng prng;
    struct members members;
    unsigned told_count;
    struct member_change told;
    char line[512];
};

static void on_changed(void *context, instant now, struct member *member,
                       const struct member_change *change)
{
    struct fixture *f = context;
    (void)now, (void)member;
    f->told_count++;
    f->told = *change;
}

static void on_line(void *context, enum trace_level level, const char *text)
{
    struct fixture *f = context;
    (void)level;
    snprintf(f->line, sizeof f->line, "%s", text);
}

static struct msg_member_claim claim_of(uint32_t number, unsigned state)
{
    struct msg_member_claim claim = {
        .boot = {1, 7},
        .state = (uint8_t)state,
        .cause = CAUSE_JOINED,
        .address = address_ipv4(10, 0, 0, 1, 7437),
        .slots = 4,
        .name = slice_string("wren"),
    };
    memcpy(claim.node.bytes, &number, sizeof number);
    claim.node.bytes[15] = 1;
    return claim;
}

static enum members_verdict apply(struct fixture *f, const struct msg_member_claim *claim)
{
    return members_apply(&f->members, 5 * SECOND, claim, false, &f->prng);
}

static struct member *find(struct fixture *f, uint32_t number)
{
    struct msg_member_claim claim = claim_of(number, MEMBER_ALIVE);
    return members_find(&f->members, &claim.node);
}

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    memory_init(&f->memory, 64u << 20);
    prng_init(&f->prng, 1);
    members_init(&f->members, &f->memory, NULL);
    struct members_listener listener = {f, on_changed};
    struct trace trace = {on_line, f, TRACE_INFO};
    members_listen(&f->members, &listener, &trace);
    struct msg_member_claim self = claim_of(0, MEMBER_ALIVE);
    assert_int_equal(apply(f, &self), MEMBERS_WON);
}

static void close_fixture(struct fixture *f)
{
    members_deinit(&f->members);
    assert_int_equal(f->memory.used, 0);
}

static void counts_are_those_of_a_walk(struct fixture *f)
{
    size_t counts[MEMBER_LEFT + 1] = {0}, cursor = 0, all = 0;
    for (struct member *m; (m = members_next(&f->members, &cursor)) != NULL; all++)
        counts[m->state]++;
    for (unsigned i = MEMBER_ALIVE; i <= MEMBER_LEFT; i++)
        assert_int_equal(counts[i], f->members.state_counts[i]);
    assert_int_equal(members_living_count(&f->members),
                     counts[MEMBER_ALIVE] + counts[MEMBER_SUSPECT]);
    assert_int_equal(all, f->members.order_count + 1);
}

static void first_claim_is_self_and_not_in_the_order(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_ptr_equal(f.members.self, find(&f, 0));
    assert_int_equal(f.members.order_count, 0);
    counts_are_those_of_a_walk(&f);
    close_fixture(&f);
}

static void newer_claim_wins_and_is_told_and_logged_with_its_cause(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct msg_member_claim claim = claim_of(1, MEMBER_ALIVE);
    assert_int_equal(apply(&f, &claim), MEMBERS_WON);
    assert_int_equal(f.told.before, 0);
    claim.state = MEMBER_SUSPECT;
    claim.cause = CAUSE_PROBE_FAILED;
    assert_int_equal(apply(&f, &claim), MEMBERS_WON);
    assert_int_equal(f.told.before, MEMBER_ALIVE);
    assert_int_equal(find(&f, 1)->cause, CAUSE_PROBE_FAILED);
    assert_int_equal(find(&f, 1)->since, 5 * SECOND);
    assert_string_equal(f.line, "event=member name=wren id=01000000 state=suspect from=alive "
                                "cause=\"it answered neither direct nor indirect probes\"");
    unsigned told = f.told_count;
    assert_int_equal(apply(&f, &claim), MEMBERS_EQUAL);
    claim.state = MEMBER_ALIVE;
    assert_int_equal(apply(&f, &claim), MEMBERS_OLDER);
    assert_int_equal(f.told_count, told);
    counts_are_those_of_a_walk(&f);
    close_fixture(&f);
}

static void every_order_of_claims_ends_alike(void **state)
{
    (void)state;
    struct msg_member_claim claims[5];
    for (unsigned i = 0; i < 5; i++) claims[i] = claim_of(1, 1 + i % 4);
    claims[1].refutations = 2;
    claims[2].refutations = 3;
    claims[4].boot.counter = 2;
    for (unsigned order = 0; order < 3125; order++) {
        struct fixture f;
        open_fixture(&f);
        unsigned digits = order;
        for (unsigned i = 0; i < 5; i++, digits /= 5) (void)apply(&f, &claims[digits % 5]);
        for (unsigned i = 0; i < 5; i++) (void)apply(&f, &claims[i]);
        struct member *member = find(&f, 1);
        assert_int_equal(member->fact->boot.counter, 2);
        assert_int_equal(member->state, MEMBER_ALIVE);
        counts_are_those_of_a_walk(&f);
        close_fixture(&f);
    }
}

static void own_word_corrects_the_address_at_equal_precedence(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct msg_member_claim claim = claim_of(1, MEMBER_ALIVE);
    (void)apply(&f, &claim);
    claim.address.port = 99;
    assert_int_equal(apply(&f, &claim), MEMBERS_EQUAL);
    assert_int_equal(find(&f, 1)->fact->address.port, 7437);
    assert_int_equal(members_apply(&f.members, 0, &claim, true, &f.prng), MEMBERS_EQUAL);
    assert_int_equal(find(&f, 1)->fact->address.port, 99);
    assert_true(f.told.is_address_new && f.told.is_details_only);
    close_fixture(&f);
}

static void junk_is_refused_with_a_reason(void **state)
{
    (void)state;
    struct msg_member_claim good = claim_of(1, MEMBER_ALIVE), bad = good;
    assert_null(members_check(&good));
    bad.node = (struct id){{0}};
    assert_non_null(members_check(&bad));
    for (unsigned value = 0; value < 256; value++) {
        bad = good;
        bad.state = (uint8_t)value;
        assert_true((members_check(&bad) == NULL) == (value >= 1 && value <= 4));
    }
    bad = good;
    bad.refutations = UINT32_MAX;
    assert_non_null(members_check(&bad));
    bad = good;
    bad.name.count = 0;
    assert_non_null(members_check(&bad));
    bad = good;
    bad.address = (struct address){.port = 1};
    assert_non_null(members_check(&bad));
    bad = good;
    bad.address.port = 0;
    assert_non_null(members_check(&bad));
}

static void names_are_cleaned(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct msg_member_claim claim = claim_of(1, MEMBER_ALIVE);
    claim.name = slice_string("a b\x1b[31m\"\xc3\xa4\n~");
    (void)apply(&f, &claim);
    assert_string_equal(find(&f, 1)->fact->name, "a?b?[31m????~");
    close_fixture(&f);
}

static void view_digest_depends_on_who_lives_alone(void **state)
{
    (void)state;
    struct fixture a, b;
    open_fixture(&a);
    open_fixture(&b);
    for (uint32_t i = 1; i <= 20; i++) {
        struct msg_member_claim one = claim_of(i, MEMBER_ALIVE),
                                other = claim_of(21 - i, MEMBER_SUSPECT);
        (void)apply(&a, &one);
        (void)apply(&b, &other);
    }
    assert_true(a.members.view_digest == b.members.view_digest);
    struct msg_member_claim dead = claim_of(3, MEMBER_DEAD);
    (void)apply(&a, &dead);
    assert_true(a.members.view_digest != b.members.view_digest);
    members_remove(&a.members, find(&a, 3));
    (void)apply(&b, &dead);
    assert_true(a.members.view_digest == b.members.view_digest);
    close_fixture(&a);
    close_fixture(&b);
}

static void pick_gives_distinct_living_others_and_all_of_them_in_time(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    for (uint32_t i = 1; i <= 10; i++) {
        struct msg_member_claim claim = claim_of(i, i == 4   ? MEMBER_DEAD
                                                    : i == 5 ? MEMBER_SUSPECT
                                                             : MEMBER_ALIVE);
        (void)apply(&f, &claim);
    }
    bool is_seen[11] = {false};
    for (int round = 0; round < 200; round++) {
        struct member *picked[16];
        struct id except = find(&f, 1)->fact->id;
        size_t count = members_pick(&f.members, &f.prng, &except, round % 2 == 0, picked, 3);
        assert_int_equal(count, 3);
        for (size_t i = 0; i < count; i++) {
            assert_true(picked[i]->fact->id.bytes[0] != 0 && picked[i]->fact->id.bytes[0] != 1);
            assert_true(picked[i]->state == MEMBER_ALIVE ||
                        (round % 2 == 1 && picked[i]->state == MEMBER_SUSPECT));
            for (size_t k = 0; k < i; k++) assert_ptr_not_equal(picked[i], picked[k]);
            is_seen[picked[i]->fact->id.bytes[0]] = true;
        }
    }
    for (uint32_t i = 2; i <= 10; i++) assert_true(is_seen[i] == (i != 4));
    struct member *all[16];
    assert_int_equal(members_pick(&f.members, &f.prng, NULL, false, all, 16), 9);
    close_fixture(&f);
}

static void full_table_drops_the_living_newcomer_and_counts_it(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    for (uint32_t i = 1; i < MEMBERS_MAX; i++) {
        struct msg_member_claim claim = claim_of(i, i == 77 ? MEMBER_DEAD : MEMBER_ALIVE);
        assert_int_equal(apply(&f, &claim), MEMBERS_WON);
    }
    struct msg_member_claim claim = claim_of(MEMBERS_MAX, MEMBER_ALIVE);
    assert_int_equal(apply(&f, &claim), MEMBERS_WON); /* the dead one made room */
    assert_null(find(&f, 77));
    claim = claim_of(MEMBERS_MAX + 1, MEMBER_ALIVE);
    assert_int_equal(apply(&f, &claim), MEMBERS_DROPPED);
    assert_int_equal(f.members.dropped, 1);
    assert_int_equal(f.members.by_id.count, MEMBERS_MAX);
    counts_are_those_of_a_walk(&f);
    close_fixture(&f);
}

static void allocation_failure_drops_the_member_and_leaves_the_table_whole(void **state)
{
    (void)state;
    for (uint64_t fail_after = 1; fail_after < 40; fail_after++) {
        struct fixture f;
        open_fixture(&f);
        f.memory.fail_after = fail_after;
        for (uint32_t i = 1; i <= 30; i++) {
            struct msg_member_claim claim = claim_of(i, MEMBER_ALIVE);
            (void)apply(&f, &claim);
        }
        assert_in_range(f.members.dropped, 0, 1);
        assert_int_equal(f.members.by_id.count + f.members.dropped, 31);
        counts_are_those_of_a_walk(&f);
        close_fixture(&f);
    }
}

/* Alive, suspect, dead and back, while each allocation in turn fails: a claim is held whole or not
 * at all. */
static void allocation_failure_holds_no_claim_by_half(void **state)
{
    (void)state;
    static const unsigned story[] = {MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD, MEMBER_LEFT};
    for (uint64_t fail_after = 1; fail_after < 60; fail_after++) {
        struct fixture f;
        open_fixture(&f);
        f.memory.fail_after = fail_after;
        for (unsigned step = 0; step < 4; step++)
            for (uint32_t i = 1; i <= 9; i++) {
                struct msg_member_claim claim = claim_of(i, story[step]);
                if (apply(&f, &claim) == MEMBERS_WON)
                    assert_int_equal(find(&f, i)->state, story[step]);
            }
        assert_in_range(f.members.dropped, 0, 1);
        size_t cursor = 0, gone = 0;
        for (struct member *m; (m = members_next(&f.members, &cursor)) != NULL;) {
            assert_int_equal(m->suspicion != NULL, m->state == MEMBER_SUSPECT);
            if (m->state < MEMBER_DEAD) continue;
            assert_ptr_equal(f.members.gone[m->gone_place], m);
            gone++;
        }
        assert_int_equal(gone, f.members.gone_count);
        counts_are_those_of_a_walk(&f);
        close_fixture(&f);
    }
}

static void dead_are_picked_evenly_and_the_left_never(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_null(members_pick_dead(&f.members, &f.prng));
    unsigned seen[8] = {0};
    for (uint32_t i = 1; i < 8; i++) {
        struct msg_member_claim claim = claim_of(i, i == 7 ? MEMBER_LEFT : MEMBER_DEAD);
        assert_int_equal(apply(&f, &claim), MEMBERS_WON);
    }
    members_remove(&f.members, find(&f, 3));
    struct msg_member_claim back = claim_of(5, MEMBER_ALIVE);
    back.refutations = 1;
    assert_int_equal(apply(&f, &back), MEMBERS_WON);
    for (unsigned round = 0; round < 4000; round++)
        seen[members_pick_dead(&f.members, &f.prng)->fact->id.bytes[0]]++;
    assert_int_equal(seen[3] + seen[5] + seen[7], 0);
    for (unsigned i = 1; i <= 6; i++)
        if (i != 3 && i != 5) assert_in_range(seen[i], 600, 2000);
    close_fixture(&f);
}

/* Two tables, one store: the first hears of a newer boot, the second holds the former still. */
static void shared_facts_are_kept_once_and_change_for_each_holder_alone(void **state)
{
    (void)state;
    enum {
        COUNT = 40
    };
    struct memory memory;
    struct facts facts;
    struct prng prng;
    const struct fact *all[COUNT];
    struct members tables[2];
    memory_init(&memory, 1u << 20);
    prng_init(&prng, 1);
    facts_init(&facts, &memory);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct msg_member_claim claim = claim_of(i, MEMBER_ALIVE);
        all[i] = facts_take(&facts, &claim);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct msg_member_claim self = claim_of(i, MEMBER_ALIVE);
        members_init(&tables[i], &memory, &facts);
        assert_int_equal(members_apply(&tables[i], 1, &self, true, &prng), MEMBERS_WON);
        assert_int_equal(members_seed(&tables[i], 1, all, COUNT, &prng), ERROR_NONE);
        assert_int_equal(members_living_count(&tables[i]), COUNT);
        assert_int_equal(tables[i].order_count, COUNT - 1);
    }
    assert_true(tables[0].view_digest == tables[1].view_digest);
    assert_int_equal(facts.by_id.count, COUNT);
    struct msg_member_claim newer = claim_of(9, MEMBER_ALIVE);
    newer.boot.counter++;
    assert_int_equal(members_apply(&tables[0], 2, &newer, false, &prng), MEMBERS_WON);
    assert_int_equal(members_find(&tables[0], &newer.node)->fact->boot.counter, 2);
    assert_int_equal(members_find(&tables[1], &newer.node)->fact->boot.counter, 1);
    assert_true(tables[0].view_digest != tables[1].view_digest);
    assert_int_equal(members_apply(&tables[1], 3, &newer, false, &prng), MEMBERS_WON);
    assert_ptr_equal(members_find(&tables[0], &newer.node)->fact,
                     members_find(&tables[1], &newer.node)->fact);
    for (uint32_t i = 0; i < COUNT; i++) facts_put(&facts, all[i]);
    members_deinit(&tables[0]);
    members_deinit(&tables[1]);
    facts_deinit(&facts);
    assert_int_equal(memory.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_claim_is_self_and_not_in_the_order),
        cmocka_unit_test(newer_claim_wins_and_is_told_and_logged_with_its_cause),
        cmocka_unit_test(every_order_of_claims_ends_alike),
        cmocka_unit_test(own_word_corrects_the_address_at_equal_precedence),
        cmocka_unit_test(junk_is_refused_with_a_reason),
        cmocka_unit_test(names_are_cleaned),
        cmocka_unit_test(view_digest_depends_on_who_lives_alone),
        cmocka_unit_test(pick_gives_distinct_living_others_and_all_of_them_in_time),
        cmocka_unit_test(full_table_drops_the_living_newcomer_and_counts_it),
        cmocka_unit_test(allocation_failure_drops_the_member_and_leaves_the_table_whole),
        cmocka_unit_test(allocation_failure_holds_no_claim_by_half),
        cmocka_unit_test(dead_are_picked_evenly_and_the_left_never),
        cmocka_unit_test(shared_facts_are_kept_once_and_change_for_each_holder_alone),
    };
    return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
