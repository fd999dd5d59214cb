/* The laboratory knows the truth: which bytes were acknowledged, which hosts have good copies of
 * them. `struck` are the hosts whose copies may be bad or away: those that died or lost their disk
 * since all promised blocks last had all their copies on hosts that are up and stay, or have a
 * rotten block.
 * Not more than R-1 hosts are ever in it, so what is promised has one good copy on a host that is
 * up, always (B0).
 *
 * Nodes leave in order, too, one or all that have a block at once, whatever else is wrong just
 * then, and come back with their disk. That strikes nobody: before they go there are as many copies
 * elsewhere as there should be.
 *
 * Blocks come from a small pool, so that the same bytes are put by several clients while others
 * remove them: what one lets go of another one needs. */
#include "sim/history.h"

#include "sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLIENTS = 3,
    NAMES = 2, /* of each client: nobody else touches them, so what must hold is known */
    POOL = 10,
    BLOCKS_MAX = 4,
    OPERATIONS = 8, /* of each client */
    BLOCK_SIZE_MAX = 40000,
    SETTLED_FIRST = 4 * SECOND, /* until then the flock forms */
    MISFORTUNE_MAX = 5 * SECOND,
    PAUSE_MAX = 8 * SECOND,
    DOWN_MAX = 15 * SECOND,
    DEPARTURE_MAX = 10 * SECOND,
    TOGETHER_CHANCE = 500000, /* all leave at once that have one block */
    TURN = 500 * MILLISECOND,
    SILENCE = 5 * SECOND,
    RECORD_SIZE = 4096,
    HEAL_AFTER = 60 * SECOND,
    FULL_CHANCE = 300000, /* one disk has room for little */
    FULL_ROOM = 6,
    PIN = 20 * SECOND, /* pins of the nodes, in histories (host.c) */
    NOT_FOUND = 4,
    DEPARTURE = 1 + CLIENTS, /* number of a HAPPEN_HISTORY */
};

enum name_state {
    NAME_FREE,
    NAME_HELD,  /* acknowledged: its bytes must be there */
    NAME_MOVES, /* an unanswered request is about to end it */
};

struct name {
    enum name_state state;
    const struct content *manifest;
    const struct content *blocks[BLOCKS_MAX];
    uint32_t blocks_count;
};

enum operation {
    OPERATION_PUT,
    OPERATION_REMOVE,
    OPERATION_ABANDON, /* uploads and says that it has given up, or vanishes */
};

enum client_step {
    STEP_IDLE, /* its next operation begins at its next turn */
    STEP_CONNECTING,
    STEP_ASKED,
    STEP_OVER,
};

struct client {
    uint32_t index, peer;
    uint64_t stream, request;
    enum client_step step;
    enum operation operation;
    uint32_t left; /* operations */
    uint32_t name;
    struct id id;     /* of the request that changes something */
    struct name next; /* what is being put */
    instant heard, uploaded;
    uint32_t uploaded_life;     /* of the peer, when it took the blocks */
    bool is_spoilt[BLOCKS_MAX]; /* rotted there since: its peer may drop that one, and say so */
};

struct history {
    struct prng prng;
    struct prng departures; /* apart: the rest is as it would be without them */
    uint8_t replicas;
    const struct content *pool[POOL];
    struct name names[CLIENTS][NAMES];
    struct client clients[CLIENTS];
    bool struck[NODES_MAX];
};

void history_plan(struct plan *plan, struct prng *prng)
{
    plan->has_jobs = plan->has_strikes = true;
    if (plan->nodes == 0) plan->nodes = 4 + (uint32_t)prng_below(prng, 3);
    if (plan->heal == 0) plan->heal = HEAL_AFTER;
}

/* ---- the truth ---- */

static uint32_t good_copies(const struct world *world, const struct digest *digest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->hosts_count; i++)
        count += world->hosts[i].state == HOST_UP && blocks_has(&world->hosts[i], digest);
    return count;
}

typedef bool visit_block(struct world *world, const struct digest *digest, void *context);

/* Every block of every acknowledged name, its manifest too, until one makes visit return false. */
static bool each_promised(struct world *world, visit_block *visit, void *context)
{
    struct history *history = world->history;
    for (int i = 0; i < CLIENTS * NAMES; i++) {
        const struct name *name = &history->names[i / NAMES][i % NAMES];
        if (name->state != NAME_HELD) continue;
        if (!visit(world, &name->manifest->digest, context)) return false;
        for (uint32_t b = 0; b < name->blocks_count; b++)
            if (!visit(world, &name->blocks[b]->digest, context)) return false;
    }
    return true;
}

