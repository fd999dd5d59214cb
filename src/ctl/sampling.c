/* Sampling from the asking side (sampling.h):
 *
 *   name the inputs -> submit the sampling job -> wait -> its output's one block = the cuts
 *   -> (the job proper is submitted) -> both names away
 *
 * The inputs need a name because nothing else refers to them between the end of the one job and the
 * submission of the other. */
#include "ctl/sampling.h"

#include "ctl/exits.h"
#include "ctl/follow.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "wire/kinds.h"

#include <stdio.h>
#include <stdlib.h>

static int name_inputs(struct job_draft *draft, struct session *session,
                       const struct dataset *dataset)
{
    struct wire_message reply;
    if (!dataset->is_owned) return EXIT_OK;
    snprintf(draft->inputs_name, sizeof draft->inputs_name, "%s.input", draft->name);
    struct msg_ask_name ask = {
        .name = slice_string(draft->inputs_name),
        .manifest = dataset->manifest,
        .size = dataset->size,
        .replicas = draft->spec.replicas,
        .overwrite = true,
    };
    keys_random(&ask.id, sizeof ask.id);
    session_ask(session, &wire_ask_name, &ask, SESSION_COPY_PATIENCE);
    return session_reply(session, MSG_say_ok, &reply);
}

/* What the sampling job is: the same map, a look at each split, one reduce that makes cuts. */
static void make_spec(const struct job_draft *draft, char reducer[32], struct msg_job_spec *spec)
{
    *spec = draft->spec;
    snprintf(reducer, 32, "@cuts %u", draft->spec.reduces);
    spec->combiner = slice_of(NULL, 0);
    spec->reducer = slice_string(reducer);
    spec->reduces = 1;
    spec->output = slice_of(NULL, 0);
    spec->partition = PARTITION_SAMPLE;
    spec->inputs_owned = false;
}

static int submit(struct job_draft *draft, struct session *session)
{
    char reducer[32], stem[JOB_NAME_SIZE];
    struct wire_message reply;
    struct msg_ask_submit ask = {.ack = 1};
    make_spec(draft, reducer, &ask.spec);
    snprintf(stem, sizeof stem, "%.40s-sample", draft->stem);
    ask.spec.name = slice_string(stem);
    keys_random(&ask.job, sizeof ask.job);
    session_ask(session, &wire_ask_submit, &ask, SESSION_COPY_PATIENCE);
    int code = session_reply(session, MSG_say_submitted, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_submitted *say = reply.fields;
    snprintf(draft->sample_name, sizeof draft->sample_name, "%.*s", (int)say->name.count,
             (const char *)say->name.at);
    return EXIT_OK;
}

/* The cuts are the job's one output block. */
static int take_cuts(struct job_draft *draft, struct session *session)
{
    struct msg_ask_dataset ask = {.name = slice_string(draft->sample_name)};
    struct wire_message reply;
    int code = session_call(session, &wire_ask_dataset, &ask, MSG_say_dataset, &reply);
    if (code != EXIT_OK) return code;
    const struct msg_say_dataset *say = reply.fields;
    if (say->blocks.count != 1) {
        notice_line("the sampling job %s made no cuts", draft->sample_name);
        return EXIT_JOB_FAILED;
    }
    const struct msg_dataset_block *block = say->blocks.at;
    draft->files[draft->spec.files.count++] =
        (struct msg_job_file){.name = slice_string(RANGES_FILE), .block = block->block.block};
    draft->has_ranges = true;
    return EXIT_OK;
}

bool sampling_is_needed(const struct job_draft *draft)
{
    return draft->spec.partition == PARTITION_RANGE && !draft->has_ranges;
}

int sampling_run(struct job_draft *draft, struct session *session, const struct dataset *dataset)
{
    if (!sampling_is_needed(draft)) return EXIT_OK;
    int code = name_inputs(draft, session, dataset);
    if (code == EXIT_OK) code = submit(draft, session);
    if (code != EXIT_OK) return code;
    struct followed followed;
    code = follow_job(session, draft->sample_name, true, &followed);
    followed_deinit(&followed);
    return code == EXIT_OK ? take_cuts(draft, session) : code;
}

void sampling_end(struct job_draft *draft, struct session *session)
{
    char *names[] = {draft->inputs_name, draft->sample_name};
    for (size_t i = 0; i < 2; i++) {
        struct msg_ask_unname ask = {.name = slice_string(names[i])};
        struct wire_message reply;
        if (*names[i] == '\0') continue;
        keys_random(&ask.id, sizeof ask.id);
        session_ask(session, &wire_ask_unname, &ask, SESSION_PATIENCE);
        int code = session_reply(session, MSG_say_ok, &reply);
        if (code != EXIT_OK && code != EXIT_NOT_FOUND)
            notice_line("dataset %s is still there (mrctl rm %s)", names[i], names[i]);
        *names[i] = '\0';
    }
}
