/* A node by itself: what a key holder may do to it through one stream. */
#include "tests/lib/lone_node.h"

#include "node/state.h"
#include "node/tags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    CLIENT = 1,
    PEER = 3
};

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
    struct msg_ask_kill ask = {.request = 1,
                               .job = slice_string("x")}; /* small, and so the answer */
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
    enum {
        BLOCKS = 100 * 1000
    };
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

/* The answer of this type in the last step's records; NULL: there is none. Stays until the next. */
static const void *answer_of(const struct lone_node *lone, unsigned type)
{
    static uint8_t room[1 << 16] __attribute__((aligned(16)));
    struct arena arena;
    for (size_t i = 0; i < lone->actions.count; i++) {
        if (lone->actions.items[i].kind != ACTION_STREAM_SEND) continue;
        struct slice bytes = lone->actions.items[i].stream_send.bytes;
        struct wire_message message;
        arena_init(&arena, room, sizeof room);
        assert_null(wire_unpack(&bytes, &message, &arena));
        if (message.type == type) return message.fields;
    }
    return NULL;
}

/* A request of a later version is answered once a record; nothing else that can't be read is: no
 * answer to an answer, none to a peer, none to half a number. */
static void a_client_hears_that_its_request_is_not_known(void **state)
{
    (void)state;
    enum {
        UNKNOWN = 199
    };
    static const struct {
        uint8_t bytes[4];
        size_t count;
        bool is_answered;
    } cases[] = {
        {{0x80 | (UNKNOWN & 0x7f), UNKNOWN >> 7, 77}, 3, true},
        {{0x80 | (UNKNOWN & 0x7f), UNKNOWN >> 7, 77, 5}, 4, true}, /* and what else it says */
        {{0x80 | (255 & 0x7f), 255 >> 7, 77}, 3, true},
        {{0x80 | (UNKNOWN & 0x7f), UNKNOWN >> 7, 0x80}, 3, false},
        {{0x80 | (UNKNOWN & 0x7f), UNKNOWN >> 7}, 2, false},
        {{0x80 | (MSG_ask_wait & 0x7f), MSG_ask_wait >> 7, 77},
         3,
         false}, /* known, and cut short */
        {{31, 77}, 2, false},
        {{0x80, 2, 77}, 3, false}, /* 256 */
    };
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    assert_null(wire_schema(UNKNOWN));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lone_node_record(&lone, CLIENT, slice_of(cases[i].bytes, cases[i].count));
        assert_int_equal(count_actions(&lone, ACTION_STREAM_SEND), cases[i].is_answered);
        const struct msg_say_error *error = answer_of(&lone, MSG_say_error);
        assert_int_equal(error != NULL, cases[i].is_answered);
        if (error == NULL) continue;
        assert_int_equal(error->request, 77);
        assert_int_equal(error->code, UNKNOWN_CODE);
    }
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 4);
    lone_node_record(&lone, PEER, slice_of(cases[0].bytes, cases[0].count));
    assert_null(answer_of(&lone, MSG_say_error));
    static uint8_t many[3 * 1000];
    for (size_t i = 0; i < sizeof many; i++) many[i] = cases[0].bytes[i % 3];
    lone_node_record(&lone, CLIENT, slice_of(many, sizeof many));
    assert_int_equal(count_actions(&lone, ACTION_STREAM_SEND), 1);
    lone_node_close(&lone);
}

/* ---- how far an attempt is ---- */

/* What it answers a peer that asks about an attempt; NULL: nothing. */
static const struct msg_progress_told *asked_progress(struct lone_node *lone,
                                                      const struct msg_progress_ask *ask)
{
    uint8_t record[128];
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_progress_ask, ask, &writer));
    lone_node_record(lone, PEER, slice_of(record, writer.written));
    return answer_of(lone, MSG_progress_told);
}

static void what_does_not_run_here_is_said_not_to(void **state)
{
    (void)state;
    struct lone_node lone;
    struct msg_progress_ask ask = {.kind = 200, .task = UINT32_MAX, .claim = {.time = 7}};
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 2);
    const struct msg_progress_told *told = asked_progress(&lone, &ask);
    assert_non_null(told);
    assert_true(!told->is_running && told->kind == 200 && told->claim.time == 7);
    assert_int_equal(count_actions(&lone, ACTION_TAIL_READ), 0);
    lone_node_close(&lone);
}

