/* What a hostile or broken author sends changes nothing but a counter (S3, S7), whoever passes
 * it on: bytes that are no batch, batches under another's name, gaps, forks, times far ahead
 * (N9), and a second owner of our own key (N6). */
#include "store/batch.h"
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
    SCRATCH_SIZE = 1 << 20,
    MEMORY_BUDGET = 16 << 20,
    OWN_NUMBER = 1, /* of the receiver's key */
};

/* Who receives. */
struct peer {
    struct memory memory;
    struct arena scratch;
    struct crypto_pair pair;
    struct id id;
    struct boot boot;
    struct log *log;
    unsigned entries, persists, spreads, usurped, unknown;
    uint64_t last_time;
};

static void on_entry(void *context, const struct stamped *entry)
{
    struct peer *peer = context;
    peer->entries++;
    peer->unknown += entry->fields == NULL;
    peer->last_time = entry->stamp.time;
}

static void on_persist(void *context, uint64_t token, const struct storage_put *puts, size_t count)
{
    struct peer *peer = context;
    assert_int_equal(count, 1);
    assert_non_null(puts->value.at);
    assert_int_equal(token, ++peer->persists);
}

static void on_spread(void *context, const struct msg_log_batch *batch, const struct id *author,
                      const struct id *from)
{
    struct peer *peer = context;
    (void)author;
    (void)from;
    assert_int_equal(batch->signature.count, CRYPTO_SIGNATURE_SIZE);
    peer->spreads++;
}

static void on_usurped(void *context, const struct boot *boot)
{
    struct peer *peer = context;
    assert_true(boot_compare(boot, &peer->boot) >= 0);
    peer->usurped++;
}

static struct peer *peer_open(void)
{
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    memory_init(&peer->memory, MEMORY_BUDGET);
    arena_init(&peer->scratch, malloc(SCRATCH_SIZE), SCRATCH_SIZE);
    plain_pair(OWN_NUMBER, &peer->pair);
    peer->id = crypto_node_id(&crypto_plain, &peer->pair.public);
    peer->boot = (struct boot){5, 7};
    struct log_config config = {
        .crypto = &crypto_plain,
        .pair = &peer->pair,
        .id = peer->id,
        .boot = peer->boot,
        .ports = {peer, on_entry, on_persist, on_spread, on_usurped},
    };
    peer->log = log_open(&config, &peer->memory);
    assert_non_null(peer->log);
    return peer;
}

static void peer_close(struct peer *peer)
{
    log_close(peer->log);
    assert_int_equal(peer->memory.used, 0);
    free(peer->scratch.base);
    free(peer);
}

static void append_and_commit(struct peer *peer)
{
    struct msg_left left = {.cause = 1};
    struct msg_stamp stamp;
    assert_int_equal(log_append(peer->log, &wire_left, &left, &stamp), ERROR_NONE);
    assert_int_equal(log_commit(peer->log, &peer->scratch), ERROR_NONE);
}

enum {
    FORGED_SIZE = 300 * 1024,
    FORGED_ENTRIES = 4
};

/* A batch made by hand. Right as it is; the tests break it. */
struct forge {
    struct crypto_pair pair;
    struct msg_batch_body body;
    struct msg_entry entries[FORGED_ENTRIES];
    struct digest digest;
    uint8_t signature[CRYPTO_SIGNATURE_SIZE];
    uint8_t bytes[FORGED_SIZE];
    struct msg_log_batch batch; /* by forge_sign */
};

static struct forge *forge_open(uint64_t number)
{
    static const uint8_t left[1] = {1};
    struct forge *forge = calloc(1, sizeof *forge);
    assert_non_null(forge);
    plain_pair(number, &forge->pair);
    for (size_t i = 0; i < FORGED_ENTRIES; i++)
        forge->entries[i] = (struct msg_entry){10 + i, MSG_left, slice_of(left, sizeof left)};
    forge->body = (struct msg_batch_body){
        .node = crypto_node_id(&crypto_plain, &forge->pair.public),
        .boot = {1, 1},
        .key = forge->pair.public,
        .first = 1,
        .entries = {forge->entries, 2},
    };
    return forge;
}

