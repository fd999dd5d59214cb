/* Gossip in a laboratory (gossip_lab.h). What must hold is said by the names of the tests; what the
 * measured times were, by the lines they print. */
#include "gossip_lab.h"

/* ---- joining ---- */

static void all_learn_of_a_join_through_one_exchange(void **state)
{
    (void)state;
    struct times times = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab *lab = open_flock(8, seed);
        lab->count = 9;
        start(lab, 8);
        exchange(lab, 8, (unsigned)(seed % 8));
        add_time(&times, time_until(lab, 8, MEMBER_ALIVE, 2 * SECOND));
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(view(lab, i, 8)->cause, CAUSE_JOINED);
            assert_string_equal(view(lab, i, 8)->fact->name, "node-8");
        }
        close_lab(lab);
    }
    print_times("join known to all of 8", &times);
}

static void hundred_join_one_at_once(void **state)
{
    (void)state;
    struct lab *lab = open_lab(100, 3);
    for (unsigned i = 1; i < 100; i++) exchange(lab, i, 0);
    struct times times = {0};
    add_time(&times, time_until_all_alive(lab, 20 * SECOND));
    print_times("100 know each other", &times);
    run(lab, 60 * SECOND);
    uint64_t before = lab->sent_count;
    run(lab, 60 * SECOND);
    /* Calm: a ping and an ack a member and period, and nothing else. */
    assert_in_range(lab->sent_count - before, 2 * 100 * 60 - 400, 2 * 100 * 60 + 400);
    assert_int_equal(lab->false_deaths, 0);
    close_lab(lab);
}

static void unknown_sender_is_learnt_by_its_claim_not_by_its_datagram(void **state)
{
    (void)state;
    struct lab *lab = open_lab(2, 1);
    struct gossip *gossip = &lab->subjects[0].gossip;
    struct subject *stranger = &lab->subjects[1];
    struct address from = address_of(1);
    struct arena arena;
    uint8_t bytes[256];
    struct writer writer = writer_of(bytes, sizeof bytes);
    struct msg_ping ping = {.sequence = 5, .target = short_of(&lab->subjects[0].id)};
    assert_true(wire_pack(&wire_ping, &ping, &writer));
    arena_init(&arena, lab->scratch, sizeof lab->scratch);
    assert_null(gossip_receive(gossip, lab->now, &stranger->id, &stranger->boot, &from,
                               slice_of(bytes, writer.written), &arena));
    assert_null(view(lab, 0, 1));
    assert_int_equal(lab->sent_count, 1); /* yet it gets its ack */
    exchange(lab, 1, 0);
    assert_int_equal(view(lab, 0, 1)->state, MEMBER_ALIVE);
    gossip_alive(gossip, lab->now, &stranger->id, &stranger->boot);
    assert_int_equal(view(lab, 0, 1)->heard, lab->now);
    close_lab(lab);
}

/* ---- death ---- */

static void killed_one_is_known_dead_by_all_within_the_bound(void **state)
{
    (void)state;
    static const unsigned sizes[] = {2, 3, 5, 8, 32};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct times times = {0};
        unsigned n = sizes[k];
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct lab *lab = open_flock(n, seed);
            stop(lab, n - 1);
            add_time(&times, time_until(lab, n - 1, MEMBER_DEAD, 30 * SECOND));
            assert_int_equal(view(lab, 0, n - 1)->cause, CAUSE_SUSPICION_OVER);
            assert_int_equal(lab->false_deaths, 0);
            close_lab(lab);
        }
        char what[64];
        snprintf(what, sizeof what, "killed, known to all of %u", n);
        print_times(what, &times);
        assert_true(times.most < 12 * SECOND);
    }
}

