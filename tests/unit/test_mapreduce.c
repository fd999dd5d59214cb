/* Records through buffer, sort, spill and merge, against a model simple enough to be seen right:
 * all lines in an array, sorted by (partition, key, position) with comparisons spelt out. Sizes are
 * chosen so that every path is taken: nothing spilled, everything spilled, lines larger than the
 * whole memory. */
#include "base/hash.h"
#include "base/prng.h"
#include "mapreduce/builtin.h"
#include "mapreduce/merge.h"
#include "mapreduce/output.h"
#include "mapreduce/records.h"
#include "mapreduce/report.h"
#include "mapreduce/sample.h"
#include "mapreduce/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    ROUNDS = 250,
    LINES_MAX = 6000,
    TEXT_MAX = 1 << 20
};

/* Bytes that grow. */
struct text {
    uint8_t *at;
    size_t count;
    size_t capacity;
};

static void add(struct text *text, const void *at, size_t count)
{
    if (count >= text->capacity - text->count) {
        text->capacity = 2 * (text->count + count) + 64;
        text->at = realloc(text->at, text->capacity);
        assert_non_null(text->at);
    }
    memcpy(text->at + text->count, at, count);
    text->count += count;
}

static enum error add_take(void *context, struct slice bytes)
{
    struct text *text = context;
    if (bytes.count > 0) add(text, bytes.at, bytes.count);
    return ERROR_NONE;
}

static void assert_text(const struct text *text, const struct text *wanted)
{
    assert_int_equal(text->count, wanted->count);
    if (text->count > 0) assert_memory_equal(text->at, wanted->at, text->count);
}

/* ---- the bench: a directory, its scratch ---- */

struct bench {
    struct memory memory;
    struct watch watch;
    struct scratch scratch;
    char path[64];
};

static int open_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    snprintf(bench->path, sizeof bench->path, "/tmp/test_mapreduce.XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    memory_init(&bench->memory, SIZE_MAX);
    bench->watch = (struct watch){.signals = -1, .deadline = INSTANT_NEVER};
    enum error error = scratch_open(&bench->scratch, bench->path, &bench->memory, &bench->watch);
    assert_int_equal(error, ERROR_NONE);
    *state = bench;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(bench->memory.used, 0); /* whatever happened, nothing leaks */
    scratch_close(&bench->scratch);
    int left = rmdir(bench->path);
    free(bench);
    return left; /* not empty: a file was left behind */
}

/* ---- the model ---- */

struct line {
    struct slice bytes; /* its newline in it */
    struct slice key;
    uint32_t partition;
    size_t position;
    const struct order *order;
};

static int compare_keys(uint8_t kind, struct slice a, struct slice b)
{
    if (kind == SORT_NONE) return 0;
    if (kind == SORT_NUMERIC) { /* keys here are small: a double holds them */
        char left[64], right[64];
        snprintf(left, sizeof left, "%.*s", (int)a.count, (const char *)a.at);
        snprintf(right, sizeof right, "%.*s", (int)b.count, (const char *)b.at);
        double x = atof(left), y = atof(right);
        if (x != y) return x < y ? -1 : 1;
    }
    return slice_compare(a, b);
}

/* The n-th field, counted from 0; empty when there is none. */
static struct slice field_of(const struct line *line, unsigned n)
{
    const uint8_t *at = line->bytes.at, *end = at + line->bytes.count - 1;
    for (; n > 0; n--) {
        const uint8_t *tab = memchr(at, '\t', (size_t)(end - at));
        at = tab == NULL ? end : tab + 1;
    }
    const uint8_t *tab = memchr(at, '\t', (size_t)(end - at));
    return slice_of(at, (size_t)((tab == NULL ? end : tab) - at));
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    if (left->partition != right->partition) return left->partition < right->partition ? -1 : 1;
    int order = compare_keys(left->order->kind, left->key, right->key);
    if (left->order->is_reverse) order = -order;
    for (unsigned i = 0; i < left->order->more_count && order == 0; i++) {
        order =
            compare_keys(left->order->more[i].kind, field_of(left, i + 1), field_of(right, i + 1));
        if (left->order->more[i].is_reverse) order = -order;
    }
    if (order != 0) return order;
    return left->position < right->position ? -1 : left->position > right->position;
}

