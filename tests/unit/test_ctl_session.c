/* mrctl against peers that die: the whole way from files to a printed result, with fake peers
 * instead of mrnode.
 *
 *   mrctl (this process) --- peer 0 (a child)     both keep blocks, names and jobs in one
 * directory, as a flock
 *                        \-- peer 1 (a child)     that replicates at once would; "trap" files make
 * a peer die
 *
 * A fake job is `cat`: its output is its input's manifest under the job's name. It runs for one
 * second. A trap is a file DIR/trap-MESSAGE-PEER: the first message of this kind ends the peer
 * without an answer. */
#include "base/error.h"
#include "base/hash.h"
#include "ctl/commands.h"
#include "ctl/exits.h"
#include "ctl/keys.h"
#include "wire/channel.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PEERS = 2,
    CLIENTS_MAX = 16,
    PATH_SIZE = 512,
    BYTES_MAX = 32 << 20, /* of a block or a file here */
};

static char directory[256];
static struct crypto_key cluster_key;
static uint16_t ports[PEERS];
static pid_t pids[PEERS];

/* ---- files ---- */

static char *path_of(char path[PATH_SIZE], const char *kind, struct slice name)
{
    snprintf(path, PATH_SIZE, "%s/%s-%.*s", directory, kind, (int)name.count,
             (const char *)name.at);
    return path;
}

static void put_file(const char *path, struct slice bytes)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) abort();
    if (bytes.count > 0) fwrite(bytes.at, 1, bytes.count, file);
    fclose(file);
}

/* Owned by the caller; at NULL when there is no such file. */
static struct slice get_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) return slice_of(NULL, 0);
    uint8_t *bytes = malloc(BYTES_MAX);
    if (bytes == NULL) abort();
    size_t count = fread(bytes, 1, BYTES_MAX, file);
    fclose(file);
    return slice_of(bytes, count);
}

static char *block_path(char path[PATH_SIZE], const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    return path_of(path, "block", slice_string(digest_text(digest, text)));
}

/* ---- a peer ---- */

struct client {
    int fd;
    struct channel *channel;
    struct memory memory;
    uint8_t *upload;
    size_t upload_size;
    char job[128]; /* waited for */
    bool wants_result;
    uint64_t request;
    unsigned rounds;
};

struct peer {
    unsigned index;
    struct crypto_pair pair;
    struct client clients[CLIENTS_MAX];
    uint8_t *arena_bytes;
    uint64_t taken; /* bytes of blocks, lost ones among them */
};

static void say(struct client *client, const struct wire_schema *schema, const void *fields)
{
    size_t size = wire_packed_size(schema, fields), sealed_size = channel_sealed_size(size);
    uint8_t *packed = malloc(size), *sealed = malloc(sealed_size);
    struct writer writer = writer_of(packed, size);
    if (!wire_pack(schema, fields, &writer)) abort();
    channel_send(client->channel, slice_of(packed, size), sealed);
    for (size_t at = 0; at < sealed_size;) {
        ssize_t sent = send(client->fd, sealed + at, sealed_size - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += (size_t)sent;
    }
    free(packed);
    free(sealed);
}

static void refuse(struct client *client, uint64_t request, uint8_t code, const char *text)
{
    struct msg_say_error error = {.request = request, .code = code, .text = slice_string(text)};
    say(client, &wire_say_error, &error);
}

static void say_members(struct client *client, uint64_t request)
{
    struct msg_member_row rows[PEERS + 1] = {0};
    for (unsigned i = 0; i <= PEERS; i++) {
        rows[i].claim.node.bytes[0] = (uint8_t)(i + 1);
        rows[i].claim.state = i < PEERS ? MEMBER_ALIVE : MEMBER_DEAD;
        rows[i].claim.slots = 2;
        rows[i].claim.boot.counter = 3;
        rows[i].claim.name = slice_string(i < PEERS ? "fake" : "\x1b[31mdead");
        rows[i].claim.address = address_ipv4(127, 0, 0, 1, i < PEERS ? ports[i] : 1);
    }
    struct msg_say_members reply = {.request = request, .more = true, .members = {rows, 1}};
    say(client, &wire_say_members, &reply);
    reply.more = false;
    reply.members = (struct list){rows + 1, PEERS};
    say(client, &wire_say_members, &reply);
}

/* The named manifest, decoded into the arena; NULL when there is none. *bytes is to be freed. */
static const struct msg_manifest *manifest_of(struct slice name, struct arena *arena,
                                              struct slice *bytes)
{
    char path[PATH_SIZE];
    struct wire_message message;
    struct msg_block_ref ref;
    struct slice named = get_file(path_of(path, "name", name));
    *bytes = slice_of(NULL, 0);
    if (named.at == NULL) return NULL;
    memcpy(&ref, named.at, sizeof ref);
    free((void *)named.at);
    *bytes = get_file(block_path(path, &ref.digest));
    struct slice rest = *bytes;
    if (bytes->at == NULL || wire_unpack(&rest, &message, arena) != NULL) return NULL;
    return message.fields;
}

/* The whole output along with the end, when it is of few blocks. */
static void say_result(struct client *client, const struct msg_say_job *job)
{
    enum {
        FEW = 2
    };
    static _Alignas(16) uint8_t memory[1 << 16];
    char path[PATH_SIZE];
    struct arena arena;
    struct slice bytes;
    struct msg_small_block parts[FEW] = {0};
    struct msg_say_result reply = {.request = job->request, .job = job->job};
    arena_init(&arena, memory, sizeof memory);
    const struct msg_manifest *manifest = manifest_of(job->job.output, &arena, &bytes);
    const struct msg_manifest_block *blocks = manifest == NULL ? NULL : manifest->blocks.at;
    reply.is_whole =
        job->job.state == JOB_DONE && manifest != NULL && manifest->blocks.count <= FEW;
    for (uint32_t i = 0; reply.is_whole && i < manifest->blocks.count; i++)
        parts[i].bytes = get_file(block_path(path, &blocks[i].block.digest));
    if (reply.is_whole) reply.blocks = (struct list){parts, manifest->blocks.count};
    say(client, &wire_say_result, &reply);
    for (uint32_t i = 0; i < FEW; i++) free((void *)parts[i].bytes.at);
    free((void *)bytes.at);
}

static void submit(struct client *client, const struct msg_ask_submit_with *ask);

static void say_job(struct client *client, uint8_t state)
{
    struct msg_say_job reply = {.request = client->request};
    reply.job.name = slice_string(client->job);
    reply.job.state = state;
    reply.job.maps = 2;
    reply.job.maps_done = state == JOB_RUNNING ? 1 : 2;
    reply.job.output = slice_string(client->job);
    reply.job.error = slice_string(state == JOB_FAILED ? "task m1 failed: exit 9\nlast words" : "");
    if (client->wants_result) say_result(client, &reply);
    else say(client, &wire_say_job, &reply);
}

/* What came with the submission is kept as if it had been stored before. */
static void submit_small(struct client *client, const struct msg_ask_submit_small *ask)
{
    const struct msg_small_block *blocks = ask->blocks.at;
    char path[PATH_SIZE];
    for (uint32_t i = 0; i < ask->blocks.count; i++) {
        struct digest digest;
        crypto_sodium.digest(blocks[i].bytes, &digest);
        put_file(block_path(path, &digest), blocks[i].bytes);
    }
    struct msg_ask_submit_with with = {.request = ask->request,
                                       .job = ask->job,
                                       .ack = ask->ack,
                                       .spec = ask->spec,
                                       .terms = ask->terms};
    submit(client, &with);
}

static void submit(struct client *client, const struct msg_ask_submit_with *ask)
{
    char path[PATH_SIZE], name[128], id[ID_TEXT_SIZE];
    struct slice manifest = get_file(block_path(path, &ask->spec.manifest.digest));
    if (manifest.at == NULL) {
        refuse(client, ask->request, EXIT_PARTIAL, "the manifest is nowhere");
        return;
    }
    free((void *)manifest.at);
    struct msg_say_ok alive = {.request = ask->request};
    say(client, &wire_say_ok, &alive);
    id_text(&ask->job, id);
    snprintf(name, sizeof name, "%.*s-%.4s", (int)ask->spec.name.count,
             (const char *)ask->spec.name.at, id);
    struct slice output = ask->spec.output.count > 0 ? ask->spec.output : slice_string(name);
    put_file(path_of(path, "name", output),
             slice_of(&ask->spec.manifest, sizeof ask->spec.manifest));
    put_file(path_of(path, "job", slice_string(name)), ask->spec.mapper);
    put_file(path_of(path, "ran", ask->spec.name),
             slice_of(&ask->spec.maps, sizeof ask->spec.maps));
    struct msg_say_submitted reply = {
        .request = ask->request, .job = ask->job, .name = slice_string(name), .acks = 2};
    say(client, &wire_say_submitted, &reply);
}

static void wait_job(struct client *client, const struct msg_ask_wait *ask, bool wants_result)
{
    char path[PATH_SIZE];
    struct slice mapper = get_file(path_of(path, "job", ask->job));
    if (mapper.at == NULL) {
        refuse(client, ask->request, EXIT_NOT_FOUND, "no such job");
        return;
    }
    client->request = ask->request;
    client->wants_result = wants_result;
    snprintf(client->job, sizeof client->job, "%.*s", (int)ask->job.count,
             (const char *)ask->job.at);
    client->rounds = slice_equal(mapper, slice_string("for-ever")) ? 100000 : 1;
    if (slice_equal(mapper, slice_string("false"))) {
        say_job(client, JOB_FAILED);
        client->rounds = 0;
    } else {
        say_job(client, JOB_RUNNING);
    }
    free((void *)mapper.at);
}

/* Is there a trap of this kind for this peer? It is used up. */
static bool is_trapped(const struct peer *peer, const char *kind)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/trap-%s-%u", directory, kind, peer->index);
    return unlink(path) == 0;
}

