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

enum { ROUNDS = 250, LINES_MAX = 6000, TEXT_MAX = 1 << 20 };

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
    uint8_t kind;
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

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    if (left->partition != right->partition) return left->partition < right->partition ? -1 : 1;
    int order = compare_keys(left->kind, left->key, right->key);
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
        line->kind = order->kind;
        at = newline + 1;
    }
    if (count > 0) qsort(lines, count, sizeof *lines, compare_lines);
    return count;
}

/* ---- arbitrary lines ---- */

enum style { STYLE_WORDS, STYLE_BINARY, STYLE_DEEP, STYLE_NUMBERS, STYLE_LARGE, STYLES };

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
    if (style == STYLE_NUMBERS) return (struct order){SORT_NUMERIC, false};
    uint8_t kind = prng_below(prng, 8) == 0 ? SORT_NONE : SORT_KEY;
    return (struct order){kind, prng_below(prng, 3) == 0};
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
    records_init(&records, &bench->scratch, order, partitions, limit, "runs");
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

static void memory_failing_at_any_allocation_is_an_error_and_leaks_nothing(void **state)
{
    struct bench *bench = *state;
    struct order order = {SORT_KEY, false};
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
    struct order order = {SORT_KEY, false};
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
        "-123456789012345678901234567891\n", "-123456789012345678901234567890.5\n", "-12\n",
        "-1.50\n", "-1.5\t\n", "-0.001\n", "abc\n", ".00001\n", "0.0001\n", "1\n",
        "1.000000000000000000000001\n", "  2\n", "0010\n", "99999999999999999999999\n",
        "100000000000000000000000\n", "100000000000000000000000.1\n",
    };
    enum { COUNT = sizeof rising / sizeof *rising };
    struct order order = {SORT_NUMERIC, false};
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
        assert_int_equal(through_records(bench, prng, order, 1, 1 << 20, bytes, &file), ERROR_NONE);
        if (lines.count > 0) add(text, lines.at, lines.count);
        parts[i] =
            (struct part){.path = slice_string(path), .offset = start, .size = file.count - start};
        free(lines.at);
    }
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file.at, 1, file.count, out), file.count);
    fclose(out);
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
    FILE *file = fopen(path, "wb");
    fputs("a\nb\n", file);
    fclose(file);
    struct order order = {SORT_KEY, false};
    struct part part = {.path = slice_string(path), .offset = 2, .size = 3};
    struct text out = {0};
    char told[256];
    assert_int_equal(merge_files(bench, &order, &part, 1, 4096, &out), ERROR_NOT_FOUND);
    trouble_text(&bench->scratch.trouble, told, sizeof told);
    assert_non_null(strstr(told, "cannot read /tmp/test_mapreduce."));
    unlink(path);
    free(out.at);
}

static void a_last_line_without_its_newline_gets_one(void **state)
{
    struct bench *bench = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/parts", bench->path);
    FILE *file = fopen(path, "wb");
    fputs("a\nb", file);
    fclose(file);
    struct order order = {SORT_KEY, false};
    struct part parts[2] = {{.path = slice_string(path), .size = 3},
                            {.path = slice_string(path), .size = 1}};
    struct text out = {0};
    assert_int_equal(merge_files(bench, &order, parts, 2, 4096, &out), ERROR_NONE);
    assert_true(slice_equal(slice_of(out.at, out.count), slice_string("a\na\nb\n")));
    unlink(path);
    free(out.at);
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
    uint8_t block[256];
    ssize_t size = pread(output.file.fd, block, sizeof block, 0);
    assert_int_equal(size, 8 + 2 * PARTITIONED_INDEX_ITEM + 10);
    assert_int_equal(output.file.size, size);
    assert_int_equal(output_records(&output), 3);
    assert_int_equal(block[48], 2); /* the size of the second */
    static const uint8_t head[] = {'M', 'R', 'P', '1', 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0};
    assert_memory_equal(block, head, sizeof head);
    crypto_sodium.digest(slice_of(block, 88), &wanted);
    assert_memory_equal(&digest, &wanted, sizeof digest);
    crypto_sodium.digest(slice_of(block + 88, 8), &wanted);
    assert_memory_equal(block + 16, &wanted, sizeof wanted);
    crypto_sodium.digest(slice_string("c\n"), &wanted);
    assert_memory_equal(block + 56, &wanted, sizeof wanted);
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
    const char *why;
    return builtin_run(slice_string(name), is_map, &bench->scratch, (struct inflow){cut_next, &cut},
                       (struct outflow){add_take, out}, &why);
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
        cmocka_unit_test(numbers_compare_by_value_at_any_length),
        cmocka_unit_test_setup_teardown(merging_sorted_parts_is_sorting_all_lines, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(an_input_shorter_than_promised_is_told, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(a_last_line_without_its_newline_gets_one, open_bench,
                                        close_bench),
        cmocka_unit_test_setup_teardown(the_index_names_each_segment, open_bench, close_bench),
        cmocka_unit_test(reporter_lines_are_taken_however_they_are_cut),
        cmocka_unit_test(the_log_keeps_its_end_from_a_line_on),
        cmocka_unit_test(counters_beyond_the_cap_are_not_kept),
        cmocka_unit_test_setup_teardown(built_ins_do_not_care_where_bytes_are_cut, open_bench,
                                        close_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