static void evidence_makes_detection_quick(void **state)
{
    (void)state;
    static const unsigned sizes[] = {2, 3, 8, 32};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct times times = {0};
        unsigned n = sizes[k];
        for (uint64_t seed = 1; seed <= 40; seed++) {
            struct lab *lab = open_flock(n, seed);
            run(lab, (duration)(seed * 37 * MILLISECOND));
            stop(lab, 0);
            unsigned witness = 1 + (unsigned)(seed % (n - 1));
            enum cause cause = seed % 2 == 0 ? CAUSE_STREAM_ENDED : CAUSE_REFUSED;
            gossip_evidence(&lab->subjects[witness].gossip, lab->now, &lab->subjects[0].id, cause);
            add_time(&times, time_until(lab, 0, MEMBER_DEAD, 2500 * MILLISECOND));
            close_lab(lab);
        }
        char what[64];
        snprintf(what, sizeof what, "killed with evidence, known to all of %u", n);
        print_times(what, &times);
    }
}

static void port_closed_to_three_is_death_at_once(void **state)
{
    (void)state;
    static const unsigned sizes[] = {2, 3, 4, 8, 32};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned n = sizes[k];
        struct lab *lab = open_flock(n, k + 1);
        lab->refusing = n;
        stop(lab, n - 1);
        gossip_evidence(&lab->subjects[0].gossip, lab->now, &lab->subjects[n - 1].id,
                        CAUSE_STREAM_ENDED);
        duration time = time_until(lab, n - 1, MEMBER_DEAD, SECOND);
        assert_in_range(time, 200 * MILLISECOND, 700 * MILLISECOND);
        assert_int_equal(view(lab, 0, n - 1)->cause, CAUSE_REFUSED);
        close_lab(lab);
    }
}

static void port_closed_to_one_alone_is_suspicion(void **state)
{
    (void)state;
    struct lab *lab = open_flock(8, 3);
    lab->refusing = 1;
    stop(lab, 7);
    gossip_evidence(&lab->subjects[0].gossip, lab->now, &lab->subjects[7].id, CAUSE_STREAM_ENDED);
    run(lab, 700 * MILLISECOND);
    assert_int_equal(view(lab, 0, 7)->state, MEMBER_SUSPECT);
    (void)time_until(lab, 7, MEMBER_DEAD, 3 * SECOND);
    close_lab(lab);
}

static void port_that_refuses_while_its_node_answers_proves_nothing(void **state)
{
    (void)state;
    struct lab *lab = open_flock(4, 3);
    struct address port = address_of(1);
    for (unsigned i = 0; i < 400; i++) { /* forged ones, for ever */
        gossip_refused(&lab->subjects[0].gossip, lab->now, &port);
        run(lab, 50 * MILLISECOND);
        assert_true(all_alive(lab));
    }
    close_lab(lab);
}

static void evidence_against_the_living_comes_to_nothing(void **state)
{
    (void)state;
    struct lab *lab = open_flock(8, 5);
    for (unsigned round = 0; round < 100; round++) {
        unsigned a = round % 8, b = (round / 8 + 1 + a) % 8;
        if (a == b) continue;
        gossip_evidence(&lab->subjects[a].gossip, lab->now, &lab->subjects[b].id,
                        CAUSE_STREAM_ENDED);
        run(lab, 300 * MILLISECOND);
        assert_true(all_alive(lab));
    }
    assert_int_equal(lab->false_deaths, 0);
    close_lab(lab);
}

static void cut_off_node_does_not_condemn_quickly_when_its_streams_end(void **state)
{
    (void)state;
    struct lab *lab = open_flock(8, 6);
    lab->subjects[0].side = 1;
    for (unsigned i = 1; i < 8; i++)
        gossip_evidence(&lab->subjects[0].gossip, lab->now, &lab->subjects[i].id,
                        CAUSE_STREAM_ENDED);
    run(lab, 10 * SECOND);
    for (unsigned i = 1; i < 8; i++) assert_int_equal(view(lab, 0, i)->state, MEMBER_SUSPECT);
    close_lab(lab);
}

