/* Chains from the asking side. A stage is the options of a `mrctl submit`, read by the same table
 * as a command line: what can be said there can be said here, and is checked by the same code. All
 * stages are checked before the first one starts.
 *
 *   stage 1 -> NAME.first -> stage 2 -> NAME.rank.1 -> NAME.rank.2 -> ... -> stage n -> its output
 *
 * What lies between two stages goes when the second is done. If a stage fails it stays, for its
 * input is then worth something, and the message says where. The chain lives in mrctl: when that
 * dies, the job at hand goes on, and no further one starts. */
#include "ctl/chain.h"

#include "ctl/chain_file.h"
#include "ctl/commands.h"
#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/follow.h"
#include "ctl/job_spec.h"
#include "ctl/keys.h"
#include "ctl/notice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OUTPUT_NAME_SIZE = 256
};

struct chain {
    const struct options *options; /* of the command line */
    struct chain_file file;
    struct options stages[CHAIN_STAGES_MAX];
    size_t stages_count; /* parsed: to be freed */
    char **argv[CHAIN_STAGES_MAX];
    char name[JOB_NAME_SIZE]; /* what intermediate outputs begin with */
    char
        input[OUTPUT_NAME_SIZE + 8]; /* "data:..." of the stage at hand; "" = the first one's own */
    unsigned runs;                   /* jobs that ended well so far */
};

/* ---- the stages' options ---- */

/* The common options are the command line's: whom to ask, how much to say. */
static void inherit(struct options *stage, const struct options *options)
{
    stage->node = options->node;
    stage->key_file = options->key_file;
    stage->timeout_ms = options->timeout_ms;
    stage->is_quiet = options->is_quiet;
    stage->is_verbose = options->is_verbose;
    stage->is_no_input = options->is_no_input;
    stage->is_bar = options->is_bar;
    stage->is_overwrite |= options->is_overwrite;
}

static int at_line(const struct chain *chain, const struct chain_stage *stage, const char *text)
{
    notice_line("%s:%u: in stage %s: %s", chain->file.path, stage->line, stage->name, text);
    return EXIT_USAGE;
}