static const struct msg_log_batch *forge_sign(struct forge *forge)
{
    struct writer writer = writer_of(forge->bytes, FORGED_SIZE);
    assert_true(wire_encode(&wire_batch_body, &forge->body, &writer));
    forge->batch.body = slice_of(forge->bytes, writer.written);
    crypto_plain.digest(forge->batch.body, &forge->digest);
    batch_sign(&crypto_plain, &forge->pair, &forge->digest, forge->signature);
    forge->batch.signature = slice_of(forge->signature, sizeof forge->signature);
    return &forge->batch;
}

/* The batch behind the one just signed. */
static void forge_next(struct forge *forge)
{
    uint32_t count = forge->body.entries.count;
    forge->body.first += count;
    forge->body.previous = forge->digest;
    for (size_t i = 0; i < FORGED_ENTRIES; i++) forge->entries[i].time += count;
}

static const char *receive(struct peer *peer, const struct msg_log_batch *batch)
{
    static const struct id from = {{7}};
    const char *reason = log_receive(peer->log, batch, &from, &peer->scratch);
    assert_int_equal(peer->scratch.used, 0);
    return reason;
}

/* Refused as an offence; nothing but the counter changes. */
static void check_refused(struct peer *peer, const struct msg_log_batch *batch)
{
    uint64_t digest = log_digest(peer->log), clock = log_clock(peer->log);
    uint64_t refused = log_counters(peer->log)->refused;
    unsigned entries = peer->entries;
    size_t used = peer->memory.used;
    const char *reason = receive(peer, batch);
    assert_non_null(reason);
    assert_true(log_is_offence(reason));
    assert_int_equal(log_counters(peer->log)->refused, refused + 1);
    assert_true(log_digest(peer->log) == digest && log_clock(peer->log) == clock);
    assert_int_equal(peer->entries, entries);
    assert_int_equal(peer->memory.used, used);
}

static struct forge *fresh(struct forge *forge)
{
    free(forge);
    return forge_open(99);
}

static void malformed_batches_are_refused(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *forge = forge_open(99);
    struct msg_log_batch cut = *forge_sign(forge);
    for (size_t count = 0; count < forge->batch.body.count; count++) {
        cut.body.count = count;
        check_refused(peer, &cut);
    }
    cut.body = slice_of(forge->bytes, BATCH_BODY_SIZE_MAX + 1);
    check_refused(peer, &cut);
    cut = *forge_sign(forge);
    cut.signature.count--;
    check_refused(peer, &cut);
    forge->body.entries.count = 0;
    check_refused(peer, forge_sign(forge));
    forge = fresh(forge);
    forge->body.first = 0;
    check_refused(peer, forge_sign(forge));
    forge->body.first = UINT64_MAX;
    forge->body.previous.bytes[0] = 1;
    check_refused(peer, forge_sign(forge));
    forge->body.first = 1; /* a chain with nothing before it */
    check_refused(peer, forge_sign(forge));
    forge = fresh(forge);
    forge->body.first = 2;
    check_refused(peer, forge_sign(forge));
    forge = fresh(forge);
    assert_null(receive(peer, forge_sign(forge))); /* and as it was, it is taken */
    free(forge);
    peer_close(peer);
}

