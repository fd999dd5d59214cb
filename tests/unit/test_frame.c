/* Datagrams: what was sealed opens, and nothing else does; and each counter is taken once. The
 * window is held against a model that remembers every counter. */
#include "base/prng.h"
#include "wire/frame.h"
#include "wire/plain.h"
#include "wire/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct crypto *const both[] = {&crypto_sodium, &crypto_plain};

struct datagram {
    struct frame_key key;
    struct crypto_key subkey;
    struct frame_header header;
    uint8_t bytes[FRAME_SIZE_MAX];
    size_t size;
};

static void make(struct datagram *datagram, const struct crypto *crypto, struct slice payload)
{
    struct crypto_key key = {{1, 2, 3}};
    frame_key_init(&datagram->key, crypto, &key);
    datagram->header = (struct frame_header){
        .key_id = datagram->key.key_id,
        .sender = {{0xaa, 0xbb}},
        .boot = {.counter = 0x0102030405060708, .random = 0x1112131415161718},
        .counter = 0x2122232425262728,
    };
    frame_subkey(crypto, &datagram->key, &datagram->header.sender, &datagram->header.boot,
                 &datagram->subkey);
    datagram->size =
        frame_seal(crypto, &datagram->subkey, &datagram->header, payload, datagram->bytes);
}

static const char *open(const struct datagram *datagram, const struct crypto *crypto,
                        struct slice bytes)
{
    uint8_t out[FRAME_SIZE_MAX];
    struct slice payload;
    return frame_open(crypto, &datagram->subkey, bytes, out, &payload);
}

static void payloads_of_every_size_arrive(void **state)
{
    (void)state;
    static uint8_t bytes[FRAME_PAYLOAD_MAX];
    struct prng prng;
    prng_init(&prng, 1);
    prng_fill(&prng, bytes, sizeof bytes);
    for (size_t c = 0; c < 2; c++) {
        for (size_t count = 0; count <= FRAME_PAYLOAD_MAX; count++) {
            struct datagram datagram;
            struct frame_header header;
            uint8_t out[FRAME_SIZE_MAX];
            struct slice payload;
            make(&datagram, both[c], slice_of(bytes, count));
            assert_int_equal(datagram.size, count + FRAME_OVERHEAD_MAX);
            struct slice whole = slice_of(datagram.bytes, datagram.size);
            assert_null(frame_peek(whole, &header));
            assert_int_equal(header.key_id, datagram.header.key_id);
            assert_true(id_equal(&header.sender, &datagram.header.sender));
            assert_true(boot_equal(&header.boot, &datagram.header.boot));
            assert_true(header.counter == datagram.header.counter);
            assert_null(frame_open(both[c], &datagram.subkey, whole, out, &payload));
            assert_true(slice_equal(payload, slice_of(bytes, count)));
        }
    }
}

static void the_clear_part_is_as_drawn(void **state)
{
    (void)state;
    struct datagram datagram;
    make(&datagram, &crypto_sodium, slice_string("hello"));
    static const uint8_t drawn[] = {
        0xaa, 0xbb, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15,
        0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
    };
    assert_int_equal(datagram.bytes[0], FRAME_VERSION);
    assert_memory_equal(datagram.bytes + 5, drawn, sizeof drawn);
    assert_int_equal(FRAME_HEADER_SIZE, 5 + sizeof drawn);
    assert_memory_not_equal(datagram.bytes + FRAME_HEADER_SIZE, "hello", 5);
}

static void any_changed_bit_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct datagram datagram;
        make(&datagram, both[c], slice_string("payload"));
        struct slice whole = slice_of(datagram.bytes, datagram.size);
        for (size_t bit = 0; bit < 8 * datagram.size; bit++) {
            datagram.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_non_null(open(&datagram, both[c], whole));
            datagram.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_null(open(&datagram, both[c], whole));
    }
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct datagram datagram;
        uint8_t longer[FRAME_SIZE_MAX + 1] = {0};
        make(&datagram, both[c], slice_string("payload"));
        memcpy(longer, datagram.bytes, datagram.size);
        for (size_t size = 0; size <= sizeof longer; size++) {
            const char *reason = open(&datagram, both[c], slice_of(longer, size));
            assert_int_equal(reason == NULL, size == datagram.size);
        }
    }
}

static void another_version_is_told_apart(void **state)
{
    (void)state;
    struct datagram datagram;
    struct frame_header header;
    make(&datagram, &crypto_plain, slice_string("payload"));
    datagram.bytes[0] = FRAME_VERSION + 1;
    const char *reason = frame_peek(slice_of(datagram.bytes, datagram.size), &header);
    assert_string_equal(reason, "datagram of another version");
}

static void counter_zero_is_refused(void **state)
{
    (void)state;
    struct datagram datagram;
    struct frame_header header;
    make(&datagram, &crypto_plain, slice_string("payload"));
    memset(datagram.bytes + 37, 0, 8);
    assert_non_null(frame_peek(slice_of(datagram.bytes, datagram.size), &header));
}

