#include "sim/child.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HANG_AFTER_S = 300, /* of real time: far above what any run takes */
};

static void run(const struct sim_options *options, bool is_twice, struct sim_result *result)
{
    sim_run(options, result);
    if (!is_twice || !result->is_ok) return;
    struct sim_result again;
    sim_run(options, &again);
    if (again.digest == result->digest) return;
    result->is_ok = false;
    snprintf(result->violation, sizeof result->violation,
             "violated determinism: digest %016llx, and %016llx when run again",
             (unsigned long long)result->digest, (unsigned long long)again.digest);
}

bool child_start(struct child *child, const struct sim_options *options, bool is_twice)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    fflush(stdout);
    child->pid = fork();
    if (child->pid == 0) {
        struct sim_result result;
        close(ends[0]);
        alarm(HANG_AFTER_S);
        run(options, is_twice, &result);
        fflush(stdout);
        ssize_t written = write(ends[1], &result, sizeof result);
        _exit(written == (ssize_t)sizeof result ? 0 : 1);
    }
    close(ends[1]);
    child->pipe = ends[0];
    child->seed = options->seed;
    if (child->pid < 0) close(ends[0]);
    return child->pid > 0;
}

void child_end(struct child *child, struct sim_result *result)
{
    *result = (struct sim_result){0};
    size_t have = 0;
    while (have < sizeof *result) {
        ssize_t count = read(child->pipe, (char *)result + have, sizeof *result - have);
        if (count <= 0) break;
        have += (size_t)count;
    }
    close(child->pipe);
    int status = 0;
    waitpid(child->pid, &status, 0);
    child->pid = 0;
    if (have == sizeof *result) return;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    *result = (struct sim_result){.end = INSTANT_NEVER};
    snprintf(result->violation, sizeof result->violation,
             "violated assertion: the run ended by signal %d (%s)", number,
             number == SIGALRM ? "it hung" : strsignal(number));
}

void child_invariant(const struct sim_result *result, char name[INVARIANT_SIZE])
{
    static const char before[] = "violated ";
    *name = '\0';
    if (result->is_ok || strncmp(result->violation, before, sizeof before - 1) != 0) return;
    const char *word = result->violation + sizeof before - 1;
    size_t size = strcspn(word, " :");
    if (size >= INVARIANT_SIZE) size = INVARIANT_SIZE - 1;
    memcpy(name, word, size);
    name[size] = '\0';
}