/* Is there a file of this kind for this peer? It stays. */
static bool is_set(const char *kind, unsigned peer)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/set-%s-%u", directory, kind, peer);
    return access(path, F_OK) == 0;
}

static void say_dataset(struct peer *peer, struct client *client, const struct msg_ask_dataset *ask)
{
    enum {
        PAGE = 3
    };
    struct arena arena;
    struct slice bytes;
    struct msg_dataset_block page[PAGE] = {0};
    struct msg_block_holder holders[PEERS] = {0};
    arena_init(&arena, peer->arena_bytes, BYTES_MAX);
    char path[PATH_SIZE];
    if (ask->first > 0 && is_trapped(peer, "replaced")) {
        struct slice other = get_file(path_of(path, "name", slice_string("other")));
        put_file(path_of(path, "name", slice_string("paged")), other);
        free((void *)other.at);
    }
    struct slice name = ask->name;
    bool is_exact = name.count > 0 && name.at[0] == '@' && !is_set("old", peer->index);
    if (is_exact) { /* as a name, for a moment */
        char text[DIGEST_TEXT_SIZE];
        struct msg_block_ref ref = {.size = 0};
        snprintf(text, sizeof text, "%.*s", (int)name.count - 1, (const char *)name.at + 1);
        if (!digest_parse(text, &ref.digest)) abort();
        name = slice_string("exact");
        put_file(path_of(path, "name", name), slice_of(&ref, sizeof ref));
    }
    const struct msg_manifest *manifest = manifest_of(name, &arena, &bytes);
    if (is_exact) unlink(path);
    if (manifest == NULL) {
        refuse(client, ask->request, EXIT_NOT_FOUND, "no such dataset");
        free((void *)bytes.at);
        return;
    }
    for (unsigned i = 0; i < PEERS; i++) holders[i].address = address_ipv4(127, 0, 0, 1, ports[i]);
    struct msg_say_dataset reply = {.request = ask->request,
                                    .blocks_count = manifest->blocks.count};
    const struct msg_manifest_block *blocks = manifest->blocks.at;
    uint32_t count = 0;
    for (uint32_t i = ask->first; i < manifest->blocks.count && count < PAGE; i++)
        page[count++] = (struct msg_dataset_block){.block = blocks[i], .holders = {holders, PEERS}};
    reply.blocks = (struct list){page, count};
    say(client, &wire_say_dataset, &reply);
    free((void *)bytes.at);
}

static void say_names(struct client *client, const struct msg_ask_names *ask)
{
    char path[PATH_SIZE];
    struct msg_name_row row = {
        .name = ask->prefix, .size = 5, .replicas_wanted = 3, .replicas_min = 2};
    struct slice named = get_file(path_of(path, "name", ask->prefix));
    if (named.at != NULL) memcpy(&row.manifest, named.at, sizeof row.manifest);
    struct msg_say_names reply = {.request = ask->request, .names = {&row, named.at != NULL}};
    say(client, &wire_say_names, &reply);
    free((void *)named.at);
}

static void unname(struct client *client, const struct msg_ask_unname *ask)
{
    char path[PATH_SIZE];
    struct msg_say_ok reply = {.request = ask->request, .text = slice_string("removed")};
    if (unlink(path_of(path, "name", ask->name)) == 0) say(client, &wire_say_ok, &reply);
    else refuse(client, ask->request, EXIT_NOT_FOUND, "no such dataset");
}

