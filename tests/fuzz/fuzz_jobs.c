/* Any entries in any order: one state. The bytes say which kinds come, from whom and about what
 * (few nodes, claims and tasks, so that they interact), everything else of an entry is arbitrary.
 * They are folded as they come, backwards, and shuffled with every entry twice; the digests must
 * be equal, and nothing may leak. */
#include "base/prng.h"
#include "tasks/jobs.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MAX = 48,
    BYTES_PER_ENTRY = 4,
    ARENA_SIZE = 1 << 21,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(bool holds)
{
    if (!holds) abort();
}

static const unsigned kinds[] = {
    MSG_opened,  MSG_joined,   MSG_left,  MSG_job,      MSG_claim,   MSG_done,
    MSG_failed,  MSG_released, MSG_lost,  MSG_dead,     MSG_ended,   MSG_claim,
    MSG_done,    MSG_named,    MSG_claim, MSG_job_with, MSG_counted, MSG_tallied,
    MSG_unnamed, MSG_tagged,   MSG_claim, MSG_done,
};

enum {
    KINDS = sizeof kinds / sizeof *kinds
};

/* One of 3 nodes, 2 boots and 4 times; the sequence makes it unique when it is an entry's own. */
static struct msg_stamp stamp_of(uint8_t byte, uint64_t sequence)
{
    return (struct msg_stamp){
        .time = 1 + (byte >> 4 & 3),
        .node = {{(uint8_t)(1 + byte % 3)}},
        .boot = {.counter = 1 + (byte >> 6 & 1)},
        .sequence = sequence,
    };
}

static struct id job_of(uint8_t byte) { return (struct id){{(uint8_t)(1 + (byte >> 7))}}; }

static void tame_ranges(struct list *ranges)
{
    struct msg_task_range *range = ranges->at;
    for (uint32_t i = 0; i < ranges->count; i++) {
        range[i].kind %= 3;
        range[i].first %= 8;
    }
}

/* The entry of a done, or a claim, that the byte points at: among those there are, mostly. */
static struct msg_stamp target(const struct stamped *entries, size_t count, unsigned kind,
                               uint8_t byte)
{
    for (size_t i = 0; i < count; i++) {
        const struct stamped *entry = &entries[(i + byte) % count];
        if (entry->kind == kind) return entry->stamp;
    }
    return stamp_of(byte, 1 + byte % ENTRIES_MAX);
}

/* Makes the arbitrary entry speak of few things. */
static void tame(struct stamped *entries, size_t count, size_t i, void *fields,
                 const uint8_t *bytes)
{
    struct msg_stamp claim = target(entries, count, MSG_claim, bytes[2]);
    struct id id = job_of(bytes[1]);
    struct msg_job *job = fields;
    struct msg_job_with *with = fields;
    struct msg_claim *claimed = fields;
    struct msg_done *done = fields;
    struct msg_failed *failed = fields;
    struct msg_released *released = fields;
    struct msg_lost *lost = fields;
    struct msg_dead *dead = fields;
    struct msg_ended *ended = fields;
    struct msg_counted *counted = fields;
    struct msg_tallied *tallied = fields;
    switch (entries[i].kind) {
    case MSG_job:
        job->job = id;
        job->spec.maps = bytes[2] % 5;
        job->spec.reduces = bytes[3] % 3;
        break;
    case MSG_job_with:
        with->job = id;
        with->spec.maps = bytes[2] % 5;
        with->spec.reduces = bytes[3] % 3;
        with->terms.verify %= 4;
        break;
    case MSG_claim:
        claimed->job = id;
        claimed->number %= 4;
        tame_ranges(&claimed->ranges);
        break;
    case MSG_done:
        done->job = id;
        done->claim = claim;
        done->kind = 0;
        done->task = bytes[3] % 4;
        break;
    case MSG_failed:
        failed->job = id;
        failed->claim = claim;
        failed->kind = 0;
        failed->task = bytes[3] % 4;
        break;
    case MSG_released:
        released->job = id;
        released->claim = claim;
        tame_ranges(&released->ranges);
        break;
    case MSG_lost:
        lost->job = id;
        lost->kind = 0;
        lost->task = bytes[3] % 4;
        lost->done = target(entries, count, MSG_done, bytes[2]);
        break;
    case MSG_dead:
        dead->node = claim.node;
        dead->boot = claim.boot;
        dead->sequence = bytes[3] % ENTRIES_MAX;
        break;
    case MSG_counted:
        counted->job = id;
        counted->claim = claim;
        counted->kind = 0;
        counted->task = bytes[3] % 4;
        break;
    case MSG_tallied: tallied->job = id; break;
    case MSG_ended:
        ended->job = id;
        ended->outcome = bytes[2] % 5;
        break;
    }
}

static uint64_t fold(const struct stamped *entries, const uint8_t *order, size_t count)
{
    struct memory memory;
    struct jobs jobs;
    memory_init(&memory, 256 << 20);
    jobs_init(&jobs, &memory);
    for (size_t i = 0; i < count; i++) require(jobs_apply(&jobs, &entries[order[i]]) == ERROR_NONE);
    uint64_t digest = jobs_digest(&jobs);
    jobs_deinit(&jobs);
    require(memory.used == 0);
    return digest;
}

static void check_orders(const struct stamped *entries, size_t count, struct prng *prng)
{
    uint8_t forth[ENTRIES_MAX], back[ENTRIES_MAX], twice[2 * ENTRIES_MAX];
    for (size_t i = 0; i < count; i++) {
        forth[i] = twice[2 * i] = twice[2 * i + 1] = (uint8_t)i;
        back[count - 1 - i] = (uint8_t)i;
    }
    for (size_t i = 2 * count; i > 1; i--) {
        size_t j = (size_t)prng_below(prng, i);
        uint8_t swapped = twice[i - 1];
        twice[i - 1] = twice[j];
        twice[j] = swapped;
    }
    uint64_t digest = fold(entries, forth, count);
    require(digest == fold(entries, back, count));
    require(digest == fold(entries, twice, 2 * count));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static _Alignas(16) uint8_t memory[ARENA_SIZE];
    struct stamped entries[ENTRIES_MAX];
    void *fields[ENTRIES_MAX];
    struct arena arena;
    struct prng prng;
    uint64_t seed = size;
    size_t count = size / BYTES_PER_ENTRY;
    if (count > ENTRIES_MAX) count = ENTRIES_MAX;
    arena_init(&arena, memory, sizeof memory);
    for (size_t i = 0; i < count * BYTES_PER_ENTRY; i++) seed = seed * 31 + bytes[i];
    for (size_t i = 0; i < count; i++) {
        const uint8_t *own = bytes + i * BYTES_PER_ENTRY;
        const struct wire_schema *schema = wire_schema(kinds[own[0] % KINDS]);
        uint32_t own_seed; /* what is changed in one entry changes no other */
        memcpy(&own_seed, own, sizeof own_seed);
        prng_init(&prng, own_seed);
        fields[i] = arena_take(&arena, wire_struct_size(schema));
        if (fields[i] == NULL || !wire_arbitrary(schema, fields[i], &prng, &arena)) return 0;
        entries[i] = (struct stamped){stamp_of(own[1], 1 + i), wire_type(schema), fields[i]};
    }
    for (size_t i = 0; i < count; i++)
        tame(entries, count, i, fields[i], bytes + i * BYTES_PER_ENTRY);
    prng_init(&prng, seed);
    check_orders(entries, count, &prng);
    return 0;
}
