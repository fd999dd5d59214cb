/* run -t, submit -t, joblog: bags of tasks. The commands are made here and sent as lines of a
 * map-only job (@each); its output tells what became of each, and is printed in the order of the
 * list once the job has ended (docs/decisions/0008). */
#include "ctl/commands.h"

#include "base/plural.h"
#include "ctl/bag.h"
#include "ctl/exits.h"
#include "ctl/follow.h"
#include "ctl/job_spec.h"
#include "ctl/joblog.h"
#include "ctl/notice.h"
#include "ctl/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct printing {
    const struct options *options;
    const struct bag *bag; /* NULL: of a job submitted earlier */
    FILE *joblog;
    uint8_t ok_exits[64];
    size_t ok_count;
    uint64_t seen, failed;
};

enum {
    FAILED_SHOWN = 20
}; /* of them a line is printed each: what is wrong with the rest shows in --joblog */

static bool is_ok(const struct printing *printing, const struct msg_line_ended *ended)
{
    if (ended->signal != 0) return false;
    if (ended->status == 0) return true;
    return ended->status < 256 && printing->ok_count > 0 &&
           memchr(printing->ok_exits, (int)ended->status, printing->ok_count) != NULL;
}

static void put_joblog(FILE *file, const struct result *result)
{
    char host[65];
    struct slice name = result->begun.host, command = result->begun.command;
    snprintf(host, sizeof host, "%.*s", (int)name.count, (const char *)name.at);
    char *text = strndup((const char *)command.at, command.count);
    if (text == NULL) notice_no_memory();
    struct joblog_row row = {result->begun.sequence,   host,         result->begun.started_ms,
                             result->ended.elapsed_us, result->size, result->ended.status,
                             result->ended.signal,     text};
    joblog_put(file, &row);
    free(text);
}

/* What a failed command says on stderr stands above this line. */
static void say_failed(const struct printing *printing, const struct result *result)
{
    char tries[32] = "", end[64];
    const struct msg_line_ended *ended = &result->ended;
    struct slice host = result->begun.host, command = result->begun.command;
    if (printing->options->is_quiet || printing->failed > FAILED_SHOWN) return;
    if (ended->tries > 1) snprintf(tries, sizeof tries, " after %u tries", ended->tries);
    if (ended->signal != 0) snprintf(end, sizeof end, "killed by signal %u", ended->signal);
    else snprintf(end, sizeof end, "exit status %u", ended->status);
    notice_line("command %llu failed on %.*s%s: %s: %.*s%s",
                (unsigned long long)result->begun.sequence, (int)host.count, (const char *)host.at,
                tries, end, command.count > 200 ? 200 : (int)command.count,
                (const char *)command.at, command.count > 200 ? "..." : "");
}

static void visit(void *context, const struct result *result)
{
    struct printing *printing = context;
    const struct bag_line *line = bag_find(printing->bag, result->begun.sequence);
    const char *tag = printing->options->is_tag && line != NULL ? line->argument : NULL;
    printing->seen++;
    if (!is_ok(printing, &result->ended)) printing->failed++;
    results_print(result, 1, tag, stdout);
    results_print(result, 2, tag, stderr);
    if (!is_ok(printing, &result->ended)) say_failed(printing, result);
    if (printing->joblog != NULL) put_joblog(printing->joblog, result);
}

/* ---- run, submit ---- */

static int open_joblog(const struct options *options, FILE **file)
{
    bool goes_on = options->is_resume || options->is_retry_failed;
    *file = options->joblog == NULL ? NULL : fopen(options->joblog, goes_on ? "ae" : "we");
    if (options->joblog == NULL) return EXIT_OK;
    if (*file == NULL) {
        notice_line("%s: %s", options->joblog, strerror(errno));
        return EXIT_USAGE;
    }
    if (!goes_on || ftell(*file) == 0) joblog_head(*file);
    return EXIT_OK;
}

static int close_joblog(FILE *file, int code)
{
    if (file == NULL || fclose(file) == 0 || code != EXIT_OK) return code;
    notice_line("the job log can't be written: %s", strerror(errno));
    return EXIT_JOB_FAILED;
}