static bool has_one(struct world *world, const struct digest *digest, void *context)
{
    uint32_t host = *(uint32_t *)context;
    if (good_copies(world, digest) > 0) return true;
    char text[DIGEST_TEXT_SIZE];
    world_violated(world, host, "B0", "nobody has a good copy of %.12s any more",
                   digest_text(digest, text));
    return false;
}

void history_check(struct world *world, uint32_t host)
{
    if (world->history == NULL || world->is_violated) return;
    (void)each_promised(world, has_one, &host);
    /* A client that was told "stored" names its blocks within the pin. With the naming in the log
     * its peer may turn out to have a copy too many, and drop it before the client has heard. */
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->history->clients[i];
        const struct host *peer = &world->hosts[client->peer % world->hosts_count];
        bool is_promised = client->step == STEP_ASKED && client->operation == OPERATION_PUT &&
                           client->uploaded_life == peer->life && peer->index == host &&
                           peer->state == HOST_UP && world->now - client->uploaded < PIN / 2;
        for (uint32_t b = 0; is_promised && b < client->next.blocks_count; b++)
            if (!blocks_has(peer, &client->next.blocks[b]->digest) &&
                !world->history->struck[host] && !client->is_spoilt[b] &&
                good_copies(world, &client->next.blocks[b]->digest) < world->history->replicas)
                world_violated(world, host, "B0", "a block was dropped amid its put");
    }
}

/* Without those of who leaves: they are on their way out. */
static bool has_all(struct world *world, const struct digest *digest, void *context)
{
    uint32_t staying = good_copies(world, digest);
    (void)context;
    for (uint32_t i = 0; i < world->hosts_count; i++)
        staying -= world->hosts[i].is_leaving && world->hosts[i].state == HOST_UP &&
                   blocks_has(&world->hosts[i], digest);
    return staying >= world->history->replicas;
}

static bool is_settled(struct world *world) { return each_promised(world, has_all, NULL); }

/* Of any block: what nobody has promised now, somebody may put again, and find it here. */
static bool has_rot(const struct host *host)
{
    size_t cursor = 0;
    for (struct held_block *held; (held = map_next(&host->blocks, &cursor)) != NULL;)
        if (held->is_rotten) return true;
    return false;
}

/* May this host be struck, too? Forgets strikes that did no lasting harm. */
static bool may_strike(struct world *world, uint32_t host)
{
    struct history *history = world->history;
    uint32_t count = 0, up = 0;
    bool settled = is_settled(world);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        bool is_up = world->hosts[i].state == HOST_UP;
        if (settled && is_up && !has_rot(&world->hosts[i])) history->struck[i] = false;
        count += history->struck[i] && i != host;
        up += is_up && !world->hosts[i].is_leaving && i != host;
    }
    return count + 1 < history->replicas && up >= 2;
}

/* ---- misfortunes ---- */

static void strike_down(struct world *world, struct host *host)
{
    static const enum crash_kind kinds[] = {CRASH_KILL, CRASH_LOST, CRASH_DISK};
    struct history *history = world->history;
    enum crash_kind kind = kinds[prng_below(&history->prng, 3)];
    if (kind == CRASH_LOST) kind += (enum crash_kind)prng_below(&history->prng, STORAGE_CUTS);
    if (host->state != HOST_UP || !may_strike(world, host->index)) return;
    history->struck[host->index] = true;
    world->faults.count++;
    if (kind == CRASH_DISK) world->faults.disks_lost++;
    host_crash(world, host, kind);
    queue_push(
        &world->queue,
        (struct happening){.at = world->now + 1 + (instant)prng_below(&history->prng, DOWN_MAX),
                           .kind = HAPPEN_START,
                           .host = host->index});
    history_check(world, host->index);
}

static void spoil(const struct world *world, struct client *client, const struct host *host,
                  const struct content *content)
{
    if (client->peer % world->hosts_count != host->index) return;
    for (uint32_t b = 0; b < client->next.blocks_count; b++)
        if (client->next.blocks[b] == content) client->is_spoilt[b] = true;
}

