/* run, submit, wait, kill: jobs from the asking side.
 *
 *   run:  inputs -> blocks at one peer -> ask_submit -> ask_wait
 *         -> the output's blocks -> stdout -> ask_unname
 *
 * A submission carries the job's id, so asking again is harmless. When the peer that took the
 * blocks dies before others have copies, the submission fails elsewhere, and what is on no living
 * node is uploaded once more, if it can be read once more (resume.c). */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/bag.h"
#include "ctl/chain.h"
#include "ctl/dataset.h"
#include "ctl/download.h"
#include "ctl/exits.h"
#include "ctl/follow.h"
#include "ctl/job_spec.h"
#include "ctl/keys.h"
#include "ctl/local.h"
#include "ctl/notice.h"
#include "ctl/sampling.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUBMISSIONS_MAX = 4
}; /* each after the loss of a peer */

/* A job under way from options to an id. */
struct submission {
    struct job_draft draft;
    struct inputs inputs;
    struct words input_words; /* -i and the words behind the command */
    const char **words;       /* owned */
    struct dataset_plan plan;
    struct dataset dataset;
};

static void collect_inputs(struct submission *submission, const struct options *options)
{
    size_t count = options->inputs.count + options->arguments.count;
    submission->words = calloc(count + 1, sizeof *submission->words);
    if (submission->words == NULL) notice_no_memory();
    for (size_t i = 0; i < options->inputs.count; i++)
        submission->words[i] = options->inputs.items[i];
    for (size_t i = 0; i < options->arguments.count; i++)
        submission->words[options->inputs.count + i] = options->arguments.items[i];
    submission->input_words = (struct words){submission->words, count};
}

/* Everything that can be checked without the flock. submission_deinit is due either way. */
static int submission_init(struct submission *submission, const struct options *options)
{
    memset(submission, 0, sizeof *submission);
    int code = job_draft_init(&submission->draft, options);
    collect_inputs(submission, options);
    if (code == EXIT_OK)
        code = inputs_open(&submission->inputs, &submission->input_words, !options->is_no_input);
    return code;
}

static void submission_deinit(struct submission *submission)
{
    inputs_deinit(&submission->inputs);
    free(submission->words);
}

/* A wanted name that is taken is found before gigabytes are sent. The flock checks again. */
static int check_output(struct session *session, const struct options *options)
{
    struct msg_name_row row;
    if (options->output_name == NULL || options->is_overwrite) return EXIT_OK;
    int code = dataset_find(session, options->output_name, &row);
    if (code == EXIT_NOT_FOUND) return EXIT_OK;
    if (code != EXIT_OK) return code;
    notice_line("output %s exists; remove it (mrctl rm), use --overwrite or another -O",
                options->output_name);
    return EXIT_CONFLICT;
}

static int store_inputs(struct session *session, struct submission *submission,
                        const struct options *options)
{
    struct dataset_plan *plan = &submission->plan;
    *plan = (struct dataset_plan){.inputs = &submission->inputs,
                                  .split_size = options->split_size,
                                  .files = &options->files,
                                  .records = options->records,
                                  .copies = submission->draft.spec.replicas,
                                  .is_shuffled = submission->draft.spec.reduces > 0,
                                  .may_keep = !sampling_is_needed(&submission->draft)};
    if (options->bag != NULL)
        plan->split_size = bag_split_size(options->bag, session_slots(session), options->bunch);
    return dataset_make(&submission->dataset, session, plan);
}

/* Submits what is stored. *is_lost: that failed, and a peer that had some of it has gone. */
static int submit_once(struct session *session, struct submission *submission,
                       const struct options *options, bool *is_lost)
{
    const struct dataset *dataset = &submission->dataset;
    struct wire_message reply;
    job_draft_set_inputs(&submission->draft, dataset);
    int code = sampling_run(&submission->draft, session, dataset);
    *is_lost = code == EXIT_NO_PEER && dataset_is_lost(dataset, session, code);
    if (code != EXIT_OK) return code;
    struct msg_ask_submit_with ask = {.job = submission->draft.id,
                                      .ack = (uint8_t)options->ack,
                                      .spec = submission->draft.spec,
                                      .terms = submission->draft.terms};
    struct msg_ask_submit_small small = {
        .job = ask.job,
        .ack = ask.ack,
        .spec = ask.spec,
        .terms = ask.terms,
        .blocks = {dataset->smalls, (uint32_t)dataset->smalls_count}};
    if (dataset->smalls_count > 0)
        session_ask(session, &wire_ask_submit_small, &small, SESSION_COPY_PATIENCE);
    else session_ask(session, &wire_ask_submit_with, &ask, SESSION_COPY_PATIENCE);
    code = session_reply(session, MSG_say_submitted, &reply);
    *is_lost = dataset_is_lost(dataset, session, code);
    if (code != EXIT_OK) return *is_lost ? code : session_complain(session, code);
    const struct msg_say_submitted *say = reply.fields;
    size_t count = say->name.count < JOB_NAME_SIZE - 1 ? say->name.count : JOB_NAME_SIZE - 1;
    if (count > 0) memcpy(submission->draft.name, say->name.at, count);
    if (count > 0) submission->draft.name[count] = '\0';
    if (say->acks < options->ack && !options->is_quiet)
        notice_line("only %s %s the job on disk", plural(say->acks, "node").text,
                    say->acks == 1 ? "has" : "have");
    return EXIT_OK;
}

