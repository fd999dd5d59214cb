/* The command line: where options may stand, what is refused, and with which exit code. */
#include "ctl/commands.h"
#include "ctl/exits.h"
#include "ctl/options.h"
#include "wire/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Parses a line of words (no quoting) with stderr into `said`. The line must outlive options. */
static int parse(struct options *options, char *line, char said[1024])
{
    char *words[64] = {"mrctl"}, *rest = NULL;
    static char *kept[64];
    int count = 1;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    memcpy(kept, words, sizeof kept);
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int code = options_parse(options, count, kept, commands_table);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t got = pread(fileno(file), said, 1023, 0);
    said[got < 0 ? 0 : got] = '\0';
    fclose(file);
    return code;
}

static void common_options_stand_before_and_after_the_command(void **state)
{
    (void)state;
    static const char *const lines[] = {"-n a:1 -o json status wc", "status -n a:1 -o json wc",
                                        "status wc -n a:1 --json", "--node=a:1 status wc -ojson",
                                        "--json status --node a:1 wc"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct options options;
        char said[1024], *line = strdup(lines[i]);
        assert_int_equal(parse(&options, line, said), EXIT_OK);
        assert_string_equal(options.command->name, "status");
        assert_string_equal(options.node, "a:1");
        assert_int_equal(options.output, OUTPUT_JSON);
        assert_int_equal(options.arguments.count, 1);
        assert_string_equal(options.arguments.items[0], "wc");
        options_deinit(&options);
        free(line);
    }
}

static void a_letter_means_what_its_command_says(void **state)
{
    (void)state;
    struct options options;
    char said[1024], run[] = "run -m cat -f one -f two -i in -e A=1 more",
                     logs[] = "logs -f -p wc --tail 3";
    assert_int_equal(parse(&options, run, said), EXIT_OK);
    assert_int_equal(options.files.count, 2);
    assert_string_equal(options.files.items[1], "two");
    assert_int_equal(options.inputs.count, 1);
    assert_int_equal(options.arguments.count, 1);
    assert_string_equal(options.environment.items[0], "A=1");
    options_deinit(&options);
    assert_int_equal(parse(&options, logs, said), EXIT_OK);
    assert_true(options.is_follow && options.is_previous);
    assert_int_equal(options.tail, 3);
    options_deinit(&options);
}

static void job_options_land_in_their_fields(void **state)
{
    (void)state;
    struct options options;
    char said[1024],
        line[] =
            "submit -m m -c c -r r -R 7 -O out --name n --split 2M --retries 9 --task-timeout 3s "
            "--ok-exit 0,1 --replicas 2 --sort numeric --overwrite --ack 3 --mem 64M -q -w "
            "--timeout 1m";
    assert_int_equal(parse(&options, line, said), EXIT_OK);
    assert_string_equal(options.combiner, "c");
    assert_int_equal(options.reduces, 7);
    assert_string_equal(options.output_name, "out");
    assert_int_equal(options.split_size, 2 << 20);
    assert_int_equal(options.retries, 9);
    assert_int_equal(options.task_timeout_ms, 3000);
    assert_int_equal(options.replicas, 2);
    assert_string_equal(options.sort, "numeric");
    assert_true(options.is_overwrite && options.is_quiet && options.is_watch);
    assert_int_equal(options.ack, 3);
    assert_int_equal(options.memory_size, 64 << 20);
    assert_int_equal(options.timeout_ms, 60000);
    options_deinit(&options);
}

static void mistakes_are_usage_errors_that_say_what(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "command is missing"},
        {"stauts", "did you mean status?"},
        {"run --maper x", "did you mean --mapper?"},
        {"run --maper=x", "did you mean --mapper?"},
        {"run -Z", "unknown option -Z"},
        {"run -m", "--mapper needs CMD"},
        {"status --node", "--node needs HOST:PORT"},
        {"status -o xml", "--output-format takes table|wide|json|name, not xml"},
        {"status --timeout 5x", "takes a duration"},
        {"run --split big", "takes a size"},
        {"run --retries 0", "a number from 1 to 255"},
        {"run -R -1", "a number from 0"},
        {"invite", "not in this version: command invite"},
        {"run -t", "--task needs CMD"},
        {"wait", "wait needs JOB"},
        {"wait a b", "too many words"},
        {"members x", "takes no arguments"},
        {"put a", "put needs PATH NAME"},
        {"-m cat run", "unknown option -m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        char said[1024], *line = strdup(cases[i][0]);
        assert_int_equal(parse(&options, line, said), EXIT_USAGE);
        if (strstr(said, cases[i][1]) == NULL) fail_msg("%s: said %s", cases[i][0], said);
        assert_non_null(strchr(said, '\n'));
        options_deinit(&options);
        free(line);
    }
}

static void help_and_version_need_no_command(void **state)
{
    (void)state;
    static const char *const lines[] = {"-h", "--help", "--version", "wait -h", "run --help"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct options options;
        char said[1024], *line = strdup(lines[i]);
        assert_int_equal(parse(&options, line, said), EXIT_OK);
        assert_true(options.is_help || options.is_version);
        options_deinit(&options);
        free(line);
    }
}

static void every_command_has_help_that_leads_with_examples(void **state)
{
    (void)state;
    for (const struct command *command = commands_table; command->name != NULL; command++) {
        if (command->summary == NULL) continue;
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);
        options_help(command, commands_table, file);
        fclose(file);
        assert_non_null(strstr(text, "Examples:\n  mrctl "));
        assert_non_null(strstr(text, command->name));
        free(text);
    }
}

static void the_environment_gives_node_and_key(void **state)
{
    (void)state;
    struct options options;
    char said[1024], plain[] = "status", given[] = "status -n b:2 --key-file k";
    setenv("MR_NODE", "a:1", 1);
    setenv("MR_KEY_FILE", "file", 1);
    assert_int_equal(parse(&options, plain, said), EXIT_OK);
    assert_string_equal(options.node, "a:1");
    assert_string_equal(options.key_file, "file");
    options_deinit(&options);
    assert_int_equal(parse(&options, given, said), EXIT_OK);
    assert_string_equal(options.node, "b:2");
    assert_string_equal(options.key_file, "k");
    options_deinit(&options);
    unsetenv("MR_NODE");
    unsetenv("MR_KEY_FILE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_options_stand_before_and_after_the_command),
        cmocka_unit_test(a_letter_means_what_its_command_says),
        cmocka_unit_test(job_options_land_in_their_fields),
        cmocka_unit_test(mistakes_are_usage_errors_that_say_what),
        cmocka_unit_test(help_and_version_need_no_command),
        cmocka_unit_test(every_command_has_help_that_leads_with_examples),
        cmocka_unit_test(the_environment_gives_node_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
