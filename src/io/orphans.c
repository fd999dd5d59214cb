/* An mrtask is a child subreaper: what its commands detach falls to it, and it ends that before it
 * tells a result. Killed, it could end nothing, and all of it falls to the daemon, a subreaper,
 * too. There is no list of such processes; but every child of ours that we did not start is one. */
#include "io/orphans.h"

#include "mapreduce/process.h"

#include <string.h>

void orphans_init(struct orphans *orphans)
{
    orphans->inherited_count = process_children(orphans->inherited, ORPHANS_INHERITED_MAX);
}

void orphans_end(const struct orphans *orphans, const struct helpers *helpers)
{
    pid_t known[ORPHANS_KNOWN_MAX];
    size_t count = orphans->inherited_count;
    memcpy(known, orphans->inherited, count * sizeof *known);
    count += helpers_processes(helpers, known + count, ORPHANS_KNOWN_MAX - count);
    if (count < ORPHANS_KNOWN_MAX) process_end_strangers(known, count);
}
