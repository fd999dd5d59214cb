/* The log: replicas that talk over a network that loses, doubles and reorders, and restart from
 * disks that forget what was not synced, end with the same entries, each delivered once and in
 * its feed's order (S1, S3, S5); and a log out of memory is one that can go on. Hostile authors:
 * test_log_hostile.c. */
#include "store/log.h"
#include "wire/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    PEERS_MAX = 4,
    MAIL_MAX = 64,
    FEEDS_MAX = 64,
    SCRATCH_SIZE = 8 << 20,
    MEMORY_BUDGET = 256 << 20,
};

static uint8_t scratch_bytes[SCRATCH_SIZE] __attribute__((aligned(16)));

struct peer;

/* What was delivered of one feed. */
struct progress {
    struct id node;
    struct boot boot;
    uint64_t sequence;
    uint64_t time;
};

struct peer {
    struct flock *flock;
    size_t index;
    struct memory memory;
    struct crypto_pair pair;
    struct id id;
    struct boot boot;
    struct log *log;
    struct storage *disk;
    uint64_t token; /* the last one written to the disk */
    struct progress feeds[FEEDS_MAX];
    size_t feeds_count;
    uint64_t fold; /* a state that does not depend on order */
    unsigned entries, persists, spreads, usurped;
};

struct mail {
    size_t to;
    struct id from;
    struct slice packed; /* a log_batch, owned */
};

struct flock {
    struct peer peers[PEERS_MAX];
    size_t count;
    struct mail mail[MAIL_MAX];
    size_t mail_count;
    struct prng prng;
    struct arena scratch;
};

/* ---- ports ---- */

static void on_entry(void *context, const struct stamped *entry)
{
    struct peer *peer = context;
    const struct msg_stamp *stamp = &entry->stamp;
    size_t i = 0;
    while (i < peer->feeds_count && !(id_equal(&peer->feeds[i].node, &stamp->node) &&
                                      boot_equal(&peer->feeds[i].boot, &stamp->boot)))
        i++;
    struct progress *feed = &peer->feeds[i];
    if (i == peer->feeds_count) {
        assert_true(i < FEEDS_MAX);
        *feed = (struct progress){.node = stamp->node, .boot = stamp->boot};
        peer->feeds_count++;
    }
    assert_int_equal(stamp->sequence, feed->sequence + 1); /* once, in order, no gap */
    assert_true(stamp->time > feed->time);
    feed->sequence = stamp->sequence;
    feed->time = stamp->time;
    assert_non_null(entry->fields);
    peer->fold += stamp_hash(stamp) + entry->kind;
    peer->entries++;
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct peer *peer = context;
    assert_int_equal(token, peer->token + 1);
    assert_int_equal(storage_write(peer->disk, puts, count), ERROR_NONE);
    peer->token = token;
    peer->persists++;
}

static struct mail mail_of(size_t to, const struct id *from, const struct msg_log_batch *batch)
{
    size_t size = wire_packed_size(&wire_log_batch, batch);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    struct writer writer = writer_of(bytes, size);
    assert_true(wire_pack(&wire_log_batch, batch, &writer));
    return (struct mail){to, *from, slice_of(bytes, size)};
}

/* To all others; a full network loses it. */
static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    struct peer *peer = context;
    struct flock *flock = peer->flock;
    assert_true(!id_is_zero(from) || id_equal(author, &peer->id));
    peer->spreads++;
    assert_int_equal(peer->spreads, peer->persists); /* in this order */
    for (size_t to = 0; to < flock->count; to++)
        if (to != peer->index && flock->mail_count < MAIL_MAX)
            flock->mail[flock->mail_count++] = mail_of(to, &peer->id, batch);
}

static void on_usurped(void *context, const struct boot *boot)
{
    struct peer *peer = context;
    assert_true(boot_compare(boot, &peer->boot) >= 0);
    peer->usurped++;
}

/* ---- the flock ---- */

static enum error load_pair(void *context, struct slice key, struct slice value)
{
    struct peer *peer = context;
    assert_null(log_load(peer->log, key, value, &peer->flock->scratch));
    assert_int_equal(peer->flock->scratch.used, 0);
    return ERROR_NONE;
}

