/* Who leaves hands over its blocks: when a copy elsewhere counts, how long it waits, what it says.
 * One node, and one peer that says what the test wants. */
#include "tests/lib/lone_node.h"

#include "node/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    CLIENT = 1,
    PEER = 3,
    NUMBER = 5,      /* of the peer's key pair */
    LARGE = 5 << 20, /* 40 s more */
    PATIENCE = 30,   /* seconds, as in leave.c */
    REQUEST = 77,
};

struct leaving {
    struct lone_node lone;
    struct id peer;
    uint32_t refutations;
    bool is_away; /* nobody says of the peer that it is alive */
    bool has_stopped;
};

static const struct msg_block_ref block = {{{1}}, LARGE};

/* The last message of this type that the last step sent; valid until the next call. */
static const void *sent(const struct leaving *leaving, unsigned type)
{
    static _Alignas(16) uint8_t memory[1 << 16];
    struct arena arena;
    const void *found = NULL;
    arena_init(&arena, memory, sizeof memory);
    for (size_t i = 0; i < leaving->lone.actions.count; i++) {
        if (leaving->lone.actions.items[i].kind != ACTION_STREAM_SEND) continue;
        struct slice bytes = leaving->lone.actions.items[i].stream_send.bytes;
        while (bytes.count > 0) {
            struct wire_message message;
            assert_null(wire_unpack(&bytes, &message, &arena));
            if (message.type == type) found = message.fields;
        }
    }
    return found;
}

static void say(struct leaving *leaving, uint64_t stream, const struct wire_schema *schema,
                const void *message)
{
    static uint8_t record[CHANNEL_RECORD_MAX];
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(schema, message, &writer));
    lone_node_record(&leaving->lone, stream, slice_of(record, writer.written));
}

static void keep_alive(struct leaving *leaving)
{
    struct node *node = leaving->lone.node;
    struct msg_member_claim claim = {.node = leaving->peer,
                                     .boot = {1, NUMBER},
                                     .refutations = ++leaving->refutations,
                                     .state = MEMBER_ALIVE,
                                     .cause = CAUSE_JOINED,
                                     .address = address_ipv4(127, 0, 0, 1, 8000 + NUMBER),
                                     .slots = 2,
                                     .name = slice_string("other")};
    if (!leaving->is_away)
        (void)members_apply(&node->gossip.members, leaving->lone.now, &claim, true, &node->prng);
}

/* Ticks until it has stopped, or for so long; at each the client may have been told something. */
static const struct msg_say_error *pass(struct leaving *leaving, duration time)
{
    const struct msg_say_error *error = NULL;
    instant end = leaving->lone.now + time;
    while (error == NULL && !leaving->has_stopped && leaving->lone.now < end) {
        keep_alive(leaving);
        leaving->lone.now += 100 * MILLISECOND;
        lone_node_step(&leaving->lone, (struct event){.kind = EVENT_TICK});
        for (size_t i = 0; i < leaving->lone.actions.count; i++)
            if (leaving->lone.actions.items[i].kind == ACTION_STOP) leaving->has_stopped = true;
        error = sent(leaving, MSG_say_error);
    }
    return error;
}

/* A client has stored a block, and a peer is there. */
static void begin(struct leaving *leaving)
{
    struct crypto_pair pair;
    *leaving = (struct leaving){0};
    plain_pair(NUMBER, &pair);
    leaving->peer = crypto_node_id(&crypto_plain, &pair.public);
    lone_node_open(&leaving->lone, 1);
    lone_node_stream(&leaving->lone, PEER, CHANNEL_PEER, NUMBER);
    lone_node_stream(&leaving->lone, CLIENT, CHANNEL_CLIENT, 0);
    (void)pass(leaving, SECOND);
    struct event stored = {.kind = EVENT_BLOCK_STORED, .block_stored = {.block = block}};
    lone_node_step(&leaving->lone, stored);
}

static void ask_to_leave(struct leaving *leaving)
{
    say(leaving, CLIENT, &wire_ask_leave, &(struct msg_ask_leave){REQUEST});
}

static void has_copy(struct leaving *leaving)
{
    say(leaving, PEER, &wire_block_held, &(struct msg_block_held){block.digest, true});
}

/* The peer has so many entries of our feed on its disk; -1: all. */
static void knows(struct leaving *leaving, int64_t entries)
{
    const struct node *node = leaving->lone.node;
    uint64_t have = entries < 0 ? log_have(node->log, &node->id, &node->boot) : (uint64_t)entries;
    struct msg_feed_position position = {node->id, node->boot, have, have};
    struct msg_log_vector vector = {.complete = true, .feeds = {&position, 1}};
    say(leaving, PEER, &wire_log_vector, &vector);
}

static uint64_t kept(const struct leaving *leaving)
{
    return node_metric(leaving->lone.node, METRIC_leaves_kept);
}

static bool mentions(const struct msg_say_error *error, const char *words)
{
    char text[1024];
    snprintf(text, sizeof text, "%.*s", (int)error->text.count, (const char *)error->text.at);
    return strstr(text, words) != NULL;
}