/* The lines of text, sorted; their number. text must end in a newline. */
static size_t sorted_lines(const struct text *text, const struct order *order, uint32_t partitions,
                           struct line *lines)
{
    size_t count = 0;
    for (const uint8_t *at = text->at, *end = at + text->count; at < end; count++) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        struct line *line = &lines[count];
        assert_true(count < LINES_MAX && newline != NULL);
        line->bytes = slice_of(at, (size_t)(newline - at) + 1);
        line->key = slice_of(at, (size_t)(newline - at));
        const uint8_t *tab = memchr(at, '\t', line->key.count);
        if (tab != NULL && !order->is_whole_line) line->key.count = (size_t)(tab - at);
        line->partition = (uint32_t)(hash64(line->key.at, line->key.count, 0) % partitions);
        line->position = count;
        line->order = order;
        at = newline + 1;
    }
    if (count > 0) qsort(lines, count, sizeof *lines, compare_lines);
    return count;
}

/* ---- arbitrary lines ---- */

enum style {
    STYLE_WORDS,
    STYLE_BINARY,
    STYLE_DEEP,
    STYLE_NUMBERS,
    STYLE_LARGE,
    STYLES
};

static size_t one_line(struct prng *prng, enum style style, uint8_t *line)
{
    size_t count = prng_below(prng, 12);
    if (style == STYLE_NUMBERS) {
        int whole = (int)prng_below(prng, 300) - 150;
        unsigned part = (unsigned)prng_below(prng, 30);
        const char *zeros = prng_below(prng, 4) == 0 ? "00" : "";
        const char *sign = whole < 0 ? "-" : "";
        return (size_t)sprintf((char *)line, "%s%s%d.%u\tx%u", sign, zeros, abs(whole), part, part);
    }
    if (style == STYLE_BINARY) {
        prng_fill(prng, line, count);
    } else if (style == STYLE_DEEP) { /* long common beginnings, which end anywhere */
        count = prng_below(prng, 40) * 7 + prng_below(prng, 3);
        memset(line, 'a', count);
        if (count > 0) line[prng_below(prng, count)] = (uint8_t) "ab\t\0"[prng_below(prng, 4)];
    } else {
        if (style == STYLE_LARGE && prng_below(prng, 50) == 0) count = prng_below(prng, 30000);
        for (size_t i = 0; i < count; i++) line[i] = (uint8_t) "ab\tc"[prng_below(prng, 4)];
    }
    for (size_t i = 0; i < count; i++)
        if (line[i] == '\n') line[i] = 0;
    return count;
}

static void some_lines(struct prng *prng, enum style style, size_t count, struct text *text)
{
    static uint8_t line[32768];
    for (size_t i = 0; i < count && text->count < TEXT_MAX; i++) {
        size_t size = one_line(prng, style, line);
        line[size++] = '\n';
        add(text, line, size);
    }
}

static struct order some_order(struct prng *prng, enum style style)
{
    struct order order = {.kind = SORT_NUMERIC};
    if (style != STYLE_NUMBERS) {
        order.kind = prng_below(prng, 8) == 0 ? SORT_NONE : SORT_KEY;
        order.is_whole_line = prng_below(prng, 3) == 0;
    }
    if (order.kind == SORT_NONE) return order;
    order.is_reverse = prng_below(prng, 3) == 0;
    if (!order.is_whole_line && prng_below(prng, 2) == 0) {
        order.more_count = (uint8_t)(1 + prng_below(prng, 3));
        for (unsigned i = 0; i < order.more_count; i++)
            order.more[i] = (struct sorting_field){SORT_KEY, prng_below(prng, 2) == 0};
    }
    return order;
}

/* ---- records ---- */

static enum error take_in_pieces(struct records *records, struct prng *prng, struct slice bytes)
{
    while (bytes.count > 0) {
        size_t piece = 1 + prng_below(prng, prng_below(prng, 2) == 0 ? 9 : 70000);
        if (piece > bytes.count) piece = bytes.count;
        enum error error = records_take(records, slice_of(bytes.at, piece));
        if (error != ERROR_NONE) return error;
        bytes = slice_of(bytes.at + piece, bytes.count - piece);
    }
    return ERROR_NONE;
}

/* All partitions, one behind the other, through a record buffer. */
static enum error through_records(struct bench *bench, struct prng *prng, const struct order *order,
                                  uint32_t partitions, size_t limit, struct slice bytes,
                                  struct text *out)
{
    struct records records;
    struct partition partition;
    partition_init(&partition, &bench->memory, order, partitions, 1);
    records_init(&records, &bench->scratch, order, &partition, limit, "runs");
    enum error error = take_in_pieces(&records, prng, bytes);
    if (error == ERROR_NONE) error = records_end(&records);
    for (uint32_t p = 0; p < partitions && error == ERROR_NONE; p++)
        error = records_pour(&records, p, (struct outflow){add_take, out});
    records_deinit(&records);
    return error;
}

