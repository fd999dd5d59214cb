/* What people type, and what they read: durations, sizes, typos, names, tables. */
#include "ctl/connection.h"
#include "ctl/job_spec.h"
#include "ctl/quantity.h"
#include "ctl/suggest.h"
#include "ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void durations_are_read_in_all_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"500ms", 500},   {"5s", 5000}, {"2m", 120000}, {"1h", 3600000},
                {"1d", 86400000}, {"7", 7000},  {"0s", 0}};
    uint64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(quantity_parse_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void bad_durations_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "s",
                                      "-1s",
                                      "1.5s",
                                      "5 s",
                                      " 5s",
                                      "5x",
                                      "5ss",
                                      "1m5s",
                                      "+3s",
                                      "0x10",
                                      "1e3s",
                                      "99999999999999999999s",
                                      "18446744073709551615d"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(quantity_parse_duration(bad[i], &ms));
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},           {"1", 1},
                {"64K", 65536},     {"16M", 16777216},
                {"1G", 1 << 30},    {"2KiB", 2048},
                {"3kB", 3072},      {"5B", 5},
                {"1T", 1ull << 40}, {"18446744073709551615", UINT64_MAX}};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(quantity_parse_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
}

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "1.5M",
                                      "1 M",
                                      "1Mi",
                                      "1MBB",
                                      "1X",
                                      "0x40",
                                      "16E",
                                      "18446744073709551616",
                                      "16777216T"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(quantity_parse_size(bad[i], &bytes));
}

static void quantities_are_short(void **state)
{
    (void)state;
    char text[QUANTITY_TEXT_SIZE];
    assert_string_equal(quantity_duration_text(999, text), "999ms");
    assert_string_equal(quantity_duration_text(12345, text), "12.3s");
    assert_string_equal(quantity_duration_text(187000, text), "3m07s");
    assert_string_equal(quantity_duration_text(7500000, text), "2h05m");
    assert_string_equal(quantity_duration_text(100 * 3600000ull, text), "4d04h");
    (void)quantity_duration_text(UINT64_MAX, text);
    assert_string_equal(quantity_size_text(1023, text), "1023");
    assert_string_equal(quantity_size_text(1024, text), "1.0K");
    assert_string_equal(quantity_size_text(1536 * 1024, text), "1.5M");
    assert_string_equal(quantity_size_text(1024 * 1024 - 1, text), "1023.9K");
    assert_string_equal(quantity_size_text(UINT64_MAX, text), "15.9E");
}

static void a_swap_is_one_edit(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("status", "status"), 0);
    assert_int_equal(suggest_distance("stauts", "status"), 1);
    assert_int_equal(suggest_distance("statu", "status"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("abc", ""), 3);
}

static const char *suggestion(const char *typed)
{
    static const char *const words[] = {"run", "submit", "status", "members", "rm", "ls", "put"};
    struct suggest suggest = {.typed = typed};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) suggest_offer(&suggest, words[i]);
    return suggest.best;
}

static void a_typo_gets_the_nearest_word(void **state)
{
    (void)state;
    assert_string_equal(suggestion("sumbit"), "submit");
    assert_string_equal(suggestion("statsu"), "status");
    assert_string_equal(suggestion("mem"), "members");
    assert_string_equal(suggestion("rnu"), "run");
    assert_null(suggestion("frobnicate"));
    assert_null(suggestion("x"));
}

static void jobs_are_named_after_their_command(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/usr/bin/wc -l", "wc"},
        {"@sort", "sort"},
        {"A=1 B=2 ./map.py x", "map"},
        {"plugin.so:count", "plugin"},
        {"tr -cs A-Za-z '\\n'", "tr"},
        {"", "job"},
        {"  ", "job"},
        {"GREP x", "grep"},
        {"cat|wc", "cat"},
        {"$(x)", "job"},
        {"...", "job"},
        {"A=1", "job"},
    };
    char stem[JOB_NAME_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        job_name_stem(cases[i][0], stem);
        assert_string_equal(stem, cases[i][1]);
        assert_true(strlen(stem) > 0 && strlen(stem) < JOB_NAME_SIZE - 5);
    }
}

static void exit_codes_are_a_list(void **state)
{
    (void)state;
    uint8_t exits[64];
    size_t count;
    assert_true(job_parse_exits("0,1,75", exits, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(exits, "\0\1\113", 3);
    assert_true(job_parse_exits("255", exits, &count));
    assert_int_equal(count, 1);
    static const char *const bad[] = {"", ",", "0,", ",0", "256", "-1", "a", "0 1", "00000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(job_parse_exits(bad[i], exits, &count));
}

static void addresses_have_a_default_port(void **state)
{
    (void)state;
    static const char *const good[][3] = {
        {"host", "host", "7437"},
        {"host:1", "host", "1"},
        {"10.0.0.7:65535", "10.0.0.7", "65535"},
        {"[::1]:80", "::1", "80"},
        {"[::1]", "::1", "7437"},
        {"fe80::1", "fe80::1", "7437"},
    };
    static const char *const bad[] = {"",        ":80",  "host:",  "host:0", "host:65536",
                                      "host:8o", "[::1", "[::1]x", "[]:1"};
    char host[CONNECTION_ADDRESS_SIZE], port[8];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(connection_parse(good[i][0], host, port));
        assert_string_equal(host, good[i][1]);
        assert_string_equal(port, good[i][2]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(connection_parse(bad[i], host, port));
}

static void tables_align_and_show_no_control_characters(void **state)
{
    (void)state;
    static const char *const header[] = {"NAME", ">SIZE", "NOTE", NULL};
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    struct table table;
    table_init(&table, header);
    table_bytes(&table, slice_string("\xc3\xa9t\xc3\xa9"));
    table_cell(&table, "%d", 12345);
    table_cell(&table, "%s", "");
    table_bytes(&table, slice_string("a\033[31m"));
    table_cell(&table, "%d", 7);
    table_cell(&table, "x\ny");
    table_print(&table, file);
    table_deinit(&table);
    fclose(file);
    assert_string_equal(text, "NAME     SIZE  NOTE\n"
                              "\xc3\xa9t\xc3\xa9     12345  -\n"
                              "a?[31m      7  x?y\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_in_all_units),
        cmocka_unit_test(bad_durations_are_refused),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(quantities_are_short),
        cmocka_unit_test(a_swap_is_one_edit),
        cmocka_unit_test(a_typo_gets_the_nearest_word),
        cmocka_unit_test(jobs_are_named_after_their_command),
        cmocka_unit_test(exit_codes_are_a_list),
        cmocka_unit_test(addresses_have_a_default_port),
        cmocka_unit_test(tables_align_and_show_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