static void soak(uint32_t loss, unsigned count, uint64_t seed)
{
    struct lab *lab = open_flock(count, seed);
    lab->loss = loss;
    run(lab, 600 * SECOND);
    uint64_t suspicions = 0, refutations = 0;
    for (unsigned i = 0; i < count; i++) {
        suspicions += lab->subjects[i].gossip.counters.suspicions;
        refutations += lab->subjects[i].gossip.counters.refutations;
    }
    print_message(
        "             %u nodes, loss %u %%: %u suspicions, %u refutations, %u false deaths\n",
        count, loss / 10000, (unsigned)suspicions, (unsigned)refutations, lab->false_deaths);
    assert_int_equal(lab->false_deaths, 0);
    lab->loss = 0;
    run(lab, 5 * SECOND);
    assert_true(all_alive(lab));
    close_lab(lab);
}

static void nobody_is_wrongly_held_dead_without_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) soak(0, 8, seed);
}

static void nobody_is_wrongly_held_dead_at_a_fifth_of_all_packets_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) soak(200000, 8, seed);
    soak(200000, 2, 1);
    soak(200000, 3, 1);
    soak(200000, 32, 1);
}

static void dead_are_forgotten_after_a_day_and_nobody_reminds_the_others(void **state)
{
    (void)state;
    struct lab *lab = open_flock(3, 2);
    stop(lab, 2);
    (void)time_until(lab, 2, MEMBER_DEAD, 30 * SECOND);
    run(lab, 12 * 3600 * (duration)SECOND);
    assert_non_null(view(lab, 0, 2));
    lab->count = 4;
    start(lab, 3);
    exchange(lab, 0, 3);
    assert_null(view(lab, 3, 2)); /* old deaths are not told any more */
    run(lab, 12 * 3600 * (duration)SECOND + 130 * SECOND);
    exchange(lab, 0, 1);
    assert_null(view(lab, 0, 2));
    assert_null(view(lab, 1, 2));
    assert_true(all_alive(lab));
    close_lab(lab);
}

/* ---- coming back ---- */

static void restarted_node_outranks_rumours_of_its_death(void **state)
{
    (void)state;
    struct times times = {0};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lab *lab = open_flock(8, seed);
        stop(lab, 3);
        if (seed % 2 == 0) (void)time_until(lab, 3, MEMBER_DEAD, 30 * SECOND);
        start(lab, 3);
        exchange(lab, 3, 0);
        instant begin = lab->now;
        for (unsigned i = 0; i < 8;) {
            run(lab, 10 * MILLISECOND);
            assert_true(lab->now - begin < 3 * SECOND);
            for (i = 0; i < 8; i++) {
                struct member *member = view(lab, i, 3);
                if (member->state != MEMBER_ALIVE || member->fact->boot.counter != 2) break;
            }
        }
        add_time(&times, lab->now - begin);
        run(lab, 40 * SECOND);
        assert_true(all_alive(lab));
        assert_int_equal(lab->subjects[3].gossip.counters.refutations, 0);
        close_lab(lab);
    }
    print_times("restart known to all of 8", &times);
}

static void datagram_at_a_higher_boot_is_a_restart(void **state)
{
    (void)state;
    struct lab *lab = open_flock(2, 1);
    struct gossip *gossip = &lab->subjects[0].gossip;
    struct address from = address_of(77);
    struct boot boot = {9, 9}, former = lab->subjects[1].boot;
    struct arena arena;
    static const uint8_t nack[] = {MSG_nack, 0};
    arena_init(&arena, lab->scratch, sizeof lab->scratch);
    assert_null(gossip_receive(gossip, lab->now, &lab->subjects[1].id, &boot, &from,
                               slice_of(nack, 2), &arena));
    assert_int_equal(view(lab, 0, 1)->fact->boot.counter, 9);
    assert_int_equal(view(lab, 0, 1)->cause, CAUSE_RESTARTED);
    assert_int_equal(view(lab, 0, 1)->fact->address.port, 1077);
    assert_string_equal(view(lab, 0, 1)->fact->name, "node-1");
    assert_non_null(gossip_receive(gossip, lab->now, &lab->subjects[1].id, &former, &from,
                                   slice_of(nack, 2), &arena));
    close_lab(lab);
}