static void records_come_out_as_the_model_sorts_them(void **state)
{
    struct bench *bench = *state;
    struct line *lines = calloc(LINES_MAX, sizeof *lines);
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        enum style style = (enum style)(seed % STYLES);
        struct text text = {0}, wanted = {0}, out = {0};
        uint32_t partitions = prng_below(&prng, 2) == 0 ? 1 : 1 + (uint32_t)prng_below(&prng, 5000);
        struct order order = some_order(&prng, style);
        size_t limit = (size_t)4096 << prng_below(&prng, 10);
        if (limit < 65536 && partitions > 40)
            partitions = 40; /* spare the disk a million tiny stretches */
        some_lines(&prng, style, prng_below(&prng, LINES_MAX), &text);
        size_t count = sorted_lines(&text, &order, partitions, lines);
        for (size_t i = 0; i < count; i++) add(&wanted, lines[i].bytes.at, lines[i].bytes.count);
        size_t without_end =
            text.count > 1 && text.at[text.count - 2] != '\n' ? text.count - 1 : text.count;
        struct slice bytes = slice_of(text.at, without_end);
        enum error error = through_records(bench, &prng, &order, partitions, limit, bytes, &out);
        assert_int_equal(error, ERROR_NONE);
        assert_text(&out, &wanted);
        free(text.at);
        free(wanted.at);
        free(out.at);
    }
    free(lines);
}

static void a_record_that_is_too_large_is_told_by_number_and_offset(void **state)
{
    struct bench *bench = *state;
    struct order order = {.kind = SORT_KEY};
    for (unsigned before = 0; before < 4000; before += 1333) { /* none, or some that were spilled */
        for (size_t piece = 1; piece <= 100000; piece *= 10) {
            struct records records;
            struct text text = {0};
            uint64_t number, offset;
            for (unsigned i = 0; i < before; i++) add(&text, "0123456\n", 8);
            records_init(&records, &bench->scratch, &order, NULL, 8192, "runs");
            records.record_max = 5000;
            for (size_t i = 0; i < 4999; i++) add(&text, "x", 1);
            add(&text, "\n", 1); /* as large as it may be */
            for (size_t i = 0; i < 5001; i++) add(&text, "y", 1);
            enum error error = ERROR_NONE;
            for (size_t at = 0; at < text.count && error == ERROR_NONE; at += piece) {
                size_t count = piece < text.count - at ? piece : text.count - at;
                error = records_take(&records, slice_of(text.at + at, count));
            }
            assert_int_equal(error, ERROR_INVALID);
            records_too_large(&records, &number, &offset);
            assert_int_equal(number, before + 2);
            assert_int_equal(offset, 8 * before + 5000);
            records_deinit(&records);
            free(text.at);
        }
    }
}

static void memory_failing_at_any_allocation_is_an_error_and_leaks_nothing(void **state)
{
    struct bench *bench = *state;
    struct order order = {.kind = SORT_KEY};
    struct text text = {0};
    struct prng prng;
    prng_init(&prng, 1);
    some_lines(&prng, STYLE_LARGE, 400, &text);
    enum error error = ERROR_MEMORY;
    unsigned failures = 0;
    for (; error != ERROR_NONE; failures++) {
        struct text out = {0};
        bench->memory.fail_after = failures + 1;
        struct slice bytes = slice_of(text.at, text.count);
        error = through_records(bench, &prng, &order, 2, 8192, bytes, &out);
        assert_true(error == ERROR_NONE || error == ERROR_MEMORY);
        assert_int_equal(bench->memory.used, 0);
        free(out.at);
    }
    bench->memory.fail_after = 0;
    assert_true(failures > 20);
    free(text.at);
}

static void being_told_to_stop_ends_a_spill(void **state)
{
    struct bench *bench = *state;
    struct order order = {.kind = SORT_KEY};
    struct text text = {0}, out = {0};
    struct prng prng;
    prng_init(&prng, 2);
    some_lines(&prng, STYLE_WORDS, 3000, &text);
    bench->watch.is_told = true;
    bench->watch.parent = getppid();
    struct slice bytes = slice_of(text.at, text.count);
    assert_int_equal(through_records(bench, &prng, &order, 2, 8192, bytes, &out), ERROR_CLOSED);
    bench->watch.is_told = false;
    free(text.at);
    free(out.at);
}

