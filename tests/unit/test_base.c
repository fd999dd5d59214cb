/* The ground: tables, memory, chance, names of things. Each against a model simple enough to be
 * seen right. */
#include "base/address.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/plural.h"
#include "base/prng.h"
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

struct object {
    int before;
    uint32_t key;
    bool is_in;
};

enum {
    OBJECTS = 300
};

/* The map against the is_in marks of the objects. */
static void assert_map_is_model(const struct map *map, struct object *objects)
{
    size_t count = 0, walked = 0, cursor = 0;
    for (int i = 0; i < OBJECTS; i++) {
        struct object *wanted = objects[i].is_in ? &objects[i] : NULL;
        assert_ptr_equal(map_get(map, &objects[i].key), wanted);
        count += objects[i].is_in;
    }
    assert_int_equal(map->count, count);
    for (struct object *object; (object = map_next(map, &cursor)) != NULL; walked++)
        assert_true(object->is_in);
    assert_int_equal(walked, count);
}

static void map_agrees_with_a_model_under_random_adds_and_removes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct memory memory;
        struct map map;
        struct prng prng;
        static struct object objects[OBJECTS];
        memory_init(&memory, 1 << 20);
        prng_init(&prng, seed);
        map_init(&map, &memory, offsetof(struct object, key), sizeof(uint32_t));
        for (uint32_t i = 0; i < OBJECTS; i++) objects[i] = (struct object){.key = i * 7919};
        assert_map_is_model(&map, objects);
        for (int step = 0; step < 3000; step++) {
            struct object *object = &objects[prng_below(&prng, OBJECTS)];
            if (object->is_in) assert_ptr_equal(map_remove(&map, &object->key), object);
            else assert_int_equal(map_add(&map, object), ERROR_NONE);
            object->is_in = !object->is_in;
            if (!object->is_in) assert_null(map_remove(&map, &object->key));
            if (step % 50 == 0) assert_map_is_model(&map, objects);
        }
        map_deinit(&map);
        assert_int_equal(memory.used, 0);
    }
}

static void map_is_unchanged_when_memory_ends(void **state)
{
    (void)state;
    struct memory memory;
    struct map map;
    struct object objects[64];
    memory_init(&memory, 1 << 20);
    map_init(&map, &memory, offsetof(struct object, key), sizeof(uint32_t));
    int failures = 0;
    for (uint32_t i = 0; i < 64; i++) {
        objects[i] = (struct object){.key = i};
        memory.fail_after = 1;
        enum error error = map_add(&map, &objects[i]);
        if (error != ERROR_NONE) {
            failures++;
            assert_int_equal(error, ERROR_MEMORY);
            assert_null(map_get(&map, &objects[i].key));
            assert_int_equal(map_add(&map, &objects[i]), ERROR_NONE);
        }
        for (uint32_t j = 0; j <= i; j++) assert_ptr_equal(map_get(&map, &j), &objects[j]);
    }
    assert_int_equal(failures, 4); /* 16, 32, 64, 128 slots */
    map_deinit(&map);
}

static void map_order_depends_on_history_alone(void **state)
{
    (void)state;
    struct memory memory;
    struct map maps[2];
    static struct object objects[2][OBJECTS];
    memory_init(&memory, 1 << 20);
    for (int m = 0; m < 2; m++) {
        map_init(&maps[m], &memory, offsetof(struct object, key), sizeof(uint32_t));
        for (uint32_t i = 0; i < OBJECTS; i++) {
            objects[m][i] = (struct object){.key = i};
            assert_int_equal(map_add(&maps[m], &objects[m][i]), ERROR_NONE);
        }
    }
    size_t a = 0, b = 0;
    for (int i = 0; i < OBJECTS; i++) {
        struct object *first = map_next(&maps[0], &a), *second = map_next(&maps[1], &b);
        assert_int_equal(first->key, second->key);
    }
    map_deinit(&maps[0]);
    map_deinit(&maps[1]);
}

/* Of 16 bytes XXH3 folds two words, each mixed with a constant: when either is that constant, the
 * product is nought, and what is left is a sum. */