/* Answers to questions that were never asked, and news of attempts that are not there any more. */
static void unasked_answers_about_attempts_change_nothing(void **state)
{
    (void)state;
    uint8_t record[128];
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 2);
    for (uint8_t kind = 0; kind < 4; kind++) {
        struct msg_progress_told told = {.kind = kind,
                                         .is_running = true,
                                         .elapsed_ms = UINT64_MAX,
                                         .read_size = 1,
                                         .input_size = UINT64_MAX};
        struct writer writer = writer_of(record, sizeof record);
        assert_true(wire_pack(&wire_progress_told, &told, &writer));
        lone_node_record(&lone, PEER, slice_of(record, writer.written));
    }
    struct event event = {.kind = EVENT_TAIL_READ};
    event.tail_read.stream = PEER;
    event.tail_read.request = 99;
    lone_node_step(&lone, event);
    assert_int_equal(count_actions(&lone, ACTION_STREAM_SEND), 0);
    lone_node_close(&lone);
}

/* ---- tags ---- */

/* What the node answers to ask_tags, as one text: "id:key=value,...;". */
static void asked_tags(struct lone_node *lone, char *text, size_t size)
{
    uint8_t record[32];
    struct msg_ask_tags ask = {.request = 7};
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_ask_tags, &ask, &writer));
    lone_node_record(lone, CLIENT, slice_of(record, writer.written));
    text[0] = '\0';
    const void *answer = answer_of(lone, MSG_say_tags);
    if (answer != NULL) wire_print(&wire_say_tags, answer, text, size);
}

static void own_tags_are_told_once_and_to_who_asks(void **state)
{
    (void)state;
    char text[1024];
    const struct msg_tag tags[] = {{slice_string("disk"), slice_string("ssd")},
                                   {slice_string("rack"), slice_string("a=1")}};
    struct lone_node lone;
    struct node_config config = {.profile = PROFILE_LAN, .tags = tags, .tags_count = 2};
    lone_node_open_with(&lone, 1, &config);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    asked_tags(&lone, text, sizeof text);
    assert_non_null(strstr(text, "tag{key=\"disk\" value=\"ssd\"}"));
    assert_non_null(strstr(text, "tag{key=\"rack\" value=\"a=1\"}"));
    uint64_t digest = node_log_digest(lone.node);
    for (int i = 0; i < 5; i++) {
        lone.now += SECOND;
        lone_node_step(&lone, (struct event){.kind = EVENT_TICK});
    }
    assert_true(digest == node_log_digest(lone.node));
    lone_node_close(&lone);
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    asked_tags(&lone, text, sizeof text);
    assert_null(strstr(text, "tag{"));
    lone_node_close(&lone);
}

/* Two boots of a node and one more entry of the second: the last one counts. */
static void last_tags_count_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct msg_tag tag = {slice_string("rack"), slice_string("b")};
    struct msg_tagged said[3] = {{.tags = {&tag, 1}}, {.tags = {NULL, 0}}, {.tags = {&tag, 1}}};
    struct lone_node lone;
    lone_node_open(&lone, 1);
    uint64_t digest = 0, before = node_state_digest(lone.node);
    for (unsigned last = 1; last <= 2; last++)
        for (unsigned o = 0; o < 6; o++) {
            struct roster_item item = {.id = {{9}}};
            for (unsigned i = 0; i < 3; i++) {
                unsigned at = orders[o][i];
                if (at > last) continue;
                struct stamped entry = {.kind = MSG_tagged, .fields = &said[at]};
                entry.stamp = (struct msg_stamp){10 + at, item.id, {1 + at / 2, 0}, 2};
                for (int twice = 0; twice < 2; twice++)
                    assert_int_equal(tags_fold(lone.node, &item, &entry), ERROR_NONE);
            }
            assert_int_equal(item.tags.count > 0, last == 2);
            assert_int_equal(item.tagged.time, 10 + last);
            assert_int_equal(map_add(&lone.node->roster, &item), ERROR_NONE);
            if (o == 0) digest = node_state_digest(lone.node);
            assert_true(digest == node_state_digest(lone.node) && digest != before);
            (void)map_remove(&lone.node->roster, &item.id);
            tags_drop(lone.node, &item.tags);
        }
    lone_node_close(&lone);
}