static int print_results(struct session *session, struct printing *printing, const char *name,
                         const struct followed *followed)
{
    const struct options *options = printing->options;
    const char *output = options->output_name != NULL ? options->output_name : name;
    const struct list *parts = followed->is_whole ? &followed->parts : NULL;
    int code = results_each(session, output, parts, printing, visit);
    int written = commands_flush();
    if (code == EXIT_OK && written != EXIT_OK) code = written;
    if (code == EXIT_OK && printing->seen != printing->bag->count) {
        notice_line("of %s the results of %llu are there",
                    plural(printing->bag->count, "command").text,
                    (unsigned long long)printing->seen);
        code = EXIT_PARTIAL;
    }
    if (code != EXIT_OK || options->output_name != NULL) return code;
    return jobs_remove_output(session, output);
}

/* The job's options: the user's, with the list as its input. */
static struct options job_options(const struct options *options, const struct bag *bag,
                                  const char **input, char mapper[24], char name[JOB_NAME_SIZE])
{
    struct options job = *options;
    snprintf(mapper, 24, "@each %u", options->retries == 0 ? 1 : options->retries);
    job_name_stem(bag->lines[0].command, name);
    job.mapper = mapper;
    if (job.job_name == NULL) job.job_name = name;
    job.inputs = (struct words){input, 1};
    job.arguments.count = 0;
    job.retries = 0; /* of a block: the usual; a command's own are in the mapper */
    job.bag = bag;
    return job;
}

static int run_bag(const struct options *options, const struct bag *bag, struct printing *printing,
                   bool waits)
{
    struct session *session = NULL;
    struct followed followed = {0};
    char name[JOB_NAME_SIZE], stem[JOB_NAME_SIZE], mapper[24], path[64];
    const char *input = path;
    int fd, code = bag_write(bag, &fd);
    snprintf(path, sizeof path, "file:/proc/self/fd/%d", fd);
    struct options job = job_options(options, bag, &input, mapper, stem);
    if (code == EXIT_OK) code = jobs_submit(&job, &session, name);
    if (fd >= 0) close(fd);
    if (code == EXIT_OK && !waits) printf("%s\n", name);
    if (code == EXIT_OK && !waits) code = commands_flush();
    if (code == EXIT_OK && waits && !options->is_quiet)
        notice_line("job %s: %s", name, plural(bag->count, "command").text);
    if (code == EXIT_OK && waits) code = follow_result(session, name, &followed);
    else if (code == EXIT_OK && options->is_watch)
        code = follow_job(session, name, true, &followed);
    if (code == EXIT_OK && waits) code = print_results(session, printing, name, &followed);
    followed_deinit(&followed);
    session_close(session);
    return code;
}

int mrctl_bag(const struct options *options, bool waits)
{
    struct bag bag;
    struct printing printing = {.options = options, .bag = &bag};
    int code = bag_read(&bag, options);
    bool is_good = options->ok_exits == NULL ||
                   job_parse_exits(options->ok_exits, printing.ok_exits, &printing.ok_count);
    if (code == EXIT_OK && !is_good) {
        notice_line("--ok-exit takes exit codes as 0,1, not %s", options->ok_exits);
        code = EXIT_USAGE;
    }
    if (code == EXIT_OK && waits) code = open_joblog(options, &printing.joblog);
    if (code == EXIT_OK && bag.finished > 0 && !options->is_quiet)
        notice_line("already in %s: %s", options->joblog, plural(bag.finished, "command").text);
    if (code == EXIT_OK && bag.count > 0) code = run_bag(options, &bag, &printing, waits);
    code = close_joblog(printing.joblog, code);
    bag_deinit(&bag);
    if (code != EXIT_OK || printing.failed == 0) return code;
    if (!options->is_quiet)
        notice_line("%llu of %s failed%s", (unsigned long long)printing.failed,
                    plural(printing.seen, "command").text,
                    options->joblog == NULL ? "; --joblog FILE lists all, and --retry-failed runs "
                                              "them again"
                                            : "");
    return EXIT_JOB_FAILED;
}

/* ---- joblog ---- */

static void visit_joblog(void *context, const struct result *result)
{
    put_joblog(context, result);
}

int mrctl_joblog(const struct options *options)
{
    struct session *session;
    struct followed followed;
    int code = session_open(&session, options);
    if (code != EXIT_OK) return code;
    code = follow_job(session, options->arguments.items[0], false, &followed);
    char output[256];
    struct slice name = followed.row.output;
    snprintf(output, sizeof output, "%.*s", (int)name.count, (const char *)name.at);
    if (code == EXIT_OK) joblog_head(stdout);
    if (code == EXIT_OK) code = results_each(session, output, NULL, stdout, visit_joblog);
    followed_deinit(&followed);
    session_close(session);
    int written = commands_flush();
    return code == EXIT_OK ? written : code;
}