static void two_ids_of_one_hash_stay_two(void **state)
{
    (void)state;
    struct memory memory;
    struct map map;
    const uint64_t low = 0x6782737bea4239b9, high = 0xaf56bc3b0996523a;
    struct {
        uint64_t words[2];
    } a = {{low, high ^ 0x3930}}, b = {{low ^ 0x3039000000000000, high}};
    assert_int_equal(hash64_id(&a), hash64_id(&b)); /* or this test shows nothing */
    memory_init(&memory, 1 << 20);
    map_init(&map, &memory, 0, sizeof a);
    assert_int_equal(map_add(&map, &a), ERROR_NONE);
    assert_null(map_get(&map, &b));
    assert_int_equal(map_add(&map, &b), ERROR_NONE);
    assert_ptr_equal(map_get(&map, &a), &a);
    assert_ptr_equal(map_get(&map, &b), &b);
    assert_ptr_equal(map_remove(&map, &a), &a);
    assert_ptr_equal(map_get(&map, &b), &b);
    assert_null(map_remove(&map, &a));
    map_deinit(&map);
}

static void keys_of_every_size_are_told_apart_by_every_byte(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        struct memory memory;
        struct map map;
        uint8_t key[40] = {0}, other[40] = {0};
        memory_init(&memory, 1 << 20);
        map_init(&map, &memory, 0, size);
        assert_int_equal(map_add(&map, key), ERROR_NONE);
        assert_ptr_equal(map_get(&map, other), key);
        for (size_t at = 0; at < size; at++) {
            other[at] = 1;
            assert_null(map_get(&map, other));
            other[at] = 0;
        }
        map_deinit(&map);
    }
}

static void arena_pieces_are_aligned_apart_and_within(void **state)
{
    (void)state;
    static _Alignas(16) uint8_t bytes[1000];
    struct arena arena;
    struct prng prng;
    prng_init(&prng, 4);
    arena_init(&arena, bytes, sizeof bytes);
    uint8_t *end = bytes;
    for (;;) {
        size_t size = (size_t)prng_below(&prng, 100);
        uint8_t *piece = arena_take(&arena, size);
        if (piece == NULL) break;
        assert_int_equal((piece - bytes) % 16, 0);
        assert_true(piece >= end);
        end = piece + size;
        assert_true(end <= bytes + sizeof bytes);
    }
    arena_reset(&arena);
    assert_ptr_equal(arena_take(&arena, sizeof bytes), bytes);
    assert_null(arena_take(&arena, 1));
    assert_null(arena_take(&arena, SIZE_MAX));
}

static void memory_fails_at_the_countdown_and_only_then(void **state)
{
    (void)state;
    struct memory memory;
    memory_init(&memory, 1000);
    memory.fail_after = 3;
    void *pieces[4];
    for (int i = 0; i < 4; i++) {
        pieces[i] = memory_take(&memory, 10);
        assert_int_equal(pieces[i] == NULL, i == 2);
    }
    assert_int_equal(memory.used, 30);
    for (int i = 0; i < 4; i++)
        if (pieces[i] != NULL) memory_put(&memory, pieces[i], 10);
    assert_int_equal(memory.used, 0);
}

static void memory_keeps_its_budget_and_clears_what_it_gives(void **state)
{
    (void)state;
    struct memory memory;
    memory_init(&memory, 100);
    assert_null(memory_take(&memory, 101));
    uint8_t *piece = memory_take(&memory, 50);
    memset(piece, 1, 50);
    assert_null(memory_resize(&memory, piece, 50, 101));
    piece = memory_resize(&memory, piece, 50, 100);
    assert_non_null(piece);
    for (int i = 0; i < 100; i++) assert_int_equal(piece[i], i < 50);
    assert_null(memory_take(&memory, 1));
    piece = memory_resize(&memory, piece, 100, 20);
    assert_int_equal(memory.used, 20);
    assert_null(memory_resize(&memory, piece, 20, 0));
    assert_int_equal(memory.used, 0);
}

static void memory_grow_keeps_the_items(void **state)
{
    (void)state;
    struct memory memory;
    memory_init(&memory, 4000);
    uint32_t *items = NULL;
    size_t capacity = 0, count = 0;
    for (;;) {
        uint32_t *moved = memory_grow(&memory, items, &capacity, count, sizeof *items);
        if (moved == NULL) break;
        items = moved;
        items[count] = (uint32_t)count;
        count++;
    }
    assert_int_equal(count, 512);
    assert_int_equal(capacity, 512);
    for (size_t i = 0; i < count; i++) assert_int_equal(items[i], i);
    memory_put(&memory, items, capacity * sizeof *items);
}

static void prng_repeats_from_its_seed(void **state)
{
    (void)state;
    struct prng a, b, c;
    prng_init(&a, 42);
    prng_init(&b, 42);
    prng_init(&c, 43);
    for (int i = 0; i < 100; i++) {
        uint64_t value = prng_next(&a);
        assert_true(value == prng_next(&b));
        assert_true(value != prng_next(&c));
    }
}

