/* Deleting what a task left, whatever it is. */
#ifndef MAPREDUCE_SWEEP_H
#define MAPREDUCE_SWEEP_H

/* Deletes a directory and all in it, as far as that goes; symbolic links are not followed. Not
 * there is fine. Two descriptors and no recursion, however deep it is. Nobody may write in it
 * meanwhile. */
void sweep_tree(const char *path);

#endif
