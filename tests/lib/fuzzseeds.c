/* What the fuzzers begin with, written into DIRECTORY/FUZZER/: inputs that come deep, so that a
 * fuzzer need not find out by itself how a message, a signed batch or a flock's life looks.
 *
 *   fuzz_wire      every message there is, as packed
 *   fuzz_log       the batches that a real log makes, in a peer's order, and with its own between
 *   fuzz_frame     datagrams as they are sealed, and rows of counters
 *   fuzz_channel   each turn of a handshake, whole and cut, and what comes behind it
 *   fuzz_jobs, fuzz_snapshot, fuzz_node: the life of a job in their own steps, and steps by chance
 */
#include "base/prng.h"
#include "store/log.h"
#include "wire/frame.h"
#include "wire/plain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    SIZE_MOST = 1 << 16,
    BY_CHANCE = 40, /* of those made of random steps */
};

static const char *directory;
static uint8_t bytes[SIZE_MOST];
static _Alignas(16) uint8_t room[8 << 20];

static void save(const char *fuzzer, const void *content, size_t size)
{
    static unsigned number;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, fuzzer);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/seed-%04u", directory, fuzzer, number++);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(content, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void wire_seeds(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    const struct wire_schema *schema;
    for (size_t i = 0; (schema = wire_each(i)) != NULL; i++) {
        struct arena arena;
        struct writer writer = writer_of(bytes, sizeof bytes);
        arena_init(&arena, room, sizeof room);
        void *fields = arena_take(&arena, wire_struct_size(schema));
        if (wire_type(schema) == 0 || !wire_arbitrary(schema, fields, &prng, &arena)) continue;
        if (wire_pack(schema, fields, &writer)) save("fuzz_wire", bytes, writer.written);
    }
}

/* ---- a real log's batches ---- */

struct tape {
    size_t size;
    uint8_t how;
};

static void on_entry(void *context, const struct stamped *entry) { (void)context, (void)entry; }

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    (void)context, (void)token, (void)puts, (void)count;
}

/* [how][size: 2 bytes][bytes], as fuzz_log takes them: 0 packed, 1 and 2 a body to be signed. */
static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    struct tape *tape = context;
    (void)author, (void)from;
    struct writer writer = writer_of(bytes + tape->size + 3, sizeof bytes - tape->size - 3);
    bool fits = true;
    if (tape->how % 4 == 0) fits = wire_pack(&wire_log_batch, batch, &writer);
    else if (batch->body.count > sizeof bytes - tape->size - 3) fits = false;
    else memcpy(writer.at, batch->body.at, writer.written = batch->body.count);
    if (!fits || writer.written > UINT16_MAX) return;
    bytes[tape->size] = tape->how;
    bytes[tape->size + 1] = (uint8_t)(writer.written >> 8);
    bytes[tape->size + 2] = (uint8_t)writer.written;
    tape->size += 3 + writer.written;
    tape->how = (uint8_t)(tape->how ^ 3);
}

static void on_usurped(void *context, const struct boot *boot) { (void)context, (void)boot; }

static void log_seeds(void)
{
    for (uint64_t seed = 1; seed <= BY_CHANCE; seed++) {
        struct tape tape = {.how = (uint8_t)(seed % 3 | 4)};
        struct crypto_pair pair;
        struct memory memory;
        struct arena arena;
        struct prng prng;
        plain_pair(1, &pair);
        memory_init(&memory, 64 << 20);
        prng_init(&prng, seed);
        struct log_config config = {.crypto = &crypto_plain,
                                    .pair = &pair,
                                    .id = crypto_node_id(&crypto_plain, &pair.public),
                                    .boot = {1 + seed % 3, seed % 8},
                                    .ports = {&tape, on_entry, on_persist, on_spread, on_usurped}};
        struct log *log = log_open(&config, &memory);
        assert(log != NULL);
        for (unsigned i = 0; i < 12; i++) {
            const struct wire_schema *schema =
                wire_schema(MSG_opened + (unsigned)prng_below(&prng, 15));
            struct msg_stamp stamp;
            arena_init(&arena, room, sizeof room);
            void *fields = arena_take(&arena, wire_struct_size(schema));
            if (!wire_arbitrary(schema, fields, &prng, &arena)) continue;
            (void)!log_append(log, schema, fields, &stamp);
            if (i % 3 != 2) (void)!log_commit(log, &arena);
        }
        log_close(log);
        save("fuzz_log", bytes, tape.size);
    }
}

