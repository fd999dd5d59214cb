/* Poison: a task that takes the nodes down which run it (it fills the machine's memory, it finds a
 * bug in a driver). Deaths are never charged to a task, so without this it would go round and kill
 * one node after the other for ever.
 *
 * A node counts when it died while it ran the task, had claimed it because an owner had died
 * before (or was suspected to have, rightly), and no node that did not run the task died within
 * 10 s of it: power cuts and racks take many at once, and prove nothing. Of those who ran it at
 * once, as rivals, one counts: poison takes one after the other. And none who was only silent, and
 * lives on in the boot that was held dead. Three such nodes are no accident. Pure; the
 * times are those at which deaths were heard of here. */
#ifndef TASKS_POISON_H
#define TASKS_POISON_H

#include "base/time.h"
#include "tasks/jobs.h"

enum {
    POISON_DEATHS = 3, /* and the first, which nobody could have known to be one */
};

/* How many different nodes this task killed; nodes: up to max of them, at most POISON_DEATHS. */
size_t poison_victims(const struct jobs *jobs, const struct task *task, struct id *nodes,
                      size_t max);

/* Has an owner died of it that had it from a dead one? Then it is run alone, without copies. */
bool poison_is_doubted(const struct task *task);

#endif