static void it_asks_and_goes_when_another_has_the_block(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    ask_to_leave(&leaving);
    const struct msg_block_ensure *ensure = sent(&leaving, MSG_block_ensure);
    assert_non_null(ensure);
    assert_true(digest_equal(&ensure->block.digest, &block.digest));
    knows(&leaving, -1);
    assert_null(pass(&leaving, 10 * SECOND));
    assert_false(leaving.has_stopped);
    has_copy(&leaving);
    (void)pass(&leaving, 5 * SECOND);
    assert_true(leaving.has_stopped);
    assert_int_equal(kept(&leaving), 0);
    lone_node_close(&leaving.lone);
}

/* It may be about to leave itself, and count on ours. */
static void a_copy_does_not_count_before_its_holder_knows_that_we_leave(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    uint64_t before =
        log_have(leaving.lone.node->log, &leaving.lone.node->id, &leaving.lone.node->boot);
    knows(&leaving, -1);
    ask_to_leave(&leaving);
    has_copy(&leaving);
    assert_null(pass(&leaving, 10 * SECOND));
    knows(&leaving, (int64_t)before);
    assert_null(pass(&leaving, 10 * SECOND));
    assert_false(leaving.has_stopped);
    knows(&leaving, -1);
    (void)pass(&leaving, 5 * SECOND);
    assert_true(leaving.has_stopped);
    assert_int_equal(kept(&leaving), 0);
    lone_node_close(&leaving.lone);
}

/* What was confirmed earlier may have been dropped since. */
static void an_earlier_confirmation_does_not_count(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    has_copy(&leaving);
    assert_int_equal(keeper_copies(leaving.lone.node, &block.digest), 2);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    assert_int_equal(keeper_copies(leaving.lone.node, &block.digest), 0);
    assert_null(pass(&leaving, 10 * SECOND));
    assert_false(leaving.has_stopped);
    lone_node_close(&leaving.lone);
}

/* Of two who leave neither counts on the other. */
static void who_leaves_too_is_nobody_to_hand_over_to(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    has_copy(&leaving);
    struct node *node = leaving.lone.node;
    struct msg_left left = {.cause = CAUSE_LEAVING};
    struct stamped entry = {{1, leaving.peer, {1, NUMBER}, 1}, MSG_left, &left};
    assert_int_equal(flock_apply(&node->flock, &entry), ERROR_NONE);
    const struct msg_say_error *error = pass(&leaving, 2 * SECOND);
    assert_non_null(error);
    assert_int_equal(error->code, CODE_PARTIAL);
    assert_int_equal(error->request, REQUEST);
    assert_true(mentions(error, "took along 1 block (5242880 bytes)"));
    assert_true(mentions(error, "nobody stays"));
    assert_int_equal(kept(&leaving), 1);
    lone_node_close(&leaving.lone);
}

static void what_a_client_has_given_up_is_not_handed_over(void **state)
{
    (void)state;
    struct leaving leaving;
    struct msg_block_ref given_up = block;
    struct msg_block_release release = {{&given_up, 1}};
    begin(&leaving);
    struct event unwanted = {.kind = EVENT_BLOCK_UNWANTED};
    unwanted.block_unwanted.digest = block.digest;
    has_copy(&leaving);
    lone_node_step(&leaving.lone, unwanted);
    say(&leaving, PEER, &wire_block_query, &(struct msg_block_query){block.digest});
    say(&leaving, PEER, &wire_block_release, &release);
    ask_to_leave(&leaving);
    assert_null(sent(&leaving, MSG_block_ensure));
    knows(&leaving, -1);
    assert_null(pass(&leaving, 3 * SECOND));
    assert_true(leaving.has_stopped);
    lone_node_close(&leaving.lone);
}

/* A name wants two copies. */
static void name_it(struct leaving *leaving)
{
    struct node *node = leaving->lone.node;
    struct msg_named named = {.name = slice_string("x"), .manifest = block, .replicas = 2};
    struct stamped entry = {{1, node->id, node->boot, 1000}, MSG_named, &named};
    assert_int_equal(names_apply(&node->names, &entry), ERROR_NONE);
    node->sweep_wanted = true;
    assert_null(pass(leaving, SECOND));
}

/* One stays who can have a copy, two are wanted: so his must be a good one. */
static void of_too_few_copies_one_is_looked_at(void **state)
{
    (void)state;
    struct leaving leaving;
    struct msg_block_confirmed looked = {block.digest, false};
    begin(&leaving);
    name_it(&leaving);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    for (int is_good = 0; is_good < 2; is_good++) {
        bool is_asked = false;
        has_copy(&leaving);
        for (int i = 0; i < 50; i++) {
            assert_null(pass(&leaving, 100 * MILLISECOND));
            is_asked = is_asked || sent(&leaving, MSG_block_confirm) != NULL;
        }
        assert_true(is_asked);
        assert_false(leaving.has_stopped);
        looked.is_good = is_good;
        say(&leaving, PEER, &wire_block_confirmed, &looked);
        assert_int_equal(keeper_copies(leaving.lone.node, &block.digest), is_good);
    }
    (void)pass(&leaving, 5 * SECOND);
    assert_true(leaving.has_stopped);
    lone_node_close(&leaving.lone);
}