static void acts_on_keys_count_alike_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const struct msg_keyed acts[3] = {{KEY_ADDED, {{7}}}, {KEY_SENDS, {{7}}}, {KEY_DROPPED, {{7}}}};
    uint64_t digest = 0;
    for (unsigned o = 0; o < 6; o++) {
        struct lone_node lone;
        lone_node_open(&lone, 1);
        uint64_t before = node_state_digest(lone.node);
        for (unsigned i = 0; i < 3; i++) {
            unsigned at = orders[o][i];
            struct stamped entry = {.kind = MSG_keyed, .fields = &acts[at]};
            entry.stamp = (struct msg_stamp){10 + at, {{9}}, {1, 0}, 2 + at};
            for (int twice = 0; twice < 2; twice++)
                assert_int_equal(keyring_fold(lone.node, &entry), ERROR_NONE);
        }
        assert_int_equal(lone.node->keyring.items_count, 1);
        assert_true(lone.node->keyring.items[0].is_dropped);
        if (o == 0) digest = node_state_digest(lone.node);
        assert_true(digest == node_state_digest(lone.node) && digest != before);
        lone_node_close(&lone);
    }
}

/* Who was away knows the old key only: it is answered under that one, and now and then tried with
 * the new one. */
static void who_speaks_under_an_older_key_is_answered_under_it(void **state)
{
    (void)state;
    struct lone_node lone;
    const struct address from = address_ipv4(10, 0, 0, 1, 7437);
    const struct address other = address_ipv4(10, 0, 0, 2, 7437);
    const struct crypto_key key = {.bytes = {9}};
    lone_node_open(&lone, 1);
    struct node *node = lone.node;
    frame_key_init(&node->keys[node->keys_count++], node->crypto, &key);
    node->now = 100 * SECOND;
    assert_ptr_equal(keyring_for(node, &from), &node->keys[0]);
    keyring_heard(node, &from, &node->keys[1]);
    unsigned old = 0;
    for (int i = 0; i < 8; i++) old += keyring_for(node, &from) == &node->keys[1];
    assert_int_equal(old, 6);
    assert_ptr_equal(keyring_for(node, &other), &node->keys[0]);
    node->now += 11 * SECOND; /* nothing came from there since */
    assert_ptr_equal(keyring_for(node, &from), &node->keys[0]);
    keyring_heard(node, &from, &node->keys[1]);
    keyring_heard(node, &from, &node->keys[0]); /* it has got it */
    for (int i = 0; i < 8; i++) assert_ptr_equal(keyring_for(node, &from), &node->keys[0]);
    lone_node_close(&lone);
}

static void profiles_probe_twice_once_and_a_fifth_of_a_time_a_second(void **state)
{
    (void)state;
    static const duration periods[] = {SECOND / 2, SECOND, 5 * SECOND};
    for (unsigned profile = PROFILE_LOCAL; profile <= PROFILE_WAN; profile++) {
        struct lone_node lone;
        lone_node_open_with(&lone, 1, &(struct node_config){.profile = profile});
        assert_true(node_gossip(lone.node)->config.period == periods[profile]);
        lone_node_close(&lone);
    }
}

/* Found by fuzz_node: only datagrams have an address to answer to. */
static void a_peer_that_asks_for_help_in_a_stream_is_not_helped(void **state)
{
    (void)state;
    uint8_t record[64];
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 5);
    struct msg_ping_request ask = {.sequence = 1, .target = {{9}}};
    ask.address = address_ipv4(127, 0, 0, 1, 9);
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_ping_request, &ask, &writer));
    lone_node_record(&lone, PEER, slice_of(record, writer.written));
    assert_int_equal(count_actions(&lone, ACTION_STOP), 0);
    lone_node_close(&lone);
}

