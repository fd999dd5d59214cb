/* The crowd's clock and script (its network: crowd_net.c).
 *
 *   node --send--> [lost? apart?] --delay--> post --> gossip_receive --> timers: its new deadline
 *      ^-- gossip_tick, when its timer is the first --------------------------'
 *
 *   |- warm-up -|- calm: a quarter -|- kills, pauses, joins, evenly: half -|- the rest: a quarter
 * -|
 *
 * Facts are shared: 10^8 members are 10^8 times 80 bytes, a pointer in a map and one in the probe
 * order. */
#include "sim/crowd.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PORT = 7437,
    WARM_UP = 5, /* periods */
    SCRATCH_LEAST = 1 << 16,
    MEMORY_MAX = 64 << 20, /* a node's budget */
};

/* ---- who is who ---- */

/* In order on the ring as their numbers are, and spread evenly over it, as real ids are: gossip
 * parts its members by their ids' first bits. */
static struct id id_of(const struct crowd *crowd, uint32_t number)
{
    uint32_t place = (uint32_t)(((uint64_t)number << 32) / crowd->nodes_count);
    struct id id = {{(uint8_t)(place >> 24), (uint8_t)(place >> 16), (uint8_t)(place >> 8),
                     (uint8_t)place, (uint8_t)(number >> 24), (uint8_t)(number >> 16),
                     (uint8_t)(number >> 8), (uint8_t)number, 0xc0}};
    return id;
}

uint32_t crowd_number(const struct id *id)
{
    return (uint32_t)id->bytes[4] << 24 | (uint32_t)id->bytes[5] << 16 |
           (uint32_t)id->bytes[6] << 8 | id->bytes[7];
}

static struct address address_of(uint32_t number)
{
    return address_ipv4(10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number, PORT);
}

/* ---- nodes ---- */

static void start(struct crowd *crowd, uint32_t number)
{
    struct crowd_node *node = &crowd->nodes[number];
    char name[16];
    snprintf(name, sizeof name, "node-%u", number);
    node->state = CROWD_RUNNING;
    memory_init(&node->memory, MEMORY_MAX);
    prng_init(&node->prng, prng_next(&crowd->prng));
    struct gossip_config config = {
        .id = id_of(crowd, number),
        .boot = {1, number + 1},
        .address = address_of(number),
        .name = name,
        .slots = 4,
        .period = crowd->options.period,
        .ports = crowd_ports(node),
        .facts = &crowd->facts,
    };
    enum error error = gossip_init(&node->gossip, &config, &node->prng, &node->memory, crowd->now);
    assert(error == ERROR_NONE);
    (void)error;
}

/* All who are there from the beginning have long known each other. */
static void seed(struct crowd *crowd)
{
    uint32_t count = crowd->options.nodes;
    const struct fact **facts = malloc(count * sizeof *facts);
    assert(facts != NULL);
    for (uint32_t i = 0; i < count; i++) {
        start(crowd, i);
        facts[i] = crowd->nodes[i].gossip.members.self->fact;
        crowd->census.truth += facts[i]->view_part;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct crowd_node *node = &crowd->nodes[i];
        enum error error = gossip_seed(&node->gossip, crowd->now, facts, count);
        assert(error == ERROR_NONE);
        (void)error;
        node->is_right = true;
        timers_set(&crowd->timers, i, gossip_deadline(&node->gossip));
    }
    crowd->census.running_count = crowd->census.right_count = count;
    free(facts);
}

void crowd_follow(struct crowd *crowd, struct crowd_node *node)
{
    timers_set(&crowd->timers, node->number, gossip_deadline(&node->gossip));
    census_look(crowd, node);
}

static void tick(struct crowd *crowd, struct crowd_node *node)
{
    gossip_tick(&node->gossip, crowd->now);
    assert(gossip_deadline(&node->gossip) > crowd->now);
    crowd_follow(crowd, node);
}

/* ---- deeds ---- */

