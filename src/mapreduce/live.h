/* What an attempt says and has read so far, for its daemon to look at while it runs: the file
 * "live" in the attempt's directory, which only the daemon and mrtask reach. A ring of the same
 * size as the log's, so it never grows, behind two counts:
 *
 *   0   bytes ever logged                    8   bytes of input read
 *   16  byte n of the log at 16 + n % LIVE_RING_SIZE
 *
 * in the machine's own byte order. Written once an attempt has run for a moment and then now and
 * then, so brief tasks pay nothing for it. Who reads it reads the counts once more behind the
 * bytes, and drops what may have been overwritten meanwhile. */
#ifndef MAPREDUCE_LIVE_H
#define MAPREDUCE_LIVE_H

#include "base/time.h"
#include "mapreduce/report.h"

enum {
    LIVE_RING_SIZE = REPORT_LOG_MAX,
    LIVE_HEAD_SIZE = 16,
};

struct live {
    int directory;               /* borrowed */
    int file;                    /* -1: not made yet */
    bool is_broken;              /* the disk does not take it: then not */
    const struct report *report; /* borrowed */
    uint64_t logged;             /* of the report: written up to here */
    uint64_t read_size;          /* bytes of input taken: whoever hands them out adds them here */
    uint64_t read_written;
    instant next; /* not again before */
};

void live_init(struct live *live, int directory, const struct report *report, instant now);
void live_deinit(struct live *live);

/* Writes what is new, unless that was done just now. */
void live_look(struct live *live, instant now);
/* When something waits to be written; INSTANT_NEVER: nothing does. */
instant live_due(const struct live *live);

#endif