/* Is a submission answered with an error at once? */
static bool is_refused(struct lone_node *lone)
{
    uint8_t record[1024];
    struct msg_ask_submit ask = {.request = 9};
    ask.spec = (struct msg_job_spec){.name = slice_string("j"), .mapper = slice_string("cat")};
    ask.spec.maps = ask.spec.replicas = ask.spec.retries = 1;
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_ask_submit, &ask, &writer));
    lone_node_record(lone, CLIENT, slice_of(record, (size_t)(writer.at - record)));
    return count_actions(lone, ACTION_STREAM_SEND) > 0;
}

static void a_full_disk_is_lived_with_and_a_failed_one_is_the_end(void **state)
{
    (void)state;
    static const enum error passing[] = {ERROR_FULL, ERROR_DENIED};
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, CLIENT, CHANNEL_CLIENT, 0);
    assert_false(is_refused(&lone));
    for (size_t i = 0; i < 2; i++) {
        struct event event = {.kind = EVENT_STORAGE_FAILED};
        event.storage_failed.error = passing[i];
        lone_node_step(&lone, event);
        lone_node_step(&lone, event); /* said each second */
        assert_int_equal(count_actions(&lone, ACTION_STOP), 0);
        assert_true(is_refused(&lone));
        struct event persisted = {.kind = EVENT_PERSISTED};
        persisted.persisted.token = lone.persisted;
        lone_node_step(&lone, persisted);
        assert_false(is_refused(&lone));
    }
    struct event event = {.kind = EVENT_STORAGE_FAILED};
    event.storage_failed.error = ERROR_IO;
    lone_node_step(&lone, event);
    assert_int_equal(count_actions(&lone, ACTION_STOP), 1);
    lone_node_close(&lone);
}

/* ---- copies elsewhere ---- */

static void store(struct lone_node *lone, const struct msg_block_ref *block)
{
    struct event event = {.kind = EVENT_BLOCK_STORED, .block_stored = {.block = *block}};
    lone_node_step(lone, event);
}

static void peer_says(struct lone_node *lone, const struct wire_schema *schema, const void *message)
{
    static uint8_t record[CHANNEL_RECORD_MAX];
    struct writer writer = writer_of(record, sizeof record);
    assert_true(wire_pack(schema, message, &writer));
    lone_node_record(lone, PEER, slice_of(record, writer.written));
}

/* The last message of this type that the last step sent; valid until the next call. */
static const void *sent(const struct lone_node *lone, unsigned type)
{
    static _Alignas(16) uint8_t memory[1 << 16];
    struct arena arena;
    const void *found = NULL;
    arena_init(&arena, memory, sizeof memory);
    for (size_t i = 0; i < lone->actions.count; i++) {
        if (lone->actions.items[i].kind != ACTION_STREAM_SEND) continue;
        struct slice bytes = lone->actions.items[i].stream_send.bytes;
        while (bytes.count > 0) {
            struct wire_message message;
            assert_null(wire_unpack(&bytes, &message, &arena));
            if (message.type == type) found = message.fields;
        }
    }
    return found;
}

/* The holder has dropped it, and its word was lost with a stream: within the hour for which copies
 * are promised it is asked, and the copy is counted no more. */
static void a_copy_that_went_without_a_word_is_found_missing(void **state)
{
    (void)state;
    static struct msg_block_ref kept = {{{1}}, 10}, gone = {{{2}}, 10};
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 5);
    store(&lone, &kept);
    store(&lone, &gone);
    peer_says(&lone, &wire_block_held, &(struct msg_block_held){kept.digest, true});
    peer_says(&lone, &wire_block_held, &(struct msg_block_held){gone.digest, true});
    assert_int_equal(keeper_copies(lone.node, &gone.digest), 2);
    const struct msg_holdings_query *query = NULL;
    for (int i = 0; i < 3600 && query == NULL; i++) {
        lone.now += SECOND;
        lone_node_step(&lone, (struct event){.kind = EVENT_TICK});
        query = sent(&lone, MSG_holdings_query);
    }
    assert_non_null(query);
    assert_int_equal(query->blocks.count, 2);
    struct msg_holdings answer = {query->token + 1, {&kept, 1}};
    peer_says(&lone, &wire_holdings, &answer); /* of another question: it says nothing */
    assert_int_equal(keeper_copies(lone.node, &gone.digest), 2);
    answer.token--;
    peer_says(&lone, &wire_holdings, &answer);
    assert_int_equal(keeper_copies(lone.node, &gone.digest), 1);
    assert_int_equal(keeper_copies(lone.node, &kept.digest), 2);
    lone_node_close(&lone);
}

