/* One trivial job after the other over one open connection, each from its submission until its
 * result is here, acknowledged and on two disks: latency [-c COMMAND] [-k KEY] HOST:PORT JOBS.
 * Prints a line: the median, the 99th percentile and the extremes, in milliseconds.
 * With -n TASKS: jobs of so many tasks over nothing (-c @true: built-in), each an attempt of its
 * own; tasks a second, from before the list of inputs is stored until the end is told. */
#include "ctl/exits.h"
#include "ctl/job_spec.h"
#include "ctl/keys.h"
#include "ctl/session.h"
#include "ctl/upload.h"
#include "wire/kinds.h"
#include "wire/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    MANIFEST_SIZE = 256,
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The job's one input, and the list of it. */
static void make_blocks(struct msg_small_block blocks[2], uint8_t bytes[MANIFEST_SIZE],
                        struct msg_block_ref *manifest)
{
    struct msg_manifest_block one = {.block = {.size = 2}};
    struct msg_text file = {slice_string("-")};
    struct msg_manifest list = {.files = {&file, 1}, .blocks = {&one, 1}};
    struct writer writer = writer_of(bytes, MANIFEST_SIZE);
    blocks[1].bytes = slice_string("x\n");
    crypto_sodium.digest(blocks[1].bytes, &one.block.digest);
    if (!wire_pack(&wire_manifest, &list, &writer)) abort();
    blocks[0].bytes = slice_of(bytes, writer.written);
    crypto_sodium.digest(blocks[0].bytes, &manifest->digest);
    manifest->size = writer.written;
}

static struct msg_job_spec make_spec(const char *command, uint32_t maps)
{
    return (struct msg_job_spec){.name = slice_string("latency"),
                                 .mapper = slice_string(command),
                                 .maps = maps,
                                 .retries = 1,
                                 .ok_exits = slice_of("", 1),
                                 .replicas = 3,
                                 .weight = 1,
                                 .inputs_owned = true};
}

/* The answer to a submission, then the end. False: it failed (said). */
static bool await_result(struct session *session)
{
    struct wire_message reply;
    int code = session_reply(session, MSG_say_submitted, &reply);
    char name[JOB_NAME_SIZE] = "";
    if (code == EXIT_OK) {
        struct slice told = ((const struct msg_say_submitted *)reply.fields)->name;
        snprintf(name, sizeof name, "%.*s", (int)told.count, (const char *)told.at);
    }
    struct msg_ask_result wait = {.job = slice_string(name)};
    if (code == EXIT_OK) session_ask(session, &wire_ask_result, &wait, SESSION_WATCH_PATIENCE);
    unsigned state = JOB_RUNNING;
    while (code == EXIT_OK && state == JOB_RUNNING) {
        code = session_reply(session, MSG_say_result, &reply);
        if (code == EXIT_OK) state = ((const struct msg_say_result *)reply.fields)->job.state;
    }
    session_complain(session, code);
    return code == EXIT_OK && state == JOB_DONE;
}

/* Submits, and waits for the result. */
static bool run_one(struct session *session, const char *command)
{
    uint8_t bytes[MANIFEST_SIZE];
    struct msg_small_block blocks[2];
    struct msg_ask_submit_small ask = {.ack = 2, .blocks = {blocks, 2}};
    keys_random(&ask.job, sizeof ask.job);
    ask.spec = make_spec(command, 1);
    make_blocks(blocks, bytes, &ask.spec.manifest);
    session_ask(session, &wire_ask_submit_small, &ask, SESSION_PATIENCE);
    return await_result(session);
}

/* The same of a job of many tasks, whose list of inputs is stored first. */
static bool run_many(struct session *session, const char *command, uint32_t tasks)
{
    struct msg_manifest_block *items = calloc(tasks, sizeof *items);
    struct msg_text file = {slice_string("-")};
    struct msg_manifest list = {.files = {&file, 1}, .blocks = {items, tasks}};
    struct msg_ask_submit_with ask = {.ack = 2};
    struct upload upload;
    if (items == NULL) return false;
    for (uint32_t i = 0; i < tasks; i++)
        crypto_sodium.digest(slice_string(""), &items[i].block.digest);
    size_t size = wire_packed_size(&wire_manifest, &list);
    uint8_t *bytes = malloc(size);
    struct writer writer = writer_of(bytes, size);
    if (bytes == NULL || !wire_pack(&wire_manifest, &list, &writer)) abort();
    keys_random(&ask.job, sizeof ask.job);
    ask.spec = make_spec(command, tasks);
    int code = upload_start(&upload, session);
    if (code == EXIT_OK) code = upload_block(&upload, slice_of(bytes, size), &ask.spec.manifest);
    if (code == EXIT_OK) code = upload_finish(&upload);
    if (code == EXIT_OK) ask.spec.manifest = upload.blocks[0];
    upload_stop(&upload);
    free(bytes);
    free(items);
    if (code != EXIT_OK) return false;
    session_ask(session, &wire_ask_submit_with, &ask, SESSION_PATIENCE);
    return await_result(session);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

int main(int count, char *arguments[])
{
    const char *command = "/bin/true";
    struct options options = {.is_quiet = true, .key_file = getenv("MR_KEY_FILE")};
    int tasks = 0;
    for (int option; (option = getopt(count, arguments, "c:k:n:")) != -1;) {
        if (option == '?') return EXIT_USAGE;
        if (option == 'c') command = optarg;
        else if (option == 'n') tasks = atoi(optarg);
        else options.key_file = optarg;
    }
    if (optind + 2 != count || !seal_init()) return EXIT_USAGE;
    options.node = arguments[optind];
    int jobs = atoi(arguments[optind + 1]);
    double *times = calloc((size_t)jobs + 1, sizeof *times);
    struct session *session;
    if (times == NULL || jobs < 1 || session_open(&session, &options) != EXIT_OK) return 1;
    for (int i = tasks > 0 ? 0 : -3; i < jobs; i++) { /* the first ones warm up */
        double begin = now_ms();
        bool is_done =
            tasks > 0 ? run_many(session, command, (uint32_t)tasks) : run_one(session, command);
        if (!is_done) return 1;
        if (i >= 0) times[i] = now_ms() - begin;
        usleep(20000);
    }
    session_close(session);
    qsort(times, (size_t)jobs, sizeof *times, compare);
    if (tasks > 0)
        printf("{\"tasks\": %d, \"tasks_per_s\": %.0f} ", tasks, tasks * 1e3 / times[jobs / 2]);
    printf("{\"jobs\": %d, \"min\": %.3f, \"median\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n", jobs,
           times[0], times[jobs / 2], times[(jobs * 99 - 1) / 100], times[jobs - 1]);
    free(times);
    return 0;
}
