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