/* trouble: with this block; FULL: the disk filled amid it; CORRUPT: other bytes came. */
static void store_check(struct peer *peer, struct client *client, const struct msg_store_check *end,
                        enum error trouble)
{
    char path[PATH_SIZE], name[32];
    snprintf(name, sizeof name, "%u", peer->index);
    peer->taken += client->upload_size;
    put_file(path_of(path, "taken", slice_string(name)),
             slice_of(&peer->taken, sizeof peer->taken));
    if (is_set("short-lived", peer->index) && peer->taken > 3 << 20) _exit(0);
    if (end->size != client->upload_size ||
        end->check != hash64(client->upload, client->upload_size, 0))
        abort();
    struct msg_stored reply = {.block = {.size = client->upload_size}};
    if (trouble != ERROR_NONE) {
        reply = (struct msg_stored){.status = trouble, .text = slice_string("trouble")};
        client->upload_size = 0;
        say(client, &wire_stored, &reply);
        return;
    }
    crypto_sodium.digest(slice_of(client->upload, client->upload_size), &reply.block.digest);
    put_file(block_path(path, &reply.block.digest), slice_of(client->upload, client->upload_size));
    client->upload_size = 0;
    say(client, &wire_stored, &reply);
}

/* A copy that the flock has made of it. */
static void store_known(const struct peer *peer, struct client *client,
                        const struct msg_block_ref *block)
{
    char path[PATH_SIZE];
    struct slice bytes = get_file(block_path(path, &block->digest));
    struct msg_stored reply = {.status = ERROR_NOT_FOUND};
    if (is_set("alone", peer->index)) unlink(path);
    else if (bytes.count == block->size && bytes.at != NULL)
        reply = (struct msg_stored){.block = *block};
    free((void *)bytes.at);
    say(client, &wire_stored, &reply);
}

static void take_chunk(struct client *client, struct slice bytes)
{
    if (client->upload == NULL) client->upload = malloc(BYTES_MAX);
    if (client->upload == NULL || bytes.count > BYTES_MAX - client->upload_size) abort();
    if (bytes.count > 0) memcpy(client->upload + client->upload_size, bytes.at, bytes.count);
    client->upload_size += bytes.count;
}

static void fetch(struct client *client, const struct msg_fetch *ask, bool is_damaged)
{
    char path[PATH_SIZE];
    struct slice block = get_file(block_path(path, &ask->digest));
    struct msg_fetch_reply reply = {.status = block.at == NULL ? ERROR_NOT_FOUND : ERROR_NONE,
                                    .size = block.count};
    say(client, &wire_fetch_reply, &reply);
    if (is_damaged && block.count > 0) ((uint8_t *)(uintptr_t)block.at)[0] ^= 1;
    for (size_t at = 0; at < block.count; at += 65536) {
        size_t count = block.count - at < 65536 ? block.count - at : 65536;
        struct msg_chunk chunk = {.bytes = slice_of(block.at + at, count)};
        say(client, &wire_chunk, &chunk);
    }
    free((void *)block.at);
}

static void answer_client(struct peer *peer, struct client *client,
                          const struct wire_message *message)
{
    const void *fields = message->fields;
    uint64_t request = message->type >= MSG_ask_members ? *(const uint64_t *)fields : 0;
    struct msg_say_info info = {.request = request, .name = slice_string("fake")};
    struct msg_say_ok named = {.request = request, .text = slice_string("named")};
    static const struct msg_lending nowhere;
    char path[PATH_SIZE];
    switch (message->type) {
    case MSG_ask_members: say_members(client, request); break;
    case MSG_ask_info: say(client, &wire_say_info, &info); break;
    case MSG_ask_tags: {
        struct msg_say_tags none = {.request = request};
        say(client, &wire_say_tags, &none);
        break;
    }
    case MSG_ask_submit_with: submit(client, fields); break;
    case MSG_ask_submit_small: submit_small(client, fields); break;
    case MSG_ask_wait: wait_job(client, fields, false); break;
    case MSG_ask_result: wait_job(client, fields, true); break; /* begins as ask_wait */
    case MSG_ask_dataset: say_dataset(peer, client, fields); break;
    case MSG_ask_names: say_names(client, fields); break;
    case MSG_ask_unname: unname(client, fields); break;
    case MSG_ask_name: {
        const struct msg_ask_name *ask = fields;
        if (is_trapped(peer, "unnameable")) {
            refuse(client, request, EXIT_PARTIAL, "a block is nowhere");
            break;
        }
        put_file(path_of(path, "name", ask->name), slice_of(&ask->manifest, sizeof ask->manifest));
        say(client, &wire_say_ok, &named);
        break;
    }
    case MSG_store:
    case MSG_store_for:
    case MSG_unstore:
    case MSG_store_used: break; /* all is kept */
    case MSG_ask_lending: say(client, &wire_lending, &nowhere); break;
    case MSG_store_known:
        store_known(peer, client, &((const struct msg_store_known *)fields)->block);
        break;
    case MSG_store_ask: {
        struct msg_store_room room = {.size = ((const struct msg_store_ask *)fields)->size};
        if (is_trapped(peer, "full")) room = (struct msg_store_room){.status = ERROR_FULL};
        say(client, &wire_store_room, &room);
        break;
    }
    case MSG_chunk: take_chunk(client, ((const struct msg_chunk *)fields)->bytes); break;
    case MSG_store_check:
        if (is_set("mute", peer->index)) break;
        store_check(peer, client, fields,
                    is_trapped(peer, "filled")    ? ERROR_FULL
                    : is_trapped(peer, "corrupt") ? ERROR_CORRUPT
                                                  : ERROR_NONE);
        break;
    case MSG_fetch: fetch(client, fields, is_trapped(peer, "damage")); break;
    default: abort();
    }
}

static void answer(struct peer *peer, struct client *client, const struct wire_message *message)
{
    if (is_trapped(peer, wire_name(message->schema))) _exit(0);
    if (is_trapped(peer, "leaving") && message->type == MSG_ask_names) {
        refuse(client, *(const uint64_t *)message->fields, EXIT_NO_PEER, "this node is leaving");
        return;
    }
    if (message->type == MSG_ask_names && is_trapped(peer, "unknowing")) {
        refuse(client, *(const uint64_t *)message->fields, UNKNOWN_CODE,
               "does not know request 169");
        return;
    }
    answer_client(peer, client, message);
}

static void close_client(struct client *client)
{
    channel_close(client->channel);
    close(client->fd);
    free(client->upload);
    *client = (struct client){.fd = -1};
}

