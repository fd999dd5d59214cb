/* An mrtask that waits for what to do, on descriptor 0, and does one thing after the other:
 * attempts (task_assign -> task_ended), and brief tasks (task_brief -> task_brief_result), which
 * are built-ins over a few bytes and need neither a directory nor a process of their own. Each
 * message is preceded by its size in four bytes, little endian. */
#ifndef MAPREDUCE_SERVING_H
#define MAPREDUCE_SERVING_H

struct confine;

enum {
    SERVING_FRAME_MAX = 192 << 10, /* each of these, and its size before it */
};

/* Serves until descriptor 0 is closed there, or SIGTERM ends an attempt. confine: what is wanted of
 * each attempt, but for its user. The exit code of mrtask: 0, or 1 when what comes makes no sense.
 */
int serving_run(struct confine *confine);

#endif