/* ---- the others ---- */

static void frame_seeds(void)
{
    struct frame_key key = {1, {{2}}};
    struct crypto_pair pair;
    struct prng prng;
    prng_init(&prng, 2);
    plain_pair(1, &pair);
    for (size_t size = 0; size < 1200; size = 2 * size + 1) {
        struct frame_header header = {.key_id = 1, .boot = {1, 1}, .counter = 1 + size};
        struct crypto_key subkey;
        uint8_t payload[1200], sealed[FRAME_SIZE_MAX];
        prng_fill(&prng, payload, sizeof payload);
        header.sender = crypto_node_id(&crypto_plain, &pair.public);
        frame_subkey(&crypto_plain, &key, &header.sender, &header.boot, &subkey);
        size_t sealed_size =
            frame_seal(&crypto_plain, &subkey, &header, slice_of(payload, size), sealed);
        save("fuzz_frame", sealed, sealed_size);
        save("fuzz_frame", payload, 3 * 100);
    }
}

static void channel_seeds(void)
{
    struct prng prng;
    prng_init(&prng, 3);
    for (unsigned turns = 0; turns <= 4; turns++)
        for (unsigned cut = 0; cut < 256; cut += 51) {
            prng_fill(&prng, bytes, 400);
            bytes[0] = (uint8_t)(turns + 5 * (cut % 2 == 0 ? 0 : 30));
            bytes[1] = (uint8_t)cut;
            bytes[2] = 200;
            save("fuzz_channel", bytes, 400);
        }
}

/* Steps of fixed sizes by chance. */
static void steps(const char *fuzzer, size_t size, size_t count)
{
    struct prng prng;
    prng_init(&prng, size * count);
    for (unsigned i = 0; i < BY_CHANCE; i++) {
        prng_fill(&prng, bytes, size * count);
        save(fuzzer, bytes, size * count);
    }
}

static void lives(void)
{
    /* fuzz_node: [what][which][how] */
    static const uint8_t node[] = {
        1, 0,  0, 1, 1,  0, 1, 2,  0,                             /* three peers */
        2, 0,  0, 0, 8,  9, 8, 0,  1, 8, 1,  2, 8, 2,  3,         /* mrctl, time, gossip */
        9, 24, 0, 9, 25, 0, 9, 26, 0, 9, 32, 4, 9, 40, 4, 9, 33,  /* jobs, claims, dones */
        8, 4,  0, 0, 7,  0, 9, 9,  5, 0, 0,  5, 1, 1,  5, 0, 1,   /* what it asked for comes */
        6, 0,  1, 0, 10, 9, 5, 0,  0, 5, 0,  3, 6, 0,  2, 0, 200, /* runs, ends */
        9, 72, 0, 0, 11, 9, 3, 1,  0, 7, 4,  0, 4, 0,  0, 7, 7,   255, 0, 11, 255};
    /* fuzz_snapshot: [what][argument] */
    static const uint8_t snapshot[] = {0,  0, 1, 0, 2, 0, 1, 8, 2, 8, 3, 0, 5,  0, 0, 1, 5,  0,
                                       11, 0, 9, 0, 4, 1, 6, 0, 7, 0, 8, 0, 13, 0, 9, 0, 15, 1};
    /* fuzz_jobs: [kind][stamp and job][about][task] */
    static const uint8_t jobs[] = {3, 0, 2, 1, 4, 1, 0, 0, 5, 2, 0, 0, 8,  3, 0, 0,
                                   4, 2, 0, 1, 5, 1, 1, 1, 9, 0, 0, 9, 10, 0, 1, 0};
    save("fuzz_node", node, sizeof node);
    save("fuzz_snapshot", snapshot, sizeof snapshot);
    save("fuzz_jobs", jobs, sizeof jobs);
    steps("fuzz_node", 3, 120);
    steps("fuzz_snapshot", 2, 100);
    steps("fuzz_jobs", 4, 48);
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: fuzzseeds DIRECTORY\n");
        return 2;
    }
    directory = arguments[1];
    (void)mkdir(directory, 0777);
    wire_seeds();
    log_seeds();
    frame_seeds();
    channel_seeds();
    lives();
    return 0;
}