static void strike_block(struct world *world, struct host *host)
{
    struct history *history = world->history;
    const struct content *content = history->pool[prng_below(&history->prng, POOL)];
    bool can_rot = blocks_has(host, &content->digest) && may_strike(world, host->index);
    if (!can_rot || !blocks_rot(world, host, &content->digest)) return;
    history->struck[host->index] = true;
    for (int i = 0; i < CLIENTS; i++) spoil(world, &history->clients[i], host, content);
    world->faults.count++;
    world->faults.rotten++;
    history_check(world, host->index);
}

static void misfortune(struct world *world)
{
    struct history *history = world->history;
    if (world->phase != PHASE_SAFETY) return;
    struct host *host = &world->hosts[prng_below(&history->prng, world->hosts_count)];
    if (prng_chance(&history->prng, 400000)) strike_block(world, host);
    else strike_down(world, host);
    queue_push(&world->queue,
               (struct happening){.at = world->now + 1 +
                                        (instant)prng_below(&history->prng, MISFORTUNE_MAX),
                                  .kind = HAPPEN_HISTORY,
                                  .host = UINT32_MAX});
}

/* ---- departures ---- */

/* As many stay, and have room, as there are copies: with fewer all of them may die. Who knows of
 * nobody yet, because all are down whose addresses it has, can hand nothing over. */
static void depart(struct world *world, struct host *host)
{
    uint32_t staying = 0;
    for (uint32_t i = 0; i < world->hosts_count; i++)
        staying += i != host->index && world->hosts[i].state == HOST_UP &&
                   !world->hosts[i].is_leaving && world->hosts[i].room == 0;
    if (host->state != HOST_UP || host->is_leaving || staying < world->history->replicas) return;
    if (node_is_alone(host->node)) return;
    host->is_leaving = true;
    host->leaves_at = world->now;
    world->faults.departures++;
    if (world->plan.canary == CANARY_HASTY_LEAVE) {
        host_crash(world, host, CRASH_KILL);
        history_left(world, host);
        return;
    }
    queue_push(&world->queue, (struct happening){.at = world->now + 1,
                                                 .kind = HAPPEN_LEAVE,
                                                 .host = host->index,
                                                 .life = host->life});
}

static void departure(struct world *world)
{
    struct prng *prng = &world->history->departures;
    if (world->phase != PHASE_SAFETY) return;
    const struct content *content = world->history->pool[prng_below(prng, POOL)];
    bool is_together = prng_chance(prng, TOGETHER_CHANCE);
    for (uint32_t i = 0; is_together && i < world->hosts_count; i++)
        if (blocks_has(&world->hosts[i], &content->digest)) depart(world, &world->hosts[i]);
    if (!is_together) depart(world, &world->hosts[prng_below(prng, world->hosts_count)]);
    queue_push(&world->queue,
               (struct happening){.at = world->now + 1 + (instant)prng_below(prng, DEPARTURE_MAX),
                                  .kind = HAPPEN_HISTORY,
                                  .host = UINT32_MAX,
                                  .number = DEPARTURE});
}

void history_left(struct world *world, struct host *host)
{
    if (world->history == NULL) return;
    host->is_gone = false;
    queue_push(&world->queue,
               (struct happening){.at = world->now + 1 +
                                        (instant)prng_below(&world->history->departures, DOWN_MAX),
                                  .kind = HAPPEN_START,
                                  .host = host->index});
    history_check(world, host->index);
}

/* ---- clients ---- */

static uint32_t party(const struct world *world, const struct client *client)
{
    return world->hosts_count + world->jobs_count + client->index;
}

static void next_turn(struct world *world, struct client *client, duration delay)
{
    queue_push(&world->queue, (struct happening){.at = world->now + delay,
                                                 .kind = HAPPEN_HISTORY,
                                                 .host = UINT32_MAX,
                                                 .side = (uint32_t)client->stream,
                                                 .number = 1 + client->index});
}

