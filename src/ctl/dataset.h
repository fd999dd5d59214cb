/* A dataset as a job's input or as what `put` names: blocks in order, described by a manifest,
 * stored at a peer. */
#ifndef CTL_DATASET_H
#define CTL_DATASET_H

#include "ctl/inputs.h"
#include "ctl/session.h"
#include "ctl/upload.h"

/* One split of what dataset_make would make. */
struct dataset_split {
    const struct input *input;
    struct msg_manifest_block block;
};

/* What is to be uploaded and how. Borrowed. */
struct dataset_plan {
    /* A rehearsal: each split is shown, nothing is sent, and the dataset has counts alone. NULL:
       it is meant. */
    void (*visit)(void *context, const struct dataset_split *split);
    void *context;
    const struct inputs *inputs;
    uint64_t split_size;       /* 0: chosen from the size and the flock's slots */
    const char *records;       /* as --records; NULL: lines */
    const char *tree;          /* the directory whose files the inputs are; NULL: none */
    const struct words *files; /* of the job (-f): stored whole; NULL: none */
    uint8_t copies;            /* of each block, that will be wanted; 0: nobody knows yet */
    bool is_shuffled;          /* for a job with reduces */
    bool may_keep;             /* small, it may go with the submission instead */
};

struct making;

struct dataset {
    struct msg_block_ref manifest;
    uint32_t blocks_count;
    uint64_t size;
    bool is_owned;               /* the manifest was made for this use: no name refers to it */
    struct msg_block_ref *files; /* of plan.files, in order; owned */
    char peer[CONNECTION_ADDRESS_SIZE]; /* which has the list, and the last of its blocks */
    struct making *making;              /* what is stored where; owned */
    struct msg_small_block *smalls;     /* not stored anywhere yet, but to be sent with the job: the
                                           manifest, then its blocks; owned */
    size_t smalls_count;
    uint8_t *smalls_bytes;
};

/* Finds the datasets among the inputs, cuts and stores the local ones, the manifest and the files
 * at the session's peer; goes on at another peer when that one dies. One dataset alone is used as
 * it is. Borrows session and plan until dataset_deinit. EXIT_OK (dataset_deinit is due),
 * EXIT_USAGE, EXIT_NOT_FOUND, EXIT_NO_PEER, EXIT_JOB_FAILED, ... (said). */
int dataset_make(struct dataset *dataset, struct session *session, const struct dataset_plan *plan);
/* The peer that has it, or another one, has gone since: what is on no living node is stored once
 * more. As dataset_make, but dataset_deinit is due in any case. */
int dataset_mend(struct dataset *dataset);
/* Was what was asked about it refused with this exit code after the peer that has it had gone? Then
 * dataset_mend is worth it. */
bool dataset_is_lost(const struct dataset *dataset, const struct session *session, int code);
void dataset_deinit(struct dataset *dataset);
/* It is not going to be used after all: what was stored for it may go at once. */
void dataset_forget(const struct dataset *dataset, const struct session *session);
/* It is in the log now. */
void dataset_used(const struct dataset *dataset, const struct session *session);

/* The row of the dataset that answers to exactly this name; what it borrows is valid until the next
 * session_* call. EXIT_OK; EXIT_NOT_FOUND is not said, everything else is. */
int dataset_find(struct session *session, const char *name, struct msg_name_row *row);
/* Says that there is none of that name, or none any more, though it was being read; EXIT_NOT_FOUND.
 */
int dataset_missing(const char *name);
int dataset_removed(const char *name);

#endif
