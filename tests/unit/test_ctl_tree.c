/* Names of files that come out of the flock stay below the directory they are written to. */
#include "ctl/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const good[] = {"a",       "a/b",      "..a", "a..", "...",
                                       ".hidden", "a/.b/c d", "a/",  "a/b/"};
    static const char *const bad[] = {"",      "/",      "/a",    "..",  ".",  "../a",
                                      "a/..",  "a/../b", "a//b",  "a//", "//", "../",
                                      "a/../", "./a",    "a/./b", "a/."};
    char longest[300];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(tree_is_safe(slice_string(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tree_is_safe(slice_string(bad[i])));
    assert_false(tree_is_safe(slice_of("a\0b", 3)));
    memset(longest, 'x', sizeof longest);
    assert_true(tree_is_safe(slice_of(longest, 255)));
    assert_false(tree_is_safe(slice_of(longest, 256)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_lead_elsewhere_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
