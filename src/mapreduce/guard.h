/* What no rlimit says of an attempt: the memory of all its processes together, and a disk that it
 * fills. Looked at now and then while a command runs. */
#ifndef MAPREDUCE_GUARD_H
#define MAPREDUCE_GUARD_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum guard_excess {
    GUARD_NONE,
    GUARD_MEMORY,
    GUARD_DISK,
};

struct guard {
    uint64_t memory_max;
    const char *directories[2]; /* of the commands, of the attempt: what is theirs on the disk */
    instant next;               /* when to look again */
    uint64_t found;             /* bytes: what there was too much of */
};

/* memory_max: 0 = most of the machine's. The first look comes after a while: a short task pays
 * nothing. Borrows the paths. */
void guard_init(struct guard *guard, uint64_t memory_max, const char *commands, const char *attempt,
                instant now);
/* Looks when it is time. Blocks for as long as a walk through the attempt's directories takes, when
 * the disk is nearly full. */
enum guard_excess guard_look(struct guard *guard, instant now);

/* The disk is nearly full, and a good part of it is this attempt's: it is the one that fills it.
 * found says with how much. */
bool guard_fills_disk(struct guard *guard);

/* How large one file may become: what the disk has room for. */
uint64_t guard_room(const char *directory);

#endif