static void prng_below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    static const uint64_t bounds[] = {1, 2, 3, 10, 64};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        unsigned seen[64] = {0};
        for (int i = 0; i < 10000; i++) {
            uint64_t value = prng_below(&prng, bounds[b]);
            assert_true(value < bounds[b]);
            seen[value]++;
        }
        for (uint64_t i = 0; i < bounds[b]; i++) {
            double wanted = 10000.0 / (double)bounds[b];
            assert_true(seen[i] > 0.6 * wanted && seen[i] < 1.4 * wanted + 1);
        }
    }
    for (int i = 0; i < 100; i++) assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    for (int i = 0; i < 100; i++) assert_false(prng_chance(&prng, 0));
    for (int i = 0; i < 100; i++) assert_true(prng_chance(&prng, 1000000));
}

static void prng_fill_fills_just_the_bytes_asked_for(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t count = 0; count < 40; count++) {
        uint8_t bytes[48] = {0};
        bytes[count] = 0xaa;
        prng_fill(&prng, bytes, count);
        assert_int_equal(bytes[count], 0xaa);
        if (count >= 16) assert_memory_not_equal(bytes, bytes + 8, 8);
    }
}

static void ids_and_digests_survive_their_text(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 9);
    for (int i = 0; i < 100; i++) {
        struct id id, id_again;
        struct digest digest, digest_again;
        char id_word[ID_TEXT_SIZE], digest_word[DIGEST_TEXT_SIZE], small[ID_SHORT_SIZE];
        prng_fill(&prng, &id, sizeof id);
        prng_fill(&prng, &digest, sizeof digest);
        assert_true(id_parse(id_text(&id, id_word), &id_again));
        assert_true(id_equal(&id, &id_again));
        assert_true(digest_parse(digest_text(&digest, digest_word), &digest_again));
        assert_true(digest_equal(&digest, &digest_again));
        assert_memory_equal(id_short(&id, small), id_word, 8);
        assert_int_equal(small[8], 0);
        assert_false(id_is_zero(&id));
        assert_false(digest_is_zero(&digest));
    }
    assert_true(id_is_zero(&(struct id){{0}}));
    assert_true(digest_is_zero(&(struct digest){{0}}));
}

static void only_whole_lower_case_hex_is_an_id(void **state)
{
    (void)state;
    struct id id;
    assert_true(id_parse("000102030405060708090a0b0c0d0e0f", &id));
    assert_int_equal(id.bytes[15], 15);
    assert_false(id_parse("", &id));
    assert_false(id_parse("000102030405060708090a0b0c0d0e0", &id));
    assert_false(id_parse("000102030405060708090a0b0c0d0e0f0", &id));
    assert_false(id_parse("000102030405060708090A0b0c0d0e0f", &id));
    assert_false(id_parse("000102030405060708090g0b0c0d0e0f", &id));
}

static void addresses_survive_their_text(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 10);
    for (int i = 0; i < 20000; i++) {
        struct address address = {.port = (uint16_t)prng_next(&prng)}, again;
        char text[ADDRESS_TEXT_SIZE];
        for (int group = 0; group < 8; group++) {
            if (prng_below(&prng, 2) == 0) continue;
            address.ip[2 * group] = prng_below(&prng, 2) == 0 ? 0 : (uint8_t)prng_next(&prng);
            address.ip[2 * group + 1] = (uint8_t)prng_next(&prng);
        }
        if (i % 4 == 0) address = address_ipv4(address.ip[0], 0, 255, address.ip[3], address.port);
        assert_true(address_parse(address_text(&address, text), &again));
        assert_true(address_equal(&address, &again));
    }
}

static void addresses_print_as_people_write_them(void **state)
{
    (void)state;
    static const char *const same[] = {
        "1.2.3.4:7437",     "0.0.0.0:0",         "255.255.255.255:65535", "[::]:0",
        "[::1]:7437",       "[1::]:1",           "[fe80::1:2:3:4]:80",    "[1:0:2:3:4:5:6:7]:1",
        "[1::2:0:0:3:4]:1", "[2001:db8::1]:443", "[1:2:3:4:5:6:7:8]:1",   "[0:1::]:1",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct address address;
        char text[ADDRESS_TEXT_SIZE];
        assert_true(address_parse(same[i], &address));
        assert_string_equal(address_text(&address, text), same[i]);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1.2.3.4",
        "1.2.3:1",
        "1.2.3.4:65536",
        "1.2.3.256:1",
        "01.2.3.4:1",
        "1.2.3.4:1 ",
        " 1.2.3.4:1",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "host:1",
        "[::1]",
        "[::1:1",
        "::1:7437",
        "[1::2::3]:1",
        "[1:2:3:4:5:6:7]:1",
        "[12345::]:1",
        "[1:2:3:4:5:6:7:8:9]:1",
        "[:1]:1",
        "[1:]:1",
        "[g::]:1",
        "[1:2:3:4:5:6:7:8::]:1",
        "[::1:2:3:4:5:6:7:8]:1",
        "[1:2:3:4:5:6:7:8::1:2:3:4:5:6:7:8:9:a:b:c:d:e:f]:1",
    };
    struct address address;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (address_parse(bad[i], &address)) fail_msg("accepted: %s", bad[i]);
}