static void malformed_entries_are_refused(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *forge = forge_open(99);
    forge->entries[0].time = 0;
    check_refused(peer, forge_sign(forge));
    forge->entries[0].time = forge->entries[1].time;
    check_refused(peer, forge_sign(forge));
    forge = fresh(forge);
    forge->entries[1].kind = 95;
    check_refused(peer, forge_sign(forge));
    forge->entries[1].kind = 128;
    check_refused(peer, forge_sign(forge));
    forge->entries[1].kind = MSG_job;
    check_refused(peer, forge_sign(forge));
    forge = fresh(forge);
    forge->entries[1].body.count = 0;
    check_refused(peer, forge_sign(forge));
    forge->entries[1].body = slice_string("longer than left is");
    check_refused(peer, forge_sign(forge));
    free(forge);
    peer_close(peer);
}

static void nobody_writes_under_another_name(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *forge = forge_open(99), *victim = forge_open(98);
    forge->body.node = victim->body.node; /* its name, my key */
    check_refused(peer, forge_sign(forge));
    forge->body.key = victim->pair.public; /* its name and key, my signature */
    check_refused(peer, forge_sign(forge));
    forge->body.node = peer->id; /* the receiver's own */
    forge->body.key = peer->pair.public;
    forge->body.boot = (struct boot){peer->boot.counter + 1, 0};
    check_refused(peer, forge_sign(forge));
    assert_int_equal(peer->usurped, 0);
    forge = fresh(forge);
    (void)forge_sign(forge);
    for (size_t i = 0; i < sizeof forge->signature; i++) {
        forge->signature[i] ^= 1;
        check_refused(peer, &forge->batch);
        forge->signature[i] ^= 1;
    }
    for (size_t i = 0; i < forge->batch.body.count; i++) {
        forge->bytes[i] ^= 0x10;
        const char *reason = receive(peer, &forge->batch); /* a flipped sequence looks like a gap */
        assert_true(reason != NULL && (reason == log_gap || log_is_offence(reason)));
        forge->bytes[i] ^= 0x10;
    }
    assert_int_equal(peer->entries, 0);
    free(forge);
    free(victim);
    peer_close(peer);
}

static void gaps_and_duplicates_are_nobodys_fault(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *first = forge_open(99), *second = forge_open(99);
    (void)forge_sign(first);
    (void)forge_sign(second);
    forge_next(second);
    assert_ptr_equal(receive(peer, forge_sign(second)), log_gap);
    assert_false(log_is_offence(log_gap));
    assert_null(receive(peer, &first->batch));
    assert_null(receive(peer, &first->batch));
    assert_null(receive(peer, &second->batch));
    assert_null(receive(peer, &first->batch));
    assert_int_equal(peer->entries, 4);
    const struct log_counters *counters = log_counters(peer->log);
    assert_int_equal(counters->gaps, 1);
    assert_int_equal(counters->duplicates, 2);
    assert_int_equal(counters->refused, 0);
    struct digest chain;
    assert_true(log_chain(peer->log, &first->body.node, &first->body.boot, 2, &chain));
    assert_true(digest_equal(&chain, &first->digest));
    assert_true(log_chain(peer->log, &first->body.node, &first->body.boot, 3, &chain));
    assert_true(digest_equal(&chain, &second->digest));
    assert_false(log_chain(peer->log, &first->body.node, &first->body.boot, 5, &chain));
    second->body.previous = second->digest;
    second->body.first = 5; /* times go back */
    check_refused(peer, forge_sign(second));
    free(first);
    free(second);
    peer_close(peer);
}

/* Two histories: at a sequence held, with other bounds, or in what the next batch says of the
 * past. */