/* Whoever drops his copy because ours is good must hear of our disk as it is now. */
static void every_confirmation_is_a_look_of_its_own(void **state)
{
    (void)state;
    static const struct msg_block_ref block = {{{1}}, 10};
    static const struct msg_block_confirm confirm = {{{1}}};
    static const enum error found[] = {ERROR_NONE, ERROR_CORRUPT};
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 5);
    store(&lone, &block);
    for (size_t i = 0; i < 2; i++) {
        peer_says(&lone, &wire_block_confirm, &confirm);
        assert_int_equal(count_actions(&lone, ACTION_BLOCK_CHECK), 1);
        assert_null(sent(&lone, MSG_block_confirmed));
        struct event checked = {.kind = EVENT_BLOCK_CHECKED};
        checked.block_checked.digest = block.digest;
        checked.block_checked.error = found[i];
        lone_node_step(&lone, checked);
        const struct msg_block_confirmed *confirmed = sent(&lone, MSG_block_confirmed);
        assert_non_null(confirmed);
        assert_int_equal(confirmed->is_good, found[i] == ERROR_NONE);
    }
    lone_node_close(&lone);
}

/* ---- copies of much, to one who lives ---- */

enum {
    GIGABYTES = 3, /* as many blocks: each takes a while */
};

struct slow_put {
    struct lone_node lone;
    struct msg_block_ref blocks[GIGABYTES], manifest;
    uint8_t bytes[512];
    bool is_garbage; /* the list */
    uint32_t refutations;
};

static void answer_read(struct slow_put *put)
{
    struct lone_node *lone = &put->lone;
    for (size_t i = 0; i < lone->actions.count; i++) {
        if (lone->actions.items[i].kind != ACTION_BLOCK_READ) continue;
        struct event read = {.kind = EVENT_BLOCK_READ};
        read.block_read.token = lone->actions.items[i].block_read.token;
        read.block_read.digest = put->manifest.digest;
        read.block_read.bytes = slice_of(put->bytes, put->manifest.size);
        lone_node_step(lone, read);
        return;
    }
}

/* The peer is alive, though no probe of it is answered. */
static void pass(struct slow_put *put, duration time)
{
    struct lone_node *lone = &put->lone;
    struct crypto_pair pair;
    plain_pair(5, &pair);
    struct msg_member_claim claim = {.node = crypto_node_id(&crypto_plain, &pair.public),
                                     .boot = {1, 5},
                                     .refutations = ++put->refutations,
                                     .state = MEMBER_ALIVE,
                                     .cause = CAUSE_JOINED,
                                     .address = address_ipv4(127, 0, 0, 1, 8005),
                                     .slots = 2,
                                     .name = slice_string("other")};
    assert_null(members_check(&claim));
    (void)members_apply(&lone->node->gossip.members, lone->now, &claim, true, &lone->node->prng);
    lone->now += time;
    lone_node_step(lone, (struct event){.kind = EVENT_TICK});
    answer_read(put);
}

static void slow_put_begin(struct slow_put *put)
{
    struct msg_manifest_block blocks[GIGABYTES] = {0};
    struct msg_text file = {slice_string("f")};
    struct msg_manifest manifest = {{&file, 1}, {blocks, GIGABYTES}};
    struct writer writer = writer_of(put->bytes, sizeof put->bytes);
    lone_node_open(&put->lone, 1);
    lone_node_stream(&put->lone, PEER, CHANNEL_PEER, 5);
    lone_node_stream(&put->lone, CLIENT, CHANNEL_CLIENT, 0);
    for (uint32_t i = 0; i < GIGABYTES; i++) {
        put->blocks[i] = (struct msg_block_ref){{{(uint8_t)(i + 1)}}, 1 << 30};
        blocks[i].block = put->blocks[i];
        blocks[i].offset = (uint64_t)i << 30;
        store(&put->lone, &put->blocks[i]);
    }
    assert_true(wire_pack(&wire_manifest, &manifest, &writer));
    put->manifest = (struct msg_block_ref){{{9}}, writer.written};
    if (put->is_garbage) memset(put->bytes, 0xfe, sizeof put->bytes);
    store(&put->lone, &put->manifest);
    pass(put, SECOND);
    uint8_t record[256];
    struct msg_ask_name ask = {.request = 1,
                               .id = {{7}},
                               .name = slice_string("much"),
                               .manifest = put->manifest,
                               .replicas = 2};
    writer = writer_of(record, sizeof record);
    assert_true(wire_pack(&wire_ask_name, &ask, &writer));
    lone_node_record(&put->lone, CLIENT, slice_of(record, writer.written));
    answer_read(put);
    if (put->is_garbage) return;
    peer_says(&put->lone, &wire_block_held, &(struct msg_block_held){put->manifest.digest, true});
}

