/* One mrtask for many brief tasks: built-ins over a few bytes, which need neither a directory nor a
 * process of their own, since nothing of a user's runs in them. */
#ifndef MAPREDUCE_SERVING_H
#define MAPREDUCE_SERVING_H

enum {
    SERVING_FRAME_MAX = 24 << 10, /* a task_brief or its result, and its size before it */
};

/* Answers task_briefs that come on descriptor 0 there, in order, until that is closed. The exit
 * code of mrtask: 0, or 1 when what comes makes no sense. */
int serving_run(void);

#endif