static void a_fork_freezes_its_feed(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        struct peer *peer = peer_open();
        struct forge *true_one = forge_open(99), *other = forge_open(99);
        assert_null(receive(peer, forge_sign(true_one)));
        if (kind == 0) other->entries[1].time += 5;
        if (kind == 1) other->body.entries.count = 3;
        (void)forge_sign(other);
        if (kind == 2) {
            other->digest.bytes[0] ^= 1;
            forge_next(other);
            (void)forge_sign(other);
        }
        other->signature[0] ^= 1;
        check_refused(peer, &other->batch); /* not proven */
        other->signature[0] ^= 1;
        assert_ptr_equal(receive(peer, &other->batch), log_fork);
        assert_int_equal(log_counters(peer->log)->forks, 1);
        forge_next(true_one);
        assert_ptr_equal(receive(peer, forge_sign(true_one)), log_quarantined);
        assert_int_equal(peer->entries, 2);
        struct msg_feed_position position = {true_one->body.node, true_one->body.boot, 9, 9};
        struct msg_log_vector vector = {.feeds = {&position, 1}};
        assert_false(log_is_behind(peer->log, &vector));
        free(true_one);
        free(other);
        peer_close(peer);
    }
}

static void the_clock_is_not_pushed_beyond_the_horizon(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *far = forge_open(99), *near = forge_open(98);
    far->entries[1].time = UINT64_C(1) << 40;
    assert_ptr_equal(receive(peer, forge_sign(far)), log_horizon);
    assert_false(log_is_offence(log_horizon));
    assert_int_equal(log_clock(peer->log), 0);
    far->entries[1].time = LOG_HORIZON + 1;
    assert_ptr_equal(receive(peer, forge_sign(far)), log_horizon);
    assert_null(receive(peer, forge_sign(near)));
    assert_int_equal(log_clock(peer->log), 11);
    assert_null(receive(peer, forge_sign(far))); /* set aside, not condemned */
    assert_int_equal(log_clock(peer->log), LOG_HORIZON + 1);
    assert_int_equal(log_counters(peer->log)->horizon, 2);
    append_and_commit(peer);
    assert_int_equal(peer->last_time, LOG_HORIZON + 2);
    free(far);
    free(near);
    peer_close(peer);
}

static void unknown_kinds_are_kept_and_passed_on(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    struct forge *forge = forge_open(99);
    forge->entries[1].kind = 127;
    forge->entries[1].body = slice_string("from a version to come");
    assert_null(receive(peer, forge_sign(forge)));
    assert_int_equal(peer->entries, 2);
    assert_int_equal(peer->unknown, 1);
    assert_int_equal(peer->persists, 1);
    assert_int_equal(peer->spreads, 1);
    free(forge);
    peer_close(peer);
}

static void our_own_key_in_other_hands_is_noticed(void **state)
{
    (void)state;
    struct peer *peer = peer_open();
    append_and_commit(peer);
    struct forge *twin = forge_open(OWN_NUMBER);
    assert_true(id_equal(&twin->body.node, &peer->id));
    twin->body.boot = peer->boot;
    assert_ptr_equal(receive(peer, forge_sign(twin)), log_usurped);
    forge_next(twin); /* not ours to have a gap */
    forge_next(twin);
    assert_ptr_equal(receive(peer, forge_sign(twin)), log_usurped);
    free(twin);
    twin = forge_open(OWN_NUMBER);
    twin->body.boot = (struct boot){peer->boot.counter + 1, 0};
    assert_ptr_equal(receive(peer, forge_sign(twin)), log_usurped);
    assert_int_equal(peer->usurped, 3);
    assert_int_equal(peer->entries, 1);
    twin->body.boot = (struct boot){peer->boot.counter - 1, 5};
    assert_null(receive(peer, forge_sign(twin)));
    assert_int_equal(peer->usurped, 3);
    assert_int_equal(peer->entries, 3);
    free(twin);
    peer_close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_batches_are_refused),
        cmocka_unit_test(malformed_entries_are_refused),
        cmocka_unit_test(nobody_writes_under_another_name),
        cmocka_unit_test(gaps_and_duplicates_are_nobodys_fault),
        cmocka_unit_test(a_fork_freezes_its_feed),
        cmocka_unit_test(the_clock_is_not_pushed_beyond_the_horizon),
        cmocka_unit_test(unknown_kinds_are_kept_and_passed_on),
        cmocka_unit_test(our_own_key_in_other_hands_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
