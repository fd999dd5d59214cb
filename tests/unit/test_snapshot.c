/* Snapshots: whoever is behind a cut takes it over and keeps what nobody else has; a transfer that
 * breaks off goes on; and a liar's pages change nothing. */
#include "cut_lab.h"

/* A replica whose log is cut: jobs that ended, one that runs. */
static struct replica *cut_replica(uint64_t number, unsigned jobs)
{
    struct replica *a = replica_open(number);
    for (unsigned n = 0; n < jobs; n++) say_whole_job(a, n, 2);
    say_job(a, jobs, 3);
    say_done(a, jobs, 0, say_claim(a, jobs, 0));
    assert_true(replica_cut_now(a) > 0);
    return a;
}

static void a_newcomer_has_the_same_state(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 10), *c = replica_open(3);
    assert_false(replica_pull(c, a));
    assert_int_equal(c->entries, 0); /* not even what lies behind the cut */
    assert_int_equal(replica_snapshot(c, a), 1);
    assert_true(replica_pull(c, a));
    assert_same(a, c);
    assert_true(log_clock(c->log) == log_clock(a->log));
    replica_sync(c);
    assert_int_equal(log_durable(c->log, &a->id, &a->boot), log_have(a->log, &a->id, &a->boot));
    replica_restart(c);
    assert_same(a, c);
    /* And hands it on. */
    struct replica *d = replica_open(4);
    replica_catch_up(d, c);
    assert_same(a, d);
    replica_close(a);
    replica_close(c);
    replica_close(d);
}

static void a_large_snapshot_comes_in_pages(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 5000), *c = replica_open(3);
    assert_true(replica_snapshot(c, a) > 3);
    assert_true(replica_pull(c, a));
    assert_same(a, c);
    replica_close(a);
    replica_close(c);
}

static void a_peer_behind_the_cut_keeps_its_unseen_entries(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *b = replica_open(2);
    say_whole_job(a, 1, 2);
    say_job(a, 2, 4);
    replica_catch_up(b, a);
    say_job(b, 3, 4); /* a partition: nobody sees it */
    struct msg_stamp claim = say_claim(b, 2, 1);
    say_done(b, 2, 1, claim);
    for (unsigned n = 10; n < 20; n++) say_whole_job(a, n, 3);
    assert_true(replica_cut_now(a) > 0);
    assert_false(replica_pull(b, a));
    uint64_t own = log_have(b->log, &b->id, &b->boot);
    (void)replica_snapshot(b, a);
    assert_int_equal(log_have(b->log, &b->id, &b->boot), own);
    assert_true(replica_pull(b, a));
    assert_true(replica_pull(a, b));
    assert_same(a, b);
    struct id unseen = lab_job(3), both = lab_job(2);
    assert_non_null(jobs_find(&a->jobs, &unseen));
    assert_int_equal(jobs_find(&a->jobs, &both)->done_count[TASK_MAP], 1);
    replica_sync(b);
    replica_restart(b);
    assert_same(a, b);
    replica_close(a);
    replica_close(b);
}

static void what_is_held_whole_is_not_touched(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *b = replica_open(2), *c = replica_open(3);
    for (unsigned n = 0; n < 5; n++) say_whole_job(a, n, 2);
    for (unsigned n = 10; n < 15; n++) say_whole_job(b, n, 2);
    replica_catch_up(a, b);
    replica_catch_up(c, b); /* all of b's, nothing of a's */
    assert_true(replica_cut_now(a) > 0);
    uint64_t kept = log_counters(c->log)->kept;
    (void)replica_snapshot(c, a);
    assert_int_equal(log_counters(c->log)->kept,
                     kept + 9); /* of a's feed alone: five jobs, four ends */
    assert_true(replica_pull(c, a) && replica_pull(a, c));
    assert_same(a, c);
    replica_close(a);
    replica_close(b);
    replica_close(c);
}