/* So much time passes, in steps; the error that the client is told, NULL: none. */
static const struct msg_say_error *wait_for_error(struct slow_put *put, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        pass(put, SECOND);
        const struct msg_say_error *error = sent(&put->lone, MSG_say_error);
        if (error != NULL) return error;
    }
    return NULL;
}

static void copies_may_take_long_while_they_come(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){0};
    slow_put_begin(&put);
    for (uint32_t i = 0; i < GIGABYTES; i++) {
        assert_null(wait_for_error(&put, 40));
        struct msg_block_held held = {put.blocks[i].digest, true};
        peer_says(&put.lone, &wire_block_held, &held);
    }
    assert_null(wait_for_error(&put, 40));
    assert_int_equal(put.lone.node->names.current_count, 1);
    lone_node_close(&put.lone);
}

/* Surplus of a smaller --replicas, while others come. */
static void copies_may_go_while_they_come(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){0};
    slow_put_begin(&put);
    for (int is_back = 0; is_back < 2; is_back++)
        for (uint32_t i = 0; i < GIGABYTES - 1; i++) {
            struct msg_block_held held = {put.blocks[i].digest, true};
            assert_null(wait_for_error(&put, is_back ? 40 : 1));
            peer_says(&put.lone, &wire_block_held, &held);
            assert_null(wait_for_error(&put, 1));
            held.is_held = false;
            if (!is_back) peer_says(&put.lone, &wire_block_held, &held);
        }
    assert_null(wait_for_error(&put, 40));
    lone_node_close(&put.lone);
}

static void who_waits_for_copies_in_vain_hears_how_many_there_are(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){0};
    slow_put_begin(&put);
    const struct msg_say_error *error = wait_for_error(&put, 70);
    assert_non_null(error);
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)error->text.count, (const char *)error->text.at);
    assert_non_null(strstr(text, "is on 1 node, and no other has taken a copy"));
    lone_node_close(&put.lone);
}

/* The peer has stored the same for a client of its own, and asks as we do. */
static bool is_asked_for(struct slow_put *put, const struct msg_block_ref *block, int seconds)
{
    struct msg_block_ensure theirs = {.block = *block, .is_in_log = true};
    bool is_asked = false;
    for (int i = 0; i < seconds; i += 5) {
        pass(put, 5 * SECOND);
        is_asked = is_asked || sent(&put->lone, MSG_block_ensure) != NULL;
        peer_says(&put->lone, &wire_block_ensure, &theirs);
        peer_says(&put->lone, &wire_block_held, &(struct msg_block_held){block->digest, true});
    }
    return is_asked;
}

static void early_copies_are_asked_for_at_once_and_no_longer_than_an_hour(void **state)
{
    (void)state;
    static const struct msg_block_ref block = {{{1}}, 10};
    static struct slow_put put;
    put = (struct slow_put){0};
    lone_node_open(&put.lone, 1);
    lone_node_stream(&put.lone, PEER, CHANNEL_PEER, 5);
    pass(&put, SECOND);
    struct event event = {.kind = EVENT_BLOCK_STORED,
                          .block_stored = {.block = block, .copies = 2}};
    lone_node_step(&put.lone, event);
    const struct msg_block_ensure *ensure = sent(&put.lone, MSG_block_ensure);
    assert_non_null(ensure);
    assert_true(digest_equal(&ensure->block.digest, &block.digest));
    assert_true(is_asked_for(&put, &block, 30));
    (void)is_asked_for(&put, &block, 3600);
    assert_false(is_asked_for(&put, &block, 60));
    lone_node_close(&put.lone);
}

