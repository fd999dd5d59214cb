/* A bag of tasks: the built-in @each runs every line of its input as a command of its own.
 *
 *   input    SEQUENCE TAB COMMAND      a line each, made by mrctl
 *   output   line_begun line_bytes... [line_again line_bytes...]... line_ended   for each, packed
 *
 * One attempt runs many lines one after the other (a warm worker), so that a line costs a spawn and
 * little else. A line that fails is a result, not a failure of the attempt: only what keeps the
 * attempt from going on (told to stop, disk, memory) is one. Nothing that a line started outlives
 * it. */
#ifndef MAPREDUCE_BAG_H
#define MAPREDUCE_BAG_H

#include "mapreduce/attempt.h"

/* "@each" or "@each N": a line that fails is tried up to N times (default 1). */
bool bag_is_meant(struct slice command);
/* Runs it over the lines of in. The spec's timeout_ms counts for each line. Errors as mapper_run.
 */
enum error bag_run(struct attempt *attempt, struct slice command, struct inflow in,
                   struct outflow out) MUST_USE;

#endif