/* Each option by itself, so that a wrong one is told with its line. */
static int check_options(const struct chain *chain, const struct chain_stage *stage)
{
    for (size_t w = 0; w < stage->words_count; w += 2) {
        struct options alone;
        char *argv[] = {"mrctl", "submit", stage->words[w], stage->words[w + 1], NULL};
        int code = options_parse(&alone, 4, argv, commands_table);
        bool is_flag = alone.arguments.count > 0;
        options_deinit(&alone);
        if (code == EXIT_OK && !is_flag) continue;
        notice_line("%s:%u: %s", chain->file.path, stage->lines[w + 1],
                    code == EXIT_OK ? "this option has no place in a chain"
                                    : "that is the option meant");
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* The file's defaults, then the stage's own words: the last one of an option counts. */
static int parse_stage(struct chain *chain, size_t i)
{
    const struct chain_stage *stage = &chain->file.stages[i], *defaults = &chain->file.defaults;
    size_t count = 0;
    int code = check_options(chain, defaults);
    if (code == EXIT_OK) code = check_options(chain, stage);
    if (code != EXIT_OK) return code;
    char **argv = calloc(defaults->words_count + stage->words_count + 4, sizeof *argv);
    if (argv == NULL) notice_no_memory();
    chain->argv[i] = argv;
    argv[count++] = "mrctl";
    argv[count++] = "submit";
    for (size_t w = 0; w < defaults->words_count; w++) argv[count++] = defaults->words[w];
    for (size_t w = 0; w < stage->words_count; w++) argv[count++] = stage->words[w];
    struct options *options = &chain->stages[i];
    code = options_parse(options, (int)count, argv, commands_table);
    chain->stages_count = i + 1;
    if (code != EXIT_OK) return at_line(chain, stage, "its options do not go together");
    if (options->mapper == NULL) return at_line(chain, stage, "mapper is missing");
    if (i > 0 && options->inputs.count > 0)
        return at_line(chain, stage, "its input is the output of the stage before: drop input");
    if (i == 0 && chain->options->inputs.count > 0) {
        free(options->inputs.items);
        size_t size = (chain->options->inputs.count + 1) * sizeof *options->inputs.items;
        options->inputs.items = malloc(size);
        if (options->inputs.items == NULL) notice_no_memory();
        memcpy(options->inputs.items, chain->options->inputs.items,
               size - sizeof *options->inputs.items);
        options->inputs.count = chain->options->inputs.count;
    }
    inherit(options, chain->options);
    struct job_draft *draft = malloc(sizeof *draft); /* only to check what can be checked now */
    if (draft == NULL) notice_no_memory();
    code = job_draft_init(draft, options);
    free(draft);
    return code == EXIT_OK ? EXIT_OK : at_line(chain, stage, "its options do not go together");
}

static int check_command_line(const struct options *options)
{
    if (options->mapper == NULL && options->reducer == NULL && options->combiner == NULL &&
        options->task == NULL && options->arguments.count == 0)
        return EXIT_OK;
    notice_line("with --spec the jobs are in the file: -m, -c, -r, -t and words have no place");
    return EXIT_USAGE;
}

static int chain_init(struct chain *chain, const struct options *options)
{
    uint8_t digits[2];
    chain->options = options;
    int code = check_command_line(options);
    if (code == EXIT_OK && !chain_file_read(&chain->file, options->spec)) code = EXIT_USAGE;
    for (size_t i = 0; i < chain->file.count && code == EXIT_OK; i++) code = parse_stage(chain, i);
    keys_random(digits, sizeof digits);
    snprintf(chain->name, sizeof chain->name, "%s-%02x%02x",
             *chain->file.name != '\0' ? chain->file.name : "chain", digits[0], digits[1]);
    return code;
}

static void chain_deinit(struct chain *chain)
{
    for (size_t i = 0; i < chain->stages_count; i++) {
        options_deinit(&chain->stages[i]);
        free(chain->argv[i]);
    }
    chain_file_free(&chain->file);
}

/* ---- running ---- */

static const char *final_name(const struct chain *chain)
{
    if (chain->options->output_name != NULL) return chain->options->output_name;
    return *chain->file.output != '\0' ? chain->file.output : NULL;
}

/* What `until` counts. False, and said: it can't be had. */
static bool ask_counter(struct session *session, const char *job, const struct chain_test *test,
                        uint64_t *value)
{
    struct msg_ask_counters ask = {.job = slice_string(job)};
    struct wire_message reply;
    *value = 0; /* what nobody counted */
    if (session_call(session, &wire_ask_counters, &ask, MSG_say_counters, &reply) != EXIT_OK)
        return false;
    const struct msg_say_counters *say = reply.fields;
    const struct msg_counter *counters = say->counters.at;
    for (uint32_t i = 0; i < say->counters.count; i++)
        if (slice_equal(counters[i].group, slice_string(test->group)) &&
            slice_equal(counters[i].name, slice_string(test->name)))
            *value = counters[i].value;
    return true;
}

/* The output that was read goes; the one just made is what the next stage reads. */
static void move_on(struct chain *chain, struct session *session, const char *output)
{
    if (*chain->input != '\0') (void)jobs_remove_output(session, chain->input + strlen("data:"));
    snprintf(chain->input, sizeof chain->input, "data:%s", output);
    chain->runs++;
}

static void prepare_run(struct chain *chain, size_t i, uint32_t round, bool is_last,
                        struct options *run, const char *words[1], char output[OUTPUT_NAME_SIZE])
{
    const struct chain_stage *stage = &chain->file.stages[i];
    *run = chain->stages[i];
    if (*chain->input != '\0') {
        words[0] = chain->input;
        run->inputs = (struct words){words, 1};
    }
    run->job_name = *chain->file.name != '\0' ? chain->file.name : stage->name;
    if (stage->is_repeat)
        snprintf(output, OUTPUT_NAME_SIZE, "%s.%s.%u", chain->name, stage->name, round);
    else snprintf(output, OUTPUT_NAME_SIZE, "%s.%s", chain->name, stage->name);
    run->output_name = is_last ? final_name(chain) : output;
}

/* One job of the chain, to its end. */
static int run_job(struct chain *chain, size_t i, uint32_t round, bool is_last, bool *is_over)
{
    const struct chain_stage *stage = &chain->file.stages[i];
    struct options run;
    struct session *session;
    struct followed followed = {0};
    const char *words[1];
    char output[OUTPUT_NAME_SIZE], name[JOB_NAME_SIZE];
    prepare_run(chain, i, round, is_last && !stage->has_test, &run, words, output);
    int code = jobs_submit(&run, &session, name);
    if (code == EXIT_OK && !run.is_quiet)
        notice_line("stage %s%s: job %s", stage->name, stage->is_repeat ? " again" : "", name);
    if (code == EXIT_OK) code = follow_job(session, name, true, &followed);
    uint64_t value;
    if (code == EXIT_OK && stage->has_test) {
        if (!ask_counter(session, name, &stage->test, &value)) code = EXIT_JOB_FAILED;
        else *is_over = chain_test_holds(&stage->test, value);
        if (code == EXIT_OK && !run.is_quiet)
            notice_line("stage %s: %s,%s = %llu%s", stage->name, stage->test.group,
                        stage->test.name, (unsigned long long)value, *is_over ? ": enough" : "");
    }
    if (code == EXIT_OK) {
        struct slice made = followed.row.output;
        snprintf(output, sizeof output, "%.*s", (int)made.count, (const char *)made.at);
        move_on(chain, session, output);
    }
    followed_deinit(&followed);
    session_close(session);
    return code;
}

static int run_stage(struct chain *chain, size_t i)
{
    const struct chain_stage *stage = &chain->file.stages[i];
    bool is_over = false, is_last_stage = i + 1 == chain->file.count;
    int code = EXIT_OK;
    for (uint32_t round = 1; round <= stage->times && code == EXIT_OK && !is_over; round++)
        code = run_job(chain, i, round, is_last_stage && round == stage->times, &is_over);
    if (code != EXIT_OK)
        notice_line("stage %s did not end well, so the chain stops%s%s", stage->name,
                    *chain->input == '\0' ? "" : "; its input is kept: mrctl cat ",
                    *chain->input == '\0' ? "" : chain->input + strlen("data:"));
    return code;
}

/* The last stage's output gets the wanted name, if its job did not give it that. */
static int name_result(struct chain *chain, struct session *session)
{
    const char *made = chain->input + strlen("data:"), *wanted = final_name(chain);
    struct msg_name_row row;
    struct wire_message reply;
    if (wanted == NULL || strcmp(made, wanted) == 0) return EXIT_OK;
    int code = dataset_find(session, made, &row);
    if (code != EXIT_OK) return code;
    struct msg_ask_name ask = {.name = slice_string(wanted),
                               .manifest = row.manifest,
                               .size = row.size,
                               .replicas = (uint8_t)row.replicas_wanted,
                               .overwrite = chain->options->is_overwrite};
    keys_random(&ask.id, sizeof ask.id);
    code = session_call(session, &wire_ask_name, &ask, MSG_say_ok, &reply);
    if (code != EXIT_OK) return code;
    code = jobs_remove_output(session, made);
    snprintf(chain->input, sizeof chain->input, "data:%s", wanted);
    return code;
}

static int finish(struct chain *chain, bool prints_result)
{
    struct session *session;
    int code = session_open(&session, chain->options);
    if (code == EXIT_OK) code = name_result(chain, session);
    const char *made = chain->input + strlen("data:");
    if (code == EXIT_OK && !prints_result) {
        printf("%s\n", made);
        code = commands_flush();
    } else if (code == EXIT_OK) {
        code = download_dataset(session, made, STDOUT_FILENO);
        if (code != EXIT_OK) notice_line("the result is kept: mrctl cat %s", made);
        else if (final_name(chain) == NULL) code = jobs_remove_output(session, made);
    }
    session_close(session);
    return code;
}

/* A wanted name that is taken is found before the first stage runs, not after the last one. */
static int check_result(const struct chain *chain)
{
    struct session *session;
    struct msg_name_row row;
    const char *wanted = final_name(chain);
    if (wanted == NULL || chain->options->is_overwrite) return EXIT_OK;
    int code = session_open(&session, chain->options);
    if (code != EXIT_OK) return code;
    code = dataset_find(session, wanted, &row);
    session_close(session);
    if (code == EXIT_NOT_FOUND) return EXIT_OK;
    if (code != EXIT_OK) return code;
    notice_line("output %s exists; remove it (mrctl rm), use --overwrite or another -O", wanted);
    return EXIT_CONFLICT;
}

int chain_visit(const struct options *options, void *context,
                int (*visit)(void *context, const struct chain_step *step))
{
    struct chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) notice_no_memory();
    int code = chain_init(chain, options);
    for (size_t i = 0; i < chain->file.count && code == EXIT_OK; i++) {
        bool is_last = i + 1 == chain->file.count;
        struct chain_step step = {.name = chain->file.stages[i].name,
                                  .options = &chain->stages[i],
                                  .times = chain->file.stages[i].times,
                                  .output = is_last ? final_name(chain) : NULL,
                                  .is_first = i == 0};
        code = visit(context, &step);
    }
    chain_deinit(chain);
    free(chain);
    return code;
}

int chain_command(const struct options *options, bool prints_result)
{
    struct chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) notice_no_memory();
    int code = chain_init(chain, options);
    if (code == EXIT_OK) code = check_result(chain);
    for (size_t i = 0; i < chain->file.count && code == EXIT_OK; i++) code = run_stage(chain, i);
    if (code == EXIT_OK) code = finish(chain, prints_result);
    chain_deinit(chain);
    free(chain);
    return code;
}