static const struct content *pack_manifest(struct world *world, const struct name *name,
                                           const char *file_name)
{
    struct msg_manifest_block blocks[BLOCKS_MAX];
    struct msg_text file = {slice_string(file_name)};
    uint64_t offset = 0;
    for (uint32_t i = 0; i < name->blocks_count; i++) {
        blocks[i] = (struct msg_manifest_block){
            .block = {name->blocks[i]->digest, name->blocks[i]->size}, .offset = offset};
        offset += name->blocks[i]->size;
    }
    struct msg_manifest manifest = {{&file, 1}, {blocks, name->blocks_count}};
    size_t size = wire_packed_size(&wire_manifest, &manifest);
    uint8_t *bytes = malloc(size);
    assert(bytes != NULL);
    struct writer writer = writer_of(bytes, size);
    bool is_packed = wire_pack(&wire_manifest, &manifest, &writer);
    assert(is_packed);
    (void)is_packed;
    struct digest digest;
    world->crypto->digest(slice_of(bytes, size), &digest);
    return blocks_content(world, &digest, bytes, size);
}

static void name_text(const struct client *client, char text[16])
{
    snprintf(text, 16, "c%u-%u", client->index, client->name);
}

static void choose(struct world *world, struct client *client)
{
    struct history *history = world->history;
    uint64_t draw = prng_below(&history->prng, 10);
    client->name = (uint32_t)prng_below(&history->prng, NAMES);
    client->operation = draw < 6 ? OPERATION_PUT : draw < 9 ? OPERATION_REMOVE : OPERATION_ABANDON;
    prng_fill(&history->prng, client->id.bytes, sizeof client->id.bytes);
    client->next = (struct name){.state = NAME_HELD};
    client->next.blocks_count = (uint32_t)prng_below(&history->prng, BLOCKS_MAX + 1);
    for (uint32_t i = 0; i < client->next.blocks_count; i++)
        client->next.blocks[i] = history->pool[prng_below(&history->prng, POOL)];
    char text[16];
    name_text(client, text);
    client->next.manifest = pack_manifest(world, &client->next, text);
    client->left--;
}

static void ask(struct world *world, struct client *client, const struct wire_schema *schema,
                const void *message)
{
    uint8_t bytes[RECORD_SIZE];
    struct writer writer = writer_of(bytes, sizeof bytes);
    bool is_packed = wire_pack(schema, message, &writer);
    assert(is_packed);
    (void)is_packed;
    client->step = STEP_ASKED;
    streams_send(world, party(world, client), client->stream, slice_of(bytes, writer.written));
}

static void go_away(struct world *world, struct client *client, duration delay)
{
    streams_close(world, party(world, client), client->stream);
    client->step = STEP_CONNECTING;
    client->stream++;
    next_turn(world, client, delay);
}

static void operation_over(struct world *world, struct client *client)
{
    streams_close(world, party(world, client), client->stream);
    client->step = client->left == 0 ? STEP_OVER : STEP_IDLE;
    client->stream++;
    if (client->step == STEP_IDLE)
        next_turn(world, client, (duration)prng_below(&world->history->prng, PAUSE_MAX));
}

/* False: its disk has no room. */
static bool upload(struct world *world, struct client *client, struct host *host)
{
    bool is_stored = true;
    for (uint32_t i = 0; i < client->next.blocks_count && is_stored; i++)
        is_stored = blocks_upload(world, host, client->next.blocks[i]);
    is_stored = is_stored && blocks_upload(world, host, client->next.manifest);
    client->uploaded = world->now;
    client->uploaded_life = host->life;
    memset(client->is_spoilt, 0, sizeof client->is_spoilt);
    return is_stored;
}

static void give_up(struct world *world, struct client *client, struct host *host)
{
    bool says_so = prng_chance(&world->history->prng, 500000);
    for (uint32_t i = 0; i < client->next.blocks_count && says_so; i++)
        blocks_unstore(world, host, &client->next.blocks[i]->digest);
    if (says_so) blocks_unstore(world, host, &client->next.manifest->digest);
    operation_over(world, client);
}

static void ask_put(struct world *world, struct client *client, struct host *host)
{
    struct name *name = &world->history->names[client->index][client->name];
    if (!upload(world, client, host)) {
        go_away(world, client, TURN);
        return;
    }
    if (client->operation == OPERATION_ABANDON) {
        give_up(world, client, host);
        return;
    }
    char text[16];
    name_text(client, text);
    if (name->state == NAME_HELD) name->state = NAME_MOVES;
    struct msg_ask_name put = {
        .request = ++client->request,
        .id = client->id,
        .name = slice_string(text),
        .manifest = {client->next.manifest->digest, client->next.manifest->size},
        .replicas = world->history->replicas,
        .overwrite = true};
    ask(world, client, &wire_ask_name, &put);
}