/* ---- order ---- */

static void prefixes_order_as_keys_do(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    static uint8_t a[32768], b[32768];
    for (unsigned round = 0; round < 200000; round++) {
        enum style style = (enum style)(round % STYLE_LARGE);
        struct order order = some_order(&prng, style);
        a[one_line(&prng, style, a)] = '\n';
        b[one_line(&prng, style, b)] = '\n';
        int wanted = order_compare(&order, a, b, 0);
        uint64_t left = order_prefix(&order, a, 0), right = order_prefix(&order, b, 0);
        if (left != right) assert_true((left < right) == (wanted < 0) && wanted != 0);
        if (left == right && order_is_exact(&order, left)) assert_int_equal(wanted, 0);
        assert_int_equal(order_compare(&order, b, a, 0), -wanted);
    }
}

static void numbers_compare_by_value_at_any_length(void **state)
{
    (void)state;
    static const char *const rising[] = {
        "-123456789012345678901234567891\n",
        "-123456789012345678901234567890.5\n",
        "-12\n",
        "-1.50\n",
        "-1.5\t\n",
        "-0.001\n",
        "abc\n",
        ".00001\n",
        "0.0001\n",
        "1\n",
        "1.000000000000000000000001\n",
        "  2\n",
        "0010\n",
        "99999999999999999999999\n",
        "100000000000000000000000\n",
        "100000000000000000000000.1\n",
    };
    enum {
        COUNT = sizeof rising / sizeof *rising
    };
    struct order order = {.kind = SORT_NUMERIC};
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            const uint8_t *a = (const uint8_t *)rising[i], *b = (const uint8_t *)rising[j];
            int result = order_compare(&order, a, b, 0);
            bool is_tie =
                (i == 3 && j == 4) || (i == 4 && j == 3); /* equal numbers: then by bytes */
            if (is_tie) assert_true((result > 0) == (i == 3));
            else assert_int_equal((result > 0) - (result < 0), (i > j) - (i < j));
            if (order_prefix(&order, a, 0) < order_prefix(&order, b, 0)) assert_true(result < 0);
        }
    }
}

/* ---- merge ---- */

static enum error merge_files(struct bench *bench, const struct order *order, struct part *parts,
                              size_t count, size_t memory_size, struct text *out)
{
    struct scratch_file runs;
    scratch_file_init(&runs, &bench->scratch, "runs");
    struct merge merge;
    enum error error = merge_open(&merge, order, parts, count, &runs, memory_size);
    struct slice lines = {0};
    while (error == ERROR_NONE) {
        error = merge_next(&merge, &lines);
        if (error != ERROR_NONE || lines.count == 0) break;
        add(out, lines.at, lines.count);
    }
    merge_close(&merge);
    if (runs.fd >= 0) unlinkat(bench->scratch.directory, "runs", 0);
    scratch_file_deinit(&runs);
    return error;
}

/* Appends sorted lines as a segment (squeeze.h); in small pages, so that lines lie across them. */
static void add_segment(struct text *file, struct slice lines, size_t page_size)
{
    struct squeeze squeeze = {0};
    static uint8_t page[PAGE_HEAD + PAGE_SIZE_MAX];
    uint64_t tail[2] = {0, lines.count};
    size_t line = 0;
    for (size_t i = 0; i < lines.count; i++) {
        if (++line > tail[0]) tail[0] = line;
        if (lines.at[i] == '\n') line = 0;
    }
    for (size_t at = 0; at < lines.count; at += page_size) {
        size_t count = lines.count - at < page_size ? lines.count - at : page_size;
        add(file, page, squeeze_pack(&squeeze, slice_of(lines.at + at, count), page));
    }
    if (lines.count > 0) add(file, tail, sizeof tail); /* little endian here */
    squeeze_deinit(&squeeze);
}

static void write_file(const char *path, const struct text *file)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    if (file->count > 0) assert_int_equal(fwrite(file->at, 1, file->count, out), file->count);
    fclose(out);
}

/* Sorts each of count stretches of random lines, writes them into one file, notes all lines in
 * text, in order. */
