#include "sim/child.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HANG_AFTER_S = 300, /* of real time: far above what any run takes */
    RUNS_MAX = 25,      /* of a process: little is left of what a new one costs */
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

static bool send_all(int socket, const void *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t count = send(socket, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        if (count <= 0) return false;
        sent += (size_t)count;
    }
    return true;
}

static bool receive_all(int socket, void *bytes, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t count = read(socket, (char *)bytes + have, size - have);
        if (count <= 0) return false;
        have += (size_t)count;
    }
    return true;
}

/* The process: from the order that it was made for to the last. */
static void serve(int socket, struct child_order order)
{
    struct sim_result result;
    do {
        alarm(HANG_AFTER_S);
        run(&order.options, order.is_twice, &result);
        alarm(0);
        fflush(stdout);
        if (!send_all(socket, &result, sizeof result)) _exit(1);
    } while (receive_all(socket, &order, sizeof order));
    _exit(0);
}

static bool begin_process(struct child *child)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    fflush(stdout);
    child->runs = 0;
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        serve(ends[1], child->order);
    }
    close(ends[1]);
    child->socket = ends[0];
    if (child->pid > 0) return true;
    close(ends[0]);
    child->pid = 0;
    return false;
}

/* Its status, once it has ended. By shutdown, not by close: later processes have the same end. */
static int end_process(struct child *child)
{
    int status = 0;
    shutdown(child->socket, SHUT_RDWR);
    close(child->socket);
    waitpid(child->pid, &status, 0);
    child->pid = 0;
    return status;
}

bool child_start(struct child *child, const struct sim_options *options, bool is_twice)
{
    assert(!child->is_busy);
    bool is_shown = options->is_verbose || options->digest_every > 0; /* and so not run again */
    memset(&child->order, 0, sizeof child->order);
    child->order.options = *options;
    child->order.is_twice = is_twice;
    if (is_shown || child->runs == RUNS_MAX) child_stop(child);
    if (child->pid > 0 && !send_all(child->socket, &child->order, sizeof child->order))
        child_stop(child);
    if (child->pid == 0 && !begin_process(child)) return false;
    child->runs++;
    child->is_busy = true;
    return true;
}

/* Who died at once says the same by itself; who did not was perhaps spoilt by the runs before. */
static void run_alone(const struct child *child, struct sim_result *result)
{
    struct child fresh = {0};
    struct sim_result alone;
    if (!child_start(&fresh, &child->order.options, child->order.is_twice)) return;
    child_end(&fresh, &alone);
    child_stop(&fresh);
    if (!alone.is_ok) {
        *result = alone;
        return;
    }
    size_t size = strlen(result->violation);
    snprintf(result->violation + size, sizeof result->violation - size,
             " (not in a process of its own: other seeds ran in it before)");
}

void child_end(struct child *child, struct sim_result *result)
{
    assert(child->is_busy);
    child->is_busy = false;
    *result = (struct sim_result){0};
    bool is_whole = receive_all(child->socket, result, sizeof *result);
    if (is_whole && result->is_ok) return;
    int status = end_process(child);
    if (!is_whole) {
        int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        *result = (struct sim_result){.end = INSTANT_NEVER};
        snprintf(result->violation, sizeof result->violation,
                 "violated assertion: the run ended by signal %d (%s)", number,
                 number == SIGALRM ? "it hung" : strsignal(number));
    }
    if (child->runs > 1) run_alone(child, result);
}

void child_stop(struct child *child)
{
    assert(!child->is_busy);
    if (child->pid > 0) (void)end_process(child);
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