/* What has one copy elsewhere is no worse off than after a death. */
static void further_copies_are_waited_for_half_a_minute(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    name_it(&leaving);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    has_copy(&leaving);
    assert_null(pass(&leaving, (PATIENCE - 1) * SECOND));
    assert_false(leaving.has_stopped);
    assert_null(pass(&leaving, 4 * SECOND));
    assert_true(leaving.has_stopped);
    assert_int_equal(kept(&leaving), 0);
    lone_node_close(&leaving.lone);
}

/* Half a minute, and 8 s for each MiB of the block: longer only while copies come. */
static void it_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    assert_null(pass(&leaving, (PATIENCE + 39) * SECOND));
    assert_false(leaving.has_stopped);
    const struct msg_say_error *error = pass(&leaving, 3 * SECOND);
    assert_non_null(error);
    assert_true(mentions(error, "nobody has taken more of them for a while"));
    (void)pass(&leaving, 2 * SECOND);
    assert_true(leaving.has_stopped);
    lone_node_close(&leaving.lone);
}

/* What nobody has room for is asked for some times again. */
static void full_disks_are_waited_for_half_a_minute(void **state)
{
    (void)state;
    struct leaving leaving;
    const struct msg_say_error *error = NULL;
    int asked = 0;
    begin(&leaving);
    name_it(&leaving);
    ask_to_leave(&leaving);
    for (int i = 0; i < 10 * (PATIENCE + 2) && error == NULL; i++) {
        bool is_asked = sent(&leaving, MSG_block_ensure) != NULL;
        asked += is_asked;
        if (is_asked)
            say(&leaving, PEER, &wire_block_no_room, &(struct msg_block_no_room){block.digest});
        knows(&leaving, -1);
        error = sent(&leaving, MSG_say_error);
        if (error == NULL) error = pass(&leaving, 100 * MILLISECOND);
    }
    assert_non_null(error);
    assert_int_equal(error->code, CODE_PARTIAL);
    assert_true(mentions(error, "free space"));
    assert_in_range(asked, 2, 10);
    lone_node_close(&leaving.lone);
}

static void asked_to_go_at_once_it_does_and_says_so(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    ask_to_leave(&leaving);
    knows(&leaving, -1);
    assert_null(pass(&leaving, 10 * SECOND));
    assert_false(leaving.has_stopped);
    say(&leaving, CLIENT, &wire_ask_leave_now, &(struct msg_ask_leave_now){REQUEST});
    const struct msg_say_error *error = pass(&leaving, SECOND);
    assert_non_null(error);
    assert_true(mentions(error, "it was to go at once"));
    lone_node_close(&leaving.lone);
}

/* A few seconds after the peer is held dead, it is the last one. */
static void the_last_one_does_not_wait(void **state)
{
    (void)state;
    struct leaving leaving;
    begin(&leaving);
    leaving.is_away = true;
    (void)pass(&leaving, 60 * SECOND);
    ask_to_leave(&leaving);
    assert_non_null(pass(&leaving, SECOND));
    (void)pass(&leaving, SECOND);
    assert_true(leaving.has_stopped);
    assert_int_equal(kept(&leaving), 1);
    lone_node_close(&leaving.lone);
}

/* Others have to hear of it: so another one is asked. One that waits already is told so, too. */
static void it_writes_nothing_new(void **state)
{
    (void)state;
    struct leaving leaving;
    struct msg_ask_name ask = {.request = REQUEST,
                               .id = {{7}},
                               .name = slice_string("x"),
                               .manifest = block,
                               .replicas = 2};
    for (int is_before = 0; is_before < 2; is_before++) {
        begin(&leaving);
        if (is_before) say(&leaving, CLIENT, &wire_ask_name, &ask);
        lone_node_step(&leaving.lone, (struct event){.kind = EVENT_LEAVE});
        if (!is_before) say(&leaving, CLIENT, &wire_ask_name, &ask);
        const struct msg_say_error *error = sent(&leaving, MSG_say_error);
        if (error == NULL) error = pass(&leaving, SECOND);
        assert_non_null(error);
        assert_int_equal(error->code, CODE_NO_PEER);
        assert_true(mentions(error, "leaving"));
        lone_node_close(&leaving.lone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_and_goes_when_another_has_the_block),
        cmocka_unit_test(a_copy_does_not_count_before_its_holder_knows_that_we_leave),
        cmocka_unit_test(an_earlier_confirmation_does_not_count),
        cmocka_unit_test(who_leaves_too_is_nobody_to_hand_over_to),
        cmocka_unit_test(what_a_client_has_given_up_is_not_handed_over),
        cmocka_unit_test(of_too_few_copies_one_is_looked_at),
        cmocka_unit_test(further_copies_are_waited_for_half_a_minute),
        cmocka_unit_test(it_does_not_wait_for_ever),
        cmocka_unit_test(full_disks_are_waited_for_half_a_minute),
        cmocka_unit_test(asked_to_go_at_once_it_does_and_says_so),
        cmocka_unit_test(the_last_one_does_not_wait),
        cmocka_unit_test(it_writes_nothing_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