static void a_transfer_that_breaks_off_goes_on_with_another(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 5000), *b = replica_open(2), *c = replica_open(3);
    uint64_t first;
    const char *reason;
    replica_catch_up(b, a);
    assert_true(log_cut_number(a->log) == log_cut_number(b->log));
    assert_int_equal(page_take(c, page_packed(a, 0, true), &first, &reason), LOG_PAGE_WANTS);
    assert_int_equal(first, 0);
    assert_int_equal(page_take(c, page_packed(a, 0, false), &first, &reason), LOG_PAGE_WANTS);
    assert_true(first > 0);
    uint64_t reached = first;
    /* The same page again, a page too far, and a page of a cut that nobody offered. */
    assert_int_equal(page_take(c, page_packed(a, 0, false), &first, &reason), LOG_PAGE_IGNORED);
    assert_int_equal(page_take(c, page_packed(a, reached + 1, false), &first, &reason),
                     LOG_PAGE_IGNORED);
    struct replica *other = cut_replica(9, 3);
    assert_int_equal(page_take(c, page_packed(other, 0, false), &first, &reason), LOG_PAGE_IGNORED);
    assert_int_equal(page_take(c, page_packed(b, 0, true), &first, &reason), LOG_PAGE_WANTS);
    assert_int_equal(first, reached);
    while (page_take(c, page_packed(b, first, false), &first, &reason) == LOG_PAGE_WANTS) continue;
    assert_true(replica_pull(c, b));
    assert_same(a, c);
    replica_close(a);
    replica_close(b);
    replica_close(c);
    replica_close(other);
}

/* The power fails between two pages, and at the last one. */
static void a_crash_in_a_transfer_leaves_what_was_before_or_all_of_it(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 5000);
    struct replica *b = replica_open(2);
    unsigned pages = replica_snapshot(b, a);
    replica_close(b);
    for (unsigned until = 1; until <= pages; until += pages / 2)
        for (uint64_t choice = 0; choice < 4; choice++) {
            struct replica *c = replica_open(3);
            uint64_t first, before = log_digest(c->log);
            const char *reason;
            (void)page_take(c, page_packed(a, 0, true), &first, &reason);
            for (unsigned page = 0; page < until; page++)
                (void)page_take(c, page_packed(a, first, false), &first, &reason);
            storage_memory_crash(c->disk, choice == 3 ? UINT64_MAX : choice << 62);
            replica_restart(c);
            bool is_whole = log_have(c->log, &a->id, &a->boot) > 0;
            assert_true(is_whole == (until == pages && choice == 3));
            assert_true(is_whole || (log_digest(c->log) == before && c->entries == 0));
            replica_catch_up(c, a);
            assert_same(a, c);
            replica_sync(c);
            replica_restart(c);
            assert_same(a, c);
            replica_close(c);
        }
    replica_close(a);
}

static void a_snapshot_without_memory_is_forgotten_or_the_end(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 40);
    bool is_through = false;
    for (uint64_t fail = 1; !is_through; fail++) {
        struct replica *c = replica_open(3);
        uint64_t first, before = log_digest(c->log);
        const char *reason;
        (void)page_take(c, page_packed(a, 0, true), &first, &reason);
        c->memory.fail_after = fail;
        enum log_page news = page_take(c, page_packed(a, first, false), &first, &reason);
        is_through = c->memory.fail_after > 0;
        c->memory.fail_after = 0;
        assert_int_equal(news, is_through ? LOG_PAGE_LAST : LOG_PAGE_REFUSED);
        if (reason == log_no_room) { /* nothing happened */
            assert_true(log_digest(c->log) == before);
            replica_catch_up(c, a);
            assert_same(a, c);
        } else {
            assert_true(is_through || reason == log_memory); /* and the node stops */
        }
        replica_restart(c);
        replica_close(c);
    }
    replica_close(a);
}

/* ---- liars ---- */

/* A page to be spoilt: what a peer with the cluster's key may send. */
struct lie {
    struct msg_log_snapshot page;
    struct msg_log_batch anchors[8];
    struct msg_log_kept entries[64];
    uint8_t signature[CRYPTO_SIGNATURE_SIZE];
    uint8_t bytes[4096];
};