static void another_key_sender_or_boot_has_another_subkey(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct frame_key key, other_key;
        struct id id = {{1}}, other_id = {{2}};
        struct boot boot = {1, 1}, next = {2, 1}, twin = {1, 2};
        struct crypto_key subkeys[5];
        frame_key_init(&key, both[c], &(struct crypto_key){{1}});
        frame_key_init(&other_key, both[c], &(struct crypto_key){{2}});
        frame_subkey(both[c], &key, &id, &boot, &subkeys[0]);
        frame_subkey(both[c], &other_key, &id, &boot, &subkeys[1]);
        frame_subkey(both[c], &key, &other_id, &boot, &subkeys[2]);
        frame_subkey(both[c], &key, &id, &next, &subkeys[3]);
        frame_subkey(both[c], &key, &id, &twin, &subkeys[4]);
        assert_int_not_equal(key.key_id, other_key.key_id);
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < i; j++)
                assert_memory_not_equal(&subkeys[i], &subkeys[j], sizeof *subkeys);
    }
}

static void each_counter_is_taken_once(void **state)
{
    (void)state;
    struct frame_window window = {0};
    assert_false(frame_window_take(&window, 0));
    for (uint64_t counter = 1; counter < 30000; counter++) {
        assert_true(frame_window_take(&window, counter));
        assert_false(frame_window_take(&window, counter));
    }
}

static void the_window_is_as_wide_as_it_says(void **state)
{
    (void)state;
    for (uint64_t highest = FRAME_WINDOW; highest < FRAME_WINDOW + 200; highest++) {
        struct frame_window window = {0};
        assert_true(frame_window_take(&window, highest));
        assert_false(frame_window_take(&window, highest - FRAME_WINDOW));
        assert_int_equal(frame_window_take(&window, highest - FRAME_WINDOW + 1), true);
        assert_false(frame_window_take(&window, highest - FRAME_WINDOW + 1));
    }
}

static void sliding_forgets_nothing_within_the_window(void **state)
{
    (void)state;
    for (uint64_t first = 1; first < 200; first++) {
        for (uint64_t step = FRAME_WINDOW - 130; step < FRAME_WINDOW; step++) {
            struct frame_window window = {0};
            assert_true(frame_window_take(&window, first));
            assert_true(frame_window_take(&window, first + step));
            assert_false(frame_window_take(&window, first));
        }
    }
}

static void leaps_forget_all_that_came_before(void **state)
{
    (void)state;
    struct frame_window window = {0};
    uint64_t counter = 1;
    for (int bit = 1; bit < 64; bit++) {
        for (uint64_t i = 0; i < 300; i++) (void)frame_window_take(&window, counter + i);
        counter = UINT64_C(1) << bit;
        if (bit < 15) continue;
        assert_true(frame_window_take(&window, counter));
        for (uint64_t i = 1; i < FRAME_WINDOW; i += 7)
            assert_true(frame_window_take(&window, counter - i));
        assert_false(frame_window_take(&window, counter - FRAME_WINDOW));
    }
    assert_true(frame_window_take(&window, UINT64_MAX));
    assert_false(frame_window_take(&window, UINT64_MAX));
}

static void the_window_agrees_with_a_perfect_memory(void **state)
{
    (void)state;
    enum {
        SPAN = 100000
    };
    static bool seen[SPAN];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct frame_window window = {0};
        struct prng prng;
        uint64_t highest = 0, front = 1;
        prng_init(&prng, seed);
        memset(seen, 0, sizeof seen);
        while (front < SPAN - 20000) {
            front += prng_below(&prng, prng_below(&prng, 50) == 0 ? 12000 : 3);
            uint64_t counter = 1 + prng_below(&prng, 64) * prng_below(&prng, 200);
            counter = counter < front ? front - counter : front;
            if (counter == 0) counter = 1;
            bool is_old = highest >= FRAME_WINDOW && counter <= highest - FRAME_WINDOW;
            assert_int_equal(frame_window_take(&window, counter), !is_old && !seen[counter]);
            seen[counter] = true;
            if (counter > highest) highest = counter;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_every_size_arrive),
        cmocka_unit_test(the_clear_part_is_as_drawn),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(another_version_is_told_apart),
        cmocka_unit_test(counter_zero_is_refused),
        cmocka_unit_test(another_key_sender_or_boot_has_another_subkey),
        cmocka_unit_test(each_counter_is_taken_once),
        cmocka_unit_test(the_window_is_as_wide_as_it_says),
        cmocka_unit_test(sliding_forgets_nothing_within_the_window),
        cmocka_unit_test(leaps_forget_all_that_came_before),
        cmocka_unit_test(the_window_agrees_with_a_perfect_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
