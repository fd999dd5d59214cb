/* Which tasks this node should claim now: optimistic and greedy, made to collide seldom. Each task prefers certain nodes (for a map
 * those that hold its block, by rendezvous order of the block's digest; else rendezvous order of (job, task)); the k-th preferred node waits
 * k steps before it takes what is still free. Reduces wait for all maps. A task whose attempts failed waits a back-off (bounded:
 * a job whose task fails at once ends within 5 s) and prefers nodes where it has not failed. Pure: the caller brings the fold, the living, and
 * the time. */
#ifndef TASKS_SCHEDULE_H
#define TASKS_SCHEDULE_H

#include "base/prng.h"
#include "base/time.h"
#include "tasks/jobs.h"

/* Who could run something. */
struct schedule_node {
    struct id id;
    bool is_suspect;
};

/* What this node knows of a job beyond the log; kept by the node, made by schedule_job_init when the job is learnt. */
struct schedule_job {
    instant seen;               /* when the job became known here */
    instant *free_since[2];     /* per task: when it became claimable here; 0 = it is not, or not noticed yet */
    instant *not_before[2];     /* per task: back-off after failures */
    const struct digest *blocks; /* per map: its input block; NULL: the manifest is not here yet (then no map is claimed) */
};

struct schedule_pick {
    enum task_kind kind;
    uint32_t index;
    enum cause cause;
};

/* Up to picks_max tasks of the job to claim now by self, which has that many free slots. Returns how many. *wake: the instant when it should
 * be asked again although nothing happened (INSTANT_NEVER: no need). nodes: the living, self included. */
size_t schedule_pick(const struct job *job, struct schedule_job *state, const struct id *self,
                     const struct schedule_node *nodes, size_t nodes_count, instant now,
                     struct schedule_pick *picks, size_t picks_max, instant *wake);

enum error schedule_job_init(struct schedule_job *state, const struct job *job, struct memory *memory, instant now) MUST_USE;
void schedule_job_deinit(struct schedule_job *state, const struct job *job, struct memory *memory);

/* The nodes in rendezvous order for a key, best first, in place. */
void placement_order(const void *key, size_t key_size, struct schedule_node *nodes, size_t nodes_count);
/* self's place in that order: 0 = first; nodes_count when it is not among them. */
size_t placement_rank(const void *key, size_t key_size, const struct schedule_node *nodes, size_t nodes_count,
                      const struct id *self);

#endif