static void stop(struct crowd *crowd, uint32_t number, enum crowd_state state)
{
    struct crowd_node *node = &crowd->nodes[number];
    if (node->state != CROWD_RUNNING) return;
    node->state = state;
    timers_set(&crowd->timers, number, INSTANT_NEVER);
    census_leave(crowd, number);
    census_begin(crowd, state == CROWD_KILLED ? STORY_KILL : STORY_PAUSE, number);
    if (state == CROWD_KILLED) crowd_end_streams(crowd, number);
}

static void resume(struct crowd *crowd, uint32_t number)
{
    struct crowd_node *node = &crowd->nodes[number];
    if (node->state != CROWD_PAUSED) return;
    node->state = CROWD_RUNNING;
    node->waiting = 0;
    census_enter(crowd, number);
    census_begin(crowd, STORY_RETURN, number);
    timers_set(&crowd->timers, number, crowd->now);
}

/* All that one knows, to the other, over a stream. */
static void exchange(struct crowd *crowd, struct crowd_node *from, struct crowd_node *to)
{
    struct arena arena;
    struct msg_exchange message = {.wants_reply = false};
    arena_init(&arena, crowd->scratch, crowd->scratch_size);
    bool fits = gossip_exchange_fill(&from->gossip, &message, &arena);
    assert(fits);
    (void)fits;
    from->load.records++;
    from->load.record_bytes += wire_packed_size(&wire_exchange, &message);
    gossip_exchange_take(&to->gossip, crowd->now, &message);
    crowd_follow(crowd, to);
}

static void join(struct crowd *crowd, uint32_t number)
{
    struct crowd_node *node = &crowd->nodes[number];
    uint32_t by;
    do by = (uint32_t)prng_below(&crowd->prng, crowd->options.nodes);
    while (crowd->nodes[by].state != CROWD_RUNNING);
    start(crowd, number);
    census_enter(crowd, number);
    census_begin(crowd, STORY_JOIN, number);
    exchange(crowd, node, &crowd->nodes[by]);
    exchange(crowd, &crowd->nodes[by], node);
}

static void do_deed(struct crowd *crowd, const struct crowd_deed *deed)
{
    switch (deed->kind) {
    case DEED_MEASURE: census_restart_loads(crowd, false); break;
    case DEED_EVENTS: census_restart_loads(crowd, true); break;
    case DEED_KILL: stop(crowd, deed->node, CROWD_KILLED); break;
    case DEED_PAUSE:
        crowd->nodes[deed->node].paused_until = crowd->now + crowd->options.time / 4;
        stop(crowd, deed->node, CROWD_PAUSED);
        break;
    case DEED_RESUME: resume(crowd, deed->node); break;
    case DEED_JOIN: join(crowd, deed->node); break;
    case DEED_PART: crowd->is_parted = true; break;
    case DEED_HEAL:
        crowd->is_parted = false;
        census_begin(crowd, STORY_HEAL, 0);
        break;
    }
}

static void plan(struct crowd *crowd, instant at, enum crowd_deed_kind kind, uint32_t node)
{
    crowd->deeds[crowd->deeds_count++] = (struct crowd_deed){at, kind, node};
}

