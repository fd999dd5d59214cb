/* Which tasks this node should claim now: optimistic and greedy, made to collide seldom. Each
 * task prefers certain nodes (for a map those that hold its block, by rendezvous order of the
 * block's digest; else rendezvous order of (job, task)); the k-th preferred node waits k steps
 * before it takes what is still free. Reduces wait for all maps. A task whose attempts failed
 * waits a back-off (bounded: a job whose task fails at once ends within 5 s) and prefers nodes
 * where it has not failed. Pure: the caller brings the fold, the living, and the time. */
#ifndef TASKS_SCHEDULE_H
#define TASKS_SCHEDULE_H

#include "base/prng.h"
#include "base/time.h"
#include "tasks/jobs.h"
#include "tasks/placement.h"

/* What this node knows of a job beyond the log; kept by the node, made by schedule_job_init
 * when the job is learnt. Only `blocks` is the node's to write: it may set it at any time after
 * init. */
struct schedule_job {
    instant seen;            /* when the job became known here */
    instant ready[2];        /* when the kind's tasks first became claimable here; 0 = not yet */
    uint32_t tasks_count[2]; /* of the arrays below; tasks beyond are not picked */
    instant *free_since[2];  /* per task: when it was seen to be free again */
    uint32_t *frees[2];      /* per task: task.frees at that instant; else it is news */
    uint8_t *ranks[2];       /* per task: this node's rank among the living, or 255: unknown */
    uint64_t living;         /* digest of the living for whom the ranks hold */
    /* Per map (spec.maps of them): its input block, zeros when it has none. NULL: the manifest is
     * not here yet, and no map is claimed. Borrowed. */
    const struct digest *blocks;
    instant blind_until; /* maps are left to others until then: their input (path:) could not
                            be read here. The node's to write */
    bool is_brief;       /* many are claimed at once */
};

struct schedule_pick {
    enum task_kind kind;
    uint32_t index;
    enum cause cause; /* why it is claimed: task_next_cause */
    uint8_t rank;     /* 0: this node is the one preferred */
};

/* Up to picks_max tasks of the job to claim now by self, which has that many free slots; lowest
 * ranks first. Returns how many. *wake: the instant when it should be asked again although
 * nothing happened (INSTANT_NEVER: no need). nodes: the living, self included. With picks_max 0
 * it only takes note of what is free. */
size_t schedule_pick(const struct job *job, struct schedule_job *state, const struct id *self,
                     const struct schedule_node *nodes, size_t nodes_count, instant now,
                     struct schedule_pick *picks, size_t picks_max, instant *wake);

/* The first `max` reduces, by index, for which self is the one preferred; returns how many. The
 * others as above. */
size_t schedule_prefers(const struct job *job, struct schedule_job *state, const struct id *self,
                        const struct schedule_node *nodes, size_t nodes_count, uint32_t *reduces,
                        size_t max);

/* For a known job. Everything is taken from memory until deinit. ERROR_MEMORY: nothing is taken. */
enum error schedule_job_init(struct schedule_job *state, const struct job *job,
                             struct memory *memory, instant now) MUST_USE;
void schedule_job_deinit(struct schedule_job *state, const struct job *job, struct memory *memory);

#endif
