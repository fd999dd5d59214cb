/* Stopping: who may tell us to, and how we learn of it. prctl(2) has two traps: PR_SET_PDEATHSIG
 * says nothing about a parent that died before the call (hence getppid before and after), and it is
 * about the parent's *thread*; the daemon starts us from the one that lives as long as it does. */
#include "mapreduce/watch.h"

#include "mapreduce/live.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

instant watch_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (instant)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

/* Who started us may have ignored some, which exec keeps: commands are to get all as usual, and
 * with SIGCHLD ignored children would reap themselves. */
static void heed_all(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            (void)signal(number, SIG_DFL);
    }
}

enum error watch_start(struct watch *watch)
{
    *watch = (struct watch){
        .signals = -1,
        .parent = getppid(),
        .started = watch_now(),
        .deadline = INSTANT_NEVER,
    };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return ERROR_SYSTEM;
    heed_all();
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) return ERROR_SYSTEM;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return ERROR_SYSTEM;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return ERROR_SYSTEM;
    watch->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (watch->signals < 0) return ERROR_SYSTEM;
    watch->is_orphan = getppid() != watch->parent;
    return ERROR_NONE;
}

void watch_stop(struct watch *watch)
{
    if (watch->signals >= 0) close(watch->signals);
    watch->signals = -1;
}

void watch_limit_from(struct watch *watch, instant from, uint64_t timeout_ms)
{
    uint64_t longest_ms = (uint64_t)(INSTANT_NEVER - from) / MILLISECOND;
    if (timeout_ms == 0 || timeout_ms >= longest_ms) watch->deadline = INSTANT_NEVER;
    else watch->deadline = from + (duration)timeout_ms * MILLISECOND;
}

void watch_limit(struct watch *watch, uint64_t timeout_ms)
{
    watch_limit_from(watch, watch->started, timeout_ms);
}

enum error watch_check(struct watch *watch)
{
    struct signalfd_siginfo news;
    while (watch->signals >= 0 && read(watch->signals, &news, sizeof news) == sizeof news) {
        if (news.ssi_signo != SIGCHLD) watch->is_told = true;
    }
    if (watch->live != NULL) live_look(watch->live, watch_now());
    if (watch->is_told && getppid() != watch->parent) watch->is_orphan = true;
    if (watch->is_told || watch->is_orphan) return ERROR_CLOSED;
    if (watch->deadline != INSTANT_NEVER && watch_now() >= watch->deadline) return ERROR_TIMEOUT;
    return ERROR_NONE;
}