static int compare_deeds(const void *a, const void *b)
{
    const struct crowd_deed *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* Kills, pauses and joins in turn, each in a stretch of its own, at a random time of its first
 * half. */
static void plan_events(struct crowd *crowd, instant begin)
{
    const struct crowd_options *o = &crowd->options;
    uint32_t count = o->kills + o->pauses + o->joins;
    if (count == 0) return;
    duration stretch = o->time / 2 / count;
    uint32_t *victims = malloc(o->nodes * sizeof *victims);
    assert(victims != NULL);
    for (uint32_t i = 0; i < o->nodes; i++) victims[i] = i;
    for (uint32_t i = 0; i < count; i++) {
        instant at = begin + i * stretch + (instant)prng_below(&crowd->prng, (uint64_t)stretch / 2);
        uint32_t stopped = o->kills + o->pauses;
        if (i >= stopped) {
            plan(crowd, at, DEED_JOIN, o->nodes + i - stopped);
            continue;
        }
        uint32_t other = i + (uint32_t)prng_below(&crowd->prng, o->nodes - i);
        uint32_t victim = victims[other];
        victims[other] = victims[i];
        plan(crowd, at, i < o->kills ? DEED_KILL : DEED_PAUSE, victim);
        if (i >= o->kills) plan(crowd, at + o->time / 4, DEED_RESUME, victim);
    }
    free(victims);
}

static void plan_all(struct crowd *crowd)
{
    const struct crowd_options *o = &crowd->options;
    instant calm = crowd->now + WARM_UP * o->period, events = calm + o->time / 4;
    size_t most = 8 + o->kills + 2 * (size_t)o->pauses + o->joins;
    crowd->deeds = malloc(most * sizeof *crowd->deeds);
    assert(crowd->deeds != NULL);
    plan(crowd, calm, DEED_MEASURE, 0);
    plan(crowd, events, DEED_EVENTS, 0);
    if (o->partition > 0) {
        plan(crowd, events, DEED_PART, 0);
        plan(crowd, events + o->partition, DEED_HEAL, 0);
    }
    plan_events(crowd, events);
    assert(crowd->deeds_count <= most);
    qsort(crowd->deeds, crowd->deeds_count, sizeof *crowd->deeds, compare_deeds);
}

/* ---- the crowd ---- */

void crowd_open(struct crowd *crowd, const struct crowd_options *options)
{
    FILE *csv = crowd->census.csv;
    assert(options->nodes >= 2 && options->nodes <= CROWD_NODES_MAX);
    assert(options->kills + options->pauses <= options->nodes / 2);
    *crowd = (struct crowd){.options = *options, .census.csv = csv};
    crowd->nodes_count = options->nodes + options->joins;
    crowd->now = SECOND; /* 0 means "never" in some places */
    prng_init(&crowd->prng, options->seed);
    memory_init(&crowd->memory, SIZE_MAX);
    facts_init(&crowd->facts, &crowd->memory);
    timers_init(&crowd->timers, crowd->nodes_count);
    post_init(&crowd->post);
    crowd->scratch_size =
        SCRATCH_LEAST + (size_t)crowd->nodes_count * sizeof(struct msg_member_claim);
    crowd->scratch = aligned_alloc(16, (crowd->scratch_size + 15) / 16 * 16);
    crowd->nodes = calloc(crowd->nodes_count, sizeof *crowd->nodes);
    assert(crowd->nodes != NULL && crowd->scratch != NULL);
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        crowd->nodes[i].crowd = crowd;
        crowd->nodes[i].number = i;
    }
    census_open(&crowd->census, crowd->nodes_count);
    seed(crowd);
    plan_all(crowd);
}

void crowd_run(struct crowd *crowd)
{
    instant end = crowd->now + WARM_UP * crowd->options.period + crowd->options.time;
    for (;; crowd->events++) {
        const struct timer *timer = timers_first(&crowd->timers);
        instant letter = post_next(&crowd->post);
        instant deed = crowd->deeds_next < crowd->deeds_count ? crowd->deeds[crowd->deeds_next].at
                                                              : INSTANT_NEVER;
        instant next = instant_min(instant_min(timer->at, letter), deed);
        if (next > end) break;
        if (next > crowd->now) crowd->now = next;
        if (deed == next) do_deed(crowd, &crowd->deeds[crowd->deeds_next++]);
        else if (timer->at == next) tick(crowd, &crowd->nodes[timer->owner]);
        else crowd_deliver(crowd);
    }
    crowd->now = end;
}

void crowd_close(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->nodes_count; i++)
        if (crowd->nodes[i].state != CROWD_ABSENT) gossip_deinit(&crowd->nodes[i].gossip);
    facts_deinit(&crowd->facts);
    timers_deinit(&crowd->timers);
    post_deinit(&crowd->post);
    census_close(&crowd->census);
    free(crowd->nodes);
    free(crowd->scratch);
    free(crowd->deeds);
    *crowd = (struct crowd){.now = 0};
}

uint64_t crowd_memory_used(const struct crowd *crowd)
{
    uint64_t used = crowd->memory.used;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) used += crowd->nodes[i].memory.used;
    return used;
}
