/* The commands of mrctl: one table, one function each. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/options.h"
#include "ctl/session.h"

#include <stdio.h>

/* In the order of the help; ends with a NULL name. */
extern const struct command commands_table[];

/* Each carries out its command and returns the exit code; everything it has to say is said. */
/* command_jobs.c */
int mrctl_run(const struct options *options);
int mrctl_submit(const struct options *options);
int mrctl_wait(const struct options *options);
int mrctl_kill(const struct options *options);
/* Submits what the options say. EXIT_OK: name (65 bytes) is the job's. *session is open, or NULL;
 * session_close is due either way. */
int jobs_submit(const struct options *options, struct session **session, char *name);
/* Takes the name of a printed result away; that it can't is said, and no failure. */
int jobs_remove_output(struct session *session, const char *name);
/* command_plan.c */
int mrctl_plan(const struct options *options);
/* command_bag.c: run -t (waits: prints what the commands printed), submit -t */
int mrctl_bag(const struct options *options, bool waits);
int mrctl_joblog(const struct options *options);
/* command_status.c */
int mrctl_status(const struct options *options);
/* command_top.c */
int mrctl_top(const struct options *options);
/* command_steer.c */
int mrctl_retry(const struct options *options);
int mrctl_fail(const struct options *options);
int mrctl_resume(const struct options *options);
int mrctl_drain(const struct options *options);
int mrctl_undrain(const struct options *options);
/* command_shell.c */
int mrctl_report(const struct options *options);
int mrctl_init(const struct options *options);
int mrctl_config(const struct options *options);
int mrctl_completion(const struct options *options);
/* command_doctor.c */
int mrctl_doctor(const struct options *options);
int mrctl_reach(const struct options *options);
int mrctl_rtt(const struct options *options);
/* command_debug.c */
int mrctl_debug(const struct options *options);
/* command_tasks.c */
int mrctl_tasks(const struct options *options);
int mrctl_logs(const struct options *options);
int mrctl_explain(const struct options *options);
/* command_log.c */
int mrctl_log(const struct options *options);
int mrctl_events(const struct options *options);
/* command_data.c */
int mrctl_put(const struct options *options);
int mrctl_get(const struct options *options);
int mrctl_head(const struct options *options);
int mrctl_du(const struct options *options);
int mrctl_ls(const struct options *options);
int mrctl_cat(const struct options *options);
int mrctl_rm(const struct options *options);
/* command_flock.c */
int mrctl_members(const struct options *options);
int mrctl_join(const struct options *options);
int mrctl_leave(const struct options *options);
int mrctl_forget(const struct options *options);
int mrctl_ping(const struct options *options);
int mrctl_keygen(const struct options *options);
int mrctl_keys(const struct options *options);

/* A reading command: opens a session, shows once, or with -w every second until `show` sets
 * *is_over or fails. show prints to stdout and returns an exit code. */
int commands_show(const struct options *options,
                  int (*show)(struct session *session, const struct options *options,
                              bool *is_over));

/* Flushes stdout. EXIT_OK also when the reader has hung up (| head): that ends a command quietly.
 * EXIT_JOB_FAILED (said) when what was printed is lost: a full disk. */
int commands_flush(void);

#endif