/* Takes what has come from a client; false when it has gone. */
static bool serve(struct peer *peer, struct client *client)
{
    static uint8_t bytes[65536];
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got <= 0 || channel_receive(client->channel, slice_of(bytes, (size_t)got)) != NULL)
        return false;
    struct slice record, out = channel_output(client->channel);
    if (out.count > 0 && send(client->fd, out.at, out.count, MSG_NOSIGNAL) < 0) return false;
    while (channel_state(client->channel) == CHANNEL_OPEN &&
           channel_next(client->channel, &record)) {
        while (record.count > 0) {
            static uint8_t scratch[1 << 20] __attribute__((aligned(16)));
            struct arena arena;
            struct wire_message message;
            arena_init(&arena, scratch, sizeof scratch);
            if (wire_unpack(&record, &message, &arena) != NULL) return false;
            bool is_new = message.type == MSG_store_for || message.type == MSG_ask_lending ||
                          message.type == MSG_store_known;
            if (is_new && is_set("old", peer->index)) return false; /* unknown to it */
            answer(peer, client, &message);
        }
    }
    return true;
}

static void accept_client(struct peer *peer, int listener)
{
    struct client *client = peer->clients;
    while (client->fd >= 0) client++;
    client->fd = accept(listener, NULL, NULL);
    memory_init(&client->memory, SIZE_MAX);
    struct channel_config config = {.keys = &cluster_key, .keys_count = 1, .pair = &peer->pair};
    config.self.node = crypto_node_id(&crypto_sodium, &peer->pair.public);
    config.self.boot.counter = 1;
    snprintf(config.self.name, sizeof config.self.name, "fake%u", peer->index);
    keys_random(config.seed, sizeof config.seed);
    client->channel = channel_open(&client->memory, &config, false, CHANNEL_PEER);
    if (client->channel == NULL) abort();
}

/* A second has passed: waits go on. */
static void turn(struct peer *peer)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &peer->clients[i];
        if (client->fd < 0 || client->rounds == 0) continue;
        say_job(client, --client->rounds == 0 ? JOB_DONE : JOB_RUNNING);
    }
}

/* Other peers' listeners came along with the fork: a dead peer's port must refuse. */
static void close_listeners(int but)
{
    for (int fd = 3; fd < 64; fd++) {
        int is_listening = 0;
        socklen_t size = sizeof is_listening;
        bool is_socket = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0;
        if (is_socket && is_listening && fd != but) close(fd);
    }
}

static _Noreturn void run_peer(unsigned index, int listener)
{
    struct peer *peer = calloc(1, sizeof *peer);
    uint8_t seed[32] = {(uint8_t)index, 1};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_listeners(listener);
    peer->index = index;
    seal_pair_from_seed(seed, &peer->pair);
    peer->arena_bytes = malloc(BYTES_MAX);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) peer->clients[i].fd = -1;
    for (;;) {
        struct pollfd fds[CLIENTS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
        for (unsigned i = 0; i < CLIENTS_MAX; i++)
            fds[i + 1] = (struct pollfd){.fd = peer->clients[i].fd, .events = POLLIN};
        if (poll(fds, CLIENTS_MAX + 1, 300) == 0) turn(peer);
        for (unsigned i = 0; i < CLIENTS_MAX; i++)
            if (fds[i + 1].revents != 0 && !serve(peer, &peer->clients[i]))
                close_client(&peer->clients[i]);
        if (fds[0].revents != 0) accept_client(peer, listener);
    }
}

static void start_peer(unsigned index)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(ports[index])};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ports[index] = ntohs(address.sin_port);
    fflush(NULL);
    /* All ports are known before the first peer tells them: the fork comes when the last one is
     * bound. */
    pids[index] = -listener;
}

static void start_flock(void)
{
    for (unsigned i = 0; i < PEERS; i++) start_peer(i);
    for (unsigned i = 0; i < PEERS; i++) {
        int listener = -pids[i];
        pids[i] = fork();
        if (pids[i] == 0) run_peer(i, listener);
    }
    close_listeners(-1);
}

static int begin(void **state)
{
    (void)state;
    char path[PATH_SIZE], text[DIGEST_TEXT_SIZE];
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/mr-ctl.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(directory) == NULL) return -1;
    keys_random(&cluster_key, sizeof cluster_key);
    digest_text((const struct digest *)&cluster_key, text);
    put_file(path_of(path, "key", slice_string("file")), slice_string(text));
    setenv("MR_KEY_FILE", path, 1);
    setenv("XDG_CACHE_HOME", directory, 1);
    unsetenv("MR_NODE");
    memset(ports, 0, sizeof ports);
    start_flock();
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[PATH_SIZE];
    for (unsigned i = 0; i < PEERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

/* ---- mrctl ---- */

struct run {
    int code;
    char out[1 << 18];
    size_t out_size;
    char err[8192];
};

static struct run last;

static size_t take_output(int fd, char *text, size_t size)
{
    ssize_t got = pread(fd, text, size - 1, 0);
    text[got < 0 ? 0 : got] = '\0';
    return got < 0 ? 0 : (size_t)got;
}

/* Runs mrctl with words (NULL at the end) after -n peer 0; stdin from the descriptor (-1: none). */
static void mrctl(int in, ...)
{
    char node[64];
    char *words[32] = {"mrctl", "-n", node};
    int count = 3, out = open(directory, O_TMPFILE | O_RDWR, 0600),
        err = open(directory, O_TMPFILE | O_RDWR, 0600);
    va_list arguments;
    snprintf(node, sizeof node, "127.0.0.1:%u", ports[0]);
    va_start(arguments, in);
    for (const char *word; (word = va_arg(arguments, const char *)) != NULL;)
        words[count++] = (char *)(uintptr_t)word;
    va_end(arguments);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct options options;
        dup2(in < 0 ? open("/dev/null", O_RDONLY) : in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        signal(SIGPIPE, SIG_IGN);
        int code = options_parse(&options, count, words, commands_table);
        if (code == EXIT_OK) code = options.command->run(&options);
        fflush(NULL);
        options_deinit(&options);
        _exit(code);
    }
    int status;
    waitpid(child, &status, 0);
    last.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    last.out_size = take_output(out, last.out, sizeof last.out);
    take_output(err, last.err, sizeof last.err);
    close(out);
    close(err);
}

static void expect(int code)
{
    if (last.code != code)
        fail_msg("exit %d, not %d; stdout: %s; stderr: %s", last.code, code, last.out, last.err);
}

static void trap(const char *kind, unsigned peer)
{
    char path[PATH_SIZE], name[64];
    snprintf(name, sizeof name, "%s-%u", kind, peer);
    put_file(path_of(path, "trap", slice_string(name)), slice_of(NULL, 0));
}

static void set(const char *kind, unsigned peer)
{
    char path[PATH_SIZE], name[64];
    snprintf(name, sizeof name, "%s-%u", kind, peer);
    put_file(path_of(path, "set", slice_string(name)), slice_of(NULL, 0));
}

/* A file of `lines` numbered lines; returns its text (static), path into path. */
static const char *input_file(char path[PATH_SIZE], const char *name, unsigned lines)
{
    static char text[1 << 16];
    size_t count = 0;
    for (unsigned i = 0; i < lines; i++)
        count += (size_t)snprintf(text + count, sizeof text - count, "line %u of %s\n", i, name);
    put_file(path_of(path, "input", slice_string(name)), slice_of(text, count));
    return text;
}

static void mrctl_learns_the_members(void)
{
    mrctl(-1, "members", NULL);
    expect(EXIT_OK);
}

/* ---- the tests ---- */

static void run_prints_the_result_and_leaves_no_dataset(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "a", 1000);
    mrctl(-1, "run", "-m", "cat", "--split", "1K", "--name", "first", "-i", path, NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
    mrctl(-1, "cat", "first", NULL);
    expect(EXIT_NOT_FOUND);
    uint32_t maps;
    struct slice ran = get_file(path_of(path, "ran", slice_string("first")));
    memcpy(&maps, ran.at, sizeof maps);
    free((void *)ran.at);
    assert_in_range(maps, 10, 20); /* 17 KiB in blocks of at least 1 KiB */
}

static void run_reads_a_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello\n", 6), 6);
    close(ends[1]);
    mrctl(ends[0], "run", "-q", "-m", "cat", NULL);
    close(ends[0]);
    expect(EXIT_OK);
    assert_string_equal(last.out, "hello\n");
    assert_string_equal(last.err, "");
}