/* A new boot of the peer, from its disk. */
static void boot_peer(struct peer *peer)
{
    peer->boot = (struct boot){peer->boot.counter + 1, prng_next(&peer->flock->prng)};
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &peer->pair,
        .id = peer->id,
        .boot = peer->boot,
        .ports = {peer, on_entry, on_persist, on_spread, on_usurped},
    };
    peer->feeds_count = peer->entries = peer->persists = peer->spreads = 0;
    peer->fold = peer->token = 0;
    peer->log = log_open(&config, &peer->memory);
    assert_non_null(peer->log);
    struct slice prefix = slice_string("batch");
    assert_int_equal(storage_each(peer->disk, prefix, load_pair, peer), ERROR_NONE);
}

static void stop_peer(struct peer *peer)
{
    log_close(peer->log);
    assert_int_equal(peer->memory.used, 0);
}

static struct flock *flock_open(size_t count, uint64_t seed)
{
    struct flock *flock = calloc(1, sizeof *flock);
    assert_non_null(flock);
    flock->count = count;
    prng_init(&flock->prng, seed);
    arena_init(&flock->scratch, scratch_bytes, sizeof scratch_bytes);
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = &flock->peers[i];
        peer->flock = flock;
        peer->index = i;
        memory_init(&peer->memory, MEMORY_BUDGET);
        plain_pair(seed * PEERS_MAX + i, &peer->pair);
        peer->id = crypto_node_id(&crypto_plain, &peer->pair.public);
        assert_int_equal(storage_memory_open(&peer->disk), ERROR_NONE);
        boot_peer(peer);
    }
    return flock;
}

static void forget_mail(struct flock *flock)
{
    while (flock->mail_count > 0)
        free((void *)(uintptr_t)flock->mail[--flock->mail_count].packed.at);
}

static void flock_close(struct flock *flock)
{
    for (size_t i = 0; i < flock->count; i++) {
        stop_peer(&flock->peers[i]);
        storage_close(flock->peers[i].disk);
    }
    forget_mail(flock);
    free(flock);
}

static const char *take_packed(struct peer *peer, struct slice packed, const struct id *from)
{
    struct arena *scratch = &peer->flock->scratch;
    size_t mark = scratch->used;
    struct wire_message message;
    assert_null(wire_unpack(&packed, &message, scratch));
    size_t before = scratch->used;
    const char *reason = log_receive(peer->log, message.fields, from, scratch);
    assert_int_equal(scratch->used, before); /* economical */
    scratch->used = mark;
    return reason;
}

static void append(struct peer *peer, uint64_t value)
{
    struct msg_dead dead = {.node = peer->id, .boot = peer->boot, .sequence = value};
    struct msg_stamp stamp;
    uint64_t before = log_clock(peer->log);
    assert_int_equal(log_append(peer->log, &wire_dead, &dead, &stamp), ERROR_NONE);
    assert_int_equal(stamp.time, before + 1);
    assert_true(id_equal(&stamp.node, &peer->id) && boot_equal(&stamp.boot, &peer->boot));
}

static void commit(struct peer *peer)
{
    assert_int_equal(log_commit(peer->log, &peer->flock->scratch), ERROR_NONE);
    assert_int_equal(log_open_count(peer->log), 0);
    assert_int_equal(peer->flock->scratch.used, 0);
}

static void give_mail(void *context, const struct msg_log_batch *batch)
{
    struct peer *to = context;
    const struct id from = {{1}};
    struct mail mail = mail_of(to->index, &from, batch);
    const char *reason = take_packed(to, mail.packed, &from);
    assert_null(reason);
    free((void *)(uintptr_t)mail.packed.at);
}

/* `to` asks `from` with its whole vector. True when it got all. */
static bool repair(struct peer *to, const struct peer *from)
{
    static uint8_t bytes[FEEDS_MAX * 64] __attribute__((aligned(16)));
    struct arena arena;
    struct msg_log_vector vector;
    arena_init(&arena, bytes, sizeof bytes);
    assert_true(log_vector_fill(to->log, false, &vector, &arena));
    assert_true(vector.complete);
    return log_missing(from->log, &vector, give_mail, to);
}

static void repair_all(struct flock *flock)
{
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < flock->count; i++)
            for (size_t j = 0; j < flock->count; j++)
                while (i != j && !repair(&flock->peers[i], &flock->peers[j])) continue;
}

static void check_equal(const struct flock *flock)
{
    const struct peer *first = &flock->peers[0];
    for (size_t i = 1; i < flock->count; i++) {
        const struct peer *peer = &flock->peers[i];
        assert_true(log_digest(peer->log) == log_digest(first->log));
        assert_true(peer->fold == first->fold);
        assert_int_equal(peer->entries, first->entries);
    }
}

