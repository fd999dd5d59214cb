/* A laboratory for gossip: some members, one virtual clock, a network that delays, loses and parts.
 * The seed decides everything.
 *
 *   subject --send--> [lost? parted?] --delay--> heap of packets --> gossip_receive
 *      ^-- gossip_tick at gossip_deadline, unless it is paused; then its packets wait, too
 *
 * Included by test_gossip.c alone. */
#ifndef TESTS_GOSSIP_LAB_H
#define TESTS_GOSSIP_LAB_H

#include "gossip/gossip.h"
#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
    NODES_MAX = 256,
    PERIOD = SECOND,
    SCRATCH_SIZE = 1 << 16,
    EXCHANGE_SIZE = 4 << 20
};

struct packet {
    instant at;
    uint64_t order;
    unsigned from, to;
    struct id sender;
    struct boot boot;
    bool is_refusal; /* no datagram: the port that it was for is closed */
    size_t size;
    uint8_t bytes[FRAME_PAYLOAD_MAX];
};

struct lab;

struct subject {
    struct lab *lab;
    unsigned number;
    bool is_running;
    unsigned side; /* packets pass between equal sides alone */
    instant paused_until;
    struct id id;
    struct boot boot;
    struct memory memory;
    struct prng prng;
    struct gossip gossip;
    unsigned usurped_count;
};

struct lab {
    instant now;
    struct prng prng;
    uint32_t loss;           /* per million */
    struct packet **packets; /* a heap by (at, order) */
    size_t packets_count, packets_capacity;
    uint64_t sent_count, order;
    unsigned false_deaths; /* somebody who runs, in nobody's way, was held dead */
    bool is_judged;        /* false deaths are counted */
    unsigned refusing;  /* the first so many machines say that the port of a dead one is closed */
    bool is_tick_first; /* who wakes looks at the clock before he reads his socket */
    unsigned count;
    struct subject subjects[NODES_MAX];
    uint8_t scratch[SCRATCH_SIZE] __attribute__((aligned(16)));
    uint8_t exchange[EXCHANGE_SIZE] __attribute__((aligned(16)));
};

/* ---- network ---- */

static bool is_before(const struct packet *a, const struct packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push_packet(struct lab *lab, struct packet *packet)
{
    if (lab->packets_count == lab->packets_capacity) {
        lab->packets_capacity = 2 * lab->packets_capacity + 64;
        lab->packets = realloc(lab->packets, lab->packets_capacity * sizeof *lab->packets);
        assert_non_null(lab->packets);
    }
    size_t at = lab->packets_count++;
    for (; at > 0 && is_before(packet, lab->packets[(at - 1) / 2]); at = (at - 1) / 2)
        lab->packets[at] = lab->packets[(at - 1) / 2];
    lab->packets[at] = packet;
}

static struct packet *pop_packet(struct lab *lab)
{
    struct packet *first = lab->packets[0], *last = lab->packets[--lab->packets_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= lab->packets_count) break;
        if (child + 1 < lab->packets_count &&
            is_before(lab->packets[child + 1], lab->packets[child]))
            child++;
        if (!is_before(lab->packets[child], last)) break;
        lab->packets[at] = lab->packets[child];
        at = child;
    }
    lab->packets[at] = last;
    return first;
}

static struct address address_of(unsigned number)
{
    return address_ipv4(10, 0, 0, 1, (uint16_t)(1000 + number));
}

static void on_send(void *context, const struct address *to, struct slice payload)
{
    struct subject *from = context;
    struct lab *lab = from->lab;
    assert_in_range(payload.count, 1, FRAME_PAYLOAD_MAX);
    lab->sent_count++;
    unsigned number = to->port - 1000u;
    if (number >= lab->count || prng_chance(&lab->prng, lab->loss)) return;
    if (lab->subjects[number].side != from->side) return;
    struct packet *packet = malloc(sizeof *packet);
    assert_non_null(packet);
    packet->at = lab->now + MILLISECOND + (instant)prng_below(&lab->prng, 9 * MILLISECOND);
    packet->order = lab->order++;
    packet->from = from->number;
    packet->to = number;
    packet->sender = from->id;
    packet->boot = from->boot;
    packet->is_refusal = !lab->subjects[number].is_running;
    packet->size = payload.count;
    memcpy(packet->bytes, payload.at, payload.count);
    if (packet->is_refusal) {
        packet->from = number;
        packet->to = from->number;
    }
    push_packet(lab, packet);
}