static void addresses_know_what_they_are(void **state)
{
    (void)state;
    struct address none = {.port = 0}, v4 = address_ipv4(127, 1, 2, 3, 1), v6;
    assert_true(address_is_none(&none));
    assert_false(address_is_ipv4(&none));
    assert_true(address_is_ipv4(&v4) && address_is_loopback(&v4));
    assert_true(address_parse("[::1]:1", &v6));
    assert_true(address_is_loopback(&v6) && !address_is_ipv4(&v6) && !address_is_none(&v6));
}

static void slices_sort_as_bytes_do(void **state)
{
    (void)state;
    static const char *const sorted[] = {"", "A", "AA", "B", "a", "ab", "b", "\xff"};
    enum {
        COUNT = sizeof sorted / sizeof *sorted
    };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            struct slice a = slice_string(sorted[i]), b = slice_string(sorted[j]);
            int order = slice_compare(a, b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(slice_equal(a, b), i == j);
        }
    }
}

static void rendezvous_moves_only_what_the_lost_node_had(void **state)
{
    (void)state;
    int moved = 0;
    for (uint32_t key = 0; key < 1000; key++) {
        uint32_t best = 0, best_without = 0;
        uint64_t score = 0, score_without = 0;
        for (uint32_t node = 0; node < 10; node++) {
            uint64_t mine = hash_rendezvous(&key, sizeof key, &node, sizeof node);
            if (mine >= score) score = mine, best = node;
            if (node != 3 && mine >= score_without) score_without = mine, best_without = node;
        }
        assert_true(best == best_without || best == 3);
        moved += best != best_without;
    }
    assert_in_range(moved, 60, 140);
}

static void an_id_hashes_as_its_bytes(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[16];
        prng_fill(&prng, bytes, sizeof bytes);
        assert_true(hash64_id(bytes) == hash64(bytes, sizeof bytes, 0));
    }
}

static void counts_agree_with_their_words(void **state)
{
    (void)state;
    assert_string_equal(plural(0, "time").text, "0 times");
    assert_string_equal(plural(1, "time").text, "1 time");
    assert_string_equal(plural(2, "second copy").text, "2 second copies");
    assert_string_equal(plural(1, "entry").text, "1 entry");
    assert_string_equal(plural(3, "key").text, "3 keys");
    assert_string_equal(plural(UINT64_MAX, "y").text, "18446744073709551615 ys");
    char word[200];
    memset(word, 'w', sizeof word);
    word[sizeof word - 1] = '\0';
    assert_int_equal(strlen(plural(9, word).text), PLURAL_TEXT_SIZE - 1); /* cut */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_agrees_with_a_model_under_random_adds_and_removes),
        cmocka_unit_test(map_is_unchanged_when_memory_ends),
        cmocka_unit_test(an_id_hashes_as_its_bytes),
        cmocka_unit_test(map_order_depends_on_history_alone),
        cmocka_unit_test(two_ids_of_one_hash_stay_two),
        cmocka_unit_test(keys_of_every_size_are_told_apart_by_every_byte),
        cmocka_unit_test(arena_pieces_are_aligned_apart_and_within),
        cmocka_unit_test(memory_fails_at_the_countdown_and_only_then),
        cmocka_unit_test(memory_keeps_its_budget_and_clears_what_it_gives),
        cmocka_unit_test(memory_grow_keeps_the_items),
        cmocka_unit_test(prng_repeats_from_its_seed),
        cmocka_unit_test(prng_below_stays_below_and_reaches_all),
        cmocka_unit_test(prng_fill_fills_just_the_bytes_asked_for),
        cmocka_unit_test(ids_and_digests_survive_their_text),
        cmocka_unit_test(only_whole_lower_case_hex_is_an_id),
        cmocka_unit_test(addresses_survive_their_text),
        cmocka_unit_test(addresses_print_as_people_write_them),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(addresses_know_what_they_are),
        cmocka_unit_test(slices_sort_as_bytes_do),
        cmocka_unit_test(rendezvous_moves_only_what_the_lost_node_had),
        cmocka_unit_test(counts_agree_with_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