/* ---- weather ---- */

static struct peer *any_peer(struct flock *flock)
{
    return &flock->peers[prng_below(&flock->prng, flock->count)];
}

/* One letter out of the middle: lost, doubled or delivered. */
static void deliver_one(struct flock *flock)
{
    if (flock->mail_count == 0) return;
    size_t at = (size_t)prng_below(&flock->prng, flock->mail_count);
    struct mail mail = flock->mail[at];
    bool is_lost = prng_chance(&flock->prng, 200000);
    bool is_doubled = prng_chance(&flock->prng, 200000);
    if (!is_doubled) flock->mail[at] = flock->mail[--flock->mail_count];
    const char *reason = NULL;
    if (!is_lost) reason = take_packed(&flock->peers[mail.to], mail.packed, &mail.from);
    assert_true(reason == NULL || reason == log_gap);
    if (!is_doubled) free((void *)(uintptr_t)mail.packed.at);
}

static void sync_peer(struct peer *peer)
{
    assert_int_equal(storage_sync(peer->disk), ERROR_NONE);
    log_persisted(peer->log, peer->token);
    size_t cursor = 0;
    struct msg_feed_position position;
    while (log_feeds_next(peer->log, &cursor, &position)) {
        assert_int_equal(position.have, position.durable);
        assert_int_equal(log_have(peer->log, &position.node, &position.boot), position.have);
        assert_int_equal(log_durable(peer->log, &position.node, &position.boot), position.have);
    }
}

/* Power cut, then a new boot. What was durable is there again. */
static void restart_peer(struct peer *peer)
{
    uint64_t durable = log_durable(peer->log, &peer->id, &peer->boot);
    struct boot former = peer->boot;
    stop_peer(peer);
    storage_memory_crash(peer->disk, prng_next(&peer->flock->prng));
    boot_peer(peer);
    assert_true(log_have(peer->log, &peer->id, &former) >= durable);
}

static void weather(struct flock *flock, unsigned steps)
{
    for (unsigned step = 0; step < steps; step++) {
        struct peer *peer = any_peer(flock);
        uint64_t kind = prng_below(&flock->prng, 100);
        if (kind < 30) {
            for (uint64_t i = prng_below(&flock->prng, 4); i > 0; i--) append(peer, i);
            commit(peer);
        } else if (kind < 85) {
            deliver_one(flock);
        } else if (kind < 92) {
            sync_peer(peer);
        } else if (kind < 98) {
            struct peer *other = any_peer(flock);
            if (other != peer) (void)repair(peer, other);
        } else if (peer->boot.counter < FEEDS_MAX / PEERS_MAX - 1) {
            restart_peer(peer);
        }
    }
}

static void replicas_with_the_same_entries_are_equal_whatever_the_weather(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct flock *flock = flock_open(2 + seed % 3, seed);
        weather(flock, 300);
        repair_all(flock);
        check_equal(flock);
        for (size_t i = 0; i < flock->count; i++) assert_int_equal(flock->peers[i].usurped, 0);
        flock_close(flock);
    }
}

static void reload_gives_the_same_log(void **state)
{
    (void)state;
    struct flock *flock = flock_open(3, 7);
    weather(flock, 500);
    for (size_t i = 0; i < flock->count; i++) {
        struct peer *peer = &flock->peers[i];
        uint64_t digest = log_digest(peer->log), fold = peer->fold, clock = log_clock(peer->log);
        unsigned entries = peer->entries;
        stop_peer(peer);
        boot_peer(peer);
        assert_true(log_digest(peer->log) == digest);
        assert_true(peer->fold == fold);
        assert_true(log_clock(peer->log) <= clock); /* open entries' times were never said */
        assert_int_equal(peer->entries, entries);
        assert_int_equal(log_counters(peer->log)->entries, entries);
    }
    flock_close(flock);
}

static void an_empty_log_has_a_digest_and_no_feeds(void **state)
{
    (void)state;
    struct flock *flock = flock_open(2, 1);
    struct peer *peer = &flock->peers[0];
    struct boot boot;
    size_t cursor = 0;
    struct msg_feed_position position;
    assert_true(log_digest(peer->log) != 0);
    assert_true(log_digest(peer->log) == log_digest(flock->peers[1].log));
    assert_false(log_feeds_next(peer->log, &cursor, &position));
    assert_false(log_newest_boot(peer->log, &peer->id, &boot));
    commit(peer); /* nothing appended, nothing done */
    assert_int_equal(peer->persists, 0);
    assert_true(repair(peer, &flock->peers[1]));
    flock_close(flock);
}

