/* Calls between two sides over a network that loses, doubles and reorders: at most once handled,
 * always ended. */
#include "gossip/rpc.h"

#include "wire/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
    PACKETS_MAX = 4096,
    CALLS = 400
};

struct packet {
    instant at;
    bool to_server;
    unsigned type;
    uint64_t request;
    size_t size;
    uint8_t body[RPC_BODY_MAX];
};

struct bench {
    instant now;
    struct prng prng;
    struct memory memory;
    struct rpc client, server;
    uint32_t loss, twice; /* per million */
    duration delay, jitter;
    bool is_slow; /* the server answers after 12 s */
    uint64_t late_ticket;
    instant late_at;
    unsigned handled[CALLS], answered[CALLS], failed;
    unsigned sent_count;
    size_t packets_count; /* under way, in no order */
    struct packet packets[PACKETS_MAX];
};

static const struct id client_id = {{1}}, server_id = {{2}};

static void put_packet(struct bench *bench, const struct packet *packet)
{
    if (prng_chance(&bench->prng, bench->loss)) return;
    assert_true(bench->packets_count < PACKETS_MAX);
    struct packet *place = &bench->packets[bench->packets_count++];
    *place = *packet;
    place->at =
        bench->now + bench->delay + (instant)prng_below(&bench->prng, (uint64_t)bench->jitter);
}

static void on_send(void *context, const struct id *to, const struct address *address,
                    const struct wire_schema *schema, const void *message)
{
    struct bench *bench = context;
    struct packet packet = {.to_server = id_equal(to, &server_id), .type = schema->type};
    (void)address;
    struct slice body = slice_of(NULL, 0);
    if (schema->type == MSG_request) {
        packet.request = ((const struct msg_request *)message)->request;
        body = ((const struct msg_request *)message)->body;
    } else if (schema->type == MSG_response) {
        packet.request = ((const struct msg_response *)message)->request;
        body = ((const struct msg_response *)message)->body;
    } else {
        packet.request = ((const struct msg_request_taken *)message)->request;
    }
    packet.size = body.count;
    if (body.count > 0) memcpy(packet.body, body.at, body.count);
    bench->sent_count++;
    put_packet(bench, &packet);
    if (prng_chance(&bench->prng, bench->twice)) put_packet(bench, &packet);
}

static uint32_t number_of(struct slice body)
{
    uint32_t number;
    assert_int_equal(body.count, sizeof number);
    memcpy(&number, body.at, sizeof number);
    assert_true(number < CALLS);
    return number;
}

static bool on_handle(void *context, const struct id *from, struct slice body, uint64_t ticket,
                      struct writer *answer)
{
    struct bench *bench = context;
    assert_true(id_equal(from, &client_id));
    bench->handled[number_of(body)]++;
    if (bench->is_slow) {
        bench->late_ticket = ticket;
        bench->late_at = bench->now + 12 * SECOND;
        return false;
    }
    memcpy(answer->at, body.at, body.count);
    answer->written = body.count;
    return true;
}

static void on_ended(void *context, const struct id *to, struct slice answer, bool is_answered)
{
    struct bench *bench = context;
    assert_true(id_equal(to, &server_id));
    if (is_answered) bench->answered[number_of(answer)]++;
    else bench->failed++;
}

static struct bench *open_bench(uint64_t seed)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    struct rpc_ports ports = {bench, on_send, on_handle, on_ended};
    bench->now = SECOND;
    bench->delay = 5 * MILLISECOND;
    bench->jitter = 5 * MILLISECOND;
    prng_init(&bench->prng, seed);
    memory_init(&bench->memory, 1 << 20);
    rpc_init(&bench->client, &ports, SECOND / 2, &bench->prng, &bench->memory);
    rpc_init(&bench->server, &ports, SECOND / 2, &bench->prng, &bench->memory);
    return bench;
}

static void close_bench(struct bench *bench)
{
    rpc_deinit(&bench->client);
    rpc_deinit(&bench->server);
    assert_int_equal(bench->memory.used, 0);
    free(bench);
}

/* The last one takes its place. */
static void arrive(struct bench *bench, size_t place)
{
    struct address address = address_ipv4(10, 0, 0, 1, 1);
    struct packet copy = bench->packets[place];
    bench->packets[place] = bench->packets[--bench->packets_count];
    struct slice body = slice_of(copy.body, copy.size);
    struct rpc *rpc = copy.to_server ? &bench->server : &bench->client;
    const struct id *from = copy.to_server ? &client_id : &server_id;
    struct msg_request request = {copy.request, body};
    struct msg_response response = {copy.request, body};
    struct msg_request_taken taken = {copy.request};
    if (copy.type == MSG_request) rpc_on_request(rpc, bench->now, from, &address, &request);
    else if (copy.type == MSG_response) rpc_on_response(rpc, bench->now, from, &response);
    else rpc_on_taken(rpc, bench->now, from, &taken);
}

/* When something happens next. */
static instant next_event(const struct bench *bench)
{
    instant next = instant_min(rpc_deadline(&bench->client), rpc_deadline(&bench->server));
    if (bench->late_ticket != 0) next = instant_min(next, bench->late_at);
    for (size_t i = 0; i < bench->packets_count; i++)
        next = instant_min(next, bench->packets[i].at);
    return next;
}