static void accused_refutes_and_all_believe_it(void **state)
{
    (void)state;
    for (unsigned accusation = MEMBER_SUSPECT; accusation <= MEMBER_DEAD; accusation++) {
        struct lab *lab = open_flock(8, accusation);
        lab->is_judged = false;
        struct msg_member_claim claim = gossip_self_claim(&lab->subjects[5].gossip);
        claim.state = (uint8_t)accusation;
        claim.refutations = 41;
        struct msg_exchange message = {.members = {&claim, 1}};
        gossip_exchange_take(&lab->subjects[0].gossip, lab->now, &message);
        assert_int_equal(view(lab, 0, 5)->state, accusation);
        run(lab, SECOND);
        assert_true(all_alive(lab));
        for (unsigned i = 0; i < 8; i++) assert_int_equal(view(lab, i, 5)->refutations, 42);
        assert_int_equal(view(lab, 0, 5)->cause, CAUSE_REFUTED);
        assert_int_equal(lab->subjects[5].gossip.counters.refutations, 1);
        close_lab(lab);
    }
}

/* One message of this sender to subject 0. */
static void gossip_of_one_type(struct lab *lab, const struct wire_schema *schema,
                               const void *message, const struct id *sender)
{
    struct subject *s = subject_of(lab, sender);
    struct address from = address_of(s->number);
    struct arena arena;
    uint8_t bytes[256];
    struct writer writer = writer_of(bytes, sizeof bytes);
    arena_init(&arena, lab->scratch, sizeof lab->scratch);
    assert_true(wire_pack(schema, message, &writer));
    assert_null(gossip_receive(&lab->subjects[0].gossip, lab->now, sender, &s->boot, &from,
                               slice_of(bytes, writer.written), &arena));
}

static void dead_one_who_speaks_is_told_so(void **state)
{
    (void)state;
    struct lab *lab = open_flock(2, 1);
    lab->is_judged = false;
    struct msg_member_claim claim = gossip_self_claim(&lab->subjects[1].gossip);
    claim.state = MEMBER_DEAD;
    struct msg_exchange message = {.members = {&claim, 1}};
    gossip_exchange_take(&lab->subjects[0].gossip, lab->now, &message);
    struct msg_nack nack = {.sequence = 1};
    gossip_of_one_type(lab, &wire_nack, &nack, &lab->subjects[1].id);
    run(lab, 50 * MILLISECOND);
    assert_int_equal(view(lab, 0, 1)->state, MEMBER_ALIVE);
    close_lab(lab);
}

static void partition_heals_by_itself(void **state)
{
    (void)state;
    struct times times = {0};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lab *lab = open_flock(8, seed);
        lab->is_judged = false;
        for (unsigned i = 0; i < 4; i++) lab->subjects[i].side = 1;
        run(lab, 60 * SECOND);
        for (unsigned i = 0; i < 4; i++)
            for (unsigned k = 4; k < 8; k++) {
                assert_int_equal(view(lab, i, k)->state, MEMBER_DEAD);
                assert_int_equal(view(lab, k, i)->state, MEMBER_DEAD);
            }
        for (unsigned i = 0; i < 4; i++) lab->subjects[i].side = 0;
        add_time(&times, time_until_all_alive(lab, 30 * SECOND));
        run(lab, 60 * SECOND);
        assert_true(all_alive(lab));
        close_lab(lab);
    }
    print_times("partition of 4 and 4 healed", &times);
}

static void one_who_does_not_hear_costs_few_refutations(void **state)
{
    (void)state;
    /* Two sides that are loud one way: nothing that the others send reaches node 0. */
    struct lab *lab = open_flock(8, 4);
    lab->is_judged = false;
    for (unsigned second = 0; second < 60; second++) {
        for (unsigned part = 0; part < 100; part++) {
            run(lab, 10 * MILLISECOND);
            for (size_t i = 0; i < lab->packets_count; i++)
                if (lab->packets[i]->to == 0) lab->packets[i]->to = NODES_MAX - 1;
        }
    }
    for (unsigned i = 1; i < 8; i++)
        assert_true(lab->subjects[i].gossip.counters.refutations <= 60);
    close_lab(lab);
}

