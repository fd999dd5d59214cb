/* Bags of tasks on the asking side: replacement strings, job logs, which commands are left; and
 * which commands need no shell. */
#include "ctl/bag.h"
#include "ctl/exits.h"
#include "ctl/expand.h"
#include "ctl/joblog.h"
#include "mapreduce/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void expands(const char *command, const char *argument, const char *wanted)
{
    char *text = expand_command(command, argument, 7);
    assert_string_equal(text, wanted);
    free(text);
}

static void replacement_strings_are_gnu_parallels(void **state)
{
    (void)state;
    expands("wc {}", "a/b.tar.gz", "wc a/b.tar.gz");
    expands("{.}", "a/b.tar.gz", "a/b.tar");
    expands("x {/} {//} {/.}", "a/b.c", "x b.c a b");
    expands("x {//}", "/b", "x /");
    expands("x {.}", "a.d/b", "x a.d/b");
    expands("x {.}", ".bashrc", "x .bashrc");
    expands("x {#}{}", "y", "x 7y");
    expands("x {2} {", "y", "x {2} { y");
}

static void what_a_shell_would_read_is_quoted(void **state)
{
    (void)state;
    expands("echo", "a b", "echo 'a b'");
    expands("echo {}", "it's", "echo 'it'\\''s'");
    expands("echo {}", "", "echo ''");
    expands("echo {}", "$(rm x);", "echo '$(rm x);'");
    expands("{}", "$(rm x);", "$(rm x);");
}

static void plain_commands_need_no_shell(void **state)
{
    struct plain plain;
    (void)state;
    plain_split(&plain, "/bin/echo  a -b c=d ");
    assert_string_equal(plain.words[0], "/bin/echo");
    assert_string_equal(plain.words[3], "c=d");
    assert_null(plain.words[4]);
    const char *others[] = {
        "echo a",      "/bin/echo $x", "/bin/a|/bin/b", "/bin/x 'y'",     "",         "  ",
        "A=/b /bin/x", "/bin/x *",     "/bin/x ~",      "/bin/x\n/bin/y", "/bin/x #y"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        plain_split(&plain, others[i]);
        assert_null(plain.words[0]);
    }
}

static void a_job_log_reads_what_it_wrote(void **state)
{
    (void)state;
    char path[] = "/tmp/mr-joblog.XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    joblog_head(file);
    joblog_put(file, &(struct joblog_row){2, "h", 1500, 250000, 3, 4, 0, "false\tx"});
    joblog_put(file, &(struct joblog_row){1, "h", 1500, 250000, 3, 0, 0, "true"});
    joblog_put(file, &(struct joblog_row){2, "h", 1500, 250000, 3, 0, 9, "false\tx"});
    fclose(file);
    struct joblog joblog;
    assert_int_equal(joblog_read(&joblog, path), EXIT_OK);
    assert_int_equal(joblog.count, 3);
    assert_true(joblog_has(&joblog, 1) && joblog_has(&joblog, 2) && !joblog_has(&joblog, 3));
    assert_string_equal(joblog.lines[2].command, "false\tx");
    assert_int_equal(joblog.lines[2].signal, 9);
    assert_true(joblog.lines[2].is_last && !joblog.lines[1].is_last && joblog.lines[0].is_last);
    joblog_deinit(&joblog);
    unlink(path);
    assert_int_equal(joblog_read(&joblog, path), EXIT_OK);
    assert_int_equal(joblog.count, 0);
    joblog_deinit(&joblog);
}

static void a_bag_leaves_out_what_the_log_has(void **state)
{
    (void)state;
    char path[] = "/tmp/mr-joblog.XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    joblog_put(file, &(struct joblog_row){2, "h", 0, 0, 0, 0, 0, "echo b"});
    fclose(file);
    const char *words[] = {"a", "b", "c"};
    struct options options = {.task = "echo", .joblog = path, .is_resume = true};
    options.has_task_arguments = true;
    options.task_arguments = (struct words){words, 3};
    struct bag bag;
    assert_int_equal(bag_read(&bag, &options), EXIT_OK);
    assert_int_equal(bag.count, 2);
    assert_int_equal(bag.finished, 1);
    assert_string_equal(bag.lines[1].command, "echo c");
    assert_int_equal(bag.lines[1].sequence, 3);
    assert_null(bag_find(&bag, 2));
    assert_string_equal(bag_find(&bag, 3)->argument, "c");
    bag_deinit(&bag);
    unlink(path);
}

static void few_commands_get_a_block_each_many_share_one(void **state)
{
    (void)state;
    static char text[] = "0123456789";
    struct bag_line lines[4000];
    struct bag bag = {.lines = lines, .count = 100};
    for (size_t i = 0; i < 4000; i++) lines[i] = (struct bag_line){.command = text};
    assert_int_equal(bag_split_size(&bag, 8, 0), 1);
    bag.count = 4000;
    uint64_t size = bag_split_size(&bag, 8, 0);
    assert_true(size > 20 * 10 && size < 40 * 20);
    assert_int_equal(bag_split_size(&bag, 8, 1), 1);
    assert_true(bag_split_size(&bag, 1, 0) <= 256 * 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replacement_strings_are_gnu_parallels),
        cmocka_unit_test(what_a_shell_would_read_is_quoted),
        cmocka_unit_test(plain_commands_need_no_shell),
        cmocka_unit_test(a_job_log_reads_what_it_wrote),
        cmocka_unit_test(a_bag_leaves_out_what_the_log_has),
        cmocka_unit_test(few_commands_get_a_block_each_many_share_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
