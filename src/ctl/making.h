/* A dataset in the making: blocks cut from inputs and given to an upload, at one peer, or, where a
 * peer is full or dies, at several. dataset.c begins, goes on, and ends it. */
#ifndef CTL_MAKING_H
#define CTL_MAKING_H

#include "ctl/dataset.h"
#include "ctl/lending.h"
#include "ctl/progress.h"
#include "ctl/rooms.h"
#include "ctl/splitter.h"
#include "ctl/spool.h"

enum {
    MAKING_READ_SIZE = 64 * 1024, /* read, hashed and sealed while it is in the processor's cache */
};

#define SENT_NOT SIZE_MAX        /* nothing was to be sent: it is another dataset's, or shared */
#define SENT_LOST (SIZE_MAX - 1) /* it is to be sent again */

/* Where a block comes from, and where it went. */
struct sending {
    size_t at;        /* which of the upload's blocks it is; or as above */
    size_t asked;     /* the same, of the question whether a peer has it; SIZE_MAX: not asked */
    size_t input;     /* in which it begins */
    uint64_t check;   /* XXH3 of its bytes; 0: not known, the peer read them itself */
    bool is_doubtful; /* who had it is gone */
};

/* An input that gives its bytes but once. */
struct piped {
    bool is_begun;
    int file;      /* while it may give more; else -1 */
    uint64_t base; /* of its first byte in the spool */
    uint64_t size; /* of all it gave; UINT64_MAX: it has not ended */
};

struct making {
    struct session *session;
    const struct dataset_plan *plan;
    struct upload upload;
    struct splitter splitter;
    uint64_t target; /* the splitter's, where there is room */
    struct progress progress;
    uint64_t total;
    uint8_t *buffer; /* MAKING_READ_SIZE */
    struct msg_manifest_block *blocks;
    struct sending *sent; /* of each block */
    size_t count;
    size_t capacity;
    struct msg_text *files; /* names of inputs in which a block begins */
    uint32_t files_count;
    struct msg_shared_file *shared; /* those of them that all nodes share */
    uint32_t shared_count;
    struct msg_tree_file *tree; /* of plan.tree: of each input; NULL: none */
    size_t named;               /* the input of the last of them; SIZE_MAX: none */
    enum records records;
    uint64_t record_size;
    bool is_packing; /* a block may go on into the next file */
    bool ends_line;  /* the last byte sent was a newline */
    uint32_t file;   /* where the open block began: of files */
    uint64_t offset;
    uint64_t size;
    size_t next_input; /* behind the last block that was listed: there the next one begins */
    uint64_t next_offset;
    struct spool spool;  /* of pipes */
    struct piped *piped; /* of each input */
    bool has_consumed;   /* bytes were read that can't be read again, but from the spool */
    bool is_plain;       /* the peer may be of a version that does not know how many copies */
    struct lending lending;
    struct rooms rooms;
};

/* Each returns EXIT_OK; an exit code (said); UPLOAD_GONE and UPLOAD_LOST as the upload's. */

/* Adds a block to the list. at: which of the upload's it is, or SENT_NOT. */
int making_add_block(struct making *making, const struct msg_manifest_block *block, size_t at);
/* A block begins in this input (its index): its name is listed, as the last of making->files. */
int making_name_file(struct making *making, size_t input);
/* Ends the open block, or makes an empty one, and adds it. */
int making_end_block(struct making *making);
/* All before that is in blocks that are listed. */
void making_go_on_from(struct making *making, size_t input, uint64_t offset);
/* Cuts and sends all bytes of the input at this index, a file or a pipe; of next_input from
 * next_offset on. */
int making_send_input(struct making *making, size_t index);
/* A file of plan.tree, or an empty directory, in its list. */
void making_list(struct making *making, size_t index, uint64_t size);
/* No more of them is wanted. */
void making_close_pipes(struct making *making);
/* The same of a file that all nodes share: only its ranges are listed. */
int making_add_shared(struct making *making, size_t index);

/* Another node with room, for the next block: the peer has none (rooms.h). */
int making_find_room(struct making *making);
/* The next block goes elsewhere; what is stored stays where it is. */
int making_go_on_elsewhere(struct making *making);
/* upload_ask, of one node after the other until one has room. */
int making_ask_room(struct making *making, uint64_t wanted, uint64_t least);

/* Bytes of an input from there on; 0 at its end. -1 with errno: of a pipe ENODATA when they are
 * kept no more. fd: as inputs_descriptor gave it; of a pipe any. */
ssize_t making_read(const struct making *making, size_t index, int fd, uint64_t offset,
                    uint8_t *bytes, size_t size);

/* The peer is gone, or could not keep all of it: what was sent and is not on a living node is sent
 * to the session's peer (resume.c). Then making_send_input and the others go on where they were.
 * gone: whose blocks are not there any more; "": nobody's, NULL: all are doubtful. */
int making_resume(struct making *making, const char *gone);

/* Inputs' blocks that were sent and lost are sent again (resend.c), until the peer has all of them;
 * all that was sent is confirmed before and after. UPLOAD_LOST: not that way. */
int making_resend(struct making *making);
/* One whole block that is nobody's input, again when it is lost. */
int making_send_whole(struct making *making, struct slice bytes, struct msg_block_ref *block);

#endif
