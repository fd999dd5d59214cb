/* Who may write, and who is in step: a node that has left and is back, and one peer that tells it
 * of ever more that there is. */
#include "tests/lib/lone_node.h"

#include "node/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    PEER = 3,
    NUMBER = 5,    /* of the peer's key pair */
    PATIENCE = 10, /* seconds, as in heard.c */
};

struct scene {
    struct lone_node lone;
    struct id peer, other; /* linked to us; on the roster, and in step, and not here */
    uint64_t told;
};

static void fold(struct scene *scene, const struct id *author, uint64_t sequence, unsigned kind,
                 const void *fields)
{
    struct boot boot =
        id_equal(author, &scene->lone.node->id) ? scene->lone.node->boot : (struct boot){1, 9};
    struct stamped entry = {{sequence, *author, boot, sequence}, kind, fields};
    assert_int_equal(flock_apply(&scene->lone.node->flock, &entry), ERROR_NONE);
}

static void begin(struct scene *scene)
{
    struct crypto_pair pair;
    struct msg_opened opened = {.name = slice_string("other")};
    struct msg_returned returned = {0};
    *scene = (struct scene){.other = {{0x77}}};
    plain_pair(NUMBER, &pair);
    scene->peer = crypto_node_id(&crypto_plain, &pair.public);
    lone_node_open(&scene->lone, 1);
    lone_node_stream(&scene->lone, PEER, CHANNEL_PEER, NUMBER);
    fold(scene, &scene->other, 1, MSG_opened, &opened);
    fold(scene, &scene->other, 2, MSG_returned, &returned);
    fold(scene, &scene->peer, 1, MSG_opened, &opened);
}

/* The peer has ever more of its own, all of it on its disk, and none of it comes. */
static void pass(struct scene *scene, unsigned seconds)
{
    static uint8_t record[CHANNEL_RECORD_MAX];
    for (unsigned i = 0; i < seconds; i++) {
        struct msg_feed_position position = {scene->peer, {1, 9}, ++scene->told, scene->told};
        struct msg_log_vector vector = {.complete = true, .feeds = {&position, 1}};
        struct writer writer = writer_of(record, sizeof record);
        assert_true(wire_pack(&wire_log_vector, &vector, &writer));
        lone_node_record(&scene->lone, PEER, slice_of(record, writer.written));
        scene->lone.now += SECOND;
        lone_node_step(&scene->lone, (struct event){.kind = EVENT_TICK});
        lone_node_step(&scene->lone, (struct event){.kind = EVENT_PERSISTED,
                                                    .persisted = {scene->lone.persisted}});
    }
}

static void hear_that_we_left(struct scene *scene)
{
    struct msg_left left = {.cause = CAUSE_ASKED};
    assert_true(scene->lone.node->may_author);
    fold(scene, &scene->lone.node->id, 1000, MSG_left, &left);
    pass(scene, 1);
    assert_true(scene->lone.node->is_out_of_step);
    assert_false(scene->lone.node->may_author);
}

static void who_is_back_does_not_wait_long_for_who_is_out_of_step_too(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    hear_that_we_left(&scene);
    pass(&scene, PATIENCE + 1);
    assert_true(scene.lone.node->may_author);
    pass(&scene, PATIENCE); /* more of the same changes nothing */
    assert_true(scene.lone.node->may_author);
    assert_true(scene.lone.node->is_out_of_step);
    lone_node_close(&scene.lone);
}

static void who_is_back_waits_while_one_in_step_has_more(void **state)
{
    (void)state;
    struct scene scene;
    struct msg_returned returned = {0};
    begin(&scene);
    fold(&scene, &scene.peer, 2, MSG_returned, &returned);
    hear_that_we_left(&scene);
    pass(&scene, 3 * PATIENCE);
    assert_false(scene.lone.node->may_author);
    lone_node_close(&scene.lone);
}

/* All others have left. */
static void who_is_alone_says_once_that_it_is_in_step(void **state)
{
    (void)state;
    struct scene scene = {0};
    struct msg_left left = {.cause = CAUSE_ASKED};
    lone_node_open(&scene.lone, 1);
    const struct node *node = scene.lone.node;
    uint64_t had = log_have(node->log, &node->id, &node->boot);
    assert_true(flock_is_in_step(&node->flock, &node->id));
    fold(&scene, &node->id, had, MSG_left, &left);
    assert_false(flock_is_in_step(&node->flock, &node->id));
    for (unsigned i = 0; i < 3; i++) {
        scene.lone.now += SECOND;
        lone_node_step(&scene.lone, (struct event){.kind = EVENT_TICK});
    }
    assert_true(flock_is_in_step(&node->flock, &node->id));
    assert_true(node->may_author);
    assert_int_equal(log_have(node->log, &node->id, &node->boot), had + 1);
    lone_node_close(&scene.lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_back_does_not_wait_long_for_who_is_out_of_step_too),
        cmocka_unit_test(who_is_back_waits_while_one_in_step_has_more),
        cmocka_unit_test(who_is_alone_says_once_that_it_is_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
