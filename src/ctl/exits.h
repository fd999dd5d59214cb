/* The exit codes that scripts hold on to (docs: mrctl's manual page, "Exit status"). A function of
 * this folder that returns int returns one of these, and has said why on stderr when it is not
 * EXIT_OK. */
#ifndef CTL_EXITS_H
#define CTL_EXITS_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_JOB_FAILED = 1, /* the job or task failed; also: what we were asked to do failed here */
    EXIT_USAGE = 2,
    EXIT_NO_PEER = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_DENIED = 5,
    EXIT_CONFLICT = 6,
    EXIT_PARTIAL = 7,       /* some of the answer was printed, the rest could not be had */
    EXIT_TIMED_OUT = 124,   /* as timeout(1) */
    EXIT_INTERRUPTED = 130, /* 128 + SIGINT */
};

#endif