struct order {
    struct arena *scratch;
    uint64_t time;
    unsigned batches;
};

static void check_order(void *context, const struct msg_log_batch *batch)
{
    struct order *order = context;
    struct msg_batch_body body;
    arena_reset(order->scratch);
    assert_null(wire_decode_all(&wire_batch_body, &body, batch->body, order->scratch));
    const struct msg_entry *first = body.entries.at;
    assert_true(first->time >= order->time); /* equal: written apart */
    order->time = first->time;
    order->batches++;
}

static void what_is_missing_is_given_oldest_first(void **state)
{
    (void)state;
    struct flock *flock = flock_open(4, 2);
    weather(flock, 400);
    repair_all(flock);
    struct peer *peer = &flock->peers[0];
    const struct log_counters *counters = log_counters(peer->log);
    struct order order = {.scratch = &flock->scratch};
    struct msg_log_vector nothing = {.complete = true}, no_news = {.complete = false};
    assert_true(log_missing(peer->log, &no_news, check_order, &order));
    assert_int_equal(order.batches, 0);
    assert_true(log_missing(peer->log, &nothing, check_order, &order));
    assert_true(order.batches > 50);
    assert_int_equal(order.batches, counters->batches);
    arena_reset(&flock->scratch);
    flock_close(flock);
}

static void own_former_feed_comes_back_from_peers(void **state)
{
    (void)state;
    struct flock *flock = flock_open(2, 3);
    struct peer *peer = &flock->peers[0];
    append(peer, 1);
    commit(peer);
    while (flock->mail_count > 0) deliver_one(flock);
    (void)repair(&flock->peers[1], peer);
    struct boot former = peer->boot;
    stop_peer(peer);
    storage_memory_crash(peer->disk, 0);
    boot_peer(peer);
    assert_int_equal(log_have(peer->log, &peer->id, &former), 0);
    append(peer, 2);
    commit(peer);
    repair_all(flock);
    assert_int_equal(log_have(peer->log, &peer->id, &former), 1);
    assert_int_equal(peer->usurped, 0);
    struct boot newest;
    assert_true(log_newest_boot(flock->peers[1].log, &peer->id, &newest));
    assert_true(boot_equal(&newest, &peer->boot));
    check_equal(flock);
    flock_close(flock);
}

static void what_is_too_large_for_one_batch_becomes_several(void **state)
{
    (void)state;
    static uint8_t text[8192];
    struct flock *flock = flock_open(2, 4);
    struct peer *peer = &flock->peers[0];
    struct msg_ended ended = {.text = slice_of(text, sizeof text)};
    struct msg_stamp stamp;
    for (unsigned i = 1; i <= 300; i++) {
        assert_int_equal(log_append(peer->log, &wire_ended, &ended, &stamp), ERROR_NONE);
        assert_int_equal(stamp.sequence, i);
    }
    for (unsigned i = 0; i < 5000; i++) append(peer, i);
    assert_int_equal(log_open_count(peer->log), 5300);
    commit(peer);
    assert_int_equal(peer->entries, 5300);
    assert_true(peer->persists > 300 * 8192 / LOG_BATCH_SIZE_MAX);
    assert_false(repair(&flock->peers[1], peer)); /* more than one reply */
    assert_true(flock->peers[1].entries > 0);
    repair_all(flock);
    check_equal(flock);
    flock_close(flock);
}

static void an_entry_over_its_cap_is_refused(void **state)
{
    (void)state;
    static uint8_t text[4096];
    static struct msg_text environment[64];
    struct flock *flock = flock_open(1, 5);
    for (size_t i = 0; i < 64; i++) environment[i].text = slice_of(text, sizeof text);
    struct msg_job job = {.spec = {.environment = {environment, 64}}};
    struct msg_stamp stamp;
    assert_int_equal(log_append(flock->peers[0].log, &wire_job, &job, &stamp), ERROR_INVALID);
    assert_int_equal(log_open_count(flock->peers[0].log), 0);
    flock_close(flock);
}