/* One alone holds somebody that nobody else has heard of, and it is news no more. */
static void views_that_differ_are_repaired_by_a_small_pull(void **state)
{
    (void)state;
    struct times times = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab *lab = open_flock(8, seed);
        lab->is_judged = false;
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(lab->subjects[i].gossip.counters.pulls, 0);
        struct gossip *gossip = &lab->subjects[0].gossip;
        struct msg_member_claim claim = gossip_self_claim(gossip);
        claim.node = (struct id){{200}};
        claim.address = address_of(200);
        claim.name = slice_string("stranger");
        struct msg_exchange message = {.members = {&claim, 1}};
        gossip_exchange_take(gossip, lab->now, &message);
        rumors_drop(&gossip->rumors, members_find(&gossip->members, &claim.node));
        instant begin = lab->now;
        unsigned known = 0;
        while (known < 8) {
            run(lab, 20 * MILLISECOND);
            assert_true(lab->now - begin < 6 * SECOND);
            for (known = 0; known < 8; known++)
                if (members_find(&lab->subjects[known].gossip.members, &claim.node) == NULL) break;
        }
        add_time(&times, lab->now - begin);
        uint64_t pulls = 0;
        for (unsigned i = 0; i < 8; i++) pulls += lab->subjects[i].gossip.counters.pulls;
        assert_in_range(pulls, 0, 40);
        close_lab(lab);
    }
    print_times("views differ, repaired among 8", &times);
}

static void paused_node_does_not_get_others_declared_dead(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lab *lab = open_flock(8, seed);
        run(lab, (duration)prng_below(&lab->prng, SECOND));
        lab->subjects[2].paused_until = lab->now + 30 * SECOND;
        run(lab, 30 * SECOND);
        assert_true(all_hold(lab, 2, MEMBER_DEAD));
        run(lab, 30 * SECOND);
        assert_int_equal(lab->false_deaths, 0);
        assert_true(all_alive(lab));
        assert_true(lab->subjects[2].gossip.counters.oversleeps >= 1);
        assert_int_equal(lab->subjects[2].gossip.counters.deaths, 0);
        assert_int_equal(lab->subjects[2].gossip.counters.suspicions, 0);
        close_lab(lab);
    }
}

static void busy_node_that_looks_at_the_clock_late_accuses_nobody(void **state)
{
    (void)state;
    struct lab *lab = open_flock(8, 12);
    lab->is_tick_first = true;
    for (unsigned round = 0; round < 200; round++) {
        struct subject *s = &lab->subjects[round % 8];
        uint64_t before = s->gossip.counters.suspicions, probes = s->gossip.counters.probes;
        while (s->gossip.counters.probes == probes) run(lab, MILLISECOND);
        s->paused_until = lab->now + 1500 * MILLISECOND; /* the answer waits in the socket */
        run(lab, 3 * SECOND);
        assert_int_equal(s->gossip.counters.suspicions, before);
    }
    assert_int_equal(lab->false_deaths, 0);
    close_lab(lab);
}

/* ---- leaving ---- */

static void goodbye_is_seen_by_all_as_left(void **state)
{
    (void)state;
    struct times times = {0};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lab *lab = open_flock(16, seed);
        lab->loss = seed % 2 == 0 ? 200000 : 0;
        gossip_leave(&lab->subjects[4].gossip, lab->now);
        instant gone = lab->subjects[4].gossip.period_deadline;
        assert_true(gone <= lab->now + PERIOD);
        run_until(lab, gone);
        assert_int_equal(lab->subjects[4].gossip.members.self->state, MEMBER_LEFT);
        stop(lab, 4);
        add_time(&times, PERIOD + time_until(lab, 4, MEMBER_LEFT, 2 * SECOND));
        assert_int_equal(view(lab, 0, 4)->cause, CAUSE_SAID_GOODBYE);
        lab->loss = 0;
        run(lab, 60 * SECOND);
        assert_true(all_hold(lab, 4, MEMBER_LEFT));
        start(lab, 4);
        exchange(lab, 4, 1);
        (void)time_until(lab, 4, MEMBER_ALIVE, 3 * SECOND);
        close_lab(lab);
    }
    print_times("goodbye known to all of 16", &times);
}

