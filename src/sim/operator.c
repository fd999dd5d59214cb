/* The operator's requests go the whole way through the node's own dispatch of a client's records;
 * only the stream is made up. What he does is as wrong as the moment makes it: on both sides of a
 * partition he may forget the other one. */
#include "sim/operator.h"

#include "gossip/gossip.h"
#include "sim/world.h"

#include <assert.h>

enum {
    RECORD_SIZE = 256,
};

static void ask(struct world *world, struct host *host, const struct wire_schema *schema,
                const void *message)
{
    uint8_t bytes[RECORD_SIZE];
    struct writer writer = writer_of(bytes, sizeof bytes);
    const struct channel_party party = {.name = "operator"};
    const uint64_t stream = world->streams.odd_next;
    bool is_packed = wire_pack(schema, message, &writer);
    assert(is_packed);
    (void)is_packed;
    world->streams.odd_next += 2;
    struct event event = {.kind = EVENT_STREAM_OPENED};
    event.stream_opened.stream = stream;
    event.stream_opened.purpose = CHANNEL_CLIENT;
    event.stream_opened.party = &party;
    host_step(world, host, &event);
    event = (struct event){.kind = EVENT_STREAM_RECORD};
    event.stream_record.stream = stream;
    event.stream_record.bytes = slice_of(bytes, writer.written);
    if (host->state == HOST_UP) host_step(world, host, &event);
    event = (struct event){.kind = EVENT_STREAM_CLOSED};
    event.stream_closed.stream = stream;
    event.stream_closed.error = ERROR_NONE;
    event.stream_closed.reason = "goodbye";
    if (host->state == HOST_UP) host_step(world, host, &event);
}

bool operator_forget(struct world *world, struct host *host, struct prng *prng)
{
    const struct member *chosen = NULL;
    char text[ID_TEXT_SIZE];
    size_t cursor = 0;
    uint64_t seen = 0;
    if (host->state != HOST_UP) return false;
    const struct members *members = &node_gossip(host->node)->members;
    for (const struct member *m; (m = members_next(members, &cursor)) != NULL;)
        if (m->state == MEMBER_DEAD && prng_below(prng, ++seen) == 0) chosen = m;
    if (chosen == NULL) return false;
    struct msg_ask_forget forget = {.request = 1,
                                    .node = slice_string(id_text(&chosen->fact->id, text))};
    world_say(world, host->index, "forget %s", chosen->fact->name);
    ask(world, host, &wire_ask_forget, &forget);
    return true;
}

void operator_join(struct world *world, struct host *host)
{
    char text[ADDRESS_TEXT_SIZE];
    const struct host *first = &world->hosts[0];
    struct msg_ask_join join = {.request = 1,
                                .host = slice_string(address_text(&first->address, text))};
    if (host->state == HOST_UP && host != first) ask(world, host, &wire_ask_join, &join);
}