static struct subject *subject_of(struct lab *lab, const struct id *id)
{
    return id->bytes[0] < lab->count ? &lab->subjects[id->bytes[0]] : NULL;
}

static void on_changed(void *context, const struct member *member, unsigned before)
{
    struct subject *self = context;
    struct lab *lab = self->lab;
    struct subject *other = subject_of(lab, &member->fact->id);
    assert_true(before <= MEMBER_LEFT);
    if (other == NULL || member->state != MEMBER_DEAD || before == MEMBER_DEAD || !lab->is_judged)
        return;
    if (other->is_running && other->paused_until <= lab->now) lab->false_deaths++;
}

static void on_usurped(void *context, const struct boot *boot)
{
    struct subject *self = context;
    (void)boot;
    self->usurped_count++;
}

/* ---- laboratory ---- */

static void start(struct lab *lab, unsigned number)
{
    struct subject *s = &lab->subjects[number];
    char name[16];
    snprintf(name, sizeof name, "node-%u", number);
    s->lab = lab;
    s->number = number;
    s->is_running = true;
    s->id = (struct id){{(uint8_t)number, 0xaa}};
    s->boot.counter++;
    s->boot.random = prng_next(&lab->prng);
    memory_init(&s->memory, 64u << 20);
    prng_init(&s->prng, prng_next(&lab->prng));
    struct gossip_config config = {
        .id = s->id,
        .boot = s->boot,
        .address = address_of(number),
        .name = name,
        .slots = 2,
        .period = PERIOD,
        .ports = {.context = s, .send = on_send, .changed = on_changed, .usurped = on_usurped},
    };
    assert_int_equal(gossip_init(&s->gossip, &config, &s->prng, &s->memory, lab->now), ERROR_NONE);
}

static void stop(struct lab *lab, unsigned number)
{
    struct subject *s = &lab->subjects[number];
    assert_true(s->is_running);
    s->is_running = false;
    gossip_deinit(&s->gossip);
    assert_int_equal(s->memory.used, 0);
}

static struct lab *open_lab(unsigned count, uint64_t seed)
{
    struct lab *lab = calloc(1, sizeof *lab);
    assert_non_null(lab);
    prng_init(&lab->prng, seed);
    lab->now = 7 * SECOND;
    lab->count = count;
    lab->is_judged = true;
    for (unsigned i = 0; i < count; i++) start(lab, i);
    return lab;
}

static void close_lab(struct lab *lab)
{
    for (unsigned i = 0; i < lab->count; i++)
        if (lab->subjects[i].is_running) stop(lab, i);
    while (lab->packets_count > 0) free(pop_packet(lab));
    free(lab->packets);
    free(lab);
}

static void deliver(struct lab *lab)
{
    struct packet *packet = pop_packet(lab);
    lab->now = packet->at;
    struct subject *to = &lab->subjects[packet->to];
    if (to->is_running && lab->now < to->paused_until) { /* it waits in the socket */
        packet->at = to->paused_until;
        push_packet(lab, packet);
        return;
    }
    if (packet->is_refusal) {
        struct address port = address_of(packet->from);
        if (to->is_running && packet->to < lab->refusing)
            gossip_refused(&to->gossip, lab->now, &port);
    } else if (to->is_running) {
        struct arena arena;
        struct address from = address_of(packet->from);
        arena_init(&arena, lab->scratch, sizeof lab->scratch);
        (void)!gossip_receive(&to->gossip, lab->now, &packet->sender, &packet->boot, &from,
                              slice_of(packet->bytes, packet->size), &arena);
    }
    free(packet);
}

