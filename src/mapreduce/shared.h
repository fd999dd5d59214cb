/* The input that is no block, but a range of a file which all nodes share (path:). */
#ifndef MAPREDUCE_SHARED_H
#define MAPREDUCE_SHARED_H

#include "mapreduce/attempt.h"

/* Opens it as the tasks' user, looks whether it is what the job was submitted with, and finds where
 * it really is (shared_path: the commands may read it there). ERROR_NOT_FOUND, noted. */
enum error shared_open(struct attempt *attempt) MUST_USE;
/* Is it still? To be asked when all is read: a file may change while a task reads it. */
enum error shared_check(struct attempt *attempt) MUST_USE;
/* What was noted is that this input can't be read. */
bool shared_is_unreadable(const struct attempt *attempt);

#endif
