/* Talk goes to stderr, a line at a time, with our name in front; stdout is for data alone. */
#ifndef CTL_NOTICE_H
#define CTL_NOTICE_H

#include "base/slice.h"

/* "mrctl: " and the composed line. Control characters (a peer's text may hold any) become '?',
 * newlines stay. */
void notice_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The bytes as text on stderr, each line behind prefix, cleaned as above. */
void notice_block(const char *prefix, struct slice text);

/* An allocation failed: says so and exits with EXIT_JOB_FAILED. What the flock was asked for before
 * goes on. */
_Noreturn void notice_no_memory(void);

/* While stderr is something else, those words go here; STDERR_FILENO as it begins. */
void notice_last_words_to(int fd);

#endif