static void lie_fill(struct lie *lie, struct replica *from)
{
    arena_reset(&from->scratch);
    assert_true(log_snapshot_fill(from->log, 0, &lie->page, &from->scratch));
    assert_true(lie->page.anchors.count <= 8 && lie->page.entries.count <= 64);
    memcpy(lie->anchors, lie->page.anchors.at, lie->page.anchors.count * sizeof *lie->anchors);
    memcpy(lie->entries, lie->page.entries.at, lie->page.entries.count * sizeof *lie->entries);
    lie->page.anchors.at = lie->anchors;
    lie->page.entries.at = lie->entries;
}

typedef void spoil(struct lie *lie);

static void wrong_signature(struct lie *lie)
{
    memcpy(lie->signature, lie->anchors[0].signature.at, sizeof lie->signature);
    lie->signature[3] ^= 1;
    lie->anchors[0].signature.at = lie->signature;
}

static void wrong_body(struct lie *lie)
{
    assert_true(lie->anchors[0].body.count <= sizeof lie->bytes);
    memcpy(lie->bytes, lie->anchors[0].body.at, lie->anchors[0].body.count);
    lie->bytes[lie->anchors[0].body.count - 1] ^= 1;
    lie->anchors[0].body.at = lie->bytes;
}

static void anchor_twice(struct lie *lie)
{
    lie->anchors[lie->page.anchors.count] = lie->anchors[lie->page.anchors.count - 1];
    lie->page.anchors.count++;
}

static void time_at_the_end(struct lie *lie) { lie->entries[0].stamp.time = UINT64_MAX; }
static void time_of_nobody(struct lie *lie) { lie->entries[0].stamp.time = 0; }

static void times_fall(struct lie *lie) { lie->entries[1].stamp.time = lie->entries[0].stamp.time; }

static void behind_its_anchor(struct lie *lie)
{
    lie->entries[lie->page.entries.count - 1].stamp.time = LOG_TIME_MAX - 1;
}

static void entry_twice(struct lie *lie)
{
    lie->entries[1].stamp.sequence = lie->entries[0].stamp.sequence;
}

static void entries_swapped(struct lie *lie)
{
    struct msg_log_kept moved = lie->entries[0];
    lie->entries[0] = lie->entries[1];
    lie->entries[1] = moved;
}

static void beyond_the_base(struct lie *lie)
{
    lie->entries[lie->page.entries.count - 1].stamp.sequence += 1000;
}

static void sequence_zero(struct lie *lie) { lie->entries[0].stamp.sequence = 0; }
static void no_kind(struct lie *lie) { lie->entries[0].kind = MSG_ping; }
static void no_fields(struct lie *lie) { lie->entries[0].body.count--; }

static const struct {
    const char *name;
    spoil *spoil;
} lies[] = {
    {"wrong_signature", wrong_signature},
    {"wrong_body", wrong_body},
    {"anchor_twice", anchor_twice},
    {"time_at_the_end", time_at_the_end},
    {"time_of_nobody", time_of_nobody},
    {"times_fall", times_fall},
    {"behind_its_anchor", behind_its_anchor},
    {"entry_twice", entry_twice},
    {"entries_swapped", entries_swapped},
    {"beyond_the_base", beyond_the_base},
    {"sequence_zero", sequence_zero},
    {"no_kind", no_kind},
    {"no_fields", no_fields},
};

static enum log_page take_page_of(struct replica *to, struct lie *lie, const char **reason)
{
    static const struct id from = {{1}};
    uint64_t first;
    struct msg_log_snapshot offer = {.number = lie->page.number, .more = true};
    arena_reset(&to->scratch);
    assert_int_equal(log_snapshot_take(to->log, &offer, &from, &first, reason, &to->scratch),
                     LOG_PAGE_WANTS);
    return log_snapshot_take(to->log, &lie->page, &from, &first, reason, &to->scratch);
}

