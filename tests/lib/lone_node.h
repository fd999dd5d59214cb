/* A node by itself, driven by hand: for unit tests and fuzzers of node_step. Plain cryptography, no
 * disk: what it persists is confirmed at once when the test says so. */
#ifndef TESTS_LONE_NODE_H
#define TESTS_LONE_NODE_H

#include "node/node.h"
#include "wire/plain.h"

#include <assert.h>
#include <stdlib.h>

struct lone_node {
    struct node *node;
    struct crypto_pair pair;
    struct crypto_key key;
    struct actions actions;
    struct action *items;
    void *arena;
    instant now;
    bool is_in_loan;    /* items and arena are somebody else's */
    uint64_t persisted; /* the last token it asked for */
};

static inline void lone_node_look(struct lone_node *lone)
{
    for (size_t i = 0; i < lone->actions.count; i++)
        if (lone->actions.items[i].kind == ACTION_PERSIST)
            lone->persisted = lone->actions.items[i].persist.token;
}

static inline void lone_node_step(struct lone_node *lone, struct event event)
{
    event.now = lone->now;
    node_step(lone->node, &event, &lone->actions);
    lone_node_look(lone);
}

/* asked: its profile and tags are taken. Borrows items (ACTIONS_MAX) and arena: making them takes
 * a fuzzer longer than all the rest. */
static inline void lone_node_open_in(struct lone_node *lone, uint64_t number,
                                     const struct node_config *asked, struct action *items,
                                     void *arena)
{
    *lone = (struct lone_node){.now = SECOND, .items = items, .arena = arena, .is_in_loan = true};
    plain_pair(number, &lone->pair);
    lone->key.bytes[0] = 7;
    actions_init(&lone->actions, lone->items, ACTIONS_MAX, lone->arena, ACTIONS_ARENA_SIZE);
    struct node_config config = {
        .crypto = &crypto_plain,
        .pair = &lone->pair,
        .keys = &lone->key,
        .keys_count = 1,
        .boot = {.counter = 1, .random = number},
        .address = address_ipv4(127, 0, 0, 1, 7437),
        .name = "lone",
        .slots = 2,
        .tags = asked->tags,
        .tags_count = asked->tags_count,
        .profile = asked->profile,
        .seed = number,
        .wall_ms = 1,
    };
    lone->node = node_open(&config, lone->now);
    assert(lone->node != NULL);
    node_start(lone->node, lone->now, &lone->actions);
    lone_node_look(lone);
}

static inline void lone_node_open_with(struct lone_node *lone, uint64_t number,
                                       const struct node_config *asked)
{
    struct action *items = calloc(ACTIONS_MAX, sizeof *items);
    void *arena = aligned_alloc(16, ACTIONS_ARENA_SIZE);
    assert(items != NULL && arena != NULL);
    lone_node_open_in(lone, number, asked, items, arena);
    lone->is_in_loan = false;
}

static inline void lone_node_open(struct lone_node *lone, uint64_t number)
{
    lone_node_open_with(lone, number, &(struct node_config){.profile = PROFILE_LAN});
}

static inline void lone_node_close(struct lone_node *lone)
{
    node_close(lone->node);
    if (lone->is_in_loan) return;
    free(lone->items);
    free(lone->arena);
}

/* A stream opens to it: of mrctl, or of a peer whose id is that of plain_pair(number). */
static inline void lone_node_stream(struct lone_node *lone, uint64_t stream,
                                    enum channel_purpose purpose, uint64_t number)
{
    struct channel_party party = {.boot = {1, number}, .name = "other"};
    struct crypto_pair pair;
    plain_pair(number, &pair);
    if (purpose == CHANNEL_PEER) {
        party.node = crypto_node_id(&crypto_plain, &pair.public);
        party.address = address_ipv4(127, 0, 0, 1, (uint16_t)(8000 + number % 1000));
    }
    struct event event = {.kind = EVENT_STREAM_OPENED, .stream_opened = {stream, purpose, &party}};
    lone_node_step(lone, event);
}

static inline void lone_node_record(struct lone_node *lone, uint64_t stream, struct slice bytes)
{
    struct event event = {.kind = EVENT_STREAM_RECORD, .stream_record = {stream, bytes}};
    lone_node_step(lone, event);
}

#endif
