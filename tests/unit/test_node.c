/* A node by itself: what a key holder may do to it through one stream. */
#include "tests/lib/lone_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CLIENT = 1, PEER = 3 };

static size_t count_actions(const struct lone_node *lone, enum action_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < lone->actions.count; i++) count += lone->actions.items[i].kind == kind;
    return count;
}

static void a_record_of_many_requests_is_answered_in_part_and_breaks_nothing(void **state)
{
    (void)state;
    static uint8_t record[CHANNEL_RECORD_MAX];
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    struct writer writer = writer_of(record, sizeof record);
    struct msg_ask_kill ask = {.request = 1, .job = slice_string("x")}; /* small, and so the answer */
    while (wire_pack(&wire_ask_kill, &ask, &writer)) continue;
    lone_node_record(&lone, CLIENT, slice_of(record, (size_t)(writer.at - record)));
    assert_true(count_actions(&lone, ACTION_STREAM_SEND) > 0);
    struct event tick = {.kind = EVENT_TICK};
    lone.now += SECOND;
    lone_node_step(&lone, tick);
    lone_node_close(&lone);
}

static void a_hundred_thousand_blocks_are_dropped_over_many_steps(void **state)
{
    (void)state;
    enum { BLOCKS = 100 * 1000 };
    struct lone_node lone;
    lone_node_open(&lone, 1);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        struct event event = {.kind = EVENT_BLOCK_STORED,
                              .block_stored = {.token = 1, .block = {.size = 1}}};
        memcpy(event.block_stored.block.digest.bytes, &i, sizeof i);
        lone_node_step(&lone, event);
    }
    size_t dropped = 0;
    lone.now += 60 * SECOND;
    for (int i = 0; i < 100 && dropped < BLOCKS; i++) {
        struct event tick = {.kind = EVENT_TICK};
        lone_node_step(&lone, tick);
        dropped += count_actions(&lone, ACTION_BLOCK_DROP);
        lone.now += SECOND;
    }
    assert_int_equal(dropped, BLOCKS);
    lone_node_close(&lone);
}

static void a_client_can_not_speak_as_a_peer(void **state)
{
    (void)state;
    uint8_t record[256];
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    uint64_t digest = node_log_digest(lone.node);
    struct msg_log_batch batch = {.body = slice_string("x"), .signature = slice_string("y")};
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_log_batch, &batch, &writer));
    lone_node_record(&lone, CLIENT, slice_of(record, (size_t)(writer.at - record)));
    assert_true(digest == node_log_digest(lone.node));
    assert_int_equal(count_actions(&lone, ACTION_STREAM_SEND), 0);
    lone_node_close(&lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_many_requests_is_answered_in_part_and_breaks_nothing),
        cmocka_unit_test(a_hundred_thousand_blocks_are_dropped_over_many_steps),
        cmocka_unit_test(a_client_can_not_speak_as_a_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
