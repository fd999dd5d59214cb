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
    assert_int_equal(members_init(&f->members, &f->memory), ERROR_NONE);
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
        assert_int_equal(member->boot.counter, 2);
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
    assert_int_equal(find(&f, 1)->address.port, 7437);
    assert_int_equal(members_apply(&f.members, 0, &claim, true, &f.prng), MEMBERS_EQUAL);
    assert_int_equal(find(&f, 1)->address.port, 99);
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
    assert_string_equal(find(&f, 1)->name, "a?b?[31m????~");
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
        struct id except = find(&f, 1)->id;
        size_t count = members_pick(&f.members, &f.prng, &except, round % 2 == 0, picked, 3);
        assert_int_equal(count, 3);
        for (size_t i = 0; i < count; i++) {
            assert_true(picked[i]->id.bytes[0] != 0 && picked[i]->id.bytes[0] != 1);
            assert_true(picked[i]->state == MEMBER_ALIVE ||
                        (round % 2 == 1 && picked[i]->state == MEMBER_SUSPECT));
            for (size_t k = 0; k < i; k++) assert_ptr_not_equal(picked[i], picked[k]);
            is_seen[picked[i]->id.bytes[0]] = true;
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
    };
    return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