static void no_input_is_one_empty_map(void **state)
{
    (void)state;
    mrctl(-1, "run", "-m", "cat", "--name", "empty", NULL);
    expect(EXIT_OK);
    assert_int_equal(last.out_size, 0);
}

static void put_cat_get_and_rm_agree(void **state)
{
    (void)state;
    char path[PATH_SIZE], target[PATH_SIZE];
    const char *text = input_file(path, "b", 500);
    mrctl(-1, "put", path, "b", "--split", "2K", NULL);
    expect(EXIT_OK);
    mrctl(-1, "put", path, "b", NULL);
    expect(EXIT_CONFLICT);
    mrctl(-1, "put", path, "b", "--overwrite", "--split", "2K", NULL);
    expect(EXIT_OK);
    mrctl(-1, "cat", "b", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
    mrctl(-1, "get", "b", path_of(target, "got", slice_string("b")), NULL);
    expect(EXIT_OK);
    struct slice got = get_file(target);
    assert_true(slice_equal(got, slice_string(text)));
    free((void *)got.at);
    mrctl(-1, "run", "-m", "cat", "-i", "b", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
    mrctl(-1, "rm", "b", NULL);
    expect(EXIT_OK);
    mrctl(-1, "rm", "b", NULL);
    expect(EXIT_NOT_FOUND);
}

/* Bytes of a linear congruence, without line ends but the last. Owned by the caller. */
static struct slice noise(size_t count, uint32_t seed)
{
    uint8_t *bytes = malloc(count);
    if (bytes == NULL) abort();
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)('a' + (seed >> 24) % 26);
    }
    bytes[count - 1] = '\n';
    return slice_of(bytes, count);
}

static void large_blocks_come_whole_whatever_came_before(void **state)
{
    (void)state;
    static const size_t sizes[] = {10 << 20, (9 << 20) + 1, 100, (10 << 20) - 77};
    char folder[PATH_SIZE], path[PATH_SIZE + 8], target[PATH_SIZE];
    mkdir(path_of(folder, "folder", slice_string("large")), 0700);
    for (unsigned i = 0; i < 4; i++) {
        struct slice bytes = noise(sizes[i], i);
        snprintf(path, sizeof path, "%s/%u", folder, i);
        put_file(path, bytes);
        free((void *)bytes.at);
    }
    mrctl(-1, "put", folder, "large", "--split", "16M", NULL);
    expect(EXIT_OK);
    mrctl(-1, "get", "large", path_of(target, "got", slice_string("large")), NULL);
    expect(EXIT_OK);
    for (unsigned i = 0; i < 4; i++) {
        struct slice bytes = noise(sizes[i], i);
        snprintf(path, sizeof path, "%s/%u", target, i);
        struct slice got = get_file(path);
        assert_int_equal(got.count, sizes[i]);
        assert_memory_equal(got.at, bytes.at, sizes[i]);
        free((void *)bytes.at);
        free((void *)got.at);
    }
}

static void inputs_follow_each_other_in_order(void **state)
{
    (void)state;
    char folder[PATH_SIZE], one[PATH_SIZE + 8], two[PATH_SIZE + 8];
    mkdir(path_of(folder, "folder", slice_string("x")), 0700);
    snprintf(one, sizeof one, "%s/B", folder);
    snprintf(two, sizeof two, "%s/a", folder);
    put_file(one, slice_string("first\n"));
    put_file(two, slice_string("second\n"));
    mrctl(-1, "put", two, "named", NULL);
    expect(EXIT_OK);
    mrctl(-1, "run", "-m", "cat", "-i", folder, "data:named", one, NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, "first\nsecond\nsecond\nfirst\n");
}

static void a_failed_job_is_exit_1_with_its_last_words(void **state)
{
    (void)state;
    mrctl(-1, "run", "-m", "false", NULL);
    expect(EXIT_JOB_FAILED);
    assert_non_null(strstr(last.err, "last words"));
    assert_int_equal(last.out_size, 0);
}

static void missing_inputs_are_found_before_anything_is_sent(void **state)
{
    (void)state;
    mrctl(-1, "run", "-m", "cat", "-i", "/nowhere/x", NULL);
    expect(EXIT_USAGE);
    assert_non_null(strstr(last.err, "No such file"));
    mrctl(-1, "run", "-m", "cat", "-i", "neither", NULL);
    expect(EXIT_USAGE);
    mrctl(-1, "run", "-m", "cat", "-i", "data:neither", NULL);
    expect(EXIT_NOT_FOUND);
}

static void an_existing_output_is_a_conflict(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    input_file(path, "c", 3);
    mrctl(-1, "submit", "-m", "cat", "-i", path, "-O", "kept", "-w", NULL);
    expect(EXIT_OK);
    mrctl(-1, "submit", "-m", "cat", "-i", path, "-O", "kept", NULL);
    expect(EXIT_CONFLICT);
    mrctl(-1, "cat", "kept", NULL);
    expect(EXIT_OK);
}

