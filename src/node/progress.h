/* How far an attempt is, before it gets a second copy: see progress.c. */
#ifndef NODE_PROGRESS_H
#define NODE_PROGRESS_H

#include "tasks/straggler.h"

struct event;
struct link;
struct node;
struct running;
struct wire_message;

enum {
    PROGRESS_QUESTIONS_MAX = 32,
};

/* What the node that runs an attempt was asked about it. */
struct progress_question {
    instant asked; /* 0: no question */
    struct msg_stamp claim;
    enum task_kind kind;
    uint32_t task;
    bool is_sent;
    bool is_answered;
    instant held; /* answered: no copy before; 0: it may have one */
    instant end;  /* of the attempt, as its pace once promised; 0: never */
};

/* What tasks of one kind of a job took here. */
struct pace {
    uint64_t bytes;
    uint64_t ms;
};

/* For struct straggler_judge; context: the node. */
instant progress_objects(void *context, const struct job *job, enum task_kind kind, uint32_t task,
                         const struct attempt *attempt);
/* A task of this job has ended here, done, that had so much input. */
void progress_done(struct node *node, const struct running *running, uint64_t elapsed_ms);

/* A peer's question or answer; and what an attempt has read that a peer asked about. */
void progress_message(struct node *node, struct link *link, const struct wire_message *message);
void progress_read(struct node *node, const struct event *event);

#endif
