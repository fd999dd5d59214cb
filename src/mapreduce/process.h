/* Processes of an attempt: one is started, in a session of its own; in the end not one is left.
 *
 *   mrtask -- /bin/sh -c COMMAND   its session, its group: TERM and KILL reach most of it
 *     `------ orphans              double forks, setsid: they fall back to mrtask, their reaper */
#ifndef MAPREDUCE_PROCESS_H
#define MAPREDUCE_PROCESS_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid;      /* also its group and session */
    bool is_over;
    int status;     /* as waitpid has it, once over */
    int in;         /* our ends of its three pipes, non-blocking; -1 = closed */
    int out;
    int err;
};

/* Starts /bin/sh -c command in the directory with that environment and nothing else: its own
 * session, no other descriptor, no new privileges, no core files, umask 077, usual signals; it is
 * killed when we die. Should exec fail it exits 127. ERROR_SYSTEM: errno says why. Borrows all for
 * the call. */
enum error process_start(struct process *process, const char *command, const char *directory,
                         char *const environment[]) MUST_USE;
/* Closes our ends; kills nobody. */
void process_close(struct process *process);

/* Takes in the end of the process, and of any orphans. Never blocks. */
void process_reap(struct process *process);
/* A signal to the group, if the process was not reaped yet. */
void process_signal(const struct process *process, int signal);

/* Kills and reaps every descendant of ours, those that ran away included; returns when none is
 * left. */
void process_end_all(void);

#endif