/* ---- identity ---- */

static void other_life_with_our_id_is_usurpation_and_a_former_one_is_not(void **state)
{
    (void)state;
    struct lab *lab = open_lab(1, 1);
    struct subject *s = &lab->subjects[0];
    struct msg_member_claim claim = gossip_self_claim(&s->gossip);
    struct msg_exchange message = {.members = {&claim, 1}};
    gossip_exchange_take(&s->gossip, lab->now, &message);
    claim.boot.counter--;
    gossip_exchange_take(&s->gossip, lab->now, &message);
    assert_int_equal(s->usurped_count, 0);
    claim.boot = s->boot;
    claim.boot.random--; /* the same counter, other bits: an old disk image */
    gossip_exchange_take(&s->gossip, lab->now, &message);
    assert_int_equal(s->usurped_count, 1);
    claim.boot.counter++;
    gossip_exchange_take(&s->gossip, lab->now, &message);
    assert_int_equal(s->usurped_count, 2);
    struct boot above = {claim.boot.counter + 1, 1};
    gossip_reboot(&s->gossip, lab->now, &above);
    gossip_exchange_take(&s->gossip, lab->now, &message);
    assert_int_equal(s->usurped_count, 2);
    assert_true(boot_equal(&s->gossip.members.self->fact->boot, &above));
    close_lab(lab);
}

static void goodbye_that_we_never_said_can_only_be_answered_by_a_new_boot(void **state)
{
    (void)state;
    struct lab *lab = open_flock(3, 1);
    struct subject *s = &lab->subjects[1];
    struct msg_member_claim claim = gossip_self_claim(&s->gossip);
    claim.state = MEMBER_LEFT;
    claim.cause = CAUSE_FORGOTTEN;
    struct msg_exchange message = {.members = {&claim, 1}};
    gossip_exchange_take(&s->gossip, lab->now, &message);
    assert_int_equal(s->usurped_count, 1);
    assert_int_equal(s->gossip.members.self->state, MEMBER_ALIVE);
    close_lab(lab);
}

static void ack_counts_only_with_our_sequence_and_from_the_target(void **state)
{
    (void)state;
    struct lab *lab = open_flock(3, 1);
    struct gossip *gossip = &lab->subjects[0].gossip;
    lab->subjects[0].side = 1; /* nobody answers of himself */
    while (lab->packets_count > 0) free(pop_packet(lab));
    size_t before = gossip->probes_count;
    gossip_evidence(gossip, lab->now, &lab->subjects[1].id, CAUSE_REFUSED);
    assert_int_equal(gossip->probes_count, before + 1);
    struct msg_ack ack = {.sequence = gossip->sequence + 1};
    gossip_of_one_type(lab, &wire_ack, &ack, &lab->subjects[1].id);
    assert_int_equal(gossip->probes_count, before + 1);
    ack.sequence = gossip->sequence;
    lab->count = 4;
    start(lab, 3);
    gossip_of_one_type(lab, &wire_ack, &ack, &lab->subjects[3].id); /* neither target nor helper */
    assert_int_equal(gossip->probes_count, before + 1);
    gossip_of_one_type(lab, &wire_ack, &ack, &lab->subjects[1].id);
    assert_int_equal(gossip->probes_count, before);
    close_lab(lab);
}

