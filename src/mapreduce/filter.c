/* Judging how a command ended: done, to be tried again, or an error of the user's. */
#include "mapreduce/attempt.h"
#include "mapreduce/bag.h"
#include "mapreduce/builtin.h"
#include "mapreduce/command.h"
#include "mapreduce/sample.h"
#include "wire/kinds.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

enum {
    EXIT_NO_COMMAND = 127
}; /* as the shell says it */

static enum error judge(struct attempt *attempt, const char *role, enum task_outcome outcome,
                        uint32_t status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static enum error judge(struct attempt *attempt, const char *role, enum task_outcome outcome,
                        uint32_t status, const char *format, ...)
{
    struct verdict *verdict = &attempt->verdict;
    verdict->outcome = (uint8_t)outcome;
    verdict->status = status;
    int used = 0;
    if (role != NULL) used = snprintf(verdict->text, sizeof verdict->text, "%s: ", role);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->text + used, sizeof verdict->text - (size_t)used, format, arguments);
    va_end(arguments);
    return ERROR_INVALID;
}

static bool is_ok_exit(const struct msg_task_spec *spec, int status)
{
    if (status == 0) return true;
    return spec->ok_exits.count > 0 &&
           memchr(spec->ok_exits.at, status, spec->ok_exits.count) != NULL;
}

static enum error judge_excess(struct attempt *attempt, const char *role, enum guard_excess excess)
{
    double mib = (double)attempt->guard.found / (1 << 20);
    if (excess == GUARD_DISK)
        return judge(attempt, role, OUTCOME_OUTPUT_TOO_BIG, 0,
                     "killed: it was filling the disk (%.0f MiB)", mib);
    return judge(attempt, role, OUTCOME_SIGNALED, 128u + SIGKILL,
                 "killed: its processes used %.0f MiB of memory, %.0f MiB are allowed%s", mib,
                 (double)attempt->guard.memory_max / (1 << 20),
                 attempt->spec->memory_size > 0 ? " (--mem)" : "");
}

static enum error judge_end(struct attempt *attempt, const char *role,
                            const struct command_end *end)
{
    if (end->excess != GUARD_NONE) return judge_excess(attempt, role, end->excess);
    if (end->is_too_big) {
        unsigned long long max = attempt->spec->output_size_max;
        return judge(attempt, role, OUTCOME_OUTPUT_TOO_BIG, 0, "output larger than %llu bytes",
                     max);
    }
    if (WIFSIGNALED(end->status)) {
        int signal = WTERMSIG(end->status);
        const char *name = sigabbrev_np(signal);
        return judge(attempt, role, OUTCOME_SIGNALED, 128u + (uint32_t)signal,
                     "killed by signal %d (%s%s)", signal, name == NULL ? "" : "SIG",
                     name == NULL ? "unnamed" : name);
    }
    assert(WIFEXITED(end->status));
    int status = WEXITSTATUS(end->status);
    if (is_ok_exit(attempt->spec, status)) return ERROR_NONE;
    if (status == EXIT_AGAIN)
        return judge(attempt, role, OUTCOME_AGAIN, EXIT_AGAIN, "exit status 75: try again");
    return judge(attempt, role, OUTCOME_EXITED, (uint32_t)status, "exit status %d", status);
}

static enum error run_command(struct attempt *attempt, struct slice command, const char *role,
                              struct inflow in, struct outflow out)
{
    char text[4097];
    assert(command.count < sizeof text);
    if (command.count > 0) memcpy(text, command.at, command.count);
    text[command.count] = '\0';
    if (strlen(text) != command.count)
        return judge(attempt, role, OUTCOME_EXITED, EXIT_NO_COMMAND,
                     "the command holds a NUL byte");
    struct command run = {
        .text = text,
        .directory = attempt->directory,
        .environment = attempt->environment,
        .output_size_max = attempt->spec->output_size_max,
        .report = &attempt->report,
        .scratch = &attempt->scratch,
        .confine = attempt->confine,
        .guard = &attempt->guard,
    };
    struct command_end end;
    enum error error = command_run(&run, in, out, &end);
    bool is_map = role == NULL && attempt->spec->kind == TASK_MAP;
    attempt->place = (struct place){true, is_map, end.read_size, end.mark};
    return error == ERROR_NONE ? judge_end(attempt, role, &end) : error;
}

/* The reduce of a sampling job. */
static enum error run_cuts(struct attempt *attempt, uint32_t ranges, struct inflow in,
                           struct outflow out)
{
    struct sample sample;
    enum error error = sample_init(&sample, &attempt->scratch, &attempt->shuffle.order,
                                   attempt->shuffle.fields, SAMPLE_KEYS_OF_CUTS);
    if (error != ERROR_NONE) return error;
    while (error == ERROR_NONE) {
        struct slice bytes;
        error = watch_check(&attempt->watch);
        if (error == ERROR_NONE) error = in.next(in.context, &bytes);
        if (error != ERROR_NONE || bytes.count == 0) break;
        error = sample_take(&sample, bytes);
    }
    sample_end(&sample);
    if (error == ERROR_NONE) error = sample_pour_cuts(&sample, ranges, out);
    sample_deinit(&sample);
    return error;
}

enum error filter_run(struct attempt *attempt, struct slice command, bool is_map, const char *role,
                      struct inflow in, struct outflow out)
{
    if (is_map && bag_is_meant(command)) return bag_run(attempt, command, in, out);
    uint32_t ranges = is_map ? 0 : sample_cuts_meant(command);
    if (ranges > 0) return run_cuts(attempt, ranges, in, out);
    if (!builtin_is_meant(command) && command.count > 0)
        return run_command(attempt, command, role, in, out);
    char why[BUILTIN_WHY_SIZE];
    struct slice name = command.count > 0 ? command : slice_string("@cat");
    enum error error = builtin_run(name, is_map, &attempt->scratch, in, out, why);
    if (error != ERROR_INVALID) return error;
    return judge(attempt, role, OUTCOME_EXITED, 1, "%s", why);
}
