/* Processes of an attempt: one is started, in a session of its own; in the end not one is left.
 *
 *   mrtask -- /bin/sh -c COMMAND   its session, its group: TERM and KILL reach most of it
 *     `------ orphans              double forks, setsid: they fall back to mrtask, their reaper */
#ifndef MAPREDUCE_PROCESS_H
#define MAPREDUCE_PROCESS_H

#include "base/error.h"
#include "base/slice.h"
#include "mapreduce/confine.h"

#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid;    /* also its group and session */
    bool is_over; /* it has exited; it stays a zombie, so that its number is nobody else's */
    bool is_reaped;
    int status; /* as waitpid has it, once over */
    int in;     /* our ends of its three pipes, non-blocking; -1 = closed */
    int out;
    int err;
};

/* Starts /bin/sh -c command in the directory with that environment and nothing else: confined
 * (confine.h; begun), umask 077, usual signals. Should exec fail it exits 127. ERROR_SYSTEM: errno
 * says why, and confine->failed whether it was the confinement. Borrows all for the call. */
enum error process_start(struct process *process, const char *command, const char *directory,
                         char *const environment[], struct confine *confine) MUST_USE;
/* Closes our ends; kills nobody. */
void process_close(struct process *process);

/* Takes in the end of the process, and of any orphans. Never blocks. */
void process_reap(struct process *process);
/* A signal to the group, if the process was not reaped yet. */
void process_signal(const struct process *process, int signal);

/* Kills and reaps every descendant of ours, those that ran away included; returns when none is
 * left. process: whose group goes first and at once; NULL. */
void process_end_all(struct process *process);

/* Our children now, as many as there is room for; how many. */
size_t process_children(pid_t pids[], size_t max);

/* Kills and reaps children of ours that are not among the known, with all below them: what fell to
 * us as the reaper. Waits some 50 ms at most. */
void process_end_strangers(const pid_t known[], size_t count);

/* Bytes of memory that all descendants of ours have resident: what is private of each, and the
 * largest share of what is not. */
uint64_t process_memory(void);

#endif