static void durability_is_told_once(void **state)
{
    (void)state;
    static uint8_t bytes[4096] __attribute__((aligned(16)));
    struct flock *flock = flock_open(1, 6);
    struct peer *peer = &flock->peers[0];
    struct arena arena;
    struct msg_log_vector vector;
    arena_init(&arena, bytes, sizeof bytes);
    append(peer, 1);
    commit(peer);
    append(peer, 2);
    commit(peer);
    assert_true(log_vector_fill(peer->log, true, &vector, &arena));
    assert_int_equal(vector.feeds.count, 0);
    assert_int_equal(log_durable(peer->log, &peer->id, &peer->boot), 0);
    log_persisted(peer->log, 1);
    assert_int_equal(log_durable(peer->log, &peer->id, &peer->boot), 1);
    assert_true(log_vector_fill(peer->log, true, &vector, &arena));
    assert_false(vector.complete);
    assert_int_equal(vector.feeds.count, 1);
    const struct msg_feed_position *position = vector.feeds.at;
    assert_int_equal(position->have, 2);
    assert_int_equal(position->durable, 1);
    assert_true(log_vector_fill(peer->log, true, &vector, &arena));
    assert_int_equal(vector.feeds.count, 0);
    log_persisted(peer->log, 2);
    struct arena none = {0};
    assert_false(log_vector_fill(peer->log, true, &vector, &none));
    assert_true(log_vector_fill(peer->log, true, &vector, &arena)); /* not told yet */
    assert_int_equal(vector.feeds.count, 1);
    flock_close(flock);
}

/* In any order: vectors of honest nodes are in that of the feeds, a liar's need not be. */
static void a_vector_is_compared_in_any_order(void **state)
{
    (void)state;
    static uint8_t bytes[FEEDS_MAX * 64] __attribute__((aligned(16)));
    struct flock *flock = flock_open(3, 8);
    const struct peer *peer = &flock->peers[0];
    struct arena arena;
    struct msg_log_vector vector;
    arena_init(&arena, bytes, sizeof bytes);
    for (size_t i = 0; i < 3; i++) {
        append(&flock->peers[i], i);
        commit(&flock->peers[i]);
    }
    repair_all(flock);
    assert_true(log_vector_fill(peer->log, false, &vector, &arena));
    struct msg_feed_position *said = vector.feeds.at, first = said[0];
    assert_int_equal(vector.feeds.count, 3);
    assert_true(log_is_same(peer->log, &vector));
    assert_false(log_is_behind(peer->log, &vector));
    said[1].have++; /* more than we hold */
    assert_false(log_is_same(peer->log, &vector));
    assert_true(log_is_behind(peer->log, &vector));
    said[1].have--;
    log_persisted(peer->log, UINT64_MAX);
    assert_true(log_has_durable(peer->log, said, 3));
    said[0] = said[2];
    said[2] = first;
    assert_false(log_is_same(peer->log, &vector));
    assert_false(log_is_behind(peer->log, &vector));
    assert_true(log_has_durable(peer->log, said, 3));
    said[2].have++;
    assert_true(log_is_behind(peer->log, &vector));
    assert_false(log_has_durable(peer->log, said, 3));
    flock_close(flock);
}

/* ---- out of memory ---- */

/* Tries until there is memory; what failed must have changed nothing. */
static void append_stubbornly(struct peer *peer, uint64_t value)
{
    struct msg_dead dead = {.sequence = value};
    struct msg_stamp stamp;
    size_t count = log_open_count(peer->log);
    while (log_append(peer->log, &wire_dead, &dead, &stamp) != ERROR_NONE)
        assert_int_equal(log_open_count(peer->log), count);
}

static void commit_stubbornly(struct peer *peer)
{
    uint64_t digest = log_digest(peer->log);
    unsigned entries = peer->entries;
    while (log_commit(peer->log, &peer->flock->scratch) != ERROR_NONE) {
        assert_true(log_digest(peer->log) == digest);
        assert_int_equal(peer->entries, entries);
        assert_int_equal(peer->flock->scratch.used, 0);
    }
}

static void receive_stubbornly(struct peer *peer, const struct mail *mail)
{
    uint64_t digest = log_digest(peer->log), clock = log_clock(peer->log);
    unsigned entries = peer->entries;
    const char *reason;
    while ((reason = take_packed(peer, mail->packed, &mail->from)) != NULL) {
        assert_ptr_equal(reason, log_memory);
        assert_true(log_digest(peer->log) == digest && log_clock(peer->log) == clock);
        assert_int_equal(peer->entries, entries);
    }
}

