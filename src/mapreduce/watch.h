/* When an attempt must stop before its end: SIGTERM from the daemon, the daemon's death, its time
 * limit. Signals are read from a descriptor, so nothing happens at an odd moment; whoever works for
 * long asks watch_check now and then (scratch does on every write). */
#ifndef MAPREDUCE_WATCH_H
#define MAPREDUCE_WATCH_H

#include "base/error.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct live;

struct watch {
    int signals;  /* signalfd: SIGTERM, SIGINT, SIGHUP, SIGCHLD */
    pid_t parent; /* who started us */
    instant started;
    instant deadline;  /* INSTANT_NEVER = no limit */
    bool is_told;      /* SIGTERM, SIGINT or SIGHUP came */
    bool is_orphan;    /* the parent is gone */
    struct live *live; /* shown to the daemon with every check; NULL: nothing is */
};

/* Blocks those signals, ignores SIGPIPE, asks for SIGTERM when the parent dies (the parent is read
 * first: should it die in between, is_orphan is set) and becomes reaper of orphaned descendants.
 * ERROR_SYSTEM: errno says why. */
enum error watch_start(struct watch *watch) MUST_USE;
void watch_stop(struct watch *watch);

/* The attempt may take so long, counted from watch_start; 0 = for ever. */
void watch_limit(struct watch *watch, uint64_t timeout_ms);
/* The same, counted from this instant. */
void watch_limit_from(struct watch *watch, instant from, uint64_t timeout_ms);

/* Takes in what signals came. ERROR_CLOSED: told to stop; ERROR_TIMEOUT: the time is over. Says the
 * same on every later call. Never blocks. */
enum error watch_check(struct watch *watch) MUST_USE;

/* CLOCK_MONOTONIC. */
instant watch_now(void);

#endif