static void ask_remove(struct world *world, struct client *client)
{
    struct name *name = &world->history->names[client->index][client->name];
    char text[16];
    name_text(client, text);
    if (name->state == NAME_HELD) name->state = NAME_MOVES;
    struct msg_ask_unname removal = {++client->request, client->id, slice_string(text)};
    ask(world, client, &wire_ask_unname, &removal);
}

static void connect_to_any(struct world *world, struct client *client)
{
    client->peer = (uint32_t)prng_below(&world->history->prng, world->hosts_count);
    client->step = STEP_CONNECTING;
    client->stream++;
    client->heard = world->now;
    struct address address = network_address(client->peer);
    streams_open(world, party(world, client), client->stream, &address, CHANNEL_CLIENT);
    next_turn(world, client, TURN);
}

static void client_turns(struct world *world, struct client *client, uint32_t epoch)
{
    if (epoch != (uint32_t)client->stream || client->step == STEP_OVER) return;
    bool is_silent = world->now - client->heard >= SILENCE;
    if (client->step == STEP_IDLE) choose(world, client);
    if (client->step == STEP_IDLE || is_silent) {
        streams_close(world, party(world, client), client->stream);
        connect_to_any(world, client);
        return;
    }
    next_turn(world, client, TURN);
}

void history_turn(struct world *world, uint64_t number, uint32_t epoch)
{
    if (number == 0) misfortune(world);
    else if (number == DEPARTURE) departure(world);
    else client_turns(world, &world->history->clients[number - 1], epoch);
}

void history_opened(struct world *world, uint32_t index, uint64_t stream)
{
    struct client *client = &world->history->clients[index];
    struct host *host = &world->hosts[client->peer];
    if (stream != client->stream || host->state != HOST_UP) return;
    client->heard = world->now;
    if (client->operation == OPERATION_REMOVE) ask_remove(world, client);
    else ask_put(world, client, host);
}

void history_closed(struct world *world, uint32_t index, uint64_t stream)
{
    struct client *client = &world->history->clients[index];
    bool is_current =
        stream == client->stream && (client->step == STEP_ASKED || client->step == STEP_CONNECTING);
    if (is_current) client->heard = world->now - SILENCE; /* elsewhere, at the next turn */
}

/* ---- answers ---- */

static void acknowledged(struct world *world, struct client *client)
{
    struct name *name = &world->history->names[client->index][client->name];
    char text[16];
    name_text(client, text);
    bool is_put = client->operation == OPERATION_PUT;
    world_say(world, UINT32_MAX, "client %u: %s %s", client->index, is_put ? "put" : "removed",
              text);
    if (is_put) {
        *name = client->next;
        world->result->puts++;
    } else {
        name->state = NAME_FREE;
        world->result->removals++;
    }
    operation_over(world, client);
    history_check(world, client->peer);
}

static void answered(struct world *world, struct client *client, const struct wire_message *message)
{
    if (client->step != STEP_ASKED) return;
    if (message->type == MSG_say_ok) {
        const struct msg_say_ok *say = message->fields;
        if (say->request == client->request && say->text.count > 0) acknowledged(world, client);
        return;
    }
    if (message->type != MSG_say_error) return;
    const struct msg_say_error *say = message->fields;
    world_say(world, UINT32_MAX, "client %u refused: code=%u %.*s", client->index, say->code,
              (int)say->text.count, (const char *)say->text.at);
    /* Never put, or removed by the first try: gone, in any case. */
    if (say->code == NOT_FOUND && client->operation == OPERATION_REMOVE)
        acknowledged(world, client);
    else client->heard = world->now - SILENCE;
}

void history_record(struct world *world, uint32_t index, uint64_t stream, struct slice bytes)
{
    struct client *client = &world->history->clients[index];
    client->heard = stream == client->stream ? world->now : client->heard;
    arena_reset(&world->scratch);
    while (bytes.count > 0 && stream == client->stream) {
        struct wire_message message;
        const char *reason = wire_unpack(&bytes, &message, &world->scratch);
        if (reason != NULL) {
            world_violated(world, client->peer, "contract", "an answer is refused: %s", reason);
            return;
        }
        answered(world, client, &message);
    }
}

/* ---- the end ---- */