/* Two peers talk; the n-th allocation of each fails. True when it came to that. */
static bool scenario_with_failure(uint64_t n)
{
    struct flock *flock = flock_open(2, 20);
    for (size_t i = 0; i < 2; i++) flock->peers[i].memory.fail_after = n;
    for (unsigned i = 0; i < 20; i++) {
        struct peer *peer = &flock->peers[i % 2];
        for (unsigned entry = 0; entry <= i; entry++) append_stubbornly(peer, entry);
        commit_stubbornly(peer);
        assert_int_equal(flock->mail_count, 1);
        receive_stubbornly(&flock->peers[1 - i % 2], &flock->mail[0]);
        forget_mail(flock);
    }
    check_equal(flock);
    assert_int_equal(flock->peers[0].entries, 210);
    bool has_failed = flock->peers[0].memory.fail_after == 0;
    flock_close(flock);
    return has_failed;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (scenario_with_failure(n)) n++;
    assert_true(n > 20); /* it did fail in many places */
}

static void without_memory_it_does_not_open(void **state)
{
    (void)state;
    struct flock *flock = flock_open(1, 21);
    struct peer *peer = &flock->peers[0];
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &peer->pair,
        .id = peer->id,
        .boot = peer->boot,
        .ports = {peer, on_entry, on_persist, on_spread, on_usurped},
    };
    struct memory none;
    memory_init(&none, 8);
    assert_null(log_open(&config, &none));
    assert_int_equal(none.used, 0);
    flock_close(flock);
}

static void without_scratch_nothing_is_half_done(void **state)
{
    (void)state;
    struct flock *flock = flock_open(2, 22);
    struct peer *peer = &flock->peers[0];
    enum error error = ERROR_MEMORY;
    append(peer, 1);
    for (size_t size = 0; error != ERROR_NONE; size += 16) {
        flock->scratch.size = size;
        error = log_commit(peer->log, &flock->scratch);
        assert_int_equal(log_open_count(peer->log), error == ERROR_NONE ? 0 : 1);
        assert_int_equal(flock->scratch.used, 0);
    }
    flock->scratch.size = SCRATCH_SIZE;
    assert_int_equal(peer->entries, 1);
    repair_all(flock);
    check_equal(flock);
    flock_close(flock);
}

static enum error load_damaged(void *context, struct slice key, struct slice value)
{
    struct peer *peer = context;
    struct arena *scratch = &peer->flock->scratch;
    struct slice cut = slice_of(value.at, value.count - 1), other = slice_of(key.at, key.count - 1);
    assert_non_null(log_load(peer->log, key, cut, scratch));
    assert_non_null(log_load(peer->log, other, value, scratch));
    assert_int_equal(peer->entries, 0);
    return ERROR_NONE;
}

static void damage_on_the_disk_is_named(void **state)
{
    (void)state;
    struct flock *flock = flock_open(1, 23);
    struct peer *peer = &flock->peers[0];
    append(peer, 1);
    commit(peer);
    stop_peer(peer);
    struct storage *disk = peer->disk;
    assert_int_equal(storage_memory_open(&peer->disk), ERROR_NONE);
    boot_peer(peer);
    struct slice all = slice_of(NULL, 0);
    assert_int_equal(storage_each(disk, all, load_damaged, peer), ERROR_NONE);
    assert_int_equal(storage_each(disk, all, load_pair, peer), ERROR_NONE);
    assert_int_equal(peer->entries, 1);
    storage_close(disk);
    flock_close(flock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_with_the_same_entries_are_equal_whatever_the_weather),
        cmocka_unit_test(reload_gives_the_same_log),
        cmocka_unit_test(an_empty_log_has_a_digest_and_no_feeds),
        cmocka_unit_test(what_is_missing_is_given_oldest_first),
        cmocka_unit_test(own_former_feed_comes_back_from_peers),
        cmocka_unit_test(what_is_too_large_for_one_batch_becomes_several),
        cmocka_unit_test(an_entry_over_its_cap_is_refused),
        cmocka_unit_test(durability_is_told_once),
        cmocka_unit_test(a_vector_is_compared_in_any_order),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(without_memory_it_does_not_open),
        cmocka_unit_test(without_scratch_nothing_is_half_done),
        cmocka_unit_test(damage_on_the_disk_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
