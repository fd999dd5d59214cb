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
    STORM_MAX = 64,         /* passes without a pause: a chain of forks is faster than one */
    EXIT_NO_SHELL = 127,
};

/* ---- starting ---- */

/* Whatever else was ignored or blocked, watch_start has put right. */
static void usual_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    (void)sigaction(SIGPIPE, &usual, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A pipe's end as descriptor 0, 1 or 2. Ours are all above 2 (open_pipe sees to it). */
static bool take_place(int fd, int place) { return dup2(fd, place) == place; }

/* In the child, until it is another program. words: of a command that needs no shell; else NULL. */
static _Noreturn void become(const char *command, char *const words[], const char *directory,
                             char *const environment[], const int ends[3], pid_t parent,
                             struct confine *confine)
{
    char *const arguments[] = {"sh", "-c", (char *)command, NULL};
    usual_signals();
    (void)umask(077);
    bool is_ready = take_place(ends[2], 2) && take_place(ends[1], 1) && take_place(ends[0], 0) &&
                    confine_enter(confine, directory, parent);
    if (is_ready && words[0] != NULL) (void)execve(words[0], words, environment);
    if (is_ready) (void)execve("/bin/sh", arguments, environment);
    dprintf(2, "cannot start %s: %s\n", is_ready ? "/bin/sh" : "the command", strerror(errno));
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
                         char *const environment[], struct confine *confine)
{
    *process = (struct process){.in = -1, .out = -1, .err = -1};
    int pipes[3][2];
    if (!open_pipes(pipes)) return ERROR_SYSTEM;
    const int ends[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
    pid_t parent = getpid();
    struct plain plain;
    plain_split(&plain, command);
    confine->failed = NULL;
    /* vfork: the child has our memory until it is another program, and writes to none of it that we
     * read later; a fork's page tables cost more than the rest of a small task. */
    process->pid = vfork();
    if (process->pid == 0)
        become(command, plain.words, directory, environment, ends, parent, confine);
    if (process->pid < 0 || confine->failed != NULL) {
        int number = errno; /* after a vfork, also the child's */
        if (process->pid > 0) (void)waitpid(process->pid, NULL, 0);
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

/* Our command's end is looked at, not taken, until all is over: while it is a zombie its number is
 * its group's. Orphans are taken until then. */
void process_reap(struct process *process)
{
    while (!process->is_over) {
        siginfo_t news = {.si_pid = 0};
        if (waitid(P_ALL, 0, &news, WEXITED | WNOHANG | WNOWAIT) != 0 || news.si_pid == 0) return;
        if (news.si_pid != process->pid) {
            (void)waitpid(news.si_pid, NULL, 0);
            continue;
        }
        process->is_over = true;
        process->status =
            news.si_code == CLD_EXITED ? (news.si_status & 0xff) << 8 : news.si_status & 0x7f;
    }
}

void process_signal(const struct process *process, int signal)
{
    if (process->pid > 0 && !process->is_reaped) (void)kill(-process->pid, signal);
}

/* What to do with each descendant: before and after its own are seen to. */
struct visit {
    void (*before)(struct visit *visit, pid_t pid);
    void (*after)(struct visit *visit, pid_t pid);
    uint64_t private_bytes, shared_bytes; /* of measuring */
};

static void visit_children(struct visit *visit, pid_t of, int depth);

/* The children of one thread. */
static void visit_children_in(struct visit *visit, const char *path, int depth)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    int pid;
    while (fscanf(file, "%d", &pid) == 1) {
        if (pid <= 1) continue;
        if (visit->before != NULL) visit->before(visit, pid);
        if (depth < DEPTH_MAX) visit_children(visit, pid, depth + 1);
        if (visit->after != NULL) visit->after(visit, pid);
    }
    fclose(file);
}

static void visit_children(struct visit *visit, pid_t of, int depth)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)of);
    DIR *threads = opendir(path);
    if (threads == NULL) return;
    for (struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        if (thread->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)of, thread->d_name);
        visit_children_in(visit, path, depth);
    }
    closedir(threads);
}

static void halt(struct visit *visit, pid_t pid)
{
    (void)visit;
    (void)kill(pid, SIGSTOP);
}

static void end(struct visit *visit, pid_t pid)
{
    (void)visit;
    (void)kill(pid, SIGKILL);
}

void process_end_all(struct process *process)
{
    struct visit killing = {.before = halt, .after = end};
    if (process != NULL) {
        process_signal(process, SIGKILL);
        process->is_reaped = true;
    }
    for (unsigned passes = 0;; passes++) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {}
        if (pid < 0 && errno == ECHILD) return;
        visit_children(&killing, getpid(), 0);
        /* The killed need a moment to become zombies. */
        if (passes >= STORM_MAX || passes % 2 == 1) (void)poll(NULL, 0, 1);
    }
}

struct listing {
    struct visit visit; /* first, as below */
    pid_t *pids;
    size_t count, max;
};

static void list_child(struct visit *visit, pid_t pid)
{
    struct listing *listing = (struct listing *)visit;
    if (listing->count < listing->max) listing->pids[listing->count++] = pid;
}

size_t process_children(pid_t pids[], size_t max)
{
    struct listing listing = {.visit = {.before = list_child}, .pids = pids, .max = max};
    visit_children(&listing.visit, getpid(), DEPTH_MAX);
    return listing.count;
}

/* Of the strangers among our children, killed; how many there were. */
struct purge {
    struct visit killing; /* first: the visitor finds the rest behind it */
    const pid_t *known;
    size_t known_count;
    unsigned count;
};

static void purge_child(struct visit *visit, pid_t pid)
{
    struct purge *purge = (struct purge *)visit;
    for (size_t i = 0; i < purge->known_count; i++)
        if (purge->known[i] == pid) return;
    struct visit killing = {.before = halt, .after = end};
    purge->count++;
    halt(&killing, pid);
    visit_children(&killing, pid, 1);
    end(&killing, pid);
    (void)waitpid(pid, NULL, WNOHANG);
}

void process_end_strangers(const pid_t known[], size_t count)
{
    enum {
        PASSES_MAX = 100
    };
    for (int i = 0; i < PASSES_MAX; i++) {
        struct purge purge = {
            .killing = {.before = purge_child}, .known = known, .known_count = count};
        visit_children(&purge.killing, getpid(), DEPTH_MAX); /* children alone, nothing below */
        if (purge.count == 0) return;
        if (i % 2 == 1) (void)poll(NULL, 0, 1);
    }
}

/* ---- measuring ---- */

static void measure(struct visit *visit, pid_t pid)
{
    char path[64];
    unsigned long size, resident = 0, shared = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fscanf(file, "%lu %lu %lu", &size, &resident, &shared) == 3 && resident >= shared) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        visit->private_bytes += (resident - shared) * page;
        if (shared * page > visit->shared_bytes) visit->shared_bytes = shared * page;
    }
    fclose(file);
}

uint64_t process_memory(void)
{
    struct visit measuring = {.before = measure};
    visit_children(&measuring, getpid(), 0);
    return measuring.private_bytes + measuring.shared_bytes;
}
