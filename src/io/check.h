/* mrnode --check-store DIR: is what a stopped node left on its disk what was written? */
#ifndef IO_CHECK_H
#define IO_CHECK_H

/* Reads the whole log in the directory: checksums, form, chain and signature of every batch. Prints
 * what it found. 0: all is sound; 1: it is not, or can't be read (a running node has it). */
int check_store(const char *directory);

#endif