static void a_wait_goes_on_at_another_peer(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    mrctl_learns_the_members();
    const char *text = input_file(path, "d", 100);
    trap("ask_result", 0);
    mrctl(-1, "run", "-m", "cat", "-i", path, NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
    assert_non_null(strstr(last.err, "gone, asking 127.0.0.1:"));
    /* And a later call, though the peer of -n is dead, knows whom to ask. */
    mrctl(-1, "members", "-o", "name", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, "fake\nfake\n\x1b[31mdead\n");
}

static void an_upload_begins_again_at_another_peer(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "e", 1000);
    trap("store_check", 0);
    mrctl(-1, "run", "-m", "cat", "--split", "4K", "-f", path, "-i", path, NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
}

/* Hello by a pipe, to a job that has a file: then nothing is kept for the submission. */
static void mrctl_runs_with_a_pipe(const char *trapped)
{
    int ends[2];
    char path[PATH_SIZE];
    input_file(path, "p", 1);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello\n", 6), 6);
    close(ends[1]);
    trap(trapped, 0);
    mrctl(ends[0], "run", "-m", "cat", "-f", path, NULL);
    close(ends[0]);
}

static void an_upload_of_a_pipe_goes_on_at_another_peer(void **state)
{
    (void)state;
    mrctl_runs_with_a_pipe("store_check");
    expect(EXIT_OK);
    assert_string_equal(last.out, "hello\n");
}

static void an_upload_of_a_pipe_goes_on_where_there_is_room(void **state)
{
    (void)state;
    mrctl_learns_the_members();
    mrctl_runs_with_a_pipe("full");
    expect(EXIT_OK);
    assert_string_equal(last.out, "hello\n");
    assert_non_null(strstr(last.err, "cannot take it, asking"));
}

static struct slice lines(size_t count, uint32_t seed)
{
    struct slice bytes = noise(count, seed);
    for (size_t i = 99; i < count; i += 100) ((uint8_t *)(uintptr_t)bytes.at)[i] = '\n';
    return bytes;
}

/* The descriptor of a pipe out of which these bytes will come; *writer is to be waited for. */
static int pipe_of(struct slice bytes, pid_t *writer)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *writer = fork();
    if (*writer == 0) {
        close(ends[0]);
        for (size_t at = 0; at < bytes.count;) {
            ssize_t put = write(ends[1], bytes.at + at, bytes.count - at);
            if (put <= 0) _exit(1);
            at += (size_t)put;
        }
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

/* Kept for the submission until there is too much of it: then all of it is uploaded, in order; to
 * another peer when the first has no room. */
static void a_pipe_that_grows_is_uploaded_after_all(void **state)
{
    (void)state;
    enum {
        SIZE = 120 << 10
    };
    pid_t writer;
    mrctl_learns_the_members();
    trap("full", 0);
    struct slice bytes = lines(SIZE, 7);
    int in = pipe_of(bytes, &writer);
    mrctl(in, "run", "-q", "-m", "cat", "--split", "7K", NULL);
    close(in);
    waitpid(writer, NULL, 0);
    expect(EXIT_OK);
    assert_int_equal(last.out_size, SIZE);
    assert_memory_equal(last.out, bytes.at, SIZE);
    free((void *)bytes.at);
}

/* By that peer, of all that was sent. */
static uint64_t bytes_taken(const char *peer)
{
    char path[PATH_SIZE];
    uint64_t taken = 0;
    struct slice bytes = get_file(path_of(path, "taken", slice_string(peer)));
    if (bytes.count == sizeof taken) memcpy(&taken, bytes.at, sizeof taken);
    free((void *)bytes.at);
    return taken;
}

static void expect_dataset(const char *name, struct slice bytes)
{
    char target[PATH_SIZE];
    mrctl(-1, "get", name, path_of(target, "got", slice_string(name)), NULL);
    expect(EXIT_OK);
    struct slice got = get_file(target);
    assert_true(slice_equal(got, bytes));
    free((void *)got.at);
    unlink(target);
}

enum {
    LOSSY_SIZE = 5 << 20,
    LOSSY_SPLIT = 1100 << 10
};

/* Trouble with the first block that peer 0 gets. */
static void put_with_trouble(const char *trouble)
{
    char path[PATH_SIZE];
    struct slice bytes = lines(LOSSY_SIZE, 11);
    put_file(path_of(path, "input", slice_string("lossy")), bytes);
    mrctl_learns_the_members();
    trap(trouble, 0);
    mrctl(-1, "put", path, "lossy", "--split", "1100K", NULL);
    expect(EXIT_OK);
    expect_dataset("lossy", bytes);
    free((void *)bytes.at);
}

/* "No room for that one" comes when room for the next is asked for, and is no answer to that. What
 * was stored stays where it is: that block alone, and the list, come in addition. */
static void a_block_that_found_the_disk_full_is_sent_again(void **state)
{
    (void)state;
    put_with_trouble("filled");
    assert_in_range(bytes_taken("0") + bytes_taken("1"), LOSSY_SIZE,
                    LOSSY_SIZE + LOSSY_SPLIT + 4096);
}

static void a_block_that_came_as_other_bytes_is_sent_again(void **state)
{
    (void)state;
    put_with_trouble("corrupt");
    assert_null(strstr(last.err, "asking"));
    assert_in_range(bytes_taken("0"), LOSSY_SIZE + 1, LOSSY_SIZE + LOSSY_SPLIT + 4096);
    assert_int_equal(bytes_taken("1"), 0);
}

/* Peer 0 dies when more than 3 MiB have come. At most five of the blocks that it got were not known
 * to be confirmed by then. */
static void put_at_who_dies(bool is_piped, bool is_copied, const char *split)
{
    char path[PATH_SIZE];
    struct slice bytes = lines(LOSSY_SIZE, 11);
    mrctl_learns_the_members();
    set("short-lived", 0);
    if (is_piped) {
        pid_t writer;
        int in = pipe_of(bytes, &writer);
        mrctl(in, "put", "-", "cut", "--split", split, NULL);
        close(in);
        waitpid(writer, NULL, 0);
    } else {
        put_file(path_of(path, "input", slice_string("cut")), bytes);
        mrctl(-1, "put", path, "cut", "--split", split, NULL);
    }
    expect(EXIT_OK);
    assert_int_equal(strstr(last.err, "of what was sent the living have ") != NULL, is_copied);
    expect_dataset("cut", bytes);
    free((void *)bytes.at);
}

static void what_others_have_is_not_sent_again(void **state)
{
    (void)state;
    for (unsigned is_piped = 0; is_piped < 2; is_piped++) {
        put_at_who_dies(is_piped, true, "256K");
        assert_in_range(bytes_taken("1"), LOSSY_SIZE - (13 * 257 << 10),
                        LOSSY_SIZE - (7 * 256 << 10));
        end(NULL);
        begin(NULL);
    }
}

static void what_nobody_has_is_sent_again_out_of_a_pipe_too(void **state)
{
    (void)state;
    for (unsigned is_piped = 0; is_piped < 2; is_piped++) {
        set("alone", 1);
        put_at_who_dies(is_piped, false, "256K");
        assert_in_range(bytes_taken("1"), LOSSY_SIZE, LOSSY_SIZE + 8192);
        end(NULL);
        begin(NULL);
    }
}

/* No file can be had to keep it in. */
static void what_can_not_be_read_again_is_told(void **state)
{
    (void)state;
    pid_t writer;
    char before[PATH_SIZE];
    const char *base = getenv("TMPDIR");
    snprintf(before, sizeof before, "%s", base == NULL ? "" : base);
    struct slice bytes = lines(LOSSY_SIZE, 13);
    mrctl_learns_the_members();
    set("short-lived", 0);
    set("alone", 1);
    int in = pipe_of(bytes, &writer);
    setenv("TMPDIR", "/nonexistent", 1);
    mrctl(in, "put", "-", "cut", "--split", "256K", NULL);
    if (base == NULL) unsetenv("TMPDIR");
    else setenv("TMPDIR", before, 1);
    close(in);
    waitpid(writer, NULL, 0);
    expect(EXIT_NO_PEER);
    assert_non_null(strstr(
        last.err,
        "standard input: no living node has its bytes from 0 on, and they can't be read again: "
        "save it to a file"));
    mrctl(-1, "ls", "cut", NULL);
    expect(EXIT_NOT_FOUND);
    free((void *)bytes.at);
}

/* Peer 1 does not know the question, and hangs up while most of them have not been asked: which
 * were not is no answer. */
static void a_peer_of_an_earlier_version_gets_all_again(void **state)
{
    (void)state;
    set("old", 1);
    put_at_who_dies(true, false, "16K");
    assert_in_range(bytes_taken("1"), LOSSY_SIZE, LOSSY_SIZE + 32768);
}

/* The name can't be said to peer 0 any more, which takes what it had along: peer 1 knows nothing of
 * it. */
static void a_naming_whose_bytes_are_gone_stores_what_is_missing(void **state)
{
    (void)state;
    for (unsigned is_alone = 0; is_alone < 2; is_alone++) {
        char path[PATH_SIZE];
        struct slice bytes = lines(LOSSY_SIZE, 12);
        put_file(path_of(path, "input", slice_string("late")), bytes);
        mrctl_learns_the_members();
        trap("ask_name", 0);
        trap("unnameable", 1);
        if (is_alone) set("alone", 1);
        mrctl(-1, "put", path, "late", "--split", "1100K", NULL);
        expect(EXIT_OK);
        expect_dataset("late", bytes);
        uint64_t again = is_alone ? LOSSY_SIZE : 0;
        assert_in_range(bytes_taken("1"), again, again + 8192);
        free((void *)bytes.at);
        end(NULL);
        begin(NULL);
    }
}

/* So many that small ones share blocks: of a line, or of lines for several blocks and of nothing.
 */
static void many_files(char folder[PATH_SIZE], bool are_large)
{
    enum {
        FILES = 1100
    };
    char path[PATH_SIZE + 16];
    mkdir(path_of(folder, "folder", slice_string("many")), 0700);
    for (unsigned i = 0; i < FILES; i++) {
        struct slice large = are_large && i % 3 != 0 ? lines(7000, i) : slice_of(NULL, 0);
        snprintf(path, sizeof path, "%s/%u", folder, i);
        put_file(path, are_large ? large : slice_string(i % 2 ? "odd\n" : "even\n"));
        free((void *)large.at);
    }
}

static void expect_many(const char *folder)
{
    char target[PATH_SIZE], command[2 * PATH_SIZE];
    mrctl(-1, "get", "many", path_of(target, "got", slice_string("many")), NULL);
    expect(EXIT_OK);
    snprintf(command, sizeof command, "diff -r '%.200s' '%.200s'", folder, target);
    assert_int_equal(system(command), 0);
}

/* A list of the bytes that went to who died ends amid files that share a block. */
static void packed_files_go_on_at_another_peer(void **state)
{
    (void)state;
    char folder[PATH_SIZE];
    many_files(folder, true);
    mrctl_learns_the_members();
    set("short-lived", 0);
    mrctl(-1, "put", folder, "many", "--split", "256K", NULL);
    expect(EXIT_OK);
    if (strstr(last.err, "the living have") == NULL) fail_msg("%s", last.err);
    expect_many(folder);
}

/* A page is three blocks. Bytes of one version alone, whichever. */
static void a_dataset_that_is_replaced_while_it_is_read_is_not_mixed(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "paged", 1000);
    mrctl(-1, "put", path, "paged", "--split", "1K", NULL);
    expect(EXIT_OK);
    put_file(path_of(path, "input", slice_string("other")),
             slice_string("1\n22\n333\n4444\n55555\n666666\n"));
    mrctl(-1, "put", path, "other", "--split", "1", NULL);
    expect(EXIT_OK);
    trap("replaced", 0);
    mrctl(-1, "cat", "paged", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
    mrctl(-1, "cat", "paged", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, "1\n22\n333\n4444\n55555\n666666\n");
    mrctl(-1, "run", "-q", "-m", "cat", "-i", "data:paged", "data:other", "--split", "1", NULL);
    expect(EXIT_OK);
    assert_int_equal(last.out_size, 2 * strlen("1\n22\n333\n4444\n55555\n666666\n"));
}

/* The list is the only block of an upload of nothing but a file of the job; then the file's. */
static void a_list_and_a_file_that_were_lost_are_sent_again(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "lost", 30);
    const char *const troubles[] = {"filled", "corrupt"};
    mrctl_learns_the_members();
    for (unsigned i = 0; i < 2; i++) {
        trap(troubles[i], 0);
        mrctl(-1, "run", "-q", "-m", "cat", "-f", path, "-i", path, NULL);
        expect(EXIT_OK);
        assert_string_equal(last.out, text);
    }
}

/* Many files in one block. */
static void a_packed_block_is_sent_again(void **state)
{
    (void)state;
    char folder[PATH_SIZE];
    many_files(folder, false);
    trap("corrupt", 0);
    mrctl(-1, "put", folder, "many", NULL);
    expect(EXIT_OK);
    expect_many(folder);
}

/* Which knows no store_for: it ends the stream. The same when it is asked whether files can be
 * lent. */
static void a_peer_of_an_earlier_version_gets_blocks_all_the_same(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "old", 1000);
    set("old", 0);
    set("old", 1);
    mrctl(-1, "put", path, "old", NULL);
    expect(EXIT_OK);
    expect_dataset("old", slice_string(text));
    struct slice bytes = noise(5 << 20, 0);
    put_file(path_of(path, "input", slice_string("large")), bytes);
    mrctl(-1, "put", path, "large-old", NULL);
    expect(EXIT_OK);
    expect_dataset("large-old", bytes);
    free((void *)bytes.at);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    mrctl(ends[0], "put", "-", "piped", NULL);
    close(ends[0]);
    expect(EXIT_OK);
    expect_dataset("piped", slice_string(text));
}

