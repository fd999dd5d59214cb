/* Blocks that the log carries: so small that an entry has them, instead of disks (smalls.c). */
#ifndef NODE_SMALLS_H
#define NODE_SMALLS_H

#include "node/state.h"

enum {
    SMALL_OUTPUT_MAX = 4096,   /* an output that comes by the log */
    SMALL_JOB_MAX = 128 << 10, /* all of one job: what is larger has blocks, as ever */
    SMALL_NODE_MAX = 16 << 20, /* all that are in memory here */
    SMALL_LISTED_MAX = 49152,  /* as msg_small_block: the longest list of blocks */
};

struct small_use;

/* One such block, while nobody needs to have it on a disk. */
struct small {
    struct digest digest;
    struct msg_stamp stamp; /* the last entry that brought it */
    instant since;          /* when that came */
    struct small_use *uses; /* the latest first */
    size_t size;
    uint8_t bytes[];
};

void smalls_open(struct node *node);
void smalls_close(struct node *node);
/* An entry `small`. */
void smalls_fold(struct node *node, const struct stamped *entry);
/* The log carries this block, and its bytes are here; NULL: it does not, or they are on disks by
 * now. The empty block is everywhere. Valid until the next sweep. */
const struct small *smalls_find(const struct node *node, const struct digest *digest);
/* May so much more of this job be carried? */
bool smalls_fit(const struct node *node, const struct id *job, size_t size);
/* Writes the entries that carry these blocks of the job (msg_small_block). */
enum error smalls_append(struct node *node, const struct id *job, struct msg_small_block *blocks,
                         size_t count);
/* Who has what we write next on its disk has this block there, too; or two disks have it. */
bool smalls_is_safe(const struct node *node, const struct digest *digest);
/* Is something in memory here that this job's entries carry? Then they must stay. */
bool smalls_are_of(const struct node *node, const struct id *job);
/* Behind the marks of the keeper's sweep: forgets what nobody refers to, or has its copies. */
void smalls_sweep(struct node *node);
/* Young ones are not written to disks: most are gone before. */
bool smalls_is_young(const struct node *node, const struct small *small);

/* keeper.c: is this block, which the log carries, on our disk? If not it is written now. */
bool keeper_materialise(struct node *node, const struct msg_block_ref *block);
/* heard.c: disks of those who live and stay, and ours, that are known to have this entry. */
size_t heard_disks(const struct node *node, const struct msg_stamp *entry);
/* The names of those of them that are not, "a, b"; as many as fit. */
void heard_lacking(const struct node *node, const struct msg_stamp *entry, char *text, size_t size);

#endif