static void a_lie_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct replica *a = cut_replica(1, 8), *c = replica_open(3);
        static struct lie lie;
        const char *reason;
        say_job(c, 500, 1);
        uint64_t log = log_digest(c->log), before = replica_state(c), clock = log_clock(c->log);
        size_t used = c->memory.used;
        lie_fill(&lie, a);
        lies[i].spoil(&lie);
        enum log_page news = take_page_of(c, &lie, &reason);
        if (news != LOG_PAGE_REFUSED || !log_is_offence(reason))
            fail_msg("%s: %d %s", lies[i].name, news, reason == NULL ? "taken" : reason);
        assert_true(log_digest(c->log) == log && replica_state(c) == before);
        assert_true(log_clock(c->log) == clock && c->memory.used == used);
        assert_int_equal(log_counters(c->log)->refused, 1);
        lie_fill(&lie, a); /* and the truth is still welcome */
        assert_int_equal(take_page_of(c, &lie, &reason), LOG_PAGE_LAST);
        replica_sync(c);
        replica_restart(c);
        replica_catch_up(a, c);
        replica_catch_up(c, a);
        assert_same(a, c);
        replica_close(a);
        replica_close(c);
    }
}

/* We hold a beginning of that feed, and know better. */
static void what_we_hold_can_not_be_contradicted(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *c = replica_open(3);
    static struct lie lie;
    const char *reason;
    say_whole_job(a, 1, 2);
    replica_catch_up(c, a);
    for (unsigned n = 2; n < 6; n++) say_whole_job(a, n, 2);
    assert_true(replica_cut_now(a) > 0);
    uint64_t log = log_digest(c->log), before = replica_state(c);
    lie_fill(&lie, a);
    assert_int_equal(lie.entries[0].kind, MSG_job);
    assert_int_equal(lie.entries[0].stamp.sequence, 1);
    lie.entries[0].body = lie.entries[2].body; /* another job's, well formed */
    assert_int_equal(take_page_of(c, &lie, &reason), LOG_PAGE_REFUSED);
    assert_string_equal(reason, "contradicts what is held");
    assert_true(log_digest(c->log) == log && replica_state(c) == before);
    replica_catch_up(c, a);
    assert_same(a, c);
    replica_close(a);
    replica_close(c);
}

/* What a liar leaves out of a snapshot stays where it was held: in the state, and after a start. */
static void what_we_hold_is_not_lost_by_omission(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *c = replica_open(3);
    static struct lie lie;
    const char *reason;
    say_whole_job(a, 1, 2);
    replica_catch_up(c, a);
    for (unsigned n = 2; n < 6; n++) say_whole_job(a, n, 2);
    assert_true(replica_cut_now(a) > 0);
    lie_fill(&lie, a);
    uint32_t left_out = 0; /* all of the first job */
    while (lie.entries[left_out].stamp.sequence <= 6) left_out++;
    assert_true(left_out >= 2);
    lie.page.entries.at = lie.entries + left_out;
    lie.page.entries.count -= left_out;
    assert_int_equal(take_page_of(c, &lie, &reason), LOG_PAGE_LAST);
    uint64_t log = log_digest(c->log), now = replica_state(c);
    assert_true(now == replica_state(a));
    replica_sync(c);
    replica_restart(c);
    assert_true(log_digest(c->log) == log && replica_state(c) == now);
    (void)replica_prune(c);
    assert_true(replica_state(c) == now);
    replica_catch_up(c, a);
    assert_same(a, c);
    replica_close(a);
    replica_close(c);
}

/* An author with two histories spoils his own feed and no other. */
static void a_forked_feed_does_not_stop_the_rest(void **state)
{
    (void)state;
    struct replica *a = replica_open(1), *c = replica_open(3);
    struct replica *one = replica_open(7), *two = replica_open(7); /* the same key and boot */
    say_job(one, 700, 1);
    say_job(two, 701, 1);
    struct msg_job job = {.job = lab_job(702), .spec = {.maps = 1}};
    (void)say(two, &wire_job,
              &job); /* of three in one batch: the anchor is longer than what c holds */
    (void)say(two, &wire_job, &job);
    commit(two);
    for (unsigned n = 0; n < 5; n++) say_whole_job(a, n, 2);
    assert_true(replica_pull(a, two));
    assert_true(replica_pull(c, one));
    assert_true(replica_cut_now(a) > 0);
    assert_false(replica_pull(c, a));
    (void)replica_snapshot(c, a);
    assert_true(log_have(c->log, &a->id, &a->boot) > 0);
    assert_int_equal(log_have(c->log, &one->id, &one->boot), 1);
    struct id other = lab_job(701);
    assert_null(jobs_find(&c->jobs, &other));
    replica_close(a);
    replica_close(c);
    replica_close(one);
    replica_close(two);
}

