/* What mrtask does: one attempt of one task, in a directory of its own, by a contract of files; or,
 * when it waits for attempts (serving.h), of messages in their place: a spec that is handed over is
 * no file, nor is the result, nor a small input or output.
 *
 *   DIR/spec     a packed task_spec, written before mrtask starts
 *   DIR/work/    the command's working directory and TMPDIR
 *   DIR/output   the output, complete when DIR/result says done
 *   DIR/result   a packed task_result, put there by rename just before mrtask exits 0
 *
 * Output of a map with partitions > 0: a *partitioned block*:
 *
 *   "MRP2"  u32 partitions  { u64 size, digest } x partitions        of the records of a segment
 *           { u64 stored, u64 XXH3 } x partitions                    of its bytes, as they lie here
 *           segment 0  segment 1 ...
 *
 * (integers little endian). The digest by which it is known is that of the first line, up to the
 * last segment's digest: of records, not of what a compressor made of them. So a segment is proved
 * by itself. A segment is lines "key TAB value" sorted by key, equal keys in input order, in pages
 * (squeeze.h). Output of a map without reducers, or of a reduce: the bytes as printed; its digest
 * is theirs. */
#ifndef MAPREDUCE_TASK_H
#define MAPREDUCE_TASK_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct confine;
struct msg_task_result;

enum {
    PARTITIONED_INDEX_ITEM = 40,  /* 8 bytes of size and 32 of digest per partition */
    PARTITIONED_STORED_ITEM = 16, /* 8 bytes of stored and 8 of XXH3 */
};

/* All borrowed. */
struct task_order {
    const char *directory;
    const char *commands;    /* an existing directory for its commands, elsewhere, which is deleted
                                should the daemon die; NULL: DIR/work */
    struct confine *confine; /* initialised, with what is wanted */
    struct slice spec;       /* none: DIR/spec */
    struct slice carried;    /* the input whose path is empty */
    size_t small_max;        /* an output of at most so many bytes (16 KiB) is told, and no file */
    /* Instead of DIR/result, exactly once; output: when is_small. Of task_run's exit code. NULL:
     * the file. */
    int (*tell)(void *context, const struct msg_task_result *result, bool is_small,
                struct slice output);
    void *context;
};

/* Runs the attempt to its end: reads spec, writes output, tells the result. Returns mrtask's exit
 * code: 0 when the result was told, whatever it says; 1 when not even that was possible (one line
 * on stderr says why). *was_told: SIGTERM came, or the daemon is dead. Blocks signals and becomes
 * the reaper of orphans: for a process of its own. */
int task_run(const struct task_order *order, bool *was_told);

#endif
