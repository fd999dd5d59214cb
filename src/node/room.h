/* Memory for tasks that say what they need: see room.c. */
#ifndef NODE_ROOM_H
#define NODE_ROOM_H

#include "tasks/jobs.h"

struct link;
struct node;

/* Bytes that each task of the job may use; 0: it does not say. */
uint64_t room_wanted(const struct job *job);
/* Bytes that tasks may still take here; UINT64_MAX: as many as they like. */
uint64_t room_left(const struct node *node);
/* A task of the job would fit if nothing else ran. */
bool room_ever(const struct node *node, const struct job *job);
/* What becomes free is this job's: others fit only beside what one of its tasks takes. For one job
 * at a time, the first; until one of its tasks is claimed, or room_keep_no_more. */
void room_keep(struct node *node, const struct job *job);
bool room_is_kept_for(const struct node *node, const struct job *job);
void room_keep_no_more(struct node *node);
/* How many more tasks of the job fit, `most` at most. */
size_t room_tasks(const struct node *node, const struct job *job, size_t most);

/* A stream to a member is open: it hears what we have. */
void room_say(struct node *node, struct link *link);
void room_heard(struct link *link, const struct msg_capacity *capacity);

/* True, with a text for people: its tasks fit no living member. */
bool room_lacks(struct node *node, const struct job *job, char *text, size_t size);
/* True, with a text: there is no room for one of its tasks here, now. */
bool room_waits(const struct node *node, const struct job *job, char *text, size_t size);

#endif
