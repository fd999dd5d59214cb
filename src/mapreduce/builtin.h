/* Commands that need no process: a name that starts with '@'.
 *
 *   @cat        the bytes as they are
 *   @sort       the same; its records are compared, and partitioned, as whole lines (what a @sort
 *               map made, only a reduce that is @sort too merges in that order)
 *   @true       nothing, whatever comes
 *   @wordcount  map: every word (split at ASCII white space) as "word TAB 1"; reduce and combine:
 *               the sum of the values of each key as "key TAB sum"; a line with no TAB counts 1 */
#ifndef MAPREDUCE_BUILTIN_H
#define MAPREDUCE_BUILTIN_H

#include "base/slice.h"
#include "mapreduce/flow.h"
#include "mapreduce/scratch.h"

#include <stdbool.h>

/* Does it stand for a built-in (there need not be one of that name)? */
bool builtin_is_meant(struct slice command);
/* Does it want its records compared as whole lines? */
bool builtin_is_whole_line(struct slice command);

enum {
    BUILTIN_WHY_SIZE = 480
};

/* Runs it. is_map: over bytes of input; else over sorted lines. ERROR_INVALID: why says what is
 * wrong with the command, or with which record. Else the errors of in and out, ERROR_MEMORY. */
enum error builtin_run(struct slice command, bool is_map, struct scratch *scratch, struct inflow in,
                       struct outflow out, char why[BUILTIN_WHY_SIZE]) MUST_USE;

#endif