static void a_put_that_times_out_says_so_once(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    input_file(path, "slow", 1000);
    set("mute", 0);
    mrctl(-1, "put", path, "slow", "--timeout", "300ms", NULL);
    expect(EXIT_TIMED_OUT);
    const char *said = strstr(last.err, "timed out");
    assert_non_null(said);
    assert_null(strstr(said + 1, "timed out"));
}

static void a_submission_is_asked_again(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "f", 10);
    trap("ask_submit_small", 0);
    mrctl(-1, "run", "-m", "cat", "-i", path, NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
}

static void a_damaged_block_is_fetched_elsewhere(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "g", 700);
    mrctl(-1, "put", path, "g", "--split", "4K", NULL);
    expect(EXIT_OK);
    trap("damage", 0);
    mrctl(-1, "cat", "g", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
}

static void a_holder_that_dies_is_passed_over(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    const char *text = input_file(path, "h", 700);
    mrctl(-1, "put", path, "h", "--split", "4K", NULL);
    expect(EXIT_OK);
    trap("fetch", 0);
    mrctl(-1, "cat", "h", NULL);
    expect(EXIT_OK);
    assert_string_equal(last.out, text);
}

static void a_leaving_peer_sends_us_on(void **state)
{
    (void)state;
    mrctl_learns_the_members();
    trap("leaving", 0);
    mrctl(-1, "ls", "nothing", NULL);
    expect(EXIT_NOT_FOUND); /* as another one says */
}