/* From event to event: a step of a fixed length would spend its time between them. */
static void run(struct bench *bench, duration time)
{
    instant end = bench->now + time;
    for (instant next; (next = next_event(bench)) <= end;) {
        assert_true(next > bench->now); /* what was due is done */
        bench->now = next;
        for (size_t i = bench->packets_count; i > 0; i--)
            if (i <= bench->packets_count && bench->packets[i - 1].at <= next) arrive(bench, i - 1);
        if (bench->late_ticket != 0 && next >= bench->late_at) {
            uint32_t number = 0;
            rpc_reply(&bench->server, next, bench->late_ticket,
                      slice_of((uint8_t *)&number, sizeof number));
            bench->late_ticket = 0;
        }
        rpc_tick(&bench->client, next);
        rpc_tick(&bench->server, next);
    }
    bench->now = end;
}

static void call(struct bench *bench, uint32_t number)
{
    struct address address = address_ipv4(10, 0, 0, 2, 2);
    assert_int_equal(rpc_call(&bench->client, bench->now, &server_id, &address,
                              slice_of((uint8_t *)&number, sizeof number)),
                     ERROR_NONE);
}

static void each_call_is_handled_at_most_once_and_ends_once(void **state)
{
    (void)state;
    static const struct {
        uint32_t loss, twice;
        duration jitter;
    } networks[] = {{0, 0, 1},
                    {300000, 0, 5 * MILLISECOND},
                    {0, 1000000, 900 * MILLISECOND},
                    {400000, 500000, 900 * MILLISECOND}};
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        struct bench *bench = open_bench(k + 1);
        bench->loss = networks[k].loss;
        bench->twice = networks[k].twice;
        bench->jitter = networks[k].jitter;
        unsigned answered = 0;
        for (uint32_t i = 0; i < CALLS; i++) {
            call(bench, i);
            run(bench, 6 * SECOND); /* of 60 s of kept answers, that is 10 at once */
        }
        run(bench, 60 * SECOND);
        for (uint32_t i = 0; i < CALLS; i++) {
            assert_true(bench->handled[i] <= 1);
            assert_true(bench->answered[i] <= bench->handled[i]);
            answered += bench->answered[i];
        }
        assert_int_equal(answered + bench->failed, CALLS);
        if (k < 3) assert_true(bench->failed <= (k == 1 ? 20 : 0));
        close_bench(bench);
    }
}

static void call_to_nobody_ends_after_some_tries(void **state)
{
    (void)state;
    struct bench *bench = open_bench(1);
    bench->loss = 1000000;
    call(bench, 0);
    run(bench, 40 * SECOND);
    assert_int_equal(bench->failed, 1);
    assert_int_equal(bench->sent_count, 6);
    assert_true(rpc_deadline(&bench->client) == INSTANT_NEVER);
    close_bench(bench);
}

static void slow_answer_is_acknowledged_and_waited_for(void **state)
{
    (void)state;
    struct bench *bench = open_bench(1);
    bench->is_slow = true;
    call(bench, 0);
    run(bench, 20 * SECOND);
    assert_int_equal(bench->handled[0], 1);
    assert_int_equal(bench->answered[0], 1);
    assert_in_range(bench->sent_count, 3, 10); /* not a repeat each timeout */
    close_bench(bench);
}

static void timeout_follows_the_round_trip(void **state)
{
    (void)state;
    struct bench *bench = open_bench(1);
    bench->delay = 400 * MILLISECOND; /* 0.8 s there and back: the first timeout is too short */
    assert_int_equal(rpc_timeout(&bench->client, &server_id), SECOND / 2);
    call(bench, 0);
    run(bench, 5 * SECOND);
    assert_int_equal(bench->client.repeats_count, 1);
    assert_int_equal(rpc_timeout(&bench->client, &server_id), SECOND / 2); /* Karn */
    bench->delay = 100 * MILLISECOND;
    for (uint32_t i = 1; i < 20; i++) {
        call(bench, i);
        run(bench, SECOND);
    }
    assert_int_equal(bench->client.repeats_count, 1);
    assert_in_range(rpc_timeout(&bench->client, &server_id), 200 * MILLISECOND, 260 * MILLISECOND);
    close_bench(bench);
}

static void too_many_calls_are_refused_and_no_memory_is_survived(void **state)
{
    (void)state;
    struct bench *bench = open_bench(1);
    struct address address = address_ipv4(10, 0, 0, 2, 2);
    uint32_t number = 0;
    struct slice body = slice_of((uint8_t *)&number, sizeof number);
    for (unsigned fail = 1; fail <= 2; fail++) {
        bench->memory.fail_after = fail;
        assert_int_equal(rpc_call(&bench->client, bench->now, &server_id, &address, body),
                         ERROR_MEMORY);
    }
    for (uint32_t i = 0; i < RPC_CALLS_MAX; i++) call(bench, i);
    assert_int_equal(rpc_call(&bench->client, bench->now, &server_id, &address, body), ERROR_BUSY);
    run(bench, 10 * SECOND);
    call(bench, 20);
    run(bench, 10 * SECOND);
    assert_int_equal(bench->answered[20], 1);
    close_bench(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_handled_at_most_once_and_ends_once),
        cmocka_unit_test(call_to_nobody_ends_after_some_tries),
        cmocka_unit_test(slow_answer_is_acknowledged_and_waited_for),
        cmocka_unit_test(timeout_follows_the_round_trip),
        cmocka_unit_test(too_many_calls_are_refused_and_no_memory_is_survived),
    };
    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
