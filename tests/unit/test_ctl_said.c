/* What attempts said, printed in whole lines (ctl/said.h): into a file, which is then read. */
#include "ctl/said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int kept_stdout;
static FILE *sheet;

static int redirect(void **state)
{
    (void)state;
    sheet = tmpfile();
    kept_stdout = dup(STDOUT_FILENO);
    fflush(stdout);
    return sheet == NULL || dup2(fileno(sheet), STDOUT_FILENO) < 0;
}

static int restore(void **state)
{
    (void)state;
    fflush(stdout);
    dup2(kept_stdout, STDOUT_FILENO);
    close(kept_stdout);
    return fclose(sheet);
}

static void is_printed(const char *expected)
{
    char text[8192] = "";
    fflush(stdout);
    ssize_t size = pread(fileno(sheet), text, sizeof text - 1, 0);
    assert_true(size >= 0);
    assert_string_equal(text, expected);
}

static const struct id one = {{1}}, other = {{2}};

static void pieces_become_lines(void **state)
{
    (void)state;
    struct saids saids;
    saids_init(&saids);
    struct said *a = saids_get(&saids, "j/m0.1", &one), *b = saids_get(&saids, "j/m1.1", &one);
    said_more(a, slice_string("al"));
    said_more(b, slice_string("beta\ngam"));
    said_more(a, slice_string("pha\n\n"));
    said_end(b, slice_string("beta\ngamma\n"), true);
    said_end(a, slice_string("alpha\n\nlast"), true);
    is_printed("j/m1.1: beta\nj/m0.1: alpha\nj/m0.1: \nj/m1.1: gamma\nj/m0.1: last\n");
    saids_deinit(&saids);
}

static void a_log_without_its_beginning_goes_on_behind_what_was_printed(void **state)
{
    (void)state;
    struct saids saids;
    saids_init(&saids);
    struct said *a = saids_get(&saids, "j/m0.1", &one);
    said_more(a, slice_string("one\ntwo\n"));
    said_end(a, slice_string("e\none\ntwo\nthree\n"), false);
    is_printed("j/m0.1: one\nj/m0.1: two\nj/m0.1: three\n");
    saids_deinit(&saids);
}

/* Two nodes claimed the task at once: both attempts are the first, and one of them is stopped. */
static void the_end_of_a_rival_is_not_the_end_of_the_other(void **state)
{
    (void)state;
    struct saids saids;
    saids_init(&saids);
    struct said *stopped = saids_get(&saids, "j/m0.1", &one);
    said_end(stopped, slice_string(""), true);
    struct said *runs = saids_get(&saids, "j/m0.1", &other);
    assert_ptr_not_equal(runs, stopped);
    assert_false(runs->is_over);
    assert_ptr_equal(saids_get(&saids, "j/m0.1", &one), stopped);
    saids_deinit(&saids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_become_lines, redirect, restore),
        cmocka_unit_test_setup_teardown(a_log_without_its_beginning_goes_on_behind_what_was_printed,
                                        redirect, restore),
        cmocka_unit_test_setup_teardown(the_end_of_a_rival_is_not_the_end_of_the_other, redirect,
                                        restore),
    };
    return cmocka_run_group_tests_name("said", tests, NULL, NULL);
}
