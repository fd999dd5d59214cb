/* Why nothing survives: as PR_SET_CHILD_SUBREAPER (watch.c) every descendant whose parent dies
 * becomes our child, and the kernel knows our children (/proc/self/task/TID/children, proc(5)). We
 * stop each before we look at its children, so it can neither fork meanwhile nor reap them (a pid
 * read there stays valid), and repeat until waitpid says that there is none. */
#include "mapreduce/process.h"

#include "mapreduce/plain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIPE_SIZE = 256 * 1024, /* of stdin and stdout: a fourth of the system calls */
    DEPTH_MAX = 32,         /* deeper descendants move up when those above are gone */
    EXIT_NO_SHELL = 127,
};

/* ---- starting ---- */

static void usual_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < NSIG; signal++) (void)sigaction(signal, &usual, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A pipe's end as descriptor 0, 1 or 2. Ours are all above 2 (open_pipe sees to it). */
static bool take_place(int fd, int place) { return dup2(fd, place) == place; }

/* In the child, until it is another program. words: of a command that needs no shell; else NULL. */
static _Noreturn void become(const char *command, char *const words[], const char *directory,
                             char *const environment[], const int ends[3], pid_t parent)
{
    struct rlimit no_core = {0, 0};
    char *const arguments[] = {"sh", "-c", (char *)command, NULL};
    usual_signals();
    (void)umask(077);
    bool is_ready = setsid() >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
                    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    setrlimit(RLIMIT_CORE, &no_core) == 0 && take_place(ends[2], 2) &&
                    take_place(ends[1], 1) && take_place(ends[0], 0) && chdir(directory) == 0 &&
                    close_range(3, ~0u, 0) == 0;
    if (is_ready && words[0] != NULL) (void)execve(words[0], words, environment);
    if (is_ready) (void)execve("/bin/sh", arguments, environment);
    dprintf(2, "cannot start /bin/sh: %s\n", strerror(errno));
    _exit(EXIT_NO_SHELL);
}

/* A pipe whose ends are above 2: taking places 0 to 2 in the child overwrites none of them. */
static bool open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    for (int i = 0; i < 2; i++) {
        if (ends[i] > 2) continue;
        int higher = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
        close(ends[i]);
        ends[i] = higher;
    }
    if (ends[0] >= 0 && ends[1] >= 0) return true;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    return false;
}

static void close_pipes(int pipes[3][2], int count)
{
    for (int i = 0; i < count; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static bool open_pipes(int pipes[3][2])
{
    for (int i = 0; i < 3; i++) {
        if (open_pipe(pipes[i])) continue;
        int number = errno;
        close_pipes(pipes, i);
        errno = number;
        return false;
    }
    (void)fcntl(pipes[0][1], F_SETPIPE_SZ, PIPE_SIZE); /* refused: it goes with less */
    (void)fcntl(pipes[1][0], F_SETPIPE_SZ, PIPE_SIZE);
    return true;
}

enum error process_start(struct process *process, const char *command, const char *directory,
                         char *const environment[])
{
    *process = (struct process){.in = -1, .out = -1, .err = -1};
    int pipes[3][2];
    if (!open_pipes(pipes)) return ERROR_SYSTEM;
    const int ends[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
    pid_t parent = getpid();
    struct plain plain;
    plain_split(&plain, command);
    /* vfork: the child has our memory until it is another program, and writes to none of it that we
     * read later; a fork's page tables cost more than the rest of a small task. */
    process->pid = vfork();
    if (process->pid == 0) become(command, plain.words, directory, environment, ends, parent);
    if (process->pid < 0) {
        int number = errno;
        close_pipes(pipes, 3);
        errno = number;
        return ERROR_SYSTEM;
    }
    for (int i = 0; i < 3; i++) close(ends[i]);
    process->in = pipes[0][1];
    process->out = pipes[1][0];
    process->err = pipes[2][0];
    (void)fcntl(process->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(process->out, F_SETFL, O_NONBLOCK);
    (void)fcntl(process->err, F_SETFL, O_NONBLOCK);
    return ERROR_NONE;
}

void process_close(struct process *process)
{
    if (process->in >= 0) close(process->in);
    if (process->out >= 0) close(process->out);
    if (process->err >= 0) close(process->err);
    process->in = process->out = process->err = -1;
}

/* ---- ending ---- */

void process_reap(struct process *process)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != process->pid) continue;
        process->is_over = true;
        process->status = status;
    }
}

void process_signal(const struct process *process, int signal)
{
    if (!process->is_over) (void)kill(-process->pid, signal);
}

static void kill_children(pid_t of, int depth);

static void kill_tree(pid_t pid, int depth)
{
    (void)kill(pid, SIGSTOP);
    if (depth < DEPTH_MAX) kill_children(pid, depth + 1);
    (void)kill(pid, SIGKILL);
}

/* The children of one thread. */
static void kill_children_in(const char *path, int depth)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    int pid;
    while (fscanf(file, "%d", &pid) == 1)
        if (pid > 1) kill_tree(pid, depth);
    fclose(file);
}

static void kill_children(pid_t of, int depth)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)of);
    DIR *threads = opendir(path);
    if (threads == NULL) return;
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        if (thread->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)of, thread->d_name);
        kill_children_in(path, depth);
    }
    closedir(threads);
}

void process_end_all(void)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) return;
        if (pid > 0) continue;
        kill_children(getpid(), 0);
        (void)poll(NULL, 0, 1); /* the killed need a moment to become zombies */
    }
}