static void our_own_later_boot_is_a_usurper(void **state)
{
    (void)state;
    struct replica *a = cut_replica(1, 3), *c = replica_open(3), *twin = replica_open(3);
    uint64_t first;
    const char *reason;
    say_job(twin, 1, 1);
    replica_catch_up(a, twin);
    (void)page_take(c, page_packed(a, 0, true), &first, &reason);
    assert_int_equal(page_take(c, page_packed(a, first, false), &first, &reason), LOG_PAGE_REFUSED);
    assert_ptr_equal(reason, log_usurped);
    assert_int_equal(c->usurped, 1);
    replica_close(a);
    replica_close(c);
    replica_close(twin);
}

/* ---- damaged disks ---- */

static const char *load_of(struct replica *replica, struct slice key, struct slice value)
{
    arena_reset(&replica->scratch);
    return log_load(replica->log, key, value, &replica->scratch);
}

static void a_disk_that_says_nonsense_is_refused(void **state)
{
    (void)state;
    struct replica *c = replica_open(3);
    uint8_t base[BASE_KEY_SIZE], key[KEPT_KEY_SIZE], ten[8] = {10}, zero[8] = {0};
    struct id node = {{5}};
    struct boot boot = {1, 2};
    batch_base_key(&node, &boot, base);
    batch_kept_key(&node, &boot, 4, key);
    struct slice base_key = slice_of(base, sizeof base), kept_key = slice_of(key, sizeof key);
    assert_non_null(load_of(c, base_key, slice_of(ten, 7)));
    assert_non_null(load_of(c, slice_of(base, 9), slice_of(ten, 8)));
    assert_non_null(load_of(c, base_key, slice_of(zero, 8)));
    assert_null(load_of(c, base_key, slice_of(ten, 8)));
    assert_non_null(load_of(c, base_key, slice_of(ten, 8))); /* twice */
    struct msg_left left = {.cause = 1};
    uint8_t body[16], value[200];
    struct writer writer = writer_of(body, sizeof body);
    assert_true(wire_encode(&wire_left, &left, &writer));
    struct msg_log_kept kept = {{3, node, boot, 4}, MSG_left, slice_of(body, writer.written)};
    for (int spoilt = 0; spoilt < 5; spoilt++) {
        struct msg_log_kept bad = kept;
        if (spoilt == 0) bad.stamp.sequence = 5; /* under another key */
        if (spoilt == 1) bad.kind = MSG_ping;
        if (spoilt == 2) bad.body.count = 0;
        if (spoilt == 3) bad.stamp.time = UINT64_MAX;
        writer = writer_of(value, sizeof value);
        assert_true(wire_pack(&wire_log_kept, &bad, &writer));
        struct slice bytes = slice_of(value, writer.written - (spoilt == 4));
        assert_non_null(load_of(c, kept_key, bytes));
    }
    assert_int_equal(c->entries, 0);
    writer = writer_of(value, sizeof value);
    assert_true(wire_pack(&wire_log_kept, &kept, &writer));
    assert_null(load_of(c, kept_key, slice_of(value, writer.written)));
    assert_int_equal(c->entries, 1);
    replica_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_newcomer_has_the_same_state),
        cmocka_unit_test(a_large_snapshot_comes_in_pages),
        cmocka_unit_test(a_peer_behind_the_cut_keeps_its_unseen_entries),
        cmocka_unit_test(what_is_held_whole_is_not_touched),
        cmocka_unit_test(a_transfer_that_breaks_off_goes_on_with_another),
        cmocka_unit_test(a_crash_in_a_transfer_leaves_what_was_before_or_all_of_it),
        cmocka_unit_test(a_snapshot_without_memory_is_forgotten_or_the_end),
        cmocka_unit_test(a_lie_changes_nothing),
        cmocka_unit_test(what_we_hold_can_not_be_contradicted),
        cmocka_unit_test(what_we_hold_is_not_lost_by_omission),
        cmocka_unit_test(a_forked_feed_does_not_stop_the_rest),
        cmocka_unit_test(our_own_later_boot_is_a_usurper),
        cmocka_unit_test(a_disk_that_says_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