static void ping_for_another_gets_no_ack(void **state)
{
    (void)state;
    struct lab *lab = open_flock(2, 1);
    uint64_t before = lab->sent_count;
    struct msg_ping ping = {.sequence = 1, .target = 9};
    gossip_of_one_type(lab, &wire_ping, &ping, &lab->subjects[1].id);
    assert_int_equal(lab->sent_count, before);
    ping.target = short_of(&lab->subjects[0].id);
    ping.log_digest = 1234;
    gossip_of_one_type(lab, &wire_ping, &ping, &lab->subjects[1].id);
    assert_int_equal(lab->sent_count, before + 1);
    assert_int_equal(view(lab, 0, 1)->log_digest, 1234);
    close_lab(lab);
}

/* ---- junk and want ---- */

static void receive_bytes(struct lab *lab, const uint8_t *bytes, size_t size)
{
    struct arena arena;
    struct address from = address_of(1);
    arena_init(&arena, lab->scratch, sizeof lab->scratch);
    (void)!gossip_receive(&lab->subjects[0].gossip, lab->now, &lab->subjects[1].id,
                          &lab->subjects[1].boot, &from, slice_of(bytes, size), &arena);
}

static void garbage_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct lab *lab = open_flock(4, 1);
    struct gossip *gossip = &lab->subjects[0].gossip;
    static const uint8_t wrong[][3] = {{0, 0, 0}, {32, 0, 0}, {5, 65, 0}, {96, 0, 0}, {1, 2, 3}};
    struct arena arena;
    struct address from = address_of(1);
    uint64_t view_digest = gossip->members.view_digest;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        arena_init(&arena, lab->scratch, sizeof lab->scratch);
        assert_non_null(gossip_receive(gossip, lab->now, &lab->subjects[1].id,
                                       &lab->subjects[1].boot, &from, slice_of(wrong[i], 3),
                                       &arena));
    }
    assert_non_null(gossip_receive(gossip, lab->now, &lab->subjects[1].id, &lab->subjects[1].boot,
                                   &from, slice_of(NULL, 0), &arena));
    uint8_t bytes[FRAME_PAYLOAD_MAX];
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = prng_below(&lab->prng, sizeof bytes);
        prng_fill(&lab->prng, bytes, size);
        if (size > 0) bytes[0] &= 7;
        receive_bytes(lab, bytes, size);
    }
    assert_int_equal(gossip->members.view_digest, view_digest);
    assert_int_equal(gossip->members.by_id.count, 4);
    close_lab(lab);
}

/* Well-formed nonsense of somebody who has the key: any message, any claim. */
static void nonsense_with_the_key_does_no_harm_beyond_its_words(void **state)
{
    (void)state;
    static const struct wire_schema *const kinds[] = {&wire_ping, &wire_ack,    &wire_ping_request,
                                                      &wire_nack, &wire_rumors, &wire_challenge};
    struct lab *lab = open_flock(4, 1);
    lab->is_judged = false;
    uint8_t bytes[FRAME_PAYLOAD_MAX];
    static uint8_t made[1 << 16] __attribute__((aligned(16)));
    for (unsigned round = 0; round < 20000; round++) {
        struct writer writer = writer_of(bytes, sizeof bytes);
        unsigned parts = 1 + (unsigned)prng_below(&lab->prng, 4);
        size_t size = 0;
        for (unsigned i = 0; i < parts; i++) {
            const struct wire_schema *schema = kinds[prng_below(&lab->prng, 6)];
            struct arena arena;
            arena_init(&arena, made, sizeof made);
            void *message = arena_take(&arena, wire_struct_size(schema));
            if (!wire_arbitrary(schema, message, &lab->prng, &arena)) continue;
            if (wire_pack(schema, message, &writer)) size = writer.written;
        }
        receive_bytes(lab, bytes, size);
        if (round % 50 == 0) run(lab, 10 * MILLISECOND);
    }
    assert_true(lab->subjects[0].gossip.members.by_id.count <= MEMBERS_MAX);
    run(lab, 100 * SECOND);
    assert_true(all_alive(lab));
    close_lab(lab);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t fail_after = 1; fail_after < 60; fail_after++) {
        struct lab *lab = open_lab(12, fail_after);
        for (unsigned i = 0; i < 12; i++) lab->subjects[i].memory.fail_after = fail_after;
        for (unsigned i = 1; i < 12; i++) exchange(lab, i, 0);
        run(lab, 20 * SECOND);
        for (unsigned i = 1; i < 12; i++) exchange(lab, i, 0); /* what was dropped comes again */
        run(lab, 5 * SECOND);
        assert_true(all_alive(lab));
        close_lab(lab);
    }
    struct gossip gossip;
    struct memory memory;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint64_t fail_after = 1; fail_after < 4; fail_after++) {
        memory_init(&memory, 1 << 20);
        memory.fail_after = fail_after;
        struct gossip_config config = {.id = {{1}}, .boot = {1, 1}, .name = "x", .period = SECOND};
        assert_int_equal(gossip_init(&gossip, &config, &prng, &memory, 0), ERROR_MEMORY);
        assert_int_equal(memory.used, 0);
    }
}

