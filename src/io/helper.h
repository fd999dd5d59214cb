/* Helpers: mrtasks that have started and wait for what to do (mapreduce/serving.h). Whoever takes
 * one sends it messages and is told what it answers; then it waits for the next (helper.c). */
#ifndef IO_HELPER_H
#define IO_HELPER_H

#include "base/error.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;
struct helpers;
struct loop;

/* Who has one. Embedded; the callbacks come from the loop, never from within a call of ours. */
struct helper_user {
    /* Borrowed for the call. has_more: of the same read there is another. False: it makes no sense;
     * the helper is killed. May put the helper back. */
    bool (*told)(struct helper_user *user, const struct wire_message *message, bool has_more);
    /* Its process is gone, and all it said was told: the helper is no more. */
    void (*ended)(struct helper_user *user, int64_t status, int signal);
    void *context; /* the user's own */
};

/* MEMORY. Starts none yet. */
enum error helpers_open(struct loop *loop, struct helpers **helpers) MUST_USE;
/* One that waits, else a new one. NULL: *why, borrowed, says why there is none. */
struct helper *helpers_take(struct helpers *helpers, struct helper_user *user, const char **why);
/* False: no memory, or it is gone; nothing was sent, and the helper is killed. */
bool helper_send(struct helper *helper, const struct wire_schema *schema, const void *fields);
/* It waits again; the user is told nothing more. One that was stopped ends instead, and so does one
 * that is not sound: what it lacked for this attempt (memory, descriptors), it may lack for good.
 */
void helper_put(struct helper *helper, bool is_sound);
/* SIGTERM, and SIGKILL when it is not gone some seconds later. The user is told of its end. */
void helper_stop(struct helper *helper);
pid_t helper_process(const struct helper *helper);
/* The processes of all, those that are about to end included; how many. */
size_t helpers_processes(const struct helpers *helpers, pid_t *pids, size_t max);
/* Kills all at once; users are told of it. */
void helpers_close(struct helpers *helpers);
/* After the loop ran out of handles. NULL is fine. */
void helpers_free(struct helpers *helpers);

#endif
