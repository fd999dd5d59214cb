/* What mrctl asks: who answers it. Reading is answered at once (answers.c); what changes something,
 * or must wait for bytes or disks, becomes pending (pending.c). */
#include "node/logs.h"
#include "node/state.h"
#include "node/tags.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_PORT = 7437,
    VERIFY_MAX = 16,
};

void control_error(struct node *node, uint64_t stream, uint64_t request, uint8_t code,
                   const char *format, ...)
{
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    node_count(node, METRIC_requests_refused);
    struct msg_say_error reply = {.request = request, .code = code, .text = slice_string(text)};
    links_send(node, stream, &wire_say_error, &reply);
}

static void say_ok(struct node *node, uint64_t stream, uint64_t request, const char *text)
{
    struct msg_say_ok reply = {.request = request, .text = slice_string(text)};
    links_send(node, stream, &wire_say_ok, &reply);
}

static const char *spec_trouble(const struct msg_job_spec *spec)
{
    if (spec->maps == 0 || spec->maps > JOB_MAPS_MAX) return "a job has 1 to 1,000,000 maps";
    if (spec->reduces > 0 && spec->maps > JOB_MAPS_SHUFFLED_MAX)
        return "a job with reduces has at most 100,000 maps: choose a larger --split";
    if (spec->reduces > JOB_REDUCES_MAX) return "a job has at most 1,024 reduces (-R)";
    if (spec->mapper.count == 0) return "a job needs a mapper (-m)";
    if (spec->name.count == 0) return "a job needs a name";
    if (spec->replicas == 0) return "a job needs at least one replica";
    if (spec->retries == 0) return "a job needs at least one attempt (--retries 1)";
    return NULL;
}

/* An input that comes with the submission: the manifest, and all that it lists. */
static const char *smalls_trouble(struct node *node, const struct msg_ask_submit_small *ask)
{
    static const char other[] = "what came with the job is not its input";
    const struct msg_small_block *blocks = ask->blocks.at;
    struct arena *arena = &node->actions->arena;
    struct digest *digests = arena_take(arena, ask->blocks.count * sizeof *digests);
    struct msg_manifest manifest;
    struct wire_message message;
    if (digests == NULL || ask->blocks.count == 0) return other;
    for (uint32_t i = 0; i < ask->blocks.count; i++)
        node->crypto->digest(blocks[i].bytes, &digests[i]);
    struct slice list = blocks[0].bytes;
    if (!digest_equal(&digests[0], &ask->spec.manifest.digest)) return other;
    if (wire_unpack(&list, &message, arena) != NULL || message.type != MSG_manifest) return other;
    manifest = *(const struct msg_manifest *)message.fields;
    const struct msg_manifest_block *listed = manifest.blocks.at;
    if (list.count > 0 || manifest.blocks.count != ask->spec.maps) return other;
    for (uint32_t i = 0; i < manifest.blocks.count; i++) {
        uint32_t at = 0;
        while (at < ask->blocks.count && !digest_equal(&digests[at], &listed[i].block.digest)) at++;
        if (at == ask->blocks.count) return other;
        if (blocks[at].bytes.count != listed[i].block.size) return other;
    }
    return NULL;
}

static void submit(struct node *node, uint64_t stream, const struct wire_message *message)
{
    const struct msg_ask_submit_with *ask = message->fields; /* submit_small begins so */
    const char *trouble = spec_trouble(&ask->spec);
    if (trouble == NULL && message->type == MSG_ask_submit_small)
        trouble = smalls_trouble(node, message->fields);
    if (ask->terms.verify > VERIFY_MAX) trouble = "at most 16 copies are compared (--verify)";
    if (trouble != NULL) control_error(node, stream, ask->request, CODE_USAGE, "%s", trouble);
    else if (node->storage_waits != ERROR_NONE)
        control_error(node, stream, ask->request, CODE_NO_PEER,
                      "this node's disk is full: ask another");
    else pending_add(node, stream, message);
}

/* A submission without terms of its own is one on the usual terms. */
static void submit_usual(struct node *node, uint64_t stream, const struct msg_ask_submit *ask)
{
    struct msg_ask_submit_with with = {
        .request = ask->request, .job = ask->job, .ack = ask->ack, .spec = ask->spec};
    struct wire_message message = {&wire_ask_submit_with, MSG_ask_submit_with, &with};
    submit(node, stream, &message);
}