static int submission_send(struct submission *submission, struct session *session,
                           const struct options *options)
{
    int code = check_output(session, options);
    bool is_lost = false;
    if (code == EXIT_OK) code = store_inputs(session, submission, options);
    if (code != EXIT_OK) return code;
    code = submit_once(session, submission, options, &is_lost);
    for (unsigned i = 1; i < SUBMISSIONS_MAX && is_lost; i++) {
        code = dataset_mend(&submission->dataset);
        if (code == EXIT_OK) code = submit_once(session, submission, options, &is_lost);
        else is_lost = false;
    }
    if (is_lost) session_complain(session, code);
    /* Who has waited long enough, or was interrupted, may have submitted it. */
    if (code == EXIT_OK) dataset_used(&submission->dataset, session);
    else if (code != EXIT_TIMED_OUT && code != EXIT_INTERRUPTED)
        dataset_forget(&submission->dataset, session);
    dataset_deinit(&submission->dataset);
    sampling_end(&submission->draft, session);
    return code;
}

int jobs_submit(const struct options *options, struct session **session, char *name)
{
    struct submission *submission = malloc(sizeof *submission);
    if (submission == NULL) notice_no_memory();
    *session = NULL;
    int code = submission_init(submission, options);
    if (code == EXIT_OK) code = session_open(session, options);
    if (code == EXIT_OK) code = submission_send(submission, *session, options);
    memcpy(name, submission->draft.name, JOB_NAME_SIZE);
    submission_deinit(submission);
    free(submission);
    return code;
}

static bool is_bag(const struct options *options)
{
    return options->task != NULL || options->is_retry_failed;
}

int mrctl_submit(const struct options *options)
{
    if (options->is_local) {
        notice_line("--local is for run: its node ends with the command");
        return EXIT_USAGE;
    }
    if (options->spec != NULL) return chain_command(options, false);
    if (is_bag(options)) return mrctl_bag(options, false);
    struct session *session;
    char name[JOB_NAME_SIZE];
    int code = jobs_submit(options, &session, name);
    if (code == EXIT_OK) {
        printf("%s\n", name);
        code = commands_flush();
    }
    if (code == EXIT_OK && options->is_watch) {
        struct followed followed;
        code = follow_job(session, name, true, &followed);
        followed_deinit(&followed);
    }
    session_close(session);
    return code;
}

int jobs_remove_output(struct session *session, const char *name)
{
    struct msg_ask_unname ask = {.name = slice_string(name)};
    struct wire_message reply;
    keys_random(&ask.id, sizeof ask.id);
    /* Who has just given us all of it takes that down, too, before anything that it is asked later:
     * what is printed waits for no disk. */
    if (session_tell(session, &wire_ask_unname, &ask)) return EXIT_OK;
    int code = session_reply(session, MSG_say_ok, &reply);
    if (code == EXIT_OK || code == EXIT_NOT_FOUND) return EXIT_OK;
    notice_line("the result was printed, but dataset %s is still there (mrctl rm %s): %s", name,
                name, session_error(session));
    return EXIT_OK;
}

/* The result to stdout, then its name away unless the user chose it. */
static int print_output(struct session *session, const struct options *options,
                        const struct followed *followed)
{
    char output[256];
    const struct msg_job_row *row = &followed->row;
    struct slice name = row->output.count > 0 ? row->output : row->name;
    snprintf(output, sizeof output, "%.*s", (int)name.count, (const char *)name.at);
    int code = followed->is_whole ? download_parts(session, &followed->parts, STDOUT_FILENO)
                                  : download_dataset(session, output, STDOUT_FILENO);
    if (code != EXIT_OK) {
        notice_line("the result is kept: mrctl cat %s", output);
        return code;
    }
    return options->output_name == NULL ? jobs_remove_output(session, output) : EXIT_OK;
}

static int run(const struct options *options)
{
    if (options->spec != NULL) return chain_command(options, true);
    if (is_bag(options)) return mrctl_bag(options, true);
    struct session *session;
    char name[JOB_NAME_SIZE];
    int code = jobs_submit(options, &session, name);
    if (code == EXIT_OK) {
        struct followed followed;
        if (!options->is_quiet) notice_line("job %s", name);
        code = follow_result(session, name, &followed);
        if (code == EXIT_OK) code = print_output(session, options, &followed);
        followed_deinit(&followed);
    }
    session_close(session);
    return code;
}

int mrctl_run(const struct options *options)
{
    struct local local;
    struct options with;
    if (!options->is_local) return run(options);
    int code = local_begin(&local, options, &with);
    if (code != EXIT_OK) return code;
    code = run(&with);
    local_end(&local);
    return code;
}

int mrctl_wait(const struct options *options)
{
    struct session *session;
    struct followed followed;
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    code = follow_job(session, options->arguments.items[0], false, &followed);
    followed_deinit(&followed);
    session_close(session);
    return code;
}

int mrctl_kill(const struct options *options)
{
    struct session *session;
    int worst = session_open(&session, options);
    for (size_t i = 0; session != NULL && i < options->arguments.count; i++) {
        struct msg_ask_kill ask = {.job = slice_string(options->arguments.items[i])};
        struct wire_message reply;
        int code = session_call(session, &wire_ask_kill, &ask, MSG_say_ok, &reply);
        if (code != EXIT_OK) worst = code;
        if (code == EXIT_NO_PEER || code == EXIT_TIMED_OUT) break;
        if (code != EXIT_OK || options->is_quiet) continue;
        const struct msg_say_ok *say = reply.fields;
        notice_line("%.*s", (int)say->text.count, (const char *)say->text.at);
    }
    session_close(session);
    return worst;
}