/* The subject that is due first, and when. */
static struct subject *first_due(struct lab *lab, instant *when)
{
    struct subject *first = NULL;
    *when = INSTANT_NEVER;
    for (unsigned i = 0; i < lab->count; i++) {
        struct subject *s = &lab->subjects[i];
        if (!s->is_running) continue;
        instant due = gossip_deadline(&s->gossip);
        if (due < s->paused_until) due = s->paused_until;
        if (due >= *when) continue;
        *when = due;
        first = s;
    }
    return first;
}

static void run_until(struct lab *lab, instant end)
{
    for (;;) {
        instant due;
        struct subject *s = first_due(lab, &due);
        instant arrival = lab->packets_count > 0 ? lab->packets[0]->at : INSTANT_NEVER;
        if (instant_min(due, arrival) > end) break;
        if (arrival < due || (arrival == due && !lab->is_tick_first)) {
            deliver(lab);
            continue;
        }
        if (due > lab->now) lab->now = due;
        gossip_tick(&s->gossip, lab->now);
        assert_true(gossip_deadline(&s->gossip) > lab->now);
    }
    lab->now = end;
}

static void run(struct lab *lab, duration time) { run_until(lab, lab->now + time); }

/* One tells the other all it knows, and the other way round. */
static void exchange(struct lab *lab, unsigned a, unsigned b)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        struct arena arena;
        struct msg_exchange message = {.wants_reply = turn == 0};
        arena_init(&arena, lab->exchange, sizeof lab->exchange);
        assert_true(
            gossip_exchange_fill(&lab->subjects[turn == 0 ? a : b].gossip, &message, &arena));
        gossip_exchange_take(&lab->subjects[turn == 0 ? b : a].gossip, lab->now, &message);
    }
}

static struct member *view(struct lab *lab, unsigned who, unsigned of)
{
    return members_find(&lab->subjects[who].gossip.members, &lab->subjects[of].id);
}

/* All who run hold this one so. */
static bool all_hold(struct lab *lab, unsigned of, enum member_state state)
{
    for (unsigned i = 0; i < lab->count; i++) {
        if (!lab->subjects[i].is_running || i == of) continue;
        struct member *member = view(lab, i, of);
        if (member == NULL || member->state != state) return false;
    }
    return true;
}

static bool all_alive(struct lab *lab)
{
    for (unsigned i = 0; i < lab->count; i++)
        if (lab->subjects[i].is_running && !all_hold(lab, i, MEMBER_ALIVE)) return false;
    return true;
}

/* Runs until all hold it so; how long that took. Fails after most. */
static duration time_until(struct lab *lab, unsigned of, enum member_state state, duration most)
{
    instant begin = lab->now;
    while (!all_hold(lab, of, state)) {
        assert_true(lab->now - begin <= most);
        run(lab, 20 * MILLISECOND);
    }
    return lab->now - begin;
}

static duration time_until_all_alive(struct lab *lab, duration most)
{
    instant begin = lab->now;
    while (!all_alive(lab)) {
        assert_true(lab->now - begin <= most);
        run(lab, 20 * MILLISECOND);
    }
    return lab->now - begin;
}

/* What a ping calls its target. */
static uint32_t short_of(const struct id *id)
{
    return id->bytes[0] | (uint32_t)id->bytes[1] << 8 | (uint32_t)id->bytes[2] << 16 |
           (uint32_t)id->bytes[3] << 24;
}

/* A flock in which all know all, and that has calmed down. */
static struct lab *open_flock(unsigned count, uint64_t seed)
{
    struct lab *lab = open_lab(count, seed);
    for (unsigned i = 1; i < count; i++) exchange(lab, i, 0);
    (void)time_until_all_alive(lab, 30 * SECOND);
    run(lab, 10 * SECOND);
    assert_true(all_alive(lab));
    return lab;
}

struct times {
    duration sum, most;
    unsigned count;
};

static void add_time(struct times *times, duration time)
{
    times->sum += time;
    times->count++;
    if (time > times->most) times->most = time;
}

static void print_times(const char *what, const struct times *times)
{
    print_message("             %s: mean %lld ms, most %lld ms of %u\n", what,
                  (long long)(times->sum / times->count / MILLISECOND),
                  (long long)(times->most / MILLISECOND), times->count);
}

#endif
