/* A job's bar and an upload's counter, on stderr. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "base/time.h"
#include "wire/wire.h"

struct progress {
    bool is_silent;   /* -q */
    bool is_terminal; /* else a line for each quarter of the work */
    bool has_bar;     /* one stands on the current line */
    unsigned quarter; /* last one said */
    instant shown;
};

void progress_init(struct progress *progress, bool is_quiet);
/* bytes of total (0: not known) are up. Cheap: call it often. */
void progress_upload(struct progress *progress, uint64_t bytes, uint64_t total);
/* The job as it stands. */
void progress_job(struct progress *progress, const struct msg_job_row *row);
/* Wipes the bar, so that other lines can follow. */
void progress_clear(struct progress *progress);

#endif