static void write_parts(struct bench *bench, struct prng *prng, const struct order *order,
                        enum style style, struct part *parts, size_t count, const char *path,
                        struct text *text)
{
    struct text file = {0};
    for (size_t i = 0; i < count; i++) {
        struct text lines = {0};
        some_lines(prng, style, prng_below(prng, LINES_MAX / count), &lines);
        size_t start = file.count;
        struct slice bytes = slice_of(lines.at, lines.count);
        struct text sorted = {0};
        assert_int_equal(through_records(bench, prng, order, 1, 1 << 20, bytes, &sorted),
                         ERROR_NONE);
        size_t page_size = prng_below(prng, 2) == 0 ? PAGE_SIZE_MAX : 1 + prng_below(prng, 300);
        add_segment(&file, slice_of(sorted.at, sorted.count), page_size);
        free(sorted.at);
        if (lines.count > 0) add(text, lines.at, lines.count);
        parts[i] =
            (struct part){.path = slice_string(path), .offset = start, .size = file.count - start};
        free(lines.at);
    }
    write_file(path, &file);
    free(file.at);
}

static void merging_sorted_parts_is_sorting_all_lines(void **state)
{
    struct bench *bench = *state;
    static struct part parts[700];
    struct line *lines = calloc(LINES_MAX, sizeof *lines);
    char path[128];
    snprintf(path, sizeof path, "%s/parts", bench->path);
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        enum style style = (enum style)(seed % STYLES);
        struct order order = some_order(&prng, style);
        size_t count = 1 + prng_below(&prng, seed % 3 == 0 ? 700 : 20);
        struct text text = {0}, wanted = {0}, out = {0};
        write_parts(bench, &prng, &order, style, parts, count, path, &text);
        size_t lines_count = sorted_lines(&text, &order, 1, lines);
        for (size_t i = 0; i < lines_count; i++)
            add(&wanted, lines[i].bytes.at, lines[i].bytes.count);
        size_t memory_size = prng_below(&prng, 2) == 0 ? 4096 : 1 << 20;
        assert_int_equal(merge_files(bench, &order, parts, count, memory_size, &out), ERROR_NONE);
        assert_text(&out, &wanted);
        free(text.at);
        free(wanted.at);
        free(out.at);
    }
    unlink(path);
    free(lines);
}

static void an_input_shorter_than_promised_is_told(void **state)
{
    struct bench *bench = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/parts", bench->path);
    struct text file = {0};
    add_segment(&file, slice_string("a\nb\n"), 2);
    write_file(path, &file);
    struct order order = {.kind = SORT_KEY};
    struct part part = {.path = slice_string(path), .offset = 2, .size = file.count};
    struct text out = {0};
    char told[256];
    assert_int_equal(merge_files(bench, &order, &part, 1, 4096, &out), ERROR_NOT_FOUND);
    trouble_text(&bench->scratch.trouble, told, sizeof told);
    assert_non_null(strstr(told, "cannot read /tmp/test_mapreduce."));
    unlink(path);
    free(out.at);
    free(file.at);
}

static void a_last_line_without_its_newline_gets_one(void **state)
{
    struct bench *bench = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/parts", bench->path);
    struct text file = {0};
    add_segment(&file, slice_string("a\nb"), 2);
    size_t first = file.count;
    add_segment(&file, slice_string("a"), 2);
    write_file(path, &file);
    struct order order = {.kind = SORT_KEY};
    struct part parts[2] = {
        {.path = slice_string(path), .size = first},
        {.path = slice_string(path), .offset = first, .size = file.count - first}};
    struct text out = {0};
    assert_int_equal(merge_files(bench, &order, parts, 2, 4096, &out), ERROR_NONE);
    assert_true(slice_equal(slice_of(out.at, out.count), slice_string("a\na\nb\n")));
    unlink(path);
    free(out.at);
    free(file.at);
}

/* Every bit of a segment, turned round: told, and never a record of it used wrongly. */
static void a_changed_segment_is_told_wherever_it_is_changed(void **state)
{
    struct bench *bench = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/parts", bench->path);
    struct text file = {0};
    struct order order = {.kind = SORT_KEY};
    add_segment(&file, slice_string("a\t1\nbb\t22\nccccccccccccccccccccccccccc\n"), 12);
    for (size_t bit = 0; bit < 8 * (file.count - SEGMENT_TAIL); bit++) {
        struct text out = {0};
        file.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_file(path, &file);
        file.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct part part = {.path = slice_string(path), .size = file.count};
        bench->scratch.trouble = (struct trouble){0};
        assert_int_equal(merge_files(bench, &order, &part, 1, 4096, &out), ERROR_NOT_FOUND);
        free(out.at);
    }
    unlink(path);
    free(file.at);
}

/* ---- partitions ---- */

