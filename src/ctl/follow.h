/* Waiting for a job's end. */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include "ctl/session.h"

/* A job as it was last seen. */
struct followed {
    struct msg_job_row row; /* borrows from arena */
    bool is_whole;          /* of follow_result: parts are the whole output */
    struct list parts;      /* of msg_small_block */
    struct arena arena;
};

/* Waits until the job (a name, a unique prefix of one) has ended, with a bar on stderr unless -q.
 * is_new: it was just submitted, so a peer that does not know it yet will. Returns the job's
 * verdict: EXIT_OK done, EXIT_JOB_FAILED failed or killed (said, with the failing task's last
 * words); EXIT_INTERRUPTED and EXIT_TIMED_OUT say how to attach again; other codes as
 * session_reply's. *followed is valid unless no row came (row.name.count 0); followed_deinit is
 * due. */
int follow_job(struct session *session, const char *name, bool is_new, struct followed *followed);
/* The same; a small output comes along with the news of the end (is_whole). */
int follow_result(struct session *session, const char *name, struct followed *followed);
void followed_deinit(struct followed *followed);

#endif