static void an_older_peer_that_says_so_is_not_taken_for_dead(void **state)
{
    (void)state;
    mrctl_learns_the_members();
    trap("unknowing", 0);
    mrctl(-1, "ls", "nothing", NULL);
    expect(EXIT_JOB_FAILED);
    assert_non_null(strstr(
        last.err, "is older than this mrctl and does not know what ls asks for (ask_names)"));
    assert_null(strstr(last.err, "gone"));
    assert_null(strchr(strchr(last.err, '\n') + 1, '\n')); /* one line */
}

static void a_wrong_key_and_no_peer_are_exit_3_no_key_is_5(void **state)
{
    (void)state;
    char path[PATH_SIZE], good[PATH_SIZE];
    snprintf(good, sizeof good, "%s", getenv("MR_KEY_FILE"));
    put_file(path_of(path, "key", slice_string("wrong")),
             slice_string("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"));
    mrctl(-1, "--key-file", path, "members", NULL);
    expect(EXIT_NO_PEER);
    assert_non_null(strstr(last.err, "cluster key"));
    mrctl(-1, "--key-file", "/nowhere/key", "members", NULL);
    expect(EXIT_DENIED);
    put_file(path, slice_string("not a key\n"));
    mrctl(-1, "--key-file", path, "members", NULL);
    expect(EXIT_DENIED);
    for (unsigned i = 0; i < PEERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    mrctl(-1, "--key-file", good, "members", NULL);
    expect(EXIT_NO_PEER);
    assert_non_null(strstr(last.err, "no peer reachable"));
}

static void a_timeout_is_124_and_says_how_to_return(void **state)
{
    (void)state;
    mrctl(-1, "run", "-m", "for-ever", "--timeout", "3s", NULL);
    expect(EXIT_TIMED_OUT);
    assert_non_null(strstr(last.err, "mrctl -n 127.0.0.1:"));
    assert_non_null(strstr(last.err, " wait for-ever-"));
}

static void members_are_shown_without_escape_sequences(void **state)
{
    (void)state;
    mrctl(-1, "members", NULL);
    expect(EXIT_OK);
    assert_null(strchr(last.out, 0x1b));
    mrctl(-1, "members", "-o", "json", NULL);
    expect(EXIT_OK);
    assert_null(strchr(last.out, 0x1b));
    assert_non_null(strstr(last.out, "\"state\": \"dead\""));
    assert_non_null(strstr(last.out, "\"incarnation\": \"3.0\""));
}

static void keygen_writes_a_key_once(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct stat status;
    snprintf(path, sizeof path, "%s/new/dir/key", directory);
    mrctl(-1, "keygen", path, NULL);
    expect(EXIT_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 65);
    mrctl(-1, "keygen", path, NULL);
    expect(EXIT_CONFLICT);
    mrctl(-1, "keygen", NULL);
    expect(EXIT_OK);
    assert_int_equal(last.out_size, 65);
    mrctl(-1, "--key-file", path, "members", NULL);
    expect(EXIT_NO_PEER); /* a good key, of another flock */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(run_prints_the_result_and_leaves_no_dataset),
        STORY(run_reads_a_pipe),
        STORY(no_input_is_one_empty_map),
        STORY(put_cat_get_and_rm_agree),
        STORY(large_blocks_come_whole_whatever_came_before),
        STORY(inputs_follow_each_other_in_order),
        STORY(a_failed_job_is_exit_1_with_its_last_words),
        STORY(missing_inputs_are_found_before_anything_is_sent),
        STORY(an_existing_output_is_a_conflict),
        STORY(a_wait_goes_on_at_another_peer),
        STORY(an_upload_begins_again_at_another_peer),
        STORY(an_upload_of_a_pipe_goes_on_at_another_peer),
        STORY(an_upload_of_a_pipe_goes_on_where_there_is_room),
        STORY(a_pipe_that_grows_is_uploaded_after_all),
        STORY(a_block_that_found_the_disk_full_is_sent_again),
        STORY(a_block_that_came_as_other_bytes_is_sent_again),
        STORY(a_dataset_that_is_replaced_while_it_is_read_is_not_mixed),
        STORY(a_list_and_a_file_that_were_lost_are_sent_again),
        STORY(a_packed_block_is_sent_again),
        STORY(what_others_have_is_not_sent_again),
        STORY(what_nobody_has_is_sent_again_out_of_a_pipe_too),
        STORY(what_can_not_be_read_again_is_told),
        STORY(a_peer_of_an_earlier_version_gets_all_again),
        STORY(a_naming_whose_bytes_are_gone_stores_what_is_missing),
        STORY(packed_files_go_on_at_another_peer),
        STORY(a_peer_of_an_earlier_version_gets_blocks_all_the_same),
        STORY(a_put_that_times_out_says_so_once),
        STORY(a_submission_is_asked_again),
        STORY(a_damaged_block_is_fetched_elsewhere),
        STORY(a_holder_that_dies_is_passed_over),
        STORY(a_leaving_peer_sends_us_on),
        STORY(an_older_peer_that_says_so_is_not_taken_for_dead),
        STORY(a_wrong_key_and_no_peer_are_exit_3_no_key_is_5),
        STORY(a_timeout_is_124_and_says_how_to_return),
        STORY(members_are_shown_without_escape_sequences),
        STORY(keygen_writes_a_key_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