static void kill_job(struct node *node, uint64_t stream, const struct msg_ask_kill *ask)
{
    const struct job *job = answers_find_job(node, stream, ask->request, ask->job);
    char text[128];
    if (job == NULL) return;
    snprintf(text, sizeof text, "killed %s", job->name);
    if (job->outcome != JOB_RUNNING) {
        snprintf(text, sizeof text, "%s has ended already: %s", job->name,
                 job_outcome_text(job->outcome));
    } else {
        struct msg_ended ended = {.job = job->id,
                                  .outcome = JOB_KILLED,
                                  .cause = CAUSE_KILLED,
                                  .wall_ms = node_wall_ms(node),
                                  .text = slice_string("killed by request")};
        (void)!node_append(node, &wire_ended, &ended, NULL);
        node_commit(node); /* nothing of it starts in this step any more (S6) */
    }
    say_ok(node, stream, ask->request, text);
}

static void join(struct node *node, uint64_t stream, const struct msg_ask_join *ask)
{
    char host[256];
    if (ask->host.count == 0 || memchr(ask->host.at, '\0', ask->host.count) != NULL) {
        control_error(node, stream, ask->request, CODE_USAGE, "join needs HOST:PORT");
        return;
    }
    snprintf(host, sizeof host, "%.*s", (int)ask->host.count, (const char *)ask->host.at);
    struct address address;
    char with_port[270];
    snprintf(with_port, sizeof with_port, "%s:%d", host, DEFAULT_PORT);
    if (address_parse(host, &address) || address_parse(with_port, &address)) {
        links_join(node, &address, false);
    } else {
        char *copy = arena_take(&node->actions->arena, strlen(host) + 1);
        if (copy == NULL) return;
        memcpy(copy, host, strlen(host) + 1);
        struct action *action = actions_push(node->actions, ACTION_RESOLVE);
        action->resolve.token = node->token_next++;
        action->resolve.host = copy;
    }
    say_ok(node, stream, ask->request, "joining");
}

void control_unknown(struct node *node, const struct link *link, struct slice packed)
{
    enum {
        FIRST = MSG_ask_members,
        LAST = 255 /* of what mrctl and its peer say: messages.def */
    };
    uint64_t type, request;
    bool is_whole = wire_peek(packed, &type, &request);
    if (!is_whole || type < FIRST || type > LAST || wire_schema((unsigned)type) != NULL) return;
    node_count(node, METRIC_requests);
    control_error(node, link->stream, request, CODE_UNKNOWN,
                  "this node (version %s) does not know request %u: it is older than who asks",
                  MR_VERSION, (unsigned)type);
}

void control_request(struct node *node, struct link *link, const struct wire_message *message)
{
    node_count(node, METRIC_requests);
    uint64_t stream = link->stream;
    if (leave_refuses(node, stream, message)) return;
    switch (message->type) {
    case MSG_ask_members: answers_members(node, stream, message->fields); break;
    case MSG_ask_tags: tags_answer(node, stream, message->fields); break;
    case MSG_ask_jobs: answers_jobs(node, stream, message->fields); break;
    case MSG_ask_tasks: answers_tasks(node, stream, message->fields); break;
    case MSG_ask_explain: answers_explain(node, stream, message->fields); break;
    case MSG_ask_rotate:
    case MSG_ask_keys:
    case MSG_ask_key_drop: keyring_asked(node, stream, message); break;
    case MSG_ask_tail: logs_ask_tail(node, stream, message->fields); break;
    case MSG_ask_times: times_answer(node, stream, message->fields); break;
    case MSG_ask_sightings: sightings_answer(node, stream, message->fields); break;
    case MSG_ask_logs: logs_answer(node, stream, message->fields); break;
    case MSG_ask_counters: answers_counters(node, stream, message->fields); break;
    case MSG_ask_final: final_answer(node, stream, message->fields); break;
    case MSG_ask_info: answers_info(node, stream, message->fields); break;
    case MSG_ask_log: chronicle_answer(node, stream, message->fields); break;
    case MSG_ask_submit: submit_usual(node, stream, message->fields); break;
    case MSG_ask_submit_with:
    case MSG_ask_submit_small: submit(node, stream, message); break;
    case MSG_ask_name:
    case MSG_ask_unname:
    case MSG_ask_wait:
    case MSG_ask_result:
    case MSG_ask_names:
    case MSG_ask_dataset: pending_add(node, stream, message); break;
    case MSG_ask_retry: steer_task(node, stream, message->fields); break;
    case MSG_ask_resume: steer_resume(node, stream, message->fields); break;
    case MSG_ask_drain: steer_drain(node, stream, message->fields); break;
    case MSG_ask_kill: kill_job(node, stream, message->fields); break;
    case MSG_ask_join: join(node, stream, message->fields); break;
    case MSG_ask_leave:
    case MSG_ask_leave_now:
        leave_begin(node, message->type == MSG_ask_leave_now);
        pending_add(node, stream, message);
        break;
    case MSG_ask_forget: {
        const struct msg_ask_forget *ask = message->fields;
        const char *name = standing_forget(node, stream, ask);
        if (name != NULL) say_ok(node, stream, ask->request, name);
        break;
    }
    default: node_count(node, METRIC_requests_refused); break;
    }
}
