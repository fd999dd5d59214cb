/* Blocks end at line ends near the target, wherever the reads happen to end. */
#include "ctl/ranges.h"
#include "ctl/splitter.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    CUTS_MAX = 4096
};

/* Feeds text in pieces of at most `piece` bytes; sizes of the blocks into cuts; returns how many.
 */
static size_t cut(struct slice text, uint64_t target, size_t piece, size_t cuts[CUTS_MAX])
{
    struct splitter splitter;
    size_t count = 0, block = 0;
    splitter_init(&splitter, target);
    while (text.count > 0) {
        bool ends;
        size_t offered = text.count < piece ? text.count : piece;
        size_t taken = splitter_take(&splitter, slice_of(text.at, offered), &ends);
        assert_true(taken >= 1 && taken <= offered);
        block += taken;
        text = slice_of(text.at + taken, text.count - taken);
        if (!ends) continue;
        assert_true(count < CUTS_MAX);
        cuts[count++] = block;
        block = 0;
    }
    if (block > 0) cuts[count++] = block;
    return count;
}

static void blocks_end_at_the_first_line_end_from_the_target_on(void **state)
{
    (void)state;
    size_t cuts[CUTS_MAX];
    assert_int_equal(cut(slice_string("aa\nbb\ncc\n"), 3, 100, cuts), 3);
    assert_int_equal(cuts[0], 3);
    assert_int_equal(cut(slice_string("aa\nbb\ncc\n"), 4, 100, cuts), 2);
    assert_int_equal(cuts[0], 6);
    assert_int_equal(cuts[1], 3);
    assert_int_equal(cut(slice_string("aa\nbb\ncc"), 6, 100, cuts), 2);
    assert_int_equal(cuts[1], 2);
    assert_int_equal(cut(slice_string("\n\n\n"), 1, 100, cuts), 3);
}

static void a_long_line_makes_a_long_block(void **state)
{
    (void)state;
    size_t cuts[CUTS_MAX];
    assert_int_equal(cut(slice_string("aaaaaaaaaaaaaaaaaaaa\nb\nc\n"), 2, 7, cuts), 3);
    assert_int_equal(cuts[0], 21);
    assert_int_equal(cuts[1], 2);
    assert_int_equal(cut(slice_string("no line end at all"), 2, 3, cuts), 1);
}

static void cuts_do_not_depend_on_how_bytes_arrive(void **state)
{
    (void)state;
    struct prng prng;
    size_t whole[CUTS_MAX], pieces[CUTS_MAX];
    uint8_t text[2000];
    prng_init(&prng, 7437);
    for (int round = 0; round < 500; round++) {
        size_t count = 1 + prng_below(&prng, sizeof text);
        uint64_t lines = 1 + prng_below(&prng, 40);
        for (size_t i = 0; i < count; i++) text[i] = prng_below(&prng, lines) == 0 ? '\n' : 'x';
        uint64_t target = 1 + prng_below(&prng, 100);
        size_t blocks = cut(slice_of(text, count), target, sizeof text, whole);
        size_t again = cut(slice_of(text, count), target, 1 + prng_below(&prng, 50), pieces);
        assert_int_equal(blocks, again);
        size_t at = 0;
        for (size_t i = 0; i < blocks; i++) {
            assert_int_equal(whole[i], pieces[i]);
            at += whole[i];
            bool is_last = i + 1 == blocks;
            if (!is_last) assert_true(whole[i] >= target && text[at - 1] == '\n');
            /* No earlier line end would have done. */
            size_t start = at - whole[i];
            for (size_t j = start + target - 1; j + 1 < at; j++)
                assert_int_not_equal(text[j], '\n');
        }
        assert_int_equal(at, count);
    }
}

/* Ranges of a file are cut by seeking, blocks of a stream as it comes: at the same places. */
static void ranges_end_where_blocks_would(void **state)
{
    (void)state;
    struct prng prng;
    size_t blocks[CUTS_MAX];
    static uint8_t text[200000];
    FILE *file = tmpfile();
    assert_non_null(file);
    prng_init(&prng, 118);
    for (int round = 0; round < 60; round++) {
        bool is_long = round % 10 == 0; /* lines longer than what is looked at at once */
        size_t count = 1 + prng_below(&prng, is_long ? sizeof text : 2000);
        uint64_t lines = is_long ? 70000 : 1 + prng_below(&prng, 40);
        for (size_t i = 0; i < count; i++) text[i] = prng_below(&prng, lines) == 0 ? '\n' : 'x';
        uint64_t target = is_long ? 10000 + prng_below(&prng, 90000) : 1 + prng_below(&prng, 100);
        size_t blocks_count = cut(slice_of(text, count), target, sizeof text, blocks);
        assert_true(ftruncate(fileno(file), 0) == 0);
        assert_true(pwrite(fileno(file), text, count, 0) == (ssize_t)count);
        struct splitter splitter;
        splitter_init(&splitter, target);
        size_t at = 0;
        for (size_t i = 0; i < blocks_count; i++) {
            int64_t size = ranges_next(fileno(file), &splitter, at, count);
            assert_int_equal(size, blocks[i]);
            at += (size_t)size;
        }
        assert_int_equal(at, count);
        /* Shorter than it was said to be: an error, not a range too long. */
        assert_int_equal(ranges_next(fileno(file), &splitter, count, count + target + 1), -1);
    }
    fclose(file);
}

static void targets_give_every_slot_three_blocks(void **state)
{
    (void)state;
    assert_int_equal(splitter_target(0, 8), SPLIT_MAX);
    assert_int_equal(splitter_target(1000, 8), SPLIT_MIN);
    assert_int_equal(splitter_target(240u << 20, 8), 10 << 20);
    assert_int_equal(splitter_target(UINT64_MAX, 8), SPLIT_MAX);
    assert_int_equal(splitter_target(6 << 20, 0), 2 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_end_at_the_first_line_end_from_the_target_on),
        cmocka_unit_test(a_long_line_makes_a_long_block),
        cmocka_unit_test(cuts_do_not_depend_on_how_bytes_arrive),
        cmocka_unit_test(ranges_end_where_blocks_would),
        cmocka_unit_test(targets_give_every_slot_three_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