static void ranges_keep_the_order_and_never_part_a_key(void **state)
{
    struct bench *bench = *state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct sorting sorting;
        static const char *const orders[] = {
            "key", "line", "key:reverse", "numeric:reverse", "key,numeric", "numeric"};
        struct slice how = slice_string(orders[seed % 6]);
        assert_null(sorting_parse(how, &sorting));
        struct order order = order_of(&sorting);
        struct text text = {0}, cuts = {0};
        enum style style = seed % 6 == 3 || seed % 6 == 5 ? STYLE_NUMBERS : STYLE_WORDS;
        uint32_t count = 2 + (uint32_t)prng_below(&prng, 9);
        some_lines(&prng, style, 1 + prng_below(&prng, 500), &text);
        struct line *lines = calloc(LINES_MAX, sizeof *lines);
        size_t lines_count = sorted_lines(&text, &order, 1, lines);
        struct sample sample;
        assert_int_equal(sample_init(&sample, &bench->scratch, &order, 1, 64), ERROR_NONE);
        for (size_t i = 0; i < lines_count; i++)
            assert_int_equal(sample_take(&sample, lines[i].bytes), ERROR_NONE);
        struct outflow flow = {add_take, &cuts};
        assert_int_equal(sample_pour_cuts(&sample, count, flow), ERROR_NONE);
        sample_deinit(&sample);
        char path[128];
        snprintf(path, sizeof path, "%s/cuts", bench->path);
        write_file(path, &cuts);
        struct partition partition;
        partition_init(&partition, &bench->memory, &order, count, 1);
        assert_int_equal(partition_read_ranges(&partition, bench->scratch.directory, "cuts",
                                               &bench->scratch.trouble),
                         ERROR_NONE);
        uint32_t before = 0;
        for (size_t i = 0; i < lines_count; i++) {
            uint32_t here = partition_of(&partition, lines[i].bytes);
            assert_true(here >= before && here < count);
            if (i > 0 && slice_equal(lines[i].key, lines[i - 1].key))
                assert_int_equal(here, before);
            before = here;
        }
        partition_deinit(&partition);
        unlink(path);
        free(lines);
        free(text.at);
        free(cuts.at);
    }
}

static void a_sample_keeps_every_stride_th_record(void **state)
{
    struct bench *bench = *state;
    struct order order = {.kind = SORT_KEY};
    struct sample sample;
    struct text out = {0};
    assert_int_equal(sample_init(&sample, &bench->scratch, &order, 1, 4), ERROR_NONE);
    assert_int_equal(sample_take(&sample, slice_string("0\tx\n1\n2\n3\n4\n5\n6\n7\n8")),
                     ERROR_NONE);
    sample_end(&sample);
    assert_int_equal(sample_pour(&sample, (struct outflow){add_take, &out}), ERROR_NONE);
    assert_true(slice_equal(slice_of(out.at, out.count), slice_string("0\n4\n8\n")));
    sample_deinit(&sample);
    free(out.at);
}

static void orders_are_read_or_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "kex",
                                      "key:",
                                      "key:up",
                                      "none:reverse",
                                      "line,key",
                                      "key,line",
                                      "none,key",
                                      "key,none",
                                      "numeric:numeric",
                                      ",",
                                      "key,",
                                      "key,key,key,key,key,key,key,key,key"};
    struct sorting sorting;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (strcmp(bad[i], "key:") != 0)
            assert_non_null(sorting_parse(slice_string(bad[i]), &sorting));
    assert_null(sorting_parse(slice_string("key,numeric:reverse"), &sorting));
    assert_int_equal(sorting.count, 2);
    assert_true(sorting.fields[1].is_reverse && sorting.fields[1].kind == SORT_NUMERIC);
    assert_int_equal(sorting_kind(&sorting), SORT_FIELDS);
    assert_null(sorting_parse(slice_string("line:numeric:reverse"), &sorting));
    assert_true(sorting.is_whole_line && sorting.fields[0].kind == SORT_NUMERIC);
    assert_null(sorting_parse(slice_string("numeric"), &sorting));
    assert_int_equal(sorting_kind(&sorting), SORT_NUMERIC);
}

/* ---- output ---- */