/* Of many nodes any may have what a client left there when its disk was full. */
static void what_nobody_is_known_to_have_is_looked_for_everywhere(void **state)
{
    (void)state;
    enum {
        MANY = 40
    };
    static const struct digest wanted = {{1}};
    static bool named[MANY];
    struct lone_node lone;
    size_t named_count = 0;
    lone_node_open(&lone, 1);
    for (uint8_t i = 0; i < MANY; i++) {
        struct msg_member_claim claim = {.node = {{0xf0, i}},
                                         .boot = {1, 5},
                                         .state = MEMBER_ALIVE,
                                         .cause = CAUSE_JOINED,
                                         .address =
                                             address_ipv4(127, 0, 0, 1, (uint16_t)(9000 + i)),
                                         .name = slice_string("one of many")};
        assert_null(members_check(&claim));
        (void)members_apply(&lone.node->gossip.members, lone.now, &claim, true, &lone.node->prng);
    }
    lone.node->is_living_stale = true;
    keeper_note_copy(lone.node, &(struct msg_block_ref){wanted, 10}, &(struct id){{0xf0}});
    struct block *block = keeper_find(lone.node, &wanted);
    block->copies_count = 0;
    for (int tries = 0; tries < 3; tries++) {
        lone_node_step(&lone, (struct event){.kind = EVENT_TICK});
        lone.node->actions = &lone.actions;
        block->is_fetching = false;
        keeper_fetch(lone.node, block);
        const struct action *action = &lone.actions.items[lone.actions.count - 1];
        assert_int_equal(action->kind, ACTION_BLOCK_FETCH);
        for (size_t i = 0; i < action->block_fetch.holders_count; i++) {
            const struct id *id = &action->block_fetch.holders[i].node;
            named_count += id->bytes[0] == 0xf0 && !named[id->bytes[1]];
            named[id->bytes[1]] = true;
        }
    }
    assert_int_equal(named_count, MANY);
    lone_node_close(&lone);
}

/* ---- disks without room ---- */

/* The peer asks for a copy of so many bytes; may it hope for one? */
static bool is_taken(struct lone_node *lone, uint64_t size)
{
    static uint8_t numbers;
    struct msg_block_holder holder = {lone->node->id, address_ipv4(127, 0, 0, 1, 8005)};
    struct msg_block_ensure ensure = {
        .block = {{{0xb0, ++numbers}}, size}, .is_in_log = true, .holders = {&holder, 1}};
    peer_says(lone, &wire_block_ensure, &ensure);
    bool is_fetched = count_actions(lone, ACTION_BLOCK_FETCH) == 1;
    assert_int_not_equal(is_fetched, sent(lone, MSG_block_no_room) != NULL);
    return is_fetched;
}

static void found_no_room(struct lone_node *lone, uint64_t size)
{
    struct event event = {.kind = EVENT_BLOCK_FAILED};
    event.block_failed.size = size;
    event.block_failed.error = ERROR_FULL;
    lone_node_step(lone, event);
}

/* A client's large block did not fit: smaller ones may. */
static void full_is_a_disk_for_a_size(void **state)
{
    (void)state;
    struct lone_node lone;
    lone_node_open(&lone, 1);
    lone_node_stream(&lone, PEER, CHANNEL_PEER, 5);
    found_no_room(&lone, 1 << 30);
    assert_false(is_taken(&lone, 1 << 30));
    assert_true(is_taken(&lone, 1 << 20));
    found_no_room(&lone, 1 << 20);
    assert_false(is_taken(&lone, 1 << 20));
    assert_true(is_taken(&lone, 1000));
    lone.now += 4 * SECOND;
    found_no_room(&lone, 1 << 30); /* no news, and no reason to leave it alone for longer */
    lone.now += 2 * SECOND;
    assert_true(is_taken(&lone, 1 << 20));
    found_no_room(&lone, 1 << 20);
    store(&lone, &(struct msg_block_ref){{{0xc0}}, 1 << 21}); /* there is room again */
    assert_true(is_taken(&lone, 1 << 20));
    lone_node_close(&lone);
}