struct search {
    const struct digest *digest;
    bool is_found;
    char *text;
    size_t size;
};

static bool is_other(struct world *world, const struct digest *digest, void *context)
{
    struct search *search = context;
    (void)world;
    search->is_found = digest_equal(digest, search->digest);
    return !search->is_found;
}

static bool is_whole(struct world *world, const struct digest *digest, void *context)
{
    struct search *search = context;
    uint32_t wanted = world->history->replicas, copies = good_copies(world, digest);
    char text[DIGEST_TEXT_SIZE];
    if (copies >= wanted) return true;
    snprintf(search->text, search->size, "block %.12s has %u good copies, %u are wanted",
             digest_text(digest, text), copies, wanted);
    return false;
}

static bool is_manifest(const struct world *world, const struct digest *digest)
{
    for (int i = 0; i < POOL; i++)
        if (digest_equal(&world->history->pool[i]->digest, digest)) return false;
    return true;
}

static bool is_tidy(struct world *world, struct host *host, char *text, size_t size)
{
    size_t cursor = 0;
    char digest[DIGEST_TEXT_SIZE];
    for (struct held_block *held; (held = map_next(&host->blocks, &cursor)) != NULL;) {
        struct search search = {.digest = &held->digest};
        (void)each_promised(world, is_other, &search);
        uint32_t copies = good_copies(world, &held->digest);
        const char *what = held->is_rotten                     ? "rotten"
                           : !search.is_found                  ? "wanted by nobody"
                           : is_manifest(world, &held->digest) ? NULL
                           : copies > world->history->replicas ? "one of too many"
                                                               : NULL;
        if (what == NULL) continue;
        snprintf(text, size, "block %.12s at n%u is %s (%u copies)",
                 digest_text(&held->digest, digest), host->index, what, copies);
        return false;
    }
    return true;
}

const char *history_missing(struct world *world, char *text, size_t size)
{
    struct search search = {.text = text, .size = size};
    if (world->history == NULL) return NULL;
    for (int i = 0; i < CLIENTS; i++) {
        if (world->history->clients[i].step == STEP_OVER) continue;
        snprintf(text, size, "client %d has not come to its end", i);
        return "B1";
    }
    if (!each_promised(world, is_whole, &search)) return "B2";
    for (uint32_t i = 0; i < world->hosts_count; i++)
        if (!is_tidy(world, &world->hosts[i], text, size)) return "B3";
    return NULL;
}

/* ---- lifecycle ---- */

static void make_pool(struct world *world, struct history *history)
{
    for (int i = 0; i < POOL; i++) {
        size_t size = (size_t)prng_below(&history->prng, BLOCK_SIZE_MAX);
        uint8_t *bytes = malloc(size + 1);
        assert(bytes != NULL);
        prng_fill(&history->prng, bytes, size);
        struct digest digest;
        world->crypto->digest(slice_of(bytes, size), &digest);
        history->pool[i] = blocks_content(world, &digest, bytes, size);
    }
}

void history_init(struct world *world, uint64_t seed)
{
    struct history *history = calloc(1, sizeof *history);
    assert(history != NULL);
    world->history = history;
    prng_init(&history->prng, seed);
    history->replicas = 2 + (uint8_t)prng_below(&history->prng, 2);
    make_pool(world, history);
    if (prng_chance(&history->prng, FULL_CHANCE) && world->hosts_count > history->replicas + 1u)
        world->hosts[prng_below(&history->prng, world->hosts_count)].room = FULL_ROOM;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *client = &history->clients[i];
        *client = (struct client){.index = i, .left = OPERATIONS};
        next_turn(world, client, SETTLED_FIRST + (duration)prng_below(&history->prng, PAUSE_MAX));
    }
    queue_push(&world->queue, (struct happening){.at = SETTLED_FIRST + 2 * SECOND,
                                                 .kind = HAPPEN_HISTORY,
                                                 .host = UINT32_MAX});
    prng_init(&history->departures, ~seed);
    if (world->options.nobody_leaves) return;
    queue_push(&world->queue, (struct happening){.at = SETTLED_FIRST + 3 * SECOND,
                                                 .kind = HAPPEN_HISTORY,
                                                 .host = UINT32_MAX,
                                                 .number = DEPARTURE});
}

void history_deinit(struct world *world) { free(world->history); }