static void same_seed_gives_the_same_run(void **state)
{
    (void)state;
    uint64_t sent[2], views[2];
    for (unsigned i = 0; i < 2; i++) {
        struct lab *lab = open_flock(16, 99);
        lab->loss = 100000;
        stop(lab, 7);
        run(lab, 60 * SECOND);
        sent[i] = lab->sent_count;
        views[i] = prng_next(&lab->subjects[3].prng) ^ lab->subjects[3].gossip.members.view_digest;
        close_lab(lab);
    }
    assert_true(sent[0] == sent[1] && views[0] == views[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_learn_of_a_join_through_one_exchange),
        cmocka_unit_test(hundred_join_one_at_once),
        cmocka_unit_test(unknown_sender_is_learnt_by_its_claim_not_by_its_datagram),
        cmocka_unit_test(killed_one_is_known_dead_by_all_within_the_bound),
        cmocka_unit_test(evidence_makes_detection_quick),
        cmocka_unit_test(port_closed_to_three_is_death_at_once),
        cmocka_unit_test(port_closed_to_one_alone_is_suspicion),
        cmocka_unit_test(port_that_refuses_while_its_node_answers_proves_nothing),
        cmocka_unit_test(evidence_against_the_living_comes_to_nothing),
        cmocka_unit_test(cut_off_node_does_not_condemn_quickly_when_its_streams_end),
        cmocka_unit_test(nobody_is_wrongly_held_dead_without_loss),
        cmocka_unit_test(nobody_is_wrongly_held_dead_at_a_fifth_of_all_packets_lost),
        cmocka_unit_test(dead_are_forgotten_after_a_day_and_nobody_reminds_the_others),
        cmocka_unit_test(restarted_node_outranks_rumours_of_its_death),
        cmocka_unit_test(datagram_at_a_higher_boot_is_a_restart),
        cmocka_unit_test(accused_refutes_and_all_believe_it),
        cmocka_unit_test(dead_one_who_speaks_is_told_so),
        cmocka_unit_test(partition_heals_by_itself),
        cmocka_unit_test(one_who_does_not_hear_costs_few_refutations),
        cmocka_unit_test(views_that_differ_are_repaired_by_a_small_pull),
        cmocka_unit_test(paused_node_does_not_get_others_declared_dead),
        cmocka_unit_test(busy_node_that_looks_at_the_clock_late_accuses_nobody),
        cmocka_unit_test(goodbye_is_seen_by_all_as_left),
        cmocka_unit_test(other_life_with_our_id_is_usurpation_and_a_former_one_is_not),
        cmocka_unit_test(goodbye_that_we_never_said_can_only_be_answered_by_a_new_boot),
        cmocka_unit_test(ack_counts_only_with_our_sequence_and_from_the_target),
        cmocka_unit_test(ping_for_another_gets_no_ack),
        cmocka_unit_test(garbage_is_refused_and_changes_nothing),
        cmocka_unit_test(nonsense_with_the_key_does_no_harm_beyond_its_words),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests_name("gossip", tests, NULL, NULL);
}