/* The peer takes the list, and says of the others that it has no room; the error that the client
 * is told then. */
static void who_finds_no_room_for_a_second_copy_hears_so(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){0};
    const struct msg_say_error *error = NULL;
    char text[256];
    slow_put_begin(&put);
    for (int i = 0; i < 100 && error == NULL; i++) {
        error = wait_for_error(&put, 1);
        const struct msg_block_ensure *ensure = sent(&put.lone, MSG_block_ensure);
        if (ensure == NULL) continue;
        struct msg_block_no_room refusal = {ensure->block.digest};
        peer_says(&put.lone, &wire_block_no_room, &refusal);
    }
    assert_non_null(error);
    snprintf(text, sizeof text, "%.*s", (int)error->text.count, (const char *)error->text.at);
    assert_non_null(strstr(text, "no room for 2 copies of each block: the disk of other is full"));
    lone_node_close(&put.lone);
}

/* All copies are there, and the entry; but the peer's disk never says that it has it. */
static void an_entry_that_no_second_disk_takes_is_told(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){0};
    char text[256];
    slow_put_begin(&put);
    for (uint32_t i = 0; i < GIGABYTES; i++)
        peer_says(&put.lone, &wire_block_held,
                  &(struct msg_block_held){put.blocks[i].digest, true});
    const struct msg_say_error *error = wait_for_error(&put, 90);
    assert_non_null(error);
    snprintf(text, sizeof text, "%.*s", (int)error->text.count, (const char *)error->text.at);
    assert_non_null(strstr(text, "the name is in the log, but only"));
    assert_non_null(strstr(text, "other"));
    lone_node_close(&put.lone);
}

static void a_list_that_is_none_is_refused_at_once(void **state)
{
    (void)state;
    static struct slow_put put;
    put = (struct slow_put){.is_garbage = true};
    slow_put_begin(&put);
    const struct msg_say_error *error = sent(&put.lone, MSG_say_error);
    if (error == NULL) error = wait_for_error(&put, 2);
    assert_non_null(error);
    assert_int_equal(error->code, CODE_USAGE);
    lone_node_close(&put.lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_many_requests_is_answered_in_part_and_breaks_nothing),
        cmocka_unit_test(a_hundred_thousand_blocks_are_dropped_over_many_steps),
        cmocka_unit_test(a_client_can_not_speak_as_a_peer),
        cmocka_unit_test(a_client_hears_that_its_request_is_not_known),
        cmocka_unit_test(what_does_not_run_here_is_said_not_to),
        cmocka_unit_test(unasked_answers_about_attempts_change_nothing),
        cmocka_unit_test(own_tags_are_told_once_and_to_who_asks),
        cmocka_unit_test(last_tags_count_in_whatever_order_they_come),
        cmocka_unit_test(acts_on_keys_count_alike_in_whatever_order_they_come),
        cmocka_unit_test(who_speaks_under_an_older_key_is_answered_under_it),
        cmocka_unit_test(profiles_probe_twice_once_and_a_fifth_of_a_time_a_second),
        cmocka_unit_test(a_peer_that_asks_for_help_in_a_stream_is_not_helped),
        cmocka_unit_test(a_full_disk_is_lived_with_and_a_failed_one_is_the_end),
        cmocka_unit_test(a_copy_that_went_without_a_word_is_found_missing),
        cmocka_unit_test(every_confirmation_is_a_look_of_its_own),
        cmocka_unit_test(copies_may_take_long_while_they_come),
        cmocka_unit_test(copies_may_go_while_they_come),
        cmocka_unit_test(who_waits_for_copies_in_vain_hears_how_many_there_are),
        cmocka_unit_test(early_copies_are_asked_for_at_once_and_no_longer_than_an_hour),
        cmocka_unit_test(what_nobody_is_known_to_have_is_looked_for_everywhere),
        cmocka_unit_test(full_is_a_disk_for_a_size),
        cmocka_unit_test(who_finds_no_room_for_a_second_copy_hears_so),
        cmocka_unit_test(an_entry_that_no_second_disk_takes_is_told),
        cmocka_unit_test(a_list_that_is_none_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