static void the_index_names_each_segment(void **state)
{
    struct bench *bench = *state;
    struct output output;
    struct digest digest, wanted;
    assert_int_equal(output_init(&output, &bench->scratch, 2), ERROR_NONE);
    assert_int_equal(output_take(&output, slice_string("a\t1\nb\t2\n")), ERROR_NONE);
    assert_int_equal(output_end_segment(&output), ERROR_NONE);
    assert_int_equal(output_take(&output, slice_string("c\n")), ERROR_NONE);
    assert_int_equal(output_end_segment(&output), ERROR_NONE);
    assert_int_equal(output_end(&output, &digest), ERROR_NONE);
    enum {
        NAME = 8 + 2 * PARTITIONED_INDEX_ITEM,
        INDEX = NAME + 2 * PARTITIONED_STORED_ITEM
    };
    enum {
        FIRST_SIZE = PAGE_HEAD + 8 + SEGMENT_TAIL,
        SECOND_SIZE = PAGE_HEAD + 2 + SEGMENT_TAIL
    };
    uint8_t block[512];
    ssize_t size = pread(output.file.fd, block, sizeof block, 0);
    assert_int_equal(size, INDEX + FIRST_SIZE + SECOND_SIZE); /* so short, they do not shrink */
    assert_int_equal(output.file.size, size);
    assert_int_equal(output_records(&output), 3);
    assert_int_equal(block[48], 2); /* the size of the second */
    static const uint8_t head[] = {'M', 'R', 'P', '2', 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(block, head, sizeof head);
    crypto_sodium.digest(slice_of(block, NAME), &wanted);
    assert_memory_equal(&digest, &wanted, sizeof digest);
    crypto_sodium.digest(slice_string("a\t1\nb\t2\n"), &wanted);
    assert_memory_equal(block + 16, &wanted, sizeof wanted);
    crypto_sodium.digest(slice_string("c\n"), &wanted);
    assert_memory_equal(block + 56, &wanted, sizeof wanted);
    assert_int_equal(block[NAME], FIRST_SIZE);
    uint64_t check = hash64(block + INDEX, FIRST_SIZE, 0);
    assert_memory_equal(block + NAME + 8, &check, sizeof check); /* little endian here */
    output_deinit(&output);
    assert_int_equal(unlinkat(bench->scratch.directory, "output", 0), 0);
}

/* ---- stderr ---- */

static void reporter_lines_are_taken_however_they_are_cut(void **state)
{
    (void)state;
    static const char said[] =
        "one\nreporter:counter:g,n,2\nreporter:counter:g,n,x\nreport\n\n"
        "reporter:counter:g,n,40\r\nreporter:status:half\nreporter:counter:h,n,1\n"
        "reporter:counter:g,n,18446744073709551615\nlast";
    static const char logged[] = "one\nreporter:counter:g,n,x\nreport\n\nlast";
    static struct report report;
    static uint8_t log[REPORT_LOG_MAX];
    static struct msg_counter counters[REPORT_COUNTERS_MAX];
    for (size_t piece = 1; piece < sizeof said; piece++) {
        report_init(&report);
        for (size_t at = 0; at < sizeof said - 1; at += piece) {
            size_t left = sizeof said - 1 - at;
            report_take(&report, slice_of(said + at, left < piece ? left : piece));
        }
        report_end(&report);
        assert_true(slice_equal(report_log(&report, log), slice_string(logged)));
        assert_true(slice_equal(report_status(&report), slice_string("half")));
        assert_int_equal(report_counters(&report, counters).count, 2);
        assert_true(slice_equal(counters[0].group, slice_string("g")));
        assert_true(counters[0].value == UINT64_MAX);
        assert_true(counters[1].value == 1);
    }
}

static void the_log_keeps_its_end_from_a_line_on(void **state)
{
    (void)state;
    static struct report report;
    static uint8_t log[REPORT_LOG_MAX];
    static uint8_t said[3 * REPORT_LOG_MAX];
    struct prng prng;
    prng_init(&prng, 4);
    for (unsigned round = 0; round < 300; round++) {
        size_t size = prng_below(&prng, sizeof said), at = 0;
        for (size_t i = 0; i < size; i++) said[i] = prng_below(&prng, 30) == 0 ? '\n' : 'x';
        report_init(&report);
        while (at < size) {
            size_t piece = 1 + prng_below(&prng, round % 2 == 0 ? 300 : 150000);
            if (piece > size - at) piece = size - at;
            report_take(&report, slice_of(said + at, piece));
            at += piece;
        }
        report_end(&report);
        struct slice kept = report_log(&report, log);
        assert_true(kept.count <= size &&
                    (kept.count == size || kept.count > REPORT_LOG_MAX - 1000));
        assert_memory_equal(kept.at, said + size - kept.count, kept.count);
        if (kept.count < size) assert_int_equal(said[size - kept.count - 1], '\n');
    }
}

static void counters_beyond_the_cap_are_not_kept(void **state)
{
    (void)state;
    static struct report report;
    static struct msg_counter counters[REPORT_COUNTERS_MAX];
    static uint8_t log[REPORT_LOG_MAX];
    report_init(&report);
    for (unsigned i = 0; i < 2 * REPORT_COUNTERS_MAX; i++) {
        char line[64];
        int size = snprintf(line, sizeof line, "reporter:counter:g,%u,1\n", i);
        report_take(&report, slice_of(line, (size_t)size));
    }
    report_end(&report);
    assert_int_equal(report_counters(&report, counters).count, REPORT_COUNTERS_MAX);
    assert_int_equal(report_log(&report, log).count, 0);
}

/* ---- built-ins ---- */

struct cut {
    struct slice bytes;
    size_t piece;
};

static enum error cut_next(void *context, struct slice *bytes)
{
    struct cut *cut = context;
    size_t count = cut->piece < cut->bytes.count ? cut->piece : cut->bytes.count;
    *bytes = slice_of(cut->bytes.at, count);
    cut->bytes = slice_of(cut->bytes.at + count, cut->bytes.count - count);
    return ERROR_NONE;
}

static enum error run_builtin(struct bench *bench, const char *name, bool is_map, const char *in,
                              size_t piece, struct text *out)
{
    struct cut cut = {slice_string(in), piece};
    char why[BUILTIN_WHY_SIZE];
    return builtin_run(slice_string(name), is_map, &bench->scratch, (struct inflow){cut_next, &cut},
                       (struct outflow){add_take, out}, why);
}

static void built_ins_do_not_care_where_bytes_are_cut(void **state)
{
    static const struct {
        const char *name;
        bool is_map;
        const char *in, *out;
    } cases[] = {
        {"@wordcount", true, " b a\n\tlonger\vb ", "b\t1\na\t1\nlonger\t1\nb\t1\n"},
        {"@wordcount", false, "a\t1\na\t20\nab\t3\nb\nb\t4", "a\t21\nab\t3\nb\t5\n"},
        {"@cat", true, "a\nb", "a\nb"},
        {"@sort", false, "", ""},
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].in) + 1; piece++) {
            struct text out = {0};
            enum error error =
                run_builtin(bench, cases[i].name, cases[i].is_map, cases[i].in, piece, &out);
            assert_int_equal(error, ERROR_NONE);
            assert_true(slice_equal(slice_of(out.at, out.count), slice_string(cases[i].out)));
            free(out.at);
        }
    }
    struct text out = {0};
    assert_int_equal(run_builtin(bench, "@wordcount", false, "a\tx\n", 9, &out), ERROR_INVALID);
    assert_int_equal(run_builtin(bench, "@nothing", false, "a\tx\n", 9, &out), ERROR_INVALID);
    free(out.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_out_as_the_model_sorts_them, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(
            memory_failing_at_any_allocation_is_an_error_and_leaks_nothing, open_bench,
            close_bench),
        cmocka_unit_test_setup_teardown(being_told_to_stop_ends_a_spill, open_bench, close_bench),
        cmocka_unit_test(prefixes_order_as_keys_do),
        cmocka_unit_test(orders_are_read_or_refused_with_a_reason),
        cmocka_unit_test_setup_teardown(a_changed_segment_is_told_wherever_it_is_changed,
                                        open_bench, close_bench),
        cmocka_unit_test_setup_teardown(ranges_keep_the_order_and_never_part_a_key, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(a_sample_keeps_every_stride_th_record, open_bench,
                                        close_bench),
        cmocka_unit_test(numbers_compare_by_value_at_any_length),
        cmocka_unit_test_setup_teardown(merging_sorted_parts_is_sorting_all_lines, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(an_input_shorter_than_promised_is_told, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(a_last_line_without_its_newline_gets_one, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(a_record_that_is_too_large_is_told_by_number_and_offset,
                                        open_bench, close_bench),
        cmocka_unit_test_setup_teardown(the_index_names_each_segment, open_bench, close_bench),
        cmocka_unit_test(reporter_lines_are_taken_however_they_are_cut),
        cmocka_unit_test(the_log_keeps_its_end_from_a_line_on),
        cmocka_unit_test(counters_beyond_the_cap_are_not_kept),
        cmocka_unit_test_setup_teardown(built_ins_do_not_care_where_bytes_are_cut, open_bench,
                                        close_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
